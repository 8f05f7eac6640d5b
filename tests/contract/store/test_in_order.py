"""In order: an endpoint may get its messages one after the other, in the order of acceptance."""
# ruff: noqa: D102 - rules and invariants are named for what they do

import shutil
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scene import DATABASES, LEASE, MANY, START, Scene

from ringback.model import DeliveryState, EndpointState, Trigger
from ringback.policy import AT_REST, Step

LATER = 600_000
HELD = (DeliveryState.WAITING, DeliveryState.LEASED)


@pytest.fixture
def owner(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, owner):
    return scene.endpoint(owner, ordered=True)


@pytest.fixture
def names(scene, owner, endpoint):
    """Four messages that wait, in the order of acceptance."""
    return [scene.publish(owner, admit=False).message.id for _ in range(4)]


def ids_of(works):
    return [work.message_id for work in works]


def change(scene, endpoint, **fields):
    scene.write(
        scene.store.change_endpoint,
        endpoint.application_id,
        endpoint.id,
        lambda old: msgspec.structs.replace(old, **fields),
    )


def resend(scene, endpoint, message_id):
    scene.write(scene.store.resend, endpoint.application_id, message_id, endpoint.id, scene.now)


class TestTaking:
    def test_the_first_are_taken_in_order_and_no_more_until_they_have_ended(
        self, scene, owner, endpoint, names
    ):
        """Whoever holds some has them alone, and what comes later waits for the last of them."""
        works = scene.take(2)
        assert ids_of(works) == names[:2]
        names.append(scene.publish(owner, admit=False).message.id)
        assert scene.due() == []
        scene.settle(works[0], Step.SUCCEED)
        assert ids_of(scene.take(endpoints=[endpoint.id])) == []
        scene.settle(works[1], Step.SUCCEED)
        assert ids_of(scene.take()) == names[2:]

    @pytest.mark.parametrize("step", [Step.SUCCEED, Step.EXHAUST, Step.CANCEL])
    def test_whatever_its_end_was_the_next_may_follow(self, scene, endpoint, names, step):
        """What is given up holds nobody up any more."""
        (first,) = scene.take(1)
        scene.settle(first, step)
        assert ids_of(scene.take()) == names[1:]

    def test_one_that_is_tried_again_later_holds_up_those_behind_it(self, scene, owner, endpoint, names):
        """Also those that were given back at an earlier time, and those that are accepted meanwhile."""
        works = scene.take(2)
        scene.settle(works[1], Step.POSTPONE, scene.now)
        scene.settle(works[0], Step.RETRY, scene.now + LATER)
        names.append(scene.publish(owner, admit=False).message.id)
        assert scene.due() == []
        assert scene.take(endpoints=[endpoint.id]) == []
        (due,) = scene.store.due(scene.now + LATER, MANY)
        assert due.oldest_due_at == scene.delivery(owner.id, names[0], endpoint.id).due_at
        scene.tick(LATER)
        works = scene.take()
        assert ids_of(works) == names
        assert [work.attempts for work in works] == [1, 0, 0, 0, 0]

    def test_what_a_dead_node_held_comes_first_again(self, scene, endpoint, names):
        """Its attempt may have been made, so it is recorded, and the order begins anew with it."""
        scene.take(2)
        scene.tick(LEASE + 1)
        works = scene.take()
        assert ids_of(works) == names
        assert [len(scene.attempts_of(owner_of(scene, work), work.message_id)) for work in works] == [
            1,
            1,
            0,
            0,
        ]

    def test_at_a_paused_endpoint_all_wait_and_a_disabled_one_gets_nothing(self, scene, endpoint, names):
        """And what was deleted is cancelled by whoever looks, in any order."""
        change(scene, endpoint, state=EndpointState.PAUSED)
        assert scene.due() == []
        assert scene.take(endpoints=[endpoint.id]) == []
        change(scene, endpoint, state=EndpointState.ENABLED)
        (first,) = scene.take(1)
        assert first.message_id == names[0]
        scene.settle(first, Step.RETRY, scene.now + LATER)
        scene.write(scene.store.remove_endpoint, endpoint.application_id, endpoint.id, scene.now)
        assert scene.take() == []
        assert {scene.delivery(endpoint.application_id, name, endpoint.id).state for name in names[1:]} == {
            DeliveryState.CANCELLED
        }

    def test_other_endpoints_wait_for_nobody(self, scene, owner, endpoint):
        """Order is a matter of each endpoint that has it."""
        free, ordered = scene.endpoint(owner), scene.endpoint(owner, ordered=True)
        for _ in range(2):
            scene.publish(owner, admit=False)
        works = scene.take()
        first = next(work for work in works if work.endpoint.id == ordered.id)
        assert sorted(work.endpoint.id for work in works) == sorted([free.id, ordered.id, endpoint.id] * 2)
        for work in works:
            scene.settle(work, Step.RETRY, scene.now + (LATER if work.key == first.key else 0))
        scene.tick()
        assert {work.endpoint.id for work in scene.take()} == {free.id, endpoint.id}


def owner_of(scene, work):
    return scene.store.application(work.endpoint.application_id)


class TestScheduled:
    def test_what_is_to_be_delivered_later_holds_up_nobody_until_then(self, scene, owner, endpoint):
        """When its time has come it has its place: before all that were accepted after it, and beside none."""
        at = scene.now + LEASE // 2
        first = scene.publish(owner, admit=False, deliver_at=at).message.id
        names = [scene.publish(owner, admit=False).message.id for _ in range(2)]
        works = scene.take()
        assert ids_of(works) == names
        scene.now = at
        assert scene.take(endpoints=[endpoint.id]) == [], "those are under way"
        scene.settle(works[0], Step.SUCCEED)
        scene.settle(works[1], Step.RETRY, scene.now)
        names.append(scene.publish(owner, admit=False).message.id)
        assert ids_of(scene.take()) == [first, *names[1:]]

    def test_also_where_the_endpoint_is_given_its_order_meanwhile(self, scene, owner):
        """Nothing that waits for its time comes into the way of what does not."""
        endpoint = scene.endpoint(owner)
        first = scene.publish(owner, admit=False, deliver_at=scene.now + LATER).message.id
        second = scene.publish(owner, admit=False).message.id
        change(scene, endpoint, ordered=True, updated_at=scene.now)
        (work,) = scene.take()
        assert work.message_id == second
        scene.settle(work, Step.SUCCEED)
        assert scene.due() == []
        scene.tick(LATER)
        assert ids_of(scene.take()) == [first]


class TestAgain:
    def test_an_older_one_that_comes_back_goes_next_and_beside_none(self, scene, endpoint, names):
        """It waits for what is under way, and comes before all that waits."""
        first, second = scene.take(2)
        scene.settle(first, Step.EXHAUST)
        resend(scene, endpoint, names[0])
        assert scene.take(endpoints=[endpoint.id]) == []
        scene.settle(second, Step.SUCCEED)
        works = scene.take()
        assert ids_of(works) == [names[0], names[2], names[3]]
        assert works[0].trigger is Trigger.MANUAL

    def test_what_is_recovered_comes_in_its_order(self, scene, endpoint, names):
        """However many are recovered at once, and whatever waits."""
        for work in scene.take(3):
            scene.settle(work, Step.EXHAUST)
        scene.recovery(endpoint, START, scene.now)
        scene.finish_task(limit=2)
        assert ids_of(scene.take()) == names

    def test_one_brought_forward_takes_those_behind_it_along(self, scene, endpoint, names):
        """Nothing waits for the time when it would have been tried."""
        works = scene.take()
        retry = scene.now + LATER
        scene.settle(works[0], Step.RETRY, retry)
        for work in works[1:]:
            scene.settle(work, Step.POSTPONE, retry, reason="earlier_message_first")
        resend(scene, endpoint, names[0])
        assert ids_of(scene.take()) == names


class TestChanging:
    def test_an_endpoint_that_is_given_an_order_begins_with_the_oldest(self, scene, owner):
        """What waits from before comes in the order of acceptance, whenever it would have been tried."""
        endpoint = scene.endpoint(owner)
        names = [scene.publish(owner, admit=False).message.id for _ in range(3)]
        for work, wait in zip(scene.take(), (LATER, 0, 0), strict=True):
            scene.settle(work, Step.RETRY, scene.now + wait)
        change(scene, endpoint, ordered=True)
        scene.tick()
        assert scene.due() == []
        scene.tick(LATER)
        assert ids_of(scene.take()) == names

    def test_one_that_loses_it_gets_what_is_due(self, scene, owner, endpoint, names):
        """From the change on, nothing waits for anything else."""
        (first,) = scene.take(1)
        scene.settle(first, Step.RETRY, scene.now + LATER)
        change(scene, endpoint, ordered=False)
        assert sorted(ids_of(scene.take())) == sorted(names[1:])

    def test_what_a_node_accepted_that_did_not_know_is_not_lost(
        self, scene, owner, endpoint, names, database
    ):
        """It had the endpoint as it was before; its deliveries join the order when they are seen."""
        with database.application() as application:
            application.execute("UPDATE ringback_delivery SET ordering_key = NULL")
        assert scene.due() == [endpoint.id]
        assert ids_of(scene.take()) == names


class Machine(RuleBasedStateMachine):
    """Two nodes over one database, beside a list of what each delivery should be."""

    kind = "sqlite"

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        database = DATABASES[self.kind](self.folder)
        self.opened = ExitStack()
        self.nodes = [Scene(self.opened.enter_context(closing(database.open())), seed) for seed in (1, 2)]
        self.now = START
        self.names = []  # in the order of acceptance
        self.open = {}  # by name: when it is due, and under whose work it is leased
        self.held = [[], []]  # what each node holds, to be settled from the front
        self.resent = set()
        self.seen = []

    def node(self, which):
        scene = self.nodes[which]
        scene.now = self.now
        return scene

    def ticked(self, scene):
        self.now = scene.now

    @initialize()
    def begin(self):
        scene = self.node(0)
        self.owner = scene.application()
        self.endpoint = scene.endpoint(self.owner, ordered=True)
        self.ticked(scene)

    @rule(which=st.integers(0, 1), count=st.integers(1, 3))
    def accept(self, which, count):
        scene = self.node(which)
        for _ in range(count):
            message = scene.publish(self.owner, admit=False).message
            self.names.append(message.id)
            self.open[message.id] = (message.created_at, False)
        self.ticked(scene)

    @rule(which=st.integers(0, 1), limit=st.integers(1, 4))
    def take(self, which, limit):
        scene = self.node(which)
        waiting = [(name, *self.open[name]) for name in self.names if name in self.open]
        under_way = any(leased and due_at > self.now for _, due_at, leased in waiting)
        expected = []
        for name, due_at, _ in waiting[:limit]:
            if under_way or due_at > self.now:
                break
            expected.append(name)
        works = scene.take(limit, [self.endpoint.id])
        assert ids_of(works) == expected
        if works:
            # Nothing is under way elsewhere: the leases of whoever held something are over.
            self.held = [[], []]
            self.held[which] = works
        for name in expected:
            self.open[name] = (self.now + LEASE, True)
        assert bool(expected) or not (self.endpoint.id in scene.due() and not under_way)

    @precondition(lambda self: any(self.held))
    @rule(
        step=st.sampled_from([Step.SUCCEED, Step.EXHAUST, Step.RETRY, Step.POSTPONE]),
        wait=st.integers(0, 60_000),
    )
    def settle(self, step, wait):
        which = 0 if self.held[0] else 1
        scene, work = self.node(which), self.held[which].pop(0)
        due_at = self.now + wait if step in (Step.RETRY, Step.POSTPONE) else None
        assert scene.settle(work, step, due_at)
        self.ticked(scene)
        if step is Step.SUCCEED:
            self.seen.append(work.message_id)
        if due_at is None:
            del self.open[work.message_id]
            return
        self.open[work.message_id] = (due_at, False)
        # A worker gives back what comes later.
        for later in self.held[which]:
            assert scene.settle(later, Step.POSTPONE, due_at)
            self.open[later.message_id] = (due_at, False)
        self.held[which] = []

    @rule(milliseconds=st.sampled_from([1, 1_000, 30_000, 60_000]))
    def pass_time(self, milliseconds):
        """Also more than a lease: whoever held something is taken for dead."""
        self.now += milliseconds

    @precondition(lambda self: any(name not in self.open for name in self.names))
    @rule(data=st.data(), which=st.integers(0, 1))
    def resend(self, data, which):
        name = data.draw(st.sampled_from([name for name in self.names if name not in self.open]))
        scene = self.node(which)
        resend(scene, self.endpoint, name)
        self.open[name] = (self.now, False)
        self.resent.add(name)

    def teardown(self):
        firsts = [name for name in self.seen if name not in self.resent]
        assert firsts == sorted(firsts, key=self.names.index), "somebody overtook another"
        for name in self.names:
            delivery = self.nodes[0].delivery(self.owner.id, name, self.endpoint.id)
            assert (delivery.state in AT_REST) == (name not in self.open)
        self.opened.close()
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_sequence_of_events_breaks_the_order(kind):
    """Whatever two nodes accept, take, end, lose and are asked for again, the next is the oldest, and goes alone."""

    class OfKind(Machine):
        pass

    OfKind.kind = kind
    examples = 40 if kind == "sqlite" else 10
    run_state_machine_as_test(
        OfKind, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None, database=None)
    )
