"""The line's verbs in SQLite's own words: leases ended and taken through one index of what is due."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.model import EndpointState, Instant
from ringback.policy import MAX_BEGUN, Step
from ringback.store import DueEndpoint, Lease, Quota, Work
from ringback.store.sql.intake import LEASED
from ringback.store.sql.line import ENDED, INSERT_ATTEMPTS, taken
from ringback.store.sql.ordering import FREE, ROWS_IN_ORDER, oldest_in_order
from ringback.store.sql.past_pause import PastPause
from ringback.store.sql.records import ENDPOINT_COLUMNS, endpoint_of
from ringback.store.sql.tables import Many, Row
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.intake import SQLiteIntake
from ringback.store.sqlite.rows import chunks

# Ends all of these leases or, if one of them is no longer held, none.
_SETTLE = Many(
    """
    WITH ended (message_key, endpoint_key, token, state, attempts, due_at, reason, tried) AS ({rows}),
    lost (count) AS MATERIALIZED (
        SELECT count(*) FROM ended LEFT JOIN ringback_delivery AS delivery
        ON delivery.message_key = ended.message_key AND delivery.endpoint_key = ended.endpoint_key
        AND delivery.lease_token = ended.token
        WHERE delivery.message_key IS NULL
    )
    UPDATE ringback_delivery AS delivery
    SET state = ended.state, attempts = ended.attempts, due_at = ended.due_at, reason = ended.reason,
        lease_token = NULL, begun = iif(ended.tried OR delivery.ordering_key IS NOT NULL, 0, delivery.begun)
    FROM ended
    WHERE delivery.message_key = ended.message_key
    AND delivery.endpoint_key = ended.endpoint_key
    AND delivery.lease_token = ended.token
    AND (SELECT count FROM lost) = 0
""",
    "iiitiito",
)
_LEASE = Many(
    """
    WITH taken (message_key, endpoint_key, due_at, token) AS ({rows})
    UPDATE ringback_delivery AS delivery
    SET state = 'leased', due_at = taken.due_at, lease_token = taken.token, reason = NULL
    FROM taken
    WHERE delivery.message_key = taken.message_key AND delivery.endpoint_key = taken.endpoint_key
""",
    "iiii",
)
_PUT_TO_REST = Many(
    """
    WITH taken (message_key, endpoint_key, state, reason) AS ({rows})
    UPDATE ringback_delivery AS delivery
    SET state = taken.state, due_at = NULL, lease_token = NULL, begun = 0, reason = taken.reason
    FROM taken
    WHERE delivery.message_key = taken.message_key AND delivery.endpoint_key = taken.endpoint_key
""",
    "iitt",
)
# Steps from endpoint to endpoint through the index instead of reading every row that is due. What waits for a
# deleted endpoint is for any worker to cancel, also where the endpoint stood for a handler.
_DUE = """
    WITH RECURSIVE active (endpoint_key) AS (
        SELECT (
            SELECT min(endpoint_key) FROM ringback_delivery INDEXED BY ringback_delivery_due
            WHERE due_at IS NOT NULL
        )
        UNION ALL
        SELECT (
            SELECT min(endpoint_key) FROM ringback_delivery INDEXED BY ringback_delivery_due
            WHERE endpoint_key > active.endpoint_key AND due_at IS NOT NULL
        )
        FROM active WHERE active.endpoint_key IS NOT NULL
    )
    SELECT e.id, CASE WHEN {free} THEN (
        SELECT min(due_at) FROM ringback_delivery INDEXED BY ringback_delivery_due
        WHERE endpoint_key = e.key AND due_at IS NOT NULL
    ) ELSE ({in_order}) END AS oldest, iif(e.deleted_at IS NULL, e.handler, NULL)
    FROM active CROSS JOIN ringback_endpoint e ON e.key = active.endpoint_key
    WHERE (e.state <> 'paused' OR e.deleted_at IS NOT NULL) AND oldest <= ?
    ORDER BY oldest LIMIT ?
"""
_TAKE = """
    SELECT d.message_key, d.state, d.attempts, d.trigger, m.id, m.event_type, m.payload, m.created_at,
        m.inbound, d.begun
    FROM ringback_delivery d INDEXED BY ringback_delivery_due
    CROSS JOIN ringback_message m ON m.key = d.message_key
    WHERE d.endpoint_key = ? AND d.due_at <= ?
    ORDER BY d.due_at LIMIT ?
"""


class SQLiteLine(SQLiteIntake, PastPause, Database):
    """The verbs of the line that SQLite has its own way of doing."""

    rows_in_order = ROWS_IN_ORDER

    # --- Settling -----------------------------------------------------------------------------------------

    def end_leases(self, ended: Sequence[Row], attempts: Sequence[Row]) -> list[bool]:
        """See ``Line``."""
        if attempts:
            self.execute_rows(INSERT_ATTEMPTS, attempts)
        if len({row[:2] for row in ended}) < len(ended):
            return [self._end_one(row) for row in ended]
        return [held for some in chunks(ended) for held in self._end_some(some)]

    def _end_some(self, ended: Sequence[Row]) -> list[bool]:
        # Almost always every lease is still held; only where one is not is each looked at alone.
        if self.execute_rows(_SETTLE, ended) == len(ended):
            return [True] * len(ended)
        return [self._end_one(row) for row in ended]

    def _end_one(self, ended: Row) -> bool:
        return self.execute_rows(_SETTLE, [ended]) == 1

    # --- Taking -------------------------------------------------------------------------------------------

    def due(self, now: Instant, limit: int) -> list[DueEndpoint]:
        """See ``Store``."""
        query = _DUE.format(free=FREE, in_order=oldest_in_order(self.dialect))
        return [DueEndpoint(*row) for row in self.rows(query, (now, limit))]

    def claim(self, endpoint_key: int) -> bool:
        """See ``Ordering``: whoever writes is alone."""
        del endpoint_key
        return True

    def take(self, quotas: Sequence[Quota], lease: Lease, now: Instant) -> list[Work]:
        """See ``Store``."""
        return [work for quota in quotas for work in self._take_for(quota, lease, now)]

    def _take_for(self, quota: Quota, lease: Lease, now: Instant) -> list[Work]:
        target = self.row(
            f"SELECT e.key, e.deleted_at, {ENDPOINT_COLUMNS} FROM ringback_endpoint e WHERE e.id = ?",
            (quota.endpoint_id,),
        )
        if target is None:
            return []
        key, deleted_at, *columns = target
        endpoint = endpoint_of(tuple(columns), self._vault)
        if deleted_at is None and endpoint.state is EndpointState.PAUSED:
            return []
        if deleted_at is None and endpoint.in_order and endpoint.state is EndpointState.ENABLED:
            works = self.take_in_order(key, endpoint, quota.limit, lease, now)
            self.lease(works, lease)
            return works
        found = self.rows(_TAKE, (key, now, quota.limit))
        if not found:
            return []
        self.mark_vanished([row for row in found if row[1] == LEASED], key, endpoint, now)
        if deleted_at is not None or endpoint.state is EndpointState.DISABLED:
            reason = "endpoint_deleted" if deleted_at is not None else "endpoint_disabled"
            self._put_to_rest(found, key, ENDED[Step.CANCEL], reason)
            return []
        deadly = [row for row in found if row[9] >= MAX_BEGUN]
        self._put_to_rest(deadly, key, ENDED[Step.EXHAUST], "crashed")
        living = [row for row in found if row[9] < MAX_BEGUN]
        works = [taken(row, key, endpoint, lease) for row in living]
        self.lease(works, lease)
        return works

    def lease(self, works: Sequence[Work], lease: Lease) -> None:
        """See ``PastPause``."""
        self.execute_rows(_LEASE, [(*work.key, lease.until, lease.token) for work in works])

    def _put_to_rest(self, rows: Sequence[Row], key: int, state: str, reason: str) -> None:
        self.execute_rows(_PUT_TO_REST, [(row[0], key, state, reason) for row in rows])
