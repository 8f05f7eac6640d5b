"""The threads that tell other nodes that something may be due, and that hear it from them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from ringback.errors import StoreUnavailable
from ringback.store import Store

# However much there is to tell: everyone who hears of it looks for all that is due.
APART_SECONDS = 0.1
AGAIN_SECONDS = 1.0


class Teller:
    """Tells other nodes, at once if it has been silent for a while, and seldom enough otherwise."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self) -> None:
        """Have others told, soon; asked by one thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ringback-teller", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """Tell nothing more."""
        self._closed.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while self._wanted.wait() and not self._closed.is_set():
            self._wanted.clear()
            # Looking finds what could not be told.
            with contextlib.suppress(StoreUnavailable):
                self._store.hint()
            self._closed.wait(APART_SECONDS)


class Listener:
    """Hears of others, from the start on; *heard* is called on its own thread."""

    def __init__(self, store: Store, heard: Callable[[], object]) -> None:
        self._store = store
        self._heard = heard
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="ringback-listener", daemon=True).start()

    def close(self) -> None:
        """Hear nothing more; the thread ends soon after."""
        self._closed.set()

    def _hear(self) -> None:
        if not self._closed.is_set():
            self._heard()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._store.listen(self._hear, self._closed.is_set)
            except StoreUnavailable:
                self._closed.wait(AGAIN_SECONDS)
            else:
                return
