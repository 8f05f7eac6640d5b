"""The fair queue under any sequence of events: nothing lost, nothing twice, no bound exceeded, no lane stuck."""

import msgspec
from deliveries import ERROR, NOW, OK, SECOND, SILENT, endpoint, work
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringback import pacing
from ringback.lanes import RETRY_SHARE, Lanes
from ringback.model import EndpointState

ENDPOINTS = {
    "plain": {"application": "app_1"},
    "limited": {"application": "app_1", "throttle_rate": 2},
    "other": {"application": "app_2"},
    "single": {"application": "app_3", "throttle_rate": 1},
    "one": {"application": "app_4"},
    "two": {"application": "app_4", "throttle_rate": 3},
}
RATES = [{}, {"app_4": 2}, {"app_4": 5}]
names = st.sampled_from(sorted(ENDPOINTS))
index = st.integers(0, 10_000)


class LanesMachine(RuleBasedStateMachine):
    """Drives the queue as a worker does, beside a plain record of what is where."""

    @initialize(slots=st.sampled_from([1, 2, 3, 5, 10]))
    def begin(self, slots):
        """Open a queue with no lanes."""
        self.slots = slots
        self.lanes = Lanes(slots, breaker_rest=5 * SECOND)
        self.now = NOW
        self.endpoints = {name: endpoint(name, **fields) for name, fields in ENDPOINTS.items()}
        self.queued = {name: {} for name in ENDPOINTS}
        self.under_way = []

    def tried(self, of=None):
        """Return the retries under way, of one endpoint or of all."""
        return [one for lane, one in self.under_way if one.attempts and of in {None, lane.endpoint.id}]

    def fresh(self):
        """Return how many first attempts are queued."""
        return sum(not one.attempts for waiting in self.queued.values() for one in waiting.values())

    def may_start_at(self, name):
        """Return from when a lane has something that may start, by the rules alone; None if not by time alone."""
        lane, waiting = self.lanes.get(name), self.queued[name].values()
        if lane is None or not waiting or lane.endpoint.state is not EndpointState.ENABLED:
            return None
        if lane.in_flight >= self.limit(lane):
            return None
        if all(one.attempts for one in waiting) and not self.room_for_a_retry():
            return None
        reopens_at, rate, bucket = lane.breaker.reopens_at, lane.endpoint.throttle_rate, lane.bucket
        wait = 0
        if rate is not None and bucket is not None:
            wait = pacing.wait_for_token(pacing.refill(bucket, rate, self.now), rate)
        share = lane.share
        if share.rate is not None and share.bucket is not None:
            refilled = pacing.refill(share.bucket, share.rate, self.now)
            wait = max(wait, pacing.wait_for_token(refilled, share.rate))
        return max(self.now + wait, reopens_at or 0)

    def room_for_a_retry(self):
        """Tell whether retries may have another slot."""
        return not self.fresh() or len(self.tried()) < max(1, self.slots // RETRY_SHARE)

    @staticmethod
    def limit(lane):
        """Return how many attempts a lane may have under way."""
        return 1 if pacing.probing(lane.breaker) else lane.concurrency.limit

    @rule(rates=st.sampled_from(RATES))
    def bound(self, rates):
        """Applications are given rates, or lose them."""
        self.lanes.heed(rates)

    @rule(name=names, fresh=st.integers(0, 4), retries=st.integers(0, 4))
    def add(self, name, fresh, retries):
        """Deliveries come."""
        for attempts in [0] * fresh + [1] * retries:
            one = work(self.endpoints[name], attempts)
            self.lanes.add(one)
            self.queued[name][one.key] = one

    @rule()
    def pick(self):
        """The worker asks for the next."""
        times = {name: at for name in ENDPOINTS if (at := self.may_start_at(name)) is not None}
        picked = self.lanes.pick(self.now)
        if picked is None:
            if len(self.under_way) < self.slots:
                self.check_that_nobody_is_stuck(times)
            return
        lane, one = picked
        assert times[lane.endpoint.id] <= self.now
        assert self.queued[lane.endpoint.id].pop(one.key) is one
        assert len(self.under_way) < self.slots
        assert lane.in_flight <= self.limit(lane)
        self.under_way.append(picked)

    def check_that_nobody_is_stuck(self, times):
        """What could start would have been picked, and for what only waits for time it is known when to look."""
        assert all(at > self.now for at in times.values()), times
        next_wake = self.lanes.next_wake()
        assert not times or (next_wake is not None and next_wake <= min(times.values())), (next_wake, times)

    @rule()
    def pump(self):
        """The worker starts all that may."""
        for _ in range(self.slots):
            self.pick()

    @rule(
        which=index,
        outcome=st.sampled_from([OK, OK, ERROR, ERROR, SILENT]),
        seconds=st.sampled_from([0.0, 0.01, 1.0, 20.0]),
    )
    def finish(self, which, outcome, seconds):
        """An attempt ends."""
        if not self.under_way:
            return
        lane, one = self.under_way.pop(which % len(self.under_way))
        was_probing = pacing.probing(lane.breaker)
        changed = self.lanes.finished(lane, one, outcome, seconds, self.now)
        assert changed == (pacing.probing(lane.breaker) != was_probing)

    @rule(which=index)
    def abandon(self, which):
        """A delivery turns out to have waited too long."""
        if self.under_way:
            self.lanes.abandoned(*self.under_way.pop(which % len(self.under_way)))

    @rule(name=names)
    def drain(self, name):
        """What a lane holds is given back."""
        lane = self.lanes.get(name)
        if lane is not None:
            given_back = {one.key: one for one in self.lanes.drain(lane)}
            assert given_back == self.queued[name]
            self.queued[name] = {}

    @rule(name=names, state=st.sampled_from([EndpointState.ENABLED, EndpointState.PAUSED]))
    def change(self, name, state):
        """An endpoint is paused or resumed."""
        self.endpoints[name] = msgspec.structs.replace(self.endpoints[name], state=state)
        lane = self.lanes.get(name)
        if lane is not None:
            lane.endpoint = self.endpoints[name]
            self.lanes.wake(lane)

    @rule(name=names)
    def close(self, name):
        """An idle lane is forgotten."""
        lane = self.lanes.get(name)
        if lane is not None and not len(lane) and not lane.in_flight:
            self.lanes.close(lane)
            assert self.lanes.get(name) is None

    @rule(milliseconds=st.sampled_from([1, 100, 500, 1_000, 5_000, 60_000]))
    def wait(self, milliseconds):
        """Time passes."""
        self.now += milliseconds

    @invariant()
    def nothing_is_lost(self):
        """Every lane holds exactly what has come and not gone, and counts what is under way."""
        for name, waiting in self.queued.items():
            lane = self.lanes.get(name)
            held = [] if lane is None else [*lane.fresh, *lane.retries]
            assert {one.key for one in held} == set(waiting)
            assert len(held) == len(waiting)
            under_way = sum(one.endpoint.id == name for _, one in self.under_way)
            assert under_way == (0 if lane is None else lane.in_flight)
        assert self.lanes.in_flight == len(self.under_way) <= self.slots
        assert self.lanes.retries_in_flight == len(self.tried())

    def teardown(self):
        """Given time and success, everything that is not paused goes."""
        for name in ENDPOINTS if hasattr(self, "lanes") else ():
            self.change(name, EndpointState.ENABLED)
        while hasattr(self, "lanes") and (self.under_way or any(self.queued.values())):
            self.pump()
            while self.under_way:
                self.finish(0, OK, 0.1)
            self.now += 5 * SECOND


LanesMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestAnySequence = LanesMachine.TestCase
