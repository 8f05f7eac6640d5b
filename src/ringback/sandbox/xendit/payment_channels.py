"""The channels of the Payments API v3: their codes, and what each asks a payer to do.

Source: docs.xendit.co on the v3 API. A code names the bank and the method, as ``BRI_VIRTUAL_ACCOUNT`` does; the
banks, wallets and shops are those by which invoices are paid. Which properties a channel cannot do without is on
pages that no source has, so only what the API's own description demands is checked.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.channels import CARD, METHODS, account_number, payment_code, qr_string

CARDS = "CARDS"
INVALID_VALUE = "INVALID_VALUE_ERROR"
PAYER = "TEST PAYER"
PREFIX = "RING"
# Methods whose payer is given a number, a code or a picture, and pays elsewhere.
_PRESENTED = frozenset({"BANK_TRANSFER", "RETAIL_OUTLET", "QR_CODE"})
_SAVING = frozenset({CARD, "EWALLET", "DIRECT_DEBIT"})


class PaymentChannel(msgspec.Struct, frozen=True):
    """A channel.

    Args:
        code: By which the v3 API knows it, such as ``BRI_VIRTUAL_ACCOUNT``.
        method: The method it belongs to, such as ``BANK_TRANSFER``.
        name: By which invoices know it, such as ``BRI``.
    """

    code: str
    method: str
    name: str

    @property
    def presents(self) -> bool:
        """Whether the payer is shown something to pay by, rather than sent to a page."""
        return self.method in _PRESENTED

    @property
    def saves(self) -> bool:
        """Whether it can be paid again without the payer, by a token."""
        return self.method in _SAVING

    def action(self, properties: Mapping[str, Any], page: str, chance: random.Random) -> dict[str, str]:
        """Return what the payer is to do.

        Args:
            properties: What the caller said of the channel.
            page: Where the payer goes who is sent to a page.
            chance: Makes numbers and codes.
        """
        if not self.presents:
            return {"type": "REDIRECT_CUSTOMER", "descriptor": "WEB_URL", "value": page}
        descriptor, value = self._presented(properties, chance)
        return {"type": "PRESENT_TO_CUSTOMER", "descriptor": descriptor, "value": value}

    def _presented(self, properties: Mapping[str, Any], chance: random.Random) -> tuple[str, str]:
        if self.method == "BANK_TRANSFER":
            number = properties.get("virtual_account_number")
            return "VIRTUAL_ACCOUNT_NUMBER", number or account_number(self.name, chance)
        if self.method == "RETAIL_OUTLET":
            return "PAYMENT_CODE", properties.get("payment_code") or payment_code(PREFIX, chance)
        return "QR_STRING", qr_string(chance)

    def details(self, chance: random.Random) -> dict[str, Any]:
        """Return what is known of a payment through it: who paid, and by which receipt."""
        receipt = str(chance.randrange(10**11, 10**12))
        if self.method == CARD:
            approval = f"{chance.getrandbits(24):06X}"
            data = {"authorization_code": approval, "retrieval_reference_number": receipt}
            return {"authorization_data": data | {"network_response_code": "00"}}
        return {"payer_name": PAYER, "issuer_name": self.name, "receipt_id": receipt}


def payment_channels(currency: str) -> dict[str, PaymentChannel]:
    """Return the channels of a currency, by their codes."""
    listed = [PaymentChannel(CARDS, CARD, CARDS)]
    for method in METHODS:
        names = method.channels.get(currency, ())
        listed += [PaymentChannel(_code(method.name, name), method.name, name) for name in names]
    return {channel.code: channel for channel in listed}


def payment_channel(code: str, currency: str, error_code: str = INVALID_VALUE) -> PaymentChannel:
    """Return the channel of a *code*.

    Raises:
        Refused: 400 with the *error_code*: the currency has no such channel.
    """
    channels = payment_channels(currency)
    if code not in channels:
        raise Refused(400, error_code, f"{currency} has no channel {code[:50]}; use {', '.join(channels)}")
    return channels[code]


def _code(method: str, name: str) -> str:
    match method:
        case "BANK_TRANSFER":
            return f"{name}_VIRTUAL_ACCOUNT"
        case "DIRECT_DEBIT":
            return f"{name.removeprefix('DD_')}_DIRECT_DEBIT"
        case "QR_CODE" if name == "PROMPTPAY":
            return "QRPROMPTPAY"
    return name
