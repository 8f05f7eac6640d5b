"""Handling: a run of a handler is counted before it begins, ends once, and can be had again."""
# ruff: noqa: D102 - fixtures and queries named for what they hold

import contextlib

import msgspec
import pytest
from doors import begin, handler, receive, source
from scene import LEASE, REFUSED, Scene

from ringback.errors import NotFound
from ringback.model import DeliveryState, EndpointState, Held, OutcomeKind, Trigger
from ringback.policy import MAX_BEGUN, Step
from ringback.store import Begun, Page

RUNS = Begun(held=True)
LOST = Begun(held=False)


@pytest.fixture
def owner(scene):
    return source(scene)


@pytest.fixture
def endpoint(scene, owner):
    return handler(scene, owner)


@pytest.fixture
def work(scene, owner, endpoint):
    """One delivery leased to this node."""
    (work,) = receive(scene, owner, event_id="evt_1").works
    return work


def retaken(scene):
    """Take over the one delivery whose lease has run out."""
    scene.tick(LEASE + 1)
    (work,) = scene.take()
    return work


class TestWork:
    @pytest.mark.parametrize("admit", [True, False])
    def test_it_holds_what_came_with_the_message(self, scene, owner, endpoint, admit):
        """A handler gets the request's headers and the provider's id, whether the delivery was spilled or not."""
        accepted = receive(scene, owner, "event", event_id="evt_1", headers={"x-a": "1"}, admit=admit)
        (work,) = accepted.works if admit else scene.take()
        assert work.inbound == accepted.message.inbound
        assert (work.inbound.event_id, work.inbound.headers) == ("evt_1", {"x-a": "1"})
        assert (work.begun, work.endpoint.handler) == (0, "payments/fulfil")

    def test_the_message_is_read_back_whole(self, scene, owner):
        """All that is known of a received message is on record."""
        inbound = {
            "headers": {"content-type": "application/json"},
            "event_id": "evt_1",
            "business_key": "paid",
            "sent_at": 1,
            "key": 1,
            "is_test": True,
            "understood": False,
        }
        message = receive(scene, owner, "event", **inbound).message
        assert scene.store.message(owner.id, message.id) == message
        assert message.inbound.is_test
        assert message.held is Held.QUARANTINED


class TestBegin:
    def test_with_the_lease_it_runs(self, scene, work):
        """The holder of the lease may run, with a key or without."""
        assert begin(scene, work) == RUNS
        assert begin(scene, work, "order-1") == RUNS

    def test_after_a_takeover_only_the_new_holder_runs(self, scene, work):
        """Whoever lost the lease must not run the handler."""
        again = retaken(scene)
        assert begin(scene, work) == begin(scene, work, "order-1") == LOST
        assert begin(scene, again) == RUNS

    @pytest.mark.parametrize("step", [Step.SUCCEED, Step.RETRY, Step.POSTPONE, Step.EXHAUST, Step.CANCEL])
    def test_after_its_end_nothing_runs(self, scene, work, step):
        """A lease that was given back is lost."""
        scene.settle(work, step, scene.now if step in {Step.RETRY, Step.POSTPONE} else None)
        assert begin(scene, work) == LOST

    def test_what_is_refused_is_not_counted(self, scene, work):
        """A run that did not happen is none of those that vanished."""
        again = retaken(scene)
        for _ in range(MAX_BEGUN):
            begin(scene, work)
        assert again.begun == retaken(scene).begun == 0

    def test_runs_that_vanish_are_counted(self, scene, work):
        """Whoever takes the delivery over learns how often it was begun."""
        for count in range(MAX_BEGUN - 1):
            assert work.begun == count
            assert begin(scene, work) == RUNS
            work = retaken(scene)
        assert work.begun == MAX_BEGUN - 1

    @pytest.mark.parametrize("step", [Step.RETRY, Step.POSTPONE])
    def test_an_end_starts_the_count_afresh(self, scene, work, step):
        """A run that came back did not kill its process."""
        begin(scene, work)
        taken = retaken(scene)
        scene.settle(taken, step, scene.now, attempt=scene.attempt(taken, REFUSED))
        (again,) = scene.take()
        assert again.begun == 0

    def test_what_is_given_back_untried_keeps_its_count(self, scene, work):
        """A delivery whose run vanished stays suspect while it waits for its turn in one worker after the other."""
        begin(scene, work)
        scene.settle(retaken(scene), Step.POSTPONE, scene.now)
        (again,) = scene.take()
        assert again.begun == 1


class TestCrashed:
    def crash(self, scene, work, times=MAX_BEGUN):
        for _ in range(times - 1):
            begin(scene, work)
            work = retaken(scene)
        begin(scene, work)
        scene.tick(LEASE + 1)

    def test_what_kills_its_process_each_time_fails(self, scene, owner, endpoint, work):
        """After so many runs without an end there is no further one, and the reason is on record."""
        self.crash(scene, work)
        assert scene.take() == []
        delivery = scene.delivery_of(work)
        assert (delivery.state, delivery.reason, delivery.due_at) == (DeliveryState.FAILED, "crashed", None)
        attempts = scene.attempts_of(owner, work.message_id)
        assert [one.outcome.kind for one in attempts] == [OutcomeKind.UNKNOWN] * MAX_BEGUN
        assert scene.due() == []
        ((dead, message),) = scene.store.dead_letters(owner.id, Page())
        assert (dead, message.id) == (delivery, work.message_id)

    def test_what_only_waited_is_never_at_fault(self, scene, owner, endpoint):
        """Deliveries that were leased by the processes that died, but not begun, go on as if nothing had been."""
        guilty, *innocent = [receive(scene, owner).works[0] for _ in range(4)]
        for _ in range(MAX_BEGUN):
            begin(scene, guilty)
            scene.tick(LEASE + 1)
            taken = {work.key: work for work in scene.take()}
            assert {work.key for work in innocent} <= taken.keys()
            assert all(taken[work.key].begun == 0 for work in innocent)
            guilty = taken.get(guilty.key, guilty)
        assert guilty.key not in taken
        assert scene.delivery_of(guilty).reason == "crashed"

    def test_its_neighbours_are_taken_all_the_same(self, scene, owner, endpoint, work):
        """One that crashed costs the others no turn."""
        self.crash(scene, work)
        others = [receive(scene, owner, admit=False).message.id for _ in range(3)]
        assert [one.message_id for one in scene.take()] == others

    def test_a_late_end_of_the_last_run_changes_nothing(self, scene, work):
        """A process that was only slow finds its lease lost."""
        self.crash(scene, work)
        scene.take()
        assert not scene.settle(work, Step.SUCCEED)
        assert scene.delivery_of(work).state is DeliveryState.FAILED

    @pytest.mark.parametrize("again", ["resend", "replay", "recover"])
    def test_it_can_be_had_again(self, scene, owner, endpoint, work, again):
        """Once the fault is mended, somebody asks for it again, and it has all its chances."""
        self.crash(scene, work)
        scene.take()
        if again == "recover":
            scene.recovery(endpoint, 0, scene.tick())
            scene.finish_task()
        elif again == "resend":
            scene.write(scene.store.resend, owner.id, work.message_id, endpoint.id, scene.now)
        else:
            assert replay(scene, owner, work.message_id) == 1
        (work,) = scene.take()
        assert (work.begun, work.trigger) == (0, Trigger.MANUAL)
        assert begin(scene, work) == RUNS

    def test_of_a_removed_handler_it_is_cancelled(self, scene, owner, endpoint, work):
        """Where nobody is left to crash, that is the reason."""
        self.crash(scene, work)
        scene.write(scene.store.remove_endpoint, owner.id, endpoint.id, scene.now)
        assert scene.take() == []
        delivery = scene.delivery(owner.id, work.message_id, endpoint.id)
        assert (delivery.state, delivery.reason) == (DeliveryState.CANCELLED, "endpoint_deleted")


class TestDoneStatements:
    """On another connection to the same file, as an application's transaction runs them."""

    @pytest.fixture
    def scene(self, database):
        with contextlib.closing(database.open(shared=True)) as store:
            yield Scene(store)

    @pytest.fixture
    def connection(self, database, scene):
        with database.application() as connection:
            connection.execute("CREATE TABLE ledger (amount INTEGER)")
            yield connection

    @pytest.fixture(autouse=True)
    def how_to_begin(self, database):
        self.begin = database.begin

    def run(self, connection, statements, end="COMMIT"):
        """Run a transaction of the application as it should be; return how many rows the fence changed."""
        fence, *others = statements
        connection.execute(self.begin)
        connection.execute("INSERT INTO ledger VALUES (1)")
        changed = connection.execute(fence.text, fence.values).rowcount
        if changed != fence.changes:
            end = "ROLLBACK"
        else:
            for statement in others:
                connection.execute(statement.text, statement.values)
        connection.execute(end)
        return changed

    def statements(self, scene, work):
        return scene.store.done_statements(scene.settlement(work, Step.SUCCEED))

    def test_they_settle_a_success(self, scene, owner, work, connection):
        """Afterwards delivery and attempt stand as if the store had settled it."""
        begin(scene, work, "order-1")
        settlement = scene.settlement(work, Step.SUCCEED)
        assert self.run(connection, scene.store.done_statements(settlement)) == 1
        delivery = scene.delivery_of(work)
        assert (delivery.state, delivery.attempts) == (DeliveryState.SUCCEEDED, 1)
        assert (delivery.due_at, delivery.reason) == (None, None)
        assert scene.attempts_of(owner, work.message_id) == [settlement.attempt]
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (1,)

    def test_they_leave_what_settling_leaves(self, database, scene, owner, endpoint, connection):
        """Done either way, two deliveries differ in nothing but their message and their attempt."""
        works = [receive(scene, owner).works[0] for _ in range(2)]
        for work in works:
            begin(scene, work, "order-1") if work is works[0] else begin(scene, work)
        self.run(connection, self.statements(scene, works[0]))
        assert scene.settle(works[1], Step.SUCCEED)
        rows = connection.execute(
            "SELECT state, attempts, due_at, lease_token, begun, reason FROM ringback_delivery ORDER BY message_key"
        ).fetchall()
        assert rows[0] == rows[1]

    def test_undone_they_leave_nothing(self, scene, owner, work, connection):
        """When the application's transaction is rolled back, the delivery is still under way."""
        before = scene.delivery_of(work)
        self.run(connection, self.statements(scene, work), end="ROLLBACK")
        assert scene.delivery_of(work) == before
        assert scene.attempts_of(owner, work.message_id) == []
        assert scene.settle(work, Step.SUCCEED)

    @pytest.mark.parametrize("lost_by", ["takeover", "settling", "removal"])
    def test_the_fence_tells_of_a_lost_lease(self, scene, owner, work, connection, lost_by):
        """It changes no row then, and nothing of the application's is kept."""
        statements = self.statements(scene, work)
        if lost_by == "settling":
            scene.settle(work, Step.RETRY, scene.now + 1)
        else:
            if lost_by == "removal":
                scene.write(scene.store.remove_source, owner.id, scene.now)
            scene.tick(LEASE + 1)
            scene.take()
        assert self.run(connection, statements) == 0
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (0,)

    def test_they_are_done_once(self, scene, work, connection):
        """A second run of the same statements changes nothing."""
        statements = self.statements(scene, work)
        assert [self.run(connection, statements), self.run(connection, statements)] == [1, 0]

    def test_settling_afterwards_finds_the_lease_gone(self, scene, work, connection):
        """What was done in the application's transaction is not done a second time."""
        self.run(connection, self.statements(scene, work))
        assert not scene.settle(work, Step.RETRY, scene.now)
        assert scene.delivery_of(work).state is DeliveryState.SUCCEEDED

    def test_the_store_goes_on(self, scene, owner, work, connection):
        """After somebody else's writes the store accepts and takes as before."""
        self.run(connection, self.statements(scene, work))
        again = receive(scene, owner)
        assert again.works[0].key > work.key
        assert scene.settle(again.works[0], Step.SUCCEED)
        assert scene.due() == []


def replay(scene, owner, message_id, *, event_type=None, rematch=False):
    with scene.store.transaction():
        return scene.store.replay(
            owner.id, message_id, scene.tick(), event_type=event_type, rematch=rematch, done_too=True
        )


def held(scene, owner, why, **page):
    return [one.id for one in scene.store.held(owner.id, why, Page(**page))]


class TestHeld:
    def test_what_is_not_understood_is_quarantined(self, scene, owner, endpoint):
        """It is stored and delivered to nobody, whatever handlers there are."""
        accepted = receive(scene, owner, understood=False)
        assert accepted.works == accepted.spilled == ()
        assert accepted.message.held is Held.QUARANTINED
        assert scene.store.deliveries(owner.id, accepted.message.id, Page()) == []
        assert held(scene, owner, Held.QUARANTINED) == [accepted.message.id]

    def test_what_nobody_wants_is_kept_as_unhandled(self, scene, owner):
        """A message without a handler for its type can be handled later."""
        handler(scene, owner, event_types=("invoice.expired",))
        unhandled = receive(scene, owner).message
        handled = receive(scene, owner, event_type="invoice.expired").message
        assert (unhandled.held, handled.held) == (Held.UNHANDLED, None)
        assert held(scene, owner, Held.UNHANDLED) == [unhandled.id]
        assert held(scene, owner, Held.QUARANTINED) == []

    def test_what_is_published_is_never_held(self, scene, owner):
        """An application without endpoints is nothing unusual."""
        assert scene.publish(scene.application()).message.held is None

    def test_it_comes_in_pages_of_each_source(self, scene, owner):
        """In the order of the messages, of that source only."""
        messages = [receive(scene, owner).message.id for _ in range(5)]
        receive(scene, source(scene))
        assert held(scene, owner, Held.UNHANDLED, limit=2) == messages[:2]
        assert held(scene, owner, Held.UNHANDLED, limit=2, cursor=messages[1]) == messages[2:4]
        assert held(scene, owner, Held.UNHANDLED, limit=2, descending=True) == messages[:2:-1]

    def test_it_goes_with_retention(self, scene, owner):
        """What nobody came for is removed when it is old."""
        receive(scene, owner)
        scene.prune(scene.now + 1)
        assert held(scene, owner, Held.UNHANDLED) == []


class TestReplay:
    def test_it_goes_to_the_same_handlers_as_before(self, scene, owner, endpoint):
        """With a fresh count of attempts, due now; a handler that came later gets nothing."""
        (work,) = receive(scene, owner).works
        scene.settle(work, Step.EXHAUST)
        handler(scene, owner, "later")
        assert replay(scene, owner, work.message_id) == 1
        (again,) = scene.take()
        assert (again.key, again.attempts, again.trigger) == (work.key, 0, Trigger.MANUAL)

    def test_also_what_succeeded_is_had_again(self, scene, owner, work):
        """Replay is for a handler that did the wrong thing, too."""
        scene.settle(work, Step.SUCCEED)
        assert replay(scene, owner, work.message_id) == 1
        assert scene.take()[0].key == work.key

    @pytest.mark.parametrize("rematch", [True, False])
    def test_what_is_under_way_is_left_alone(self, scene, owner, work, rematch):
        """It is not counted, and its lease holds."""
        assert replay(scene, owner, work.message_id, rematch=rematch) == 0
        assert scene.settle(work, Step.SUCCEED)

    def test_rematched_it_goes_to_those_that_match_now(self, scene, owner):
        """What nobody wanted is delivered once there is a handler, and is held no more."""
        message = receive(scene, owner).message
        assert replay(scene, owner, message.id, rematch=True) == 0
        assert held(scene, owner, Held.UNHANDLED) == [message.id]
        endpoint = handler(scene, owner)
        handler(scene, owner, "other", event_types=("invoice.expired",))
        assert replay(scene, owner, message.id, rematch=True) == 1
        (work,) = scene.take()
        assert (work.message_id, work.endpoint, work.payload) == (message.id, endpoint, b'{"amount":1}')
        assert scene.store.message(owner.id, message.id).held is None
        assert held(scene, owner, Held.UNHANDLED) == []

    def test_rematching_heeds_every_change(self, scene, owner, endpoint):
        """Also one made since the last message came, by whatever verb."""
        message = receive(scene, owner, understood=False).message
        scene.write(scene.store.remove_endpoint, owner.id, endpoint.id, scene.now)
        assert replay(scene, owner, message.id, rematch=True) == 0
        scene.write(scene.store.remove_source, owner.id, scene.now)
        with pytest.raises(NotFound):
            replay(scene, owner, message.id, rematch=True)

    def test_rematching_heeds_another_nodes_change(self, database, scene, owner):
        """A handler that another node added gets the message."""
        message = receive(scene, owner).message
        with contextlib.closing(database.open()) as other:
            there = Scene(other)
            there.now = scene.now
            endpoint = handler(there, owner)
        assert replay(scene, owner, message.id, rematch=True) == 1
        assert [work.endpoint for work in scene.take()] == [endpoint]

    def test_a_corrected_event_type_counts(self, scene, owner):
        """What was quarantined goes to the handlers of the type it is understood to be, and is of that type."""
        wanted = handler(scene, owner, event_types=("invoice.paid",))
        handler(scene, owner, "other", event_types=("unrecognised",))
        message = receive(scene, owner, understood=False, event_type="unrecognised").message
        assert replay(scene, owner, message.id, event_type="invoice.paid", rematch=True) == 1
        (work,) = scene.take()
        assert (work.endpoint, work.event_type) == (wanted, "invoice.paid")
        kept = scene.store.message(owner.id, message.id)
        assert (kept.event_type, kept.held) == ("invoice.paid", None)
        assert held(scene, owner, Held.QUARANTINED) == []

    def test_what_still_nobody_wants_stays_held(self, scene, owner):
        """Without a match nothing changes."""
        message = receive(scene, owner, understood=False).message
        assert replay(scene, owner, message.id, event_type="invoice.other", rematch=True) == 0
        assert replay(scene, owner, message.id) == 0
        assert scene.store.message(owner.id, message.id) == message

    @pytest.mark.parametrize("rematch", [True, False])
    @pytest.mark.parametrize("how", ["deleted", "disabled"])
    def test_those_that_take_nothing_get_nothing(self, scene, owner, endpoint, how, rematch):
        """What a deleted or disabled endpoint did stays on record, and it is not counted."""
        (work,) = receive(scene, owner).works
        scene.settle(work, Step.SUCCEED)
        if how == "deleted":
            scene.write(scene.store.remove_endpoint, owner.id, endpoint.id, scene.now)
        else:
            disable = {"state": EndpointState.DISABLED, "disabled_reason": "manual"}
            scene.write(
                scene.store.change_endpoint,
                owner.id,
                endpoint.id,
                lambda old: msgspec.structs.replace(old, **disable),
            )
        assert replay(scene, owner, work.message_id, rematch=rematch) == 0
        assert scene.delivery_of(work).state is DeliveryState.SUCCEEDED
        assert scene.due() == []

    def test_only_what_there_is_can_be_had(self, scene, owner, work):
        """An unknown message, or one of another source, is not found."""
        with pytest.raises(NotFound):
            replay(scene, owner, "msg_unknown")
        with pytest.raises(NotFound):
            replay(scene, source(scene), work.message_id)


class TestDeadLetters:
    def test_they_are_what_failed_for_good(self, scene, owner, endpoint):
        """Not what succeeded, waits, was cancelled or is under way; each with its message."""
        ends = [Step.SUCCEED, Step.RETRY, Step.CANCEL, Step.EXHAUST, Step.EXHAUST]
        works = [receive(scene, owner).works[0] for _ in ends]
        for work, step in zip(works, ends, strict=True):
            scene.settle(work, step, scene.now + 1 if step is Step.RETRY else None)
        receive(scene, owner)
        letters = scene.store.dead_letters(owner.id, Page())
        assert [message.id for _, message in letters] == [work.message_id for work in works[3:]]
        assert [delivery for delivery, _ in letters] == [scene.delivery_of(work) for work in works[3:]]

    def test_they_are_the_sources_own(self, scene, owner):
        """Another source's failures are not among them."""
        other = source(scene)
        handler(scene, other)
        scene.settle(receive(scene, other).works[0], Step.EXHAUST)
        assert scene.store.dead_letters(owner.id, Page()) == []
        assert len(scene.store.dead_letters(other.id, Page())) == 1

    def test_those_of_all_sources_are_one_list(self, scene, owner):
        """In the order of their messages, each with its source's id; those of a deleted source are left out."""
        other, gone = source(scene), source(scene)
        for one in (owner, other, gone):
            handler(scene, one)
        failed = [(fail(scene, one), one.id) for one in (owner, other, gone, owner)]
        scene.write(scene.store.remove_source, gone.id, scene.tick())
        letters = scene.store.dead_letters(None, Page())
        assert [(message.id, message.application_id) for _, message in letters] == [
            pair for pair in failed if pair[1] != gone.id
        ]
        latest = scene.store.dead_letters(None, Page(limit=1, descending=True))
        assert [message.id for _, message in latest] == [failed[-1][0]]

    def test_replayed_they_are_none(self, scene, owner, work):
        """Whoever asks for a delivery again has dealt with it."""
        scene.settle(work, Step.EXHAUST)
        replay(scene, owner, work.message_id)
        assert scene.store.dead_letters(owner.id, Page()) == []

    def test_they_come_in_pages(self, scene, owner, endpoint):
        """In the order of their messages, from a cursor on."""
        failed = [fail(scene, owner) for _ in range(5)]
        seen, cursor = [], None
        while page := scene.store.dead_letters(owner.id, Page(limit=2, cursor=cursor, descending=True)):
            seen += [message.id for _, message in page]
            cursor = seen[-1]
        assert seen == failed[::-1]


def fail(scene, owner):
    """Receive a message that every handler fails at; return its id."""
    accepted = receive(scene, owner)
    for work in accepted.works:
        assert scene.settle(work, Step.EXHAUST)
    return accepted.message.id
