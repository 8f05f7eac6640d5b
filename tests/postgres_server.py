"""The PostgreSQL servers of the tests, started once in a run: a careless one in memory, and one that keeps its word."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import psycopg
from bench.postgres import DURABLE, Server
from psycopg import errors

from ringback.store.postgres.database import migrate
from ringback.store.postgres.days import day_of

MEMORY = Path("/dev/shm")
# What speeds up tests that are not about crashes.
CARELESS = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off", "max_connections": "300"}
# When most tests take place: their databases have the partitions of those days already.
USUAL_INSTANTS = (1_760_000_000_000, 1_772_452_800_000)
TEMPLATE = "ringback_template"
# How many databases a run keeps: more than any tests that share one make meanwhile, and few enough for the memory.
KEPT = 200


class Postgres(Server):
    """A server that makes databases with Ringback's tables, and drops those that no test looks at any more."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._made: deque[str] = deque()

    def new_database(self, template: str = TEMPLATE) -> str:
        """Make a database like another; return its address."""
        name = super().new_database(template)
        self._made.append(name)
        if len(self._made) > KEPT:
            self._drop(self._made.popleft())
        return self.url(name)

    def _drop(self, name: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            try:
                connection.execute(f"DROP DATABASE {name}")
            except errors.ObjectInUse:
                self._made.append(name)  # tests that share one are not done with it

    def dump(self, url: str) -> bytes:
        """Return everything a database keeps, as text."""
        command = [self.tool("pg_dump"), "--inserts", url]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def make_template(self) -> None:
        """Make the database that others are copies of."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(self.url(TEMPLATE))
        with psycopg.connect(self.url(TEMPLATE), autocommit=True) as connection:
            for instant in USUAL_INSTANTS:
                connection.execute(day_of(instant).make())


@functools.cache
def postgres_server() -> Postgres:
    """Return the server of this run that forgets what it has acknowledged when it crashes."""
    return _started(MEMORY if os.access(MEMORY, os.W_OK) else None, CARELESS)


@functools.cache
def durable_server() -> Postgres:
    """Return the server of this run that keeps what it has acknowledged, on a disk."""
    return _started(None, DURABLE)


def _started(where: Path | None, settings: dict[str, str]) -> Postgres:
    server = Postgres(Path(tempfile.mkdtemp(prefix="ringback-pg-", dir=where)), settings)
    atexit.register(server.stop)
    server.make_template()
    return server
