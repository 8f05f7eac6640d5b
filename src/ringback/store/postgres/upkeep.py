"""Forgetting in time, a day at once where that can be, and the queue at a glance."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from psycopg.errors import LockNotAvailable

from ringback.errors import StoreUnavailable
from ringback.model import Duration, Instant
from ringback.policy import DAY
from ringback.store import Pruned, Statistics
from ringback.store.postgres.connection import LOCK_TIMEOUT, array_literal
from ringback.store.postgres.database import MAKING_DAYS, Database, make_day
from ringback.store.postgres.days import PARTED, SERIAL_BITS, Day, day_named, day_of, first_key
from ringback.store.sql.counts import NOT_PAUSED
from ringback.store.sql.history import History
from ringback.store.sql.polling import Polling
from ringback.store.sql.tables import Many

COUNT_CEILING = 100_000
DAYS_AHEAD = 2
# A day with that many messages is counted by estimate.
LARGE = 200_000
PRUNING = MAKING_DAYS + 1  # the advisory lock of whoever removes
# What is not parted by days.
_BESIDE = ("ringback_event", "ringback_feed", "ringback_terms", "ringback_tag")
BESIDE_STEP = 5_000
_STEP = """
    SELECT message_key FROM {} WHERE message_key > ? AND message_key < ? ORDER BY message_key OFFSET ? LIMIT 1
"""
# Whoever asks for all of a table makes everyone wait who comes after: rather not for long, and no longer than it takes.
PATIENCE = (50, 100, 200)
_ALL_OF_THEM = ", ".join(f"ONLY {table}" for table, _ in PARTED)
_PARTS = tuple(
    Many(f"DELETE FROM {table} WHERE message_key IN ({{rows}})", "i")
    for table in (*_BESIDE, "ringback_attempt")
)
_DELIVERIES = Many(
    "DELETE FROM ringback_delivery WHERE message_key IN ({rows}) RETURNING endpoint_key, due_at, message_key",
    "i",
)
# What has been made due again since it was looked at.
_QUEUED = Many(
    "DELETE FROM ringback_queue WHERE (endpoint_key, due_at, message_key) IN ({rows})",
    "iii",
)
_MESSAGES = Many("DELETE FROM ringback_message WHERE key IN ({rows})", "i")
_LOOK = """
    SELECT m.key, EXISTS (
        SELECT 1 FROM ringback_delivery d WHERE d.message_key = m.key AND d.due_at IS NOT NULL
    ) FROM ringback_message m WHERE m.key > ? AND m.key < ? AND m.created_at < ? ORDER BY m.key LIMIT ?
"""
_DAYS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'ringback_message'::regclass ORDER BY c.relname
"""
_ESTIMATE = "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(?)"
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
# Whatever the queue says of a day that has no messages left, there is nothing to take.
_UNDER_WAY = """
    SELECT EXISTS (SELECT 1 FROM ringback_message WHERE key >= ? AND key < ?)
    AND EXISTS (SELECT 1 FROM ringback_unfinished WHERE message_key >= ? AND message_key < ?)
"""
# What is left of a day whose tables somebody has dropped by hand.
_STRANDED = f"""
    DELETE FROM ringback_queue
    WHERE message_key < ? AND message_key / {DAY << SERIAL_BITS} <> ALL (?::bigint[])
"""


class _InUse(Exception):  # noqa: N818 - named for what is the matter
    """Somebody holds on to a table."""


class _Free(Exception):  # noqa: N818 - named for what was found
    """Nobody does; what was held to find out is let go."""


class Upkeep(History, Polling, Database):
    """The verbs that keep house."""

    grain: Duration = DAY
    _failed_drops = 0

    def prune(self, before: Instant, cursor: int, limit: int) -> Pruned:
        """See ``Store``. A day that is over and at rest is dropped whole, whatever the *limit*."""
        self._make_days_ahead()
        if not self._is_alone():
            return Pruned(0, None, "another node is removing at this moment")
        self.forget_unasked(before, limit)
        days = self._days()
        if cursor == 0:
            numbers = array_literal("i", [day.number for day in days])
            self.execute(_STRANDED, (first_key(before), numbers))
        day = self._oldest_at_rest(days, before, cursor)
        return self._prune_rows(before, cursor, limit) if day is None else self._prune_day(day, cursor)

    def prune_by_age(self, table: str, before: Instant, cursor: int, limit: int) -> int | None:
        """See ``History``."""
        return super().prune_by_age(table, before, cursor, limit) if self._is_alone() else None

    def _is_alone(self) -> bool:
        """Tell whether no other node removes anything now; until this transaction ends, none will."""
        return bool(self.rows("SELECT pg_try_advisory_xact_lock(?)", (PRUNING,))[0][0])

    def _prune_rows(self, before: Instant, cursor: int, limit: int) -> Pruned:
        looked = self.rows(_LOOK, (cursor, first_key(before + 1), before, limit))
        removed = [(row[0],) for row in looked if not row[1]]
        for part in _PARTS:
            self.execute_rows(part, removed)
        gone = self.rows_for(_DELIVERIES, removed)
        self.execute_rows(_QUEUED, [row for row in gone if row[1] is not None])
        self.execute_rows(_MESSAGES, removed)
        return Pruned(len(removed), looked[-1][0] if len(looked) == limit else None)

    def _days(self) -> list[Day]:
        return [day_named(name.rpartition("_")[2]) for (name,) in self.rows(_DAYS)]

    def _oldest_at_rest(self, days: Sequence[Day], before: Instant, cursor: int) -> Day | None:
        """Return the first of the *days* after *cursor*, if it lies before an instant and has nothing under way."""
        day = next(
            (day for day in days if cursor < day.keys[1] - 1 and day.keys[1] <= first_key(before)), None
        )
        return None if day is None or self._is_under_way(day) else day

    def _is_under_way(self, day: Day) -> bool:
        return bool(self.rows(_UNDER_WAY, day.keys * 2)[0][0])

    def _prune_day(self, day: Day, cursor: int) -> Pruned:
        """Take a step of removing a day: first, some at a time, what lies beside its tables; when none is left, these.

        While somebody holds on to the tables, as a backup does, the day is left as it is.
        """
        try:
            if cursor < day.keys[0]:
                if not self._has_beside(day):
                    return self._drop(day)
                with contextlib.suppress(_Free), self._all_of_it():
                    raise _Free
        except _InUse:
            self._failed_drops += 1
            told = f"the tables of {day.name} are in use: by a backup, a long query or an open transaction"
            return Pruned(0, None, told)
        return Pruned(0, self._remove_beside(day, max(cursor, day.keys[0] - 1)))

    def _has_beside(self, day: Day) -> bool:
        looks = (
            f"EXISTS (SELECT 1 FROM {table} WHERE message_key >= ? AND message_key < ?)" for table in _BESIDE
        )
        return bool(self.rows(f"SELECT {' OR '.join(looks)}", day.keys * len(_BESIDE))[0][0])

    def _remove_beside(self, day: Day, after: int) -> int:
        """Remove what comes next after a key; return the key to go on after, which at the end is from the start."""
        end = day.keys[1]
        full = [self.row(_STEP.format(table), (after, end, BESIDE_STEP - 1)) for table in _BESIDE]
        reached = min((found[0] for found in full if found is not None), default=None)
        for table in _BESIDE:
            self.execute(
                f"DELETE FROM {table} WHERE message_key > ? AND message_key <= ?",
                (after, end - 1 if reached is None else reached),
            )
        return day.keys[0] - 1 if reached is None else int(reached)

    def _drop(self, day: Day) -> Pruned:
        table = f"ringback_message_{day.name}"
        # Where PostgreSQL has no estimate, there may be any number.
        count = self.rows(_ESTIMATE, (table,))[0][0]
        if count <= LARGE:
            some = f"SELECT 1 FROM {table} LIMIT {LARGE}"
            count = self.rows(f"SELECT count(*) FROM ({some}) AS counted")[0][0]
        with self._all_of_it():
            if self._is_under_way(day):
                # It was not when this began to wait: somebody has just had something sent again.
                return Pruned(0, None)
            self.execute(day.drop())
        self._failed_drops = 0
        return Pruned(int(count), day.keys[1] - 1)

    @contextlib.contextmanager
    def _all_of_it(self) -> Iterator[None]:
        """Have the whole of the parted tables to oneself; raises ``_InUse`` where that takes too long."""
        patience = PATIENCE[min(self._failed_drops, len(PATIENCE) - 1)]
        try:
            with self.transaction():
                self.execute(f"SET LOCAL lock_timeout = {patience}")
                self.execute(f"LOCK TABLE {_ALL_OF_THEM} IN ACCESS EXCLUSIVE MODE")
                yield
                self.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        except StoreUnavailable as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise _InUse from error
            raise

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
