"""Exchange between currencies, at rates that never change: what payouts cost that arrive in another currency.

The provider's rates change by the minute, so these are the sandbox's own, near to those of early 2026.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from ringback.sandbox.xendit.money import WITHOUT_DECIMALS

# How much of each currency one US dollar is worth.
PER_DOLLAR = {
    "USD": Decimal(1),
    "SGD": Decimal("1.3"),
    "IDR": Decimal(16_500),
    "PHP": Decimal(58),
    "MYR": Decimal("4.2"),
    "THB": Decimal("32.5"),
    "VND": Decimal(26_000),
    "HKD": Decimal("7.8"),
    "MXN": Decimal(18),
    "CNY": Decimal("7.1"),
    "KRW": Decimal(1_400),
    "AUD": Decimal("1.5"),
    "EUR": Decimal("0.85"),
}


def exchanged(amount: int, source: str, destination: str) -> int:
    """Return what an *amount* is worth in another currency, both in smallest units such as cents; rest cut off."""
    worth = Decimal(amount) / _units(source) / PER_DOLLAR[source] * PER_DOLLAR[destination]
    return int((worth * _units(destination)).quantize(Decimal(1), ROUND_DOWN))


def _units(currency: str) -> int:
    return 1 if currency in WITHOUT_DECIMALS else 100
