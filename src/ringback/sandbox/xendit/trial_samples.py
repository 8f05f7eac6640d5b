"""The fixed samples that "Test and save" sends, one for each slot: the same body every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.sandbox.xendit.catalog import PRODUCTS, entries, product_id, sample_of
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.slot_names import slot_of

# The identifiers that receivers know a test by, where they are known: the catalogue's sample with these values.
# Where none are known, the catalogue's sample is sent as it is.
_KNOWN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "invoice": (
        "invoice.paid",
        {
            "id": "579c8d61f23fa4ca35e52da4",
            "external_id": "invoice_123124123",
            "user_id": "5781d19b2e2385880609791c",
            "amount": 50000,
            "paid_amount": 50000,
            "initial_amount": 50000,
            "items": [],
            "bank_code": "PERMATA",
            "payment_channel": "PERMATA",
        },
    ),
    "fva_paid": (
        "fva.paid",
        {"external_id": "fixed-va-1487156410", "bank_code": "MANDIRI", "amount": 80000},
    ),
    "disbursement": (
        "disbursement.failed",
        {"id": "57e214ba82b034c325e84d6e", "external_id": "disbursement_123124123"},
    ),
    "ewallet": ("ewallet.capture", {"reference_id": "test-payload"}),
    "cards": ("credit_card.tokenization", {"external_id": "tokenization-callback-test"}),
    "payout": ("payout.succeeded", {"id": "disb-example"}),
}
# Slots for which the catalogue has no event get one that is near to theirs.
_NEAR = {
    "regional_ro_paid": "fpc.paid",
    "ph_disbursement": "disbursement.completed",
    "payment_request_completed": "payment.succeeded",
}


def sample_notice(slot: str, url: str) -> Notice:
    """Return the sample for a slot, as a notice that goes to *url* once."""
    event, values = _KNOWN.get(slot, (_NEAR.get(slot), {}))
    entry = next(
        one
        for one in entries().values()
        if one.event_type == event or (event is None and slot_of(one.event_type) == slot)
    )
    body = _with(sample_of(entry), values)
    return Notice(
        event=entry.event_type,
        product=PRODUCTS[entry.product],
        product_id=product_id(entry.event_type, body),
        body=body,
        url=url,
        test=True,
    )


def _with(body: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(body.get("data"), dict):
        return body | {"data": {**body["data"], **values}}
    return {**body, **values}
