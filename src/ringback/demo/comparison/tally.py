"""Counts events of an engine on the event loop, so that one can wait until so many have happened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from ringback.observe import Event, Observer

E = TypeVar("E", bound=Event)

PATIENCE_SECONDS = 60.0


class Tally:
    """How often something has happened.

    Args:
        what: What, for the message that it did not happen.
    """

    def __init__(self, what: str) -> None:
        self.count = 0
        self._what = what
        self._happened = asyncio.Event()

    def note(self) -> None:
        """Count one."""
        self.count += 1
        self._happened.set()

    async def reach(self, count: int) -> None:
        """Wait until it has happened *count* times.

        Raises:
            TimeoutError: It did not, and nothing happened for a minute.
        """
        while self.count < count:
            self._happened.clear()
            try:
                await asyncio.wait_for(self._happened.wait(), PATIENCE_SECONDS)
            except TimeoutError:
                told = f"{self.count} of {count} {self._what}, and none for {PATIENCE_SECONDS:g} s"
                raise TimeoutError(f"{told}: this machine is too busy, or something is broken") from None


def on_loop(observer: Observer, kind: type[E], note: Callable[[E], None]) -> None:
    """Have *note* called on the running loop with each event of a *kind*; events happen on the engine's threads."""
    loop = asyncio.get_running_loop()

    def pass_on(event: E) -> None:
        with contextlib.suppress(RuntimeError):  # the very last ones happen after the loop was closed
            loop.call_soon_threadsafe(note, event)

    observer.subscribe(kind, pass_on)
