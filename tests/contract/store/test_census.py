"""What is left over at a source, counted."""

from doors import handler, receive, source

from ringback.policy import Decision, Step
from ringback.store import Census, Settlement


def test_a_census_counts_what_waits_by_endpoint_and_what_is_left(scene):
    """Deliveries not at rest count for their endpoint; held messages and failed deliveries for the source."""
    owner = source(scene)
    fulfil, audit = handler(scene, owner, "fulfil"), handler(scene, owner, "audit", event_types=("paid",))
    receive(scene, owner, "1", event_type="paid", admit=False)
    receive(scene, owner, "2", event_type="expired", admit=False)
    receive(scene, owner, "3", understood=False, event_type="unrecognised", admit=False)
    counted = scene.store.census(owner.id)
    assert (counted.waiting[audit.id], counted.dead) == (1, 0)
    assert counted.waiting[fulfil.id] >= 2
    assert (counted.quarantined, counted.unhandled) == (1, 0)


def test_what_came_is_counted_by_time(scene):
    """What a source received in a span of time is counted, its end excluded, and nothing of another source."""
    owner, other = source(scene), source(scene, name="other", uid="other")
    times = [receive(scene, owner, str(number), admit=False).message.created_at for number in range(3)]
    receive(scene, other, "9", admit=False)
    assert scene.store.came(owner.id, times[0], times[2] + 1) == 3
    assert scene.store.came(owner.id, times[0], times[2]) == 2
    assert scene.store.came(owner.id, times[1], times[1] + 1) == 1
    assert scene.store.came(owner.id, times[2] + 1, times[2] + 1_000_000) == 0


def test_a_census_of_a_quiet_source_is_all_zeros(scene):
    """Nothing is counted that belongs to another source, and no endpoint without anything waiting is named."""
    other, quiet = source(scene, name="other", uid="other"), source(scene, name="quiet", uid="quiet")
    handler(scene, other)
    handler(scene, quiet)
    receive(scene, other, "1", admit=False)
    assert scene.store.census(quiet.id) == Census({}, {}, 0, 0, 0)


def test_failed_deliveries_are_dead_letters(scene):
    """A delivery that was given up counts until it is delivered again."""
    owner = source(scene)
    handler(scene, owner)
    (work,) = receive(scene, owner, "1").works
    scene.write(scene.store.settle, [Settlement(work=work, decision=Decision(Step.EXHAUST))])
    assert scene.store.census(owner.id) == Census({}, {}, 0, 0, 1)


def test_what_failed_and_waits_counts_until_it_succeeds(scene):
    """A delivery that failed and is tried again counts for its endpoint; one that was never tried does not."""
    owner = source(scene)
    endpoint = handler(scene, owner)
    (work,) = receive(scene, owner, "1").works
    receive(scene, owner, "2", admit=False)
    assert scene.store.census(owner.id).retrying == {}
    scene.settle(work, Step.RETRY)
    assert scene.store.census(owner.id).retrying == {endpoint.id: 1}


def test_what_is_due_for_a_forgotten_handler_is_for_any_worker(scene):
    """A deleted endpoint is due as one that stands for no handler, so that whoever comes first cancels it."""
    owner = source(scene)
    endpoint = handler(scene, owner)
    receive(scene, owner, "1", admit=False)
    (before,) = scene.store.due(scene.tick(), 10)
    scene.write(scene.store.remove_endpoint, owner.id, endpoint.id, scene.now)
    (after,) = scene.store.due(scene.tick(), 10)
    assert (before.handler, after.handler) == (f"{owner.name}/fulfil", None)
