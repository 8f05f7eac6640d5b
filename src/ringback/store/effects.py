"""Transactions of an application's own database, in which a handler's writes and "done" are committed together.

That needs the store's rows in the same database. An implementation gives the handler something to write with, runs
the store's statements in the same transaction, and commits both or neither.
"""

from __future__ import annotations

import importlib
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ringback.store import Statement, file_of, is_postgres

# Changes nothing; where one transaction at a time may write, the one that runs it is the one from then on.
CLAIM = Statement("UPDATE ringback_delivery SET begun = begun WHERE 0 = 1", ())


class Effect(Protocol):
    """One open transaction."""

    @property
    def tx(self) -> Any:
        """What a handler that asks for ``tx`` gets."""
        ...

    def execute(self, statement: Statement) -> int:
        """Run a statement of the store's; return how many rows it changed."""
        ...

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a handler that is a coroutine to its end; what it writes is in the transaction, too."""
        ...

    def give_up(self) -> None:
        """Undo it from another thread, and refuse what the handler still tries: it has taken longer than it may.

        Where one transaction at a time may write, a handler that hangs would keep everybody from writing.
        """
        ...


class TransactionOver(RuntimeError):  # noqa: N818 - named for what is the matter
    """The handler took longer than its timeout, so its transaction was undone; nothing can be written in it."""


class Effects(Protocol):
    """Opens transactions. Each is used on one thread; many may be open at once, on as many threads."""

    def close(self) -> None:
        """Release what is kept from one transaction to the next."""
        ...

    def transaction(self) -> AbstractContextManager[Effect]:
        """Open a transaction that is committed at the end of the block, or undone by an exception."""
        ...


def effects_of(url: str) -> Effects:
    """Return what opens transactions of the database that *url* names, as ``open_store`` takes it."""
    kind, place = ("postgres", url) if is_postgres(url) else ("sqlite", file_of(url))
    # Only what is used is imported: the other may not be installed.
    module = importlib.import_module(f"ringback.store.{kind}.effects")
    opened: Effects = module.PostgresEffects(place) if kind == "postgres" else module.SQLiteEffects(place)
    return opened
