"""The worker's bounds, and its fairness within them: nobody's backlog or silence holds up the others."""

import collections

import pytest
from line import HOUR, OK, SECOND, Line, played, refused

from ringback.model import DeliveryState
from ringback.observe import MessageAccepted
from ringback.policy import RetrySchedule

SOON = RetrySchedule((5 * SECOND, HOUR), jitter=0.0)
LATER = RetrySchedule((HOUR, HOUR), jitter=0.0)


def times_each_came(line):
    """Return how many times each message came in at each receiver."""
    return collections.Counter((arrival.name, arrival.message_id) for arrival in line.receivers.arrivals)


def place_of(line, name):
    """Return how many requests came in before the first at *name*."""
    return [arrival.name for arrival in line.receivers.arrivals].index(name)


# --- Bounds ------------------------------------------------------------------------------------------------


@played
async def test_slots_bound_the_attempts_under_way(store_url):
    """However many endpoints there are, no more attempts are under way than there are slots."""
    async with Line(store_url, slots=6) as line:
        application = await line.application()
        for name in "abcd":
            await line.endpoint(application, name)
            line.receivers.hold(name)
        await line.publish(application, 10)
        await line.until(lambda: line.worker.in_flight == 6)
        await line.rounds()
        assert line.worker.in_flight == line.receivers.under_way.total() == 6
        for name in "abcd":
            line.receivers.let_go(name)
        await line.finished(40)
        assert line.worker.in_flight == 0


@played
async def test_memory_is_bounded_and_nothing_is_lost(store_url):
    """With a silent receiver, thousands published stay in the store beyond the bound; all come once it answers."""
    memory, count = 100, 3_000
    async with Line(store_url, memory=memory) as line:
        application, _ = await line.stage()
        line.receivers.hold("hook")
        ids = []
        for _ in range(count // 500):
            ids += await line.publish(application, 500)
            assert line.worker.in_memory <= memory
        await line.rounds()
        assert line.worker.in_memory <= memory
        assert sum(event.spilled for event in line.seen(MessageAccepted)) >= count - memory
        line.receivers.let_go("hook")
        highest = 0
        for wanted in range(100, count + 1, 100):
            await line.finished(wanted)
            highest = max(highest, line.worker.in_memory)
        assert 0 < highest <= memory
        assert times_each_came(line) == {("hook", one): 1 for one in ids}
        await line.until(lambda: line.worker.in_memory == 0)


@played
async def test_memory_is_bounded_across_endpoints(store_url):
    """The bound is the worker's, however many endpoints share it."""
    async with Line(store_url, memory=50) as line:
        application = await line.application()
        names = [f"hook-{number}" for number in range(20)]
        for name in names:
            await line.endpoint(application, name)
            line.receivers.hold(name)
        await line.publish(application, 20)
        await line.rounds()
        assert 0 < line.worker.in_memory <= 50
        for name in names:
            line.receivers.let_go(name)
        await line.finished(400)
        assert set(times_each_came(line).values()) == {1}
        assert len(times_each_came(line)) == 400


@played
async def test_a_single_endpoint_does_not_fill_the_memory(store_url):
    """A silent receiver's deliveries stay in the store beyond its own part, so that there is room for others."""
    async with Line(store_url, memory=2_000) as line:
        application, _ = await line.stage("silent")
        line.receivers.hold("silent")
        await line.publish(application, 2_500)
        await line.rounds()
        assert line.worker.in_memory <= 500


# --- Fairness ----------------------------------------------------------------------------------------------


@played
async def test_an_application_with_a_backlog_holds_up_no_other(store_url):
    """With a thousand messages waiting in one application, another's single message goes within the next few."""
    async with Line(store_url, slots=1) as line:
        busy, _ = await line.stage("busy")
        quiet, _ = await line.stage("quiet")
        line.receivers.hold("busy")
        await line.publish(busy, 1_000)
        await line.arrived("busy", 1)
        await line.publish(quiet)
        line.receivers.let_go("busy")
        await line.arrived("quiet", 1)
        assert place_of(line, "quiet") <= 3


@played
async def test_an_endpoint_with_a_backlog_holds_up_no_other(store_url):
    """Within an application, too: the endpoint with one message waits for a few of the other's, not for all."""
    async with Line(store_url, slots=1) as line:
        application = await line.application()
        await line.endpoint(application, "busy", event_types=None, channels=("all",))
        await line.endpoint(application, "quiet", channels=("rare",))
        line.receivers.hold("busy")
        pendings = [
            line.outbox.publish(application, "invoice.paid", b"{}", channels=("all",)) for _ in range(1_000)
        ]
        for pending in pendings:
            await pending
        await line.arrived("busy", 1)
        await line.outbox.publish(application, "invoice.paid", b"{}", channels=("rare",))
        line.receivers.let_go("busy")
        await line.arrived("quiet", 1)
        assert place_of(line, "quiet") <= 3


@played
async def test_a_backlog_that_fills_the_memory_holds_up_no_other(store_url):
    """Fairness reaches into the store: what waits there is not taken in the order of acceptance alone."""
    async with Line(store_url, slots=4, memory=32) as line:
        busy, _ = await line.stage("busy")
        quiet, _ = await line.stage("quiet")
        line.receivers.hold("busy")
        await line.publish(busy, 800)
        line.clock.advance(1)
        await line.publish(quiet)
        line.receivers.let_go("busy")
        await line.finished(801)
        assert place_of(line, "quiet") <= 200


@played
async def test_applications_share_the_slots(store_url):
    """Two applications with backlogs take turns, whatever the size of each."""
    async with Line(store_url, slots=1) as line:
        one, _ = await line.stage("one")
        two, _ = await line.stage("two")
        line.receivers.hold("one")
        await line.publish(one, 200)
        await line.publish(two, 50)
        line.receivers.let_go("one")
        await line.finished(250)
        first = collections.Counter(arrival.name for arrival in line.receivers.arrivals[:60])
        assert first["two"] >= 25


@played
async def test_a_silent_receiver_holds_up_no_other(store_url):
    """While one endpoint hangs, hundreds are delivered to another, of its own application or not."""
    async with Line(store_url, slots=16) as line:
        application, _ = await line.stage("silent")
        await line.endpoint(application, "brisk")
        other, _ = await line.stage("other")
        line.receivers.hold("silent")
        await line.publish(application, 300)
        await line.publish(other, 300)
        await line.arrived("brisk", 300)
        await line.arrived("other", 300)
        assert len(line.receivers.at("silent")) == 4


@played
async def test_silent_receivers_leave_memory_to_the_others(store_url):
    """While several endpoints hang, each with a backlog, what is published for another is delivered."""
    async with Line(store_url, memory=200) as line:
        for number in range(4):
            application, _ = await line.stage(f"silent-{number}")
            line.receivers.hold(f"silent-{number}")
            await line.publish(application, 100)
        other, _ = await line.stage("other")
        await line.publish(other, 100)
        await line.arrived("other", 100)
        assert line.worker.in_memory <= 200


@played
async def test_a_slow_endpoint_pays_with_its_turns(store_url):
    """Turns are charged by the time a slot is held: who holds it a hundred times longer gets far fewer."""
    async with Line(store_url, slots=1) as line:
        slow, _ = await line.stage("slow")
        brisk, _ = await line.stage("brisk")
        line.receivers.hold("slow")
        line.receivers.hold("brisk")
        await line.publish(slow, 100)
        await line.publish(brisk, 100)
        for done in range(1, 61):
            await line.until(lambda: len(line.receivers.holding()) == 1)
            (name,) = line.receivers.holding()
            line.clock.advance(SECOND if name == "slow" else 10)
            line.receivers.let(name)
            await line.finished(done)
        came = collections.Counter(arrival.name for arrival in line.receivers.arrivals)
        assert came["brisk"] >= 5 * came["slow"]


@played
async def test_retries_leave_room_for_what_is_new(store_url):
    """While new deliveries wait, retries hold at most a fifth of the slots."""
    async with Line(store_url, slots=10, schedule=SOON) as line:
        names = [f"old-{number}" for number in range(10)]
        old = await line.application()
        for name in names:
            await line.endpoint(old, name)
            line.receivers.answers(name, refused(500))
        await line.publish(old)
        await line.finished(10)
        fresh = await line.application()
        for number in range(3):
            await line.endpoint(fresh, f"new-{number}")
            line.receivers.hold(f"new-{number}")
        for name in names:
            line.receivers.hold(name)
        await line.publish(fresh, 20)
        await line.until(lambda: line.worker.in_flight == 10)
        line.clock.advance(5 * SECOND)
        await line.rounds()
        for name in line.receivers.holding():
            line.receivers.let(name)
        await line.rounds()
        await line.until(lambda: line.worker.in_flight == 10)
        assert sum(line.receivers.under_way[name] for name in names) <= 2


@pytest.mark.parametrize("slots", [1, 5, 20])
@played
async def test_everything_arrives_once_whatever_the_slots(store_url, slots):
    """Several applications, failures among the answers: in the end each message has come in and been settled."""
    async with Line(store_url, slots=slots, memory=60, schedule=LATER) as line:
        stages = [await line.stage(f"hook-{number}") for number in range(4)]
        ids = {}
        for number, (application, _) in enumerate(stages):
            line.receivers.answers(f"hook-{number}", *[OK, refused(500), OK, refused(503)] * 2, OK)
            ids[application] = await line.publish(application, 40)
        await line.finished(160)
        line.clock.advance(HOUR)
        for application, _ in stages:
            await line.in_state(application, ids[application], DeliveryState.SUCCEEDED)
        assert collections.Counter(times_each_came(line).values()) == {1: 144, 2: 16}
