"""The worker's timers: for what will be due soon, and for what waits in memory for time alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback import policy
from ringback.model import Instant

SOON = 30 * policy.SECOND
GRAIN = 20


class Alarms:
    """Calls back on the running event loop.

    Args:
        due: Called when something that waits in the store has become due.
        awake: Called when something that waits in memory may go on.
    """

    def __init__(self, due: Callable[[], object], awake: Callable[[], object]) -> None:
        self._due = due
        self._awake = awake
        self._set: set[int] = set()
        self._waking: asyncio.TimerHandle | None = None

    def at(self, due_at: Instant, now: Instant) -> None:
        """Call when something is due; one timer per grain of time, and only for what is due soon."""
        grain = due_at // GRAIN + 1
        # Polling finds the rest.
        if due_at - now > SOON or grain in self._set:
            return
        self._set.add(grain)

        def ring() -> None:
            self._set.discard(grain)
            self._due()

        asyncio.get_running_loop().call_later(max(0, grain * GRAIN - now) / 1000, ring)

    def wake_at(self, at: Instant | None, now: Instant) -> None:
        """Have the next awakening at that instant, in place of the one that was set; None: not at all."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        if at is not None:
            delay = max(1, at - now) / 1000
            self._waking = asyncio.get_running_loop().call_later(delay, self._awake)
