"""The clock of a node whose database others use as well: by it, leases end and deliveries become due for all alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from ringback.errors import RingbackError
from ringback.model import Instant
from ringback.store import Store

RENEW_SECONDS = 2.0
# What came back later than that tells the time worse than what is known already, unless that is old.
PROMPT_SECONDS = 0.1
STALE_SECONDS = 30.0
# A database that is set back by more is believed all the same: standing still for so long would be worse.
MOST_STANDSTILL = 60_000

Renew = Callable[[Callable[[Store], object]], object]


def elapsed() -> float:
    """Return seconds that only grow, where the system can tell also through a suspension of the machine."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class _Reading(msgspec.Struct, frozen=True):
    """What the time was after so many seconds."""

    instant: float
    at: float


class DatabaseClock:
    """The database's time, read now and then and counted on in between; the machine's own clock plays no part.

    It does not go back, unless the database has been set back by more than a minute.

    Args:
        store: The store on the database; it is read from at once, twice.
        elapsed: Returns seconds that only grow.
    """

    def __init__(self, store: Store, elapsed: Callable[[], float] = elapsed) -> None:
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._renewing = False
        self._renew: Renew | None = None
        self._told: Instant = 0
        store.now()  # opening a connection takes time of its own
        self._reading = self._read(store)[0]

    def renew_through(self, renew: Renew) -> None:
        """Have it read again through *renew*, which runs a query on another thread."""
        self._renew = renew

    def __call__(self) -> Instant:
        """Return the present instant."""
        reading, at = self._reading, self._elapsed()
        if at - reading.at > RENEW_SECONDS and not self._renewing:
            self._begin_to_renew()
        instant = round(reading.instant + (at - reading.at) * 1000)
        with self._lock:
            if not instant <= self._told <= instant + MOST_STANDSTILL:
                self._told = instant
            return self._told

    def measure(self, store: Store) -> None:
        """Read the database's time; where that fails, what is known goes on."""
        try:
            reading, took = self._read(store)
            if took <= PROMPT_SECONDS or reading.at - self._reading.at > STALE_SECONDS:
                self._reading = reading
        finally:
            self._renewing = False

    def _read(self, store: Store) -> tuple[_Reading, float]:
        before = self._elapsed()
        instant: Any = store.now()
        after = self._elapsed()
        # The answer was given somewhere between: half of the way lies after it.
        return _Reading(instant, (before + after) / 2), after - before

    def _begin_to_renew(self) -> None:
        if self._renew is None:
            return
        self._renewing = True
        try:
            self._renew(self.measure)
        except RingbackError:
            self._renewing = False  # this node is shutting down
