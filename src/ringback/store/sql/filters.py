"""Which messages, deliveries and attempts are meant, as conditions with the values that go into them."""

from __future__ import annotations

from typing import Any

from ringback import ids
from ringback.model import Standing
from ringback.store import AttemptFilter, MessageFilter

STATUS_CLASS = 100
ID_STEP = 4
STANDING = {
    Standing.SUCCEEDED: "d.state = 'succeeded'",
    Standing.PENDING: "d.state = 'waiting' AND d.attempts = 0",
    Standing.SENDING: "d.state = 'leased' OR (d.state = 'waiting' AND d.attempts > 0)",
    Standing.FAILED: "d.state = 'failed'",
    Standing.CANCELLED: "d.state = 'cancelled'",
}
_HAS_TAG = "EXISTS (SELECT 1 FROM ringback_tag tagged WHERE tagged.message_key = m.key AND tagged.tag = ?)"

Conditions = list[tuple[str, list[Any]]]


def conditioned(query: str, values: list[Any], conditions: Conditions) -> tuple[str, list[Any]]:
    """Return a query that has a WHERE, and its values, with further conditions."""
    return (
        query + "".join(f" AND {condition}" for condition, _ in conditions),
        values + [value for _, more in conditions for value in more],
    )


def message_conditions(where: MessageFilter, in_channel: str) -> Conditions:
    """Return the conditions on messages ``m``."""
    return (
        span_conditions(where, "m.id", ids.MESSAGE)
        + _moment_conditions(where, "m.created_at")
        + _kind_conditions(where, in_channel)
    )


def attempt_conditions(where: AttemptFilter, in_channel: str) -> Conditions:
    """Return the conditions on attempts ``a`` at messages ``m``."""
    conditions = span_conditions(where, "a.id", ids.ATTEMPT) + _moment_conditions(where, "a.started_at")
    if where.ok is not None:
        conditions.append((f"a.kind {'=' if where.ok else '<>'} 'success'", []))
    if where.status_class is not None:
        least = where.status_class
        conditions.append(("a.status BETWEEN ? AND ?", [least, least + STATUS_CLASS - 1 if least else 0]))
    return conditions + _kind_conditions(where, in_channel)


def span_conditions(where: MessageFilter | AttemptFilter, column: str, kind: str) -> Conditions:
    """Return the conditions on ids that those on time come to: they use the index, but are only exact to 4 ms."""
    conditions: Conditions = []
    if where.before is not None:
        conditions.append((f"{column} < ?", [ids.earliest(kind, where.before + ID_STEP)]))
    if where.after is not None:
        conditions.append((f"{column} >= ?", [ids.earliest(kind, where.after)]))
    return conditions


def _moment_conditions(where: MessageFilter | AttemptFilter, column: str) -> Conditions:
    conditions: Conditions = []
    if where.before is not None:
        conditions.append((f"{column} < ?", [where.before]))
    if where.after is not None:
        conditions.append((f"{column} >= ?", [where.after]))
    return conditions


def _kind_conditions(where: MessageFilter | AttemptFilter, in_channel: str) -> Conditions:
    conditions: Conditions = []
    if where.event_types is not None:
        marks = ", ".join("?" * len(where.event_types))
        conditions.append((f"m.event_type IN ({marks})", list(where.event_types)))
    if where.channel is not None:
        conditions.append((in_channel, [where.channel]))
    if where.tag is not None:
        conditions.append((_HAS_TAG, [where.tag]))
    return conditions
