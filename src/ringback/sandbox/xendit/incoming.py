"""Money that comes in, as the objects of the products that take payments say."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.model import Duration, Instant
from ringback.sandbox.xendit.fields import moment
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import plus
from ringback.sandbox.xendit.movements import Line, Movement, movement_id, settled
from ringback.sandbox.xendit.payment_channels import payment_channel

# The categories of the methods of payment; others are called like theirs.
_CATEGORIES = {
    "BANK_TRANSFER": "VIRTUAL_ACCOUNT",
    "POOL": "VIRTUAL_ACCOUNT",
    "CALLBACK_VIRTUAL_ACCOUNT": "VIRTUAL_ACCOUNT",
    "CREDIT_CARD": "CARDS",
    "QRIS": "QR_CODE",
}
_PAID = frozenset({"PAID", "SETTLED"})


def invoice(entry: Entry, settling: Duration) -> Movement | None:
    """Return the movement of an invoice that was paid, be it too late; None where it was not."""
    body = entry.body
    late = entry.hidden.get("late_payment")
    if body["status"] not in _PAID and late is None:
        return None
    payment = body if late is None else late
    method = payment["payment_method"]
    return _paid(
        entry,
        settling,
        paid_at=moment(payment["paid_at"], "paid_at"),
        product_id=payment["payment_id"],
        category=_CATEGORIES.get(method, method),
        channel=payment["payment_channel"],
        account=payment.get("payment_destination"),
        reference=body["external_id"],
        currency=body["currency"],
        amount=payment["paid_amount"],
        product_data={"payment_link_id": entry.id},
    )


def virtual_account_payment(entry: Entry, settling: Duration) -> Movement | None:
    """Return the movement of a transfer to a fixed account; None for one that paid an invoice, which tells of it."""
    body = entry.body
    if "invoice" in entry.hidden:
        return None
    return _paid(
        entry,
        settling,
        product_id=body["payment_id"],
        category="VIRTUAL_ACCOUNT",
        channel=body["bank_code"],
        account=body["account_number"],
        reference=body["external_id"],
        currency=body["currency"],
        amount=body["amount"],
    )


def payment_code_payment(entry: Entry, settling: Duration) -> Movement:
    """Return the movement of cash that was paid for a fixed payment code."""
    body = entry.body
    return _paid(
        entry,
        settling,
        product_id=body["payment_id"],
        category="RETAIL_OUTLET",
        channel=body["retail_outlet_name"],
        account=body["payment_code"],
        reference=body["external_id"],
        currency="IDR",
        amount=body["amount"],
    )


def qr_payment(entry: Entry, settling: Duration) -> Movement:
    """Return the movement of a scanned QR code, of either version."""
    body = entry.body
    return _paid(
        entry,
        settling,
        product_id=body["id"],
        category="QR_CODE",
        channel=body.get("channel_code", "QRIS"),
        account=None,
        reference=body.get("reference_id") or body["qr_code"]["external_id"],
        currency=body.get("currency", "IDR"),
        amount=body["amount"],
    )


def wallet_charge(entry: Entry, settling: Duration) -> Movement | None:
    """Return the movement of an e-wallet charge; None where its payer has done nothing yet."""
    return _charge(entry, settling, "EWALLET", entry.body["charge_amount"])


def paylater_charge(entry: Entry, settling: Duration) -> Movement | None:
    """Return the movement of a pay-later charge; None where its payer has done nothing yet."""
    return _charge(entry, settling, "PAYLATER", entry.body["amount"])


def payment_v3(entry: Entry, settling: Duration) -> Movement | None:
    """Return the movement of a payment v3; None where it is not decided, or ended without any money.

    One that is captured in parts settles in parts.
    """
    body = entry.body
    if body["status"] not in {"SUCCEEDED", "FAILED"}:
        return None
    captures = body["captures"]
    method = payment_channel(body["channel_code"], body["currency"]).method
    ids = {"payment_request_id": body["payment_request_id"]}
    plain = _paid(
        entry,
        settling,
        status="SUCCESS" if captures else "FAILED",
        product_id=entry.id,
        category=_CATEGORIES.get(method, method),
        channel=body["channel_code"],
        account=None,
        reference=body["reference_id"],
        currency=body["currency"],
        amount=plus(*(capture["capture_amount"] for capture in captures))
        if captures
        else body["request_amount"],
        product_data=ids | ({"capture_id": captures[-1]["capture_id"]} if captures else {}),
    )
    taken = [
        (capture["capture_amount"], moment(capture["capture_timestamp"], "captured")) for capture in captures
    ]
    lines = [line for amount, at in taken for line in settled(amount, at, at + settling)]
    settles_at = taken[-1][1] + settling if taken else None
    return msgspec.structs.replace(plain, lines=tuple(lines), settles_at=settles_at)


def _charge(entry: Entry, settling: Duration, category: str, amount: float) -> Movement | None:
    body = entry.body
    status = {"SUCCEEDED": "SUCCESS", "FAILED": "FAILED", "VOIDED": "VOIDED"}.get(body["status"])
    if status is None:
        return None
    return _paid(
        entry,
        settling,
        paid_at=entry.hidden.get("paid_at"),
        status=status,
        product_id=entry.id,
        category=category,
        channel=body["channel_code"],
        account=None,
        reference=body["reference_id"],
        currency=body["currency"],
        amount=amount,
    )


def _paid(
    entry: Entry,
    settling: Duration,
    *,
    paid_at: Instant | None = None,
    status: str = "SUCCESS",
    **fields: Any,
) -> Movement:
    at = entry.created_at if paid_at is None else paid_at
    settles_at = at + settling if status == "SUCCESS" else None
    lines: tuple[Line, ...] = () if settles_at is None else settled(fields["amount"], at, settles_at)
    return Movement(
        id=movement_id(entry),
        serial=entry.serial,
        business_id=entry.owner.business_id,
        type="PAYMENT",
        status=status,
        incoming=True,
        created_at=at,
        updated_at=_updated(entry, at),
        settles_at=settles_at,
        lines=lines,
        **fields,
    )


def _updated(entry: Entry, paid_at: Instant) -> Instant:
    updated = entry.body.get("updated")
    return paid_at if updated is None else max(paid_at, moment(updated, "updated"))
