"""Forgetting in time, a day at once where that can be, and the queue at a glance."""

from __future__ import annotations

from ringback.errors import StoreUnavailable
from ringback.model import Duration, Instant
from ringback.policy import DAY
from ringback.store import Pruned, Statistics
from ringback.store.postgres.database import Database, make_day
from ringback.store.postgres.days import Day, day_named, day_of, first_key
from ringback.store.sql.counts import NOT_PAUSED
from ringback.store.sql.history import History
from ringback.store.sql.polling import Polling
from ringback.store.sql.tables import Many

COUNT_CEILING = 100_000
DAYS_AHEAD = 2
# A day with that many messages is counted by estimate.
LARGE = 200_000
_PARTS = (
    Many("DELETE FROM ringback_event WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_feed WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_terms WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_tag WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_attempt WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_delivery WHERE message_key IN ({rows})", "i"),
    Many("DELETE FROM ringback_message WHERE key IN ({rows})", "i"),
)
# What is not parted by days.
_BESIDE = ("ringback_event", "ringback_feed", "ringback_terms", "ringback_tag")
_LOOK = """
    SELECT m.key, EXISTS (
        SELECT 1 FROM ringback_delivery d WHERE d.message_key = m.key AND d.due_at IS NOT NULL
    ) FROM ringback_message m WHERE m.key > ? AND m.key < ? AND m.created_at < ? ORDER BY m.key LIMIT ?
"""
_DAYS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'ringback_message'::regclass ORDER BY c.relname
"""
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_UNDER_WAY = """
    SELECT EXISTS (SELECT 1 FROM ringback_queue WHERE message_key >= ? AND message_key < ?)
    OR EXISTS (SELECT 1 FROM ringback_unfinished WHERE message_key >= ? AND message_key < ?)
"""


class Upkeep(History, Polling, Database):
    """The verbs that keep house."""

    grain: Duration = DAY

    def prune(self, before: Instant, cursor: int, limit: int, *, receipts_before: Instant) -> Pruned:
        """See ``Store``. A day that is over and at rest is dropped whole, whatever the *limit*."""
        self._make_days_ahead()
        self.forget_unasked(before, limit)
        self.prune_by_age("ringback_idempotency", before, limit)
        self.prune_by_age("ringback_receipt", receipts_before, limit)
        day = self._oldest_day(before, cursor)
        if day is not None and (dropped := self._drop(day)) is not None:
            return Pruned(dropped, day.keys[1] - 1)
        return self._prune_rows(before, cursor, limit)

    def _prune_rows(self, before: Instant, cursor: int, limit: int) -> Pruned:
        looked = self.rows(_LOOK, (cursor, first_key(before + 1), before, limit))
        removed = [(row[0],) for row in looked if not row[1]]
        for part in _PARTS:
            self.execute_rows(part, removed)
        return Pruned(len(removed), looked[-1][0] if len(looked) == limit else None)

    def _oldest_day(self, before: Instant, cursor: int) -> Day | None:
        """Return the first day after *cursor* that lies before an instant and has nothing under way."""
        days = [day_named(name.rpartition("_")[2]) for (name,) in self.rows(_DAYS)]
        day = next(
            (day for day in days if cursor < day.keys[1] - 1 and day.keys[1] <= first_key(before)), None
        )
        return None if day is None or self.rows(_UNDER_WAY, day.keys * 2)[0][0] else day

    def _drop(self, day: Day) -> int | None:
        """Drop a day's partitions; return how many messages went, None where others are at work in them."""
        table = f"ringback_message_{day.name}"
        estimated = self.rows("SELECT reltuples::bigint FROM pg_class WHERE relname = ?", (table,))[0][0]
        count = estimated if estimated > LARGE else self.rows(f"SELECT count(*) FROM {table}")[0][0]
        try:
            with self.transaction():
                # Whoever asks for all of a table makes everyone wait who comes after: rather not for long.
                self.execute("SET LOCAL lock_timeout = '200ms'")
                for table in _BESIDE:
                    self.execute(f"DELETE FROM {table} WHERE message_key >= ? AND message_key < ?", day.keys)
                self.execute(day.drop())
                self.execute("SET LOCAL lock_timeout = 0")
        except StoreUnavailable:
            return None
        return int(count)

    def _make_days_ahead(self) -> None:
        now = self.now()
        for ahead in range(DAYS_AHEAD + 1):
            day = day_of(now + ahead * DAY)
            if day not in self.days:
                make_day(self, day)
                self.days.add(day)

    def now(self) -> Instant:
        """See ``Store``."""
        return int(self.rows(_NOW)[0][0])

    def statistics(self, now: Instant) -> Statistics:
        """See ``Store``."""
        oldest = self.rows(
            f"SELECT min(due_at) FROM ringback_unfinished WHERE due_at <= ? AND {NOT_PAUSED}", (now,)
        )
        size = self.rows("SELECT pg_database_size(current_database())")
        return Statistics(
            waiting=self._count("true", ()),
            past_due=self._count("due_at <= ?", (now,), NOT_PAUSED),
            oldest_due_at=oldest[0][0],
            size_bytes=size[0][0],
        )

    def _count(self, condition: str, values: tuple[Instant, ...], meant: str = "true") -> int:
        found = self.rows(
            "SELECT count(*) FROM (SELECT endpoint_key FROM ringback_unfinished"
            f" WHERE {condition} LIMIT {COUNT_CEILING}) AS counted WHERE {meant}",
            values,
        )
        return int(found[0][0])
