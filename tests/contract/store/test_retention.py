"""Retention: what is old and at rest goes, in batches; what is under way stays however old it is."""

import pytest
from scene import MANY

from ringback.errors import NotFound
from ringback.policy import Step
from ringback.store import AttemptFilter, Idempotency, MessageFilter, Page, Pruned


@pytest.fixture
def application(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, application):
    return scene.endpoint(application)


def prune_all(scene, before, limit=MANY):
    """Prune batch by batch to the end; return how many messages went in each."""
    counts, cursor = [], 0
    while cursor is not None:
        pruned = scene.prune(before, cursor, limit)
        counts.append(pruned.messages)
        cursor = pruned.cursor
        assert len(counts) < MANY
    return counts


def kept(scene, application):
    return [one.id for one in scene.store.messages(application.id, MessageFilter(), Page(limit=MANY))]


def test_an_empty_store_is_at_its_end(scene):
    """Nothing to look at."""
    assert scene.prune(scene.now) == Pruned(0, None)


def test_old_messages_go_with_all_that_happened(scene, application, endpoint):
    """A message accepted before the instant goes with its deliveries and attempts; a younger one stays."""
    old = scene.fail(application, event_id="order-1").message
    young = scene.fail(application).message
    assert sum(prune_all(scene, young.created_at)) == 1
    assert kept(scene, application) == [young.id]
    for ref in (old.id, "order-1"):
        with pytest.raises(NotFound):
            scene.store.message(application.id, ref)
    left = scene.store.attempts(application.id, AttemptFilter(endpoint_id=endpoint.id), Page())
    assert [attempt.message_id for attempt in left] == [young.id]
    assert sum(prune_all(scene, young.created_at)) == 0


@pytest.mark.parametrize("state", ["leased", "spilled", "retrying"])
def test_what_is_under_way_stays(scene, application, endpoint, state):
    """A message with a delivery that is not at rest is kept whole, whatever its age."""
    settled = scene.endpoint(application)
    accepted = scene.publish(application) if state != "spilled" else scene.publish(application, admit=False)
    works = accepted.works or tuple(scene.take(endpoints=[settled.id]))
    for work in works:
        if work.endpoint.id == settled.id:
            scene.settle(work, Step.SUCCEED)
        elif state == "retrying":
            scene.settle(work, Step.RETRY, scene.now + 10**9)
    scene.tick(10**10)
    assert sum(prune_all(scene, scene.now)) == 0
    assert kept(scene, application) == [accepted.message.id]
    assert len(scene.store.deliveries(application.id, accepted.message.id, Page())) == 2
    assert len(scene.attempts_of(application, accepted.message.id)) == (2 if state == "retrying" else 1)


def test_a_message_for_nobody_is_at_rest(scene, application):
    """A message without deliveries goes when it is old."""
    scene.publish(application)
    assert sum(prune_all(scene, scene.tick())) == 1
    assert kept(scene, application) == []


def test_it_goes_on_from_its_cursor(scene, application, endpoint):
    """Batch by batch, everything old is looked at once, across messages that must stay."""
    under_way = scene.publish(application).message
    for _ in range(10):
        scene.fail(application)
    last = scene.publish(application).message
    counts = prune_all(scene, scene.tick(), limit=3)
    assert max(counts) <= 3
    assert sum(counts) == 10
    assert kept(scene, application) == [under_way.id, last.id]


def test_freed_names_can_be_used_again(scene, application, endpoint):
    """An event id and an idempotency key of a removed message are free."""
    key = Idempotency("message:acme", "k", b"1")
    old = scene.fail(application, event_id="order-1", idempotency=key).message
    prune_all(scene, scene.tick())
    again = scene.publish(application, event_id="order-1", idempotency=Idempotency("message:acme", "k", b"2"))
    assert not again.replayed
    assert again.message.id != old.id


@pytest.mark.parametrize("fingerprint", [b"1", b"2"])
def test_a_key_that_outlives_its_message_stores_a_new_one(scene, fingerprint):
    """When a message was removed and its key not yet, the key makes a new message, and then repeats that.

    Keys are removed in batches of their own, oldest first, so an older one can hold up the message's.
    """
    application = scene.new_application()
    scene.write(scene.store.add, application, Idempotency("application", "k", b"1"))
    key = Idempotency("message", "k", b"1")
    old = scene.publish(application, idempotency=key).message
    assert scene.prune(scene.tick(), limit=1).messages == 1
    key = Idempotency("message", "k", fingerprint)
    again = scene.publish(application, idempotency=key)
    assert not again.replayed
    assert again.message.id != old.id
    repeated = scene.publish(application, idempotency=key)
    assert (repeated.replayed, repeated.message) == (True, again.message)


def test_a_renewed_key_is_as_young_as_its_new_message(scene):
    """A key that stored a second message is kept as long as that one, not as the first."""
    application = scene.new_application()
    scene.write(scene.store.add, application, Idempotency("application", "k", b"1"))
    key = Idempotency("message", "k", b"1")
    scene.publish(application, idempotency=key)
    scene.prune(scene.tick(), limit=1)
    young = scene.publish(application, idempotency=key).message
    prune_all(scene, young.created_at)
    again = scene.publish(application, idempotency=key)
    assert (again.replayed, again.message) == (True, young)


def test_a_young_key_still_answers(scene, application, endpoint):
    """A key that is not that old goes on preventing repeats."""
    key = Idempotency("message:acme", "k", b"1")
    scene.fail(application)
    young = scene.publish(application, idempotency=key).message
    prune_all(scene, young.created_at)
    again = scene.publish(application, idempotency=key)
    assert again.replayed
    assert again.message == young


def test_what_is_accepted_afterwards_is_not_mistaken_for_the_old(scene, application, endpoint):
    """A late settlement for a removed message does not touch a message stored after it."""
    (work,) = scene.publish(application).works
    scene.settle(work, Step.SUCCEED)
    prune_all(scene, scene.tick())
    young = scene.publish(application, admit=False).message
    before = scene.delivery(application.id, young.id, endpoint.id)
    assert not scene.settle(work, Step.EXHAUST)
    assert scene.delivery(application.id, young.id, endpoint.id) == before
    assert scene.attempts_of(application, young.id) == []
