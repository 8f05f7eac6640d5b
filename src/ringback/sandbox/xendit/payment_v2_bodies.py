"""Payments, version 2: the objects that are shown of them, and what is told.

Source: the ``payment.*`` and ``capture.*`` webhooks as the catalogue has them, and xendit-python 7.

In the ledger a payment is an entry of the kind ``PAYMENT``, whoever asked for it. What a refund or a list of
transactions needs of its body: ``id``, ``payment_request_id`` (None where somebody paid into a payment method without a
request), ``status`` (only ``SUCCEEDED`` is money received), ``amount`` (what was received; of a manual capture, the sum
of its captures), ``currency``, ``country``, ``reference_id``, ``customer_id``, ``payment_method`` (``type``, and under
the type's name in lower case the ``channel_code``), ``created`` and ``updated``. A request's entry is of the kind
``PAYMENT_REQUEST`` and names its payment, if there is one, in ``hidden["payment_id"]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.envelopes import by_length, envelope
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.payment_v2_channels import DIRECT_DEBIT

PAYMENT_REQUEST, PAYMENT, CAPTURE = "payment_request", "payment", "payment_capture"
REQUIRES_ACTION, PENDING, AWAITING_CAPTURE = "REQUIRES_ACTION", "PENDING", "AWAITING_CAPTURE"
SUCCEEDED, FAILED, CANCELED, EXPIRED = "SUCCEEDED", "FAILED", "CANCELED", "EXPIRED"
WAITING = frozenset({REQUIRES_ACTION, PENDING})
DATA_MISSING = "DATA_NOT_FOUND"
# Fields of a payment method that its payments and requests show.
_EMBEDDED = (
    *("id", "type", "reference_id", "description", "created", "updated", "card", "ewallet", "direct_debit"),
    *("over_the_counter", "virtual_account", "qr_code", "metadata", "reusability", "status"),
)
# The older products write times in this zone.
_SINGAPORE = timezone(timedelta(hours=8))
_OLD_STATUSES = {SUCCEEDED: "COMPLETED", FAILED: "FAILED"}

Told = tuple[Owner, Notice]


def embedded(method: Mapping[str, Any]) -> dict[str, Any]:
    """Return what payments and requests show of a payment method's body."""
    return {name: method[name] for name in _EMBEDDED} | {"direct_bank_transfer": None}


def channel_of(method: Mapping[str, Any]) -> str | None:
    """Return the code of a payment method's channel; cards have none."""
    part = method[method["type"].lower()] or {}
    code: str | None = part.get("channel_code")
    return code


def payment_body(
    payment_id: str, request: Mapping[str, Any], method: Mapping[str, Any], now: str
) -> dict[str, Any]:
    """Return a new payment, which is pending.

    Args:
        payment_id: Its id.
        request: The body of the request that asks for it, or what stands in for one.
        method: The body of the payment method.
        now: When it is made, as the provider writes times.
    """
    return {
        "id": payment_id,
        "payment_request_id": request["id"],
        "reference_id": request["reference_id"],
        "customer_id": request["customer_id"],
        "currency": request["currency"],
        "amount": request["amount"],
        "country": request["country"],
        "status": PENDING,
        "payment_method": embedded(method),
        "channel_properties": request["channel_properties"],
        "payment_detail": None,
        "failure_code": None,
        "description": request["description"],
        "created": now,
        "updated": now,
        "metadata": request["metadata"],
    }


def payment_told(event: str, payment: Entry, now: str) -> Told:
    """Return the notice of what happened to a payment.

    Args:
        event: Such as ``payment.succeeded``.
        payment: The payment's entry, as it is now.
        now: The present, as the provider writes times.
    """
    return told(event, "Payment", payment, now)


def capture_told(capture: Entry, now: str) -> Told:
    """Return the notice of how a capture ended."""
    return told(f"capture.{capture.body['status'].lower()}", "Capture", capture, now)


def told(event: str, product: str, entry: Entry, now: str) -> Told:
    """Return the notice of an object that shows its payment method; the log lists it under its request, if any."""
    data = entry.body | {"payment_method": by_length(entry.body["payment_method"])}
    body = envelope(event, entry.owner, now, data)
    return entry.owner, Notice(event=event, product=product, product_id=_asked_by(entry), body=body)


def old_debit_told(payment: Entry, old_id: str, now: Instant) -> list[Told]:
    """Return what the older direct debit product tells of a payment that has ended; nothing of other types.

    That payments of version 2 are told to its webhook setting, too, is our choice: nothing else here makes them.
    """
    body = payment.body
    method = body["payment_method"]
    if method["type"] != DIRECT_DEBIT:
        return []
    flat = {
        "event": "direct_debit.payment",
        "timestamp": old_stamp(now),
        "id": old_id,
        "reference_id": body["reference_id"],
        "channel_code": channel_of(method),
        "payment_method_id": method["id"],
        "currency": body["currency"],
        "amount": body["amount"],
        "description": body["description"],
        "status": _OLD_STATUSES[body["status"]],
        "failure_code": body["failure_code"],
        "metadata": body["metadata"],
        "business_id": payment.owner.business_id,
    }
    notice = Notice(
        event="direct_debit.payment", product="Direct debit", product_id=_asked_by(payment), body=flat
    )
    return [(payment.owner, notice)]


def old_stamp(instant: Instant) -> str:
    """Write an instant as the older products write times, such as ``2026-03-02T09:00:10+0800``."""
    return datetime.fromtimestamp(instant / 1_000, _SINGAPORE).strftime("%Y-%m-%dT%H:%M:%S%z")


def _asked_by(entry: Entry) -> str:
    """Return the id of the request behind a payment or a capture; without one, its own."""
    request_id: str | None = entry.body["payment_request_id"]
    return request_id or entry.id
