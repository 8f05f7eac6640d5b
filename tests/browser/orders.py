"""What a shop publishes: the life of its orders, as events with payloads of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ringback.demo.payloads import fresh, samples
from ringback.model import iso

PAID = {sample.event_type: sample for sample in samples()}
CUSTOMERS = ("Ayu Lestari", "Budi Santoso", "Citra Dewi", "Dimas Pratama", "Eka Putri")
GOODS = (("Enamel kettle, 1.5 l", 275_000), ("Coffee from Toraja, 250 g", 92_500), ("Rattan tray", 148_000))


class Kind(NamedTuple):
    """An event type: what it tells, and what of an order is in its payload."""

    description: str
    told: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "invoice.paid": Kind("A customer has paid an invoice", ("external_id", "status")),
    "order.created": Kind("A customer has ordered", ("order", "placed_at", "customer", "lines", "total")),
    "virtual_account.paid": Kind("Money has arrived at a virtual account", ("amount", "bank_code")),
    "order.shipped": Kind("A parcel has left the warehouse", ("order", "shipped_at", "parcel")),
    "refund.paid": Kind("A customer has their money back", ("order", "paid_at", "total")),
}
# How often each happens: of twelve events in a row, these.
COURSE = (
    *["order.created", "invoice.paid", "order.shipped"] * 3,
    "virtual_account.paid",
    "invoice.paid",
    "refund.paid",
)


def event(kind: str, number: int, now: int) -> dict[str, Any]:
    """Return what is published when something happens to an order *now*."""
    return {
        "eventType": kind,
        "eventId": f"order-{number}-{kind}",
        "payload": payload(kind, number, now),
        "tags": ["checkout"],
    }


def payload(kind: str, number: int, now: int) -> dict[str, Any]:
    """Return what an event tells of an order."""
    if kind in PAID:
        return fresh(PAID[kind], number, now)
    goods, price = GOODS[number % len(GOODS)]
    count = 1 + number % 3
    known = {
        "order": f"NW-{number}",
        "customer": {"name": CUSTOMERS[number % len(CUSTOMERS)], "since": 2019 + number % 7},
        "lines": [{"goods": goods, "count": count, "price": price}],
        "total": {"amount": count * price, "currency": "IDR"},
        "parcel": {"carrier": "JNE", "code": f"JN{number * 7919 % 10**8:08}"},
    }
    return {key: known.get(key) or iso(now) for key in KINDS[kind].told}
