"""Taking for endpoints that have their messages one after the other, in the order of acceptance.

A delivery's place is its message's key. All that such an endpoint is still to get has the same ordering key, so the
index by ordering keys tells what comes next, whatever becomes due when.
"""

from __future__ import annotations

from abc import abstractmethod

from ringback import policy
from ringback.model import Endpoint, Instant
from ringback.store import Lease, Work
from ringback.store.sql.catalog import UNNAMED
from ringback.store.sql.handling import Handling
from ringback.store.sql.intake import LEASED
from ringback.store.sql.line import taken
from ringback.store.sql.tables import Dialect, Many, Row

# No lease is longer: no attempt may take that long.
LONGEST_LEASE = 2 * policy.HOUR
# What was accepted by a node that did not know yet of the order, found where it is among the first that are due.
_TAKE_IN = f"""
    UPDATE ringback_delivery SET ordering_key = '{UNNAMED}'
    WHERE endpoint_key = ? AND ordering_key IS NULL AND due_at IS NOT NULL AND message_key IN (
        SELECT u.message_key FROM {{queue}} AND u.due_at <= ? ORDER BY u.due_at LIMIT ?
    )
"""
_NEXT = f"""
    SELECT message_key, due_at FROM ringback_delivery INDEXED BY ringback_delivery_ordered
    WHERE endpoint_key = ? AND {{live_key}} = '{UNNAMED}' AND {{live}} ORDER BY message_key LIMIT ?
"""
_UNDER_WAY = """
    SELECT 1 FROM {queue} AND u.due_at > ? AND u.due_at <= ? AND EXISTS (
        SELECT 1 FROM ringback_delivery d
        WHERE d.message_key = u.message_key AND d.endpoint_key = u.endpoint_key AND d.state = 'leased'
    ) LIMIT 1
"""
# The deliveries named by their keys, as ``taken`` has them, unless they are not due any more.
ROWS_IN_ORDER = Many(
    """
    WITH wanted (message_key, endpoint_key, now) AS ({rows})
    SELECT d.message_key, d.state, d.attempts, d.trigger, m.id, m.event_type, m.payload, m.created_at, m.inbound,
        d.begun
    FROM wanted CROSS JOIN ringback_delivery d
    ON d.message_key = wanted.message_key AND d.endpoint_key = wanted.endpoint_key
    CROSS JOIN ringback_message m ON m.key = d.message_key
    WHERE d.due_at <= wanted.now
    """,
    "iii",
)
# That whatever is due at the endpoint `e` may be taken: it has no order, or all that is left is to cancel what waits.
FREE = "e.key NOT IN (SELECT endpoint_key FROM ringback_in_order) OR e.state = 'disabled' OR e.deleted_at IS NOT NULL"
_OLDEST = f"""
    SELECT min(first.due_at) FROM (
        SELECT * FROM (
            SELECT due_at FROM ringback_delivery INDEXED BY ringback_delivery_ordered
            WHERE endpoint_key = e.key AND {{live_key}} = '{UNNAMED}' AND {{live}} ORDER BY message_key LIMIT 1
        ) AS head UNION ALL
        SELECT longest.due_at FROM (
            SELECT u.due_at, u.message_key FROM {{queue}} ORDER BY u.due_at LIMIT 1
        ) AS longest CROSS JOIN ringback_delivery d
        ON d.message_key = longest.message_key AND d.endpoint_key = e.key AND d.ordering_key IS NULL
    ) AS first
"""


def oldest_in_order(dialect: Dialect) -> str:
    """Return a query for when what comes next at the endpoint ``e``, which has an order, may be taken.

    That is the first in order, or one that is not in the order yet.
    """
    return _OLDEST.format(live=dialect.live, live_key=dialect.live_key, queue=dialect.queue)


class Ordering(Handling):
    """The part of ``take`` that heeds the order of acceptance."""

    # As ROWS_IN_ORDER, locked against others where the database has locks.
    rows_in_order: Many

    @abstractmethod
    def claim(self, endpoint_key: int) -> bool:
        """Have nobody else take for an endpoint until this transaction ends; tell whether that could be had at once."""

    def take_in_order(
        self, key: int, endpoint: Endpoint, limit: int, lease: Lease, now: Instant
    ) -> list[Work]:
        """Return what of an endpoint may be attempted now, in order; it is for the caller to lease it."""
        if not self.claim(key):
            return []
        following, under_way = self.following(key, limit, now)
        turn = following[: policy.in_turn([row[1] for row in following], now, under_way=under_way)]
        found = {
            row[0]: row for row in self.rows_for(self.rows_in_order, [(row[0], key, now) for row in turn])
        }
        rows: list[Row] = []
        for message_key, _ in turn:
            if message_key not in found:
                # Somebody else is at it: what comes later waits for what becomes of it.
                break
            rows.append(found[message_key])
        self.mark_vanished([row for row in rows if row[1] == LEASED], key, endpoint, now)
        return [taken(row, key, endpoint, lease) for row in rows]

    def following(self, key: int, limit: int, now: Instant) -> tuple[list[Row], bool]:
        """Return what comes next in order, each with when it is due, and whether an attempt may be under way."""
        self.execute(self._of(_TAKE_IN), (key, key, now, limit))
        under_way = self.row(self._of(_UNDER_WAY), (key, now, now + LONGEST_LEASE)) is not None
        return self.rows(self._of(_NEXT), (key, limit)), under_way

    def _of(self, query: str) -> str:
        dialect = self.dialect
        queue = dialect.queue.replace("e.key", "?")
        return query.format(live=dialect.live, live_key=dialect.live_key, queue=queue)
