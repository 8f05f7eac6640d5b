"""The provider's catalogue: every event that can be triggered, found by name, with a body like its sample."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from typing import Any

from ringback.providers import CatalogueEntry, catalogue
from ringback.providers.xendit import key_fields, subject_of
from ringback.sandbox.xendit.calls import INVALID, Refused
from ringback.sandbox.xendit.exact_json import decoded
from ringback.sandbox.xendit.field_kinds import kind_of
from ringback.sandbox.xendit.fields import invalid
from ringback.sandbox.xendit.slot_names import SLOTS, slot_of

PROVIDER = "xendit"
MISSING = "EVENT_NOT_FOUND_ERROR"
MAX_NAME = 200
# What the webhook log calls each product.
PRODUCTS = {
    "invoice": "Invoice",
    "virtual_account": "Virtual account",
    "retail_outlet_id": "Retail outlet",
    "ewallet": "E-wallet",
    "direct_debit": "Direct debit",
    "qr_code": "QR code",
    "paylater": "Paylater",
    "cards": "Cards",
    "disbursement": "Disbursement",
    "batch_disbursement": "Batch disbursement",
    "report": "Report",
    "payments_v2": "Payments v2",
    "refunds": "Refund",
    "payments_v3": "Payments v3",
    "payment_session": "Payment session",
    "recurring": "Recurring",
    "payouts_v2": "Payout",
    "payouts_v3": "Payout v3",
    "cross_border_payouts": "Cross-border payout",
    "xenplatform": "xenPlatform",
    "disputes": "Dispute",
    "bill_payments": "Bill payment",
}


@functools.cache
def entries() -> Mapping[str, CatalogueEntry]:
    """Return all entries by name, product by product."""
    return {entry.name: entry for entry in catalogue(PROVIDER)}


def entry_of(name: str) -> CatalogueEntry:
    """Return the entry of a name, such as ``invoice.paid`` or ``ewallet.capture:failed``.

    Raises:
        Refused: 404 ``EVENT_NOT_FOUND_ERROR``; the message names those that are near.
    """
    entry = entries().get(name)
    if entry is None:
        raise Refused(404, MISSING, f"there is no event {name[:MAX_NAME]} in the catalogue; {_near(name)}")
    return entry


def by_product() -> dict[str, list[CatalogueEntry]]:
    """Return the entries of each product, by its name for people."""
    grouped: dict[str, list[CatalogueEntry]] = {name: [] for name in PRODUCTS.values()}
    for entry in entries().values():
        grouped[PRODUCTS[entry.product]].append(entry)
    return grouped


def sample_of(entry: CatalogueEntry) -> dict[str, Any]:
    """Return the sample, for the caller to change; see ``exact_json`` for its numbers."""
    body: dict[str, Any] = decoded(entry.sample)
    return body


def product_id(event_type: str, body: Mapping[str, Any]) -> str:
    """Return the id of the object that a body tells of, as the webhook log shows it; empty without one."""
    subject = subject_of(body)
    named = (*key_fields(event_type)[0].split("|"), "id")
    ids = (value for name in named if isinstance(value := subject.get(name), str))
    return next(ids, "")


def read_body(raw: bytes) -> dict[str, Any]:
    """Return a body that somebody wrote.

    Raises:
        Refused: 400: it is not a JSON object.
    """
    try:
        body = decoded(raw)
    except ValueError as error:
        raise Refused(400, INVALID, f"the event's body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise invalid("the event's body must be a JSON object")
    return body


def entry_body(entry: CatalogueEntry) -> dict[str, Any]:
    """Return an entry as the list shows it."""
    slot = slot_of(entry.event_type)
    return {
        "name": entry.name,
        "event": entry.event_type,
        "product": PRODUCTS[entry.product],
        "shape": entry.shape,
        "certainty": entry.certainty,
        "slot": slot,
        "slot_label": SLOTS[slot],
        "note": entry.note or None,
    }


def details_body(entry: CatalogueEntry) -> dict[str, Any]:
    """Return what else there is to tell of an entry: its fields, its sample, and where this is known from."""
    kinds: Mapping[str, Any] = {path: kind_of(written) for path, written in entry.fields.items()}
    fields = [
        {"path": path, "type": str(kind), "required": kind.required, "remark": kind.remark or None}
        for path, kind in kinds.items()
    ]
    return {"source": entry.source, "fields": fields, "sample": sample_of(entry)}


def _near(name: str) -> str:
    near = difflib.get_close_matches(name[:MAX_NAME], entries(), n=4, cutoff=0.5)
    return (
        f"near to it: {', '.join(near)}"
        if near
        else f"it has {len(entries())}, such as {next(iter(entries()))}"
    )
