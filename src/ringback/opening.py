"""Something that is opened at its first use, in the process that uses it, and does not outlive a fork.

SQLite counts its locks per process and takes a copy of the process for the process itself ("How To Corrupt An SQLite
Database File", 2.6): when the one closes, it may remove the log that the other commits to. So nothing is open while
a process forks. Whoever uses it next, on either side, opens it anew.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from ringback.errors import ConfigurationError

T = TypeVar("T")


class Opening(Generic[T]):
    """What *opener* opens when it is first asked for, until *closer* closes it; for any number of threads."""

    def __init__(self, opener: Callable[[], T], closer: Callable[[T], object]) -> None:
        self._opener = opener
        self._closer = closer
        self._lock = threading.Lock()
        self._opened: T | None = None
        self._process = os.getpid()
        self._keepers = 0
        _openings.add(self)

    def get(self) -> T:
        """Return it, opened if need be.

        Raises:
            ConfigurationError: This process was forked while it had to be kept open.
        """
        opened = self._opened
        if opened is not None and self._process == os.getpid():
            return opened
        with self._lock:
            self._check_process()
            if self._opened is None:
                # On a thread of its own: a coroutine that asks cannot wait for what needs its own loop.
                with concurrent.futures.ThreadPoolExecutor(1, "ringback-opening") as opening:
                    self._opened = opening.submit(self._opener).result()
                self._process = os.getpid()
            return self._opened

    @contextlib.contextmanager
    def kept(self) -> Iterator[T]:
        """Keep it open until the end of the block, through forks as well: then the copies cannot use it."""
        # Counted first, or a fork on another thread could close it before it is.
        self._keepers += 1
        try:
            yield self.get()
        finally:
            self._keepers -= 1

    @property
    def is_kept(self) -> bool:
        """Whether it must stay open now."""
        return self._keepers > 0

    def close(self) -> None:
        """Close it; the next use opens it again."""
        with self._lock:
            self._close()

    def before_fork(self) -> None:
        """Close it, unless it is kept, and have nobody open it before ``after_fork``."""
        self._lock.acquire()
        if not self._keepers:
            self._close()

    def after_fork(self, *, child: bool) -> None:
        """Let it be opened again."""
        if child:
            self._lock = threading.Lock()
        else:
            self._lock.release()

    def _close(self) -> None:
        if self._opened is not None and self._process == os.getpid():
            opened, self._opened = self._opened, None
            self._closer(opened)

    def _check_process(self) -> None:
        # What was left open is never touched here, not even to be closed.
        if self._opened is not None and self._process != os.getpid():
            raise ConfigurationError(
                "this process was forked from one where the inbox was at work, and SQLite's locks do not survive that:"
                " fork before the worker starts, or start a new process instead"
            )


_openings: weakref.WeakSet[Opening[Any]] = weakref.WeakSet()
_held: list[Opening[Any]] = []


def _before() -> None:
    for opening in list(_openings):
        opening.before_fork()
        _held.append(opening)


def _after(*, child: bool) -> None:
    while _held:
        _held.pop().after_fork(child=child)


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(child=False),
        after_in_child=lambda: _after(child=True),
    )
