"""Transactions of an application's own database, in which a handler's writes and "done" are committed together.

That needs the store's rows in the same database. An implementation gives the handler something to write with, runs
the store's statements in the same transaction, and commits both or neither.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ringback.store import Statement

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

    def transaction(self) -> AbstractContextManager[Effect]:
        """Open a transaction that is committed at the end of the block, or undone by an exception."""
        ...
