"""From records to figures: rates, percentiles, and whether everything accepted was delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec

from bench.wire import Record, kinds, times


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one message costs PostgreSQL; ``heap_only`` is the share of updates that wrote to no index."""

    statements: float
    messages_per_commit: float
    wal_bytes: float
    rows: float
    index_entries: float
    heap_only: float
    cpu_us: float


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a scenario measured; latencies in milliseconds, None where it does not measure that.

    What stands after ``limit_per_s`` belongs to one scenario each and is left out of the others.
    """

    accept_per_s: float
    delivered_per_s: float
    accept_p50_ms: float
    accept_p99_ms: float
    e2e_p50_ms: float
    e2e_p99_ms: float
    cpu_us_per_message: float
    rss_mb: float
    limit_per_s: float
    baseline_e2e_p99_ms: float | None = None
    p99_ratio: float | None = None
    backlog_deliveries: int | None = None
    take_p99_ms: float | None = None
    take_p99_ms_small: float | None = None
    due_p99_ms: float | None = None
    due_p99_ms_small: float | None = None
    cost: Cost | None = None
    transactions_per_s: float | None = None
    drain_seconds: float | None = None
    drain_first_per_s: float | None = None
    drain_last_per_s: float | None = None
    held_messages: int | None = None
    held_take_p99_ms: float | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What publisher and receiver saw in one run, and what the server used: processor time, peak MiB."""

    published: Record
    arrived: Record
    cpu_seconds: float = 0.0
    rss_mb: float = 0.0


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What should be delivered: *copies* of each message but those of requests of the kinds *without*.

    *strangers* tells that messages which the run did not publish are delivered too.
    """

    copies: int = 1
    without: frozenset[int] = frozenset()
    strangers: bool = False

    def deliveries(self, published: Record) -> Counter[bytes]:
        """Return how many deliveries each message should have."""
        expected = Counter(dict.fromkeys(published.names(), self.copies))
        for name in names_of(published, self.without):
            del expected[name]
        return expected


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least *share* (0 to 1) of *values* do not exceed; 0.0 of none."""
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(int(rank), 1) - 1] if ordered else 0.0


def figures(run: Run, without: Collection[int] = ()) -> Figures:
    """Return a run's figures; end-to-end latency leaves out requests of the kinds *without*."""
    begun, ended, arrived = times(run.published.begun), times(run.published.ended), times(run.arrived.ended)
    accepts = [(end - begin) * 1000 for begin, end in zip(begun, ended, strict=True)]
    latencies = end_to_end(run, without)
    first = min(begun, default=0.0)
    return Figures(
        accept_per_s=_rate(ended, first),
        delivered_per_s=_rate(arrived, first),
        accept_p50_ms=percentile(accepts, 0.5),
        accept_p99_ms=percentile(accepts, 0.99),
        e2e_p50_ms=percentile(latencies, 0.5),
        e2e_p99_ms=percentile(latencies, 0.99),
        cpu_us_per_message=run.cpu_seconds * 1e6 / max(len(ended), 1),
        rss_mb=run.rss_mb,
        limit_per_s=0.0,  # known to the caller
    )


def end_to_end(run: Run, without: Collection[int] = ()) -> list[float]:
    """Return the milliseconds from sending each publish request to the arrival of each of its deliveries."""
    begun = dict(zip(run.published.names(), times(run.published.begun), strict=True))
    left_out = set(names_of(run.published, without))
    return [
        (at - begun[name]) * 1000
        for name, at in zip(run.arrived.names(), times(run.arrived.ended), strict=True)
        if name in begun and name not in left_out
    ]


def names_of(published: Record, wanted: Collection[int]) -> list[bytes]:
    """Return the ids of messages published by requests of the kinds *wanted*."""
    return [
        name for name, kind in zip(published.names(), kinds(published.kinds), strict=True) if kind in wanted
    ]


def disagreement(run: Run, expectation: Expectation) -> str | None:
    """Say how what was delivered differs from what was accepted and expected; None if it does not."""
    published = run.published
    if published.refused or published.unanswered:
        return (
            f"{published.refused} requests were refused and {published.unanswered} got no answer. "
            f"The first refusal: {published.refusal or 'none'}"
        )
    if not published.ids:
        return "nothing was accepted"
    expected = expectation.deliveries(published)
    arrived = Counter(run.arrived.names())
    if expectation.strangers:
        if arrived.keys() <= expected.keys():
            return "nothing of the backlog was delivered"
        arrived = Counter({name: count for name, count in arrived.items() if name in expected})
    missing, surplus = (expected - arrived).total(), (arrived - expected).total()
    if not missing and not surplus:
        return None
    return (
        f"accepted {len(published.names())} messages, {expected.total()} deliveries; "
        f"delivered {arrived.total()}: {missing} are missing, {surplus} came twice or from nowhere"
    )


def _rate(moments: Sequence[float], first: float) -> float:
    """Return how many per second, from *first* to the last of *moments*."""
    counted = [moment for moment in moments if moment >= first]
    last = max(counted, default=first)
    return len(counted) / (last - first) if last > first else 0.0
