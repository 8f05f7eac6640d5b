"""What was sent, looked back on: an endpoint's messages, how it fares, what is expunged; and changes made once."""

import msgspec
import pytest
from scene import MANY

from ringback.errors import Conflict, MissingPayload, NotFound
from ringback.model import DeliveryState, Outcome, OutcomeKind, Standing
from ringback.policy import Step
from ringback.store import AttemptFilter, Idempotency, MessageFilter, Page, Tally

ALL = MessageFilter()
PAGE = Page(limit=MANY, descending=True)


@pytest.fixture
def application(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, application):
    return scene.endpoint(application)


@pytest.fixture
def five(scene, application, endpoint):
    """One message in each standing, by standing."""
    told = {}
    for standing, step in {
        Standing.SUCCEEDED: Step.SUCCEED,
        Standing.FAILED: Step.EXHAUST,
        Standing.SENDING: Step.RETRY,
        Standing.CANCELLED: Step.CANCEL,
    }.items():
        (work,) = scene.publish(application).works
        due_at = scene.now + 60_000 if step is Step.RETRY else None
        attempt = {"attempt": None} if step is Step.CANCEL else {}
        assert scene.settle(work, step, due_at, **attempt)
        told[standing] = work.message_id
    told[Standing.PENDING] = scene.publish(application, admit=False).message.id
    return told


def found(scene, application, endpoint, standings=None, *, where=ALL, page=PAGE):
    rows = scene.store.addressed(application.id, endpoint.id, where, page, standings)
    return [(message.id, delivery.standing) for delivery, message in rows]


def test_messages_of_an_endpoint(scene, application, endpoint, five):
    """An endpoint's messages come newest first, each with how it goes, and can be asked for by that."""
    expected = [(message_id, standing) for standing, message_id in five.items()][::-1]
    assert found(scene, application, endpoint) == expected
    for standing, message_id in five.items():
        assert found(scene, application, endpoint, (standing,)) == [(message_id, standing)]
    both = (Standing.FAILED, Standing.CANCELLED)
    assert {standing for _, standing in found(scene, application, endpoint, both)} == set(both)


def test_only_those_meant(scene, application, endpoint, five):
    """Messages that the endpoint did not get, or that the filter leaves out, are not among them."""
    other = scene.endpoint(application, event_types=("other",))
    scene.publish(application, event_type="other", channels=("one",))
    assert found(scene, application, other, where=MessageFilter(channel="two")) == []
    ((newest, standing),) = found(scene, application, other)
    assert standing is Standing.SENDING
    assert found(scene, application, other, where=MessageFilter(event_types=("other",), channel="one")) == [
        (newest, standing)
    ]
    first = found(scene, application, endpoint, page=Page(limit=2, descending=True))
    rest = found(scene, application, endpoint, page=Page(limit=MANY, cursor=first[-1][0], descending=True))
    assert first + rest == found(scene, application, endpoint)


def test_tally(scene, application, endpoint, five):
    """Attempts are counted by outcome, deliveries by how they go, and only those in the window."""
    end = scene.tick()
    whole = scene.store.tally(application.id, endpoint.id, 0, end)
    assert whole == Tally(succeeded=1, failed=2, pending=1, sending=1, cancelled=1)
    nothing = Tally(succeeded=0, failed=0, pending=0, sending=0, cancelled=0)
    assert scene.store.tally(application.id, endpoint.id, end, end + 1000) == nothing
    scene.publish(application)
    leased = scene.store.tally(application.id, endpoint.id, end, scene.tick())
    assert (leased.sending, leased.pending) == (1, 0)


def test_an_expunged_message_is_never_sent(scene, store, application, endpoint, five):
    """Its payload is gone, what waited is cancelled, what is under way loses its lease, and it is not sent again."""
    waiting, failed = five[Standing.PENDING], five[Standing.FAILED]
    (leased,) = scene.publish(application).works
    for message_id in (waiting, failed, leased.message_id):
        scene.write(store.expunge_message, application.id, message_id)
        assert store.message(application.id, message_id).payload is None
        with pytest.raises(MissingPayload):
            scene.write(store.resend, application.id, message_id, endpoint.id, scene.tick())
    assert scene.delivery(application.id, waiting, endpoint.id).state is DeliveryState.CANCELLED
    assert scene.delivery(application.id, failed, endpoint.id).state is DeliveryState.FAILED
    assert not scene.settle(leased, Step.SUCCEED)
    scene.tick(3_600_000)
    assert {work.message_id for work in scene.take()} == {five[Standing.SENDING]}
    with pytest.raises(NotFound):
        scene.write(store.expunge_message, application.id, scene.id("msg"))


def test_what_is_expunged_is_not_recovered(scene, store, application, endpoint, five):
    """Recovering passes over messages without a payload."""
    scene.write(store.expunge_message, application.id, five[Standing.FAILED])
    scene.recovery(endpoint, 0, scene.tick())
    assert scene.finish_task().moved == 2  # what was cancelled, and what waits
    scene.tick()
    assert five[Standing.FAILED] not in {work.message_id for work in scene.take()}


def test_an_expunged_attempt_keeps_all_but_the_answer(scene, store, application, endpoint, five):
    """Only what the receiver answered is replaced."""
    (attempt,) = scene.attempts_of(application, five[Standing.SUCCEEDED])
    scene.write(store.expunge_attempt, application.id, attempt.message_id, attempt.id, b"gone")
    (after,) = scene.attempts_of(application, attempt.message_id)
    assert (after.outcome.body, after.outcome.status, after.started_at) == (
        b"gone",
        attempt.outcome.status,
        attempt.started_at,
    )
    with pytest.raises(NotFound):
        scene.write(store.expunge_attempt, application.id, five[Standing.FAILED], attempt.id, b"gone")


def test_once(scene, store):
    """What a key made is made once; another request under the same key is refused, another scope is another key."""
    made = iter("abc")
    use = Idempotency("scope", "key", b"print")
    assert scene.write(store.once, use, scene.now, lambda: next(made)) == "a"
    assert scene.write(store.once, use, scene.now, lambda: next(made)) == "a"
    assert (
        scene.write(store.once, Idempotency("other", "key", b"print"), scene.now, lambda: next(made)) == "b"
    )
    with pytest.raises(Conflict):
        scene.write(store.once, Idempotency("scope", "key", b"another"), scene.now, lambda: next(made))


def test_what_fails_is_not_made(scene, store):
    """A key under which nothing came about is free again."""
    use = Idempotency("scope", "key", b"print")

    def fail():
        raise NotFound

    with pytest.raises(NotFound):
        scene.write(store.once, use, scene.now, fail)
    assert scene.write(store.once, use, scene.now, lambda: "made") == "made"


def test_task_and_delivery(scene, store, application, endpoint, five):
    """A task and a delivery can be looked up; what is not there is not found."""
    task = scene.recovery(endpoint, 0, scene.tick())
    assert store.task(task.id) == task
    assert store.delivery(application.id, five[Standing.FAILED], endpoint.id).standing is Standing.FAILED
    with pytest.raises(NotFound):
        store.task(scene.id("qtask"))
    with pytest.raises(NotFound):
        store.delivery(application.id, five[Standing.FAILED], scene.endpoint(application).id)


# --- An endpoint's messages, walked by endpoint ------------------------------------------------------------


def test_paged_there_and_back(scene, application, endpoint):
    """Few of an application's many messages are found page by page, both ways, within any filters and bounds."""
    rare = scene.endpoint(application, event_types=("rare.a", "rare.b"))
    wanted = []
    for number in range(40):
        accepted = scene.publish(
            application, event_type=("rare.a", "rare.b")[number % 8 // 4] if number % 4 == 0 else "usual"
        )
        for work in accepted.works:
            assert scene.settle(work, Step.SUCCEED)
        if number % 4 == 0:
            wanted.insert(0, accepted.message)
    ids = [message.id for message in wanted]

    def page(cursor=None, *, backwards=False, where=ALL, standings=(Standing.SUCCEEDED,), descending=True):
        asked = Page(limit=3, cursor=cursor, backwards=backwards, descending=descending)
        return [one for one, _ in found(scene, application, rare, standings, where=where, page=asked)]

    for standings in (None, (Standing.SUCCEEDED,)):
        assert page(standings=standings) == ids[:3]
        assert page(ids[2], standings=standings) == ids[3:6]
        assert page(ids[6], backwards=True, standings=standings) == ids[3:6]
        assert page(ids[6], standings=standings, descending=False) == ids[:6][:2:-1]
        assert page(ids[-1], standings=standings) == page(ids[0], backwards=True, standings=standings) == []
    old = MessageFilter(before=wanted[6].created_at)
    assert page(where=old) == ids[7:10]
    assert page(where=MessageFilter(after=wanted[1].created_at)) == ids[:2]
    assert page(ids[0], where=MessageFilter(event_types=("rare.a",))) == ids[1::2][:3]
    assert page(where=MessageFilter(after=scene.now + 1)) == page(where=MessageFilter(before=1)) == []


@pytest.mark.parametrize(
    "standing", [Standing.PENDING, Standing.SENDING, Standing.FAILED, Standing.CANCELLED]
)
def test_paged_by_how_they_go(scene, application, endpoint, standing):
    """Those that go one way are paged as all are, whichever index they are found by."""
    step = {Standing.SENDING: Step.RETRY, Standing.FAILED: Step.EXHAUST, Standing.CANCELLED: Step.CANCEL}
    ids = []
    for _ in range(5):
        assert scene.settle(scene.publish(application).works[0], Step.SUCCEED)
        accepted = scene.publish(application, admit=standing in step)
        if standing in step:
            due_at = scene.now + 600_000 if standing is Standing.SENDING else None
            assert scene.settle(accepted.works[0], step[standing], due_at)
        ids.insert(0, accepted.message.id)
    for cursor, backwards, expected in (
        (None, False, ids[:2]),
        (ids[1], False, ids[2:4]),
        (ids[4], True, ids[2:4]),
    ):
        page = Page(limit=2, cursor=cursor, backwards=backwards, descending=True)
        assert found(scene, application, endpoint, (standing,), page=page) == [
            (one, standing) for one in expected
        ]


def test_a_place_that_is_gone(scene, application, endpoint):
    """A page goes on behind a message that has been removed, or that was for another endpoint."""
    ids = [scene.fail(application).message.id for _ in range(4)]
    for cursor in (ids[1], ids[0]):
        with_all = Page(limit=MANY, cursor=cursor)
        before, after = (
            found(scene, application, endpoint, page=with_all),
            [one for one in ids if one > cursor],
        )
        assert [one for one, _ in before] == after
    young = scene.store.message(application.id, ids[2]).created_at
    scene.prune(young)
    for cursor in ids[:2]:
        rising, falling = Page(limit=MANY, cursor=cursor), Page(limit=MANY, cursor=cursor, descending=True)
        assert [one for one, _ in found(scene, application, endpoint, page=rising)] == ids[2:]
        assert found(scene, application, endpoint, page=falling) == []


def test_attempts_are_read_without_their_answers_on_request(scene, store, application, endpoint):
    """All else about them is the same: for who looks at many."""
    (work,) = scene.publish(application).works
    answer = Outcome(kind=OutcomeKind.REFUSED, status=500, body=b"sorry")
    scene.settle(work, Step.EXHAUST, attempt=scene.attempt(work, answer))
    where = AttemptFilter(endpoint_id=endpoint.id, answers=False)
    (whole,) = scene.attempts_of(application, work.message_id)
    (bare,) = store.attempts(application.id, where, PAGE)
    assert (whole.outcome.body, bare.outcome.body) == (b"sorry", b"")
    assert msgspec.structs.replace(bare, outcome=whole.outcome) == whole
