"""Replays: which deliveries they mean, how fast they go, and taking back what nobody has begun to deliver."""

import itertools

import msgspec
import pytest
from scene import MANY

from ringback.errors import Conflict, NotFound
from ringback.model import DeliveryState, EndpointState, Outcome, OutcomeKind, SkipReason, Standing, Trigger
from ringback.policy import DAY, Step
from ringback.selection import RECOVERABLE
from ringback.store import REPLAYING, Page, TaskFilter, TaskKind, TaskState
from ringback.store.sql import tasks

ALL = Page(limit=MANY)
SILENT = Outcome(kind=OutcomeKind.TIMEOUT, detail="headers")
REFUSED = Outcome(kind=OutcomeKind.REFUSED, status=404)


@pytest.fixture
def application(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, application):
    return scene.endpoint(application)


def succeed(scene, application, **fields):
    accepted = scene.publish(application, **fields)
    for work in accepted.works:
        assert scene.settle(work, Step.SUCCEED)
    return accepted.message.id


def fail(scene, application, outcome, **fields):
    (work,) = scene.publish(application, **fields).works
    scene.settle(work, Step.EXHAUST, attempt=scene.attempt(work, outcome))
    return work.message_id


def replayed(scene, *endpoints, **which):
    """Run a task to its end; return the ids of the messages that are delivered again."""
    task = scene.task(*endpoints, **which)
    found = surveyed(scene, task)
    assert scene.finish_task().moved == found
    return [work.message_id for work in sorted(scene.take(), key=lambda work: work.key)]


def surveyed(scene, task):
    """Return how many deliveries a task means, counted two messages at a time."""
    count, lanes = 0, list(task.lanes)
    while lanes:
        survey = scene.store.survey(task.application_id, lanes.pop(), task.selection, 2)
        count += survey.count
        lanes += [] if survey.lane is None else [survey.lane]
    return count


# --- Which are meant ---------------------------------------------------------------------------------------


def test_all_that_is_at_rest(scene, application, endpoint):
    """Without a standing it is what succeeded, failed or was cancelled; what is on its way is never sent twice."""
    done = succeed(scene, application)
    failed = scene.fail(application).message.id
    (work,) = scene.publish(application).works
    scene.settle(work, Step.CANCEL)
    (retried,) = scene.publish(application).works
    scene.settle(retried, Step.RETRY, scene.now + DAY)
    scene.publish(application)
    waiting = scene.publish(application, admit=False).message.id
    assert replayed(scene, endpoint) == [done, failed, work.message_id, waiting]
    assert scene.attempts_of(application, waiting) == []


def test_by_how_they_stand(scene, application, endpoint):
    """Only what stands so."""
    done, failed = succeed(scene, application), scene.fail(application).message.id
    (retried,) = scene.publish(application).works
    scene.settle(retried, Step.RETRY, scene.now + DAY)
    assert replayed(scene, endpoint, standings=(Standing.SUCCEEDED,)) == [done]
    assert replayed(scene, endpoint, standings=(Standing.FAILED,)) == [failed]
    assert replayed(scene, endpoint, standings=(Standing.SENDING,)) == [retried.message_id]
    assert replayed(scene, endpoint, standings=(Standing.PENDING,)) == []


def test_what_somebody_has_cancelled(scene, application, endpoint):
    """It stays so, whatever is replayed, unless what is cancelled is asked for and nothing else."""
    message = scene.publish(application, deliver_at=scene.now + DAY).message.id
    assert scene.write(scene.store.cancel_message, application.id, message) == 1
    for which in ({}, {"missing": True}, {"standings": RECOVERABLE}):
        assert replayed(scene, endpoint, **which) == []
    assert replayed(scene, endpoint, standings=(Standing.CANCELLED,)) == [message]


def test_by_what_they_are(scene, application, endpoint):
    """Only these types, by patterns as well, only this channel, only this window; what is on its way is left alone."""
    paid = succeed(scene, application, event_type="invoice.paid", channels=("north",))
    made = succeed(scene, application, event_type="invoice.made")
    since = scene.tick()
    sent = succeed(scene, application, event_type="order.sent", channels=("north", "south"))
    until = scene.tick()
    last = succeed(scene, application, channels=("south",))
    assert replayed(scene, endpoint, since=since, until=until) == [sent]
    assert replayed(scene, endpoint, channel="south") == [last]
    assert replayed(scene, endpoint, event_types=("order.sent", "*.made")) == [made]
    assert replayed(scene, endpoint, event_types=("invoice.*",)) == [paid]


def test_by_a_tag(scene, application, endpoint):
    """Only what has it."""
    tagged = succeed(scene, application, tags=("gold", "north"))
    succeed(scene, application, tags=("silver",))
    succeed(scene, application)
    assert replayed(scene, endpoint, tag="gold") == [tagged]


def test_by_what_the_last_attempt_came_to(scene, application, endpoint):
    """Only what was answered so, or came to that, at last."""
    silent = fail(scene, application, SILENT)
    refused = fail(scene, application, REFUSED)
    done = succeed(scene, application)
    (work,) = scene.publish(application).works
    scene.settle(work, Step.RETRY, scene.tick(), attempt=scene.attempt(work, REFUSED))
    (again,) = scene.take()
    scene.settle(again, Step.SUCCEED)
    assert replayed(scene, endpoint, status_class=400) == [refused]
    assert replayed(scene, endpoint, status_class=0) == [silent]
    assert replayed(scene, endpoint, status_class=200) == [done, work.message_id]
    # Those are on their way by now.
    assert replayed(scene, endpoint, outcomes=(OutcomeKind.TIMEOUT,)) == []


def test_by_an_outcome(scene, application, endpoint):
    """A kind of failure is found among others, also together with a standing."""
    silent = fail(scene, application, SILENT)
    fail(scene, application, REFUSED)
    which = {"outcomes": (OutcomeKind.TIMEOUT,), "standings": (Standing.FAILED,)}
    assert replayed(scene, endpoint, **which) == [silent]


def test_of_one_moment(scene, application, endpoint):
    """Messages of the same millisecond, whose ids are in no order, are all found, and a window leaves out no others."""
    now = scene.now
    names = [scene.id("msg") for _ in range(9)]
    for accepted in scene.accept(*[scene.acceptance(application, id=one, created_at=now) for one in names]):
        scene.settle(accepted.works[0], Step.EXHAUST)
    scene.tick(600_000)
    later = scene.fail(application).message
    assert len(replayed(scene, endpoint, since=now, until=now + 1, standings=RECOVERABLE)) == 9
    which = {"since": later.created_at, "standings": RECOVERABLE}
    assert replayed(scene, endpoint, **which) == [later.id]


def test_without_a_payload_there_is_nothing_to_send(scene, application, endpoint):
    """What has been expunged is left out."""
    gone, there = succeed(scene, application), succeed(scene, application)
    scene.write(scene.store.expunge_message, application.id, gone)
    assert replayed(scene, endpoint) == [there]


# --- What was missed ---------------------------------------------------------------------------------------


def test_what_was_never_attempted(scene, application):
    """What came before the endpoint was made, or was cancelled untried; nothing that was attempted or is on its way."""
    scene.endpoint(application)
    before = scene.publish(application).message.id
    late = scene.endpoint(application)
    succeed(scene, application)
    scene.fail(application)
    untried = scene.publish(application)
    for work in untried.works:
        scene.settle(work, Step.CANCEL, attempt=None)
    scene.publish(application)
    assert replayed(scene, late, missing=True) == [before, untried.message.id]
    for work in scene.take(endpoints=[late.id]):
        assert work.trigger is Trigger.MANUAL
    assert replayed(scene, late, missing=True) == []


def test_only_what_the_endpoint_wants(scene, application):
    """Its event types and its channels decide, as they are now."""
    scene.publish(application, event_type="order.sent", channels=("north",))
    scene.publish(application, event_type="invoice.paid", channels=("south",))
    wanted = scene.publish(application, event_type="invoice.paid", channels=("north",)).message.id
    late = scene.endpoint(application, event_types=("invoice.paid",), channels=("north",))
    assert replayed(scene, late, missing=True) == [wanted]


def test_what_was_for_another_alone(scene, application, endpoint):
    """An example that was sent to one endpoint is no message for the others, not even for later ones."""
    (accepted,) = scene.accept(scene.acceptance(application, only=endpoint.id))
    assert accepted.message.skipped == {"*": SkipReason.ADDRESSED}
    late = scene.endpoint(application)
    assert replayed(scene, late, missing=True) == []


def test_no_sooner_than_asked_for(scene, application):
    """What is to be delivered later is, at an endpoint that was made meanwhile as well."""
    later = scene.publish(application, deliver_at=scene.now + DAY).message
    late = scene.endpoint(application)
    assert replayed(scene, late, missing=True) == []
    scene.tick(DAY)
    assert [work.message_id for work in scene.take()] == [later.id]


def test_in_order(scene, application):
    """Where there is an order, what is sent again takes its place in it, and the next waits for the one before."""
    ordered = scene.endpoint(application, ordered=True)
    ids = []
    for _ in range(3):
        message = scene.publish(application, admit=False).message.id
        (work,) = scene.take()
        scene.settle(work, Step.EXHAUST)
        ids.append(message)
    scene.task(ordered)
    assert scene.finish_task().moved == 3
    new = scene.publish(application, admit=False).message.id
    came = []
    while works := scene.take(limit=1):
        came += [work.message_id for work in works]
        assert scene.settle(works[0], Step.SUCCEED)
    assert came == [*ids, new]


# --- How fast ----------------------------------------------------------------------------------------------


def test_no_faster_than_its_rate(scene, application, endpoint):
    """So many a second, and nothing is saved up for more than one; it says when it is due again."""
    for _ in range(30):
        scene.fail(application)
    scene.task(endpoint, how={"rate": 5})
    moved = []
    for _ in range(12):
        task = scene.advance() or task  # noqa: F821 - the first step always is due
        moved.append(task.moved)
        scene.tick(500)
    assert moved[0] == 0
    assert all(later - earlier <= 3 for earlier, later in itertools.pairwise(moved))
    assert 25 <= moved[-1] <= 28
    scene.tick(3_600_000)
    before = task.moved
    assert scene.advance().moved - before <= 5


def test_no_more_than_its_limit(scene, application, endpoint):
    """Then it is finished, with the oldest of them."""
    ids = [scene.fail(application).message.id for _ in range(5)]
    scene.task(endpoint, how={"limit": 3})
    task = scene.finish_task(limit=2)
    assert (task.moved, task.state, task.progress) == (3, TaskState.FINISHED, 1.0)
    assert sorted(work.message_id for work in scene.take()) == ids[:3]


def test_it_waits_for_what_it_has_made_due(scene, application, monkeypatch):
    """No more than a window's worth waits at an endpoint, and one that takes nothing does not hold up the others."""
    monkeypatch.setattr(tasks, "WINDOW_OF_ALL", 6)
    dead, living = scene.endpoint(application), scene.endpoint(application)
    for _ in range(8):
        scene.fail(application)
    scene.task(dead, living)
    for _ in range(20):
        task = scene.advance()
        scene.tick(1_000)
        for work in scene.take(endpoints=[living.id]):
            scene.settle(work, Step.SUCCEED)
    assert (task.state, task.moved, task.unsent) == (TaskState.RUNNING, 11, 3)
    assert task.progress > 0.5
    assert len(scene.take(endpoints=[dead.id])) == 3


def test_tasks_take_turns(scene, application, endpoint):
    """A long task does not hold up a short one that was asked for later."""
    other = scene.endpoint(application)
    for _ in range(9):
        scene.fail(application)
    long = scene.task(endpoint)
    scene.tick()
    short = scene.task(other, how={"limit": 1})
    ended = []
    while (task := scene.advance(limit=1)) is not None:
        scene.tick(1)
        ended += [task.id] * task.done
    assert list(dict.fromkeys(ended)) == [short.id, long.id]


# --- Taking back -------------------------------------------------------------------------------------------


def disabled(endpoint):
    return msgspec.structs.replace(endpoint, state=EndpointState.DISABLED)


def states(scene, application, endpoint, ids):
    return [scene.delivery(application.id, one, endpoint.id) for one in ids]


def test_cancelling(scene, application, endpoint):
    """What nobody has begun to deliver stands as it did before, and what is given back later as well."""
    done, failed = succeed(scene, application), scene.fail(application).message.id
    (work,) = scene.publish(application).works
    scene.settle(work, Step.RETRY, scene.now + DAY)
    taken, returned = scene.fail(application).message.id, scene.fail(application).message.id
    ids = [done, failed, work.message_id, returned]
    before = states(scene, application, endpoint, ids)
    task = scene.task(endpoint, standings=(Standing.SUCCEEDED, Standing.FAILED, Standing.SENDING))
    scene.finish_task()
    works = {work.message_id: work for work in scene.take()}
    for one in (done, failed, work.message_id):
        scene.settle(works[one], Step.POSTPONE, scene.now)
    assert scene.write(scene.store.turn_task, task.id, TaskState.CANCELLED, scene.now).moved == 2
    scene.settle(works[taken], Step.SUCCEED)
    scene.settle(works[returned], Step.POSTPONE, scene.now)
    scene.tick()
    assert scene.advance().moved == 1
    scene.tick()
    assert (scene.advance(), scene.take()) == (None, [])
    assert states(scene, application, endpoint, ids) == before
    assert scene.delivery(application.id, taken, endpoint.id).state is DeliveryState.SUCCEEDED
    again = scene.write(scene.store.turn_task, task.id, TaskState.CANCELLED, scene.now)
    assert (again.state, again.moved) == (TaskState.CANCELLED, 1)
    with pytest.raises(Conflict):
        scene.write(scene.store.turn_task, task.id, TaskState.RUNNING, scene.now)


def test_cancelling_what_was_missed(scene, application):
    """What there was no delivery of is cancelled, and can be asked for again."""
    message = scene.publish(application).message.id
    late = scene.endpoint(application)
    task = scene.task(late, missing=True)
    scene.finish_task()
    scene.write(scene.store.turn_task, task.id, TaskState.CANCELLED, scene.now)
    found = scene.delivery(application.id, message, late.id)
    assert (found.state, found.reason) == (DeliveryState.CANCELLED, "replay_cancelled")
    assert replayed(scene, late, missing=True) == [message]


def test_pausing_and_going_on(scene, application, endpoint):
    """A pause takes back what is untried; going on sends each once, whatever has happened to it meanwhile."""
    ids = [succeed(scene, application) for _ in range(6)]
    task = scene.task(endpoint)
    assert scene.advance(limit=4).moved == 4
    first, *rest = sorted(scene.take(limit=4), key=lambda work: work.key)
    scene.settle(first, Step.SUCCEED)
    for work in rest:
        scene.settle(work, Step.POSTPONE, scene.now)
    paused = scene.write(scene.store.turn_task, task.id, TaskState.PAUSED, scene.now)
    assert (paused.moved, paused.unsent) == (1, 0)
    assert scene.store.task(task.id) == paused
    scene.tick()
    assert (scene.advance(), scene.take()) == (None, [])
    # A person sends one of them again meanwhile.
    scene.write(scene.store.resend, application.id, ids[1], endpoint.id, scene.now)
    (resent,) = scene.take()
    scene.settle(resent, Step.EXHAUST)
    assert scene.write(scene.store.turn_task, task.id, TaskState.RUNNING, scene.now).moved == 3
    assert scene.finish_task().moved == 5
    assert sorted(work.message_id for work in scene.take()) == ids[2:]
    with pytest.raises(Conflict):
        scene.write(scene.store.turn_task, task.id, TaskState.PAUSED, scene.now)


def test_what_a_person_sends_again_is_not_taken_back(scene, application, endpoint):
    """A resend of what a task has made due is the person's."""
    message = scene.fail(application).message.id
    task = scene.task(endpoint)
    scene.finish_task()
    scene.write(scene.store.resend, application.id, message, endpoint.id, scene.now)
    scene.write(scene.store.turn_task, task.id, TaskState.CANCELLED, scene.now)
    assert [work.message_id for work in scene.take()] == [message]


def test_an_endpoint_that_is_disabled_meanwhile(scene, application, endpoint):
    """Nothing more is made due for it, and the rest stays as it was."""
    for _ in range(4):
        scene.fail(application)
    scene.task(endpoint)
    scene.advance(limit=2)
    scene.write(scene.store.change_endpoint, application.id, endpoint.id, disabled)
    assert scene.finish_task().moved == 2


def test_a_task_that_cannot_go_on(scene, application, endpoint):
    """It says why, and stands in nobody's way."""
    scene.fail(application)
    broken = scene.task(endpoint, how={"kind": TaskKind.PURGE, "lanes": ()})
    scene.tick()
    scene.task(endpoint)
    assert scene.advance().id == broken.id
    failed = scene.store.task(broken.id)
    assert (failed.state, failed.done, failed.failure[:10]) == (TaskState.FAILED, True, "IndexError")
    assert scene.finish_task().moved == 1


# --- Listing -----------------------------------------------------------------------------------------------


def test_lists(scene, application, endpoint):
    """By application, kind and state, page by page; those that are over are forgotten in time."""
    other = scene.endpoint(scene.application())
    scene.tick()
    first = scene.task(endpoint)
    scene.tick()
    second = scene.recovery(other, 0, scene.now)
    scene.tick()
    third = scene.task(endpoint, how={"kind": TaskKind.REPLAY_MISSING}, missing=True)

    def listed(page=ALL, **where):
        return [task.id for task in scene.store.tasks(TaskFilter(**where), page)]

    assert listed() == [first.id, second.id, third.id]
    assert listed(Page(limit=1, cursor=first.id)) == [second.id]
    assert listed(application_id=application.id) == [first.id, third.id]
    assert listed(kinds=(TaskKind.BULK_REPLAY,)) == [first.id, second.id]
    assert listed(kinds=REPLAYING) == [first.id, second.id, third.id]
    assert listed(kinds=()) == []
    scene.write(scene.store.turn_task, first.id, TaskState.PAUSED, scene.now)
    scene.write(scene.store.turn_task, second.id, TaskState.CANCELLED, scene.now)
    assert listed(states=(TaskState.PAUSED, TaskState.CANCELLED)) == [first.id, second.id]
    assert listed(states=()) == []
    scene.write(scene.store.forget_tasks, scene.tick(10_000))
    assert listed() == [first.id, third.id]
    with pytest.raises(NotFound):
        scene.store.task(second.id)


def test_a_survey_tells_when(scene, application, endpoint):
    """The oldest and the newest of what is meant."""
    scene.publish(application)
    first = scene.fail(application).message
    last = scene.fail(application).message
    task = scene.task(endpoint)
    survey = scene.store.survey(application.id, task.lanes[0], task.selection, MANY)
    assert (survey.count, survey.oldest, survey.newest) == (2, first.created_at, last.created_at)
    assert (survey.lane, survey.looked) == (None, 3)
