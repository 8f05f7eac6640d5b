"""A database that an earlier Ringback left is opened by this one, and nothing in it is lost."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from doors import handler, receive, source
from scene import MANY, SECRET, START, VAULT, Scene

from ringback.errors import Conflict
from ringback.model import (
    DeliveryState,
    EndpointSecret,
    EndpointState,
    OutcomeKind,
    Phases,
    SkipReason,
    Trigger,
)
from ringback.policy import Step
from ringback.store import Idempotency, MessageFilter, Page, TaskKind, Token, open_store
from ringback.store.postgres import database as postgres_database
from ringback.store.sqlite import database as sqlite_database

# Written by the first version: an application with one endpoint of each kind, a message in each state.
FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql").read_text("utf-8")
WRITTEN_AT = START + 22_000
ALL = Page(limit=MANY)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "ringback.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(FIRST_SCHEMA)
    return file


@pytest.fixture
def scene(file):
    with opened(file) as scene:
        yield scene


@contextlib.contextmanager
def opened(file, **how):
    with contextlib.closing(open_store(f"sqlite:///{file}", VAULT, **how)) as store:
        scene = Scene(store)
        scene.now = WRITTEN_AT
        yield scene


@pytest.fixture
def application(scene):
    return scene.store.application("acme")


@pytest.fixture
def billing(scene, application):
    return scene.store.endpoint(application.id, "billing")


def state(scene, application, event_id, endpoint):
    message = scene.store.message(application.id, event_id)
    delivery = scene.delivery(application.id, message.id, endpoint.id)
    return delivery.state, delivery.attempts, delivery.reason


def test_the_application_is_there(scene, application):
    """With all it was made with; the one that was removed is not."""
    assert (application.name, application.throttle_rate) == ("Acme", 50)
    assert scene.store.rates() == {application.id: 50}
    assert (application.metadata, application.created_at) == ({"plan": "gold"}, START + 1_000)
    assert scene.store.applications(ALL) == [application]
    assert scene.store.sources(ALL) == []


def test_the_endpoints_are_there(scene, application, billing):
    """With their states and their secrets."""
    endpoints = {one.uid: one for one in scene.store.endpoints(application.id, ALL)}
    assert endpoints.keys() == {"billing", "paused", "disabled"}
    expired = EndpointSecret(SECRET[:-4] + "IQ==", expires_at=2 * START)
    assert billing.secrets == (EndpointSecret(SECRET), expired)
    assert billing.headers == {"x-team": "billing"}
    paused, disabled = endpoints["paused"], endpoints["disabled"]
    assert (paused.state, paused.event_types, paused.channels) == (
        EndpointState.PAUSED,
        ("invoice.paid",),
        ("north",),
    )
    assert (disabled.state, disabled.disabled_reason) == (EndpointState.DISABLED, "gone")
    assert (disabled.failing_since, disabled.retry_schedule) == (START, (1_000, 2_000))
    assert not any(one.ordered or one.handler for one in endpoints.values())


def test_the_event_types_and_tokens_are_there(scene):
    """Archived ones included."""
    paid, old = scene.store.event_type("invoice.paid"), scene.store.event_type("invoice.old")
    assert (paid.description, old.archived) == ("Paid", True)
    assert bytes(paid.schemas["1"]) == b'{"type":"object"}'
    token = Token(id="tok_ci", name="ci", digest=bytes(range(32)), created_at=START + 9_000)
    assert scene.store.tokens() == [token]
    scene.write(scene.store.remove_token, "tok_ci")
    assert scene.store.tokens() == []


def test_the_messages_are_there(scene, application):
    """Byte for byte, with what they were skipped for; they are no received ones."""
    messages = {one.event_id: one for one in scene.store.messages(application.id, MessageFilter(), ALL)}
    assert messages.keys() == {f"order-{name}" for name in ("1", "2", "2b", "3", "4", "5", "6")}
    first = messages["order-1"]
    assert (first.payload, first.channels, first.event_type) == (b'{"n": 1}  ', ("north",), "invoice.paid")
    assert set(first.skipped.values()) == {SkipReason.EVENT_TYPE, SkipReason.DISABLED}
    assert {(one.inbound, one.held) for one in messages.values()} == {(None, None)}


def test_the_attempts_are_there(scene, application, billing):
    """All that was tried, with the answers."""
    message = scene.store.message(application.id, "order-1")
    (attempt,) = scene.attempts_of(application, message.id)
    assert (attempt.outcome.status, attempt.outcome.body) == (204, b"\x00thanks")
    assert attempt.outcome.phases == Phases(1, 2, 3, 4, 5, 6)
    for event_id in ("order-2", "order-2b", "order-4"):
        (attempt,) = scene.attempts_of(application, scene.store.message(application.id, event_id).id)
        assert (attempt.outcome.kind, attempt.endpoint_id) == (OutcomeKind.REFUSED, billing.id)


def test_the_deliveries_stand_where_they_stood(scene, application, billing):
    """At rest, waiting, and under way."""
    paused = scene.store.endpoint(application.id, "paused")
    assert state(scene, application, "order-1", billing) == (DeliveryState.SUCCEEDED, 1, None)
    assert state(scene, application, "order-1", paused) == (DeliveryState.WAITING, 0, "paused")
    assert state(scene, application, "order-2", billing) == (DeliveryState.WAITING, 0, None)
    assert state(scene, application, "order-2b", billing) == (DeliveryState.FAILED, 1, None)
    assert state(scene, application, "order-3", billing) == (DeliveryState.LEASED, 0, None)
    assert state(scene, application, "order-4", billing) == (DeliveryState.WAITING, 1, None)
    assert state(scene, application, "order-6", billing) == (DeliveryState.WAITING, 0, None)
    assert scene.store.statistics(scene.now).waiting == 7


def test_what_was_under_way_goes_on(scene, application, billing):
    """A lease of a node that is gone runs out and is taken over, retries come due, and all of it can be settled."""
    scene.tick(10**6)
    works = {work.message_id: work for work in scene.take()}
    names = {scene.store.message(application.id, one).event_id for one in works}
    assert names == {"order-2", "order-3", "order-4", "order-5", "order-6"}
    lost = works[scene.store.message(application.id, "order-3").id]
    assert [one.outcome.kind for one in scene.attempts_of(application, lost.message_id)] == [
        OutcomeKind.UNKNOWN
    ]
    assert {(work.begun, work.inbound) for work in works.values()} == {(0, None)}
    assert all(scene.settle(work, Step.SUCCEED) for work in works.values())
    assert scene.store.statistics(scene.now).waiting == 1


def test_what_waits_for_a_deleted_endpoint_is_cancelled(scene, application):
    """A removal that was not finished is."""
    message = scene.store.message(application.id, "order-5")
    scene.take()
    states = {
        delivery.reason: delivery.state
        for delivery, _ in scene.store.deliveries(application.id, message.id, ALL)
    }
    assert states["endpoint_deleted"] is DeliveryState.CANCELLED


def test_a_task_goes_on(scene, billing):
    """Where it was: one of three deliveries had been moved."""
    task = scene.finish_task()
    assert (task.kind, task.application_id) == (TaskKind.RECOVER, billing.application_id)
    assert (task.moved, task.done) == (3, True)
    assert scene.advance() is None


def test_keys_are_still_known(scene, application):
    """A publisher's retry of a request from before is a repetition, and an event id is taken."""
    again = scene.publish(application, idempotency=Idempotency("message:acme", "key-1", b"print-1"))
    assert again.replayed
    assert again.message.event_id == "order-1"
    (answer,) = scene.accept(scene.acceptance(application, event_id="order-6"))
    assert isinstance(answer, Conflict)


def test_new_messages_follow_the_old_ones(scene, application, billing):
    """No key of an old message is used again, also after retention has removed the newest."""
    highest = max(work.key[0] for work in scene.take())
    accepted = scene.publish(application)
    assert [work.key[0] for work in accepted.works] == [highest + 1]
    assert [work.endpoint for work in accepted.works] == [billing]


def test_it_can_be_resent(scene, application, billing):
    """A delivery from before is had again."""
    message = scene.store.message(application.id, "order-2b")
    scene.write(scene.store.resend, application.id, message.id, billing.id, scene.now)
    taken = {work.message_id: work for work in scene.take()}
    assert taken[message.id].trigger is Trigger.MANUAL


def test_it_receives_as_a_new_one_does(scene):
    """Sources and handlers work in an old database."""
    owner = source(scene)
    handler(scene, owner)
    (work,) = receive(scene, owner, "event").works
    assert scene.settle(work, Step.SUCCEED)
    assert receive(scene, owner, "event").replayed


@pytest.mark.parametrize("shared", [True, False])
def test_it_ends_as_a_new_one_begins(file, tmp_path, shared):
    """Migrated or made anew, the tables and indexes are the same ones, and a second opening changes none."""
    new = tmp_path / "new.db"
    for _ in range(2):
        for one in (file, new):
            with opened(one, shared=shared):
                pass
        assert layout(file) == layout(new)


def layout(file):
    """The names of all that is in the file, with the columns of each."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        names = connection.execute(
            "SELECT name, type, tbl_name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
        ).fetchall()
        return [
            (*name, connection.execute(f"PRAGMA {kind}_xinfo({name[0]})").fetchall())
            for name in names
            for kind in [name[1]]
        ]


def test_a_migration_is_made_once(file):
    """Opened again and again, by several at once, it is the same database."""
    with opened(file) as one, opened(file) as other:
        application = one.store.application("acme")
        assert other.store.application("acme") == application
        message = other.publish(application).message
        assert one.store.message(application.id, message.id) == message
    with opened(file) as again:
        assert again.store.message(application.id, message.id) == message


def test_a_migration_that_fails_leaves_the_old_database(file):
    """All or nothing: after a failure the earlier version can still use its file."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE ringback_source (in_the_way)")
        before = connection.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
    with pytest.raises(Exception, match="ringback_source"), opened(file):
        pass
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall() == before
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (7,)


@pytest.mark.parametrize("steps", [sqlite_database.migrations, postgres_database.migrations])
def test_each_step_has_a_number_of_its_own(steps):
    """From 1 on without a gap: two of the same number would take turns by the spelling of their names."""
    numbers = [int(name.partition("_")[0]) for name, _ in steps()]
    assert numbers == list(range(1, len(numbers) + 1))
