"""Payloads in the shape of a payment provider's webhooks, with ids and times of their own for every run."""

from __future__ import annotations

import importlib.resources
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ringback.model import Instant

# Keys whose values name one payment or account; their hexadecimal parts are made afresh.
_IDENTITIES = frozenset({"id", "payment_id", "payment_method_id", "callback_virtual_account_id"})
_HEXADECIMAL = re.compile(r"[0-9a-f]{4,}")


class Sample(msgspec.Struct, frozen=True):
    """A webhook body as the provider documents it, its event type and what it tells."""

    event_type: str
    description: str
    body: dict[str, Any]


def samples() -> list[Sample]:
    """Return the samples that come with the package."""
    raw = importlib.resources.files(__package__ or "").joinpath("xendit_samples.json").read_bytes()
    return msgspec.json.decode(raw, type=list[Sample])


def fresh(sample: Sample, order: int, now: Instant) -> dict[str, Any]:
    """Return the body of *sample* as if it had happened at *now*, for order number *order*."""
    shift = _shift(sample, now)
    return {key: _fresh_value(key, value, order, shift) for key, value in sample.body.items()}


def _fresh_value(key: str, value: Any, order: int, shift: timedelta) -> Any:
    if not isinstance(value, str):
        return value
    if key in _IDENTITIES:
        return _HEXADECIMAL.sub(lambda part: secrets.token_hex(len(part[0]))[: len(part[0])], value)
    if key == "external_id":
        return f"{value.rpartition('-')[0]}-{order}"
    if key == "description":
        return f"Order {order}"
    moment = _moment(value)
    return value if moment is None else _written(moment + shift)


def _shift(sample: Sample, now: Instant) -> timedelta:
    moments = [moment for value in sample.body.values() if (moment := _moment(value)) is not None]
    return datetime.fromtimestamp(now / 1000, UTC) - max(moments)


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not value.endswith("Z"):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
