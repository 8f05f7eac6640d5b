"""The worker: what is published arrives, signed, once; what fails is tried again on its schedule."""

import pytest
from line import HOUR, MINUTE, OK, SECOND, Line, played, refused

from ringback.drafts import SecretRotation
from ringback.model import DeliveryState, EndpointState, HeaderFamily, OutcomeKind
from ringback.observe import EndpointDisabled, MessageAccepted, StepFailed
from ringback.policy import DAY, DEFAULT_SCHEDULE, RetrySchedule, Step
from ringback.signing import standard

SYMMETRIC = standard.symmetric_secret(bytes(range(24)))
NEXT = standard.symmetric_secret(bytes(range(1, 25)))
ASYMMETRIC = standard.asymmetric_secret(bytes(range(32)))
BRIEF = RetrySchedule((5 * SECOND, MINUTE), jitter=0.0)


def signer(arrival, *secrets):
    """Return which of these secrets made one of an arrival's signatures; raise when none did."""
    keys = [standard.parse_signing_key(secret) for secret in secrets]
    return secrets[standard.verify(keys, arrival.headers, arrival.request.body, arrival.at)[2]]


# --- In memory ---------------------------------------------------------------------------------------------


@played
async def test_a_delivery_goes_from_the_commit_to_the_receiver(store_url):
    """With room in memory nothing is taken from the store: deliveries are born leased and handed over."""
    async with Line(store_url) as line:
        application, _ = await line.stage()
        ids = await line.publish(application, 50)
        await line.finished(50)
        assert sorted(arrival.message_id for arrival in line.receivers.arrivals) == sorted(ids)
        await line.rounds()
        assert line.taken == 0
        assert sum(event.spilled for event in line.seen(MessageAccepted)) == 0
        assert {await line.state(application, one) for one in ids} == {DeliveryState.SUCCEEDED}


@played
async def test_every_endpoint_gets_its_delivery(store_url):
    """One message goes to each endpoint that listens; each has its own attempts."""
    async with Line(store_url) as line:
        application = await line.application()
        for name in ("one", "two", "three"):
            await line.endpoint(application, name)
        await line.publish(application)
        await line.finished(3)
        assert sorted(arrival.name for arrival in line.receivers.arrivals) == ["one", "three", "two"]


@played
async def test_an_attempt_is_recorded_as_it_was(store_url):
    """The record tells the instant, the duration, the address, the number and the answer."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        line.receivers.hold("hook")
        (message,) = await line.publish(application)
        started = line.clock()
        await line.arrived("hook", 1)
        line.clock.advance(1_500)
        line.receivers.let("hook")
        await line.finished(1)
        (attempt,) = await line.attempts(application, message)
        assert (attempt.number, attempt.started_at, attempt.duration) == (1, started, 1_500)
        assert (attempt.url, attempt.endpoint_id, attempt.outcome) == (endpoint.url, endpoint.id, OK)


@played
async def test_nothing_is_left_in_memory(store_url):
    """Once all is delivered the worker holds nothing."""
    async with Line(store_url) as line:
        application, _ = await line.stage()
        await line.publish(application, 20)
        await line.finished(20)
        await line.until(lambda: line.worker.in_memory == 0)
        assert line.worker.in_flight == 0


# --- Requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [SYMMETRIC, ASYMMETRIC], ids=["hmac", "ed25519"])
@pytest.mark.parametrize("family", HeaderFamily)
@played
async def test_a_request_verifies(store_url, family, secret):
    """Either kind of secret signs what is sent, under the headers of the endpoint's family and no other."""
    async with Line(store_url) as line:
        application, _ = await line.stage(secret=secret, header_family=family)
        (message,) = await line.publish(application)
        await line.finished(1)
        (arrival,) = line.receivers.arrivals
        assert signer(arrival, NEXT, secret) == secret
        assert arrival.message_id == message
        signed = {name for name in arrival.headers if name.startswith(("webhook-", "svix-"))}
        assert signed == set(standard.FAMILIES[family])


@played
async def test_a_request_carries_what_was_published_and_asked_for(store_url):
    """Body byte for byte, content type, user agent and the endpoint's own headers; a deadline as set."""
    async with Line(store_url, user_agent="Ringback/test", deadline=7_000) as line:
        application, _ = await line.stage(headers={"X-Tenant": "acme", "Authorization": "Bearer abc"})
        payload = b'{ "b" : 1.50,\n  "a": "\xc3\xa9" }'
        await line.outbox.publish(application, "invoice.paid", payload)
        await line.finished(1)
        (arrival,) = line.receivers.arrivals
        assert arrival.request.body == payload
        assert arrival.request.deadline == 7_000
        expected = {
            "content-type": "application/json",
            "user-agent": "Ringback/test",
            "x-tenant": "acme",
            "authorization": "Bearer abc",
        }
        assert expected.items() <= arrival.headers.items()


@played
async def test_rotation_signs_with_both_until_the_grace_ends(store_url):
    """During the grace period old and new secret sign; after it the old one does not."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage(secret=SYMMETRIC)
        await line.publish(application)
        await line.finished(1)
        line.clock.advance(SECOND)
        rotation = SecretRotation(key=NEXT, grace_period_seconds=60)
        await line.outbox.rotate_secret(application, endpoint.id, rotation)
        await line.publish(application)
        await line.finished(2)
        line.clock.advance(MINUTE)
        await line.publish(application)
        await line.finished(3)
        before, during, after = line.receivers.arrivals
        assert signer(before, SYMMETRIC) == SYMMETRIC
        assert {signer(during, one) for one in (SYMMETRIC, NEXT)} == {SYMMETRIC, NEXT}
        assert signer(after, SYMMETRIC, NEXT) == NEXT
        assert len(after.headers["webhook-signature"].split(" ")) == 1


@played
async def test_a_retry_is_signed_anew(store_url):
    """Each attempt carries the message's id, the time of that attempt and a fresh signature."""
    async with Line(store_url, schedule=BRIEF) as line:
        application, _ = await line.stage(secret=SYMMETRIC)
        line.receivers.answers("hook", refused(500), OK)
        (message,) = await line.publish(application)
        await line.finished(1)
        line.clock.advance(5 * SECOND)
        await line.finished(2)
        first, second = line.receivers.arrivals
        assert first.message_id == second.message_id == message
        stamps = [int(arrival.headers["webhook-timestamp"]) for arrival in (first, second)]
        assert stamps[1] - stamps[0] == 5
        assert signer(second, SYMMETRIC) == SYMMETRIC


# --- Retries -----------------------------------------------------------------------------------------------


@played
async def test_a_failed_attempt_is_repeated_on_schedule(store_url):
    """The default schedule is kept to the millisecond: never before the instant, then at once."""
    async with Line(store_url, breaker_rest=1) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(500))
        (message,) = await line.publish(application)
        await line.finished(1)
        for number, delay in enumerate(DEFAULT_SCHEDULE.delays, start=2):
            line.clock.advance(delay - 1)
            await line.rounds()
            assert len(line.receivers.arrivals) == number - 1
            line.clock.advance(1)
            await line.finished(number)
        assert line.steps() == [Step.RETRY] * 9 + [Step.EXHAUST]
        attempts = await line.attempts(application, message)
        assert sorted(attempt.number for attempt in attempts) == list(range(1, 11))
        assert await line.state(application, message) is DeliveryState.FAILED


@played
async def test_a_worker_looks_when_it_is_asked_to(store_url):
    """Whoever moves the clock need not wait for the worker's next look into the store."""
    async with Line(store_url, poll_interval=HOUR) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(500), OK)
        await line.publish(application)
        await line.finished(1)
        line.clock.advance(DAY)
        line.worker.look()
        await line.finished(2)


@played
async def test_success_after_failure_ends_the_delivery(store_url):
    """A retry that succeeds is the last attempt."""
    async with Line(store_url, schedule=BRIEF) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(503), OK)
        (message,) = await line.publish(application)
        await line.finished(1)
        line.clock.advance(5 * SECOND)
        await line.finished(2)
        line.clock.advance(DAY)
        await line.rounds()
        assert len(line.receivers.arrivals) == 2
        assert await line.state(application, message) is DeliveryState.SUCCEEDED


@played
async def test_an_exhausted_delivery_rests(store_url):
    """After the schedule's last attempt there is none."""
    async with Line(store_url, schedule=RetrySchedule(())) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(500))
        (message,) = await line.publish(application)
        await line.finished(1)
        line.clock.advance(DAY)
        await line.rounds()
        assert line.steps() == [Step.EXHAUST]
        assert await line.state(application, message) is DeliveryState.FAILED


@played
async def test_an_endpoint_may_have_its_own_schedule(store_url):
    """The endpoint's schedule takes the place of the worker's, in its delays and in how many they are."""
    async with Line(store_url) as line:
        application, _ = await line.stage(retry_schedule=(120.0,))
        line.receivers.answers("hook", refused(500))
        (message,) = await line.publish(application)
        await line.finished(1)
        assert (await line.delivery(application, message)).due_at == line.clock() + 2 * MINUTE
        line.clock.advance(2 * MINUTE)
        await line.finished(2)
        assert line.steps() == [Step.RETRY, Step.EXHAUST]


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(90 * SECOND, 90 * SECOND), (SECOND, 5 * SECOND), (48 * HOUR, HOUR)],
    ids=["longer", "shorter", "too long"],
)
@played
async def test_retry_after_is_honoured(store_url, asked, waits):
    """A receiver may ask for more time than the schedule gives, up to an hour, but not for less."""
    async with Line(store_url, schedule=BRIEF) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(429, retry_after=asked), OK)
        await line.publish(application)
        await line.finished(1)
        line.clock.advance(waits - 1)
        await line.rounds()
        assert len(line.receivers.arrivals) == 1
        line.clock.advance(1)
        await line.finished(2)


@played
async def test_gone_disables_the_endpoint_and_cancels_what_waits(store_url):
    """A 410 ends its delivery, disables the endpoint, and what waits in memory or in the store is cancelled."""
    async with Line(store_url, memory=8) as line:
        application, endpoint = await line.stage()
        line.receivers.hold("hook")
        ids = await line.publish(application, 20)
        await line.arrived("hook", 4)
        line.receivers.let("hook", refused(410))
        await line.until(lambda: line.seen(EndpointDisabled))
        line.receivers.let_go("hook")
        gone = line.receivers.arrivals[0].message_id
        answered = {arrival.message_id for arrival in line.receivers.arrivals}
        await line.in_state(application, [gone], DeliveryState.FAILED)
        await line.in_state(application, set(ids) - answered, DeliveryState.CANCELLED)
        assert len(answered) == 4
        stored = await line.outbox.read(lambda store: store.endpoint(application, endpoint.id))
        assert (stored.state, stored.disabled_reason) == (EndpointState.DISABLED, "gone")
        assert [event.reason for event in line.seen(EndpointDisabled)] == ["gone"]


@played
async def test_failing_for_too_long_disables_the_endpoint(store_url):
    """An endpoint without a success for the time set is disabled when a delivery runs out of attempts."""
    async with Line(store_url, schedule=RetrySchedule((DAY,), jitter=0.0), disable_after=DAY) as line:
        application, endpoint = await line.stage()
        line.receivers.answers("hook", refused(500))
        await line.publish(application)
        await line.finished(1)
        assert not line.seen(EndpointDisabled)
        line.clock.advance(DAY)
        await line.finished(2)
        await line.until(lambda: line.seen(EndpointDisabled))
        stored = await line.outbox.read(lambda store: store.endpoint(application, endpoint.id))
        assert (stored.state, stored.disabled_reason) == (EndpointState.DISABLED, "failing")


# --- Surprises ---------------------------------------------------------------------------------------------


@played
async def test_an_unforeseen_error_costs_one_attempt_and_no_slot(store_url):
    """A destination with a bug is told of and recorded as unknown; slots and memory come back, others go on."""
    async with Line(store_url, slots=2, schedule=BRIEF) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", *[ZeroDivisionError("a bug")] * 3, OK)
        ids = await line.publish(application, 6)
        await line.finished(6)
        assert sorted(line.steps()) == [Step.RETRY] * 3 + [Step.SUCCEED] * 3
        failed = line.seen(StepFailed)
        assert [(event.step, type(event.error)) for event in failed] == [("deliver", ZeroDivisionError)] * 3
        line.clock.advance(5 * SECOND)
        await line.finished(9)
        await line.in_state(application, ids, DeliveryState.SUCCEEDED)
        outcomes = [attempt.outcome for one in ids for attempt in await line.attempts(application, one)]
        unknown = [outcome for outcome in outcomes if not outcome.ok]
        assert {(one.kind, one.detail) for one in unknown} == {(OutcomeKind.UNKNOWN, "internal_error")}
        assert len(unknown) == 3
        await line.until(lambda: line.worker.in_memory == 0)
        assert line.worker.in_flight == 0
