"""The books of a business: its movements, and what its balances are or were.

Sources: docs.xendit.co on balances; a development account begins with IDR 1,000,000,000. What an account in another
currency begins with is the sandbox's choice. No fees or taxes are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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
from ringback.sandbox.xendit.calls import Owner, Route
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
    """The books of all businesses, which other products ask: read from the ledger, each object once.

    Args:
        sandbox: Whose ledger.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        # What was read of each entry, which holds until another takes its place.
        self._read: dict[tuple[str, str], tuple[Entry, Movement | None]] = {}

    def routes(self) -> Sequence[Route]:
        """Return what it answers: nothing."""
        return ()

    def movements(self, owner: Owner) -> list[Movement]:
        """Return all movements of an owner, newest first."""
        return sorted(
            self._all(owner), key=lambda movement: (movement.created_at, movement.serial), reverse=True
        )

    def balance(
        self, owner: Owner, currency: str, account: str = CASH, at: Instant | None = None
    ) -> int | float:
        """Return what is or was in an account.

        Args:
            owner: Whose.
            currency: In which currency.
            account: ``CASH``, what can be spent, or ``HOLDING``, what is on its way in or out.
            at: When; what is to come does not count. None: now.
        """
        now = self._sandbox.clock()
        until = now if at is None else min(at, now)
        changes = (
            line.amount
            for movement in self._all(owner)
            if movement.currency == currency
            for line in movement.lines
            if line.account == account and line.at <= until
        )
        opening = OPENING.get(currency, 0) if account == CASH else 0
        return plus(opening, *changes)

    def _all(self, owner: Owner) -> Iterator[Movement]:
        for kind in (*_INCOMING, *_OUTGOING):
            for entry in self._sandbox.ledger.entries(kind, owner):
                movement = self._movement(entry)
                if movement is not None:
                    yield movement

    def _movement(self, entry: Entry) -> Movement | None:
        read, movement = self._read.get(entry.place, (None, None))
        if read is not entry:
            movement = self._newly_read(entry)
            self._read[entry.place] = entry, movement
        return movement

    def _newly_read(self, entry: Entry) -> Movement | None:
        if entry.kind in _OUTGOING:
            return _OUTGOING[entry.kind](entry)
        settling = self._sandbox.sending.shortened(SETTLED_AFTER)
        return _INCOMING[entry.kind](entry, incoming.Known(self._sandbox.ledger, settling))
