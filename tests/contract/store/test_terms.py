"""What few messages have: tags to find them by, and a time before which nothing is delivered."""

import contextlib

import msgspec
import pytest
from scene import LEASE, MANY, Scene

from ringback.errors import NotFound
from ringback.model import DeliveryState, EndpointState, Standing
from ringback.policy import DAY, Step
from ringback.store import AttemptFilter, Idempotency, MessageFilter, Page

ALL = Page(limit=MANY, descending=True)
LATER = 60_000


@pytest.fixture
def application(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, application):
    return scene.endpoint(application)


def schedule(scene, application, after=LATER, **fields):
    """Publish a message for later; return what was accepted."""
    return scene.publish(application, deliver_at=scene.now + 1_000 + after, **fields)


def tagged(scene, application, tag, page=ALL, **more):
    return [one.id for one in scene.store.messages(application.id, MessageFilter(tag=tag, **more), page)]


# --- Later -------------------------------------------------------------------------------------------------


def test_it_waits_for_its_time(scene, application, endpoint):
    """Nobody is handed the delivery, however much room there is; it is taken at its time, and not before."""
    accepted = schedule(scene, application)
    at = scene.now + LATER
    assert (accepted.works, accepted.spilled, accepted.scheduled) == ((), (), 1)
    assert accepted.message.deliver_at == at
    assert scene.store.message(application.id, accepted.message.id) == accepted.message
    delivery = scene.delivery(application.id, accepted.message.id, endpoint.id)
    assert (delivery.standing, delivery.due_at) == (Standing.PENDING, at)
    scene.now = at - 1
    assert (scene.due(), scene.take(endpoints=[endpoint.id])) == ([], [])
    scene.now = at
    assert scene.due() == [endpoint.id]
    (work,) = scene.take()
    assert (work.message_id, work.attempts) == (accepted.message.id, 0)


def test_a_time_that_has_come_is_now(scene, application, endpoint):
    """What is to be delivered now, or should have been a moment ago, is handed over as ever."""
    for after in (0, -500):
        accepted = schedule(scene, application, after)
        assert (len(accepted.works), accepted.scheduled) == (1, 0)
        assert accepted.message.deliver_at == scene.now + after


def test_others_are_not_held_up(scene, application):
    """What waits for its time stands in the way of no later message, also where there is an order."""
    ordered = scene.endpoint(application, ordered=True)
    first = schedule(scene, application)
    (work,) = scene.publish(application).works
    assert scene.write(scene.store.begin, work, "key", scene.now).blocked_until is None
    assert scene.settle(work, Step.SUCCEED)
    scene.tick(LATER)
    (late,) = scene.take(endpoints=[ordered.id])
    assert late.message_id == first.message.id
    assert scene.write(scene.store.begin, late, "key", scene.now).held


def test_any_node_takes_it(database):
    """It is kept: a store that is opened later, after the one that accepted it is gone, has it at its time."""
    with contextlib.closing(database.open()) as store:
        scene = Scene(store)
        application = scene.application()
        scene.endpoint(application)
        accepted = schedule(scene, application, DAY, tags=("a",))
    with contextlib.closing(database.open()) as store:
        other = Scene(store, seed=8)
        other.now = scene.now + DAY - 1
        assert other.due() == []
        other.now += 1
        (lost,) = other.take()
        other.tick(LEASE + 1)
        (work,) = other.take()
        assert (lost.message_id, work.message_id) == (accepted.message.id,) * 2
        assert store.message(application.id, work.message_id) == accepted.message


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (EndpointState.DISABLED, "endpoint_disabled"),
        (EndpointState.PAUSED, None),
        (None, "endpoint_deleted"),
    ],
)
def test_what_the_endpoint_is_by_then_counts(scene, application, endpoint, state, reason):
    """At its time it is cancelled where the endpoint is disabled or gone; a paused one keeps it."""
    accepted = schedule(scene, application)
    if state is None:
        scene.write(scene.store.remove_endpoint, application.id, endpoint.id, scene.now)
    else:
        scene.write(
            scene.store.change_endpoint,
            application.id,
            endpoint.id,
            lambda old: msgspec.structs.replace(old, state=state),
        )
    scene.tick(LATER)
    assert scene.take(endpoints=[endpoint.id]) == []
    delivery = scene.delivery(application.id, accepted.message.id, endpoint.id)
    assert (delivery.state is DeliveryState.CANCELLED, delivery.reason) == (reason is not None, reason)


def test_expunged_and_brought_forward(scene, application, endpoint):
    """Expunging the payload cancels it; resending has it delivered now instead."""
    expunged, wanted = (schedule(scene, application).message.id for _ in range(2))
    scene.write(scene.store.expunge_message, application.id, expunged)
    scene.write(scene.store.resend, application.id, wanted, endpoint.id, scene.now)
    assert [work.message_id for work in scene.take()] == [wanted]
    scene.tick(2 * LATER)
    assert [work.message_id for work in scene.take()] == [wanted]  # the lease has run out


def test_cancelled(scene, application, endpoint):
    """What waits is cancelled, for later or to be tried again; what is sent or done stays. It can be sent again."""
    ended, sent = (scene.endpoint(application) for _ in range(2))
    accepted = scene.publish(application)
    works = {work.endpoint.id: work for work in accepted.works}
    assert scene.settle(works[endpoint.id], Step.RETRY, scene.now + LATER)
    assert scene.settle(works[ended.id], Step.SUCCEED)
    later = schedule(scene, application)

    def states(message):
        found = scene.store.deliveries(application.id, message.id, ALL)
        return {one.id: (delivery.state, delivery.reason) for delivery, one in found}

    cancelled = (DeliveryState.CANCELLED, "on_request")
    assert scene.write(scene.store.cancel_message, application.id, accepted.message.id) == 1
    assert states(accepted.message) == {
        endpoint.id: cancelled,
        ended.id: (DeliveryState.SUCCEEDED, None),
        sent.id: (DeliveryState.LEASED, None),
    }
    assert scene.settle(works[sent.id], Step.SUCCEED)
    assert scene.write(scene.store.cancel_message, application.id, later.message.id) == 3
    assert scene.write(scene.store.cancel_message, application.id, later.message.id) == 0
    assert set(states(later.message).values()) == {cancelled}
    scene.tick(2 * LATER)
    assert scene.take() == []
    scene.write(scene.store.resend, application.id, later.message.id, endpoint.id, scene.now)
    assert [work.message_id for work in scene.take()] == [later.message.id]
    with pytest.raises(NotFound):
        scene.write(scene.store.cancel_message, application.id, scene.id("msg"))


def test_retention_waits(scene, database, application, endpoint):
    """A message is not removed before it was delivered; then it goes with all that was kept beside it."""
    accepted = schedule(scene, application, 10 * DAY, tags=("a", "b"))

    def prune():
        removed, cursor = 0, 0
        while cursor is not None:
            pruned = scene.prune(scene.now - scene.now % DAY, cursor)
            removed, cursor = removed + pruned.messages, pruned.cursor
        return removed

    scene.tick(5 * DAY)
    assert prune() == 0
    assert tagged(scene, application, "a") == [accepted.message.id]
    scene.tick(5 * DAY)
    (work,) = scene.take()
    assert scene.settle(work, Step.SUCCEED)
    assert prune() == 1
    assert tagged(scene, application, "a") == []
    with database.application() as program:
        for table in ("ringback_terms", "ringback_tag"):
            assert program.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


# --- Tags --------------------------------------------------------------------------------------------------


def test_found_by_tag(scene, application):
    """Messages are found by each of their tags, newest first, page by page, within other filters and bounds."""
    made = [
        scene.publish(application, tags=tags, event_type=f"t.{index % 2}", channels=("c",))
        for index, tags in enumerate([("a",), ("a", "b"), None, (), ("b",), ("a/#\\:",), ("a",)])
    ]
    ids = [accepted.message.id for accepted in made]
    other = scene.application()
    scene.publish(other, tags=("a",))
    assert [accepted.message.tags for accepted in made[:4]] == [("a",), ("a", "b"), None, None]
    for accepted in made:
        assert scene.store.message(application.id, accepted.message.id) == accepted.message
    assert tagged(scene, application, "a") == [ids[6], ids[1], ids[0]]
    assert tagged(scene, application, "a/#\\:") == [ids[5]]
    assert tagged(scene, application, "A") == tagged(scene, application, "a%") == []
    assert tagged(scene, application, "a", Page(limit=2, descending=True)) == [ids[6], ids[1]]
    behind = Page(limit=2, cursor=ids[1], descending=True)
    assert tagged(scene, application, "a", behind) == [ids[0]]
    back = Page(limit=2, cursor=ids[0], backwards=True, descending=True)
    assert tagged(scene, application, "a", back) == [ids[6], ids[1]]
    assert tagged(scene, application, "a", event_types=("t.0",), channel="c") == [ids[6], ids[0]]
    assert tagged(scene, application, "a", after=made[6].message.created_at) == [ids[6]]
    assert tagged(scene, application, "a", before=made[1].message.created_at) == [ids[0]]
    assert tagged(scene, application, "a", channel="d") == []


def test_deliveries_and_attempts_by_tag(scene, application, endpoint):
    """An endpoint's messages and the attempts at it are found by the messages' tags."""
    plain, marked = (scene.publish(application, tags=tags) for tags in (None, ("a", "b")))
    for accepted in (plain, marked):
        assert scene.settle(accepted.works[0], Step.SUCCEED)

    def found(tag):
        addressed = scene.store.addressed(application.id, endpoint.id, MessageFilter(tag=tag), ALL)
        tries = scene.store.attempts(application.id, AttemptFilter(endpoint_id=endpoint.id, tag=tag), ALL)
        return [message.id for _, message in addressed], [attempt.message_id for attempt in tries]

    for tag in ("a", "b"):
        assert found(tag) == ([marked.message.id], [marked.message.id])
    assert found("c") == ([], [])
    of_message = AttemptFilter(message_id=marked.message.id, tag="c")
    assert scene.store.attempts(application.id, of_message, ALL) == []


@pytest.mark.parametrize("together", [True, False])
def test_a_repeat_is_answered_with_all_of_it(scene, application, together):
    """A repetition with the same key answers with the tags and the time of the first."""
    use = Idempotency("message", "once", b"f")
    at = scene.now + DAY
    two = [scene.acceptance(application, idempotency=use, tags=("a",), deliver_at=at) for _ in range(2)]
    answers = scene.accept(*two) if together else [*scene.accept(two[0]), *scene.accept(two[1])]
    assert [answer.replayed for answer in answers] == [False, True]
    assert answers[0].message == answers[1].message
    assert answers[1].message.deliver_at == at
    assert len(tagged(scene, application, "a")) == 1
