"""Invoices, which the provider also calls payment links: made, looked for, paid, settled, expired.

Sources: docs.xendit.co on payment links, xendit-python 7, and what users report. An invoice is ``PENDING`` until it
is ``PAID`` and some time later ``SETTLED``, of which nothing is told; or it is ``EXPIRED``, which is final.

Not documented, and done plainly: it settles a day after the payment; one that is not pending cannot be expired, which
is 404; what somebody pays after its end comes an hour after it, and is told by the body of a payment in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route, read
from ringback.sandbox.xendit.channels import (
    CARD,
    METHODS,
    VIRTUAL_ACCOUNT,
    account_number,
    method_named,
    payment_code,
)
from ringback.sandbox.xendit.fields import DAY
from ringback.sandbox.xendit.invoice_body import MERCHANT_NAME, new_invoice, offered, told, with_item
from ringback.sandbox.xendit.invoice_draft import HOUR, InvoiceDraft
from ringback.sandbox.xendit.invoice_search import search
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slots import Mishap

INVOICE = "invoice"
SLOT = "invoice"
MISSING = "INVOICE_NOT_FOUND_ERROR"
PENDING, PAID, SETTLED, EXPIRED = "PENDING", "PAID", "SETTLED", "EXPIRED"
SETTLED_AFTER = DAY
LATE_AFTER = HOUR  # the provider says that money may come up to about a day later
# With what the id of a payment by each method begins; those of the others are bare.
PAYMENT_PREFIXES = {"EWALLET": "ewc_", "QR_CODE": "qrpy_", "DIRECT_DEBIT": "ddpy-", "PAYLATER": "plc_"}
MADE_BY_API = "API_GATEWAY"

Told = tuple[Owner, Notice]


class Invoices:
    """Invoices.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(INVOICE, self._pass_on)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/v2/invoices", self.create),
            Route("POST", "/v2/invoices/", self.create),
            Route("GET", "/v2/invoices", self.search),
            Route("GET", "/v2/invoices/", self.search),
            Route("GET", "/v2/invoices/{id}", self.get),
            Route("POST", "/invoices/{id}/expire!", self.expire_by_call),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Make an invoice."""
        draft = read(call, InvoiceDraft)
        draft.check()
        account = self._fixed_account(call, draft.callback_virtual_account_id)
        change = self._sandbox.change()
        expires_at = self._sandbox.after(draft.duration, call.now)
        body = new_invoice(
            draft,
            invoice_id=self._sandbox.new_hex(),
            user_id=call.owner.business_id,
            site=call.site,
            created=self._sandbox.stamp(call.now),
            expires=self._sandbox.stamp(expires_at),
        )
        if draft.reminder is not None:
            reminded_at = self._sandbox.after(draft.duration - draft.reminder, call.now)
            body["reminder_date"] = self._sandbox.stamp(reminded_at)
        hidden = {"client_type": MADE_BY_API}
        if account is not None:
            body |= _addressed_to(account, body["amount"])
            hidden["account"] = account.id
        entry = change.add(INVOICE, body["id"], call.owner, body, hidden=hidden, due_at=expires_at)
        await self._sandbox.commit(change)
        return Answer(entry.body)

    async def search(self, call: Call) -> Answer:
        """List invoices, newest first."""
        found = search(call).find(self._sandbox.ledger.entries(INVOICE, call.owner))
        return Answer([entry.body for entry in found])

    async def get(self, call: Call) -> Answer:
        """Show an invoice."""
        return Answer(asked_for(self._sandbox.ledger, call, INVOICE, MISSING).body)

    async def expire_by_call(self, call: Call) -> Answer:
        """Let an invoice expire now."""
        return Answer((await self.expire(asked_for(self._sandbox.ledger, call, INVOICE, MISSING))).body)

    # --- What happens to an invoice -----------------------------------------------------------------------

    async def choose(self, entry: Entry, channel: str) -> Entry:
        """Give a pending invoice the number to pay to, as its page does once a bank or an outlet is chosen.

        Args:
            entry: The invoice.
            channel: Such as ``BCA`` or ``ALFAMART``; others need no number.

        Returns:
            The invoice, whose item for the channel has ``bank_account_number`` or ``payment_code``: the same one
            every time.

        Raises:
            Refused: The invoice is not pending.
        """
        current = self._pending(entry)
        change = self._sandbox.change()
        chosen = change.replace(current, body=self._with_number(current.body, channel))
        if chosen.body != current.body:
            await self._sandbox.commit(change)
        return chosen

    async def pay(self, entry: Entry, method: str, channel: str) -> Entry:
        """Let a pending invoice be paid in full, and tell of it.

        Args:
            entry: The invoice.
            method: Such as ``BANK_TRANSFER``, by the provider's names.
            channel: Such as ``BCA``; for cards it does not matter.

        Returns:
            The paid invoice.

        Raises:
            Refused: The invoice is not pending, or cannot be paid that way.
        """
        change = self._sandbox.change()
        paid, notice = self.payment(change, self._pending(entry), method, channel)
        await self._sandbox.commit(change, notice)
        return paid

    def payment(self, change: Change, entry: Entry, method: str, channel: str) -> tuple[Entry, Told]:
        """Make the payment of a pending invoice a part of *change*; return the paid invoice and what to tell.

        Raises:
            Refused: The invoice cannot be paid that way.
        """
        body = self._with_number(entry.body, channel)
        payment = self._payment(body, method, channel)
        paid = change.replace(
            entry,
            body=body | {"status": PAID, "updated": self._sandbox.stamp()} | payment,
            hidden=entry.hidden | {"paid_at": self._sandbox.clock()},
            due_at=self._sandbox.after(SETTLED_AFTER),
        )
        return paid, self._told("invoice.paid", paid, payment)

    async def expire(self, entry: Entry) -> Entry:
        """Let a pending invoice expire; it is told where the settings ask for it.

        Raises:
            Refused: The invoice is not pending.
        """
        current = self._pending(entry)
        slot = self._sandbox.slots.get(current.owner, SLOT)
        late = Mishap.LATE_PAYMENT in slot.mishaps
        change = self._sandbox.change()
        expired = change.replace(
            current,
            body=current.body | {"status": EXPIRED, "updated": self._sandbox.stamp()},
            hidden=current.hidden | {"expired_at": self._sandbox.clock()},
            due_at=self._sandbox.after(LATE_AFTER) if late else None,
        )
        notices = [self._told("invoice.expired", expired)] if slot.also_expired else []
        await self._sandbox.commit(change, *notices)
        return expired

    def pending_at(self, owner: Owner, bank_code: str, number: str) -> Entry | None:
        """Return the pending invoice that is paid by a transfer to an account; None where there is none."""
        for entry in self._sandbox.ledger.entries(INVOICE, owner, status=PENDING):
            item = offered(entry.body, "BANK_TRANSFER", bank_code)
            if item is not None and item.get("bank_account_number") == number:
                return entry
        return None

    def pending_for(self, account: Entry) -> Entry | None:
        """Return the oldest pending invoice that is paid through a fixed virtual account; None without any."""
        entries = self._sandbox.ledger.entries(INVOICE, account.owner, status=PENDING)
        return next((entry for entry in reversed(entries) if entry.hidden.get("account") == account.id), None)

    # --- Parts --------------------------------------------------------------------------------------------

    async def _pass_on(self, entry: Entry) -> None:
        if entry.body["status"] == PENDING:
            await self.expire(entry)
        elif entry.body["status"] == PAID:
            change = self._sandbox.change()
            change.update(entry, status=SETTLED, updated=self._sandbox.stamp())
            await self._sandbox.commit(change)
        else:
            await self._pay_late(entry)

    async def _pay_late(self, entry: Entry) -> None:
        # Money that comes after the end does not bring the invoice back: the provider leaves it expired, too.
        method, channel = _first_way(entry.body)
        body = self._with_number(entry.body, channel)
        payment = self._payment(body, method, channel)
        change = self._sandbox.change()
        change.replace(entry, body=body, hidden=entry.hidden | {"late_payment": payment}, due_at=None)
        shown = {"status": PAID, "updated": self._sandbox.stamp()} | payment
        slot = self._sandbox.slots.get(entry.owner, SLOT)
        notices = [self._told("invoice.paid", entry, shown)] if slot.also_late else []
        await self._sandbox.commit(change, *notices)

    def _payment(self, body: dict[str, Any], method: str, channel: str) -> dict[str, Any]:
        """Return the fields that a payment adds to an invoice and its webhook."""
        if offered(body, method, channel) is None:
            raise Refused(
                400,
                "UNAVAILABLE_PAYMENT_METHOD_ERROR",
                f"the invoice cannot be paid by {method[:50]} with {channel[:50]}",
            )
        return {
            "paid_amount": body["amount"],
            "paid_at": self._sandbox.stamp(),
            "payment_method": method,
            "payment_channel": CARD if method == CARD else channel,
            **self._particulars(body, method, channel),
        }

    def _particulars(self, body: dict[str, Any], method: str, channel: str) -> dict[str, Any]:
        found = method_named(method)
        name = found.name if found else CARD
        uuid, hexadecimal = self._sandbox.new_uuid(), self._sandbox.new_hex()
        payment_id = PAYMENT_PREFIXES[name] + uuid if name in PAYMENT_PREFIXES else hexadecimal
        return {"payment_id": payment_id, **self._addressed(body, name, channel)}

    def _addressed(self, body: dict[str, Any], method: str, channel: str) -> dict[str, Any]:
        """Return by which numbers a payment was made."""
        fields: dict[str, Any] = {}
        item = offered(body, method, channel) or {}
        match method:
            case "BANK_TRANSFER":
                number = item["bank_account_number"]
                fields = {
                    "bank_code": channel,
                    "payment_destination": number,
                    "initial_amount": body["amount"],
                }
            case "RETAIL_OUTLET":
                fields = {"payment_destination": item["payment_code"]}
            case "EWALLET":
                fields = {"ewallet_type": channel, "payment_method_id": f"pm-{self._sandbox.new_uuid()}"}
            case "QR_CODE":
                receipt = {"receipt_id": self._sandbox.new_digits(12), "source": "DANA"}
                fields = {"payment_details": receipt}
            case "CREDIT_CARD":
                fields = {"credit_card_charge_id": self._sandbox.new_hex()}
        return fields

    def _with_number(self, body: dict[str, Any], channel: str) -> dict[str, Any]:
        """Return an invoice that has the number to pay to by a channel, if that needs one and has none yet."""
        chance = self._sandbox.chance
        bank = offered(body, "BANK_TRANSFER", channel)
        if bank is not None and "bank_account_number" not in bank:
            number = account_number(channel, chance)
            return with_item(body, "BANK_TRANSFER", channel, bank_account_number=number)
        outlet = offered(body, "RETAIL_OUTLET", channel)
        if outlet is not None and "payment_code" not in outlet:
            code = payment_code("RING", chance)
            return with_item(body, "RETAIL_OUTLET", channel, payment_code=code)
        return body

    def _told(self, event: str, entry: Entry, payment: dict[str, Any] | None = None) -> Told:
        body = told(entry.body, payment)
        return entry.owner, Notice(event=event, product="Invoice", product_id=entry.id, body=body)

    def _fixed_account(self, call: Call, account_id: str | None) -> Entry | None:
        if account_id is None:
            return None
        ledger, code = self._sandbox.ledger, "CALLBACK_VIRTUAL_ACCOUNT_NOT_FOUND_ERROR"
        account = asked_for(ledger, call, VIRTUAL_ACCOUNT, code, account_id)
        if account.body["status"] == "INACTIVE":
            raise Refused(
                404,
                "UNIQUE_ACCOUNT_NUMBER_UNAVAILABLE_ERROR",
                "the virtual account is inactive; make a new one",
            )
        return account

    def _pending(self, entry: Entry) -> Entry:
        """Return an invoice as it is now."""
        current = self._sandbox.ledger.get(*entry.place) or entry
        if current.body["status"] != PENDING:
            raise Refused(
                404,
                MISSING,
                f"Could not find and update PENDING invoice; it is {current.body['status']}",
            )
        return current


def _addressed_to(account: Entry, amount: float) -> dict[str, Any]:
    """Return the fields of an invoice that is paid through a fixed virtual account."""
    bank = {
        "bank_code": account.body["bank_code"],
        "collection_type": "CALLBACK_VIRTUAL_ACCOUNT",
        "bank_account_number": account.body["account_number"],
        "transfer_amount": amount,
        "bank_branch": "Virtual Account",
        "account_holder_name": account.body["name"] or MERCHANT_NAME.upper(),
        "identity_amount": 0,
    }
    return {"available_banks": [bank], "fixed_va": True}


def _first_way(body: dict[str, Any]) -> tuple[str, str]:
    ways = ((method.name, body[method.listed][0][method.key]) for method in METHODS if body[method.listed])
    return next(ways, (CARD, CARD))
