"""The ways to pay that a payer chooses from, with names that people know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.design.writing import spoken
from ringback.sandbox.xendit.channels import CARD, METHODS
from ringback.sandbox.xendit.money import COUNTRIES

TITLES = {
    "BANK_TRANSFER": "Bank transfer",
    "EWALLET": "E-wallet",
    "RETAIL_OUTLET": "At a shop",
    "QR_CODE": "QR code",
    "DIRECT_DEBIT": "Direct debit",
    "PAYLATER": "Pay later",
    CARD: "Card",
}
_NAMES = {
    "7ELEVEN": "7-Eleven",
    "ASTRAPAY": "AstraPay",
    "CARDS": "Card",
    "CREDIT_CARD": "Card",
    "GCASH": "GCash",
    "GRABPAY": "GrabPay",
    "JENIUSPAY": "Jenius Pay",
    "LINEPAY": "LINE Pay",
    "MAYB2U": "Maybank2u",
    "LINKAJA": "LinkAja",
    "PAYMAYA": "Maya",
    "PROMPTPAY": "PromptPay",
    "QRPH": "QR Ph",
    "SAHABAT_SAMPOERNA": "Sahabat Sampoerna",
    "SHOPEEPAY": "ShopeePay",
    "TOUCHNGO": "Touch 'n Go",
    "TRUEMONEY": "TrueMoney",
    "UANGME": "UangMe",
    "VIETCAPITAL": "Viet Capital",
    "WECHATPAY": "WeChat Pay",
    "ZALOPAY": "ZaloPay",
}
_COUNTRIES = frozenset(COUNTRIES.values())
# Names as short as this are said letter by letter, or written in capitals, but for one.
_CAPITALS = 4
_IN_SMALL = frozenset({"MOMO"})


class Way(msgspec.Struct, frozen=True):
    """One way to pay.

    Args:
        method: Such as ``BANK_TRANSFER``.
        channel: Such as ``BCA``.
        item: What the invoice says of it, such as the number to pay to.
    """

    method: str
    channel: str
    item: dict[str, Any]

    @property
    def name(self) -> str:
        """How people know the channel."""
        return channel_name(self.channel)

    @property
    def choice(self) -> str:
        """How a form names it."""
        return f"{self.method}/{self.channel}"


class Group(msgspec.Struct, frozen=True):
    """The ways of one method."""

    method: str
    ways: tuple[Way, ...]

    @property
    def title(self) -> str:
        """What the method is called."""
        return TITLES[self.method]


def groups(invoice: Mapping[str, Any]) -> list[Group]:
    """Return the ways by which an invoice can be paid, by method, with the most used first."""
    offered = {
        method.name: Group(
            method.name,
            tuple(Way(method.name, item[method.key], item) for item in invoice.get(method.listed) or ()),
        )
        for method in METHODS
    }
    if not invoice.get("should_exclude_credit_card"):
        offered[CARD] = Group(CARD, (Way(CARD, CARD, {}),))
    return [offered[name] for name in TITLES if name in offered and offered[name].ways]


def way(invoice: Mapping[str, Any], choice: str) -> Way | None:
    """Return the way that a form names; None where the invoice offers no such."""
    every = (way for group in groups(invoice) for way in group.ways)
    return next((way for way in every if way.choice == choice), None)


def channel_name(channel: str) -> str:
    """Return how people know a channel."""
    country, _, rest = channel.partition("_")
    plain = (rest if country in _COUNTRIES else channel).removeprefix("DD_").removesuffix("_FPX")
    if plain in _NAMES:
        return _NAMES[plain]
    return plain if len(plain) <= _CAPITALS and plain not in _IN_SMALL else spoken(plain)
