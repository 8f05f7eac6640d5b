"""What payment requests and payments of the v3 API look like.

Source: the API's description at docs.xendit.co; fields that have no value are left out, as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.payment_drafts import (
    AUTOMATIC,
    REUSABLE,
    PaymentRequestDraft,
    Terms,
)

# What ``payment_request.expiry`` tells of a request.
EXPIRY_FIELDS = frozenset(
    {
        "payment_request_id",
        "reference_id",
        "business_id",
        "type",
        "status",
        "country",
        "currency",
        "request_amount",
        "channel_code",
        "channel_properties",
        "created",
        "updated",
    }
)
# What a payment has from its request.
_SHARED = (
    "business_id",
    "reference_id",
    "payment_request_id",
    "payment_token_id",
    "customer_id",
    "type",
    "country",
    "currency",
    "capture_method",
    "channel_code",
    "channel_properties",
    "metadata",
    "description",
)


def new_request(
    asked: Terms[PaymentRequestDraft], request_id: str, owner: Owner, *, created: str, expires: str | None
) -> dict[str, Any]:
    """Return a new payment request.

    Args:
        asked: What was asked for.
        request_id: Its id.
        owner: Whose it is.
        created: When it is made, as the provider writes times.
        expires: When it expires; None: not by itself.

    Raises:
        Refused: The amount is not good.
    """
    draft, properties = asked.draft, asked.properties
    if expires is not None:
        properties.setdefault("expires_at", expires)
    reusable = draft.type == REUSABLE
    body = {
        "business_id": owner.business_id,
        "reference_id": draft.reference_id,
        "payment_request_id": request_id,
        "payment_token_id": draft.payment_token_id,
        "customer_id": asked.customer_id,
        "type": draft.type,
        "country": draft.country,
        "currency": draft.currency,
        "request_amount": draft.amount(),
        "capture_method": draft.capture_method or AUTOMATIC,
        "channel_code": asked.channel.code,
        "channel_properties": properties,
        "actions": [],
        "status": "ACCEPTING_PAYMENTS" if reusable else "REQUIRES_ACTION",
        "description": draft.description,
        "metadata": draft.metadata,
        "items": draft.items,
        "shipping_information": draft.shipping_information,
        "created": created,
        "updated": created,
    }
    return {name: value for name, value in body.items() if value is not None}


def new_payment(request: Mapping[str, Any], payment_id: str, amount: float, created: str) -> dict[str, Any]:
    """Return a new payment of a request.

    Args:
        request: The request.
        payment_id: Its id.
        amount: How much is to be paid.
        created: When it is made, as the provider writes times.
    """
    shared = {name: request[name] for name in _SHARED if name in request}
    return {
        "payment_id": payment_id,
        **shared,
        "request_amount": amount,
        "captures": [],
        "status": "PENDING",
        "created": created,
        "updated": created,
    }
