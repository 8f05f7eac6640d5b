"""How an endpoint fares: what its latest attempts say, grouped and put side by side. Pure: attempts in, values out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.model import Attempt, Duration, Instant, OutcomeKind

BINS = 40
PERCENT = 100
# So many ways to fail are told.
WORST = 10


class Trouble(msgspec.Struct, frozen=True):
    """Attempts that failed alike: how they ended, how often, and when first and last."""

    kind: OutcomeKind
    detail: str
    status: int
    count: int
    first: Instant
    last: Instant
    latest: Attempt


class Bin(msgspec.Struct, frozen=True):
    """Attempts of a stretch of time, from *since* to before *until*."""

    since: Instant
    until: Instant
    succeeded: int
    failed: int


class Turn(msgspec.Struct, frozen=True):
    """The last success, and the first failure after it, unless nothing failed since."""

    last_success: Attempt
    since: Attempt | None


class Fare(msgspec.Struct, frozen=True, kw_only=True):
    """How the latest attempts went, newest first.

    ``last_success`` may lie farther back; ``since`` is the first of the failures that have lasted until now, None where
    the latest attempt succeeded.
    """

    attempts: Sequence[Attempt]
    bins: tuple[Bin, ...]
    troubles: tuple[Trouble, ...]
    last_success: Attempt | None
    since: Attempt | None

    @property
    def worst(self) -> Sequence[Trouble]:
        """The most frequent ways in which they failed."""
        return self.troubles[:WORST]

    @property
    def succeeded(self) -> int:
        """How many succeeded."""
        return sum(one.outcome.ok for one in self.attempts)

    @property
    def rate(self) -> int | None:
        """The share that succeeded, in percent; None without any. Only all of them are a hundred percent."""
        if not self.attempts:
            return None
        return PERCENT * self.succeeded // len(self.attempts)

    @property
    def median(self) -> Duration | None:
        """The median time that receivers took to answer well."""
        return median(self.attempts)


def median(attempts: Sequence[Attempt]) -> Duration | None:
    """Return the median time that receivers took to answer well; None where none did."""
    took = sorted(one.duration for one in attempts if one.outcome.ok)
    return took[len(took) // 2] if took else None


def fare(attempts: Sequence[Attempt], now: Instant, earlier: Turn | None = None) -> Fare:
    """Tell how an endpoint fares from its latest *attempts*, newest first, and when it turned if that was *earlier*."""
    turn = turn_of(attempts) or earlier
    return Fare(
        attempts=attempts,
        bins=_bins(attempts, now),
        troubles=_troubles(attempts),
        last_success=None if turn is None else turn.last_success,
        since=None if turn is None else turn.since,
    )


def turn_of(attempts: Sequence[Attempt]) -> Turn | None:
    """Return when things turned among some attempts, newest first; None where none of them succeeded."""
    place = next((place for place, one in enumerate(attempts) if one.outcome.ok), None)
    if place is None:
        return None
    return Turn(attempts[place], attempts[place - 1] if place else None)


def _troubles(attempts: Sequence[Attempt]) -> tuple[Trouble, ...]:
    """Group what failed by how it failed, most frequent first."""
    groups: dict[tuple[OutcomeKind, str, int], list[Attempt]] = {}
    for one in attempts:
        if not one.outcome.ok:
            outcome = one.outcome
            groups.setdefault((outcome.kind, outcome.detail, outcome.status), []).append(one)
    found = [
        Trouble(*key, len(alike), alike[-1].started_at, alike[0].started_at, alike[0])
        for key, alike in groups.items()
    ]
    return tuple(sorted(found, key=lambda trouble: (-trouble.count, -trouble.last)))


def _bins(attempts: Sequence[Attempt], now: Instant) -> tuple[Bin, ...]:
    """Spread attempts over equal stretches of time, from the oldest of them to now."""
    if not attempts:
        return ()
    begin = min(one.started_at for one in attempts)
    width = max(1, -(-(now + 1 - begin) // BINS))
    counts = [[0, 0] for _ in range(BINS)]
    for one in attempts:
        place = min((one.started_at - begin) // width, BINS - 1)
        counts[place][0 if one.outcome.ok else 1] += 1
    return tuple(
        Bin(begin + index * width, begin + (index + 1) * width, *pair) for index, pair in enumerate(counts)
    )
