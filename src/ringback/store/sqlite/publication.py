"""Publishing in the transaction of whoever calls: the store's own statements, on a connection that is lent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ringback.errors import InvalidInput, RingbackError
from ringback.store import Acceptance, Accepted, Lease, Pending
from ringback.store.callers import (
    SQLITE,
    AsyncSQLAlchemy,
    Caller,
    Done,
    ToAwait,
    caller_of,
    check_database,
    check_transaction,
)
from ringback.store.effects import CLAIM
from ringback.store.sql.tables import Row
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.intake import SQLiteIntake
from ringback.vault import Vault

NO_LEASE = Lease(0, 0)
TWO_COPIES = (
    "Two copies of SQLite in one process damage the file: open the store with shared=True for connections of sqlite3,"
    " and without it for those of apsw"
)


class Borrowed(SQLiteIntake):
    """The store's tables on a connection of the application's, for one acceptance."""

    def __init__(self, caller: Caller, vault: Vault, entropy: Callable[[int], bytes]) -> None:
        super().__init__(vault, entropy)
        self._caller = caller
        self._changed = 0

    def execute(self, statement: str, values: Sequence[Any] = ()) -> object:
        """See ``Tables``."""
        self._changed = self._caller.change(statement, values)
        return None

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """See ``Tables``."""
        return self._caller.rows(statement, values)

    def changes(self) -> int:
        """See ``Tables``."""
        return self._changed

    def data_version(self) -> int:
        """See ``Rows``: all is looked up anew."""
        return 0


class Publication(Database):
    """The verb that publishes in a transaction of the application."""

    def accept_within(self, tx: Any, acceptance: Acceptance) -> Pending[Accepted]:
        """See ``Store``."""
        caller = caller_of(tx)
        if isinstance(caller, AsyncSQLAlchemy):
            return ToAwait(caller.do(lambda lent: self._accept_on(lent, acceptance)))
        check_database(caller, SQLITE)
        assert isinstance(caller, Caller)  # noqa: S101 - those that are awaited are PostgreSQL's
        return Done(self._accept_on(caller, acceptance))

    def _accept_on(self, caller: Caller, acceptance: Acceptance) -> Accepted:
        check_database(caller, SQLITE)
        self._check_file(caller)
        # The right to write is taken before anything is read: in between, another could write.
        caller.change(CLAIM.text, CLAIM.values)
        check_transaction(caller)
        (answer,) = Borrowed(caller, self._vault, self._entropy).accept(
            [acceptance], NO_LEASE, lambda _: False
        )
        if isinstance(answer, RingbackError):
            raise answer
        return answer

    def _check_file(self, caller: Caller) -> None:
        ours = "sqlite3" if self._shared else "apsw"
        if caller.library != ours:
            raise InvalidInput.at(
                "tx", msg=f"is of {caller.library}, but the store is opened with {ours}. {TWO_COPIES}"
            )
        files = [file for _, name, file in caller.rows("PRAGMA database_list", ()) if name == "main"]
        with contextlib.suppress(OSError):
            if files and Path(files[0]).samefile(self._path):
                return
        raise InvalidInput.at("tx", msg=f"is a connection to another file than the store's, {self._path}")
