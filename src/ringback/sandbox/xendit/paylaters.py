"""Pay-later: a plan says what it costs to pay in parts, a charge makes the payer accept it.

Sources: docs.xendit.co on pay-later and the older SDKs, which say little of the webhook: its name and fields are less
certain than those of other products. As with e-wallets, ``/sandbox/paylater/charges/{id}/simulate`` plays the payer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import Basket, Draft, Metadata, Name, Url, invalid
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import LARGEST, Amount, check_currency, check_least, check_most, money
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.sandbox import Sandbox

PLAN, CHARGE = "paylater_plan", "paylater_charge"
MISSING = "DATA_NOT_FOUND"
PENDING, SUCCEEDED, FAILED = "PENDING", "SUCCEEDED", "FAILED"
CHANNELS = {
    "IDR": ("ID_KREDIVO", "ID_AKULAKU", "ID_UANGME", "ID_ATOME", "ID_INDODANA"),
    "PHP": ("PH_BILLEASE", "PH_CASHALO"),
    "MYR": ("MY_ATOME",),
}
LEAST = {"IDR": 1_000, "PHP": 1, "MYR": 1}


class PlanDraft(Draft, frozen=True):
    """A plan to be made."""

    customer_id: Name
    channel_code: Name
    currency: Name
    amount: Amount
    order_items: Basket | None = None


class ChargeDraft(Draft, frozen=True):
    """A charge to be made, by a plan."""

    plan_id: Name
    reference_id: Name
    checkout_method: Literal["ONE_TIME_PAYMENT"]
    success_redirect_url: Url | None = None
    failure_redirect_url: Url | None = None
    payment_method_id: Name | None = None
    metadata: Metadata | None = None


class OutcomeDraft(Draft, frozen=True):
    """What the payer does."""

    status: Literal["SUCCEEDED", "FAILED"] = "SUCCEEDED"


class Paylaters:
    """Pay-later plans and charges.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/paylater/plans", self.create_plan),
            Route("POST", "/paylater/charges", self.create),
            Route("GET", "/paylater/charges/{id}", self.get),
            Route("POST", "/sandbox/paylater/charges/{id}/simulate", self.simulate),
        )

    async def create_plan(self, call: Call) -> Answer:
        """Make a plan."""
        draft = read(call, PlanDraft)
        if draft.channel_code not in CHANNELS[check_currency(draft.currency, CHANNELS)]:
            raise invalid(f"channel_code is one of {', '.join(CHANNELS[draft.currency])}")
        amount = money(draft.amount, draft.currency)
        check_least(amount, LEAST[draft.currency], INVALID)
        check_most(amount, LARGEST, INVALID)
        body = {
            "id": f"plp_{self._sandbox.new_uuid()}",
            "customer_id": draft.customer_id,
            "channel_code": draft.channel_code,
            "currency": draft.currency,
            "amount": amount,
            "order_items": draft.order_items or [],
            "options": [],
            "created": self._sandbox.stamp(),
        }
        await self._add(call, PLAN, body)
        return Answer(body, 201)

    async def create(self, call: Call) -> Answer:
        """Make a charge, which waits for its payer."""
        draft = read(call, ChargeDraft)
        body = self._new(
            call, draft, asked_for(self._sandbox.ledger, call, PLAN, MISSING, draft.plan_id).body
        )
        await self._add(call, CHARGE, body)
        return Answer(body, 201)

    async def get(self, call: Call) -> Answer:
        """Show a charge."""
        return Answer(asked_for(self._sandbox.ledger, call, CHARGE, MISSING).body)

    async def simulate(self, call: Call) -> Answer:
        """Do what the payer would: accept the plan, or fail to; it is told."""
        draft = read_own(call, OutcomeDraft)
        entry = asked_for(self._sandbox.ledger, call, CHARGE, MISSING)
        return Answer((await self.finish(entry, draft.status)).body)

    async def finish(self, entry: Entry, status: str) -> Entry:
        """Let a pending charge end as ``SUCCEEDED`` or ``FAILED``, and tell of it.

        Raises:
            Refused: The charge is not pending.
        """
        if entry.body["status"] != PENDING:
            raise Refused(400, "INELIGIBLE_TRANSACTION", f"the charge is {entry.body['status']} already")
        change = self._sandbox.change()
        done = change.replace(
            entry,
            body=entry.body | {"status": status, "updated": self._sandbox.stamp()},
            hidden={"paid_at": self._sandbox.clock()},
        )
        event = "paylater.payment"
        data = {name: value for name, value in done.body.items() if name not in {"actions", "redirects"}}
        body = envelope(event, entry.owner, self._sandbox.stamp(), data)
        notice = Notice(event=event, product="Paylater", product_id=entry.id, body=body)
        await self._sandbox.commit(change, (entry.owner, notice))
        return done

    def _new(self, call: Call, draft: ChargeDraft, plan: dict[str, Any]) -> dict[str, Any]:
        charge_id = f"plc_{self._sandbox.new_uuid()}"
        now = self._sandbox.stamp()
        page = f"{call.site}/web/{charge_id}"
        return {
            "id": charge_id,
            "customer_id": plan["customer_id"],
            "plan_id": plan["id"],
            "business_id": call.owner.business_id,
            "reference_id": draft.reference_id,
            "channel_code": plan["channel_code"],
            "checkout_method": draft.checkout_method,
            "amount": plan["amount"],
            "currency": plan["currency"],
            "refunded_amount": None,
            "order_items": plan["order_items"],
            "status": PENDING,
            "created": now,
            "updated": now,
            "callback_url": self._sandbox.slots.get(call.owner, "paylater").url or "",
            "actions": {"desktop_web_checkout_url": page, "mobile_web_checkout_url": page},
            "redirects": {
                "success_redirect_url": draft.success_redirect_url,
                "failure_redirect_url": draft.failure_redirect_url,
            },
            "payment_method_id": draft.payment_method_id,
            "voided_at": None,
            "metadata": draft.metadata,
        }

    async def _add(self, call: Call, kind: str, body: dict[str, Any]) -> None:
        change = self._sandbox.change()
        change.add(kind, body["id"], call.owner, body)
        await self._sandbox.commit(change)
