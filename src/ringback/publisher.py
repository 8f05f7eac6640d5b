"""The outbox of an application that publishes, in whichever of its processes, and leaves delivering to others.

A ``Publisher`` is made where the application is put together and opens nothing then. The store is opened at the first
use, in the process that uses it, so one may be made before a server forks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import msgspec

from ringback.config import load_here
from ringback.engine import Engine, open_checked_store
from ringback.observe import Observer
from ringback.opening import Opening
from ringback.outbox import Outbox


class Publisher:
    """Publishes, and manages applications and endpoints, through ``outbox``.

        publisher = Publisher("postgresql:///shop")
        with psycopg.connect("postgresql:///shop") as tx:
            tx.execute("INSERT INTO shop_order ...")
            publisher.outbox.publish("acme", "order.paid", {"id": 1}, tx=tx)

    Args:
        store: Where messages are kept: ``sqlite:///FILE`` or ``postgresql://…``, or a function that tells when it is
            needed first; without it, where the setting ``store`` says.
        shared: That is the application's own database; a SQLite file is then opened as the application opens it.
        settings: Further settings by name, such as ``main_key``; see the reference of settings. They, too, are looked
            for in the environment and in ``ringback.toml`` where they are not given.
    """

    def __init__(
        self, store: str | Callable[[], str] | None = None, *, shared: bool = False, **settings: str
    ) -> None:
        self.observer = Observer()
        self._store = store
        self._shared = shared
        self._flags = settings
        self._opening = Opening(self._open, lambda opened: opened.engine.committer.close())

    def __enter__(self) -> Self:
        """Publish inside a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close at the block's end."""
        self.close()

    @property
    def outbox(self) -> Outbox:
        """The outbox, opened if need be.

        Raises:
            ConfigurationError: The store or a setting cannot be used.
        """
        return self._opening.get().outbox

    def close(self) -> None:
        """Commit what has been handed in and close the store; the next use opens it again."""
        self._opening.close()

    def _open(self) -> _Opened:
        store = self._store() if callable(self._store) else self._store
        settings = load_here({"store": store, **self._flags})
        engine = Engine(
            open_checked_store(settings, shared=self._shared), settings, self.observer, works=False
        )
        engine.committer.start()
        return _Opened(engine, Outbox(engine.committer, clock=engine.clock, max_payload=settings.max_payload))


class _Opened(msgspec.Struct, frozen=True):
    """What is open."""

    engine: Engine
    outbox: Outbox
