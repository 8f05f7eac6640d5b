"""Fixed virtual accounts: bank accounts of a payer's own, into which transfers are simulated.

Sources: docs.xendit.co on fixed virtual accounts, public receivers of their webhooks, and projects that use
``simulate_payment``. An account is ``PENDING`` until the bank has made it ``ACTIVE``, which is told; it becomes
``INACTIVE`` when it expires or, if it is for single use, when it is paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read
from ringback.sandbox.xendit.channels import VIRTUAL_ACCOUNT, account_number, channels_by, merchant_code
from ringback.sandbox.xendit.fields import DAY, Draft, Name, Text, invalid, later, moment
from ringback.sandbox.xendit.invoices import Invoices
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for, missing
from ringback.sandbox.xendit.money import (
    COUNTRIES,
    LARGEST,
    Amount,
    check_currency,
    check_least,
    check_most,
    money,
)
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.sandbox import Sandbox

PAYMENT = "virtual_account_payment"
MISSING = "CALLBACK_VIRTUAL_ACCOUNT_NOT_FOUND_ERROR"
PAYMENT_MISSING = "CALLBACK_VIRTUAL_ACCOUNT_PAYMENT_NOT_FOUND_ERROR"
PENDING, ACTIVE, INACTIVE = "PENDING", "ACTIVE", "INACTIVE"
LONGEST = 31 * 365 * DAY
MADE_AFTER = 2_000  # in the captured webhooks, the bank takes about two seconds
LEAST = 1
BANKS = {
    "BCA": "Bank Central Asia",
    "BNI": "Bank Negara Indonesia",
    "BRI": "Bank Rakyat Indonesia",
    "MANDIRI": "Bank Mandiri",
    "PERMATA": "Bank Permata",
    "BSI": "Bank Syariah Indonesia",
    "BJB": "Bank BJB",
    "CIMB": "Bank CIMB Niaga",
    "SAHABAT_SAMPOERNA": "Bank Sahabat Sampoerna",
}
CURRENCIES = ("IDR", "VND")
_NAMED_ACCOUNT = "/callback_virtual_accounts/external_id={external_id:rest}/simulate_payment"


class AccountDraft(Draft, frozen=True):
    """An account to be made."""

    external_id: Name
    bank_code: Name
    name: Name
    virtual_account_number: Name | None = None
    expected_amount: Amount | None = None
    suggested_amount: Amount | None = None
    is_closed: bool | None = None
    is_single_use: bool | None = None
    expiration_date: Name | None = None
    description: Text | None = None
    currency: Name | None = None

    def check(self) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 with the provider's code.
        """
        check_currency(self.currency or "IDR", CURRENCIES)
        if self.bank_code not in channels_by("BANK_TRANSFER", self.currency or "IDR"):
            raise Refused(
                400, "BANK_NOT_SUPPORTED_ERROR", f"there are no virtual accounts at {self.bank_code[:100]}"
            )
        if self.is_closed and self.expected_amount is None:
            raise Refused(400, "EXPECTED_AMOUNT_REQUIRED_ERROR", "a closed account needs expected_amount")
        _check_expected(self.expected_amount)
        number = self.virtual_account_number
        if number is not None and not (number.isascii() and number.isdigit() and len(number) <= 20):  # noqa: PLR2004 - said so in the message
            raise Refused(
                400, "VIRTUAL_ACCOUNT_NUMBER_OUTSIDE_RANGE", "virtual_account_number has at most 20 digits"
            )


class AccountUpdate(Draft, frozen=True):
    """What is to change of an account."""

    is_single_use: bool | None = None
    expiration_date: Name | None = None
    expected_amount: Amount | None = None
    suggested_amount: Amount | None = None
    description: Text | None = None


class TransferDraft(Draft, frozen=True):
    """A transfer into a fixed account."""

    amount: Amount


class PoolTransferDraft(Draft, frozen=True):
    """A transfer to the account that an invoice's page shows."""

    transfer_amount: Amount
    bank_account_number: Name
    bank_code: Name


class VirtualAccounts:
    """Fixed virtual accounts, and transfers to those of invoices.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(VIRTUAL_ACCOUNT, self._pass_on)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("GET", "/available_virtual_account_banks", self.banks),
            Route("POST", "/callback_virtual_accounts", self.create),
            Route("GET", "/callback_virtual_accounts/{id}", self.get),
            Route("PATCH", "/callback_virtual_accounts/{id}", self.update),
            Route("POST", _NAMED_ACCOUNT, self.simulate),
            Route("GET", "/callback_virtual_account_payments/payment_id={payment_id}", self.get_payment),
            Route("POST", "/pool_virtual_accounts/simulate_payment", self.simulate_invoice),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def banks(self, call: Call) -> Answer:  # noqa: ARG002 - every action takes the call
        """List the banks."""
        return Answer(
            [
                {"name": name, "code": code, "country": "ID", "currency": "IDR", "is_activated": True}
                for code, name in BANKS.items()
            ]
        )

    async def create(self, call: Call) -> Answer:
        """Ask the bank for an account; it is active a moment later."""
        draft = read(call, AccountDraft)
        draft.check()
        number = self._number(draft)
        body = self._new(call, draft, number)
        change = self._sandbox.change()
        change.add(VIRTUAL_ACCOUNT, body["id"], call.owner, body, due_at=self._sandbox.after(MADE_AFTER))
        await self._sandbox.commit(change)
        return Answer(body)

    async def get(self, call: Call) -> Answer:
        """Show an account."""
        return Answer(asked_for(self._sandbox.ledger, call, VIRTUAL_ACCOUNT, MISSING).body)

    async def update(self, call: Call) -> Answer:
        """Ask the bank to change an account; it is pending again until the bank has."""
        draft = read(call, AccountUpdate)
        entry = asked_for(self._sandbox.ledger, call, VIRTUAL_ACCOUNT, MISSING)
        if entry.body["status"] == INACTIVE:
            raise _inactive()
        _check_expected(draft.expected_amount)
        changed = draft.given()
        for name in ("expected_amount", "suggested_amount"):
            if name in changed:
                changed[name] = money(changed[name], entry.body["currency"])
        if draft.expiration_date is not None:
            changed["expiration_date"] = self._sandbox.stamp(
                self._expiration(draft.expiration_date, past=True)
            )
        change = self._sandbox.change()
        pending = change.update(
            entry,
            due_at=self._sandbox.after(MADE_AFTER),
            status=PENDING,
            updated=self._sandbox.stamp(),
            **changed,
        )
        await self._sandbox.commit(change)
        return Answer(pending.body)

    async def simulate(self, call: Call) -> Answer:
        """Let somebody transfer money to the newest account of an ``external_id``, which may hold slashes."""
        external_id = call.path["external_id"]
        found = self._sandbox.ledger.entries(VIRTUAL_ACCOUNT, call.owner, external_id=external_id)
        if not found:
            raise missing(VIRTUAL_ACCOUNT, MISSING, external_id)
        await self.pay(found[0], read(call, TransferDraft).amount)
        message = (
            f"Payment for the Fixed VA with external id {external_id} is currently being processed. "
            "Please ensure that you have set a callback URL for VA payments via the dashboard settings."
        )
        return Answer({"status": "COMPLETED", "message": message})

    async def simulate_invoice(self, call: Call) -> Answer:
        """Let somebody transfer money to the account that an invoice's page shows."""
        draft = read(call, PoolTransferDraft)
        number = draft.bank_account_number
        invoices = self._sandbox.product(Invoices)
        invoice = invoices.pending_at(call.owner, draft.bank_code, number)
        if invoice is None:
            raise missing(VIRTUAL_ACCOUNT, MISSING, number)
        _check_exact(draft.transfer_amount, invoice.body["amount"])
        await invoices.pay(invoice, "BANK_TRANSFER", draft.bank_code)
        message = f"Payment for the bank account number {number} is currently being processed."
        return Answer({"status": "COMPLETED", "message": message})

    async def get_payment(self, call: Call) -> Answer:
        """Show a payment by its ``payment_id``."""
        payment_id = call.path["payment_id"]
        entry = asked_for(self._sandbox.ledger, call, PAYMENT, PAYMENT_MISSING, payment_id)
        return Answer(entry.body)

    # --- What happens to an account -----------------------------------------------------------------------

    async def pay(self, entry: Entry, amount: float) -> Entry:
        """Let somebody transfer an amount to an account, and tell of it; return the payment.

        An invoice that waits for this account and this amount is paid with it.

        Raises:
            Refused: The account is not active any more, or is closed and expects another amount.
        """
        account = entry.body
        if account["status"] == INACTIVE:
            raise _inactive()
        paid = money(amount, account["currency"])
        check_least(paid, LEAST, "MINIMAL_TRANSFER_AMOUNT_ERROR")
        if account["is_closed"]:
            _check_exact(paid, account["expected_amount"])
        body = self._payment(account, paid)
        change = self._sandbox.change()
        if account["is_single_use"]:
            change.update(entry, status=INACTIVE, updated=self._sandbox.stamp())
        notice = Notice(event="fva.paid", product="Virtual account", product_id=entry.id, body=body)
        told = [(entry.owner, notice)]
        invoices = self._sandbox.product(Invoices)
        invoice = invoices.pending_for(entry)
        hidden = {}
        if invoice is not None and invoice.body["amount"] == paid:
            told.append(invoices.payment(change, invoice, "BANK_TRANSFER", account["bank_code"])[1])
            hidden = {"invoice": invoice.id}
        payment = change.add(PAYMENT, body["payment_id"], entry.owner, body, hidden=hidden)
        await self._sandbox.commit(change, *told)
        return payment

    async def _pass_on(self, entry: Entry) -> None:
        """Let the bank make an account active, or let it end."""
        expires_at = moment(entry.body["expiration_date"], "expiration_date")
        ended = expires_at <= self._sandbox.clock()
        change = self._sandbox.change()
        changed = change.update(
            entry,
            due_at=None if ended else expires_at,
            status=INACTIVE if ended else ACTIVE,
            updated=self._sandbox.stamp(),
        )
        # An end that comes by itself is not told; one that was asked for is, as every update.
        told = [self._told(changed)] if entry.body["status"] == PENDING else []
        await self._sandbox.commit(change, *told)

    # --- Parts --------------------------------------------------------------------------------------------

    def _told(self, entry: Entry) -> tuple[Any, Notice]:
        return entry.owner, Notice(
            event="fva.created", product="Virtual account", product_id=entry.id, body=entry.body
        )

    def _new(self, call: Call, draft: AccountDraft, number: str) -> dict[str, Any]:
        currency = draft.currency or "IDR"
        expires_at = (
            self._sandbox.clock() + LONGEST
            if draft.expiration_date is None
            else self._expiration(draft.expiration_date)
        )
        amounts = {
            name: money(amount, currency)
            for name in ("expected_amount", "suggested_amount")
            if (amount := getattr(draft, name)) is not None
        }
        return {
            "id": self._sandbox.new_hex(),
            "owner_id": call.owner.business_id,
            "external_id": draft.external_id,
            "merchant_code": merchant_code(draft.bank_code),
            "account_number": number,
            "bank_code": draft.bank_code,
            "name": draft.name,
            "currency": currency,
            "country": COUNTRIES[currency],
            "is_closed": bool(draft.is_closed),
            **amounts,
            "expiration_date": self._sandbox.stamp(expires_at),
            "is_single_use": bool(draft.is_single_use),
            "status": PENDING,
            **({} if draft.description is None else {"description": draft.description}),
            "created": self._sandbox.stamp(call.now),
            "updated": self._sandbox.stamp(call.now),
        }

    def _expiration(self, text: str, *, past: bool = False) -> Instant:
        """Return when an account ends; an update may end one by naming a time that is *past*."""
        now = self._sandbox.clock()
        since = 0 if past else now
        return later(
            text, "expiration_date", since, at_most=now + LONGEST, code="EXPIRATION_DATE_INVALID_ERROR"
        )

    def _number(self, draft: AccountDraft) -> str:
        wanted = draft.virtual_account_number
        if wanted is None:
            return account_number(draft.bank_code, self._sandbox.chance)
        code = merchant_code(draft.bank_code)
        number = wanted if wanted.startswith(code) else code + wanted
        taken = self._sandbox.ledger.entries(
            VIRTUAL_ACCOUNT, account_number=number, bank_code=draft.bank_code
        )
        if any(entry.body["status"] != INACTIVE for entry in taken):
            raise Refused(
                400, "DUPLICATE_CALLBACK_VIRTUAL_ACCOUNT_ERROR", f"the account number {number} is taken"
            )
        return number

    def _payment(self, account: dict[str, Any], amount: float) -> dict[str, Any]:
        now = self._sandbox.stamp()
        return {
            "updated": now,
            "created": now,
            "payment_id": self._sandbox.new_hex(),
            "callback_virtual_account_id": account["id"],
            "owner_id": account["owner_id"],
            "external_id": account["external_id"],
            "account_number": account["account_number"],
            "bank_code": account["bank_code"],
            "amount": amount,
            "transaction_timestamp": now,
            "merchant_code": account["merchant_code"],
            "currency": account["currency"],
            "sender_name": account["name"],
            "id": self._sandbox.new_hex(),
        }


def _check_expected(amount: float | None) -> None:
    if amount is not None:
        check_least(amount, LEAST, "MINIMUM_EXPECTED_AMOUNT_ERROR")
        check_most(amount, LARGEST, "MAXIMUM_EXPECTED_AMOUNT_ERROR")


def _check_exact(amount: float, expected: float) -> None:
    if amount != expected:
        raise invalid(f"the account expects a transfer of {expected}, not of {amount}")


def _inactive() -> Refused:
    return Refused(
        400, "CALLBACK_VIRTUAL_ACCOUNT_INACTIVE_ERROR", "the virtual account is not active any more"
    )
