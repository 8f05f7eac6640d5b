"""Transactions of a PostgreSQL database that holds the application's tables and the store's."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import Composable

from ringback.store import Statement
from ringback.store.effects import TransactionOver
from ringback.store.postgres.connection import SETTINGS, translated

CANCEL_SECONDS = 5.0
# What is committed includes "done": it must survive a crash as an acknowledgement does. Where the savepoint is gone in
# the end, somebody has ended the transaction that it was set in.
_BEGIN = b"SET LOCAL synchronous_commit = on; SAVEPOINT ringback_handler"
_STILL_OPEN = b"RELEASE SAVEPOINT ringback_handler"
_QUOTED = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$", re.DOTALL
)
_ENDS = re.compile(
    r"(?:^|;)\s*(?:COMMIT|END|ABORT|BEGIN|START\s+TRANSACTION|PREPARE\s+TRANSACTION"
    r"|ROLLBACK(?!\s+(?:WORK\s+|TRANSACTION\s+)?TO\b))\b",
    re.IGNORECASE,
)


class NotYours(psycopg.ProgrammingError):
    """A handler tried to begin or end its transaction; both are the worker's."""


class HandlerConnection(psycopg.Connection[Any]):
    """What a handler writes with: a connection of psycopg's whose transaction only its worker begins and ends."""

    over = False

    def commit(self) -> None:
        """Refuse: the end is the worker's."""
        raise NotYours("the worker commits when the handler has returned; return instead of calling commit()")

    def rollback(self) -> None:
        """Refuse: the end is the worker's."""
        raise NotYours(
            "the worker undoes what a handler wrote that raises; raise instead of calling rollback()"
        )

    def begin(self) -> None:
        """Begin a transaction."""
        self.over = False
        psycopg.Cursor(self).execute(_BEGIN)

    def end(self) -> None:
        """Commit; raises where the handler has ended the transaction in a way that was not noticed."""
        psycopg.Cursor(self).execute(_STILL_OPEN)
        super().commit()

    def undo(self) -> None:
        """Undo what was written, on whatever thread; where the server does not answer, by closing."""
        with contextlib.suppress(psycopg.Error):
            super().rollback()
        if self.info.transaction_status is not TransactionStatus.IDLE:
            self.close()


class _GuardedCursor(psycopg.Cursor[Any]):
    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        self._check(query)
        return super().execute(query, *arguments, **options)

    def executemany(self, query: Any, *arguments: Any, **options: Any) -> None:
        self._check(query)
        super().executemany(query, *arguments, **options)

    def stream(self, query: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
        self._check(query)
        return super().stream(query, *arguments, **options)

    def copy(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        self._check(statement)
        return super().copy(statement, *arguments, **options)

    def _check(self, query: bytes | str | Composable) -> None:
        connection = self.connection
        if isinstance(connection, HandlerConnection) and connection.over:
            raise TransactionOver
        text = query.as_string(connection) if isinstance(query, Composable) else query
        plain = _QUOTED.sub("", text if isinstance(text, str) else bytes(text).decode(errors="replace"))
        if _ENDS.search(plain):
            raise NotYours(
                "the transaction begins and ends with the handler; use tx.transaction() for a part of it"
            )


class PostgresTransaction:
    """One transaction, with the connection that a handler writes with."""

    def __init__(self, connection: HandlerConnection) -> None:
        self._connection = connection

    @property
    def tx(self) -> HandlerConnection:
        """See ``Effect``."""
        return self._connection

    def execute(self, statement: Statement) -> int:
        """See ``Effect``."""
        # PostgreSQL's texts hold every character but one.
        values = [
            value.replace("\0", "\N{SYMBOL FOR NULL}") if isinstance(value, str) else value
            for value in statement.values
        ]
        return self._connection.execute(translated(statement.text).encode(), values).rowcount

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """See ``Effect``. It has a loop of its own, which its statements may keep waiting."""
        with asyncio.Runner() as runner:
            return runner.run(coroutine)

    def give_up(self) -> None:
        """See ``Effect``. What the handler has locked is free again, although its thread may hang on."""
        self._connection.over = True
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=CANCEL_SECONDS)
        self._connection.undo()


def _leave_as_it_is(_: HandlerConnection) -> None:
    """Set nothing up."""


class PostgresEffects:
    """Transactions of one PostgreSQL database, each on a connection that no other has meanwhile.

    Args:
        url: Where the database is, as for the store.
        set_up: Prepares a new connection, such as with ``SET search_path``; outside a transaction.
    """

    def __init__(self, url: str, set_up: Callable[[HandlerConnection], object] = _leave_as_it_is) -> None:
        self._url = url
        self._set_up = set_up
        self._idle: list[HandlerConnection] = []

    @contextlib.contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        """See ``Effects``."""
        connection = self._begun()
        try:
            yield PostgresTransaction(connection)
            if connection.over:
                raise TransactionOver
            connection.end()
        finally:
            if not connection.closed and connection.info.transaction_status is not TransactionStatus.IDLE:
                connection.undo()
            if not connection.closed:
                self._idle.append(connection)

    def close(self) -> None:
        """See ``Effects``."""
        while self._idle:
            self._idle.pop().close()

    def _begun(self) -> HandlerConnection:
        """Return a connection in a new transaction; one that has broken since it was used last is replaced."""
        with contextlib.suppress(IndexError):  # there is none left
            while True:
                connection = self._idle.pop()
                try:
                    connection.begin()
                except psycopg.OperationalError:
                    connection.close()
                else:
                    return connection
        connection = self._connect()
        connection.begin()
        return connection

    def _connect(self) -> HandlerConnection:
        connection = HandlerConnection.connect(
            self._url, autocommit=True, **SETTINGS, application_name="ringback handler"
        )
        self._set_up(connection)
        connection.set_autocommit(False)
        connection.cursor_factory = _GuardedCursor
        return connection
