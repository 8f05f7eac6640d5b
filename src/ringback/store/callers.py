"""Transactions of whoever calls: how each library's connection runs a statement of the store's.

The store's statements are written with ``?`` where values go; each library has a way of its own to write that. None of
the libraries is imported here: a connection is known by the module that its class comes from.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from typing import Any, Generic, TypeVar

from ringback.errors import ConfigurationError, InvalidInput
from ringback.store.commit import NotThereYet

T = TypeVar("T")

POSTGRESQL, SQLITE = "postgresql", "sqlite"
KNOWN = "a connection of psycopg, asyncpg, SQLAlchemy, Django, sqlite3 or apsw"
# What PostgreSQL says where the functions are not there: no such schema, no such function.
_ABSENT = {"3F000", "42883"}


class Caller(ABC):
    """A connection whose statements are run as they are called.

    ``database`` is the kind of database it is to; ``library`` the one that speaks SQLite, where that is one.
    """

    database: str
    library = "sqlite3"

    @abstractmethod
    def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a query; return its rows."""

    @abstractmethod
    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Run a statement; return how many rows it changed."""

    @abstractmethod
    def is_in_transaction(self) -> bool:
        """Tell whether what it changes now is kept only when its transaction is."""


class AsyncCaller(ABC):
    """A connection whose statements are awaited."""

    database = POSTGRESQL

    @abstractmethod
    async def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run a query; return its rows."""

    @abstractmethod
    def is_in_transaction(self) -> bool:
        """See ``Caller``."""


class _Psycopg(Caller):
    database = POSTGRESQL

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        # Its own kind of cursor may return other rows, or take other placeholders.
        psycopg = importlib.import_module("psycopg")
        with psycopg.Cursor(self._connection, row_factory=psycopg.rows.tuple_row) as cursor:
            found: list[tuple[Any, ...]] = cursor.execute(_with(statement, "%s"), values).fetchall()
        return found

    def change(self, statement: str, values: Sequence[Any]) -> int:
        changed: int = self._connection.execute(_with(statement, "%s"), values).rowcount
        return changed

    def is_in_transaction(self) -> bool:
        return _psycopg_is_in_transaction(self._connection)


class _AsyncPsycopg(AsyncCaller):
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        psycopg = importlib.import_module("psycopg")
        async with psycopg.AsyncCursor(self._connection, row_factory=psycopg.rows.tuple_row) as cursor:
            await cursor.execute(_with(statement, "%s"), values)
            found: list[tuple[Any, ...]] = await cursor.fetchall()
        return found

    def is_in_transaction(self) -> bool:
        return _psycopg_is_in_transaction(self._connection)


class _Asyncpg(AsyncCaller):
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self._connection.fetch(_numbered(statement), *values)]

    def is_in_transaction(self) -> bool:
        return bool(self._connection.is_in_transaction())


class _Sqlite3(Caller):
    database = SQLITE

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.row_factory = None
        return [tuple(row) for row in cursor.execute(statement, values)]

    def change(self, statement: str, values: Sequence[Any]) -> int:
        changed: int = self._connection.execute(statement, values).rowcount
        return changed

    def is_in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)


class _Apsw(Caller):
    database = SQLITE
    library = "apsw"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.row_trace = None
        return [tuple(row) for row in cursor.execute(statement, values)]

    def change(self, statement: str, values: Sequence[Any]) -> int:
        self._connection.execute(statement, values)
        changed: int = self._connection.changes()
        return changed

    def is_in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)


class _SQLAlchemy(Caller):
    def __init__(self, tx: Any) -> None:
        # A session has a connection for its transaction, and begins one where there is none.
        self._connection = tx.connection() if hasattr(tx, "get_bind") else tx
        self._text = importlib.import_module("sqlalchemy").text
        self.database = self._connection.dialect.name

    def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._run(statement, values)]

    def change(self, statement: str, values: Sequence[Any]) -> int:
        changed: int = self._run(statement, values).rowcount
        return changed

    def is_in_transaction(self) -> bool:
        driver = self._connection.connection.dbapi_connection
        if self.database == SQLITE:
            return bool(
                driver.driver_connection.in_transaction
                if hasattr(driver, "driver_connection")
                else driver.in_transaction
            )
        return not getattr(driver, "autocommit", False)

    def _run(self, statement: str, values: Sequence[Any]) -> Any:
        named = {f"value_{number}": value for number, value in enumerate(values)}
        return self._connection.execute(self._text(_named(statement)), named)


class _Django(Caller):
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.database = connection.vendor

    def rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(_with(statement, "%s"), values)
            return [tuple(row) for row in cursor.fetchall()]

    def change(self, statement: str, values: Sequence[Any]) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(_with(statement, "%s"), values)
            changed: int = cursor.rowcount
        return changed

    def is_in_transaction(self) -> bool:
        return bool(self._connection.in_atomic_block or not self._connection.get_autocommit())


class AsyncSQLAlchemy:
    """An ``AsyncSession`` or ``AsyncConnection``, which lends its synchronous counterpart."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx

    async def do(self, work: Callable[[Caller], T]) -> T:
        """Do *work* with it."""
        done: T = await self._tx.run_sync(lambda tx: work(_SQLAlchemy(tx)))
        return done


def caller_of(tx: Any) -> Caller | AsyncCaller | AsyncSQLAlchemy:
    """Return a connection, or what has one, as the store uses it.

    Raises:
        InvalidInput: It is of no library that is known here.
    """
    homes = {kind.__module__.partition(".")[0] for kind in type(tx).__mro__}
    if "psycopg" in homes and hasattr(tx, "cursor"):
        return _AsyncPsycopg(tx) if inspect.iscoroutinefunction(type(tx).execute) else _Psycopg(tx)
    if "sqlalchemy" in homes:
        return AsyncSQLAlchemy(tx) if hasattr(tx, "run_sync") else _SQLAlchemy(tx)
    for home, kind in _KINDS.items():
        if home in homes:
            return kind(tx)
    raise InvalidInput.at("tx", msg=f"is {KNOWN}, not {type(tx).__module__}.{type(tx).__qualname__}")


_KINDS: dict[str, Callable[[Any], Caller | AsyncCaller]] = {
    "asyncpg": _Asyncpg,
    "django": _Django,
    "sqlite3": _Sqlite3,
    "apsw": _Apsw,
}


def check_database(caller: Caller | AsyncCaller, database: str) -> None:
    """Refuse a connection to another kind of *database*; raises ``InvalidInput``."""
    if caller.database != database:
        raise InvalidInput.at(
            "tx", msg=f"is a connection to {caller.database}, but the store is on {database}"
        )


def check_transaction(caller: Caller | AsyncCaller) -> None:
    """Refuse a connection on which no transaction is open; raises ``InvalidInput``."""
    if not caller.is_in_transaction():
        raise InvalidInput.at(
            "tx", msg="is in no transaction, so nothing could be undone with it; begin one first"
        )


class Done(Generic[T]):
    """A result that is there."""

    def __init__(self, value: T) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, T]:
        yield from ()
        return self._value

    def result(self) -> T:
        """Return it."""
        return self._value


class ToAwait(Generic[T]):
    """A result that is to be awaited, once."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, None, T]:
        return self._coroutine.__await__()

    def result(self) -> T:
        """Refuse: only a loop can get it."""
        self._coroutine.close()
        raise NotThereYet("the connection is asynchronous: await this instead of calling result()")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Let the libraries' errors through, but for the one that says that Ringback is not in the database.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        yield
    except Exception as error:
        causes = (error, getattr(error, "orig", None), error.__cause__)
        if any(getattr(cause, "sqlstate", None) in _ABSENT for cause in causes):
            raise ConfigurationError(
                "there is no Ringback in the connection's database: connect to that of the store, and have a node or"
                " `ringback db migrate` bring it up to date"
            ) from error
        raise


def _psycopg_is_in_transaction(connection: Any) -> bool:
    # Without autocommit, the next statement begins one.
    return not (connection.autocommit and connection.info.transaction_status.name == "IDLE")


@functools.lru_cache(1_000)
def _with(statement: str, placeholder: str) -> str:
    return statement.replace("%", "%%").replace("?", placeholder)


@functools.lru_cache(1_000)
def _numbered(statement: str) -> str:
    first, *others = statement.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))


@functools.lru_cache(1_000)
def _named(statement: str) -> str:
    first, *others = statement.replace(":", r"\:").split("?")
    return first + "".join(f":value_{number}{part}" for number, part in enumerate(others))
