"""Payouts, version 3: to anyone, in other currencies too, with amounts in the smallest units of theirs.

Sources: docs.xendit.co on the API and its webhooks. What the documentation says of account numbers in test mode is
said of payouts v2, and holds here as well; ``/sandbox/v3/payouts/{id}/simulate`` takes one to any status, that of a
compliance review included. Quotes are not played, and rates of exchange never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ringback.model import Duration
from ringback.sandbox.xendit.calls import Answer, Call, Route, read, read_own
from ringback.sandbox.xendit.course import CANCELLED, Course, Stages
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import Draft, invalid
from ringback.sandbox.xendit.invoice_body import MERCHANT_NAME
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import major_units
from ringback.sandbox.xendit.outgoing import PAYOUT_V3
from ringback.sandbox.xendit.payout_draft import PayoutDraft
from ringback.sandbox.xendit.payouts import MISSING, REUSED, fate_at
from ringback.sandbox.xendit.sandbox import Sandbox

ARRIVES_AFTER: Duration = 5 * 60_000  # what the provider estimates in its sample
HELD = "PENDING_COMPLIANCE_REVIEW"
STAGES = Stages(
    first="ACCEPTED",
    under_way="REQUESTED",
    done="SUCCEEDED",
    held=HELD,
    events={
        "SUCCEEDED": "v3_payout.succeeded",
        "FAILED": "v3_payout.failed",
        "REVERSED": "v3_payout.reversed",
        "REJECTED": "v3_payout.rejected",
        HELD: "v3_payout.pending_compliance",
    },
    cancellable=frozenset({"ACCEPTED", HELD}),
)
# What the API shows and webhooks do not tell.
_UNTOLD = frozenset({"estimated_arrival_time", "receipt_notification", "underlying_documents"})


class OutcomeDraft(Draft, frozen=True):
    """How a payout goes on."""

    status: Literal["SUCCEEDED", "FAILED", "REVERSED", "REJECTED", "PENDING_COMPLIANCE_REVIEW"] = "SUCCEEDED"
    failure_code: (
        Literal[
            "INSUFFICIENT_BALANCE",
            "INVALID_DESTINATION",
            "DESTINATION_MAXIMUM_LIMIT",
            "ACCOUNT_NAME_MISMATCH",
            "REJECTED_BY_CHANNEL",
            "TEMPORARY_TRANSFER_ERROR",
            "TRANSFER_ERROR",
            "SLS_SENDER",
            "SLS_RECIPIENT",
        ]
        | None
    ) = None


class PayoutsV3:
    """Payouts, version 3.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._course = Course(sandbox, PAYOUT_V3, "Payout v3", STAGES, self._told)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/v3/payouts", self.create, reused=REUSED),
            Route("GET", "/v3/payouts/{id}", self.get),
            Route("POST", "/v3/payouts/{id}/cancel", self.cancel),
            Route("POST", "/sandbox/v3/payouts/{id}/simulate", self.simulate),
        )

    async def create(self, call: Call) -> Answer:
        """Send money; whether it arrives is told a moment later."""
        _check_version(call)
        draft = read(call, PayoutDraft)
        draft.check()
        body = self._new(call, draft)
        currency = body["source_currency"]
        entry = await self._course.accept(
            call.owner,
            body["payout_id"],
            body,
            fate_at(call, draft.recipient.account_details.account_number),
            cost=(major_units(body["source_amount"], currency), currency),
        )
        return Answer(entry.body)

    async def get(self, call: Call) -> Answer:
        """Show a payout."""
        _check_version(call)
        return Answer(asked_for(self._sandbox.ledger, call, PAYOUT_V3, MISSING).body)

    async def cancel(self, call: Call) -> Answer:
        """Take a payout back that has not been sent yet."""
        _check_version(call)
        entry = asked_for(self._sandbox.ledger, call, PAYOUT_V3, MISSING)
        return Answer((await self._course.move(entry, CANCELLED)).body)

    async def simulate(self, call: Call) -> Answer:
        """Take a payout to another status now."""
        draft = read_own(call, OutcomeDraft)
        entry = asked_for(self._sandbox.ledger, call, PAYOUT_V3, MISSING)
        return Answer((await self._course.move(entry, draft.status, draft.failure_code)).body)

    def _told(self, event: str, entry: Entry) -> dict[str, Any]:
        data = {name: value for name, value in entry.body.items() if name not in _UNTOLD}
        return envelope(event, entry.owner, self._sandbox.stamp(), data)

    def _new(self, call: Call, draft: PayoutDraft) -> dict[str, Any]:
        given = draft.given()
        sender = given.get("sender", {"type": "BUSINESS", "business_name": MERCHANT_NAME})
        echoed = ("description", "receipt_notification", "underlying_documents")
        now = self._sandbox.stamp()
        return {
            "payout_id": f"po-{self._sandbox.new_uuid()}",
            "status": STAGES.first,
            "reference_id": draft.reference_id,
            "type": f"{sender['type'][0]}2{draft.recipient.type[0]}".replace("I", "C"),
            **draft.payout_details.sums(),
            "sender": sender,
            "recipient": given["recipient"],
            "source_of_fund": draft.source_of_fund,
            "purpose_code": draft.purpose_code,
            **{name: given[name] for name in echoed if name in given},
            "created": now,
            "updated": now,
            "estimated_arrival_time": self._sandbox.stamp(self._sandbox.after(ARRIVES_AFTER)),
            "business_id": call.owner.business_id,
            **({} if draft.metadata is None else {"metadata": draft.metadata}),
        }


def _check_version(call: Call) -> None:
    # Its documentation names two dates, so any is taken.
    if not call.headers.get("api-version"):
        raise invalid("the header api-version is needed, such as 2025-09-01")
