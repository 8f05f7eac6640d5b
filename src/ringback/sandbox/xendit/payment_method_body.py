"""What the API shows of a payment method, and what is told of it.

Source: xendit-python 7 and the catalogue's ``payment_method.*`` webhooks; the numbers are made up.
"""

from __future__ import annotations

from typing import Any

from ringback.model import Instant
from ringback.sandbox.xendit.card_details import month_end
from ringback.sandbox.xendit.channels import account_number, payment_code, qr_string
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import money
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.payment_method_draft import (
    AccountPart,
    CardInformation,
    CardPart,
    CodePart,
    CounterPart,
    DebitPart,
    Part,
    WalletPart,
)
from ringback.sandbox.xendit.payment_v2_bodies import Told, old_stamp
from ringback.sandbox.xendit.payment_v2_channels import CHANNELS, QR_CODE, redirects
from ringback.sandbox.xendit.sandbox import Sandbox

PRODUCT = "Payment method"
DEBIT_CARD, BANK_ACCOUNT, BANK_REDIRECT = "DEBIT_CARD", "BANK_ACCOUNT", "BANK_REDIRECT"
CODE_PREFIX = "TEST"
# What the webhooks show, which is less than the API does.
_TOLD = (
    *("id", "type", "reusability", "status", "country", "business_id", "customer_id", "reference_id"),
    *("failure_code", "billing_information", "ewallet", "direct_debit", "card", "virtual_account"),
    *("over_the_counter", "qr_code", "metadata", "created", "updated"),
)
_NETWORKS = {
    "2": "MASTERCARD",
    "34": "AMEX",
    "35": "JCB",
    "37": "AMEX",
    "4": "VISA",
    "5": "MASTERCARD",
    "6": "DISCOVER",
}


def part_body(sandbox: Sandbox, part: Part, currency: str, expires_at: Instant | None) -> dict[str, Any]:
    """Return what is shown of what a payment method consists of.

    Args:
        sandbox: Makes up numbers.
        part: What was asked for.
        currency: What it takes.
        expires_at: When it ends; None: not by itself.
    """
    stamp = None if expires_at is None else sandbox.stamp(expires_at)
    match part:
        case AccountPart():
            return _account(sandbox, part, currency, stamp)
        case CounterPart():
            return _counter(sandbox, part, currency, stamp)
        case CodePart():
            return _code(sandbox, part, currency, stamp)
        case WalletPart():
            return _wallet(part)
        case DebitPart():
            return _debit(sandbox, part)
        case CardPart():
            return _card(sandbox, part, currency)


def card_end(part: Part) -> Instant | None:
    """Return when the card of a payment method ends, which is with a month; None where there is none."""
    match part:
        case CardPart(card_information=CardInformation(expiry_month=str(month), expiry_year=str(year))):
            return _end_of(int(month), int(year))
        case DebitPart() if part.channel_properties.card_expiry is not None:
            month, _, year = part.channel_properties.card_expiry.partition("/")
            return _end_of(int(month), int(year))
        case _:
            return None


def method_told(event: str, entry: Entry, now: str) -> Told:
    """Return the notice of what happened to a payment method, such as ``payment_method.expired``."""
    data = {name: entry.body[name] for name in _TOLD}
    body = envelope(event, entry.owner, now, data)
    return entry.owner, Notice(event=event, product=PRODUCT, product_id=entry.id, body=body)


def old_end_told(event: str, entry: Entry, now: Instant) -> Told:
    """Return the older notice of a direct debit method's end.

    Args:
        event: ``payment_method.expiry.expiring`` before, ``payment_method.expiry.expired`` after.
        entry: The payment method, which belongs to a customer.
        now: The present.
    """
    body = {
        "event": event,
        "timestamp": old_stamp(now),
        "id": entry.id,
        "customer_id": entry.body["customer_id"],
        "business_id": entry.owner.business_id,
    }
    if event.endswith("expiring"):
        body["expiration_timestamp"] = old_stamp(entry.hidden["expires_at"])
    return entry.owner, Notice(event=event, product=PRODUCT, product_id=entry.id, body=body)


def _account(sandbox: Sandbox, part: AccountPart, currency: str, stamp: str | None) -> dict[str, Any]:
    properties = part.channel_properties.given()
    number = part.channel_properties.virtual_account_number
    properties["virtual_account_number"] = number or account_number(part.channel_code, sandbox.chance)
    properties["expires_at"] = stamp
    if part.channel_properties.suggested_amount is not None:
        properties["suggested_amount"] = money(part.channel_properties.suggested_amount, currency)
    displays = part.alternative_display_types or []
    return {
        **{name: _money(getattr(part, name), currency) for name in ("amount", "min_amount", "max_amount")},
        "currency": currency,
        "channel_code": part.channel_code,
        "channel_properties": properties,
        "alternative_displays": [{"type": kind, "data": qr_string(sandbox.chance)} for kind in displays],
    }


def _counter(sandbox: Sandbox, part: CounterPart, currency: str, stamp: str | None) -> dict[str, Any]:
    code = part.channel_properties.payment_code or payment_code(CODE_PREFIX, sandbox.chance)
    return {
        "amount": _money(part.amount, currency),
        "currency": currency,
        "channel_code": part.channel_code,
        "channel_properties": {
            "customer_name": part.channel_properties.customer_name,
            "payment_code": code,
            "expires_at": stamp,
        },
    }


def _code(sandbox: Sandbox, part: CodePart, currency: str, stamp: str | None) -> dict[str, Any]:
    given = part.channel_properties.qr_string if part.channel_properties is not None else None
    return {
        "amount": _money(part.amount, currency),
        "currency": currency,
        "channel_code": part.channel_code or CHANNELS[QR_CODE][currency][0],
        "channel_properties": {"qr_string": given or qr_string(sandbox.chance), "expires_at": stamp},
    }


def _wallet(part: WalletPart) -> dict[str, Any]:
    return {
        "channel_code": part.channel_code,
        "channel_properties": part.given().get("channel_properties", {}),
        "account": {"name": None, "account_details": None, "balance": None, "point_balance": None},
    }


def _debit(sandbox: Sandbox, part: DebitPart) -> dict[str, Any]:
    properties = part.channel_properties
    by_card = properties.card_last_four is not None or properties.card_expiry is not None
    usual = DEBIT_CARD if by_card else BANK_REDIRECT if redirects(part.channel_code) else BANK_ACCOUNT
    kind = part.type or usual
    card = {
        name: getattr(properties, name)
        for name in ("mobile_number", "account_number", "card_last_four", "card_expiry", "email")
    }
    account = {
        "masked_bank_account_number": f"XXXXXX{sandbox.new_digits(4)}",
        "bank_account_hash": sandbox.new_hex(64),
    }
    return {
        "channel_code": part.channel_code,
        "channel_properties": properties.given(),
        "type": kind,
        "bank_account": account if kind == BANK_ACCOUNT else None,
        "debit_card": card if kind == DEBIT_CARD else None,
    }


def _card(sandbox: Sandbox, part: CardPart, currency: str) -> dict[str, Any]:
    properties = {"skip_three_d_secure": None, "success_return_url": None, "failure_return_url": None}
    return {
        "currency": currency,
        "channel_code": None,
        "channel_properties": properties | part.given().get("channel_properties", {}),
        "card_information": None if part.card_information is None else _plate(sandbox, part.card_information),
        "card_verification_results": None,
    }


def _plate(sandbox: Sandbox, card: CardInformation) -> dict[str, Any]:
    number = card.card_number
    masked = None if number is None else f"{number[:6]}{'X' * (len(number) - 10)}{number[-4:]}"
    network = next((name for start, name in _NETWORKS.items() if (number or "").startswith(start)), None)
    return {
        "token_id": card.token_id or sandbox.new_hex(),
        "masked_card_number": masked,
        "expiry_month": card.expiry_month,
        "expiry_year": card.expiry_year,
        "cardholder_name": card.cardholder_name,
        "fingerprint": sandbox.new_hex(),
        "type": "CREDIT",
        "network": network,
        "country": "ID",
        "issuer": None,
    }


def _money(amount: float | None, currency: str) -> int | float | None:
    return None if amount is None else money(amount, currency)


def _end_of(month: int, year: int) -> Instant:
    """Return when a month is over, whose year may be written short."""
    return month_end(month, year if year >= 2_000 else 2_000 + year)  # noqa: PLR2004 - the years meant
