"""Transactions: all that came in and went out, for whoever keeps books.

Sources: xendit-python 7's ``TransactionApi`` and docs.xendit.co. They are read from the payments and payouts
themselves. No fees are taken; what comes in settles a day later, as invoices do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ringback.model import Instant, iso
from ringback.sandbox.xendit.books import Books
from ringback.sandbox.xendit.calls import Answer, Call, Route
from ringback.sandbox.xendit.fields import invalid
from ringback.sandbox.xendit.filters import Period, period, some_of
from ringback.sandbox.xendit.lookup import missing
from ringback.sandbox.xendit.movements import Movement
from ringback.sandbox.xendit.paging import next_page, part_of
from ringback.sandbox.xendit.sandbox import Sandbox

MISSING = "DATA_NOT_FOUND"
LARGEST_LIMIT = 50
# Those that the documentation names, and those that only xendit-python 7 does.
TYPES = frozenset(
    [
        "ADJUSTMENT_ADD",
        "ADJUSTMENT_DEDUCT",
        "BATCH_DISBURSEMENT",
        "BNPL_PARTNER_SETTLEMENT_CREDIT",
        "BNPL_PARTNER_SETTLEMENT_DEBIT",
        "CASHBACK",
        "CASHBACK_FEE",
        "CASHBACK_VAT",
        "CHARGEBACK",
        "CONVERSION",
        "DISBURSEMENT",
        "FOREX_DEDUCTION",
        "FOREX_DEPOSIT",
        "IN_PERSON_PAYMENT",
        "LOAN_REPAYMENT",
        "OTHER",
        "PAYMENT",
        "PLATFORM_FEE",
        "REFUND",
        "REMITTANCE",
        "REMITTANCE_COLLECTION",
        "REMITTANCE_COLLECTION_PAYMENT",
        "REMITTANCE_PAYOUT",
        "RESERVES_HOLD",
        "RESERVES_RELEASE",
        "TOPUP",
        "TRANSFER",
        "TRANSFER_IN",
        "TRANSFER_OUT",
        "WITHDRAWAL",
    ]
)
STATUSES = ("SUCCESS", "PENDING", "FAILED", "REVERSED", "VOIDED")
CATEGORIES = frozenset(
    [
        "BANK",
        "CARDLESS_CREDIT",
        "CARDS",
        "CASH",
        "DIRECT_BANK_TRANSFER",
        "DIRECT_DEBIT",
        "EWALLET",
        "INVOICE",
        "OTHER",
        "PAYLATER",
        "QR_CODE",
        "RETAIL_OUTLET",
        "VIRTUAL_ACCOUNT",
        "XENPLATFORM",
    ]
)


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Which transactions are wanted; each field narrows, None and nothing leave open."""

    types: tuple[str, ...]
    statuses: tuple[str, ...]
    categories: tuple[str, ...]
    reference: str | None
    product_id: str | None
    account: str | None
    currency: str | None
    amount: float | None
    created: Period
    updated: Period

    def fits(self, movement: Movement) -> bool:
        """Tell whether a movement is wanted."""
        return (
            (not self.types or movement.type in self.types)
            and (not self.statuses or movement.status in self.statuses)
            and (not self.categories or movement.category in self.categories)
            and self.reference in {None, movement.reference}
            and self.product_id in {None, movement.product_id}
            and self.account in {None, movement.account}
            and self.currency in {None, movement.currency}
            and self.amount in {None, movement.amount}
            and self.created.holds(movement.created_at)
            and self.updated.holds(movement.updated_at)
        )


class Transactions:
    """Answers what came in and went out.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("GET", "/transactions", self.search),
            Route("GET", "/transactions/{id}", self.get),
        )

    async def search(self, call: Call) -> Answer:
        """List transactions, newest first."""
        wanted = search(call)
        found = [
            movement
            for movement in self._sandbox.product(Books).movements(call.owner)
            if wanted.fits(movement)
        ]
        part = part_of(call, found, lambda movement: movement.id, most=LARGEST_LIMIT)
        links = [next_page(call, "/transactions", part.items[-1].id)] if part.has_more else []
        data = [shown(movement, call.now) for movement in part.items]
        return Answer({"has_more": part.has_more, "data": data, "links": links})

    async def get(self, call: Call) -> Answer:
        """Show a transaction."""
        wanted = call.path["id"]
        for movement in self._sandbox.product(Books).movements(call.owner):
            if movement.id == wanted:
                return Answer(shown(movement, call.now))
        raise missing("transaction", MISSING, wanted)


def search(call: Call) -> Search:
    """Return what the query of a call asks for; parameters that are not known are passed over.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``: a parameter is not what it should be.
    """
    return Search(
        types=some_of(call, "types", TYPES),
        statuses=some_of(call, "statuses", STATUSES),
        categories=some_of(call, "channel_categories", CATEGORIES),
        reference=call.one("reference_id"),
        product_id=call.one("product_id"),
        account=call.one("account_identifier"),
        currency=call.one("currency"),
        amount=_amount(call.one("amount")),
        created=period(call, "created"),
        updated=period(call, "updated"),
    )


def shown(movement: Movement, now: Instant) -> dict[str, Any]:
    """Return a movement as the API shows it at an instant."""
    settles_at = movement.settles_at
    return {
        "id": movement.id,
        "product_id": movement.product_id,
        "type": movement.type,
        "status": movement.status,
        "channel_category": movement.category,
        "channel_code": movement.channel,
        "reference_id": movement.reference,
        "account_identifier": movement.account,
        "currency": movement.currency,
        "amount": movement.amount,
        "net_amount": movement.amount,
        "net_amount_currency": movement.currency,
        "cashflow": "MONEY_IN" if movement.incoming else "MONEY_OUT",
        "settlement_status": None if settles_at is None else "SETTLED" if settles_at <= now else "PENDING",
        "estimated_settlement_time": None if settles_at is None else iso(settles_at),
        "business_id": movement.business_id,
        "created": iso(movement.created_at),
        "updated": iso(movement.updated_at),
        "fee": {
            "xendit_fee": 0,
            "value_added_tax": 0,
            "xendit_withholding_tax": 0,
            "third_party_withholding_tax": 0,
            "status": "NOT_APPLICABLE",
        },
        **({"product_data": movement.product_data} if movement.product_data else {}),
    }


def _amount(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise invalid("amount is a number") from None
