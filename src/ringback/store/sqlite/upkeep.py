"""Forgetting in time, and the queue at a glance."""

from __future__ import annotations

from typing import Any

from ringback.model import Duration, Instant
from ringback.store import Inspection, Pruned, Statistics
from ringback.store.sql.counts import NOT_PAUSED
from ringback.store.sql.history import History
from ringback.store.sql.polling import Polling
from ringback.store.sql.tables import Many

COUNT_CEILING = 100_000
MAX_FAULTS = 20
_PARTS = (
    Many("DELETE FROM ringback_feed WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_terms WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_tag WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_attempt WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_delivery WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_message WHERE key IN ({rows})", "i"),
)


class Upkeep(History, Polling):
    """The verbs that keep house."""

    grain: Duration = 1

    def prune(self, before: Instant, cursor: int, limit: int) -> Pruned:
        """See ``Store``."""
        self.forget_unasked(before, limit)
        looked = self.rows(
            "SELECT m.key, m.created_at, EXISTS (SELECT 1 FROM ringback_delivery d WHERE d.message_key = m.key"
            " AND d.due_at IS NOT NULL) FROM ringback_message m WHERE m.key > ? ORDER BY m.key LIMIT ?",
            (cursor, limit),
        )
        old = [row for row in looked if row[1] < before]
        removed = [(row[0],) for row in old if not row[2]]
        if removed:
            self.execute("UPDATE ringback_removed SET message_key = max(message_key, ?)", removed[-1])
            for part in _PARTS:
                self.execute_rows(part, removed)
        more = len(old) == limit
        return Pruned(len(removed), old[-1][0] if more else None)

    def inspect(self) -> Inspection:
        """See ``Store``."""
        found = [str(row[0]) for row in self.rows(f"PRAGMA quick_check({MAX_FAULTS})")]
        return Inspection(faults=tuple(f"the file is damaged: {one}" for one in found if one != "ok"))

    def now(self) -> None:
        """See ``Store``: it has the machine's."""

    def statistics(self, now: Instant) -> Statistics:
        """See ``Store``."""
        waiting = self._count("due_at IS NOT NULL", [])
        past_due = self._count("due_at <= ?", [now], NOT_PAUSED)
        oldest = self.row(
            "SELECT min(due_at) FROM ringback_delivery INDEXED BY ringback_delivery_due"
            f" WHERE due_at <= ? AND {NOT_PAUSED}",
            (now,),
        )
        pages, size = self.row("PRAGMA page_count"), self.row("PRAGMA page_size")
        return Statistics(
            waiting=waiting,
            past_due=past_due,
            oldest_due_at=oldest[0] if oldest else None,
            size_bytes=pages[0] * size[0] if pages and size else 0,
        )

    def _count(self, condition: str, values: list[Any], meant: str = "true") -> int:
        found = self.row(
            "SELECT count(*) FROM (SELECT endpoint_key FROM ringback_delivery INDEXED BY ringback_delivery_due"
            f" WHERE {condition} LIMIT {COUNT_CEILING}) WHERE {meant}",
            values,
        )
        return int(found[0]) if found else 0
