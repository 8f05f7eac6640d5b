"""The committer over a store: many callers to a commit, each with its own answer, none of them early."""
# ruff: noqa: D102 - the verbs of a handover; fixtures named for what they hold

import asyncio
import contextlib
import threading

import pytest
from scene import LEASE, MANY, Scene

from ringback.errors import Conflict, NotFound, RingbackError, StoreUnavailable, Unavailable
from ringback.model import DeliveryState
from ringback.observe import (
    AttemptFinished,
    BatchCommitted,
    LeaseLost,
    MessageAccepted,
    MessageReplayed,
    Observer,
    StoreFailed,
)
from ringback.policy import Step
from ringback.store import Idempotency, MessageFilter, Page, Token
from ringback.store.commit import MAX_QUEUED, Committer, NoWorker

EVENTS = (AttemptFinished, BatchCommitted, LeaseLost, MessageAccepted, MessageReplayed, StoreFailed)


class Desk:
    """A handover with room for everything, which notes what it is told."""

    def __init__(self):
        self.room = True
        self.received = []
        self.withdrawn = 0
        self.catalog_changes = 0

    def admit(self, endpoint):
        return self.room

    def receive(self, accepted):
        self.received.append(list(accepted))

    def withdraw(self):
        self.withdrawn += 1

    def catalog_changed(self):
        self.catalog_changes += 1


class Bench:
    """A committer, not yet started, over a store with one application and one endpoint."""

    def __init__(self, store, handover):
        self.scene = Scene(store)
        self.application = self.scene.application()
        self.endpoint = self.scene.endpoint(self.application)
        self.handover = handover
        self.events = []
        self.observer = Observer()
        for kind in EVENTS:
            self.observer.subscribe(kind, self.events.append)
        self.committer = Committer(
            store, clock=lambda: self.scene.now, observer=self.observer, handover=handover, deadline=15_000
        )

    def seen(self, kind):
        return [event for event in self.events if type(event) is kind]

    def acceptance(self, **fields):
        return self.scene.acceptance(self.application, **fields)


@pytest.fixture
def bench(database):
    """A committer that is closed in the end, and with it its store."""
    made = Bench(database.open(), Desk())
    yield made
    made.committer.close()


def test_whatever_waits_shares_a_commit(bench):
    """A hundred callers cost one transaction; each gets its own answer."""
    pendings = [bench.committer.accept(bench.acceptance()) for _ in range(100)]
    bench.committer.start()
    answers = [pending.result(timeout=30) for pending in pendings]
    assert len({answer.message.id for answer in answers}) == 100
    bench.committer.close()
    assert [event.rows for event in bench.seen(BatchCommitted)] == [100]
    assert len(bench.seen(MessageAccepted)) == 100


def test_the_worker_gets_what_was_committed(bench):
    """Deliveries born leased are handed over once, after their commit."""
    pendings = [bench.committer.accept(bench.acceptance()) for _ in range(3)]
    bench.committer.start()
    ids = [pending.result(timeout=30).message.id for pending in pendings]
    (batch,) = bench.handover.received
    assert [accepted.message.id for accepted in batch] == ids
    assert all(len(accepted.works) == 1 for accepted in batch)


def test_coroutines_and_threads_are_served_alike(bench):
    """A coroutine awaits the same call on which a thread blocks."""
    bench.committer.start()

    async def publish():
        pendings = [bench.committer.accept(bench.acceptance()) for _ in range(5)]
        return [(await pending).message.id for pending in pendings]

    ids = asyncio.run(publish())
    blocking = []
    thread = threading.Thread(
        target=lambda: blocking.append(bench.committer.accept(bench.acceptance()).result(timeout=30))
    )
    thread.start()
    thread.join(timeout=30)
    ids.append(blocking[0].message.id)
    listed = bench.committer.read(lambda store: store.messages(bench.application.id, MessageFilter(), Page()))
    assert [message.id for message in listed.result(timeout=30)] == ids


def test_a_caller_that_gave_up_disturbs_nobody(bench):
    """Cancelling a wait leaves the other callers of the batch their answers."""

    async def wait(pending):
        return await pending

    async def publish():
        first, second = (bench.committer.accept(bench.acceptance()) for _ in range(2))
        gave_up, waits = asyncio.ensure_future(wait(first)), asyncio.ensure_future(wait(second))
        await asyncio.sleep(0)
        gave_up.cancel()
        bench.committer.start()
        return await waits

    assert asyncio.run(publish()).message.id


def test_a_loop_that_is_gone_disturbs_nobody(bench):
    """Callers whose event loop was closed before the commit are passed over."""

    async def publish_and_leave():
        bench.committer.accept(bench.acceptance())

    asyncio.run(publish_and_leave())
    pending = bench.committer.accept(bench.acceptance())
    bench.committer.start()
    assert pending.result(timeout=30).message.id


def test_a_refusal_is_its_callers_alone(bench):
    """In one batch, refused callers hear why and the others are stored."""
    good = bench.committer.accept(bench.acceptance(event_id="order-1"))
    conflict = bench.committer.accept(bench.acceptance(event_id="order-1"))
    lost = bench.committer.accept(bench.scene.acceptance("app_nobody"))
    bench.committer.start()
    assert good.result(timeout=30).message.event_id == "order-1"
    with pytest.raises(Conflict):
        conflict.result(timeout=30)
    with pytest.raises(NotFound):
        lost.result(timeout=30)


def test_a_repeat_is_told_as_a_repeat(bench):
    """A publish repeated with its key is answered with the first message, and counted as a replay."""
    key = Idempotency("message:acme", "k", b"1")
    pendings = [bench.committer.accept(bench.acceptance(idempotency=key)) for _ in range(2)]
    bench.committer.start()
    first, again = (pending.result(timeout=30) for pending in pendings)
    assert again.message == first.message
    bench.committer.close()
    assert (len(bench.seen(MessageAccepted)), len(bench.seen(MessageReplayed))) == (1, 1)


def test_a_failed_change_undoes_its_own_part_only(bench):
    """A RingbackError from one change leaves the rest of the transaction alone."""

    def refuse(store):
        store.add(bench.scene.new_application(uid="lost"))
        raise RingbackError("no")

    refused = bench.committer.write(refuse)
    kept = bench.committer.write(lambda store: store.add(bench.scene.new_application(uid="kept")))
    accepted = bench.committer.accept(bench.acceptance())
    bench.committer.start()
    with pytest.raises(RingbackError, match="no"):
        refused.result(timeout=30)
    assert kept.result(timeout=30)
    assert accepted.result(timeout=30)
    uids = bench.committer.read(lambda store: [one.uid for one in store.applications(Page())])
    assert uids.result(timeout=30) == [None, "kept"]
    assert bench.handover.catalog_changes == 1


def test_a_failed_transaction_fails_all_of_it(bench):
    """When the transaction itself fails, nothing is acknowledged, and the committer goes on."""

    def fail(_):
        raise StoreUnavailable("the disk is gone")

    accepted = bench.committer.accept(bench.acceptance())
    broken = bench.committer.write(fail)
    bench.committer.start()
    for pending in (accepted, broken):
        with pytest.raises(StoreUnavailable):
            pending.result(timeout=30)
    assert bench.handover.withdrawn == 1
    assert bench.handover.received == []
    assert bench.committer.accept(bench.acceptance()).result(timeout=30)
    listed = bench.committer.read(lambda store: store.messages(bench.application.id, MessageFilter(), Page()))
    assert len(listed.result(timeout=30)) == 1
    bench.committer.close()
    assert len(bench.seen(StoreFailed)) == 1


def test_a_change_that_runs_into_a_bug_is_its_callers_alone(bench):
    """Whatever one change raises, what it did is undone and everyone else's part of the batch is committed."""

    def change(store):
        store.add_token(Token(id="tok_1", name="undone", digest=b"1", created_at=0))
        return 1 // 0

    accepted = bench.committer.accept(bench.acceptance())
    broken = bench.committer.write(change)
    bench.committer.start()
    with pytest.raises(ZeroDivisionError):
        broken.result(timeout=30)
    assert accepted.result(timeout=30).message.id
    assert bench.committer.read(lambda store: store.tokens()).result(timeout=30) == []


def test_settlements_ride_along(bench):
    """Settlements are committed with the rest; a lost lease is told."""
    bench.committer.start()
    (work,) = bench.committer.accept(bench.acceptance()).result(timeout=30).works
    for _ in range(2):
        bench.committer.settle(bench.scene.settlement(work, Step.SUCCEED))
    bench.committer.write(lambda store: None).result(timeout=30)
    found = bench.committer.read(
        lambda store: store.deliveries(bench.application.id, work.message_id, Page())
    )
    ((delivery, _),) = found.result(timeout=30)
    assert delivery.state is DeliveryState.SUCCEEDED
    bench.committer.close()
    assert (len(bench.seen(AttemptFinished)), len(bench.seen(LeaseLost))) == (2, 1)


def failing(bench, before):
    """Hand in one settlement beside a change that fails after it has done something; return the work."""
    bench.committer.start()
    (work,) = bench.committer.accept(bench.acceptance()).result(timeout=30).works

    def fail(_):
        before()
        raise StoreUnavailable("the disk is gone")

    # Together in one commit: an earlier one lasts until both have been handed in.
    busy, handed_in = threading.Event(), threading.Event()
    bench.committer.write(lambda store: busy.set() or handed_in.wait(30))
    assert busy.wait(30)
    broken = bench.committer.write(fail)
    bench.committer.settle(bench.scene.settlement(work, Step.SUCCEED))
    handed_in.set()
    with pytest.raises(StoreUnavailable):
        broken.result(timeout=30)
    return work


def state_of(bench, work):
    found = bench.committer.read(
        lambda store: store.deliveries(bench.application.id, work.message_id, Page())
    )
    ((delivery, _),) = found.result(timeout=30)
    return delivery.state


def test_a_settlement_outlives_a_failed_commit(bench):
    """What was delivered while the store failed is settled as soon as it can be, and not delivered again."""
    settled = threading.Event()
    bench.observer.subscribe(AttemptFinished, lambda _: settled.set())
    work = failing(bench, lambda: None)
    assert settled.wait(30)
    assert state_of(bench, work) is DeliveryState.SUCCEEDED
    bench.committer.close()
    assert (len(bench.seen(StoreFailed)), len(bench.seen(LeaseLost))) == (1, 0)


def test_a_settlement_is_not_kept_beyond_its_lease(bench):
    """When its lease has run out, another may have made the attempt: it is forgotten."""
    work = failing(bench, lambda: bench.scene.tick(LEASE))
    bench.committer.write(lambda store: None).result(timeout=30)
    assert state_of(bench, work) is DeliveryState.LEASED
    bench.committer.close()
    assert bench.seen(AttemptFinished) == []


def test_closing_commits_what_was_handed_in(database):
    """Nothing that was handed in before the end is dropped; what comes after is refused."""
    bench = Bench(database.open(), NoWorker())
    pendings = [bench.committer.accept(bench.acceptance()) for _ in range(1_100)]
    bench.committer.start()
    bench.committer.close()
    bench.committer.close()
    ids = [pending.result(timeout=0).message.id for pending in pendings]
    with pytest.raises(Unavailable):
        bench.committer.accept(bench.acceptance())
    store = database.open()
    assert [one.id for one in store.messages(bench.application.id, MessageFilter(), Page(limit=2_000))] == ids
    assert len(store.due(bench.scene.now, MANY)) == 1
    store.close()


def test_closing_answers_what_was_handed_in_before_a_start(database):
    """A committer that was never started commits in its end what was handed in, and answers it."""
    bench = Bench(database.open(), NoWorker())
    accepted = bench.committer.accept(bench.acceptance())
    added = bench.committer.write(lambda store: store.add(bench.scene.new_application(uid="kept")))
    uids = bench.committer.read(lambda store: [one.uid for one in store.applications(Page())])
    refused = bench.committer.accept(bench.scene.acceptance("app_nobody"))
    bench.committer.close()
    message, application_id = accepted.result(timeout=0).message, added.result(timeout=0)
    assert uids.result(timeout=0)[:1] == [None]
    with pytest.raises(NotFound):
        refused.result(timeout=0)
    with contextlib.closing(database.open()) as store:
        assert store.message(bench.application.id, message.id) == message
        assert store.application("kept").id == application_id


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("verb", ["accept", "write", "read"])
def test_nothing_is_taken_on_after_the_end(database, verb, started):
    """Whoever comes after the end is told at once that this node is going, not left to wait."""
    bench = Bench(database.open(), Desk())
    if started:
        bench.committer.start()
    bench.committer.close()
    ask = {
        "accept": lambda: bench.committer.accept(bench.acceptance()),
        "write": lambda: bench.committer.write(lambda store: store.add(bench.scene.new_application())),
        "read": lambda: bench.committer.read(lambda store: store.applications(Page())),
    }[verb]
    with pytest.raises(Unavailable, match="shutting down"):
        ask()
    with contextlib.closing(database.open()) as store:
        assert [one.id for one in store.applications(Page())] == [bench.application.id]
        assert store.messages(bench.application.id, MessageFilter(), Page()) == []


def test_too_much_waiting_is_refused(bench):
    """Memory stays bounded: past a limit, publishers are asked to come back."""
    acceptance = bench.acceptance()
    for _ in range(MAX_QUEUED + 1):
        bench.committer.accept(acceptance)
    with pytest.raises(Unavailable):
        bench.committer.accept(acceptance)


def test_an_error_of_a_query_is_its_callers(bench):
    """What a read raises reaches the one who asked."""
    with pytest.raises(NotFound):
        bench.committer.read(lambda store: store.application("app_nobody")).result(timeout=30)
