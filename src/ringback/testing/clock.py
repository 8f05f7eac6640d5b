"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime

from ringback.model import Instant

NOON: Instant = 1_772_452_800_000  # 2 March 2026, 12:00 UTC
MILLISECONDS = 1_000


class FrozenClock:
    """The present as a test wants it: call it for the milliseconds since 1970, as ``Inbox(clock=...)`` does."""

    def __init__(self, now: Instant | datetime = NOON) -> None:
        self._now = instant_of(now)

    def __call__(self) -> Instant:
        """Return the present, in milliseconds since 1970."""
        return self._now

    def __repr__(self) -> str:
        return f"FrozenClock({self.now.isoformat()})"

    @property
    def now(self) -> datetime:
        """The present, in UTC."""
        return datetime.fromtimestamp(self._now / MILLISECONDS, UTC)

    def advance(self, seconds: float) -> Instant:
        """Let *seconds* pass, at least 0, and return what time it is then.

        Raises:
            ValueError: *seconds* is negative; time here does not run back, for leases and schedules rely on it.
        """
        if seconds < 0:
            raise ValueError("time does not run back: advance by 0 seconds or more")
        self._now += round(seconds * MILLISECONDS)
        return self._now

    def advance_to(self, moment: Instant | datetime) -> Instant:
        """Let time pass until *moment*; where that is past already, none passes. Return what time it is then."""
        self._now = max(self._now, instant_of(moment))
        return self._now


def instant_of(moment: Instant | datetime) -> Instant:
    """Return *moment* as milliseconds since 1970; a datetime without a zone is taken for UTC."""
    if not isinstance(moment, datetime):
        return moment
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * MILLISECONDS)
