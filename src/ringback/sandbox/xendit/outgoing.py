"""Money that goes out, as its objects say: disbursements one by one and in batches, payouts v2 and v3, refunds."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.sandbox.xendit.fields import moment
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import major_units
from ringback.sandbox.xendit.movements import CASH, Line, Movement, movement_id, sent

# The ledger's kinds of it.
DISBURSEMENT, BATCH = "disbursement", "batch_disbursement"
PAYOUT, PAYOUT_V3 = "payout", "payout_v3"
REFUND = "refund"
INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
_STATUSES = {
    "COMPLETED": "SUCCESS",
    "SUCCEEDED": "SUCCESS",
    "FAILED": "FAILED",
    "REJECTED": "FAILED",
    "CANCELLED": "FAILED",
    "REVERSED": "REVERSED",
}
_RETURNED = frozenset({"FAILED", "REJECTED", "CANCELLED"})
_WALLETS = frozenset({"OVO", "DANA", "GOPAY", "LINKAJA", "SHOPEEPAY", "GCASH", "GRABPAY", "PAYMAYA", "MAYA"})


class Fate(msgspec.Struct, frozen=True):
    """What becomes of money that goes out, settled when it is accepted.

    Args:
        failure_code: Why it fails; None: it arrives.
        stays: It waits to be cancelled.
        reverses: It arrives and comes back.
    """

    failure_code: str | None = None
    stays: bool = False
    reverses: bool = False

    @property
    def unfunded(self) -> bool:
        """Whether there was too little money, so that none was taken."""
        return self.failure_code == INSUFFICIENT_BALANCE

    def hidden(self) -> dict[str, Any]:
        """Return what an entry hides of it."""
        return {"fate": msgspec.to_builtins(self)}


def fate_of(entry: Entry) -> Fate:
    """Return what becomes of an entry."""
    return msgspec.convert(entry.hidden["fate"], Fate)


def disbursement(entry: Entry) -> Movement:
    """Return the movement of a disbursement."""
    body = entry.body
    return _movement(
        entry,
        type="DISBURSEMENT",
        channel=body["bank_code"],
        account=entry.hidden["account_number"],
        reference=body["external_id"],
        currency="IDR",
        amount=body["amount"],
    )


def payout(entry: Entry) -> Movement:
    """Return the movement of a payout v2."""
    body = entry.body
    return _movement(
        entry,
        type="DISBURSEMENT",
        channel=body["channel_code"],
        account=body["channel_properties"]["account_number"],
        reference=body["reference_id"],
        currency=body["currency"],
        amount=body["amount"],
    )


def payout_v3(entry: Entry) -> Movement:
    """Return the movement of a payout v3: what it costs, in the currency that it is paid from."""
    body = entry.body
    account = body["recipient"]["account_details"]
    return _movement(
        entry,
        type="DISBURSEMENT",
        channel=account["routing_value_1"],
        account=account["account_number"],
        reference=body["reference_id"],
        currency=body["source_currency"],
        amount=major_units(body["source_amount"], body["source_currency"]),
    )


def batch(entry: Entry) -> Movement:
    """Return the movement of a batch: once it is done, of what arrived."""
    body, ended_at = entry.body, entry.hidden.get("ended_at")
    amount = body["total_uploaded_amount"] if ended_at is None else body["total_disbursed_amount"]
    status = "PENDING" if ended_at is None else "SUCCESS" if amount else "FAILED"
    plain = _movement(
        entry,
        type="BATCH_DISBURSEMENT",
        channel=None,
        account=None,
        reference=body["reference"],
        currency="IDR",
        amount=amount,
    )
    lines = () if ended_at is None else (Line(ended_at, CASH, -amount),)
    return msgspec.structs.replace(plain, status=status, category="BANK", lines=lines)


def refund(entry: Entry) -> Movement:
    """Return the movement of a refund, which takes its amount from the balance at once."""
    body, ended_at = entry.body, entry.hidden.get("ended_at")
    plain = _movement(
        entry,
        type="REFUND",
        channel=body["channel_code"],
        account=None,
        reference=body["reference_id"] or entry.id,
        currency=body["currency"],
        amount=body["amount"],
    )
    returned_at = ended_at if body["status"] in _RETURNED else None
    lines = sent(body["amount"], entry.created_at, ended_at, returned_at)
    category = "CARDS" if body["payment_method_type"] == "CARD" else body["payment_method_type"]
    return msgspec.structs.replace(plain, category=category, lines=lines)


def _movement(
    entry: Entry,
    *,
    type: str,  # noqa: A002 - the provider's name
    channel: str | None,
    account: str | None,
    reference: str,
    currency: str,
    amount: float,
) -> Movement:
    return Movement(
        id=movement_id(entry),
        serial=entry.serial,
        business_id=entry.owner.business_id,
        product_id=entry.id,
        type=type,
        status=_STATUSES.get(entry.body["status"], "PENDING"),
        category="EWALLET" if (channel or "").rpartition("_")[2] in _WALLETS else "BANK",
        channel=channel,
        account=account,
        reference=reference,
        currency=currency,
        amount=amount,
        incoming=False,
        created_at=entry.created_at,
        updated_at=moment(entry.body["updated"], "updated"),
        lines=_lines(entry, amount),
    )


def _lines(entry: Entry, amount: float) -> tuple[Line, ...]:
    if "fate" not in entry.hidden or fate_of(entry).unfunded:
        return ()
    ended_at = entry.hidden.get("ended_at")
    came_back = entry.body["status"] in _RETURNED
    returned_at = ended_at if came_back else entry.hidden.get("reversed_at")
    return sent(amount, entry.created_at, ended_at, returned_at)
