"""Settlements whose commit failed, kept until they are in the store or until nothing can come of them any more.

While a store is away, attempts go on with what a node holds. Forgotten, each of them would be made again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from ringback.model import Instant
from ringback.store import Settlement

RETRY_SECONDS = 0.5
# As many as a node may hold, and what comes on top while it waits.
MOST = 20_000


class Unsettled:
    """What is to be settled again; for one thread."""

    def __init__(self) -> None:
        self._kept: deque[Settlement] = deque(maxlen=MOST)
        self._not_before = 0.0

    def keep(self, settlements: Iterable[Settlement]) -> None:
        """Keep settlements for later; of too many the oldest are forgotten, whose leases end first."""
        self._kept.extend(settlements)
        self._not_before = time.monotonic() + RETRY_SECONDS

    def patience(self) -> float | None:
        """Return in how many seconds some are due, None where there are none."""
        return max(0.0, self._not_before - time.monotonic()) if self._kept else None

    def due(self, now: Instant, most: int) -> list[Settlement]:
        """Return those to settle now, *most* at a time, and keep them no more; those without a lease are forgotten."""
        if time.monotonic() < self._not_before:
            return []
        taken: list[Settlement] = []
        while self._kept and len(taken) < most:
            settlement = self._kept.popleft()
            if settlement.work.lease.until > now:
                taken.append(settlement)
        return taken
