"""Where money can be sent to.

Sources: docs.xendit.co on payout channels and their limits. Of the channels in Thailand, Vietnam and Malaysia only
the form of their codes is known here, so every code of that form is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from ringback.sandbox.xendit.money import LARGEST

BANK, WALLET = "BANK", "EWALLET"
CATEGORIES = (BANK, WALLET, "OTC")
BANKS = {
    "BCA": "Bank Central Asia (BCA)",
    "BJB": "Bank Pembangunan Daerah Jawa Barat dan Banten (BJB)",
    "BNI": "Bank Negara Indonesia (BNI)",
    "BRI": "Bank Rakyat Indonesia (BRI)",
    "BSI": "Bank Syariah Indonesia",
    "CIMB": "Bank CIMB Niaga",
    "DANAMON": "Bank Danamon",
    "MANDIRI": "Bank Mandiri",
    "MUAMALAT": "Bank Muamalat Indonesia",
    "PERMATA": "Bank Permata",
    "SAHABAT_SAMPOERNA": "Bank Sahabat Sampoerna",
}
WALLETS = {"DANA": "DANA", "GOPAY": "GoPay", "LINKAJA": "LinkAja", "OVO": "OVO", "SHOPEEPAY": "ShopeePay"}
_PHILIPPINE_BANKS = {
    "AUB": "Asia United Bank",
    "BDO": "Banco De Oro Unibank",
    "BPI": "Bank of the Philippine Islands",
    "CITI": "Citibank",
    "UBP": "Union Bank of the Philippines",
}
_PHILIPPINE_WALLETS = {"GCASH": "GCash", "GRABPAY": "GrabPay", "PAYMAYA": "Maya Wallet"}
_UNLISTED = re.compile(r"(TH|VN|MY)_[A-Z0-9_]{2,40}")
_CURRENCIES = {"TH": "THB", "VN": "VND", "MY": "MYR"}


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A bank or a wallet.

    Args:
        code: Such as ``ID_BCA``.
        category: ``BANK`` or ``EWALLET``.
        currency: What can be sent there.
        name: Its name.
        least: The smallest amount.
        most: The largest one.
        step: What an amount must be a multiple of.
    """

    code: str
    category: str
    currency: str
    name: str
    least: float = 1
    most: float = LARGEST
    step: float = 0.01

    def shown(self) -> dict[str, object]:
        """Return it as the API shows it."""
        limits = {"minimum": self.least, "maximum": self.most, "minimum_increment": self.step}
        return {
            "channel_code": self.code,
            "channel_category": self.category,
            "currency": self.currency,
            "channel_name": self.name,
            "amount_limits": limits,
        }


def _indonesian(names: dict[str, str], category: str) -> Iterable[Channel]:
    for code, name in names.items():
        yield Channel(
            code=f"ID_{code}",
            category=category,
            currency="IDR",
            name=name,
            least=10_000,
            most=1_999_999_999_999,
            step=1,
        )


def _philippine(names: dict[str, str], category: str) -> Iterable[Channel]:
    for code, name in names.items():
        yield Channel(code=f"PH_{code}", category=category, currency="PHP", name=name, most=100_000_000)


CHANNELS = {
    channel.code: channel
    for channel in sorted(
        (
            *_indonesian(BANKS, BANK),
            *_indonesian(WALLETS, WALLET),
            *_philippine(_PHILIPPINE_BANKS, BANK),
            *_philippine(_PHILIPPINE_WALLETS, WALLET),
        ),
        key=lambda channel: channel.code,
    )
}


def channel_named(code: str) -> Channel | None:
    """Return a channel; None where there is none with this code."""
    if code in CHANNELS:
        return CHANNELS[code]
    if _UNLISTED.fullmatch(code) is None:
        return None
    currency = _CURRENCIES[code[:2]]
    return Channel(
        code=code, category=BANK, currency=currency, name=code, step=1 if currency == "VND" else 0.01
    )
