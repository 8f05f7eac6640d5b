"""One connection to PostgreSQL: how it is opened, what is asked of the server, and what its failures mean."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
from psycopg import errors, pq
from psycopg.conninfo import make_conninfo
from psycopg.types.string import StrDumper

from ringback.errors import ConfigurationError, Raced, StoreUnavailable
from ringback.secrecy import masked
from ringback.store.sql.tables import Many, Row

CONNECT_SECONDS = 5
OLDEST = 140000
ENCODING = "UTF8"
# How every connection is made: to a server that can be written to, and given up soon where nobody answers any more.
SETTINGS: dict[str, Any] = {
    # Behind a pooler, the next transaction may run on another of its connections.
    "prepare_threshold": None,
    "connect_timeout": CONNECT_SECONDS,
    "target_session_attrs": "read-write",
    # Whatever the default of the role or of the environment.
    "client_encoding": ENCODING,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
READ_ONLY = "read-only"
# A statement never takes that long unless something is wrong. A transaction that sits idle is that of a node that is
# lost or frozen, and what it has written holds up every node that comes to the same: one key twice, one event twice.
# Somebody else's transaction may do so for longer, and must not hold up all that a node does.
LOCK_TIMEOUT = "6s"
# With the settings of each transaction comes the version of the catalog, which almost every one of them needs.
# A database may have another level by default, at which whoever waits for a row fails when it is free.
BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT set_config('statement_timeout', '30s', true),"
    " set_config('idle_in_transaction_session_timeout', '5s', true),"
    f" set_config('lock_timeout', '{LOCK_TIMEOUT}', true), set_config('synchronous_commit', 'on', true),"
    " (SELECT version FROM ringback_catalog)"
)
KINDS = {"i": "bigint[]", "t": "text[]", "b": "bytea[]", "o": "boolean[]"}
# Another node has done at the same moment what this one was about to do: done again, it will see that.
RACES = (errors.UniqueViolation, errors.DeadlockDetected, errors.SerializationFailure)
DEMOTED = errors.ReadOnlySqlTransaction
_ABSENCES = {
    pq.Ping.REJECT: "the server is starting, stopping or recovering",
    pq.Ping.NO_RESPONSE: "nothing answers there",
}
_HINTS = re.compile(r" INDEXED BY \w+")


class Both(msgspec.Struct, frozen=True):
    """A statement about rows of two sorts, like ``Many``: ``{others}`` stands after ``{rows}``."""

    text: str
    kinds: str
    other_kinds: str


class _Text(StrDumper):
    """PostgreSQL's texts hold every character but one; its symbol stands for that."""

    def dump(self, obj: str) -> bytes | bytearray | memoryview | None:
        return super().dump(obj.replace("\0", "\N{SYMBOL FOR NULL}") if "\0" in obj else obj)


class Connection:
    """A connection that is opened when it is needed, and opened again after it has broken.

    Args:
        url: Where the server is, as libpq has it: ``postgresql://user@host/database``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: psycopg.Connection[Row] | None = None
        self._cursor: psycopg.Cursor[Row] | None = None
        # What comes after a loss must not be kept without what came before it.
        self._in_transaction = False

    def execute(self, statement: str, values: Sequence[Any] = ()) -> psycopg.Cursor[Row]:
        """Run a statement with ``?`` where values go; return its cursor.

        Raises:
            StoreUnavailable: The server cannot be reached, or refuses.
            Raced: Another node was first.
        """
        return self._run(translated(statement), values)

    def execute_rows(
        self, statement: Many, rows: Sequence[Row], values: Sequence[Any] = ()
    ) -> psycopg.Cursor[Row]:
        """Run a statement about many rows, each column of them as one array; *values* are those that come after."""
        columns = zip(statement.kinds, zip(*rows, strict=True), strict=True)
        arrays = [array_literal(kind, column) for kind, column in columns]
        return self._run(_about_arrays(statement), [*arrays, *values])

    def execute_both(
        self, statement: Both, rows: Sequence[Row], others: Sequence[Row], values: Sequence[Any] = ()
    ) -> psycopg.Cursor[Row]:
        """Run a statement about rows of two sorts; *values* are those that come after."""
        arrays = [
            array_literal(kind, column)
            for kinds, some in ((statement.kinds, rows), (statement.other_kinds, others))
            for kind, column in zip(
                kinds, zip(*some, strict=True) if some else ((),) * len(kinds), strict=True
            )
        ]
        return self._run(_about_both(statement), [*arrays, *values])

    def simple(self, statements: str) -> psycopg.Cursor[Row]:
        """Run statements without values, in one message to the server; the cursor has the first one's rows."""
        return self._run(statements, None)

    def begin(self, statements: str) -> psycopg.Cursor[Row]:
        """Run statements that begin a transaction; it fails as a whole where its connection is lost."""
        if not self.is_idle():
            # What an earlier failure left open is not known.
            self.close()
        self._in_transaction = False
        cursor = self.simple(statements)
        self._in_transaction = True
        return cursor

    def commit(self) -> psycopg.Cursor[Row]:
        """Keep what was done since ``begin``."""
        cursor = self.simple("COMMIT")
        self._in_transaction = False
        return cursor

    def roll_back(self) -> None:
        """Undo what was done since ``begin``, which the loss of the connection has done already."""
        self._in_transaction = False
        if self._open is not None:
            with contextlib.suppress(Exception):
                self.simple("ROLLBACK")
        if not self.is_idle():
            self.close()

    def close(self) -> None:
        """Close it; it is opened again when it is needed."""
        self._cursor = None
        if self._open is not None:
            self._open.close()
            self._open = None

    def is_idle(self) -> bool:
        """Tell whether it is in no transaction."""
        return self._open is None or self._open.info.transaction_status is pq.TransactionStatus.IDLE

    def _run(self, statement: str, values: Sequence[Any] | None) -> psycopg.Cursor[Row]:
        idle = self.is_idle()
        # A connection that was lost while nothing was under way has lost nothing: a restart is not even noticed.
        expendable = self._open is not None and idle
        try:
            return self._attempt(statement, values)
        except StoreUnavailable:
            lost = self._open is None
            if idle and not self.is_idle():
                # It failed with a transaction begun that nobody would end.
                self.close()
            if not (lost and expendable):
                raise
        return self._attempt(statement, values)

    def _attempt(self, statement: str, values: Sequence[Any] | None) -> psycopg.Cursor[Row]:
        if self._cursor is None and self._in_transaction:
            raise StoreUnavailable(
                "the store's connection was lost in the middle of a change, so nothing was kept"
            )
        try:
            if self._cursor is None:
                self._connect()
            assert self._cursor is not None  # noqa: S101 - it was opened just now
            return self._cursor.execute(statement.encode(), values)
        except RACES as error:
            raise Raced(
                f"another node was first ({error.diag.message_primary}); it is tried again"
            ) from error
        except psycopg.Error as error:
            # The next connection is to whichever server is the primary by then.
            if self._open is not None and (self._open.broken or isinstance(error, DEMOTED)):
                self.close()
            raise unavailable(error) from error

    def _connect(self) -> None:
        self._open = connect(self._url)
        self._cursor = self._open.cursor()


def connect(url: str) -> psycopg.Connection[Row]:
    """Open a connection to a server that can be written to.

    Raises:
        ConfigurationError: The server is too old, or the database cannot hold every character.
        psycopg.Error: It cannot be reached.
    """
    connection = psycopg.connect(url, autocommit=True, **SETTINGS, application_name="ringback")
    connection.adapters.register_dumper(str, _Text)
    if connection.info.server_version < OLDEST:
        connection.close()
        raise ConfigurationError("Ringback needs PostgreSQL 14 or newer")
    encoding = connection.info.parameter_status("server_encoding") or ENCODING
    if encoding != ENCODING:
        connection.close()
        raise ConfigurationError(f"Ringback needs a database whose encoding is {ENCODING}, not {encoding}")
    return connection


def absence(url: str) -> str | None:
    """Say why no server takes connections at *url* now; see ``ringback.store.absence``."""
    try:
        asked = make_conninfo(url, connect_timeout=CONNECT_SECONDS)
    except psycopg.Error:
        return None
    # As pg_isready asks: whoever is there answers, whatever the role and the database.
    return _ABSENCES.get(pq.Ping(pq.PGconn.ping(asked.encode())))


def unavailable(error: Exception) -> StoreUnavailable:
    """Return what a failure of the database means for whoever asked it."""
    return StoreUnavailable(
        f"the store failed ({reason(error)}); whether the last change was kept is unknown"
    )


def reason(error: Exception) -> str:
    """Return in one line why a server cannot be used, without passwords."""
    text = masked(" ".join(str(error).split()))
    if READ_ONLY in text:
        return f"{text}: the server only reads, as a standby does; name the primary"
    return text


def array_literal(kind: str, column: Sequence[Any]) -> str:
    """Return a column of values as PostgreSQL writes an array; for *kind* see ``Many``.

    psycopg can do that, too; written for lists of one kind, it takes a quarter of the time.
    """
    write = _WRITERS[kind]
    return "{" + ",".join(["NULL" if value is None else write(value) for value in column]) + "}"


def _written_text(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def _written_bytes(value: bytes) -> str:
    return f'"\\\\x{value.hex()}"'


def _written_truth(value: object) -> str:
    return "t" if value else "f"


_WRITERS: dict[str, Callable[[Any], str]] = {
    "i": str,
    "t": _written_text,
    "b": _written_bytes,
    "o": _written_truth,
}


@lru_cache(1_000)
def translated(statement: str) -> str:
    """Return a statement as PostgreSQL takes it: without the advice that is for SQLite."""
    plain = _HINTS.sub("", statement).replace("CROSS JOIN", "JOIN").replace("%", "%%")
    return plain.replace("?", "%s")


@lru_cache(1_000)
def _about_arrays(statement: Many) -> str:
    return translated(statement.text.replace("{rows}", _unnested(statement.kinds)))


@lru_cache(1_000)
def _about_both(statement: Both) -> str:
    text = statement.text.replace("{rows}", _unnested(statement.kinds))
    return translated(text.replace("{others}", _unnested(statement.other_kinds)))


def _unnested(kinds: str) -> str:
    arrays = ", ".join(f"?::{KINDS[kind]}" for kind in kinds)
    return f"SELECT * FROM unnest({arrays})"
