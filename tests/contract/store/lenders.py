"""Transactions of applications, one kind for each library whose connections publish: opened, used and ended alike."""

from __future__ import annotations

import contextlib
import inspect
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import apsw
import asyncpg
import django
import psycopg
import sqlalchemy
from django.conf import settings
from django.db import connections
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

if not settings.configured:
    settings.configure(SECRET_KEY="for tests only")
    django.setup()

ALIAS = "lender"


class Lent:
    """A transaction that is open on ``tx``; what does one thing to it is awaited, whatever the library."""

    def __init__(self, tx: Any, execute: Callable[[str], Any], commit: Any, rollback: Any) -> None:
        self.tx = tx
        self._execute = execute
        self._commit = commit
        self._rollback = rollback

    async def execute(self, statement: str) -> None:
        """Run a statement in it."""
        await _awaited(self._execute(statement))

    async def publish(self, outbox: Any, *arguments: Any, **options: Any) -> Any:
        """Publish in it."""
        return await outbox.publish(*arguments, tx=self.tx, **options)

    async def commit(self) -> None:
        """End it."""
        await _awaited(self._commit())

    async def rollback(self) -> None:
        """Undo it."""
        await _awaited(self._rollback())


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


Lender = Callable[[str], AbstractAsyncContextManager[Lent]]


# --- PostgreSQL --------------------------------------------------------------------------------------------


@asynccontextmanager
async def _psycopg(url: str) -> AsyncIterator[Lent]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        yield Lent(connection, connection.execute, connection.commit, connection.rollback)


@asynccontextmanager
async def _psycopg_async(url: str) -> AsyncIterator[Lent]:
    async with await psycopg.AsyncConnection.connect(
        url, cursor_factory=psycopg.AsyncRawCursor
    ) as connection:
        yield Lent(connection, connection.execute, connection.commit, connection.rollback)


@asynccontextmanager
async def _asyncpg(url: str) -> AsyncIterator[Lent]:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        transactions = [connection.transaction()]
        await transactions[0].start()

        async def end(how: str) -> None:
            # Others begin the next one by themselves.
            await getattr(transactions.pop(), how)()
            transactions.append(connection.transaction())
            await transactions[0].start()

        yield Lent(connection, connection.execute, lambda: end("commit"), lambda: end("rollback"))
        await transactions.pop().rollback()


# --- SQLAlchemy --------------------------------------------------------------------------------------------


def _engine_url(url: str, driver: str) -> sqlalchemy.URL:
    made = sqlalchemy.make_url(url)
    return made.set(drivername=f"{made.drivername.partition('+')[0]}+{driver}")


def _sqlalchemy(driver: str, kind: Any) -> Lender:
    @asynccontextmanager
    async def lend(url: str) -> AsyncIterator[Lent]:
        engine = sqlalchemy.create_engine(_engine_url(url, driver), poolclass=sqlalchemy.NullPool)
        with kind(engine) as tx:
            yield Lent(tx, lambda text: tx.execute(sqlalchemy.text(text)), tx.commit, tx.rollback)

    return lend


def _sqlalchemy_async(driver: str, kind: Any) -> Lender:
    @asynccontextmanager
    async def lend(url: str) -> AsyncIterator[Lent]:
        engine = create_async_engine(_engine_url(url, driver), poolclass=sqlalchemy.NullPool)
        async with kind(engine) as tx:
            yield Lent(tx, lambda text: tx.execute(sqlalchemy.text(text)), tx.commit, tx.rollback)

    return lend


# --- Django ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _django(url: str) -> AsyncIterator[Lent]:
    made = sqlalchemy.make_url(url)
    described = {"ENGINE": "django.db.backends.sqlite3", "NAME": made.database}
    if made.drivername == "postgresql":
        described["ENGINE"] = "django.db.backends.postgresql"
        described |= {"HOST": made.query.get("host", made.host), "USER": made.username}
    connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: described})[ALIAS]
    connection = connections[ALIAS]
    connection.set_autocommit(False)
    try:
        yield Lent(connection, _in_cursor(connection), connection.commit, connection.rollback)
    finally:
        connection.close()
        del connections[ALIAS]
        del connections.settings[ALIAS]


def _in_cursor(connection: Any) -> Callable[[str], None]:
    def execute(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return execute


# --- SQLite ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _sqlite3(url: str) -> AsyncIterator[Lent]:
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.row_factory = sqlite3.Row
        yield Lent(connection, connection.execute, connection.commit, connection.rollback)


@asynccontextmanager
async def _apsw(url: str) -> AsyncIterator[Lent]:
    with contextlib.closing(apsw.Connection(url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN")

        def end(how: str) -> None:
            # As above.
            connection.execute(how)
            connection.execute("BEGIN")

        yield Lent(connection, connection.execute, lambda: end("COMMIT"), lambda: end("ROLLBACK"))


POSTGRES: dict[str, Lender] = {
    "psycopg": _psycopg,
    "psycopg-async": _psycopg_async,
    "asyncpg": _asyncpg,
    "sqlalchemy-connection": _sqlalchemy("psycopg", lambda engine: engine.connect()),
    "sqlalchemy-session": _sqlalchemy("psycopg", Session),
    "sqlalchemy-async-connection": _sqlalchemy_async("asyncpg", lambda engine: engine.connect()),
    "sqlalchemy-async-session": _sqlalchemy_async("asyncpg", AsyncSession),
    "sqlalchemy-async-psycopg": _sqlalchemy_async("psycopg", AsyncSession),
    "django": _django,
}
SHARED: dict[str, Lender] = {
    "sqlite3": _sqlite3,
    "sqlalchemy-connection": _sqlalchemy("pysqlite", lambda engine: engine.connect()),
    "sqlalchemy-session": _sqlalchemy("pysqlite", Session),
    "sqlalchemy-async-session": _sqlalchemy_async("aiosqlite", AsyncSession),
    "django": _django,
}
LENDERS: dict[str, dict[str, Lender]] = {"postgres": POSTGRES, "shared": SHARED, "sqlite": {"apsw": _apsw}}
