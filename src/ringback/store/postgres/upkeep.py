"""Forgetting in time, days at once where that can be, and the queue at a glance."""

from __future__ import annotations

from ringback.model import Instant
from ringback.store import Pruned, Statistics
from ringback.store.postgres.database import Database
from ringback.store.postgres.days import first_key
from ringback.store.sql.history import History
from ringback.store.sql.tables import Many

COUNT_CEILING = 100_000
_PARTS = (
    Many("DELETE FROM ringback_event WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_attempt WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_delivery WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_message WHERE key IN ({rows})", "i"),
)
_LOOK = """
    SELECT m.key, EXISTS (
        SELECT 1 FROM ringback_delivery d WHERE d.message_key = m.key AND d.due_at IS NOT NULL
    ) FROM ringback_message m WHERE m.key > ? AND m.key < ? AND m.created_at < ? ORDER BY m.key LIMIT ?
"""


class Upkeep(History, Database):
    """The verbs that keep house."""

    def prune(self, before: Instant, cursor: int, limit: int, *, receipts_before: Instant) -> Pruned:
        """See ``Store``."""
        self.prune_by_age("ringback_idempotency", before, limit)
        self.prune_by_age("ringback_receipt", receipts_before, limit)
        looked = self.rows(_LOOK, (cursor, first_key(before + 1), before, limit))
        removed = [(row[0],) for row in looked if not row[1]]
        for part in _PARTS:
            self.execute_rows(part, removed)
        return Pruned(len(removed), looked[-1][0] if len(looked) == limit else None)

    def statistics(self, now: Instant) -> Statistics:
        """See ``Store``."""
        oldest = self.row(
            "SELECT min(due_at) FROM ringback_unfinished WHERE due_at <= ?",
            (now,),
        )
        size = self.row("SELECT pg_database_size(current_database())")
        return Statistics(
            waiting=self._count("true", ()),
            past_due=self._count("due_at <= ?", (now,)),
            oldest_due_at=oldest[0] if oldest else None,
            size_bytes=size[0] if size else 0,
        )

    def _count(self, condition: str, values: tuple[Instant, ...]) -> int:
        found = self.row(
            f"SELECT count(*) FROM (SELECT 1 FROM ringback_unfinished WHERE {condition} LIMIT {COUNT_CEILING})"
            " AS counted",
            values,
        )
        return int(found[0]) if found else 0
