"""Random bytes for ids: from the operating system, asked for many at a time."""

from __future__ import annotations

import os
import threading

BLOCK_BYTES = 4_096


class Entropy:
    """Returns random bytes, each once; safe between threads, and a forked process has others than its parent.

    Asking the system for every id gives up the interpreter lock each time, which under load costs more than the id.
    For secrets, use ``secrets``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._block = b""
        self._used = 0
        if hasattr(os, "register_at_fork"):  # Windows has no fork
            os.register_at_fork(after_in_child=self._forget)

    def __call__(self, count: int) -> bytes:
        """Return *count* random bytes, at most ``BLOCK_BYTES``."""
        with self._lock:
            begin, end = self._used, self._used + count
            if end > len(self._block):
                self._block = os.urandom(BLOCK_BYTES)
                begin, end = 0, count
            self._used = end
            return self._block[begin:end]

    def _forget(self) -> None:
        # Another thread of the parent may have held the lock, and is not here to give it back.
        self._lock = threading.Lock()
        self._block = b""
        self._used = 0


entropy = Entropy()
