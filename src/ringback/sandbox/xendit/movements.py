"""Movements of money: what an object of the ledger means for the balances of its owner.

Nothing is booked: movements are read from the objects themselves, so that the books cannot disagree with them.
"""

from __future__ import annotations

import hashlib
import uuid

import msgspec

from ringback.model import Duration, Instant
from ringback.sandbox.xendit.fields import DAY
from ringback.sandbox.xendit.ledger import Entry

# The accounts of a business: what it can spend, and what is on its way in or out.
CASH, HOLDING = "CASH", "HOLDING"
SETTLED_AFTER: Duration = DAY


class Line(msgspec.Struct, frozen=True):
    """A change of one account by an *amount*, below 0 where it gets less, at an instant."""

    at: Instant
    account: str
    amount: float


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """Money that comes in or goes out, in the words of the provider's transactions.

    Args:
        id: Such as ``txn_`` and a UUID; the same for the same object every time.
        serial: Its object's place in the order of all.
        business_id: Whose money.
        product_id: The id of the payment or the payout.
        type: Such as ``PAYMENT``.
        status: ``PENDING``, ``SUCCESS``, ``FAILED``, ``VOIDED`` or ``REVERSED``.
        category: The category of its channel, such as ``BANK``.
        channel: The channel's code.
        account: By which number it was addressed; None: by none.
        reference: The owner's own reference.
        currency: Its currency.
        amount: How much, in major units.
        incoming: Whether it comes in.
        created_at: When it was made.
        updated_at: When it last changed.
        settles_at: When incoming money can be spent; None: it never can, or it goes out.
        lines: How it changes the accounts.
        product_data: Ids of other objects that it belongs to, such as ``payment_link_id``.
    """

    id: str
    serial: int
    business_id: str
    product_id: str
    type: str
    status: str
    category: str
    channel: str | None
    account: str | None
    reference: str
    currency: str
    amount: int | float
    incoming: bool
    created_at: Instant
    updated_at: Instant
    settles_at: Instant | None = None
    lines: tuple[Line, ...] = ()
    product_data: dict[str, str] = {}


def movement_id(entry: Entry) -> str:
    """Return the id of the movement that an entry makes."""
    digest = hashlib.sha256(f"{entry.owner}/{entry.kind}/{entry.id}".encode()).digest()
    return f"txn_{uuid.UUID(bytes=digest[:16], version=4)}"


def settled(amount: float, paid_at: Instant, settles_at: Instant) -> tuple[Line, ...]:
    """Return the lines of money that comes in: it is on its way until it settles."""
    return (
        Line(paid_at, HOLDING, amount),
        Line(settles_at, HOLDING, -amount),
        Line(settles_at, CASH, amount),
    )


def sent(
    amount: float, accepted_at: Instant, ended_at: Instant | None, returned_at: Instant | None
) -> tuple[Line, ...]:
    """Return the lines of money that goes out.

    Args:
        amount: How much.
        accepted_at: When it left what can be spent.
        ended_at: When it arrived, or was found not to; None: it is on its way.
        returned_at: When it came back; None: it has not.
    """
    lines = [Line(accepted_at, CASH, -amount), Line(accepted_at, HOLDING, amount)]
    if ended_at is not None:
        lines.append(Line(ended_at, HOLDING, -amount))
    if returned_at is not None:
        lines.append(Line(returned_at, CASH, amount))
    return tuple(lines)
