"""The provider's clock: it jumps from one event to the next, and stands still while programs work."""

from __future__ import annotations

import time

from ringback.model import Duration, Instant

BEGAN: Instant = 1_772_452_800_000  # 2 March 2026, 12:00 UTC: any moment would do


class ProviderClock:
    """Call it for the provider's present, in milliseconds since 1970.

    So an hour of waiting costs nothing, and no program is hurried: whatever is under way at an event is done before
    the clock goes on. What the work took in real time is measured and added by ``reading``.
    """

    def __init__(self) -> None:
        self._now = BEGAN
        self._stepped = time.perf_counter()

    def __call__(self) -> Instant:
        """Return the present."""
        return self._now

    @property
    def elapsed(self) -> Duration:
        """How much of the provider's time has passed, in milliseconds."""
        return self._now - BEGAN

    def step_to(self, elapsed: Duration) -> None:
        """Go on to the next event, *elapsed* milliseconds after the beginning; time does not run back."""
        self._now = max(self._now, BEGAN + elapsed)
        self._stepped = time.perf_counter()

    def reading(self) -> float:
        """Return the milliseconds since the beginning: the provider's, and the real ones since the last event."""
        return self.elapsed + (time.perf_counter() - self._stepped) * 1000
