"""What a SQLite file is, looked at without changing it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from ringback.errors import ConfigurationError, StoreIncompatible
from ringback.store import Condition
from ringback.store.sqlite.connection import BUSY_TIMEOUT, FAILURES, Connection, connect, is_no_database
from ringback.store.sqlite.database import (
    FIRST_MIGRATIONS,
    PREFIX,
    migrations,
    migrations_table,
    schema_in,
    tables_of,
)

SQLITES = "sqlite_"


def examine(path: str, *, shared: bool = False) -> Condition:
    """Tell what the file is; see ``ringback.store.examine_store``."""
    newest = len(migrations())
    if not Path(path).exists():
        return Condition(path=path, exists=False, newest=newest)
    try:
        with contextlib.closing(_reader(path, shared=shared)) as connection:
            return _condition(connection, path, newest)
    except FAILURES as error:
        if is_no_database(error):
            raise StoreIncompatible(f"{path} is not a SQLite database; name another file") from None
        raise ConfigurationError(f"cannot read the store {path}: {error}") from error


def _reader(path: str, *, shared: bool) -> Connection:
    if shared:
        return connect(path, shared=True)
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_TIMEOUT)
    return connection


def _condition(connection: Connection, path: str, newest: int) -> Condition:
    tables = tables_of(connection)
    table = migrations_table(connection, tables)
    return Condition(
        path=path,
        exists=True,
        newest=newest,
        schema=None if table is None else schema_in(connection, table),
        foreign=table != FIRST_MIGRATIONS and any(not name.startswith((PREFIX, SQLITES)) for name in tables),
        durable=connection.pragma("journal_mode") == "wal",
    )
