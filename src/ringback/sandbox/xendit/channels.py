"""Ways to pay: which channels each currency has, and the numbers by which a payment is addressed."""

from __future__ import annotations

import random

import msgspec

CARD = "CREDIT_CARD"
VIRTUAL_ACCOUNT = "virtual_account"  # the ledger's kind of fixed virtual accounts
PRODUCT_CODE = "38165"
IN_TEST = "99"  # follows the code of a bank's virtual accounts in test mode
ACCOUNT_DIGITS = 8


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A method of payment as invoices offer it.

    Args:
        name: Such as ``EWALLET``.
        listed: The field of an invoice that lists its channels.
        key: The field of an item of that list that names the channel.
        channels: The channels of each currency.
    """

    name: str
    listed: str
    key: str
    channels: dict[str, tuple[str, ...]]


METHODS = (
    Method(
        name="BANK_TRANSFER",
        listed="available_banks",
        key="bank_code",
        channels={
            "IDR": ("BCA", "BNI", "BRI", "MANDIRI", "PERMATA", "BSI", "BJB", "CIMB", "SAHABAT_SAMPOERNA"),
            "VND": ("PV", "VPB", "MSB", "WOORI", "VIETCAPITAL"),
        },
    ),
    Method(
        name="RETAIL_OUTLET",
        listed="available_retail_outlets",
        key="retail_outlet_name",
        channels={"IDR": ("ALFAMART", "INDOMARET"), "PHP": ("7ELEVEN", "CEBUANA")},
    ),
    Method(
        name="EWALLET",
        listed="available_ewallets",
        key="ewallet_type",
        channels={
            "IDR": ("OVO", "DANA", "LINKAJA", "SHOPEEPAY", "ASTRAPAY"),
            "PHP": ("GCASH", "GRABPAY", "PAYMAYA", "SHOPEEPAY"),
            "THB": ("TRUEMONEY", "LINEPAY", "WECHATPAY"),
            "VND": ("MOMO", "ZALOPAY", "APPOTA"),
            "MYR": ("TOUCHNGO", "GRABPAY", "SHOPEEPAY", "WECHATPAY"),
        },
    ),
    Method(
        name="QR_CODE",
        listed="available_qr_codes",
        key="qr_code_type",
        channels={"IDR": ("QRIS",), "THB": ("PROMPTPAY",), "PHP": ("QRPH",)},
    ),
    Method(
        name="DIRECT_DEBIT",
        listed="available_direct_debits",
        key="direct_debit_type",
        channels={
            "IDR": ("DD_BRI", "DD_MANDIRI"),
            "PHP": ("DD_BPI", "DD_UBP", "DD_RCBC"),
            "MYR": ("DD_PUBLIC_FPX", "DD_CIMB_FPX", "DD_MAYB2U_FPX"),
        },
    ),
    Method(
        name="PAYLATER",
        listed="available_paylaters",
        key="paylater_type",
        channels={
            "IDR": ("KREDIVO", "AKULAKU", "UANGME"),
            "PHP": ("BILLEASE", "CASHALO"),
            "MYR": ("ATOME",),
        },
    ),
)
# Old and new names of one method.
_SAME = {"QRIS": "QR_CODE", "POOL": "BANK_TRANSFER", "CALLBACK_VIRTUAL_ACCOUNT": "BANK_TRANSFER"}
_BANK_CODES = {
    "BCA": PRODUCT_CODE,
    "BNI": "8808",
    "BRI": "26215",
    "MANDIRI": "88608",
    "PERMATA": "8214",
}


def method_named(name: str) -> Method | None:
    """Return a method of payment; None for cards and for what is no method."""
    name = _SAME.get(name, name)
    return next((method for method in METHODS if method.name == name), None)


def channels_by(method: str, currency: str) -> tuple[str, ...]:
    """Return the channels of a method in a currency."""
    found = method_named(method)
    return () if found is None else found.channels.get(currency, ())


def channels_of(currency: str) -> frozenset[str]:
    """Return all channels that may be asked for in a currency."""
    return frozenset({CARD}.union(*(method.channels.get(currency, ()) for method in METHODS)))


def merchant_code(bank_code: str) -> str:
    """Return the digits with which a bank's virtual accounts begin."""
    return _BANK_CODES.get(bank_code, PRODUCT_CODE)


def account_number(bank_code: str, chance: random.Random) -> str:
    """Return the number of a new virtual account."""
    return f"{merchant_code(bank_code)}{IN_TEST}{chance.randrange(10**ACCOUNT_DIGITS):0{ACCOUNT_DIGITS}d}"


def payment_code(prefix: str, chance: random.Random) -> str:
    """Return a new code to be said at a retail outlet's till."""
    return prefix + str(chance.randrange(10**8, 10**9))


def qr_string(chance: random.Random) -> str:
    """Return the text of a new QR code."""
    # The beginning of every such code (EMVCo: version 01, for one payment), and digits that no bank knows.
    return f"00020101021226{chance.randrange(10**39, 10**40)}6304{chance.getrandbits(16):04X}"
