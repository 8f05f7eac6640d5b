"""The worker's upkeep: it recovers and removes when asked to by tasks and time, and outlives a failing store."""

import pytest
from line import HOUR, MINUTE, OK, SECOND, START, Line, played, refused
from msgspec import Raw

from ringback import housekeeping, policy
from ringback.errors import StoreUnavailable
from ringback.housekeeping import Housekeeping
from ringback.message_request import MessageRequest
from ringback.model import DeliveryState, EndpointState
from ringback.observe import MessagesPruned, StepFailed, StoreFailed
from ringback.policy import DAY, RetrySchedule
from ringback.store import EXPIRING, MessageFilter, Page

ONCE = RetrySchedule(())
LATER = RetrySchedule((HOUR, HOUR), jitter=0.0)
LEASE = policy.lease_until(0, 20 * SECOND)


async def messages_kept(line, application, ids):
    """Return which of these messages are still there."""
    listed = await line.outbox.read(lambda store: store.messages(application, MessageFilter(), Page()))
    return {message.id for message in listed if message.id in ids}


# --- Recovery ----------------------------------------------------------------------------------------------


@played
async def test_recovery_delivers_again_what_failed(store_url):
    """Asked to recover an endpoint, the worker makes every failed delivery of that time anew."""
    async with Line(store_url, schedule=ONCE) as line:
        application, endpoint = await line.stage()
        line.receivers.answers("hook", refused(400))
        ids = await line.publish(application, 5)
        await line.finished(5)
        line.clock.advance(HOUR)
        line.receivers.answers("hook", OK)
        await line.outbox.recover(application, endpoint.id, START)
        await line.finished(10)
        await line.in_state(application, ids, DeliveryState.SUCCEEDED)


@played
async def test_a_message_is_sent_again_on_request(store_url):
    """A person may have a delivered message delivered once more, at once."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        (message,) = await line.publish(application)
        await line.finished(1)
        await line.outbox.resend(application, message, endpoint.id)
        await line.finished(2)
        assert [arrival.message_id for arrival in line.receivers.arrivals] == [message] * 2
        triggers = sorted(attempt.trigger for attempt in await line.attempts(application, message))
        assert triggers == ["manual", "scheduled"]


# --- Retention ---------------------------------------------------------------------------------------------


@played
async def test_a_payload_is_forgotten_when_its_time_is_over(store_url):
    """A payload that is to be kept for an hour is there until then, and the message stays without it."""
    async with Line(store_url) as line:
        application, _ = await line.stage()
        draft = MessageRequest(event_type="a", payload=Raw(b'{"n":1}'), payload_retention_hours=1)
        accepted = await line.outbox.publish_draft(application, draft)
        await line.finished(1)

        async def payload():
            message = await line.outbox.read(lambda store: store.message(application, accepted.message.id))
            return message.payload

        house = Housekeeping(line.committer, line.observer, 30 * DAY)
        await house.prune(line.clock() + HOUR - MINUTE)
        assert await payload() == b'{"n":1}'
        await house.prune(line.clock() + HOUR + MINUTE)
        assert await payload() is None
        assert await line.outbox.documents(EXPIRING) == []


@pytest.mark.parametrize(("turn_seconds", "left"), [(20.0, [0, 0]), (0.0, [7, 4])])
@played
async def test_keys_go_as_fast_as_they_come(store_url, monkeypatch, turn_seconds, left):
    """All that are old go in one turn, in small steps, however few messages there are, if there is time for it."""
    monkeypatch.setattr(housekeeping, "AGED_STEP", 3)
    monkeypatch.setattr(housekeeping, "TURN_SECONDS", turn_seconds)
    async with Line(store_url) as line:
        application, _ = await line.stage()
        for number in range(10):
            await line.outbox.publish(application, "a", b"{}", idempotency_key=f"key-{number}")
        await line.finished(10)
        house = Housekeeping(line.committer, line.observer, DAY)
        counts = []
        for _ in range(2):
            await house.prune(line.clock() + 3 * DAY)
            (row,) = await line.committer.read(
                lambda store: store.rows("SELECT count(*) FROM ringback_idempotency WHERE name LIKE 'key-%'")
            )
            counts.append(row[0])
        assert counts == left


@played
async def test_what_is_past_retention_is_removed(store_url):
    """Messages older than the retention go, younger ones stay, and the worker tells how many."""
    async with Line(store_url, retention=10 * DAY) as line:
        application, _ = await line.stage()
        old = await line.publish(application, 3)
        await line.finished(3)
        line.clock.advance(9 * DAY)
        young = await line.publish(application, 2)
        await line.finished(5)
        line.clock.advance(DAY + line.store.grain + 2 * MINUTE)
        await line.until(lambda: sum(event.count for event in line.seen(MessagesPruned)) == 3)
        assert await messages_kept(line, application, old + young) == set(young)


@played
async def test_what_is_not_at_rest_is_kept(store_url):
    """A message that still waits for its next attempt outlives the retention."""
    async with Line(store_url, retention=DAY, schedule=RetrySchedule((7 * DAY,), jitter=0.0)) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(500), OK)
        (waiting,) = await line.publish(application)
        (done,) = await line.publish(application)
        await line.finished(2)
        line.clock.advance(3 * DAY)
        await line.until(lambda: line.seen(MessagesPruned))
        kept = await messages_kept(line, application, [waiting, done])
        assert len(kept) == 1
        line.clock.advance(4 * DAY)
        await line.finished(3)


# --- A store that fails ------------------------------------------------------------------------------------


@played
async def test_the_worker_outlives_a_failing_store(store_url):
    """While the store fails callers are told so; afterwards everything accepted is delivered."""
    async with Line(store_url, memory=20) as line:
        application, _ = await line.stage()
        line.receivers.hold("hook")
        ids = await line.publish(application, 50)
        await line.arrived("hook", 4)
        line.store.broken = True
        failures = len(line.seen(StoreFailed))
        await line.until(lambda: len(line.seen(StoreFailed)) > failures + 3)
        with pytest.raises(StoreUnavailable):
            await line.publish(application)
        line.receivers.let_go("hook")
        await line.arrived("hook", 10)
        line.store.broken = False
        # What was settled into the void is repeated once its lease has ended: twice rather than never.
        line.clock.advance(LEASE)
        await line.in_state(application, ids, DeliveryState.SUCCEEDED)
        assert {arrival.message_id for arrival in line.receivers.arrivals} == set(ids)
        await line.until(lambda: line.worker.in_memory == 0)
        (last,) = await line.publish(application)
        await line.in_state(application, [last], DeliveryState.SUCCEEDED)


@played
async def test_a_refused_publish_leaves_no_room_taken(store_url):
    """Room reserved for what could not be stored is free again."""
    async with Line(store_url, memory=20) as line:
        application, _ = await line.stage()
        line.store.broken = True
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                await line.publish(application, 10)
        line.store.broken = False
        assert line.worker.in_memory == 0
        await line.publish(application, 10)
        await line.finished(10)
        assert line.taken == 0


@played
async def test_an_endpoint_whose_disabling_was_lost_is_tried_again(store_url):
    """A 410 that could not be recorded leaves the endpoint enabled: the delivery is made again, then all is settled."""
    async with Line(store_url) as line:
        application, endpoint = await line.stage()
        line.receivers.hold("hook")
        (message,) = await line.publish(application)
        await line.arrived("hook", 1)
        line.store.broken = True
        failures = len(line.seen(StoreFailed))
        line.receivers.let_go("hook", refused(410))
        await line.until(lambda: line.worker.in_memory == 0)
        await line.until(lambda: len(line.seen(StoreFailed)) > failures + 2)
        line.store.broken = False
        line.clock.advance(LEASE)
        await line.in_state(application, [message], DeliveryState.SUCCEEDED)
        stored = await line.outbox.read(lambda store: store.endpoint(application, endpoint.id))
        assert stored.state is EndpointState.ENABLED


@played
async def test_an_unforeseen_error_of_a_step_is_told_and_outlived(store_url):
    """A step of the worker that ends in a bug is told of by name, and taken again."""
    async with Line(store_url, schedule=LATER) as line:
        application, _ = await line.stage()
        line.receivers.answers("hook", refused(500), OK)
        await line.publish(application)
        await line.finished(1)
        line.store.surprises.append(ZeroDivisionError("a bug"))
        await line.until(lambda: line.seen(StepFailed))
        line.clock.advance(HOUR)
        await line.finished(2)
        assert [(event.step, type(event.error)) for event in line.seen(StepFailed)] == [
            ("feed", ZeroDivisionError)
        ]
