"""What the verbs that both databases share ask of the one they run on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import msgspec

from ringback.vault import Vault

Row = tuple[Any, ...]


class Many(msgspec.Struct, frozen=True):
    """A statement about many rows at once.

    Args:
        text: With ``{rows}`` where a query stands that yields the rows.
        kinds: One letter for each column of them: ``i`` an integer, ``t`` text, ``b`` bytes, ``o`` a truth value.
    """

    text: str
    kinds: str


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """The expressions that the databases write in different ways.

    Args:
        ordered: Whether the endpoint in whose row it stands has an order.
        in_channel: Whether the channels of a message ``m`` include a value.
        in_payload: Whether the payload of a message ``m`` contains some bytes.
        unsent: Whether a delivery ``d`` has failed before or for good, as the index of those has it.
        lost: The deliveries ``d`` in the state failed or cancelled, whichever is given: what stands after FROM.
        unfinished: The deliveries of the endpoint ``e`` that are not at rest: what stands after FROM.
        queue: Those of them that were not born leased, or are so no more: ``u`` stands for one.
        live: That a delivery is not at rest, as the index by ordering keys has it.
        live_key: The ordering key of those.
        lock: What stands behind a query whose rows nobody else is to change meanwhile.
        lock_free: The same, where rows that somebody else has are to be left out.
        in_haste: A further condition, which always holds and has the transaction undone if nothing follows soon.
    """

    ordered: str
    in_channel: str
    in_payload: str
    unsent: str
    lost: str
    unfinished: str
    queue: str
    live: str
    live_key: str
    lock: str = ""
    lock_free: str = ""
    in_haste: str = ""


class Tables(ABC):
    """A database with Ringback's tables.

    Statements are written with ``?`` where values go. ``INDEXED BY`` and ``CROSS JOIN ... ON`` are advice to SQLite,
    which others leave out.
    """

    dialect: ClassVar[Dialect]

    def __init__(self, vault: Vault, entropy: Callable[[int], bytes]) -> None:
        self._vault = vault
        self._entropy = entropy

    @abstractmethod
    def execute(self, statement: str, values: Sequence[Any] = ()) -> object:
        """Run one statement; raises ``StoreUnavailable``."""

    @abstractmethod
    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query."""

    @abstractmethod
    def changes(self) -> int:
        """Return how many rows the last statement changed."""

    @abstractmethod
    def execute_rows(self, statement: Many, rows: Sequence[Row]) -> int:
        """Run a statement about *rows*; return how many rows it changed."""

    @abstractmethod
    def rows_for(self, query: Many, wanted: Sequence[Row]) -> list[Row]:
        """Return all rows of a query about the rows *wanted*."""

    @abstractmethod
    def catch_up(self) -> None:
        """Learn what other connections have changed; asked inside a transaction, before routes are used."""

    def row(self, statement: str, values: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query."""
        found = self.rows(statement, values)
        return found[0] if found else None

    def hold(self, table: str, condition: str, values: Sequence[Any]) -> None:
        """Let nobody else change rows until this transaction ends; what is read next is what others made of them."""
        if self.dialect.lock:
            self.rows(f"SELECT 1 FROM {table} WHERE {condition} {self.dialect.lock}", values)

    def transaction(self) -> AbstractContextManager[None]:
        """See ``Store``; what writes in a transaction of somebody else's opens none."""
        raise NotImplementedError

    def undone(self) -> None:  # noqa: B027 - most have learnt nothing
        """Forget what may have been learnt from changes that are being rolled back."""
