"""Payouts, version 2.

Sources: xendit-python 7's ``PayoutApi``; docs.xendit.co on payouts, their life, errors and test scenarios. In test
mode some account numbers stand for what becomes of a payout; ``/sandbox/payouts/{id}/simulate`` ends one otherwise.
Cash payouts at counters, and links from which recipients claim their money themselves, are not played: of the latter
the bodies of the webhooks, ``disbursement.completed`` and ``disbursement.failed`` in an envelope, are not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ringback.model import Duration
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.course import CANCELLED, Course, Stages
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import Draft, Metadata, Name, Recipients, Text, invalid
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import Amount, check_least, check_most, money
from ringback.sandbox.xendit.outgoing import PAYOUT, Fate
from ringback.sandbox.xendit.paging import next_page, part_of
from ringback.sandbox.xendit.payout_channels import CATEGORIES, CHANNELS, Channel, channel_named
from ringback.sandbox.xendit.sandbox import Sandbox

MISSING = "DATA_NOT_FOUND"
REUSED = "DUPLICATE_ERROR"
ARRIVES_AFTER: Duration = 15 * 60_000  # what the provider estimates in its samples
LARGEST_LIMIT = 100
STAGES = Stages(
    first="ACCEPTED",
    under_way="REQUESTED",
    done="SUCCEEDED",
    events={"SUCCEEDED": "payout.succeeded", "FAILED": "payout.failed", "REVERSED": "payout.reversed"},
    cancellable=frozenset({"ACCEPTED"}),
)
# Those that xendit-python 7 knows; it takes no others.
FailureCode = Literal[
    "INSUFFICIENT_BALANCE",
    "INVALID_DESTINATION",
    "REJECTED_BY_CHANNEL",
    "TEMPORARY_TRANSFER_ERROR",
    "TRANSFER_ERROR",
]
# What account numbers stand for in test mode.
FATES = {
    "123456": Fate(failure_code="TEMPORARY_TRANSFER_ERROR"),
    "999999": Fate(failure_code="REJECTED_BY_CHANNEL"),
    "121212": Fate(failure_code="INVALID_DESTINATION"),
    "131313": Fate(stays=True),
    "654321": Fate(reverses=True),
}


class ChannelProperties(Draft, frozen=True):
    """The account that gets the money."""

    account_number: Name
    account_holder_name: Name | None = None
    account_type: (
        Literal["NATIONAL_ID", "MOBILE_NO", "PASSPORT", "BUSINESS_REGISTRATION", "BANK_ACCOUNT"] | None
    ) = None


class ReceiptNotification(Draft, frozen=True):
    """Who gets a receipt by e-mail; the sandbox sends none."""

    email_to: Recipients | None = None
    email_cc: Recipients | None = None
    email_bcc: Recipients | None = None


class PayoutDraft(Draft, frozen=True):
    """A payout to be made."""

    reference_id: Name
    channel_code: Name
    channel_properties: ChannelProperties
    amount: Amount
    currency: Name
    description: Text | None = None
    receipt_notification: ReceiptNotification | None = None
    metadata: Metadata | None = None

    def checked(self) -> int | float:
        """Return the amount.

        Raises:
            Refused: 400 with the provider's code: it cannot be sent there.
        """
        channel = channel_named(self.channel_code)
        if channel is None or channel.currency != self.currency:
            message = f"there is no channel {self.channel_code[:100]} for {self.currency[:20]}"
            raise Refused(400, "CHANNEL_CODE_NOT_SUPPORTED", message)
        check_least(self.amount, channel.least, "MINIMUM_TRANSFER_LIMIT_ERROR")
        check_most(self.amount, channel.most, "MAXIMUM_TRANSFER_LIMIT_ERROR")
        amount = money(self.amount, self.currency)
        if amount != self.amount:
            message = f"{self.channel_code} takes amounts in steps of {channel.step}"
            raise Refused(400, "AMOUNT_INCREMENT_NOT_SUPPORTED", message)
        return amount


class OutcomeDraft(Draft, frozen=True):
    """How a payout goes on."""

    status: Literal["SUCCEEDED", "FAILED", "REVERSED"] = "SUCCEEDED"
    failure_code: FailureCode | None = None


class Payouts:
    """Payouts, version 2.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._course = Course(sandbox, PAYOUT, "Payout", STAGES, self._told)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("GET", "/payouts_channels", self.channels),
            Route("POST", "/v2/payouts", self.create, reused=REUSED),
            Route("GET", "/v2/payouts", self.search),
            Route("GET", "/v2/payouts/{id}", self.get),
            Route("POST", "/v2/payouts/{id}/cancel", self.cancel),
            Route("POST", "/sandbox/payouts/{id}/simulate", self.simulate),
        )

    async def channels(self, call: Call) -> Answer:
        """List where payouts can go."""
        currency, code = call.one("currency"), call.one("channel_code")
        # xendit-python puts several categories into one parameter, with commas.
        wanted = [name for text in call.query.get("channel_category", ()) for name in text.split(",")]
        if any(name not in CATEGORIES for name in wanted):
            raise invalid(f"channel_category is some of {', '.join(CATEGORIES)}")

        def fits(channel: Channel) -> bool:
            return (
                currency in {None, channel.currency}
                and code in {None, channel.code}
                and (not wanted or channel.category in wanted)
            )

        return Answer([channel.shown() for channel in CHANNELS.values() if fits(channel)])

    async def create(self, call: Call) -> Answer:
        """Send money; whether it arrives is told a moment later."""
        if "idempotency-key" not in call.headers:
            raise invalid("the header idempotency-key is needed; it keeps money from being sent twice")
        draft = read(call, PayoutDraft)
        amount = draft.checked()
        body = self._new(call, draft, amount)
        entry = await self._course.accept(
            call.owner,
            body["id"],
            body,
            fate_at(call, draft.channel_properties.account_number),
            cost=(amount, draft.currency),
        )
        return Answer(entry.body)

    async def search(self, call: Call) -> Answer:
        """List the payouts with a ``reference_id``, newest first."""
        reference_id = call.one("reference_id")
        if reference_id is None:
            raise invalid("reference_id is needed")
        found = self._sandbox.ledger.entries(PAYOUT, call.owner, reference_id=reference_id)
        part = part_of(call, found, lambda entry: entry.id, most=LARGEST_LIMIT)
        body: dict[str, Any] = {"data": [entry.body for entry in part.items], "has_more": part.has_more}
        if part.has_more:
            body["links"] = next_page(call, "/v2/payouts", part.items[-1].id)
        return Answer(body)

    async def get(self, call: Call) -> Answer:
        """Show a payout."""
        return Answer(asked_for(self._sandbox.ledger, call, PAYOUT, MISSING).body)

    async def cancel(self, call: Call) -> Answer:
        """Take a payout back that has not been sent yet."""
        entry = asked_for(self._sandbox.ledger, call, PAYOUT, MISSING)
        return Answer((await self._course.move(entry, CANCELLED)).body)

    async def simulate(self, call: Call) -> Answer:
        """Let a payout arrive, fail or come back now."""
        draft = read_own(call, OutcomeDraft)
        entry = asked_for(self._sandbox.ledger, call, PAYOUT, MISSING)
        return Answer((await self._course.move(entry, draft.status, draft.failure_code)).body)

    def _told(self, event: str, entry: Entry) -> dict[str, Any]:
        return envelope(event, entry.owner, self._sandbox.stamp(), entry.body)

    def _new(self, call: Call, draft: PayoutDraft, amount: float) -> dict[str, Any]:
        given = draft.given()
        later = ("channel_properties", "receipt_notification", "metadata")
        now = self._sandbox.stamp()
        return {
            "id": f"disb-{self._sandbox.new_uuid()}",
            "amount": amount,
            "channel_code": draft.channel_code,
            "currency": draft.currency,
            **({} if draft.description is None else {"description": draft.description}),
            "reference_id": draft.reference_id,
            "status": STAGES.first,
            "created": now,
            "updated": now,
            "estimated_arrival_time": self._sandbox.stamp(self._sandbox.after(ARRIVES_AFTER)),
            "business_id": call.owner.business_id,
            **{name: given[name] for name in later if name in given},
        }


def fate_at(call: Call, account_number: str) -> Fate:
    """Return what becomes of a payout to an account, which in test mode its number says."""
    return Fate() if call.owner.live else FATES.get(account_number, Fate())
