"""Money that comes in, as the objects of the products that take payments say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ringback.model import Duration, Instant
from ringback.sandbox.xendit.fields import moment
from ringback.sandbox.xendit.ledger import Entry, Ledger
from ringback.sandbox.xendit.money import plus
from ringback.sandbox.xendit.movements import Line, Movement, movement_id, settled
from ringback.sandbox.xendit.payment_channels import payment_channel
from ringback.sandbox.xendit.payment_tokens import TOKEN
from ringback.sandbox.xendit.payment_v2_bodies import CAPTURE, channel_of

# The categories of the methods of payment; others are called like theirs.
_CATEGORIES = {
    "BANK_TRANSFER": "VIRTUAL_ACCOUNT",
    "POOL": "VIRTUAL_ACCOUNT",
    "CALLBACK_VIRTUAL_ACCOUNT": "VIRTUAL_ACCOUNT",
    "CREDIT_CARD": "CARDS",
    "QRIS": "QR_CODE",
    "CARD": "CARDS",
    "OVER_THE_COUNTER": "RETAIL_OUTLET",
}
_PAID = frozenset({"PAID", "SETTLED"})
_ENDS = {"SUCCEEDED": "SUCCESS", "FAILED": "FAILED", "VOIDED": "VOIDED"}


class Known(msgspec.Struct, frozen=True):
    """What a movement is read with: the other objects, and how long money takes to settle."""

    ledger: Ledger
    settling: Duration


def invoice(entry: Entry, known: Known) -> Movement | None:
    """Return the movement of an invoice that was paid, be it too late; None where it was not."""
    body = entry.body
    late = entry.hidden.get("late_payment")
    if body["status"] not in _PAID and late is None:
        return None
    payment = body if late is None else late
    method = payment["payment_method"]
    return _paid(
        entry,
        known,
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


def virtual_account_payment(entry: Entry, known: Known) -> Movement | None:
    """Return the movement of a transfer to a fixed account; None for one that paid an invoice, which tells of it."""
    body = entry.body
    if "invoice" in entry.hidden:
        return None
    return _paid(
        entry,
        known,
        product_id=body["payment_id"],
        category="VIRTUAL_ACCOUNT",
        channel=body["bank_code"],
        account=body["account_number"],
        reference=body["external_id"],
        currency=body["currency"],
        amount=body["amount"],
    )


def payment_code_payment(entry: Entry, known: Known) -> Movement:
    """Return the movement of cash that was paid for a fixed payment code."""
    body = entry.body
    return _paid(
        entry,
        known,
        product_id=body["payment_id"],
        category="RETAIL_OUTLET",
        channel=body["retail_outlet_name"],
        account=body["payment_code"],
        reference=body["external_id"],
        currency="IDR",
        amount=body["amount"],
    )


def qr_payment(entry: Entry, known: Known) -> Movement:
    """Return the movement of a scanned QR code, of either version."""
    body = entry.body
    return _paid(
        entry,
        known,
        product_id=body["id"],
        category="QR_CODE",
        channel=body.get("channel_code", "QRIS"),
        account=None,
        reference=body.get("reference_id") or body["qr_code"]["external_id"],
        currency=body.get("currency", "IDR"),
        amount=body["amount"],
    )


def wallet_charge(entry: Entry, known: Known) -> Movement | None:
    """Return the movement of an e-wallet charge; None where its payer has done nothing yet."""
    return _charge(entry, known, "EWALLET", entry.body["charge_amount"])


def paylater_charge(entry: Entry, known: Known) -> Movement | None:
    """Return the movement of a pay-later charge; None where its payer has done nothing yet."""
    return _charge(entry, known, "PAYLATER", entry.body["amount"])


def payment_v3(entry: Entry, known: Known) -> Movement | None:
    """Return the movement of a payment v3; None where it is not decided, or ended without any money.

    One that is captured in parts settles in parts.
    """
    body = entry.body
    if body["status"] not in {"SUCCEEDED", "FAILED"}:
        return None
    captures = [
        (capture["capture_amount"], moment(capture["capture_timestamp"], "captured"))
        for capture in body["captures"]
    ]
    method = payment_channel(body["channel_code"], body["currency"]).method
    ids = {"payment_request_id": body["payment_request_id"]}
    plain = _paid(
        entry,
        known,
        status=_ENDS[body["status"]],
        product_id=entry.id,
        category=_CATEGORIES.get(method, method),
        channel=body["channel_code"],
        account=None,
        reference=body["reference_id"],
        currency=body["currency"],
        amount=body["request_amount"],
        product_data=ids | ({"capture_id": body["captures"][-1]["capture_id"]} if captures else {}),
    )
    return _in_parts(plain, captures, known)


def payment_v2(entry: Entry, known: Known) -> Movement | None:
    """Return the movement of a payment v2; None where it is not decided. One that is captured settles in parts."""
    body = entry.body
    if body["status"] not in {"SUCCEEDED", "FAILED"}:
        return None
    method = body["payment_method"]
    plain = _paid(
        entry,
        known,
        paid_at=moment(body["updated"], "updated"),
        status=_ENDS[body["status"]],
        product_id=entry.id,
        category=_CATEGORIES.get(method["type"], method["type"]),
        channel=channel_of(method),
        account=None,
        reference=body["reference_id"],
        currency=body["currency"],
        amount=body["amount"],
    )
    captures = [
        (capture.body["captured_amount"], capture.created_at)
        for capture in reversed(known.ledger.entries(CAPTURE, entry.owner, payment_id=entry.id))
        if capture.body["status"] == "SUCCEEDED"
    ]
    return _in_parts(plain, captures, known)


def cycle(entry: Entry, known: Known) -> Movement | None:
    """Return the movement of a recurring plan's cycle; None where it has not ended, or without a charge."""
    body = entry.body
    if body["status"] not in {"SUCCEEDED", "FAILED"} or not body["attempt_details"]:
        return None
    attempt = body["attempt_details"][-1]
    token = known.ledger.get(TOKEN, attempt["payment_token_id"], entry.owner)
    channel = None if token is None else token.body["channel_code"]
    method = "OTHER" if channel is None else payment_channel(channel, body["currency"]).method
    return _paid(
        entry,
        known,
        paid_at=moment(body["updated"], "updated"),
        status=_ENDS[body["status"]],
        product_id=attempt["payment_id"],
        category=_CATEGORIES.get(method, method),
        channel=channel,
        account=None,
        reference=body["reference_id"],
        currency=body["currency"],
        amount=body["amount"],
    )


def _in_parts(movement: Movement, captures: Sequence[tuple[float, Instant]], known: Known) -> Movement:
    """Return a movement whose money was taken in parts, of each of which amount and time are given, if any."""
    if not captures:
        return movement
    lines = [line for amount, at in captures for line in settled(amount, at, at + known.settling)]
    return msgspec.structs.replace(
        movement,
        amount=plus(*(amount for amount, _ in captures)),
        settles_at=captures[-1][1] + known.settling,
        lines=tuple(lines),
    )


def _charge(entry: Entry, known: Known, category: str, amount: float) -> Movement | None:
    body = entry.body
    status = _ENDS.get(body["status"])
    if status is None:
        return None
    return _paid(
        entry,
        known,
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
    known: Known,
    *,
    paid_at: Instant | None = None,
    status: str = "SUCCESS",
    **fields: Any,
) -> Movement:
    at = entry.created_at if paid_at is None else paid_at
    settles_at = at + known.settling if status == "SUCCESS" else None
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
