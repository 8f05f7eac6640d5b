"""Amounts of money: which currencies there are, what they can be split into, and the limits of an amount."""

from __future__ import annotations

from collections.abc import Collection
from decimal import ROUND_DOWN, Decimal
from typing import Annotated

import msgspec

from ringback.sandbox.xendit.calls import INVALID, Refused

COUNTRIES = {"IDR": "ID", "PHP": "PH", "THB": "TH", "VND": "VN", "MYR": "MY", "USD": "US"}
WITHOUT_DECIMALS = frozenset({"IDR", "VND", "KRW"})
LARGEST = 1_000_000_000_000

Amount = Annotated[float, msgspec.Meta(ge=0, le=1_000 * LARGEST)]
"""As a request may state it; what is above ``LARGEST`` has an error code of its own."""
Price = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
"""As an amount, but a discount is less than nothing."""


def money(amount: float, currency: str) -> int | float:
    """Return an amount as the API shows it: what the currency has no coin for is cut off, whole ones are integers."""
    smallest = Decimal(1) if currency in WITHOUT_DECIMALS else Decimal("0.01")
    cut = Decimal(repr(amount)).quantize(smallest, ROUND_DOWN)
    return whole(float(cut))


def major_units(amount: int, currency: str) -> int | float:
    """Return an *amount* that is stated in the smallest units of its currency, such as cents."""
    return amount if currency in WITHOUT_DECIMALS else whole(amount / 100)


def whole(number: float) -> int | float:
    """Return *number*, as an integer if it is one."""
    return int(number) if number == int(number) else number


def less(amount: float, *parts: float) -> int | float:
    """Return what is left of an amount without its *parts*, exactly."""
    return plus(amount, *(-part for part in parts))


def plus(*parts: float) -> int | float:
    """Return the sum of amounts, exactly."""
    return whole(float(sum((Decimal(repr(part)) for part in parts), Decimal(0))))


def check_currency(currency: str, allowed: Collection[str] = COUNTRIES, code: str = INVALID) -> str:
    """Return *currency*.

    Raises:
        Refused: 400 with the *code*: it is none of those *allowed*.
    """
    if currency not in allowed:
        raise Refused(400, code, f"currency {currency[:20]} is not supported; use {', '.join(allowed)}")
    return currency


def check_least(amount: float, least: float, code: str) -> None:
    """Check that *amount* is not below the *least* one.

    Raises:
        Refused: 400 with the *code*.
    """
    if amount < least:
        raise Refused(400, code, f"the amount {whole(amount)} is below the minimum of {whole(least)}")


def check_most(amount: float, most: float, code: str) -> None:
    """Check that *amount* is not above the *most*.

    Raises:
        Refused: 400 with the *code*.
    """
    if amount > most:
        raise Refused(400, code, f"the amount {whole(amount)} is above the maximum of {whole(most)}")
