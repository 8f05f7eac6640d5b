"""Several workers over one store: what an endpoint is promised holds for all of them together."""

import contextlib
from collections import Counter

from line import OK, SECOND, Clock, Line, played, refused

from ringback.model import DeliveryState
from ringback.pacing import BREAKER_MINIMUM, START_CONCURRENCY
from ringback.policy import HEARTBEAT, MINUTE, RetrySchedule

LATER = RetrySchedule((60 * MINUTE, 60 * MINUTE), jitter=0.0)
REST = 10 * SECOND
TICK = 100


@contextlib.asynccontextmanager
async def nodes(url, count=2, **settings):
    """Run that many nodes over one store and one clock, all of them known to all and settled."""
    clock = Clock()
    async with contextlib.AsyncExitStack() as running:
        lines = [
            await running.enter_async_context(Line(url, clock=clock, joined=True, **settings))
            for _ in range(count)
        ]
        await beat(lines)
        clock.advance(6 * SECOND)
        await beat(lines)
        yield lines


async def beat(lines):
    """Have all nodes give a sign of life and learn of the others."""
    for _ in range(2):
        for line in lines:
            await line.fleet.beat()
    for line in lines:
        line.desk.catalog_changed()
        await line.rounds()


async def pass_time(lines, milliseconds, step=TICK):
    """Let time pass for all nodes, in steps that each of them notices."""
    clock, until = lines[0].clock, lines[0].clock.now + milliseconds
    while clock.now < until:
        before = clock.now
        clock.advance(step)
        if before // HEARTBEAT != clock.now // HEARTBEAT:
            for line in lines:
                await line.fleet.beat()
        for line in lines:
            line.worker.look()
            line.worker._pump()
            await line.rounds(1)


def came(lines, name="hook"):
    """Return the instants of all requests at *name*, whichever node made them."""
    return sorted(arrival.at for line in lines for arrival in line.receivers.at(name))


def messages(lines, name="hook"):
    """Return how often each message came in."""
    return Counter(arrival.message_id for line in lines for arrival in line.receivers.at(name))


def most_within(instants, duration):
    """Return the largest number of instants within any span of that duration."""
    return max(sum(first <= one < first + duration for one in instants) for first in instants)


# --- Rate ---------------------------------------------------------------------------------------------------


@played
async def test_a_rate_holds_for_all_nodes_together(store_url):
    """Published on all nodes at once, an endpoint's messages come at its rate and no faster, each once."""
    async with nodes(store_url, 3) as lines:
        application, _ = await lines[0].stage(throttle_rate=10)
        await beat(lines)
        ids = [one for line in lines for one in await line.publish(application, 20)]
        await pass_time(lines, 8 * SECOND)
        assert messages(lines) == Counter(ids)
        assert most_within(came(lines), SECOND) <= 20
        assert most_within(came(lines), 5 * SECOND) <= 60
        assert sum(bool(line.receivers.arrivals) for line in lines) == 1


@played
async def test_a_rate_holds_while_its_owner_goes(store_url):
    """When the node that keeps the rate stops, another goes on with what is left, at the same rate."""
    async with nodes(store_url) as lines:
        application, endpoint = await lines[0].stage(throttle_rate=10)
        await beat(lines)
        ids = await lines[0].publish(application, 60)
        await pass_time(lines, 2 * SECOND)
        owner = next(line for line in lines if line.fleet.owns(endpoint.id))
        (other,) = (line for line in lines if line is not owner)
        before = len(came(lines))
        await owner.fleet.beat(stopped=True)
        await owner.stop()
        await pass_time([other], 8 * SECOND)
        assert 0 < before < 60
        assert messages(lines) == Counter(ids)
        assert most_within(came(lines), SECOND) <= 20


# --- Concurrency --------------------------------------------------------------------------------------------


@played
async def test_what_may_be_under_way_is_shared_out(store_url):
    """Two nodes together begin with as many attempts at a new endpoint as one alone would."""
    async with nodes(store_url) as lines:
        application, _ = await lines[0].stage()
        await beat(lines)
        for line in lines:
            line.receivers.hold("hook")
            await line.publish(application, 20)
        for line in lines:
            await line.arrived("hook", START_CONCURRENCY // 2)
            await line.rounds()
        assert [line.receivers.under_way["hook"] for line in lines] == [START_CONCURRENCY // 2] * 2
        for line in lines:
            line.receivers.let_go("hook")
        await lines[0].until(lambda: len(came(lines)) == 40)


# --- Circuits -----------------------------------------------------------------------------------------------


async def opened(lines, application):
    """Have the first node find out that the endpoint fails, and the others hear of it."""
    for line in lines:
        line.receivers.answers("hook", refused(500))
    await lines[0].publish(application, BREAKER_MINIMUM)
    await lines[0].finished(BREAKER_MINIMUM)
    await pass_time(lines, 5 * TICK)


@played
async def test_a_circuit_is_open_for_all_nodes(store_url):
    """What one node has found out holds for all: another does not deliver to the endpoint before the rest is over."""
    async with nodes(store_url, schedule=LATER, breaker_rest=REST) as lines:
        application, _ = await lines[0].stage()
        await beat(lines)
        await opened(lines, application)
        ids = await lines[1].publish(application, 20)
        await pass_time(lines, REST - SECOND, step=SECOND)
        assert lines[1].receivers.arrivals == []
        assert {await lines[1].state(application, one) for one in ids} == {DeliveryState.WAITING}


@played
async def test_a_circuit_is_probed_by_one_node(store_url):
    """After each rest one attempt is made, by whichever node; its success has all of them deliver again."""
    async with nodes(store_url, 3, schedule=LATER, breaker_rest=REST) as lines:
        application, _ = await lines[0].stage()
        await beat(lines)
        await opened(lines, application)
        ids = [one for line in lines for one in await line.publish(application, 10)]
        await pass_time(lines, REST + 2 * SECOND, step=SECOND)
        assert len(came(lines)) == BREAKER_MINIMUM + 1
        for line in lines:
            line.receivers.answers("hook", OK)
        await pass_time(lines, REST + 2 * SECOND, step=SECOND)
        for line in lines:
            await line.publish(application, 5)
        await pass_time(lines, 2 * SECOND)
        assert set(ids) <= messages(lines).keys()
        assert all(line.receivers.arrivals[-1].at > lines[0].clock.now - 3 * SECOND for line in lines)


@played
async def test_a_circuit_outlives_the_node_that_opened_it(store_url):
    """A node that starts later heeds what was found out before it was there."""
    async with nodes(store_url, schedule=LATER, breaker_rest=REST) as lines:
        application, _ = await lines[0].stage()
        await beat(lines)
        await opened(lines, application)
        await lines[0].fleet.beat(stopped=True)
        await lines[0].stop()
        async with Line(
            store_url, clock=lines[0].clock, joined=True, schedule=LATER, breaker_rest=REST
        ) as late:
            await beat([late])
            await late.publish(application, 5)
            await pass_time([late], REST // 2, step=SECOND)
            assert late.receivers.arrivals == []
