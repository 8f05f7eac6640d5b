"""The books of a business: its movements, and what its balances are or were.

Sources: docs.xendit.co on balances; a development account begins with IDR 1,000,000,000. What an account in another
currency begins with is the sandbox's choice. No fees or taxes are taken.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.model import Instant
from ringback.sandbox.xendit import (
    ewallets,
    incoming,
    invoices,
    outgoing,
    paylaters,
    payment_v2_bodies,
    payments_v3,
    qr_codes,
    recurring_course,
    retail_outlets,
)
from ringback.sandbox.xendit import virtual_accounts as accounts
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import plus
from ringback.sandbox.xendit.movements import CASH, SETTLED_AFTER, Movement
from ringback.sandbox.xendit.sandbox import Sandbox

OPENING = {
    "IDR": 1_000_000_000,
    "PHP": 10_000_000,
    "USD": 1_000_000,
    "VND": 1_000_000_000,
    "THB": 10_000_000,
    "MYR": 1_000_000,
    "SGD": 1_000_000,
    "EUR": 1_000_000,
    "GBP": 1_000_000,
    "HKD": 10_000_000,
    "AUD": 1_000_000,
}
# How to read a movement from an entry of each kind that can make one.
_INCOMING: dict[str, Callable[[Entry, incoming.Known], Movement | None]] = {
    invoices.INVOICE: incoming.invoice,
    accounts.PAYMENT: incoming.virtual_account_payment,
    retail_outlets.PAYMENT: incoming.payment_code_payment,
    qr_codes.PAYMENT: incoming.qr_payment,
    ewallets.CHARGE: incoming.wallet_charge,
    paylaters.CHARGE: incoming.paylater_charge,
    payments_v3.PAYMENT: incoming.payment_v3,
    payment_v2_bodies.PAYMENT: incoming.payment_v2,
    recurring_course.CYCLE: incoming.cycle,
}
_OUTGOING: dict[str, Callable[[Entry], Movement]] = {
    outgoing.DISBURSEMENT: outgoing.disbursement,
    outgoing.BATCH: outgoing.batch,
    outgoing.PAYOUT: outgoing.payout,
    outgoing.PAYOUT_V3: outgoing.payout_v3,
    outgoing.REFUND: outgoing.refund,
}


class Books:
    """The books of all businesses, read from the ledger each time.

    Args:
        sandbox: Whose ledger.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def movements(self, owner: Owner) -> list[Movement]:
        """Return all movements of an owner, newest first."""
        ledger = self._sandbox.ledger
        known = incoming.Known(ledger, self._sandbox.sending.shortened(SETTLED_AFTER))
        found = [read(entry) for kind, read in _OUTGOING.items() for entry in ledger.entries(kind, owner)]
        for kind, read_payment in _INCOMING.items():
            read_all = (read_payment(entry, known) for entry in ledger.entries(kind, owner))
            found += [movement for movement in read_all if movement is not None]
        return sorted(found, key=lambda movement: (movement.created_at, movement.serial), reverse=True)

    def balance(
        self, owner: Owner, currency: str, account: str = CASH, at: Instant | None = None
    ) -> int | float:
        """Return what is or was in an account.

        Args:
            owner: Whose.
            currency: In which currency.
            account: ``CASH``, what can be spent, or ``HOLDING``, what is on its way in or out.
            at: When; None: now.
        """
        until = self._sandbox.clock() if at is None else at
        changes = (
            line.amount
            for movement in self.movements(owner)
            if movement.currency == currency
            for line in movement.lines
            if line.account == account and line.at <= until
        )
        opening = OPENING.get(currency, 0) if account == CASH else 0
        return plus(opening, *changes)
