"""Refunds: money that goes back to a payer, whole or in parts.

Sources: xendit-python 7 for paths, fields and error codes; docs.xendit.co on refunds, which come from the balance and
of which one of a payment is under way at a time; the catalogue for the webhooks, whose ``data`` is flat. How long a
refund takes is not documented: here ten seconds, within which it can be cancelled, of which nothing is told.
``/sandbox/refunds/{id}/simulate`` ends one at once, as a success or as a failure. Refunds of e-wallet charges at
``/ewallets/charges/{id}/refunds`` have the older product's fields, which no source of ours has: they are recalled, and
told of as all others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ringback.sandbox.xendit.books import Books
from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route, read, read_own
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.ewallets import CHARGE
from ringback.sandbox.xendit.fields import Draft, Metadata, Name, invalid
from ringback.sandbox.xendit.filters import LARGEST_LIMIT, chosen, entry_id, fields
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import Amount, less, money, plus
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.outgoing import INSUFFICIENT_BALANCE, REFUND
from ringback.sandbox.xendit.paging import part_of
from ringback.sandbox.xendit.refundable import (
    NOT_FOUND,
    OLD,
    Refundable,
    refundable_charge,
    refundable_invoice,
    refundable_request,
)
from ringback.sandbox.xendit.sandbox import Sandbox

PENDING, SUCCEEDED, FAILED, CANCELLED = "PENDING", "SUCCEEDED", "FAILED", "CANCELLED"
ENDS_AFTER = 10_000
FAILURE = "REFUND_FAILED"

Reason = Literal["FRAUDULENT", "DUPLICATE", "REQUESTED_BY_CUSTOMER", "CANCELLATION", "OTHERS"]


class ChargeRefundDraft(Draft, frozen=True):
    """A refund of a charge that the path names; without an amount, of all that is left."""

    amount: Amount | None = None
    reason: Reason = "OTHERS"
    reference_id: Name | None = None
    metadata: Metadata | None = None


class RefundDraft(ChargeRefundDraft, frozen=True):
    """A refund to be made, of a payment request or of an invoice."""

    payment_request_id: Name | None = None
    invoice_id: Name | None = None
    currency: Name | None = None


class RefundOutcomeDraft(Draft, frozen=True):
    """How a refund ends."""

    status: Literal["SUCCEEDED", "FAILED"] = "SUCCEEDED"
    failure_code: Name | None = None


class Refunds:
    """Refunds.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(REFUND, self._succeed)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/refunds", self.create),
            Route("GET", "/refunds", self.find),
            Route("GET", "/refunds/{id}", self.get),
            Route("POST", "/refunds/{id}/cancel", self.cancel),
            Route("POST", "/sandbox/refunds/{id}/simulate", self.simulate),
            Route("POST", "/ewallets/charges/{charge}/refunds", self.create_of_charge),
            Route("GET", "/ewallets/charges/{charge}/refunds", self.find_of_charge),
            Route("GET", "/ewallets/charges/{charge}/refunds/{id}", self.get_of_charge),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Refund a payment request or an invoice."""
        draft = read(call, RefundDraft)
        wanted = self._wanted(call.owner, draft)
        if draft.currency not in {None, wanted.currency}:
            raise invalid(f"currency is {wanted.currency}, in which it was paid")
        return Answer((await self._refund(wanted, draft)).body)

    async def get(self, call: Call) -> Answer:
        """Show a refund."""
        return Answer(asked_for(self._sandbox.ledger, call, REFUND, NOT_FOUND).body)

    async def find(self, call: Call) -> Answer:
        """List refunds, newest first."""
        filters = fields("payment_request_id", "invoice_id", "payment_method_type", "channel_code")
        entries = chosen(call, self._sandbox.ledger.entries(REFUND, call.owner), filters)
        part = part_of(call, entries, entry_id, most=LARGEST_LIMIT)
        return Answer({"data": [entry.body for entry in part.items], "has_more": part.has_more})

    async def cancel(self, call: Call) -> Answer:
        """Cancel a refund that has not ended yet."""
        refund = self._pending(asked_for(self._sandbox.ledger, call, REFUND, NOT_FOUND))
        change = self._sandbox.change()
        cancelled = self._ended(change, refund, status=CANCELLED)
        await self._sandbox.commit(change)
        return Answer(cancelled.body)

    async def simulate(self, call: Call) -> Answer:
        """Let a refund succeed or fail at once."""
        draft = read_own(call, RefundOutcomeDraft)
        refund = asked_for(self._sandbox.ledger, call, REFUND, NOT_FOUND)
        code = (draft.failure_code or FAILURE) if draft.status == FAILED else None
        return Answer((await self.end(refund, code)).body)

    async def create_of_charge(self, call: Call) -> Answer:
        """Refund an e-wallet charge."""
        draft = read(call, ChargeRefundDraft)
        wanted = refundable_charge(self._charge(call))
        return Answer(_of_charge(await self._refund(wanted, draft), wanted.entry))

    async def find_of_charge(self, call: Call) -> Answer:
        """List the refunds of an e-wallet charge, newest first."""
        charge = self._charge(call)
        return Answer({"data": [_of_charge(refund, charge) for refund in self._refunds(charge)]})

    async def get_of_charge(self, call: Call) -> Answer:
        """Show a refund of an e-wallet charge."""
        charge = self._charge(call)
        refund = asked_for(self._sandbox.ledger, call, REFUND, NOT_FOUND)
        if refund not in self._refunds(charge):
            raise Refused(404, NOT_FOUND, f"{refund.id} is not a refund of this charge")
        return Answer(_of_charge(refund, charge))

    # --- What happens to a refund -------------------------------------------------------------------------

    async def end(self, entry: Entry, failure_code: str | None = None) -> Entry:
        """Let a pending refund succeed, or fail for a reason, and tell of it.

        Raises:
            Refused: The refund has ended already.
        """
        refund = self._pending(entry)
        change = self._sandbox.change()
        status = SUCCEEDED if failure_code is None else FAILED
        ended = self._ended(change, refund, status=status, failure_code=failure_code)
        kind, refunded_id = refund.hidden["of"]
        if status == SUCCEEDED and kind == CHARGE:
            charge = self._sandbox.ledger.at(kind, refunded_id)
            refunded = plus(charge.body["refunded_amount"] or 0, refund.body["amount"])
            now = self._sandbox.stamp()
            change.update(charge, due_at=charge.due_at, refunded_amount=refunded, updated=now)
        event = f"refund.{status.lower()}"
        body = envelope(event, ended.owner, self._sandbox.stamp(), ended.body)
        notice = Notice(event=event, product="Refund", product_id=ended.id, body=body)
        await self._sandbox.commit(change, (ended.owner, notice))
        return ended

    async def _succeed(self, entry: Entry) -> None:
        await self.end(entry)

    # --- Parts --------------------------------------------------------------------------------------------

    def _wanted(self, owner: Owner, draft: RefundDraft) -> Refundable:
        """Return what a draft wants to be refunded."""
        ledger = self._sandbox.ledger
        if draft.payment_request_id is not None and draft.invoice_id is None:
            return refundable_request(ledger, owner, draft.payment_request_id)
        if draft.invoice_id is not None and draft.payment_request_id is None:
            return refundable_invoice(ledger, owner, draft.invoice_id)
        raise invalid("a refund is of either a payment_request_id or an invoice_id")

    async def _refund(self, wanted: Refundable, draft: ChargeRefundDraft) -> Entry:
        """Begin to refund; return the refund."""
        method_type = wanted.payment_method_type
        body = self._new(wanted, draft, method_type, self._amount(wanted, draft.amount))
        change = self._sandbox.change()
        hidden = {"of": wanted.entry.place}
        due_at = self._sandbox.after(ENDS_AFTER)
        refund = change.add(REFUND, body["id"], wanted.entry.owner, body, hidden=hidden, due_at=due_at)
        await self._sandbox.commit(change)
        return refund

    def _amount(self, wanted: Refundable, given: float | None) -> int | float:
        """Return how much is refunded: what was asked for, or all that is left."""
        before = self._refunds(wanted.entry)
        if any(refund.body["status"] == PENDING for refund in before):
            raise Refused(400, "REFUND_IN_PROGRESS", "another refund is under way; wait for its webhook")
        returned = [refund.body["amount"] for refund in before if refund.body["status"] == SUCCEEDED]
        left = less(wanted.amount, *returned)
        amount = left if given is None else money(given, wanted.currency)
        if given is not None and amount <= 0:
            raise invalid("amount must be greater than 0")
        if amount > left or left == 0:
            wrong = f"{left} of {wanted.amount} are left to be refunded"
            raise Refused(400, wanted.codes.exceeded, wrong)
        if amount > self._sandbox.product(Books).balance(wanted.entry.owner, wanted.currency):
            raise Refused(400, INSUFFICIENT_BALANCE, "the balance cannot pay for the refund; top it up")
        return amount

    def _refunds(self, refunded: Entry) -> list[Entry]:
        """Return the refunds of an entry, newest first."""
        refunds = self._sandbox.ledger.entries(REFUND, refunded.owner)
        return [refund for refund in refunds if tuple(refund.hidden["of"]) == refunded.place]

    def _charge(self, call: Call) -> Entry:
        return asked_for(self._sandbox.ledger, call, CHARGE, NOT_FOUND, call.path["charge"])

    def _pending(self, entry: Entry) -> Entry:
        """Return a refund as it is now, which must not have ended."""
        current = self._sandbox.ledger.get(*entry.place) or entry
        if current.body["status"] != PENDING:
            status = current.body["status"]
            raise Refused(400, OLD.ineligible, f"the refund is {status}; this needs {PENDING}")
        return current

    def _ended(self, change: Change, refund: Entry, **fields: Any) -> Entry:
        body = refund.body | fields | {"updated": self._sandbox.stamp()}
        hidden = refund.hidden | {"ended_at": self._sandbox.clock()}
        return change.replace(refund, body=body, hidden=hidden, due_at=None)

    def _new(
        self, wanted: Refundable, draft: ChargeRefundDraft, method_type: str, amount: float
    ) -> dict[str, Any]:
        now = self._sandbox.stamp()
        return {
            "id": f"rfd-{self._sandbox.new_uuid()}",
            "payment_id": wanted.payment_id,
            "payment_request_id": wanted.entry.id if wanted.is_request else None,
            "invoice_id": draft.invoice_id if isinstance(draft, RefundDraft) else None,
            "payment_method_type": method_type,
            "reference_id": draft.reference_id,
            "channel_code": wanted.channel,
            "country": wanted.country,
            "currency": wanted.currency,
            "amount": amount,
            "status": PENDING,
            "reason": draft.reason,
            "failure_code": None,
            "refund_fee_amount": None,
            "metadata": draft.metadata,
            "created": now,
            "updated": now,
        }


def _of_charge(refund: Entry, charge: Entry) -> dict[str, Any]:
    """Return a refund as the older e-wallet product shows it."""
    body = refund.body
    return {
        "id": refund.id,
        "charge_id": charge.id,
        "status": body["status"],
        "currency": body["currency"],
        "channel_code": body["channel_code"],
        "capture_amount": charge.body["capture_amount"],
        "refund_amount": body["amount"],
        "reason": body["reason"],
        "failure_code": body["failure_code"],
        "created": body["created"],
        "updated": body["updated"],
    }
