"""Tasks: long work that advances in batches and survives a restart."""

import contextlib

import pytest
from scene import MANY, Scene

from ringback.model import DeliveryState
from ringback.policy import Step


@pytest.fixture
def application(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, application):
    return scene.endpoint(application)


def recover_all(scene, endpoint):
    return scene.recovery(endpoint, 0, scene.tick())


def test_without_a_task_there_is_nothing_to_do(scene):
    """No open task, no step."""
    assert scene.advance() is None


def test_what_failed_is_due_again(scene, application, endpoint):
    """Recovering makes failed deliveries due now with a fresh count of attempts, and counts them."""
    failed = [scene.fail(application).message.id for _ in range(3)]
    task = recover_all(scene, endpoint)
    done = scene.finish_task()
    assert (done.id, done.moved) == (task.id, 3)
    works = scene.take()
    assert sorted(work.message_id for work in works) == failed
    assert {work.attempts for work in works} == {0}
    assert scene.advance() is None


def test_it_advances_in_batches(scene, application, endpoint):
    """No step moves more than its limit, and together they move everything once."""
    for _ in range(7):
        scene.fail(application)
    recover_all(scene, endpoint)
    moved = 0
    while not (task := scene.advance(limit=3)).done:
        assert 0 <= task.moved - moved <= 3
        moved = task.moved
    assert task.moved == 7
    assert len(scene.take()) == 7


def test_only_its_window_and_its_endpoint(scene, application, endpoint):
    """Messages before since, from until on, and other endpoints' deliveries stay as they are."""
    other = scene.endpoint(application)
    before, first, last, after = [scene.fail(application).message for _ in range(4)]
    scene.recovery(endpoint, first.created_at, after.created_at)
    assert scene.finish_task().moved == 2
    assert sorted(work.message_id for work in scene.take()) == [first.id, last.id]
    for message in (before, first, last, after):
        assert scene.delivery(application.id, message.id, other.id).state is DeliveryState.FAILED
    for message in (before, after):
        assert scene.delivery(application.id, message.id, endpoint.id).state is DeliveryState.FAILED


def test_a_retry_that_waits_is_brought_forward(scene, application, endpoint):
    """A delivery that has failed and waits for its next attempt need not wait any longer."""
    (work,) = scene.publish(application).works
    scene.settle(work, Step.RETRY, scene.now + 10**7)
    recover_all(scene, endpoint)
    assert scene.finish_task().moved == 1
    (again,) = scene.take()
    assert again.key == work.key


def test_what_did_not_fail_is_left_alone(scene, application, endpoint):
    """Successes, deliveries under way and those never tried are not touched."""
    (succeeded,) = scene.publish(application).works
    scene.settle(succeeded, Step.SUCCEED)
    (leased,) = scene.publish(application).works
    waiting = scene.publish(application, admit=False).message
    recover_all(scene, endpoint)
    before = [scene.delivery_of(succeeded), scene.delivery_of(leased)]
    untried = scene.delivery(application.id, waiting.id, endpoint.id)
    assert scene.finish_task().moved == 0
    assert [scene.delivery_of(succeeded), scene.delivery_of(leased)] == before
    assert scene.delivery(application.id, waiting.id, endpoint.id) == untried


def test_the_oldest_task_goes_first(scene, application, endpoint):
    """Tasks are done in the order in which they were asked for."""
    first = scene.recovery(endpoint, 0, scene.tick())
    second = scene.recovery(endpoint, 0, scene.tick())
    assert [scene.finish_task().id, scene.finish_task().id] == [first.id, second.id]
    assert scene.advance() is None


def test_what_fails_again_is_not_moved_again(scene, application, endpoint):
    """A delivery that fails once more while the task runs does not keep the task going."""
    for _ in range(3):
        scene.fail(application)
    recover_all(scene, endpoint)
    steps = 0
    while not scene.advance(limit=1).done:
        steps += 1
        assert steps < MANY
        for work in scene.take():
            scene.settle(work, Step.EXHAUST)
    assert steps <= 8


def test_a_task_survives_a_restart(database):
    """After the store is closed and opened, an open task goes on where it was."""
    with contextlib.closing(database.open()) as store:
        scene = Scene(store)
        application = scene.application()
        endpoint = scene.endpoint(application)
        for _ in range(4):
            scene.fail(application)
        recover_all(scene, endpoint)
        assert scene.advance(limit=2).moved == 2
    with contextlib.closing(database.open()) as store:
        again = Scene(store)
        again.now = scene.now
        assert again.finish_task().moved == 4


@pytest.mark.parametrize("gone", ["remove_endpoint", "remove_application"])
def test_a_task_for_nobody_ends(scene, application, endpoint, gone):
    """A task whose endpoint has been deleted ends, and leaves nothing to send."""
    scene.fail(application)
    recover_all(scene, endpoint)
    arguments = (application.id, endpoint.id) if gone == "remove_endpoint" else (application.id,)
    scene.write(getattr(scene.store, gone), *arguments, scene.now)
    scene.finish_task()
    assert scene.take() == []
    assert scene.advance() is None
