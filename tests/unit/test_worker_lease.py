"""Leases: what a worker leaves behind is made by another, what it gives back at once, what it lost is fenced."""

import asyncio
import threading

from line import HOUR, MINUTE, OK, PATIENCE, SECOND, Line, played, refused

from ringback import policy
from ringback.model import DeliveryState, OutcomeKind
from ringback.observe import LeaseLost
from ringback.policy import RetrySchedule

LATER = RetrySchedule((HOUR, HOUR), jitter=0.0)
DEADLINE = 20 * SECOND
LEASE = policy.lease_until(0, DEADLINE)


# --- Taking over -------------------------------------------------------------------------------------------


@played
async def test_a_vanished_workers_deliveries_are_taken_over(store_url):
    """When a lease has ended, and not before, another worker delivers; that there may have been an attempt is told."""
    async with Line(store_url, vanished=True) as gone, Line(store_url, clock=gone.clock) as line:
        application, _ = await gone.stage()
        ids = await gone.publish(application, 10)
        line.clock.advance(LEASE - 1)
        await line.rounds()
        assert line.receivers.arrivals == []
        line.clock.advance(1)
        await line.finished(10)
        assert sorted(arrival.message_id for arrival in line.receivers.arrivals) == sorted(ids)
        for one in ids:
            made = sorted(await line.attempts(application, one), key=lambda attempt: attempt.outcome.kind)
            assert [attempt.outcome.kind for attempt in made] == [OutcomeKind.SUCCESS, OutcomeKind.UNKNOWN]
            assert made[1].outcome.detail == "lease_expired"
            assert [attempt.number for attempt in made] == [1, 1]


@played
async def test_a_takeover_uses_up_no_attempt(store_url):
    """The attempt that nobody saw the end of does not count against the schedule."""
    settings = {"schedule": RetrySchedule((MINUTE,), jitter=0.0)}
    async with (
        Line(store_url, vanished=True, **settings) as gone,
        Line(store_url, clock=gone.clock, **settings) as line,
    ):
        application, _ = await gone.stage()
        line.receivers.answers("hook", refused(500))
        (message,) = await gone.publish(application)
        line.clock.advance(LEASE)
        await line.finished(1)
        assert await line.state(application, message) is DeliveryState.WAITING
        line.clock.advance(MINUTE)
        await line.finished(2)
        assert await line.state(application, message) is DeliveryState.FAILED


@played
async def test_what_waits_for_its_turn_holds_no_lease_yet(store_url):
    """What a worker takes is its own from when the store gets to it, however long other commits take before."""
    async with Line(store_url, schedule=LATER) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(500), OK)
        (message,) = await line.publish(application)
        await line.finished(1)
        turn = threading.Event()
        line.committer.write(lambda store: turn.wait(PATIENCE))
        line.clock.advance(HOUR)
        async with asyncio.timeout(PATIENCE):
            while not line.worker.in_memory:  # noqa: ASYNC110 - nothing tells of what a worker is about to take
                await asyncio.sleep(0)
        line.clock.advance(LEASE)
        turn.set()
        await line.finished(2)
        kinds = [attempt.outcome.kind for attempt in await line.attempts(application, message)]
        assert sorted(kinds) == [OutcomeKind.REFUSED, OutcomeKind.SUCCESS]


@played
async def test_a_late_settlement_is_fenced(store_url):
    """An answer that comes after the delivery has passed to another is kept as evidence and changes nothing."""
    async with Line(store_url) as late, Line(store_url, clock=late.clock, schedule=LATER) as line:
        application, _ = await late.stage()
        late.receivers.hold("hook")
        line.receivers.answers("hook", refused(500))
        (message,) = await late.publish(application)
        await late.arrived("hook", 1)
        late.store.blind = True
        line.clock.advance(LEASE)
        await line.finished(1)
        late.receivers.let_go("hook")
        await late.until(lambda: late.seen(LeaseLost))
        assert await line.state(application, message) is DeliveryState.WAITING
        kinds = sorted(attempt.outcome.kind for attempt in await line.attempts(application, message))
        assert kinds == [OutcomeKind.REFUSED, OutcomeKind.SUCCESS, OutcomeKind.UNKNOWN]


@played
async def test_two_workers_deliver_each_message_once(store_url):
    """Nodes that share a store and answer in time never make the same delivery twice."""
    async with Line(store_url, memory=20) as one, Line(store_url, clock=one.clock, memory=20) as two:
        application, _ = await one.stage()
        ids = await one.publish(application, 200) + await two.publish(application, 200)
        await one.until(lambda: len(one.receivers.arrivals) + len(two.receivers.arrivals) >= 400)
        arrivals = one.receivers.arrivals + two.receivers.arrivals
        assert sorted(arrival.message_id for arrival in arrivals) == sorted(ids)
        await one.in_state(application, ids, DeliveryState.SUCCEEDED)


@played
async def test_what_waited_too_long_in_memory_is_not_sent_on_a_short_lease(store_url):
    """A delivery whose lease no longer covers an attempt goes back and is made under a fresh one."""
    async with Line(store_url, slots=1) as line:
        application, _ = await line.stage()
        line.receivers.hold("hook")
        ids = await line.publish(application, 6)
        await line.arrived("hook", 1)
        line.clock.advance(DEADLINE)
        line.receivers.let_go("hook")
        await line.finished(6)
        assert len(line.reasons("lease_too_short")) == 5
        assert sorted(arrival.message_id for arrival in line.receivers.arrivals) == sorted(ids)
        for one in ids:
            assert len(await line.attempts(application, one)) == 1


@played
async def test_retries_that_waited_too_long_in_memory_are_made_all_the_same(store_url):
    """Retries whose leases became too short while new deliveries had the slots are made once there is room."""
    async with Line(store_url, slots=5, schedule=RetrySchedule((MINUTE, MINUTE), jitter=0.0)) as line:
        application = await line.application()
        names = [f"old-{number}" for number in range(4)]
        for name in names:
            await line.endpoint(application, name)
            line.receivers.answers(name, refused(500), OK)
        await line.publish(application)
        await line.finished(4)
        line.receivers.hold("new")
        other, _ = await line.stage("new")
        await line.publish(other, 10)
        await line.arrived("new", 4)
        for name in names:
            line.receivers.hold(name)
        line.clock.advance(MINUTE)
        await line.until(lambda: line.worker.in_flight == 5)
        line.clock.advance(DEADLINE)
        for name in ("new", *names):
            line.receivers.let_go(name)
        await line.finished(4 + 10 + 4)


@played
async def test_waiting_in_memory_is_not_taken_for_an_attempt(store_url):
    """What waits for a slot past the end of its lease is made, and gets no attempt on record that nobody made."""
    async with Line(store_url, slots=1) as line:
        application = await line.application()
        names = [f"hook-{number}" for number in range(6)]
        for name in names:
            await line.endpoint(application, name)
            line.receivers.hold(name)
        (message,) = await line.publish(application)
        for done in range(1, 7):
            await line.until(line.receivers.holding)
            for _ in range(2):
                line.clock.advance(9 * SECOND)
                await line.rounds(1)
            line.receivers.let(*line.receivers.holding())
            await line.finished(done)
        kinds = [attempt.outcome.kind for attempt in await line.attempts(application, message)]
        assert kinds == [OutcomeKind.SUCCESS] * 6


# --- Stopping ----------------------------------------------------------------------------------------------


@played
async def test_stopping_lets_attempts_finish_and_gives_back_the_rest(store_url):
    """Attempts under way end and are recorded; what had not started goes to another worker at once."""
    async with Line(store_url) as first:
        application, _ = await first.stage()
        first.receivers.hold("hook")
        ids = await first.publish(application, 20)
        await first.arrived("hook", 4)
        stopping = asyncio.create_task(first.stop(patience=10))
        await first.postponed("draining", 16)
        first.receivers.let_go("hook")
        await stopping
        await first.written()
        assert first.worker.in_flight == first.worker.in_memory == 0
        assert first.receivers.closed
        async with Line(store_url, clock=first.clock) as second:
            await second.finished(16)
            both = first.receivers.arrivals + second.receivers.arrivals
            assert sorted(arrival.message_id for arrival in both) == sorted(ids)
            await second.in_state(application, ids, DeliveryState.SUCCEEDED)


@played
async def test_stopping_starts_nothing_new(store_url):
    """What is published after stop has begun is left to others."""
    async with Line(store_url) as first:
        application, _ = await first.stage()
        await first.stop()
        ids = await first.publish(application, 5)
        assert first.receivers.arrivals == []
        async with Line(store_url, clock=first.clock) as second:
            await second.finished(5)
            assert sorted(arrival.message_id for arrival in second.receivers.arrivals) == sorted(ids)


@played
async def test_stopping_does_not_wait_for_ever(store_url):
    """An attempt that hangs is abandoned when patience ends; its delivery is made when the lease has ended."""
    async with Line(store_url) as first:
        application, _ = await first.stage()
        first.receivers.hold("hook")
        ids = await first.publish(application, 2)
        await first.arrived("hook", 2)
        async with asyncio.timeout(2):
            await first.stop(patience=0.05)
        async with Line(store_url, clock=first.clock) as second:
            second.clock.advance(LEASE)
            await second.finished(2)
            assert sorted(arrival.message_id for arrival in second.receivers.arrivals) == sorted(ids)


@played
async def test_stopping_is_patient_once(store_url):
    """While the store answers nothing and an attempt hangs as well, the time for both together is the one given."""
    async with Line(store_url, memory=8) as first:
        application, _ = await first.stage()
        first.receivers.hold("hook")
        await first.publish(application, 12)
        await first.arrived("hook", 4)
        first.store.take_may_return.clear()
        first.receivers.let("hook", count=2)
        assert await asyncio.to_thread(first.store.taking.wait, PATIENCE)
        patience = 0.5
        begun = asyncio.get_running_loop().time()
        await first.stop(patience)
        assert asyncio.get_running_loop().time() - begun < 2 * patience
        first.store.take_may_return.set()


@played
async def test_stopping_gives_back_what_is_just_being_taken(store_url):
    """Deliveries that were being taken when stop came are given back too, not left leased to nobody."""
    async with Line(store_url, memory=8) as first:
        application, _ = await first.stage()
        first.receivers.hold("hook")
        ids = await first.publish(application, 12)
        await first.arrived("hook", 4)
        first.store.take_may_return.clear()
        first.receivers.let_go("hook")
        assert await asyncio.to_thread(first.store.taking.wait, PATIENCE)
        stopping = asyncio.create_task(first.stop(patience=1))
        for _ in range(10):
            await asyncio.sleep(0)  # let stop reach whatever it waits for
        first.store.take_may_return.set()
        await stopping
        await first.written()
        async with Line(store_url, clock=first.clock) as second:
            await second.in_state(application, ids, DeliveryState.SUCCEEDED)
            both = first.receivers.arrivals + second.receivers.arrivals
            assert sorted(arrival.message_id for arrival in both) == sorted(ids)
