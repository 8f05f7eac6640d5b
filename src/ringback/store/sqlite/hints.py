"""Hints that something is due, where nobody can send any: whoever listens looks for messages that others accepted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ringback.store.sqlite.connection import FAILURES, connect
from ringback.store.sqlite.database import unavailable
from ringback.store.sqlite.line import SQLiteLine

LOOK_SECONDS = 0.05
_NEWEST = "SELECT max(key) FROM ringback_message"


class Hints(SQLiteLine):
    """The verbs about hints."""

    # By itself: to look costs next to nothing, and to be told would take a process more.
    tells = False

    def hint(self) -> None:
        """See ``Store``: there is nobody to tell."""

    def listen(self, heard: Callable[[], object], stopped: Callable[[], bool]) -> None:
        """See ``Store``. Keys are counted: one above all that this node has given is that of another's message."""
        with self.listening:
            if self.closing.is_set():
                return
            try:
                with contextlib.closing(
                    connect(self._path, vfs=self._vfs, shared=self._shared)
                ) as connection:
                    told = 0
                    while not stopped() and not self.closing.wait(LOOK_SECONDS):
                        newest: Any = connection.execute(_NEWEST).fetchone()
                        found = newest[0] or 0
                        if self.met_others or found > max(told, self.last_key):
                            self.met_others = False
                            heard()
                        told = max(told, found)
            except FAILURES as error:
                raise unavailable(error) from error
