"""The worker heeds each endpoint: paused, disabled, deleted, failing, limited in rate, overloaded."""

import collections
import concurrent.futures

import pytest
from line import HOUR, MINUTE, OK, SECOND, TIMEOUT, Line, played, refused

from ringback.model import DeliveryState
from ringback.observe import CircuitChanged
from ringback.pacing import BREAKER_MINIMUM, MAX_CONCURRENCY, START_CONCURRENCY, THROTTLED
from ringback.policy import DAY, RetrySchedule

LATER = RetrySchedule((HOUR, HOUR), jitter=0.0)


async def paused(line, application, endpoint):
    """Pause an endpoint and wait until the worker has heeded it."""
    await line.outbox.pause_endpoint(application, endpoint.id)
    await line.rounds()


async def disabled(line, application, endpoint):
    """Disable an endpoint."""
    await line.outbox.change_endpoint(application, endpoint.id, {"disabled": True})


# --- Paused ------------------------------------------------------------------------------------------------


@played
async def test_a_paused_endpoint_keeps_what_comes_and_gets_it_when_resumed(store_url):
    """While paused nothing is sent and nothing lost; resumed, everything goes, each once."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        await paused(line, application, endpoint)
        ids = await line.publish(application, 30)
        line.clock.advance(DAY)
        await line.rounds()
        assert line.receivers.arrivals == []
        assert {await line.state(application, one) for one in ids} == {DeliveryState.WAITING}
        await line.outbox.resume_endpoint(application, endpoint.id)
        await line.finished(30)
        assert sorted(arrival.message_id for arrival in line.receivers.arrivals) == sorted(ids)


@played
async def test_pausing_gives_back_what_waits_in_memory(store_url):
    """What had not started when the endpoint was paused waits in the store, with no attempt counted."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        line.receivers.hold("hook")
        ids = await line.publish(application, 20)
        await line.arrived("hook", 4)
        await line.outbox.pause_endpoint(application, endpoint.id)
        await line.postponed("endpoint_paused", 16)
        line.receivers.let_go("hook")
        await line.finished(4)
        await line.rounds()
        assert len(line.receivers.arrivals) == 4
        await line.until(lambda: line.worker.in_memory == 0)
        await line.outbox.resume_endpoint(application, endpoint.id)
        attempts = await line.finished(20)
        assert {attempt.number for attempt in attempts} == {1}
        assert sorted(attempt.message_id for attempt in attempts) == sorted(ids)


@played
async def test_a_retry_waits_out_a_pause(store_url):
    """A retry that falls due during a pause is made after it."""
    async with Line(store_url, schedule=LATER) as line:
        application, endpoint = await line.stage()
        line.receivers.answers("hook", refused(500), OK)
        (message,) = await line.publish(application)
        await line.finished(1)
        await paused(line, application, endpoint)
        line.clock.advance(2 * HOUR)
        await line.rounds()
        assert len(line.receivers.arrivals) == 1
        await line.outbox.resume_endpoint(application, endpoint.id)
        await line.finished(2)
        assert await line.state(application, message) is DeliveryState.SUCCEEDED


# --- Disabled and deleted ----------------------------------------------------------------------------------


@played
async def test_disabling_cancels_what_waits_in_memory(store_url):
    """What had not started when the endpoint was disabled is cancelled, with the reason told."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        line.receivers.hold("hook")
        ids = await line.publish(application, 12)
        await line.arrived("hook", 4)
        await disabled(line, application, endpoint)
        await line.postponed("endpoint_disabled", 8)
        line.receivers.let_go("hook")
        await line.finished(4)
        sent = {arrival.message_id for arrival in line.receivers.arrivals}
        await line.in_state(application, set(ids) - sent, DeliveryState.CANCELLED)
        assert len(sent) == 4
        await line.until(lambda: line.worker.in_memory == 0)


@played
async def test_disabling_cancels_what_waits_in_the_store(store_url):
    """A retry of a disabled endpoint is cancelled when it falls due, also by a worker that knows the endpoint."""
    async with Line(store_url, schedule=LATER) as line:
        application, endpoint = await line.stage()
        line.receivers.answers("hook", refused(500))
        (message,) = await line.publish(application)
        await line.finished(1)
        await disabled(line, application, endpoint)
        await line.rounds()
        line.clock.advance(HOUR)
        await line.in_state(application, [message], DeliveryState.CANCELLED)
        assert len(line.receivers.arrivals) == 1


@played
async def test_an_enabled_endpoint_gets_what_is_published_from_then_on(store_url):
    """Disabled, an endpoint gets nothing; enabled again, what comes after."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        await line.publish(application)
        await line.finished(1)
        await disabled(line, application, endpoint)
        await line.publish(application)
        await line.outbox.change_endpoint(application, endpoint.id, {"disabled": False})
        (last,) = await line.publish(application)
        await line.finished(2)
        assert line.receivers.arrivals[-1].message_id == last
        assert len(line.receivers.arrivals) == 2


@pytest.mark.parametrize("what", ["endpoint", "application"])
@played
async def test_deleting_cancels_what_waits(store_url, what):
    """Deleting an endpoint or its application cancels what waits in memory and what falls due in the store."""
    async with Line(store_url, memory=16) as line:
        application, endpoint = await line.stage()
        line.receivers.hold("hook")
        await line.publish(application, 20)
        await line.arrived("hook", 4)
        if what == "endpoint":
            await line.outbox.remove_endpoint(application, endpoint.id)
        else:
            await line.outbox.remove_application(application)
        await line.postponed("endpoint_deleted", 4)
        line.receivers.let_go("hook")
        await line.finished(4)
        await line.until(lambda: line.worker.in_memory == 0)
        line.clock.advance(DAY)
        await line.rounds()
        assert len(line.receivers.arrivals) == 4
        left = await line.outbox.read(lambda store: store.statistics(line.clock()))
        assert left.waiting == 0


@played
async def test_deleting_cancels_what_waits_behind_an_open_circuit(store_url):
    """What waits for a deleted endpoint is cancelled at once, although its circuit is open."""
    async with Line(store_url, schedule=LATER, breaker_rest=10 * MINUTE) as line:
        application, endpoint = await line.stage()
        await opened(line, application)
        await line.publish(application, 30)
        await line.outbox.remove_endpoint(application, endpoint.id)
        await line.rounds()
        line.clock.advance(DAY)
        await line.rounds(6)
        left = await line.outbox.read(lambda store: store.statistics(line.clock()))
        assert left.waiting == 0
        assert len(line.receivers.arrivals) == BREAKER_MINIMUM


@played
async def test_a_change_of_address_is_heeded(store_url):
    """What is sent after an endpoint's address has changed goes to the new one, waiting retries included."""
    async with Line(store_url, schedule=LATER) as line:
        application, endpoint = await line.stage("old")
        line.receivers.answers("old", refused(500))
        await line.publish(application)
        await line.finished(1)
        await line.outbox.change_endpoint(application, endpoint.id, {"url": "https://new.example/"})
        line.clock.advance(HOUR)
        await line.arrived("new", 1)
        await line.publish(application)
        await line.arrived("new", 2)
        assert len(line.receivers.at("old")) == 1


# --- Circuit breaker ---------------------------------------------------------------------------------------


async def opened(line, application):
    """Let an endpoint fail until its circuit opens."""
    line.receivers.answers("hook", refused(500))
    await line.publish(application, BREAKER_MINIMUM)
    await line.until(lambda: [event.open for event in line.seen(CircuitChanged)] == [True])
    await line.finished(BREAKER_MINIMUM)


@played
async def test_an_open_circuit_sends_nothing_and_counts_nothing(store_url):
    """Once an endpoint fails again and again, deliveries wait without an attempt until the rest is over."""
    async with Line(store_url, schedule=LATER, breaker_rest=10 * MINUTE) as line:
        application, _ = await line.stage()
        await opened(line, application)
        waiting = await line.publish(application, 20)
        line.clock.advance(10 * MINUTE - 1)
        await line.rounds()
        assert len(line.receivers.arrivals) == BREAKER_MINIMUM
        for message in waiting:
            delivery = await line.delivery(application, message)
            assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 0)


@played
async def test_what_waits_in_memory_is_given_back_when_the_circuit_opens(store_url):
    """Deliveries queued behind the failures go back to the store untouched, and are all made in the end."""
    async with Line(store_url, schedule=LATER, breaker_rest=MINUTE) as line:
        application, _ = await line.stage()
        line.receivers.hold("hook")
        ids = await line.publish(application, 40)
        await line.arrived("hook", START_CONCURRENCY)
        line.receivers.answers("hook", refused(500))
        line.receivers.let_go("hook", refused(500))
        await line.until(lambda: line.seen(CircuitChanged) and not line.worker.in_flight)
        tried = len(line.receivers.arrivals)
        assert tried < 40
        await line.postponed("circuit_open", 40 - tried)
        assert line.worker.in_memory == 0
        line.receivers.answers("hook", OK)
        line.clock.advance(HOUR)
        await line.in_state(application, ids, DeliveryState.SUCCEEDED)
        per_message = collections.Counter(arrival.message_id for arrival in line.receivers.arrivals)
        assert sorted(per_message.values()) == [1] * (40 - tried) + [2] * tried


@played
async def test_what_is_accepted_as_the_circuit_opens_is_given_back_too(store_url):
    """A delivery handed over before the circuit opened, but received after, waits in the store and not in memory."""
    async with Line(store_url, schedule=LATER, breaker_rest=10 * MINUTE) as line:
        application, _ = await line.stage()

        def publish_and_refuse():
            with concurrent.futures.ThreadPoolExecutor(1) as thread:
                accepted = thread.submit(lambda: line.outbox.publish(application, "a.b", b"{}").result())
            published.append(accepted.result().message.id)
            return refused(500)

        published = []
        line.receivers.answers("hook", *[refused(500)] * (BREAKER_MINIMUM - 1), publish_and_refuse, OK)
        await line.publish(application, BREAKER_MINIMUM)
        await line.until(lambda: line.seen(CircuitChanged))
        await line.rounds()
        assert line.worker.in_memory == 0
        assert await line.state(application, published[0]) is DeliveryState.WAITING


@played
async def test_an_open_circuit_is_probed_with_one(store_url):
    """After the rest one attempt goes; while it fails the circuit rests again, when it succeeds all flows."""
    async with Line(store_url, schedule=LATER, breaker_rest=10 * MINUTE) as line:
        application, _ = await line.stage()
        await opened(line, application)
        await line.publish(application, 20)
        for probe in range(1, 4):
            line.clock.advance(10 * MINUTE)
            await line.finished(BREAKER_MINIMUM + probe)
            await line.rounds()
            assert len(line.receivers.arrivals) == BREAKER_MINIMUM + probe
        line.receivers.hold("hook")
        line.clock.advance(10 * MINUTE)
        await line.arrived("hook", BREAKER_MINIMUM + 4)
        await line.rounds()
        assert line.worker.in_flight == 1
        line.receivers.let_go("hook")
        line.receivers.answers("hook", OK)
        # Three of the twenty were used for probes that failed; the rest go now.
        await line.finished(BREAKER_MINIMUM + 3 + 17)
        assert [event.open for event in line.seen(CircuitChanged)] == [True, False]


@played
async def test_a_failing_endpoint_does_not_open_the_circuit_of_another(store_url):
    """Circuits are the endpoints' own."""
    async with Line(store_url, schedule=LATER) as line:
        application, _ = await line.stage()
        await line.endpoint(application, "other")
        line.receivers.answers("hook", refused(500))
        await line.publish(application, 30)
        await line.arrived("other", 30)
        await line.until(lambda: line.seen(CircuitChanged))
        assert [event.endpoint.url for event in line.seen(CircuitChanged)] == ["https://hook.example/"]


# --- Rate limit --------------------------------------------------------------------------------------------


@played
async def test_the_rate_limit_holds(store_url):
    """In no stretch of time does an endpoint get more than one second's worth at once and its rate from then on."""
    rate = 50
    async with Line(store_url) as line:
        application, _ = await line.stage(throttle_rate=rate)
        await line.publish(application, 300)
        await line.finished(rate)
        await line.rounds()
        assert len(line.receivers.arrivals) == rate
        while len(line.receivers.arrivals) < 300:
            line.clock.advance(100)
            sent = len(line.receivers.arrivals)
            await line.finished(min(300, sent + rate // 10))
        times = [arrival.at for arrival in line.receivers.arrivals]
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= rate + rate * (times[last] - start) / SECOND
        assert times[-1] - times[0] == 5 * SECOND


@played
async def test_a_rate_limit_holds_up_nobody_else(store_url):
    """Others go on while an endpoint waits for its next token."""
    async with Line(store_url) as line:
        application, _ = await line.stage("slow", throttle_rate=1)
        await line.endpoint(application, "fast")
        await line.publish(application, 100)
        await line.arrived("fast", 100)
        assert len(line.receivers.at("slow")) == 1


@played
async def test_lifting_the_rate_limit_lets_everything_go(store_url):
    """A change of the rate is heeded for what waits already."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage(throttle_rate=1)
        await line.publish(application, 50)
        await line.finished(1)
        line.clock.advance(1)
        await line.outbox.change_endpoint(application, endpoint.id, {"throttle_rate": None})
        await line.finished(50)


# --- Concurrency -------------------------------------------------------------------------------------------


def name_of(outcome):
    """Return an outcome in a word."""
    return str(outcome.status or outcome.kind)


@played
async def test_concurrency_grows_with_success(store_url):
    """It starts at four, gains one per window of successes, and never passes sixty-four."""
    async with Line(store_url) as line:
        application, _ = await line.stage()
        line.receivers.hold("hook")
        await line.publish(application, 200)
        await line.arrived("hook", START_CONCURRENCY)
        await line.rounds(1)
        assert line.worker.in_flight == START_CONCURRENCY
        line.receivers.let("hook", count=START_CONCURRENCY)
        await line.arrived("hook", 2 * START_CONCURRENCY + 1)
        await line.rounds(1)
        assert line.worker.in_flight == START_CONCURRENCY + 1


@played
async def test_concurrency_is_bounded(store_url):
    """However well it goes, an endpoint has at most sixty-four attempts under way."""
    async with Line(store_url) as line:
        application, _ = await line.stage()
        count = sum(range(START_CONCURRENCY, MAX_CONCURRENCY))
        for _ in range(count // 200 + 1):
            sent = len(line.receivers.arrivals)
            await line.publish(application, 200)
            await line.finished(sent + 200)
        line.receivers.hold("hook")
        sent = len(line.receivers.arrivals)
        await line.publish(application, 100)
        await line.arrived("hook", sent + MAX_CONCURRENCY)
        await line.rounds()
        assert line.worker.in_flight == line.receivers.under_way["hook"] == MAX_CONCURRENCY


@pytest.mark.parametrize("outcome", [TIMEOUT, *map(refused, sorted(THROTTLED))], ids=name_of)
@played
async def test_concurrency_shrinks_when_the_receiver_is_overloaded(store_url, outcome):
    """A timeout, 429, 502, 503 or 504 halves it; no attempt starts until fewer than that are under way."""
    async with Line(store_url, schedule=LATER) as line:
        application, _ = await line.stage()
        line.receivers.hold("hook")
        await line.publish(application, 20)
        await line.arrived("hook", 4)
        line.receivers.let("hook", outcome)
        await line.finished(1)
        line.receivers.let("hook")
        await line.finished(2)
        await line.rounds(1)
        assert (line.worker.in_flight, len(line.receivers.arrivals)) == (2, 4)
        line.receivers.let("hook", refused(400))
        await line.arrived("hook", 5)
        assert line.worker.in_flight == 2
