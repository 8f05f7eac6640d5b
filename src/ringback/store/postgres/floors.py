"""Where the queue of a busy endpoint begins, so that what has gone from it need not be passed again.

PostgreSQL cannot remove what has gone from a table, nor from its indexes, while a transaction is open anywhere that is
older: an idle console, a backup, a long report. A queue is always read from its front, which is where all that has
gone would have to be passed, again and again. Whoever took all that it asked for need not: what is left lies behind
what it got. Now and then, and whenever there was less than that, it looks from the very front, for what has come in
with an instant that had passed already.

Where much has gone and such a look takes long, looks from the front take a hundredth of the time at most. Until the
next, everything is read from a little before the last: what comes in with an instant before that waits until then.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from ringback.model import Instant
from ringback.policy import SECOND

FRONT: Instant = 0
TURNS = 256
# Of looks that are quicker, or pass fewer entries, there may be as many as anybody likes.
QUICK_SECONDS = 0.005
FEW = 20_000
SHARE = 100
LONGEST_SECONDS = 30.0
# How much later than its instant something mostly comes in: the time of a commit, and what clocks differ by.
MARGIN = 2 * SECOND


class Floors:
    """From where queues are read: those of endpoints of which more was there than was taken, or all of them."""

    def __init__(self) -> None:
        self._floors: dict[int, tuple[Instant, int]] = {}
        self._seen: set[int] = set()
        self._leases = FRONT
        self._gone = 0
        # When everything may be read from the front again; None while that is quick.
        self._spared_until: float | None = None

    @property
    def spares(self) -> bool:
        """Whether nothing is read from the front now that has been since."""
        return self._spared_until is not None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Read queues inside: from the front if it is time for that, and not soon again if that takes long."""
        begun = time.monotonic()
        if self._spared_until is not None and begun >= self._spared_until:
            self.clear()
        yield
        took = time.monotonic() - begun
        if self._spared_until is None and self._gone > FEW and took > QUICK_SECONDS:
            self._spared_until = begun + min(SHARE * took, LONGEST_SECONDS)

    def floor(self, endpoint_key: int) -> Instant:
        """Return from where an endpoint's queue has to be read."""
        return self._floors.get(endpoint_key, (FRONT, 0))[0]

    def known(self) -> dict[int, Instant]:
        """Return every floor that is not the front, by the endpoint's key."""
        return {key: floor for key, (floor, _) in self._floors.copy().items()}

    @property
    def leases(self) -> Instant:
        """From where leases have to be read whose time may be over."""
        return self._leases if self.spares else FRONT

    def taken(self, endpoint_key: int, quota: int, due: Collection[Instant], now: Instant) -> None:
        """Heed that of *quota* asked for those that were *due* at these instants were taken."""
        floor, turns = self._floors.get(endpoint_key, (FRONT, 0))
        if len(due) == quota and (turns < TURNS - 1 or self.spares):
            self._floors[endpoint_key] = max(due), turns + 1
        elif self.spares:
            self._floors[endpoint_key] = max(floor, now - MARGIN), 0
        else:
            self._floors.pop(endpoint_key, None)

    def due(self, oldest: Mapping[int, Instant], now: Instant) -> Collection[int]:
        """Heed since when something is due, by endpoint; return those where that has to be looked up from the front."""
        self._seen.update(oldest)
        if not self.spares:
            idle = self._floors.keys() - oldest.keys()
            for key in idle:
                self._floors.pop(key, None)
            return idle
        for key in self._seen - self._floors.keys():
            self._floors[key] = min(oldest.get(key, now), now - MARGIN), 0
        return ()

    def gone(self, entries: int) -> None:
        """Heed how many entries have gone that are still to be passed."""
        self._gone = entries

    def ended(self, now: Instant) -> None:
        """Heed that all leases were read whose time was over."""
        self._leases = now - MARGIN

    def clear(self) -> None:
        """Look from the front everywhere."""
        self._floors.clear()
        self._spared_until = None
