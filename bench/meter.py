"""What PostgreSQL has done for so many messages: statements, commits, log, rows, index entries, processor time."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from bench.figures import Cost
from bench.postgres import Server

_COUNTS = """
    SELECT
        (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
            WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat_statements%'),
        (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()),
        pg_current_wal_insert_lsn() - '0/0'::pg_lsn,
        sum(n_tup_ins + n_tup_upd + n_tup_del), sum(n_tup_upd), sum(n_tup_hot_upd),
        sum((n_tup_ins + n_tup_upd - n_tup_hot_upd) * (
            SELECT count(*) FROM pg_index i WHERE i.indrelid = t.relid
        ))
    FROM pg_stat_user_tables t
"""


class Reading(msgspec.Struct, frozen=True):
    """The counters at one moment."""

    statements: float
    commits: float
    wal_bytes: float
    rows: float
    updates: float
    heap_only: float
    index_entries: float
    cpu_seconds: float


class Meter:
    """Reads the counters of one database."""

    def __init__(self, server: Server, url: str) -> None:
        self._server = server
        self._url = url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def read(self) -> Reading:
        """Return what has been counted so far."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            found: Any = connection.execute(_COUNTS).fetchone()
        return Reading(*map(float, found), cpu_seconds=self._server.cpu_seconds())

    def cost(self, before: Reading, messages: int) -> Cost:
        """Return what each of *messages* has cost since."""
        after, count = self.read(), max(messages, 1)

        def spent(name: str) -> float:
            return float(getattr(after, name) - getattr(before, name))

        return Cost(
            statements=spent("statements") / count,
            messages_per_commit=count / max(spent("commits"), 1),
            wal_bytes=spent("wal_bytes") / count,
            rows=spent("rows") / count,
            index_entries=spent("index_entries") / count,
            heap_only=spent("heap_only") / max(spent("updates"), 1),
            cpu_us=spent("cpu_seconds") * 1e6 / count,
        )
