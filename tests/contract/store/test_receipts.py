"""Receipts: an event is one message however often, by whatever way and in whatever company it is told."""
# ruff: noqa: D102 - rules and invariants are named for what they do

import contextlib
import itertools

import msgspec
import pytest
from doors import handler, receive, source, stored, webhook
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from machines import Machine, drive
from scene import DATABASES, MANY, Scene

from ringback.errors import Conflict, NotFound
from ringback.store import Accepted, Page

BATCH = 512
NOBODY = "src_000000000000000000000000000"


def told(dedupe_key=None, business_key=None, *, polled=False):
    return {"dedupe_key": dedupe_key, "business_key": business_key, "polled": polled}


def prune(scene, before=0, receipts_before=0, limit=MANY):
    return scene.prune(before, 0, limit, receipts_before)


@pytest.fixture
def owner(scene):
    return source(scene)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "case",
    [
        (told("a"), told("a"), True),
        (told("a"), told("b"), False),
        (told(), told(), False),
        (told("a"), told(), False),
        (told(None, "paid"), told(None, "paid"), False),
        (told("a", "paid"), told("b", "paid"), False),
        (told("a", "paid"), told("a", "expired"), True),
        (told("poll:paid", "paid", polled=True), told("a", "paid"), True),
        (told("poll:paid", "paid", polled=True), told(None, "paid"), True),
        (told("a", "paid"), told("poll:paid", "paid", polled=True), True),
        (told(None, "paid"), told("poll:paid", "paid", polled=True), True),
        (told("poll:paid", "paid", polled=True), told("poll:paid", "paid", polled=True), True),
        (told("poll:paid", "paid", polled=True), told("a", "expired"), False),
        (told("a", "paid"), told("poll:expired", "expired", polled=True), False),
        (told("poll:paid", "paid", polled=True), told("a"), False),
    ],
)
def test_what_is_a_repetition(scene, owner, case, together):
    """By its key; and by what it is about where one of the two was found by asking. In one batch as in two."""
    first, second, same = case
    handler(scene, owner)
    asked = [webhook(scene, owner, **first), webhook(scene, owner, **second)]
    answers = scene.accept(*asked) if together else [*scene.accept(asked[0]), *scene.accept(asked[1])]
    assert [answer.replayed for answer in answers] == [False, same]
    assert answers[1].message.id == (asked[0].id if same else asked[1].id)
    assert stored(scene, owner) == [one.id for one in (asked[:1] if same else asked)]
    assert bool(answers[1].works) is not same


class TestRepetition:
    def test_ten_thousand_are_one_message(self, scene, owner):
        """However often a provider repeats an event among others, it is one message with one delivery."""
        endpoint = handler(scene, owner)
        others, answers = [], []
        for _ in range(10_000 // BATCH + 1):
            batch = [webhook(scene, owner, "the one", payload=b"1") for _ in range(BATCH)]
            other = webhook(scene, owner, f"other {len(others)}")
            others.append(other.id)
            batch.insert(len(others), other)
            answers += scene.accept(*batch, admit=lambda _: False)
        assert len(answers) > 10_000
        first = answers[0].message.id
        assert stored(scene, owner) == sorted([first, *others])
        assert sum(not answer.replayed for answer in answers) == 1 + len(others)
        assert {answer.message.id for answer in answers if answer.replayed} == {first}
        assert scene.store.statistics(scene.now).waiting == 1 + len(others)
        assert len(scene.take(endpoints=[endpoint.id])) == 1 + len(others)

    def test_it_is_answered_like_the_first_but_without_content(self, scene, owner):
        """The answer names the first message and when it came; it starts nothing, and asks for no room."""
        handler(scene, owner)
        first = receive(scene, owner, "event", payload=b"secret")
        asked = []
        (again,) = scene.accept(webhook(scene, owner, "event"), admit=lambda one: not asked.append(one))
        assert again.replayed
        assert (again.message.id, again.message.created_at) == (first.message.id, first.message.created_at)
        assert (again.message.application_id, again.message.payload) == (owner.id, None)
        assert again.works == again.spilled == ()
        assert asked == []

    def test_the_first_body_counts(self, scene, owner):
        """A repetition with another body changes nothing."""
        first = receive(scene, owner, "event", payload=b"first")
        receive(scene, owner, "event", payload=b"second")
        assert scene.store.message(owner.id, first.message.id).payload == b"first"

    def test_what_polling_finds_is_the_first_of_several(self, scene, owner):
        """Two webhooks were about one thing: what polling finds is the earlier."""
        first = receive(scene, owner, "a", business_key="paid")
        receive(scene, owner, "b", business_key="paid")
        found = receive(scene, owner, "poll:paid", business_key="paid", polled=True)
        assert found.message.id == first.message.id

    def test_what_polling_finds_is_the_first_of_several_in_its_batch(self, scene, owner):
        """In the same batch as well."""
        answers = scene.accept(
            webhook(scene, owner, "a", business_key="paid"),
            webhook(scene, owner, "b", business_key="paid"),
            webhook(scene, owner, "poll:paid", business_key="paid", polled=True),
        )
        assert [answer.replayed for answer in answers] == [False, False, True]
        assert answers[2].message.id == answers[0].message.id

    def test_a_quarantined_event_is_repeated_too(self, scene, owner):
        """What is not understood has its receipt, like everything that verified."""
        first = receive(scene, owner, "event", understood=False)
        assert receive(scene, owner, "event", understood=True).message.id == first.message.id
        assert len(stored(scene, owner)) == 1


class TestScope:
    @pytest.mark.parametrize("together", [True, False])
    def test_sources_do_not_share_events(self, scene, owner, together):
        """The same event for two sources is two messages."""
        other = source(scene)
        asked = [webhook(scene, one, "event", business_key="paid", polled=True) for one in (owner, other)]
        answers = scene.accept(*asked) if together else [*scene.accept(asked[0]), *scene.accept(asked[1])]
        assert [answer.replayed for answer in answers] == [False, False]
        assert stored(scene, owner) == [asked[0].id]
        assert stored(scene, other) == [asked[1].id]

    def test_a_successor_starts_afresh(self, scene):
        """A source with the uid of a removed one knows none of its events."""
        first = source(scene, uid="xendit")
        receive(scene, first, "event")
        scene.write(scene.store.remove_source, "xendit", scene.now)
        assert not receive(scene, source(scene, uid="xendit"), "event").replayed

    def test_published_messages_have_no_receipts(self, scene, owner):
        """An application's messages are never repetitions of what was received."""
        application = scene.application()
        receive(scene, owner, "order-1")
        assert not scene.publish(application, event_id="order-1").replayed
        assert isinstance(scene.accept(scene.acceptance(application, event_id="order-1"))[0], Conflict)

    def test_nodes_share_receipts(self, database):
        """What one node received is a repetition at the other."""
        with contextlib.closing(database.open()) as one, contextlib.closing(database.open()) as other:
            here, there = Scene(one), Scene(other)
            owner = source(here)
            assert [receive(node, owner, "event").replayed for node in (here, there, here, there)] == [
                False,
                True,
                True,
                True,
            ]


class TestDoor:
    def test_each_kind_comes_in_by_its_own(self, scene, owner):
        """What was received is no application's, and what is published no source's; the rest is stored."""
        application = scene.application(uid="acme")
        good = [scene.acceptance(application), webhook(scene, owner, "a"), scene.acceptance("acme")]
        bad = [
            webhook(scene, application.id, "b"),
            webhook(scene, "acme", "b"),
            scene.acceptance(owner.id),
            webhook(scene, NOBODY, "b"),
        ]
        mixed = [one for pair in itertools.zip_longest(bad, good) for one in pair if one is not None]
        answers = scene.accept(*mixed)
        for asked, answer in zip(mixed, answers, strict=True):
            assert isinstance(answer, Accepted if asked in good else NotFound), asked
        assert stored(scene, owner) == [good[1].id]
        assert [one.id for one in (good[0], good[2])] == stored(scene, application)

    def test_what_is_refused_leaves_no_receipt(self, scene, owner):
        """An event that came to the wrong door is news at the right one."""
        application = scene.application()
        scene.accept(webhook(scene, application.id, "event"))
        assert not receive(scene, owner, "event").replayed


class TestReceived:
    def test_it_names_the_message_of_an_event(self, scene, owner):
        """By the event's key; None for what has not come, or has none."""
        accepted = receive(scene, owner, "event")
        receive(scene, owner)
        assert scene.store.received(owner.id, "event") == accepted.message.id
        assert scene.store.received(owner.id, "other") is None
        assert scene.store.received(source(scene).id, "event") is None

    def test_an_unknown_source_is_not_found(self, scene):
        """Rather than having received nothing."""
        with pytest.raises(NotFound):
            scene.store.received(NOBODY, "event")


class TestForgetting:
    def test_a_receipt_outlives_its_message(self, scene, owner):
        """After retention has removed the message, its repetition is still none."""
        first = receive(scene, owner, "event")
        assert prune(scene, before=scene.tick()).messages == 1
        assert stored(scene, owner) == []
        again = receive(scene, owner, "event")
        assert (again.replayed, again.message.id) == (True, first.message.id)
        assert scene.store.received(owner.id, "event") == first.message.id
        assert stored(scene, owner) == []

    def test_a_receipt_ends_with_its_time(self, scene, owner):
        """From receipts_before on it is kept; before, the event would be news."""
        old = receive(scene, owner, "old").message
        young = receive(scene, owner, "young").message
        prune(scene, before=scene.now + 1, receipts_before=young.created_at)
        assert old.created_at < young.created_at
        assert receive(scene, owner, "young").replayed
        assert not receive(scene, owner, "old").replayed

    def test_subjects_are_forgotten_with_it(self, scene, owner):
        """What polling finds is news again, too."""
        receive(scene, owner, "event", business_key="paid")
        prune(scene, receipts_before=scene.tick())
        assert not receive(scene, owner, "poll:paid", business_key="paid", polled=True).replayed

    def test_it_goes_in_batches(self, scene, owner):
        """No step forgets more than its limit, and together they forget all that is old."""
        for number in range(7):
            receive(scene, owner, f"event {number}")
        left = []
        for _ in range(3):
            prune(scene, receipts_before=scene.now + 1, limit=3)
            left.append(sum(scene.store.received(owner.id, f"event {n}") is not None for n in range(7)))
        assert left == [4, 1, 0]

    def test_it_does_not_outlive_a_failed_transaction(self, scene, owner):
        """When the commit fails, the provider's repetition is stored."""
        with pytest.raises(ZeroDivisionError), scene.store.transaction():  # noqa: PT012 - the transaction that fails
            scene.store.accept([webhook(scene, owner, "event")], scene.lease(), lambda _: True)
            raise ZeroDivisionError
        assert scene.store.received(owner.id, "event") is None
        assert not receive(scene, owner, "event").replayed


class Receipt(msgspec.Struct):
    """What the model remembers of an event."""

    owner: str
    dedupe_key: str | None
    business_key: str | None
    polled: bool
    message_id: str
    created_at: int


TELLINGS = st.builds(
    told,
    st.sampled_from([None, "a", "b", "c"]),
    st.sampled_from([None, "x", "y"]),
    polled=st.booleans(),
)


class ReceiptMachine(Machine):
    """Drives the store and a list of receipts alike."""

    def __init__(self, kind, folder):
        super().__init__(kind, folder)
        self.receipts = []
        self.messages = {}

    @initialize()
    def begin(self):
        self.owners = [source(self.scene), source(self.scene)]
        self.messages = {owner.id: [] for owner in self.owners}

    def earlier(self, owner, inbound):
        """The oldest receipt that makes this a repetition, one of the same key before one of the same subject."""
        mine = [receipt for receipt in self.receipts if receipt.owner == owner]
        keyed = (one for one in mine if inbound.dedupe_key and one.dedupe_key == inbound.dedupe_key)
        about = (
            one
            for one in mine
            if inbound.business_key
            and one.business_key == inbound.business_key
            and (one.polled or inbound.polled)
        )
        return next(itertools.chain(keyed, about), None)

    @rule(told_to=st.lists(st.tuples(st.integers(0, 1), TELLINGS), min_size=1, max_size=6))
    def accept(self, told_to):
        asked = [webhook(self.scene, self.owners[index], **fields) for index, fields in told_to]
        for acceptance, answer in zip(asked, self.scene.accept(*asked), strict=True):
            inbound, owner = acceptance.inbound, acceptance.application
            earlier = self.earlier(owner, inbound)
            assert answer.replayed == (earlier is not None)
            assert answer.message.id == (acceptance.id if earlier is None else earlier.message_id)
            if earlier is None:
                keys = (inbound.dedupe_key, inbound.business_key, inbound.polled)
                self.receipts.append(Receipt(owner, *keys, acceptance.id, acceptance.created_at))
                self.messages[owner].append(acceptance)

    @rule(age=st.integers(0, 20), receipts_age=st.integers(0, 20))
    def prune(self, age, receipts_age):
        before, receipts_before = self.scene.now - 1_000 * age, self.scene.now - 1_000 * receipts_age
        prune(self.scene, before, receipts_before)
        self.receipts = [one for one in self.receipts if one.created_at >= receipts_before]
        self.messages = {
            owner: [one for one in kept if one.created_at >= before] for owner, kept in self.messages.items()
        }

    @rule()
    def reopen(self):
        self.scene.store.close()
        self.scene.store = self.database.open()

    @invariant()
    def the_store_is_the_model(self):
        for owner in self.messages:
            kept = stored(self.scene, next(one for one in self.owners if one.id == owner))
            assert kept == [one.id for one in self.messages[owner]]
            for key in "abc":
                mine = [one for one in self.receipts if (one.owner, one.dedupe_key) == (owner, key)]
                assert self.scene.store.received(owner, key) == (mine[0].message_id if mine else None)


@pytest.mark.parametrize("kind", DATABASES)
def test_receipts_are_their_model(kind, tmp_path):
    """Whatever is told in whatever order, the store knows the same events as a plain list does."""
    drive(ReceiptMachine, kind, tmp_path, examples=40, steps=25)


class TestFoundByPolling:
    """What asking the provider found is listed, source by source."""

    def found(self, scene, owner, **page):
        """Return the ids of those listed."""
        return [one.id for one in scene.store.found_by_polling(owner.id, Page(**page))]

    def test_only_what_asking_found_first(self, scene, owner):
        """Neither what came by itself, whether asking knew of it or not, nor that of another source."""
        other = source(scene)
        names = []
        for place in range(3):
            receive(scene, owner, f"event-{place}", business_key=f"paid-{place}")
            receive(scene, owner, f"poll:paid-{place}", business_key=f"paid-{place}", polled=True)
            new = receive(scene, owner, f"poll:sent-{place}", business_key=f"sent-{place}", polled=True)
            receive(scene, owner, f"late-{place}", business_key=f"sent-{place}")
            names.append(new.message.id)
        assert self.found(scene, owner) == names
        assert self.found(scene, owner, descending=True, limit=2) == names[:0:-1]
        assert self.found(scene, owner, cursor=names[0]) == names[1:]
        assert self.found(scene, other) == []
        with pytest.raises(NotFound):
            self.found(scene, msgspec.structs.replace(other, id=NOBODY))
