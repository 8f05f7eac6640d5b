"""An application's rate: so many messages a second over all of its endpoints, whichever nodes deliver."""

from collections import Counter

from line import SECOND, Line, played
from test_worker_nodes import beat, came, messages, most_within, nodes, pass_time

from ringback.model import OutcomeKind
from ringback.observe import AttemptFinished
from ringback.store import MessageFilter, Page

RATE = 10
NAMES = [f"hook-{number}" for number in range(4)]


async def stage(line, rate=RATE, names=NAMES):
    """Create an application with a rate and some endpoints; return its id."""
    application = await line.application(throttle_rate=rate)
    for name in names:
        await line.endpoint(application, name)
    return application


def all_came(lines):
    """Return when requests came in at any endpoint."""
    return sorted(at for name in NAMES for at in came(lines, name))


@played
async def test_the_rate_is_that_of_all_endpoints_together(store_url):
    """In no stretch of time do they get more than a second's worth at once and the rate from then on; others do."""
    async with nodes(store_url, 1) as (line,):
        application = await stage(line)
        other, _ = await line.stage("free")
        await line.rounds()
        ids = await line.publish(application, 20)
        await line.publish(other, 50)
        await line.arrived("free", 50)
        await pass_time([line], 8 * SECOND)
        assert messages_at_all([line]) == Counter({(name, one): 1 for name in NAMES for one in ids})
        assert most_within(all_came([line]), SECOND) <= 2 * RATE
        assert most_within(all_came([line]), 5 * SECOND) <= 6 * RATE
        assert all_came([line])[-1] - all_came([line])[0] >= 7 * SECOND


def messages_at_all(lines):
    """Return how often each message came in at each endpoint."""
    return Counter({(name, one): count for name in NAMES for one, count in messages(lines, name).items()})


@played
async def test_a_change_is_heeded_for_what_waits(store_url):
    """Lifted, it lets everything go; set, it holds from then on."""
    async with Line(store_url) as line:
        application = await stage(line, rate=1, names=["hook"])
        await line.rounds()
        await line.publish(application, 20)
        await line.rounds()
        assert len(line.receivers.arrivals) == 1
        await line.outbox.change_application(application, {"throttle_rate": None})
        await line.arrived("hook", 20)
        await line.outbox.change_application(application, {"throttle_rate": 2})
        await line.rounds()
        await line.publish(application, 20)
        await line.rounds()
        assert len(line.receivers.arrivals) == 22


@played
async def test_what_a_rate_holds_up_is_given_back_in_time(store_url):
    """Nothing waits in memory for longer than its lease covers, so nobody takes it for lost."""
    async with nodes(store_url, 1) as (line,):
        application = await stage(line, rate=1, names=["hook"])
        limited, _ = await line.stage("slow", throttle_rate=1)
        for one in (application, limited):
            await line.publish(one, 60)
        await pass_time([line], 60 * SECOND, step=SECOND)
        await line.arrived("hook", 60)
        await line.arrived("slow", 60)
        kinds = {event.attempt.outcome.kind for event in line.seen(AttemptFinished)}
        assert kinds == {OutcomeKind.SUCCESS}
        for one in await line.outbox.read(
            lambda store: store.messages(application, MessageFilter(), Page(limit=100))
        ):
            (attempt,) = await line.attempts(application, one.id)
            assert attempt.outcome.ok


@played
async def test_the_rate_holds_for_all_nodes_together(store_url):
    """Published on all nodes at once; one of them has all of the application's endpoints, and another when it goes."""
    async with nodes(store_url, 3) as lines:
        application = await stage(lines[0])
        await beat(lines)
        ids = [one for line in lines for one in await line.publish(application, 5)]
        await pass_time(lines, 2 * SECOND)
        (owner,) = [line for line in lines if line.receivers.arrivals]
        others = [line for line in lines if line is not owner]
        await owner.fleet.beat(stopped=True)
        await owner.stop()
        await pass_time(others, 8 * SECOND)
        assert messages_at_all(lines) == Counter({(name, one): 1 for name in NAMES for one in ids})
        assert most_within(all_came(lines), SECOND) <= 2 * RATE
        assert sum(bool(line.receivers.arrivals) for line in others) == 1
