"""The database file: connections, transactions, migrations and checkpoints."""

from __future__ import annotations

import contextlib
import importlib.resources
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from ringback.errors import ConfigurationError, StoreIncompatible, StoreUnavailable
from ringback.store.sql.tables import Row
from ringback.store.sqlite.connection import (
    FAILURES,
    Connection,
    SharedConnection,
    begin,
    connect,
    is_no_database,
    is_out_of_reach,
    patiently,
    writing,
)
from ringback.store.sqlite.rows import Rows
from ringback.vault import Vault

APPLICATION_ID = 0x52494E47
PREFIX = "ringback_"
MIGRATIONS = f"{PREFIX}migration"
# What the table was called in the first schema.
FIRST_MIGRATIONS = "migration"
CHECKPOINT_PAGES = 1_000
SYNCHRONOUS_FULL = 2
FOLDER = "is it in a folder that is there and may be written?"


class Database(Rows):
    """One writer connection and a reader per thread that reads; see ``SQLiteStore`` for the arguments."""

    def __init__(
        self,
        path: str,
        vault: Vault,
        entropy: Callable[[int], bytes],
        *,
        vfs: str | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__(vault, entropy)
        self._path = path
        self._vfs = vfs
        self._shared = shared
        self._checkpointed = 0
        self._depth = 0
        self._owner = 0
        self._local = threading.local()
        self._readers: list[Connection] = []
        # Held by the one who listens, who is to end before the file is closed.
        self.listening = threading.Lock()
        self.closing = threading.Event()
        self._writer = self._open()
        self._place = self._find()

    # --- Statements ---------------------------------------------------------------------------------------

    def execute(self, statement: str, values: Sequence[Any] = ()) -> object:
        """Run one statement on the writer inside a transaction, on this thread's reader outside."""
        try:
            return self._connection().execute(statement, values)
        except FAILURES as error:
            raise unavailable(error) from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query."""
        try:
            return self._connection().execute(statement, values).fetchall()
        except FAILURES as error:
            raise unavailable(error) from error

    def changes(self) -> int:
        """Return how many rows the last statement changed."""
        return self._writer.changes()

    # --- Transactions -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction, or inside one a savepoint; an exception undoes what was done inside."""
        commit, rollback = self._begin()
        self._owner = threading.get_ident()
        self._depth += 1
        try:
            yield
            self._run(commit)
            self._check_place()
        except BaseException:
            self.undone()
            with contextlib.suppress(*FAILURES):
                # After some failures SQLite has rolled back by itself, and says so here.
                self._writer.execute(rollback)
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self._owner = 0

    def _begin(self) -> tuple[str, str]:
        """Begin a transaction or a part of one; return how it is ended and how it is undone."""
        if self._depth:
            self._run("SAVEPOINT part")
            return "RELEASE part", "ROLLBACK TO part; RELEASE part"
        try:
            begin(self._writer.execute)
        except FAILURES as error:
            raise unavailable(error) from error
        return "COMMIT", "ROLLBACK"

    def _find(self) -> tuple[int, int] | None:
        try:
            found = Path(self._path).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _check_place(self) -> None:
        # What is committed to a file that has been removed is gone when that is closed, and SQLite does not say so.
        if self._place is not None and self._find() != self._place:
            raise StoreUnavailable(
                f"{self._path} was removed or replaced while it was open; restart to use the file that is there now"
            )

    def checkpoint(self) -> None:
        """Move the log's pages into the database file when there are many; failing is left for next time."""
        if isinstance(self._writer, SharedConnection):
            # The application's commits fill the log, too: there, SQLite moves it by itself.
            return
        written, _ = self._writer.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)
        if written - self._checkpointed >= CHECKPOINT_PAGES:
            self._checkpointed = written
            with contextlib.suppress(apsw.Error):
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def data_version(self) -> int:
        """See ``Rows``."""
        return self._writer.data_version()

    def free_space(self) -> int | None:
        """See ``Store``."""
        try:
            return shutil.disk_usage(Path(self._path).absolute().parent).free
        except OSError:
            return None

    def close(self) -> None:
        """Close every connection; the last one leaves no log behind."""
        self.closing.set()
        with self.listening:
            pass
        for connection in (*self._readers, self._writer):
            connection.close()

    # --- Connections --------------------------------------------------------------------------------------

    def _connection(self) -> Connection:
        if self._owner == threading.get_ident():
            return self._writer
        reader = getattr(self._local, "connection", None)
        if reader is None:
            reader = connect(self._path, vfs=self._vfs, shared=self._shared)
            reader.execute("PRAGMA query_only = ON")
            self._local.connection = reader
            self._readers.append(reader)
        return reader

    def _run(self, statement: str) -> None:
        try:
            self._writer.execute(statement)
        except FAILURES as error:
            raise unavailable(error) from error

    def _open(self) -> Connection:
        try:
            connection = connect(self._path, vfs=self._vfs, shared=self._shared)
            self._check_kind(connection)
            _make_durable(connection)
            # From now on only beginning to write can find another writing, and that waits by itself.
            connection.pragma("busy_timeout", 0)
            self._migrate(connection)
        except FAILURES as error:
            if is_no_database(error):
                raise StoreIncompatible(f"{self._path} is not a SQLite database; name another file") from None
            advice = f"; {FOLDER}" if is_out_of_reach(error) else ""
            raise ConfigurationError(f"cannot use {self._path} as a store: {error}{advice}") from error
        return connection

    def _check_kind(self, connection: Connection) -> None:
        tables = tables_of(connection)
        table = migrations_table(connection, tables)
        if tables and table is None and not self._shared:
            raise StoreIncompatible(f"{self._path} belongs to another program; name another file")
        schema = 0 if table is None else schema_in(connection, table)
        if schema > len(migrations()):
            raise StoreIncompatible(
                f"{self._path} was written by a newer Ringback (schema {schema}, this one knows "
                f"{len(migrations())}); upgrade Ringback or name another file"
            )

    def _migrate(self, connection: Connection) -> None:
        # Who publishes in a transaction of the application may have begun it already: nobody else can write then.
        if MIGRATIONS in tables_of(connection) and schema_in(connection, MIGRATIONS) == len(migrations()):
            return
        # Two nodes may start at once: the second waits here and finds the work done.
        with writing(connection):
            if migrations_table(connection, tables_of(connection)) == FIRST_MIGRATIONS:
                _add_prefix(connection)
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {MIGRATIONS}"
                " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
            )
            done = schema_in(connection, MIGRATIONS)
            for version, (name, statements) in enumerate(migrations(), 1):
                if version > done:
                    connection.execute(statements)
                    connection.execute(
                        f"INSERT INTO {MIGRATIONS} VALUES (?, ?, ?)", (version, name, int(time.time() * 1000))
                    )
            # A database that is shared may be opened later by somebody who is not told so.
            if not self._shared and not done:
                connection.pragma("application_id", APPLICATION_ID)


def _add_prefix(connection: Connection) -> None:
    """Rename all that the first version made; in its files there was nothing else."""
    for name in tables_of(connection):
        if not name.startswith(PREFIX):
            connection.execute(f"ALTER TABLE {name} RENAME TO {PREFIX}{name}")
    made = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    for index, statement in connection.execute(made).fetchall():
        connection.execute(f"DROP INDEX {index}")
        connection.execute(str(statement).replace(f"INDEX {index} ", f"INDEX {PREFIX}{index} ", 1))


def tables_of(connection: Connection) -> set[str]:
    """Return the names of all tables."""
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {str(name) for (name,) in found}


def migrations_table(connection: Connection, tables: set[str]) -> str | None:
    """Return which of *tables* says what schema of Ringback's there is, None where there is none."""
    if MIGRATIONS in tables:
        return MIGRATIONS
    marked = connection.pragma("application_id") == APPLICATION_ID
    return FIRST_MIGRATIONS if marked and FIRST_MIGRATIONS in tables else None


def schema_in(connection: Connection, table: str) -> int:
    """Return the version of the schema that the *table* of migrations tells."""
    newest: Any = connection.execute(f"SELECT coalesce(max(version), 0) FROM {table}").fetchone()
    return int(newest[0])


def _make_durable(connection: Connection) -> None:
    # What is set is read back: a commit that does not survive a power cut must never be acknowledged.
    # A file that has another kind of log changes it when nobody writes; SQLite itself does not wait for that.
    if patiently(lambda: connection.pragma("journal_mode", "wal")) != "wal":
        raise ConfigurationError("SQLite refuses its write-ahead log here; put the file on a local disk")
    connection.pragma("synchronous", "full")
    if connection.pragma("synchronous") != SYNCHRONOUS_FULL:
        raise ConfigurationError("SQLite refuses synchronous=FULL, so commits would not survive a power cut")
    if not isinstance(connection, SharedConnection):
        connection.pragma("wal_autocheckpoint", 0)
    connection.pragma("cache_size", -16_000)
    connection.pragma("temp_store", "memory")


def migrations() -> list[tuple[str, str]]:
    """Return the name and the statements of every step from nothing to the newest schema."""
    folder = importlib.resources.files(__package__) / "migrations"
    files: Iterable[Any] = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(file.name, file.read_text()) for file in sorted(files, key=lambda file: str(file.name))]


def unavailable(error: Exception) -> StoreUnavailable:
    """Return what a failure of the database means for whoever asked it."""
    return StoreUnavailable(f"the store failed ({error}); whether the last change was kept is unknown")
