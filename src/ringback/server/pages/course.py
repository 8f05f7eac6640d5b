"""How things went over a while, for charts: stretches of time, asked of the store and remembered for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from ringback.design.charts import Plot, Series
from ringback.model import Duration, Instant, Standing
from ringback.policy import DAY, HOUR, MINUTE
from ringback.server.pages.behind import Behind
from ringback.server.pages.wording import milliseconds, percent
from ringback.store.survey import Stretch

# What is over is asked again this seldom: a late success changes it little.
REMEMBERED: Duration = 20_000


class Span(msgspec.Struct, frozen=True):
    """A while to look back on, in steps."""

    key: str
    name: str
    length: Duration
    step: Duration

    def edges(self, now: Instant) -> list[Instant]:
        """Return the edges of the steps: at whole ones, so that they stay where they are, and the last one now."""
        first = -(-(now - self.length) // self.step) * self.step
        return [*range(first, now, self.step), now]

    def label(self, instant: Instant) -> str:
        """Return how a step is called, in UTC."""
        moment = datetime.fromtimestamp(instant / 1_000, UTC)
        return moment.strftime("%d %b %H:%M UTC" if self.length > DAY else "%H:%M UTC")


SPANS = (
    Span("1h", "Hour", HOUR, 5 * MINUTE),
    Span("24h", "Day", DAY, HOUR),
    Span("7d", "Week", 7 * DAY, 6 * HOUR),
)
USUAL = SPANS[1]


class _Remembered(msgspec.Struct, frozen=True):
    asked_at: Instant
    stretches: Sequence[Stretch]


class Courses:
    """Finds out how things went.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._known: dict[str, _Remembered] = {}
        # Of several who ask at once, one does; the others then know.
        self._asking = asyncio.Lock()

    async def of(self, span: Span) -> Sequence[Stretch]:
        """Return the stretches of a span; the last one ends now."""
        now = self._behind.clock()
        edges = span.edges(now)
        past = edges[:-1]
        async with self._asking:
            known = self._known.get(span.key)
            if known is None or not self._is_fresh(known, past, now):
                whole = await self._ask(edges)
                self._known[span.key] = _Remembered(now, whole[:-1])
                return whole
        return (*known.stretches, *await self._ask(edges[-2:]))

    def _is_fresh(self, known: _Remembered, past: list[Instant], now: Instant) -> bool:
        since, until = (
            (known.stretches[0].since, known.stretches[-1].until) if known.stretches else (None, None)
        )
        return (since, until) == (past[0], past[-1]) and 0 <= now - known.asked_at < REMEMBERED

    async def _ask(self, edges: list[Instant]) -> list[Stretch]:
        return await self._behind.outbox.read(lambda store: store.course(edges))


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What stretches come to together.

    ``delivered`` is the share of the deliveries at rest that succeeded, ``good`` that of the attempts; None where there
    were none. ``median`` and ``late`` are milliseconds: half of the attempts took no longer, 95 of 100.
    """

    messages: int
    more: bool
    is_sample: bool
    delivered: float | None
    good: float | None
    median: Duration | None
    late: Duration | None


def totals(stretches: Sequence[Stretch]) -> Totals:
    """Return what stretches come to."""
    durations = sorted(duration for one in stretches for duration in one.durations)
    return Totals(
        messages=sum(one.messages for one in stretches),
        more=any(one.more for one in stretches),
        is_sample=any(one.sampled < one.messages for one in stretches),
        delivered=delivered(stretches),
        good=_share(sum(one.good for one in stretches), len(durations)),
        median=rank(durations, 0.5),
        late=rank(durations, 0.95),
    )


def delivered(stretches: Sequence[Stretch]) -> float | None:
    """Return which share of the deliveries that are at rest succeeded; each stretch counts by its messages."""
    good = bad = 0.0
    for one in stretches:
        weight = one.messages / one.sampled if one.sampled else 0
        good += weight * one.standings.get(Standing.SUCCEEDED, 0)
        bad += weight * one.standings.get(Standing.FAILED, 0)
    return good / (good + bad) if good + bad else None


def rank(ordered: Sequence[Duration], share: float) -> Duration | None:
    """Return the value that this *share* of the *ordered* ones does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def plots(span: Span, stretches: Sequence[Stretch]) -> tuple[Plot, Plot, Plot]:
    """Return the charts of what was accepted, of how much succeeded, and of how long it took."""
    labels = [span.label(one.since) for one in stretches]
    accepted = Series("Messages accepted", [one.messages for one in stretches])
    succeeded = Series("Deliveries that succeeded", [delivered([one]) for one in stretches], "good")
    median = Series("Half took no longer", [rank(one.durations, 0.5) for one in stretches], "accent")
    late = Series("95 of 100 took no longer", [rank(one.durations, 0.95) for one in stretches], "wait")
    return (
        Plot("Accepted", labels, (accepted,)),
        Plot("Success rate", labels, (succeeded,), percent, most=1.0),
        Plot("Time an attempt takes", labels, (late, median), milliseconds),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
