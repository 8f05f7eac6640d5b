"""Ordering: a handler with keys gets the messages of one key one after the other, those of others meanwhile."""
# ruff: noqa: D102 - rules and invariants are named for what they do

import random

import msgspec
import pytest
from doors import begin, handler, receive, source
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from machines import Machine, drive
from scene import DATABASES, LEASE, MANY

from ringback.errors import Conflict
from ringback.policy import AT_REST, BEHIND_ANOTHER, MAX_BEGUN, Step
from ringback.store import MessageFilter, Page

SOON = 1_000


@pytest.fixture
def owner(scene):
    return source(scene)


@pytest.fixture
def endpoint(scene, owner):
    return handler(scene, owner, ordered=True)


@pytest.fixture
def works(scene, owner, endpoint):
    """Three deliveries leased to this node, in the order of their messages."""
    return [receive(scene, owner).works[0] for _ in range(3)]


def may_run(scene, work, key):
    begun = begin(scene, work, key)
    assert begun.held
    assert begun.blocked_until is None or begun.blocked_until > scene.now
    return begun.blocked_until is None


def change(scene, endpoint, **fields):
    scene.write(
        scene.store.change_endpoint,
        endpoint.application_id,
        endpoint.id,
        lambda old: msgspec.structs.replace(old, **fields),
    )


def replay(scene, work):
    arguments = (work.endpoint.application_id, work.message_id, scene.now)
    with scene.store.transaction():
        assert scene.store.replay(*arguments, event_type=None, rematch=True, done_too=True) == 1


class TestSameKey:
    def test_the_first_goes_first(self, scene, works):
        """The others wait until it has ended, however they come to be asked."""
        assert [may_run(scene, work, "a") for work in (works[0], works[2], works[1])] == [True, False, False]
        scene.settle(works[0], Step.SUCCEED)
        assert [may_run(scene, work, "a") for work in (works[2], works[1])] == [False, True]
        scene.settle(works[1], Step.SUCCEED)
        assert may_run(scene, works[2], "a")

    def test_a_key_may_be_of_any_length(self, scene, works):
        """One that is as long as a whole body keeps its order, and nothing that is taken with it from being taken."""
        long = random.Random(1).randbytes(10_000).hex()
        scene.write(scene.store.name, [(works[0], long), (works[1], long), (works[2], f"{long}!")])
        assert [
            may_run(scene, work, key) for work, key in zip(works, (long, long, f"{long}!"), strict=True)
        ] == [
            True,
            False,
            True,
        ]

    @pytest.mark.parametrize("step", [Step.SUCCEED, Step.EXHAUST, Step.CANCEL])
    def test_whatever_its_end_was_the_next_may_follow(self, scene, works, step):
        """A dead letter does not stand in the way for ever."""
        assert may_run(scene, works[0], "a")
        scene.settle(works[0], step)
        assert may_run(scene, works[1], "a")

    def test_the_next_waits_for_a_retry(self, scene, works):
        """While the first is to be tried again, the others are looked at when that will have been."""
        may_run(scene, works[0], "a")
        retry = scene.now + 10 * SOON
        scene.settle(works[0], Step.RETRY, retry)
        begun = begin(scene, works[1], "a")
        assert retry < begun.blocked_until <= retry + SOON

    def test_behind_one_under_way_it_looks_again_soon(self, scene, works):
        """What runs may end at any moment."""
        may_run(scene, works[0], "a")
        assert scene.now < begin(scene, works[1], "a").blocked_until <= scene.now + SOON

    def test_after_a_crash_the_order_holds(self, scene, works):
        """A first that vanished with its process comes before the second, until it is given up."""
        for _ in range(MAX_BEGUN):
            assert may_run(scene, works[0], "a")
            assert not may_run(scene, works[1], "a")
            scene.tick(LEASE + 1)
            taken = {work.key: work for work in scene.take()}
            works = [taken.get(work.key, work) for work in works]
        assert works[0].key not in taken
        assert may_run(scene, works[1], "a")

    def test_waiting_is_no_run(self, scene, works):
        """One that had to wait is never taken to have crashed."""
        may_run(scene, works[0], "a")
        for _ in range(2 * MAX_BEGUN):
            assert not may_run(scene, works[1], "a")
        scene.tick(LEASE + 1)
        assert {work.key: work.begun for work in scene.take()}[works[1].key] == 0

    def test_an_older_one_that_comes_back_waits_for_one_under_way(self, scene, works):
        """Replaying a message does not have it run beside a younger one of its key."""
        may_run(scene, works[0], "a")
        scene.settle(works[0], Step.EXHAUST)
        assert may_run(scene, works[1], "a")
        replay(scene, works[0])
        (again,) = scene.take()
        assert not may_run(scene, again, "a")
        assert not may_run(scene, works[2], "a"), "it comes after both"
        scene.settle(works[1], Step.SUCCEED)
        assert may_run(scene, again, "a")

    def test_none_waits_for_what_was_brought_forward(self, scene, works):
        """When somebody has a waiting message tried at once, those behind it follow soon and not at the old time."""
        may_run(scene, works[0], "a")
        scene.settle(works[0], Step.RETRY, scene.now + 10**8)
        blocked_until = begin(scene, works[1], "a").blocked_until
        scene.settle(works[1], Step.POSTPONE, blocked_until, reason=BEHIND_ANOTHER)
        replay(scene, works[0])
        taken = {work.key: work for work in scene.take()}
        assert begin(scene, taken[works[1].key], "a").blocked_until <= scene.now + SOON
        scene.settle(taken[works[0].key], Step.SUCCEED)
        assert may_run(scene, taken[works[1].key], "a")


class TestUnknownKey:
    def test_nobody_overtakes_it(self, scene, works):
        """Until the first has told its key, it may be the same; then others may run beside it."""
        assert not may_run(scene, works[1], "b")
        assert may_run(scene, works[0], "a")
        assert may_run(scene, works[1], "b")

    def test_also_one_that_was_spilled_is_in_front(self, scene, owner, endpoint):
        """A delivery that waits in the store has not told its key either."""
        receive(scene, owner, admit=False)
        (work,) = receive(scene, owner).works
        assert not may_run(scene, work, "a")

    def test_a_message_added_later_is_in_front_by_its_age(self, scene, owner):
        """One that was held and is replayed to a handler it had not before holds up younger ones."""
        old = receive(scene, owner, understood=False).message
        handler(scene, owner, ordered=True)
        (work,) = receive(scene, owner).works
        with scene.store.transaction():
            scene.store.replay(owner.id, old.id, scene.now, event_type=None, rematch=True, done_too=True)
        assert not may_run(scene, work, "a")
        (again,) = scene.take()
        assert may_run(scene, again, "a")

    def test_a_handler_that_is_given_keys_heeds_what_waits(self, scene, owner):
        """From the change on, messages from before it come first."""
        endpoint = handler(scene, owner)
        works = [receive(scene, owner).works[0] for _ in range(2)]
        change(scene, endpoint, ordered=True)
        assert not may_run(scene, works[1], "a")
        assert may_run(scene, works[0], "a")


class TestApart:
    def test_different_keys_overlap(self, scene, works):
        """Each key is a line of its own."""
        assert [may_run(scene, work, key) for work, key in zip(works, "abc", strict=True)] == [True] * 3

    def test_without_a_key_nobody_waits(self, scene, works):
        """A message that has no key waits for none and holds up none."""
        assert may_run(scene, works[1], None)
        assert may_run(scene, works[0], None)
        assert may_run(scene, works[2], "a")

    def test_handlers_do_not_wait_for_each_other(self, scene, owner, endpoint):
        """The same key at another handler is another line."""
        handler(scene, owner, "other", ordered=True)
        works = [receive(scene, owner).works for _ in range(2)]
        assert [may_run(scene, work, "a") for work in works[0]] == [True, True]
        scene.settle(works[0][0], Step.SUCCEED)
        assert [may_run(scene, work, "a") for work in works[1]] == [True, False]

    def test_without_order_nothing_blocks(self, scene, owner):
        """A handler without keys runs as many at once as there are."""
        handler(scene, owner)
        works = [receive(scene, owner).works[0] for _ in range(3)]
        assert all(may_run(scene, work, None) for work in works)

    @pytest.mark.parametrize("key", ["", "=", "'; --", "\u0000", "é" * 1000])
    def test_any_text_is_a_key(self, scene, works, key):
        """The empty one, too, which is not the key that is not known yet."""
        assert may_run(scene, works[0], key)
        assert not may_run(scene, works[1], key)
        assert may_run(scene, works[1], f"{key}=")
        scene.settle(works[0], Step.SUCCEED)
        assert may_run(scene, works[2], key)


class OrderMachine(Machine):
    """One handler with keys, workers that forget, leases that run out, and people who ask again."""

    def __init__(self, kind, folder):
        super().__init__(kind, folder)
        self.keys = {}
        self.works = {}
        self.lost = []
        self.running = {}

    def teardown(self):
        self.finish()
        super().teardown()

    @initialize(ordered=st.just(True))
    def start(self, ordered):
        self.owner = source(self.scene)
        self.endpoint = handler(self.scene, self.owner, ordered=ordered)

    def open_messages(self):
        """The messages whose deliveries are not at rest, oldest first."""
        addressed = self.scene.store.addressed(
            self.owner.id, self.endpoint.id, MessageFilter(), Page(limit=MANY)
        )
        at_rest = {message.id for delivery, message in addressed if delivery.state in AT_REST}
        return [message_id for message_id in self.keys if message_id not in at_rest]

    @rule(keys=st.text("aab", min_size=1, max_size=3), admit=st.booleans())
    def receive(self, keys, admit):
        for key in keys:
            self.receive_one(key, admit)

    def receive_one(self, key, admit):
        accepted = receive(self.scene, self.owner, payload=key.encode(), admit=admit)
        self.keys[accepted.message.id] = key
        self.works |= {work.message_id: work for work in accepted.works}

    @rule(limit=st.integers(1, 4))
    def take(self, limit):
        taken = self.scene.take(limit=limit)
        for work in taken:
            # Whoever ran it has vanished.
            self.running.pop(work.message_id, None)
            if work.message_id in self.works:
                self.lost.append(self.works[work.message_id])
            self.works[work.message_id] = work
        # What has crashed too often is not handed out again.
        still_open = self.open_messages()
        self.running = {one: work for one, work in self.running.items() if one in still_open}

    @precondition(lambda self: self.works.keys() - self.running.keys())
    @rule(data=st.data())
    def begin(self, data):
        idle = [work for work in self.works.values() if work.message_id not in self.running]
        self.begin_one(data.draw(st.sampled_from(idle)))

    def begin_one(self, work):
        key = work.payload.decode()
        waiting = [one for one in self.open_messages() if self.keys[one] == key]
        begun = begin(self.scene, work, key)
        if begun.held and begun.blocked_until is None:
            assert waiting[0] == work.message_id, "it was begun before an earlier message of its key"
            self.running[work.message_id] = work
        elif begun.held:
            assert begun.blocked_until > self.scene.now
            self.settle(work, Step.POSTPONE, begun.blocked_until)

    def settle(self, work, step, due_at):
        self.scene.settle(work, step, due_at)
        self.running.pop(work.message_id, None)
        self.lost.append(self.works.pop(work.message_id))

    @precondition(lambda self: self.works)
    @rule(data=st.data(), step=st.sampled_from([Step.SUCCEED, Step.RETRY, Step.EXHAUST, Step.POSTPONE]))
    def end(self, data, step):
        """Some work ends: one that was begun if there is one."""
        work = data.draw(st.sampled_from(list((self.running or self.works).values())))
        due_at = self.scene.now + SOON if step in {Step.RETRY, Step.POSTPONE} else None
        self.settle(work, step, due_at)

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def come_too_late(self, data):
        """Whoever has lost the lease neither begins nor ends anything."""
        work = data.draw(st.sampled_from(self.lost))
        assert not begin(self.scene, work, work.payload.decode()).held
        assert not self.scene.settle(work, Step.SUCCEED)

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def have_again(self, data):
        ended = sorted(self.keys.keys() - self.open_messages())
        message_id = data.draw(st.sampled_from(ended or sorted(self.keys)))
        arguments = (self.owner.id, message_id, self.endpoint.id, self.scene.now)
        try:
            self.scene.write(self.scene.store.resend, *arguments)
        except Conflict:
            assert message_id in self.open_messages()
        self.take(limit=MANY)
        if message_id in self.works and message_id not in self.running:
            self.begin_one(self.works[message_id])

    @rule(milliseconds=st.sampled_from([1, SOON, LEASE + 1]))
    def time_passes(self, milliseconds):
        self.scene.tick(milliseconds)

    @invariant()
    def one_of_a_key_runs(self):
        # A run whose lease is over and taken by nobody yet counts too: it may still be going on.
        keys = [self.keys[message_id] for message_id in self.running]
        assert len(set(keys)) == len(keys)

    def finish(self):
        """Whatever happened: in the end everything gets its turn."""
        for _ in range(20 * (1 + len(self.keys))):
            if not self.open_messages():
                return
            self.scene.tick(LEASE + 1)
            for work in self.scene.take():
                begun = begin(self.scene, work, work.payload.decode())
                step = Step.SUCCEED if begun.blocked_until is None else Step.POSTPONE
                self.scene.settle(work, step, begun.blocked_until)
        raise AssertionError("some wait for ever")


@pytest.mark.parametrize("kind", DATABASES)
def test_one_of_a_key_at_a_time_in_order(kind, tmp_path):
    """Whatever happens in whatever order, no two of a key run at once, none out of turn, and all in the end."""
    drive(OrderMachine, kind, tmp_path, examples=60, steps=40)
