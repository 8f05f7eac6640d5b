"""Makes a sample's event a new one: ids that nobody has seen, in the old ids' forms, and times up to the present.

What is the same within a body stays the same: two fields that name one payment name one payment afterwards. Numbers
that the caller chooses, such as ``external_id``, stay as they are.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ringback.model import Instant

# The business whose events the samples are.
SAMPLE_BUSINESS = "64f1a2b3c4d5e6f708192a3b"
_ID = re.compile(
    r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|(?<![0-9a-z])[0-9a-f]{24}(?![0-9a-z])"
)
_TIME = re.compile(
    r"(?P<whole>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?P<fraction>\.\d+)?(?P<offset>Z|[+-]\d\d:?\d\d)"
)
_WHOLE = "%Y-%m-%dT%H:%M:%S"
# What has happened when an event is told; other times lie ahead, or bound a span.
_PAST = frozenset(
    {
        "approved_at",
        "capture_timestamp",
        "created",
        "created_at",
        "kyc_passed_at",
        "paid_at",
        "timestamp",
        "transaction_timestamp",
        "updated",
        "updated_at",
        "verified_at",
        "voided_at",
    }
)

Rewrite = Callable[[str], str]


def renewed(body: dict[str, Any], now: Instant, business_id: str, chance: random.Random) -> dict[str, Any]:
    """Return *body* as of an event that happens *now*.

    Args:
        body: Of a sample; not changed.
        now: The present instant.
        business_id: Whose event it is: takes the place of the samples' business.
        chance: Makes ids.
    """
    ids = _Ids(business_id, chance)
    enveloped = isinstance(body.get("data"), dict) and "created" in body
    told_of = body["data"] if enveloped else body
    latest = max(_past(told_of), default=None)
    later = timedelta() if latest is None else _moment(now) - latest

    def rewrite(text: str) -> str:
        time = _TIME.fullmatch(text)
        return ids.rewrite(text) if time is None else _moved(time, later)

    new: dict[str, Any] = _rewritten(body, rewrite)
    if enveloped:
        new["created"] = _as(_moment(now), body["created"])
    return new


class _Ids:
    def __init__(self, business_id: str, chance: random.Random) -> None:
        self._new = {SAMPLE_BUSINESS: business_id}
        self._chance = chance

    def rewrite(self, text: str) -> str:
        return _ID.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        old = found[0]
        if old not in self._new:
            self._new[old] = self._made() if found["uuid"] else f"{self._chance.getrandbits(96):024x}"
        return self._new[old]

    def _made(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


def _rewritten(value: Any, rewrite: Rewrite) -> Any:
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, dict):
        return {name: _rewritten(inner, rewrite) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rewritten(inner, rewrite) for inner in value]
    return value


def _past(value: Any, name: str = "") -> Iterator[datetime]:
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            yield from _past(inner, inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _past(inner)
    elif name in _PAST and isinstance(value, str) and (time := _TIME.fullmatch(value)):
        yield _read(time)


def _read(time: re.Match[str]) -> datetime:
    return datetime.fromisoformat(time[0])


def _moved(time: re.Match[str], later: timedelta) -> str:
    return _written(_read(time) + later, time)


def _as(moment: datetime, form: str) -> str:
    like = _TIME.fullmatch(form)
    return form if like is None else _written(moment, like)


def _written(moment: datetime, like: re.Match[str]) -> str:
    """Write a moment with as many digits, and in the same zone, as another was written."""
    local = moment.astimezone(_read(like).tzinfo)
    digits = len(like["fraction"] or "") - 1
    fraction = f".{local.microsecond:06d}{'0' * max(0, digits - 6)}"[: digits + 1] if digits > 0 else ""
    return f"{local.strftime(_WHOLE)}{fraction}{like['offset']}"


def _moment(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC)
