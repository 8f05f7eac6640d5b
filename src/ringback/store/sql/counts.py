"""How much is left over, counted through indexes and only so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback import ids
from ringback.model import Duration, Held, Instant
from ringback.store import CEILING, Census, Spell, Tally
from ringback.store.sql.catalog import Catalog

# What a paused endpoint keeps, or a poller, is not late.
NOT_PAUSED = (
    "endpoint_key NOT IN (SELECT key FROM ringback_endpoint WHERE state = 'paused' AND deleted_at IS NULL)"
)

# How many of some deliveries each endpoint of an application has, where it has any.
_BY_ENDPOINT = """
    SELECT id, amount FROM (
        SELECT e.id, (SELECT count(*) FROM (SELECT 1 FROM {deliveries} LIMIT {ceiling}) AS counted) AS amount
        FROM ringback_endpoint e WHERE e.application_key = ? AND e.deleted_at IS NULL
    ) AS of_each WHERE amount > 0
"""
_HELD = "SELECT 1 FROM ringback_message WHERE application_key = ? AND held = ?"
_DEAD = """
    SELECT 1 FROM ringback_endpoint e CROSS JOIN ringback_delivery d INDEXED BY ringback_delivery_unsent
    ON d.endpoint_key = e.key AND {unsent} AND d.state = 'failed'
    WHERE e.application_key = ?
"""

_CAME = """
    SELECT 1 FROM ringback_message
    WHERE application_key = ? AND id >= ? AND id < ? AND created_at >= ? AND created_at < ?
"""
_TRIED = """
    SELECT coalesce(sum(CASE WHEN kind = 'success' THEN 1 ELSE 0 END), 0), count(*) FROM ringback_attempt
    WHERE endpoint_key = ? AND id >= ? AND id < ? AND started_at >= ? AND started_at < ?
"""
_TRIED_BY_TIME = """
    SELECT (started_at - ?) / ? AS part, sum(CASE WHEN kind = 'success' THEN 1 ELSE 0 END),
        sum(CASE WHEN kind = 'discarded' THEN 1 ELSE 0 END), count(*)
    FROM ringback_attempt WHERE endpoint_key = ? AND id >= ? AND id < ? AND started_at >= ? AND started_at < ?
    GROUP BY 1 ORDER BY 1
"""
_OPEN = """
    SELECT coalesce(sum(CASE WHEN d.state = 'waiting' AND d.attempts = 0 THEN 1 ELSE 0 END), 0), count(*)
    FROM (SELECT message_key FROM {unfinished} LIMIT {ceiling}) AS u
    JOIN ringback_delivery d ON d.message_key = u.message_key AND d.endpoint_key = ?
    JOIN ringback_message m ON m.key = u.message_key
    WHERE m.created_at >= ? AND m.created_at < ?
"""
_CANCELLED = """
    SELECT 1 FROM ringback_delivery d INDEXED BY ringback_delivery_unsent
    CROSS JOIN ringback_message m ON m.key = d.message_key
    WHERE d.endpoint_key = ? AND {unsent} AND d.state = 'cancelled' AND m.created_at >= ? AND m.created_at < ?
"""
# Ids are exact to 4 ms: the instants decide, the ids make use of the index.
_ID_STEP = 4


class Counts(Catalog):
    """The verbs that count."""

    def tally(self, application_id: str, endpoint_id: str, since: Instant, until: Instant) -> Tally:
        """See ``Store``."""
        key, _, _ = self._endpoint_row(application_id, endpoint_id)
        bounds = ids.earliest(ids.ATTEMPT, since), ids.earliest(ids.ATTEMPT, until + _ID_STEP)
        succeeded, tried = self.rows(_TRIED, (key, *bounds, since, until))[0]
        unfinished = self.dialect.unfinished.replace("e.key", "?")
        waiting = _OPEN.format(unfinished=unfinished, ceiling=CEILING)
        pending, unrested = self.rows(waiting, (key, key, since, until))[0]
        return Tally(
            succeeded=int(succeeded),
            failed=int(tried - succeeded),
            pending=int(pending),
            sending=int(unrested - pending),
            cancelled=self._counted(_CANCELLED.format(unsent=self.dialect.unsent), (key, since, until)),
        )

    def attempts_by_time(
        self, application_id: str, endpoint_id: str, since: Instant, until: Instant, step: Duration
    ) -> list[Spell]:
        """See ``Store``."""
        key, _, _ = self._endpoint_row(application_id, endpoint_id)
        bounds = ids.earliest(ids.ATTEMPT, since), ids.earliest(ids.ATTEMPT, until + _ID_STEP)
        return [
            Spell(
                since=since + int(part) * step,
                succeeded=int(succeeded),
                failed=int(tried - succeeded - cancelled),
                cancelled=int(cancelled),
            )
            for part, succeeded, cancelled, tried in self.rows(
                _TRIED_BY_TIME, (since, step, key, *bounds, since, until)
            )
        ]

    def came(self, source_id: str, since: Instant, until: Instant) -> int:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        bounds = ids.earliest(ids.MESSAGE, since), ids.earliest(ids.MESSAGE, until + _ID_STEP)
        return self._counted(_CAME, (key, *bounds, since, until))

    def census(self, source_id: str) -> Census:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        return Census(
            waiting=self._by_endpoint(self.dialect.unfinished, key),
            retrying=self._by_endpoint(
                "ringback_delivery d INDEXED BY ringback_delivery_unsent"
                f" WHERE d.endpoint_key = e.key AND {self.dialect.unsent} AND d.state = 'waiting'",
                key,
            ),
            quarantined=self._counted(_HELD, (key, Held.QUARANTINED.value)),
            unhandled=self._counted(_HELD, (key, Held.UNHANDLED.value)),
            dead=self._counted(_DEAD.format(unsent=self.dialect.unsent), (key,)),
        )

    def _by_endpoint(self, deliveries: str, application_key: int) -> dict[str, int]:
        query = _BY_ENDPOINT.format(deliveries=deliveries, ceiling=CEILING)
        return dict(self.rows(query, (application_key,)))

    def _counted(self, query: str, values: Sequence[Any]) -> int:
        found = self.row(f"SELECT count(*) FROM ({query} LIMIT {CEILING}) AS counted", values)
        return int(found[0]) if found else 0
