"""Which copy of SQLite opens a file, and what the store asks of a connection.

A file of the store's own is opened with ``apsw``, which brings a recent SQLite. A file that an application has open
as well is opened with Python's ``sqlite3``, as the application does: two copies of SQLite in one process do not see
each other's locks, since POSIX gives locks to the process, and takes all of them away when one of its descriptors of
the file is closed. The file would be damaged ("How To Corrupt An SQLite Database File", section 2.2.1).
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import apsw

from ringback.errors import ConfigurationError

BUSY_TIMEOUT = 10_000
POLL_SECONDS = 0.0005
BEGIN = "BEGIN IMMEDIATE"
# One prepared statement for each number of rows, of the few statements that take many.
PREPARED = 512
# The first with STRICT tables.
OLDEST = (3, 37, 0)

FAILURES = (apsw.Error, sqlite3.Error)

T = TypeVar("T")


class SharedConnection:
    """A connection of Python's ``sqlite3`` under the names that ``apsw`` has for what the store does with one."""

    def __init__(self, path: str) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigurationError(
                f"Python's SQLite is {sqlite3.sqlite_version}; to share a file, Ringback needs"
                f" {'.'.join(map(str, OLDEST))} or later"
            )
        self._connection = sqlite3.connect(
            path,
            timeout=BUSY_TIMEOUT / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=PREPARED,
        )

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement, or several without values; return the cursor of the last."""
        if values or ";" not in statement:
            return self._connection.execute(statement, values)
        *others, last = _statements(statement)
        for other in others:
            self._connection.execute(other)
        return self._connection.execute(last)

    def changes(self) -> int:
        """Return how many rows the last statement changed."""
        return int(self._connection.execute("SELECT changes()").fetchone()[0])

    def data_version(self) -> int:
        """Return a number that changes when another connection has written."""
        return int(self.pragma("data_version"))

    def pragma(self, name: str, value: Any = None) -> Any:
        """Return what a pragma says, after setting it if there is a *value*."""
        setting = "" if value is None else f" = {value}"
        found = self._connection.execute(f"PRAGMA {name}{setting}").fetchone()
        return None if found is None else found[0]

    def close(self) -> None:
        """Close it."""
        self._connection.close()


Connection = apsw.Connection | SharedConnection


def connect(path: str, *, vfs: str | None = None, shared: bool = False) -> Connection:
    """Open a file, with the library that fits."""
    if shared:
        return SharedConnection(path)
    connection = apsw.Connection(path, vfs=vfs, statementcachesize=PREPARED)
    connection.set_busy_timeout(BUSY_TIMEOUT)
    return connection


def begin(execute: Callable[[str], object]) -> None:
    """Begin a transaction that writes, when whoever writes now has finished.

    SQLite's own waiting looks ever more rarely, up to ten times a second. Against a process that commits without a
    pause it would hardly ever get its turn.
    """
    patiently(lambda: execute(BEGIN))


@contextlib.contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """Write in one transaction, begun as ``begin`` does; an exception undoes it."""
    begin(connection.execute)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(*FAILURES):
            connection.execute("ROLLBACK")
        raise


def patiently(action: Callable[[], T]) -> T:
    """Do what cannot be done while another writes, as soon as it can be; wait for ``BUSY_TIMEOUT`` at most."""
    deadline = time.monotonic() + BUSY_TIMEOUT / 1000
    while True:
        try:
            return action()
        except FAILURES as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def _is_busy(error: Exception) -> bool:
    return (
        isinstance(error, apsw.BusyError) or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    )


def is_no_database(error: Exception) -> bool:
    """Tell whether a failure means that the file is not a SQLite database."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, apsw.NotADBError) or code == sqlite3.SQLITE_NOTADB


def is_out_of_reach(error: Exception) -> bool:
    """Tell whether a failure means that the file can be neither opened nor made."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, apsw.CantOpenError) or code == sqlite3.SQLITE_CANTOPEN


def _statements(text: str) -> Iterator[str]:
    whole = ""
    for part in text.split(";")[:-1] if text.rstrip().endswith(";") else text.split(";"):
        whole += part + ";"
        if sqlite3.complete_statement(whole):
            yield whole
            whole = ""
