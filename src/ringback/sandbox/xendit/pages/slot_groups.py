"""The slots of the settings page in groups, so that a person finds one among many."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ringback.sandbox.xendit.slot_names import SLOTS
from ringback.sandbox.xendit.slots import Slot

GROUPS = {
    "Invoices": ("invoice",),
    "Virtual accounts and outlets": ("fva_status", "fva_paid", "ro_fpc_paid", "regional_ro_paid"),
    "Wallets, QR codes, cards and debits": (
        "ewallet",
        "qr_code",
        "paylater",
        "cards",
        "direct_debit",
        "payment_method",
    ),
    "Payments v2": (
        "payment_succeeded",
        "payment_pending",
        "payment_awaiting_capture",
        "payment_failed",
        "capture_succeeded",
        "capture_failed",
        "payment_request_completed",
        "payment_method_v2",
    ),
    "Payments v3": ("payments_v3", "payment_tokens", "payment_session"),
    "Refunds and subscriptions": ("refunds", "recurring"),
    "Payouts": (
        "disbursement",
        "ph_disbursement",
        "batch_disbursement",
        "payout",
        "payouts_v3",
        "cross_border_payouts",
    ),
    "Platform, disputes, bills and reports": ("xenplatform", "disputes", "bill_payments", "report"),
}


class SlotGroup(msgspec.Struct, frozen=True):
    """Slots under one heading, each with what it is called."""

    title: str
    slots: tuple[tuple[Slot, str], ...]

    @property
    def anchor(self) -> str:
        """Its name in an address."""
        return re.sub(r"\W+", "-", self.title.lower())

    @property
    def count(self) -> int:
        """How many have a URL."""
        return sum(slot.url is not None for slot, _ in self.slots)


def grouped(slots: Sequence[Slot]) -> list[SlotGroup]:
    """Return slots by group."""
    by_name = {slot.name: slot for slot in slots}
    return [
        SlotGroup(title, tuple((by_name[name], SLOTS[name]) for name in names))
        for title, names in GROUPS.items()
    ]
