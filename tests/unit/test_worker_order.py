"""Endpoints with an order: one message at a time, in the order of acceptance, whatever happens to anybody."""

import asyncio

from line import HOUR, MINUTE, OK, SECOND, Clock, Line, played, refused

from ringback import policy
from ringback.errors import StoreUnavailable
from ringback.model import DeliveryState, OutcomeKind
from ringback.policy import RetrySchedule

LATER = RetrySchedule((MINUTE, HOUR), jitter=0.0)
DEADLINE = 20 * SECOND
LEASE = policy.lease_until(0, DEADLINE)


class Book:
    """What came in at the receivers of several nodes, in the order in which it came, and whether two overlapped."""

    def __init__(self, *lines, name="hook"):
        self.came = []
        self.most = 0
        for line in lines:
            line.receivers.answers(name, lambda line=line: self._note(line, lines, name))

    def _note(self, line, lines, name):
        self.came.append(line.receivers.at(name)[-1].message_id)
        self.most = max(self.most, sum(one.receivers.under_way[name] for one in lines))
        return OK


def came(line, name="hook"):
    """Return the messages that came in at *name*, in their order."""
    return [arrival.message_id for arrival in line.receivers.at(name)]


async def taken_at_once(line, application, count):
    """Publish messages that the worker takes all together; return their ids."""
    line.store.blind = True
    names = await line.publish(application, count)
    line.store.blind = False
    await line.arrived("hook", 1)
    return names


@played
async def test_messages_come_one_at_a_time_in_their_order(store_url):
    """However many are published at once, and to however many endpoints; those without an order go side by side."""
    async with Line(store_url) as line:
        application, _ = await line.stage(ordered=True)
        await line.endpoint(application, "free")
        line.receivers.hold("free")
        book = Book(line)
        names = [one for _ in range(3) for one in await line.publish(application, 50)]
        await line.arrived("hook", 150)
        assert book.came == names
        assert book.most == 1
        assert line.receivers.under_way["free"] > 1
        line.receivers.let_go("free")


@played
async def test_the_next_waits_until_the_end_of_the_one_before_is_stored(store_url):
    """An answer alone does not let it go: a crash would have the older one sent again after it."""
    async with Line(store_url) as line:
        application, _ = await line.stage(ordered=True)
        line.receivers.hold("hook")
        names = await taken_at_once(line, application, 3)

        def settle(_):
            del line.store.settle
            raise StoreUnavailable("the disk has gone")

        line.store.settle = settle
        line.receivers.let("hook")
        await line.postponed(policy.BEHIND_ANOTHER, 2)
        await line.rounds()
        assert came(line) == names[:1], "what became of the first is not known"
        line.receivers.let_go("hook")
        line.clock.advance(LEASE)
        await line.arrived("hook", 4)
        assert came(line) == [names[0], *names]


@played
async def test_one_that_fails_holds_up_those_behind_it_until_it_is_given_up(store_url):
    """Nobody else waits for it, and the last failure lets the next go."""
    async with Line(store_url, schedule=LATER) as line:
        application, endpoint = await line.stage(ordered=True)
        await line.endpoint(application, "other", ordered=True)
        line.receivers.answers("hook", refused(500), refused(500), refused(500), OK)
        names = await line.publish(application, 3)
        await line.finished(4)
        names += await line.publish(application)
        await line.finished(5)
        await line.rounds()
        assert came(line) == names[:1]
        line.clock.advance(MINUTE)
        await line.finished(6)
        await line.rounds()
        assert came(line) == [names[0]] * 2
        line.clock.advance(HOUR)
        await line.finished(10)
        assert came(line) == [names[0]] * 2 + names
        first, *others = [await line.state_at(application, one, endpoint.id) for one in names]
        assert first is DeliveryState.FAILED
        assert {*others} == {DeliveryState.SUCCEEDED}


@played
async def test_two_nodes_keep_one_order(store_url):
    """Published on both by turns, the messages come in the order in which they were acknowledged, and never two."""
    clock = Clock()
    async with Line(store_url, clock=clock) as one, Line(store_url, clock=clock) as other:
        application, _ = await one.stage(ordered=True)
        book, names = Book(one, other), []
        for number in range(40):
            clock.advance(1)
            names += await (one, other)[number % 2].publish(application)
        await one.until(lambda: len(book.came) == 40)
        assert book.came == names
        assert book.most == 1


@played
async def test_a_node_that_stops_leaves_the_rest_in_order(store_url):
    """What it had not begun is given back and taken by another, which begins where the first has ended."""
    async with Line(store_url) as line:
        application, _ = await line.stage(ordered=True)
        line.receivers.hold("hook")
        names = await taken_at_once(line, application, 20)
        stopping = asyncio.create_task(line.stop(5.0))
        await line.postponed("draining", 1)
        line.receivers.let_go("hook")
        await stopping
        assert came(line) == names[:1]
        async with Line(store_url, clock=line.clock) as other:
            await other.arrived("hook", 19)
            assert came(other) == names[1:]


@played
async def test_what_a_dead_node_was_at_comes_again_before_the_rest(store_url):
    """When its leases are over, whoever takes over begins with the oldest that is not known to have arrived."""
    async with Line(store_url) as gone:
        application, _ = await gone.stage(ordered=True)
        gone.receivers.hold("hook")
        names = await taken_at_once(gone, application, 10)
        async with Line(store_url, clock=gone.clock) as line:
            await line.rounds()
            assert came(line) == []
            gone.store.blind = True
            gone.clock.advance(LEASE)
            await line.arrived("hook", 10)
            assert came(line) == names
            attempts = await line.attempts(application, names[0])
            assert {one.outcome.kind for one in attempts} == {OutcomeKind.UNKNOWN, OutcomeKind.SUCCESS}
        gone.receivers.let_go("hook")


@played
async def test_an_older_message_sent_again_goes_next_and_beside_none(store_url):
    """It waits for the one that is under way, and those that wait come after it."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage(ordered=True)
        names = await line.publish(application)
        await line.finished(1)
        line.receivers.hold("hook")
        names += await line.publish(application)
        await line.arrived("hook", 2)
        names += await line.publish(application)
        await line.outbox.resend(application, names[0], endpoint.id)
        await line.rounds()
        assert came(line) == names[:2]
        line.receivers.let_go("hook")
        await line.arrived("hook", 4)
        assert came(line) == [names[0], names[1], names[0], names[2]]


@played
async def test_a_pause_keeps_the_order(store_url):
    """What was taken is given back, and all go on with the one that is next."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage(ordered=True)
        line.receivers.hold("hook")
        names = await taken_at_once(line, application, 10)
        await line.outbox.pause_endpoint(application, endpoint.id)
        await line.postponed("endpoint_paused", 9)
        line.receivers.let_go("hook")
        names += await line.publish(application, 2)
        await line.rounds()
        assert came(line) == names[:1]
        await line.outbox.resume_endpoint(application, endpoint.id)
        await line.arrived("hook", 12)
        assert came(line) == names


@played
async def test_an_open_circuit_keeps_the_order(store_url):
    """It is probed with the message that is next, and no other."""
    schedule = RetrySchedule((SECOND,) * 40, jitter=0.0)
    async with Line(store_url, schedule=schedule, breaker_rest=10 * SECOND) as line:
        application, _ = await line.stage(ordered=True)
        line.receivers.answers("hook", *[refused(500)] * 12, OK)
        names = await line.publish(application, 5)
        for count in range(1, 13):
            await line.finished(count)
            await line.rounds()
            line.clock.advance(10 * SECOND)
        await line.arrived("hook", 17)
        assert came(line) == [names[0]] * 12 + names


@played
async def test_a_rate_and_an_order_hold_together(store_url):
    """One at a time, and no more a second."""
    async with Line(store_url) as line:
        application, _ = await line.stage(ordered=True, throttle_rate=2)
        names = await line.publish(application, 6)
        await line.arrived("hook", 2)
        await line.rounds()
        assert came(line) == names[:2]
        for count in (4, 6):
            line.clock.advance(SECOND)
            await line.arrived("hook", count)
        assert came(line) == names


@played
async def test_an_endpoint_that_is_given_an_order_has_it_from_then_on(store_url):
    """What is under way ends as it began; all else goes one at a time, in order, also what waits for a retry."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        line.receivers.hold("hook")
        names = await line.publish(application, 12)
        await line.arrived("hook", 4)
        line.clock.advance(1)
        await line.outbox.change_endpoint(application, endpoint.id, {"ordered": True})
        await line.postponed(policy.BEHIND_ANOTHER, 8)
        book = Book(line)
        line.receivers.let_go("hook")
        names += await line.publish(application, 3)
        await line.arrived("hook", 15)
        assert book.came == names[4:]
        assert book.most == 1
        line.clock.advance(1)
        await line.outbox.change_endpoint(application, endpoint.id, {"ordered": False})
        await line.rounds()
        line.receivers.hold("hook")
        await line.publish(application, 10)
        await line.arrived("hook", 15 + 4)
        line.receivers.let_go("hook")
