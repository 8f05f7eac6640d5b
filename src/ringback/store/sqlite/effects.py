"""Transactions of an SQLite database that holds the application's tables and the store's."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from ringback.store import Statement
from ringback.store.effects import TransactionOver
from ringback.store.sqlite.connection import BEGIN, BUSY_TIMEOUT, patiently

# A handler's own "COMMIT" must not be taken for one of these, which Python keeps prepared by their text.
START, END, UNDO = f"{BEGIN} -- of ringback", "COMMIT -- of ringback", "ROLLBACK -- of ringback"


class _Guarded:
    """A connection whose transactions only its owner begins and ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._ours = False
        connection.set_authorizer(self._judge)

    def control(self, statement: str) -> None:
        """Begin or end a transaction."""
        self._ours = True
        try:
            self.connection.execute(statement)
        finally:
            self._ours = False

    def _judge(self, action: int, *_: str | None) -> int:
        denied = action == sqlite3.SQLITE_TRANSACTION and not self._ours
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


def _leave_as_it_is(_: sqlite3.Connection) -> None:
    """Set nothing up."""


class SQLiteTransaction:
    """What a handler writes with: ``execute`` and ``executemany``, as of ``sqlite3``.

    It begins at the first statement, so that a handler which calls an API first does not keep others from writing
    meanwhile. The end is the worker's: there is no ``commit``.
    """

    def __init__(self, guarded: _Guarded) -> None:
        self._guarded = guarded
        self._connection = guarded.connection
        self._given_up = False

    @property
    def tx(self) -> SQLiteTransaction:
        """See ``Effect``."""
        return self

    def execute(self, statement: str | Statement, values: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Run one statement; return its cursor, or for one of the store's how many rows it changed."""
        self.begin()
        if isinstance(statement, Statement):
            return self._connection.execute(statement.text, statement.values).rowcount
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        """Run one statement for each of *values*."""
        self.begin()
        return self._connection.executemany(statement, values)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """See ``Effect``. It stays on this thread, as the connection must."""
        with asyncio.Runner() as runner:
            return runner.run(coroutine)

    def give_up(self) -> None:
        """See ``Effect``. The thread that the handler hangs on is another; SQLite takes one at a time."""
        self._given_up = True
        self._connection.interrupt()
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._guarded.control(UNDO)

    def begin(self) -> None:
        """Take the right to write, unless this transaction has it."""
        if self._given_up:
            raise TransactionOver
        if not self._connection.in_transaction:
            # A transaction that reads first and writes later fails when another has written in between.
            patiently(lambda: self._guarded.control(START))


class SQLiteEffects:
    """Transactions of one SQLite file, on a connection for each thread.

    Args:
        path: The file.
        set_up: Prepares a new connection, such as with ``PRAGMA foreign_keys = ON``.
    """

    def __init__(self, path: str, set_up: Callable[[sqlite3.Connection], object] = _leave_as_it_is) -> None:
        self._path = path
        self._set_up = set_up
        self._local = threading.local()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[SQLiteTransaction]:
        """See ``Effects``."""
        guarded = self._connection()
        try:
            yield SQLiteTransaction(guarded)
            if guarded.connection.in_transaction:
                guarded.control(END)
        finally:
            if guarded.connection.in_transaction:
                guarded.control(UNDO)

    def close(self) -> None:
        """See ``Effects``: the connections go with their threads."""

    def _connection(self) -> _Guarded:
        guarded: _Guarded | None = getattr(self._local, "guarded", None)
        if guarded is None:
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT / 1000, isolation_level=None, check_same_thread=False
            )
            # What is committed here includes "done": it must survive a power cut as an acknowledgement does.
            connection.execute("PRAGMA synchronous = FULL")
            self._set_up(connection)
            # Only beginning to write can find another writing, and that waits by itself.
            connection.execute("PRAGMA busy_timeout = 0")
            guarded = self._local.guarded = _Guarded(connection)
        return guarded
