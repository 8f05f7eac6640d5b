"""Which delivery goes next: a fair queue of applications, and within each of its endpoints.

Both levels are charged by the time a delivery holds a slot, so a slow endpoint pays for itself: whoever has used
the least goes first. A newcomer starts at the present level, neither owed nor owing for the past. Single-threaded
and free of I/O: the worker tells the instant.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator, Mapping

from ringback import pacing, policy
from ringback.model import Duration, Endpoint, EndpointState, Instant, Outcome
from ringback.store import Work

FIRST_GUESS = 0.05
MEMORY = 0.1
BUFFER_SECONDS = 5.0
MIN_BUFFER = 16
MAX_BUFFER = 2_000
RETRY_SHARE = 5
APPLICATION_SHARE = 4


class Lane:
    """One endpoint's deliveries in memory, and how fast they may go."""

    __slots__ = (
        "breaker",
        "bucket",
        "concurrency",
        "endpoint",
        "fresh",
        "in_flight",
        "queued",
        "retries",
        "seconds",
        "share",
        "used",
    )

    def __init__(self, endpoint: Endpoint, share: Share) -> None:
        self.endpoint = endpoint
        self.share = share
        self.fresh: deque[Work] = deque()
        self.retries: deque[Work] = deque()
        self.in_flight = 0
        self.concurrency = pacing.Concurrency()
        self.breaker = pacing.Breaker()
        self.bucket: pacing.Bucket | None = None
        self.seconds = FIRST_GUESS
        self.used = 0.0
        self.queued = False

    def __len__(self) -> int:
        return len(self.fresh) + len(self.retries)

    @property
    def is_throttled(self) -> bool:
        """Whether a rate may hold up what is in memory."""
        return self.endpoint.throttle_rate is not None or self.share.rate is not None

    def begin_empty(self, now: Instant) -> None:
        """Have rates begin with nothing: another node may just have spent all that full buckets hold."""
        if self.endpoint.throttle_rate is not None and self.bucket is None:
            self.bucket = pacing.empty_bucket(now)
        if self.share.rate is not None and self.share.bucket is None:
            self.share.bucket = pacing.empty_bucket(now)

    @property
    def shortest_lease(self) -> Instant:
        """When the first of the leases of what is queued ends; there must be something."""
        return min(waiting[0].lease.until for waiting in (self.fresh, self.retries) if waiting)

    @property
    def buffer(self) -> int:
        """How many deliveries to hold in memory: a few seconds' worth."""
        if self.endpoint.state is not EndpointState.ENABLED or pacing.probing(self.breaker):
            return 0
        limit = 1 if self.endpoint.in_order else self.concurrency.limit
        rate = limit / max(self.seconds, 0.001)
        if self.endpoint.throttle_rate is not None:
            rate = min(rate, self.endpoint.throttle_rate)
        if self.share.rate is not None:
            # Others of the application have their part of it, and there may be very many of them.
            rate = min(rate, self.share.rate / max(1, self.share.lanes))
        fewest = 1 if self.is_throttled else MIN_BUFFER
        return max(fewest, min(MAX_BUFFER, round(rate * BUFFER_SECONDS)))

    def blocked_for(self, now: Instant, workers: int = 1) -> Duration | None:
        """Return how long nothing may start: 0 if something may, None until something else happens.

        *workers* is how many nodes share what the endpoint may have under way, unless one has it alone.
        """
        if self.endpoint.state is not EndpointState.ENABLED:
            return None
        alone = self.endpoint.handler is not None or self.is_throttled
        limit = pacing.share_of(self.concurrency.limit, 1 if alone else workers)
        if pacing.probing(self.breaker) or (self.endpoint.ordered and self.endpoint.in_order):
            limit = 1
        if self.in_flight >= limit:
            return None
        if not pacing.admits(self.breaker, now):
            return (self.breaker.reopens_at or now) - now
        rate = self.endpoint.throttle_rate
        if rate is None:
            return 0
        self.bucket = pacing.available(self.bucket, rate, now)
        return pacing.wait_for_token(self.bucket, rate)

    def finished(self, outcome: Outcome, seconds: float, now: Instant, rest: Duration) -> bool:
        """Learn from an attempt; tell whether the circuit opened or closed by it."""
        self.in_flight -= 1
        self.share.in_flight -= 1
        self.charge(seconds - self.seconds)
        self.seconds += MEMORY * (seconds - self.seconds)
        self.concurrency = pacing.adapt(self.concurrency, outcome)
        if not policy.is_paced(self.endpoint) or outcome.kind in policy.OF_THE_MESSAGE:
            # One message that a handler or a transformation fails at says nothing about the next.
            return False
        was_open = pacing.probing(self.breaker)
        self.breaker = pacing.record(self.breaker, ok=outcome.ok, now=now, rest=rest)
        return pacing.probing(self.breaker) != was_open

    def charge(self, seconds: float) -> None:
        """Account for slot time."""
        self.used += seconds
        self.share.used += seconds

    def drain(self) -> Iterator[Work]:
        """Take out everything that has not started."""
        for waiting in (self.fresh, self.retries):
            while waiting:
                yield waiting.popleft()


class Share:
    """One application's lanes and what they have used. With a *rate*, they may get so many messages a second."""

    __slots__ = ("bucket", "in_flight", "lanes", "level", "queued", "rate", "ready", "used")

    def __init__(self, rate: int | None) -> None:
        self.rate = rate
        self.bucket: pacing.Bucket | None = None
        self.lanes = 0
        self.in_flight = 0
        self.used = 0.0
        self.level = 0.0
        self.ready: list[tuple[float, int, Lane]] = []
        self.queued = False

    def blocked_for(self, now: Instant) -> Duration:
        """Return how long nothing may start."""
        if self.rate is None:
            return 0
        self.bucket = pacing.available(self.bucket, self.rate, now)
        return pacing.wait_for_token(self.bucket, self.rate)


class Lanes:
    """The fair queue over all endpoints of this node.

    Args:
        slots: How many attempts may be under way at once.
        breaker_rest: How long an open circuit rests between probes.

    Attributes:
        workers: How many nodes deliver, and share what each endpoint may have under way.
    """

    def __init__(self, slots: int, breaker_rest: Duration = pacing.BREAKER_REST) -> None:
        self._slots = slots
        self._breaker_rest = breaker_rest
        self._lanes: dict[str, Lane] = {}
        self._shares: dict[str, Share] = {}
        self._ready: list[tuple[float, int, Share]] = []
        self._sleeping: list[tuple[Instant, int, Lane]] = []
        self._resting: list[tuple[Instant, int, Share]] = []
        self._rates: Mapping[str, int] = {}
        self._retry_blocked: list[Lane] = []
        self._serial = itertools.count()
        self._level = 0.0
        self._fresh = 0
        self.workers = 1
        self.in_flight = 0
        self.retries_in_flight = 0

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def __len__(self) -> int:
        return len(self._lanes)

    def get(self, endpoint_id: str) -> Lane | None:
        """Return an endpoint's lane, if it has one."""
        return self._lanes.get(endpoint_id)

    def lane(self, endpoint: Endpoint) -> Lane:
        """Return an endpoint's lane, opening it if need be."""
        lane = self._lanes.get(endpoint.id)
        if lane is None:
            owner = endpoint.application_id
            share = self._shares.get(owner)
            if share is None:
                share = self._shares[owner] = Share(self._rates.get(owner))
            share.lanes += 1
            lane = self._lanes[endpoint.id] = Lane(endpoint, share)
        return lane

    def close(self, lane: Lane) -> None:
        """Forget a lane with nothing queued or under way."""
        if self._lanes.pop(lane.endpoint.id, None) is not None:
            lane.share.lanes -= 1
            if not lane.share.lanes:
                self._shares.pop(lane.endpoint.application_id, None)

    def add(self, work: Work) -> Lane:
        """Queue a delivery."""
        lane = self.lane(work.endpoint)
        if _is_retry(work):
            lane.retries.append(work)
        else:
            lane.fresh.append(work)
            self._fresh += 1
        self.wake(lane)
        return lane

    def drain(self, lane: Lane) -> list[Work]:
        """Take a lane's queue out."""
        self._fresh -= len(lane.fresh)
        return list(lane.drain())

    def wake(self, lane: Lane) -> None:
        """Have a lane looked at again: it got work, or what blocked it may be over."""
        if lane.queued or not len(lane):
            return
        lane.queued = True
        share = lane.share
        lane.used = max(lane.used, share.level)
        heapq.heappush(share.ready, (lane.used, next(self._serial), lane))
        self._enqueue(share)

    def heed(self, rates: Mapping[str, int]) -> None:
        """Heed how many messages a second each application may get, of those that have a bound."""
        self._rates = rates
        for owner, share in self._shares.items():
            if share.rate != rates.get(owner):
                share.rate, share.bucket = rates.get(owner), None
        resting, self._resting = self._resting, []
        for _, _, share in resting:
            self._rouse(share)

    def next_wake(self) -> Instant | None:
        """Return when a lane that waits for time alone may go on."""
        return min((waiting[0][0] for waiting in (self._sleeping, self._resting) if waiting), default=None)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, not even for time or for a slot."""
        return not (self._ready or self._sleeping or self._resting or self._retry_blocked)

    def pick(self, now: Instant) -> tuple[Lane, Work] | None:
        """Take out the delivery that goes next; None when nothing may start."""
        if self.in_flight >= self._slots:
            return None
        while self._sleeping and self._sleeping[0][0] <= now:
            self.wake(heapq.heappop(self._sleeping)[2])
        while self._resting and self._resting[0][0] <= now:
            self._rouse(heapq.heappop(self._resting)[2])
        if self._retry_blocked and self._retry_may_start():
            blocked, self._retry_blocked = self._retry_blocked, []
            for lane in blocked:
                self.wake(lane)
        greedy: list[Share] = []
        picked = self._pick_from_ready(now, greedy)
        for share in greedy:
            # Nobody else could use the slot, so one that has more than its share may.
            picked = picked or self._pick_from(share, now)
            self._enqueue(share)
        return picked

    def finished(self, lane: Lane, work: Work, outcome: Outcome, seconds: float, now: Instant) -> bool:
        """Free the slot of an attempt that held it for *seconds*; tell whether the circuit opened or closed."""
        changed = lane.finished(outcome, seconds, now, self._breaker_rest)
        self.in_flight -= 1
        if _is_retry(work):
            self.retries_in_flight -= 1
        self.wake(lane)
        return changed

    def abandoned(self, lane: Lane, work: Work) -> None:
        """Free the slot of a delivery that was picked but not attempted."""
        lane.in_flight -= 1
        lane.share.in_flight -= 1
        lane.charge(-lane.seconds)
        if lane.bucket is not None:
            lane.bucket = pacing.restore(lane.bucket)
        if lane.share.bucket is not None:
            lane.share.bucket = pacing.restore(lane.share.bucket)
        self.in_flight -= 1
        self.retries_in_flight -= _is_retry(work)
        self.wake(lane)

    def _enqueue(self, share: Share) -> None:
        if share.ready and not share.queued:
            share.queued = True
            share.used = max(share.used, self._level)
            heapq.heappush(self._ready, (share.used, next(self._serial), share))

    def _rouse(self, share: Share) -> None:
        share.queued = False
        self._enqueue(share)

    def _pick_from_ready(self, now: Instant, greedy: list[Share]) -> tuple[Lane, Work] | None:
        most = max(1, self._slots // APPLICATION_SHARE)
        while self._ready:
            used, _, share = heapq.heappop(self._ready)
            share.queued = False
            if share.in_flight >= most and (self._ready or greedy):
                greedy.append(share)
                continue
            picked = self._pick_from(share, now)
            if picked is not None:
                self._level = max(self._level, used)
                self._enqueue(share)
                return picked
        return None

    def _pick_from(self, share: Share, now: Instant) -> tuple[Lane, Work] | None:
        if share.rate is not None and share.ready and (wait := share.blocked_for(now)):
            # All of its lanes wait for the same, so they do it together.
            share.queued = True
            heapq.heappush(self._resting, (now + wait, next(self._serial), share))
            return None
        while share.ready:
            used, _, lane = heapq.heappop(share.ready)
            lane.queued = False
            work = self._start(lane, now)
            if work is not None:
                share.level = max(share.level, used)
                self.wake(lane)
                return lane, work
        return None

    def _start(self, lane: Lane, now: Instant) -> Work | None:
        if not len(lane):
            return None
        wait = lane.blocked_for(now, self.workers)
        if wait is None:
            return None
        if wait > 0:
            heapq.heappush(self._sleeping, (now + wait, next(self._serial), lane))
            return None
        work = self._choose(lane)
        if work is None:
            self._retry_blocked.append(lane)
            return None
        if lane.bucket is not None:
            lane.bucket = pacing.spend(lane.bucket)
        if lane.share.bucket is not None:
            lane.share.bucket = pacing.spend(lane.share.bucket)
        lane.in_flight += 1
        lane.share.in_flight += 1
        lane.charge(lane.seconds)
        self.in_flight += 1
        return work

    def _choose(self, lane: Lane) -> Work | None:
        if lane.retries and self._retry_may_start():
            self.retries_in_flight += 1
            return lane.retries.popleft()
        if lane.fresh:
            self._fresh -= 1
            return lane.fresh.popleft()
        return None

    def _retry_may_start(self) -> bool:
        return not self._fresh or self.retries_in_flight < max(1, self._slots // RETRY_SHARE)


def _is_retry(work: Work) -> bool:
    # Where there is an order, what is tried again goes in its turn like any other.
    return work.attempts > 0 and not work.endpoint.in_order
