"""What operators are told goes through the same line: sent, signed, tried again, and taken over from the dead."""

import json

from line import HOUR, OK, Line, played, refused

from ringback import ids
from ringback.drafts import OperationalDraft
from ringback.model import EndpointState
from ringback.observe import AttemptFinished
from ringback.policy import RetrySchedule
from ringback.signing import standard
from ringback.store import MessageFilter, Page

KEY = "whsec_" + "A" * 32
FIVE = RetrySchedule((HOUR,) * 4, jitter=0.0)


async def listen(line, **fields):
    """Have the operators listen; return their endpoint."""
    await line.outbox.ensure_operators()
    draft = OperationalDraft(url="https://operators.example/", secret=KEY, **fields)
    return await line.outbox.create_endpoint(ids.OPERATOR, draft)


def told(line):
    """Return the types of what has arrived at the operators'."""
    return [json.loads(arrival.request.body)["type"] for arrival in line.receivers.at("operators")]


def finished(line, endpoint):
    """Return the attempts that were made at an endpoint."""
    return [event for event in line.seen(AttemptFinished) if event.endpoint.id == endpoint.id]


async def an_hour_later(line):
    """Let an hour pass when nothing is under way: what is would outlive its lease."""
    await line.rounds()
    await line.until(lambda: line.worker.in_memory == 0)
    line.clock.advance(HOUR)


async def fails(line, application, endpoint, times):
    """Publish a message that fails so many times, with an hour between."""
    line.receivers.answers("hook", *[refused(500)] * times, OK)
    await line.publish(application)
    for number in range(1, times + 1):
        await line.until(lambda number=number: len(finished(line, endpoint)) == number)
        await an_hour_later(line)


@played
async def test_a_message_that_fails_for_good(store_url):
    """Four failures, a fifth, and the end: the operators hear of it as it happens, signed like all else."""
    async with Line(store_url, schedule=FIVE) as line:
        await listen(line)
        application, endpoint = await line.stage()
        await fails(line, application, endpoint, 5)
        await line.arrived("operators", 3)
        assert sorted(told(line)) == [
            "endpoint.created",
            "message.attempt.exhausted",
            "message.attempt.failing",
        ]
        for arrival in line.receivers.at("operators"):
            standard.verify(
                [standard.parse_signing_key(KEY)], arrival.headers, arrival.request.body, arrival.at
            )


@played
async def test_a_message_that_recovers(store_url):
    """A success after four failures is told, to those who want to hear of that alone."""
    async with Line(store_url, schedule=FIVE) as line:
        await listen(line, event_types=("message.attempt.recovered",))
        application, endpoint = await line.stage()
        await fails(line, application, endpoint, 4)
        await line.arrived("operators", 1)
        assert told(line) == ["message.attempt.recovered"]


@played
async def test_an_endpoint_that_is_gone(store_url):
    """410 disables an endpoint; operators hear why."""
    async with Line(store_url) as line:
        await listen(line, event_types=("endpoint.disabled",))
        application, endpoint = await line.stage()
        line.receivers.answers("hook", refused(410))
        await line.publish(application)
        await line.arrived("operators", 1)
        (arrival,) = line.receivers.at("operators")
        data = json.loads(arrival.request.body)["data"]
        assert (data["endpointId"], data["trigger"], data["reason"]) == (endpoint.id, "automatic", "gone")


@played
async def test_a_kill_between_the_change_and_the_webhook(store_url):
    """Whoever made the change dies before anything is sent; another worker sends it, with nothing lost or double."""
    async with Line(store_url, vanished=True) as dead:
        await listen(dead)
        endpoints = [(await dead.stage())[1].id for _ in range(5)]
        clock = dead.clock
        async with Line(store_url, clock=clock) as line:
            await line.arrived("operators", 5)
            await line.rounds()
            bodies = [json.loads(arrival.request.body) for arrival in line.receivers.at("operators")]
            assert sorted(body["data"]["endpointId"] for body in bodies) == sorted(endpoints)


@played
async def test_the_operators_own_endpoint_fails(store_url):
    """It is tried again and given up like any other, and nobody is told: there is no loop."""
    async with Line(store_url, schedule=FIVE) as line:
        mine = await listen(line)
        line.receivers.answers("operators", *[refused(500)] * 5)
        await line.stage()
        for number in range(1, 6):
            await line.until(lambda number=number: len(finished(line, mine)) == number)
            await an_hour_later(line)
        line.receivers.answers("operators", refused(410))
        await line.stage("other")
        await line.until(lambda: len(finished(line, mine)) == 6)
        await line.rounds()
        messages = await line.outbox.read(
            lambda store: store.messages(ids.OPERATOR, MessageFilter(), Page(limit=100))
        )
        assert [message.event_type for message in messages] == ["endpoint.created"] * 2
        kept = await line.outbox.read(lambda store: store.endpoint(ids.OPERATOR, mine.id))
        assert (kept.state, kept.disabled_reason) == (EndpointState.DISABLED, "gone")
