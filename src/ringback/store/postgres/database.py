"""The PostgreSQL database: connections, transactions, migrations, and partitions made ahead."""

from __future__ import annotations

import contextlib
import importlib.resources
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg

from ringback.errors import ConfigurationError, StoreIncompatible, StoreUnavailable
from ringback.policy import LEASE_MARGIN
from ringback.store.postgres.connection import BEGIN, Both, Connection, connect, reason
from ringback.store.postgres.days import Day
from ringback.store.sql.tables import Dialect, Many, Row, Tables
from ringback.vault import Vault

MIGRATING = 0x52494E47  # the advisory lock of whoever migrates
MAKING_DAYS = MIGRATING + 1
# Asked of the tables themselves: to_regclass may answer from what the connection knew before it waited.
_IS_MADE = """
    SELECT EXISTS (
        SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'ringback_attempt'::regclass AND c.relname = ?
    )
"""
DIALECT = Dialect(
    # A zero byte, which may be written in metadata, is the one character that jsonb does not take.
    ordered=r"coalesce(replace(convert_from(record, 'UTF8'), '\u0000', '\ufffd')::jsonb -> 'ordered' = 'true', false)",
    in_channel="coalesce(m.channels, '[]')::jsonb @> jsonb_build_array(?::text)",
    in_payload="position(?::bytea in m.payload) > 0",
    unsent="d.unsent",
    lost="ringback_delivery d WHERE d.unsent AND d.state = '{state}'",
    unfinished="ringback_unfinished u WHERE u.endpoint_key = e.key",
    queue="ringback_queue u WHERE u.endpoint_key = e.key",
    live="live_key IS NOT NULL",
    live_key="live_key",
    # Who only refers to such a row, as a new endpoint does to its application, need not wait.
    lock="FOR NO KEY UPDATE",
    lock_free="FOR UPDATE SKIP LOCKED",
    in_haste=f" AND set_config('idle_in_transaction_session_timeout', '{LEASE_MARGIN}ms', true) IS NOT NULL",
)


class Database(Tables):
    """One connection that writes and one per thread that reads; see ``PostgresStore`` for the arguments."""

    dialect = DIALECT

    def __init__(self, url: str, vault: Vault, entropy: Callable[[int], bytes]) -> None:
        super().__init__(vault, entropy)
        self._url = url
        self._depth = 0
        self._owner = 0
        self._changed = 0
        # That of the catalog when the transaction began, unless it has changed since.
        self._version: int | None = None
        self._local = threading.local()
        self._readers: list[Connection] = []
        self.days: set[Day] = set()
        migrate(url)
        self._writer = Connection(url)

    # --- Statements ---------------------------------------------------------------------------------------

    def execute(self, statement: str, values: Sequence[Any] = ()) -> object:
        """See ``Tables``."""
        cursor = self._connection().execute(statement, values)
        self._changed = cursor.rowcount
        return cursor

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """See ``Tables``."""
        return self._connection().execute(statement, values).fetchall()

    def changes(self) -> int:
        """See ``Tables``."""
        return self._changed

    def execute_rows(self, statement: Many, rows: Sequence[Row], values: Sequence[Any] = ()) -> int:
        """See ``Tables``; *values* are those of the statement itself, which come after its rows."""
        return self._connection().execute_rows(statement, rows, values).rowcount if rows else 0

    def rows_for(self, query: Many, wanted: Sequence[Row], values: Sequence[Any] = ()) -> list[Row]:
        """See ``Tables``; *values* are those of the query itself, which come after its rows."""
        return self._connection().execute_rows(query, wanted, values).fetchall() if wanted else []

    def rows_for_both(
        self, query: Both, rows: Sequence[Row], others: Sequence[Row], values: Sequence[Any] = ()
    ) -> list[Row]:
        """Return all rows of a query about rows of two sorts; *values* are those of the query itself, after them."""
        cursor = self._connection().execute_both(query, rows, others, values)
        return cursor.fetchall() if cursor.description else []

    # --- Transactions -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction, or inside one a savepoint; an exception undoes what was done inside."""
        inside = self._depth > 0
        if inside:
            self._writer.simple("SAVEPOINT part")
        else:
            cursor = self._writer.begin(BEGIN)
            if cursor.nextset():
                self._version = cursor.fetchall()[0][-1]
        self._owner = threading.get_ident()
        self._depth += 1
        try:
            yield
            self._end(inside=inside)
        except BaseException:
            self.undone()
            self._undo(inside=inside)
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self._owner = 0

    def _end(self, *, inside: bool) -> None:
        cursor = self._writer.simple("RELEASE part") if inside else self._writer.commit()
        if cursor.statusmessage == "ROLLBACK":
            # A failure within was not let through, and PostgreSQL undoes all of it without an error.
            raise StoreUnavailable("the store undid a change because a part of it had failed")

    def _undo(self, *, inside: bool) -> None:
        if not inside:
            self._writer.roll_back()
            return
        with contextlib.suppress(Exception):
            self._writer.simple("ROLLBACK TO part; RELEASE part")

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Open a transaction on this thread's own connection, unless it is in one of the writer's."""
        if self._owner == threading.get_ident():
            yield
            return
        reader = self.reader()
        reader.begin(BEGIN)
        try:
            yield
            reader.commit()
        except BaseException:
            reader.roll_back()
            raise

    def undone(self) -> None:
        """See ``Tables``."""
        self.days.clear()
        self._version = None

    def checkpoint(self) -> None:
        """See ``Store``: there is nothing to do."""

    def free_space(self) -> int | None:
        """See ``Store``: what the server has room for cannot be told from here."""
        return None

    def close(self) -> None:
        """Close every connection."""
        for connection in (*self._readers, self._writer):
            connection.close()

    def _connection(self) -> Connection:
        return self._writer if self._owner == threading.get_ident() else self.reader()

    def reader(self) -> Connection:
        """Return this thread's own connection, which is in no transaction."""
        reader: Connection | None = getattr(self._local, "connection", None)
        if reader is None:
            reader = self._local.connection = Connection(self._url)
            self._readers.append(reader)
        return reader


def make_day(database: Database, day: Day) -> None:
    """Make the partitions of a day where there are none; asked inside a transaction."""
    name = (f"ringback_attempt_{day.name}",)
    if database.rows(_IS_MADE, name)[0][0]:
        return
    database.rows("SELECT pg_advisory_xact_lock(?)", (MAKING_DAYS,))
    if not database.rows(_IS_MADE, name)[0][0]:
        database.execute(day.make())


def migrate(url: str) -> None:
    """Bring the database to the newest schema; of several nodes that start at once, one does it.

    Raises:
        ConfigurationError: The server cannot be reached, or something forbids to make tables.
        StoreIncompatible: The schema is that of a newer Ringback.
    """
    try:
        with connect(url) as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
            # Whoever waits for a table makes everyone wait who comes after: rather another try later.
            connection.execute("SET LOCAL lock_timeout = '10s'")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS ringback_migration (version integer PRIMARY KEY, name text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT now())"
            )
            done = schema_in(connection)
            steps = migrations()
            if done > len(steps):
                raise StoreIncompatible(
                    f"the database was written by a newer Ringback (schema {done}, this one knows {len(steps)});"
                    " upgrade Ringback or name another database"
                )
            for version, (name, statements) in enumerate(steps, 1):
                if version > done:
                    connection.execute(statements.encode())
                    connection.execute(
                        "INSERT INTO ringback_migration (version, name) VALUES (%s, %s)", (version, name)
                    )
    except psycopg.Error as error:
        raise ConfigurationError(f"cannot use the PostgreSQL store: {reason(error)}") from error


def schema_in(connection: psycopg.Connection[Row]) -> int:
    """Return the version of the schema that there is."""
    found = connection.execute("SELECT coalesce(max(version), 0) FROM ringback_migration").fetchone()
    return 0 if found is None else int(found[0])


def migrations() -> list[tuple[str, str]]:
    """Return the name and the statements of every step from nothing to the newest schema."""
    folder = importlib.resources.files(__package__) / "migrations"
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return [(file.name, file.read_text()) for file in sorted(files, key=lambda file: file.name)]
