"""Taking one message although its endpoint is paused: the canary that is sent before all others flow again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from ringback.errors import Conflict
from ringback.model import Endpoint, EndpointState, Instant
from ringback.store import Lease, Work
from ringback.store.sql.line import taken
from ringback.store.sql.ordering import Ordering

# Among so many of those that wait is the oldest looked for.
LOOKED_AT = 1_000
# It waits, and for nothing but its endpoint or another attempt.
_MAY_GO = "d.state = 'waiting' AND (d.due_at <= ? OR d.attempts > 0)"
_OLDEST = f"""
    SELECT d.message_key FROM (
        SELECT u.message_key, u.endpoint_key FROM {{queue}} ORDER BY u.due_at LIMIT ?
    ) AS first CROSS JOIN ringback_delivery d
    ON d.message_key = first.message_key AND d.endpoint_key = first.endpoint_key
    WHERE {_MAY_GO} ORDER BY d.message_key LIMIT 1
"""
_FIRST = f"SELECT d.message_key FROM ringback_delivery d WHERE d.endpoint_key = ? AND d.message_key = ? AND {_MAY_GO}"


class PastPause(Ordering):
    """The verb that takes past a pause."""

    @abstractmethod
    def lease(self, works: Sequence[Work], lease: Lease) -> None:
        """Have deliveries be held under a lease."""

    def take_past_pause(
        self, application_id: str, endpoint_id: str, lease: Lease, now: Instant
    ) -> Work | None:
        """See ``Store``."""
        key, _, endpoint = self._endpoint_row(application_id, endpoint_id)
        if endpoint.state is not EndpointState.PAUSED:
            raise Conflict(
                f"the endpoint is {endpoint.state}; only past a pause does one message go by itself"
            )
        message_key = self._oldest(key, endpoint, now)
        if message_key is None:
            return None
        self.make_due(message_key, key, now)
        rows = self.rows_for(self.rows_in_order, [(message_key, key, now)])
        works = [taken(row, key, endpoint, lease) for row in rows]
        self.lease(works, lease)
        return works[0] if works else None

    def _oldest(self, key: int, endpoint: Endpoint, now: Instant) -> int | None:
        if not endpoint.in_order:
            row = self.row(self._of(_OLDEST), (key, LOOKED_AT, now))
        elif not self.claim(key):
            return None
        else:
            following, under_way = self.following(key, 1, now)
            if under_way or not following:
                return None
            row = self.row(_FIRST, (key, following[0][0], now))
        return None if row is None else int(row[0])
