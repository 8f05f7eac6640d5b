"""PostgreSQL alone: what is left of a lease goes to the queue, whoever is about to settle some of it and does not."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from scene import LEASE, MANY, PostgresDatabase

from ringback.errors import Conflict
from ringback.model import DeliveryState
from ringback.policy import LEASE_MARGIN, Step
from ringback.store import Quota

IDLE = "SELECT current_setting('idle_in_transaction_session_timeout')"

BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def database(tmp_path):
    return PostgresDatabase(tmp_path)


def key_of(scene, message_id):
    return scene.store.rows("SELECT key FROM ringback_message WHERE id = ?", (message_id,))[0][0]


def settling(scene, connection, work):
    """Run in an open transaction what settles a success there."""
    connection.execute("BEGIN")
    for statement in scene.store.done_statements(scene.settlement(work, Step.SUCCEED)):
        assert connection.execute(statement.text, statement.values).rowcount == 1


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_nobody_waits_for_whoever_is_about_to_settle(scene, database, end):
    """The rest of the lease is due and taken at once; the one that was held is too, if it was not settled after all."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    works = [
        accepted.works[0] for accepted in scene.accept(*[scene.acceptance(application) for _ in range(3)])
    ]
    with database.application() as handler:
        settling(scene, handler, works[1])
        scene.tick(10 * LEASE)
        assert scene.due() == [endpoint.id]
        taken = scene.take(endpoints=[endpoint.id])
        assert [work.message_id for work in taken] == [works[0].message_id, works[2].message_id]
        handler.execute(end)
    left = [] if end == "COMMIT" else [works[1].message_id]
    scene.tick()
    scene.due()
    assert [work.message_id for work in scene.take(endpoints=[endpoint.id])] == left
    assert scene.delivery_of(works[1]).state is (DeliveryState.LEASED if left else DeliveryState.SUCCEEDED)
    assert scene.store.rows("SELECT count(*) FROM ringback_lease") == [(0,)]


def test_whoever_takes_waits_for_nobody_who_is_about_to_change_a_delivery(scene, database):
    """One that somebody resends or cancels at this moment is left to them; who takes the others has not to wait."""
    application = scene.application()
    scene.endpoint(application)
    first, second = [scene.publish(application, admit=False).message.id for _ in range(2)]
    with database.application() as other:
        other.execute("BEGIN")
        other.execute(
            "SELECT 1 FROM ringback_delivery WHERE message_key = ? FOR UPDATE", (key_of(scene, first),)
        )
        with scene.store.transaction():
            scene.store.execute("SET LOCAL lock_timeout = '100ms'")
            works = scene.store.take([Quota(scene.due()[0], MANY)], scene.lease(), scene.now)
        assert [work.message_id for work in works] == [second]
        other.execute("COMMIT")
    assert [work.message_id for work in scene.take()] == [first]


@contextlib.contextmanager
def meanwhile(database, verb, *arguments):
    """Have somebody else call a verb in a thread, which is waiting for a lock when the block begins."""
    with contextlib.closing(database.open()) as store, ThreadPoolExecutor(1) as threads:
        result = threads.submit(answer, store, verb, arguments)
        with database.application() as looking:
            while not looking.execute(BLOCKED).fetchone()[0]:
                time.sleep(0.01)
        yield result


def answer(store, verb, arguments):
    with store.transaction():
        return getattr(store, verb)(*arguments)


def test_a_resend_waits_for_whoever_takes_it(scene, database):
    """Whoever asks for it at the moment in which it is taken hears that an attempt is under way, and ends no lease."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    message = scene.publish(application, admit=False).message
    with contextlib.ExitStack() as stack:
        with scene.store.transaction():
            (work,) = scene.store.take([Quota(endpoint.id, MANY)], scene.lease(), scene.now)
            asked = (application.id, message.id, endpoint.id, scene.now)
            result = stack.enter_context(meanwhile(database, "resend", *asked))
        with pytest.raises(Conflict, match="under way"):
            result.result()
    assert scene.settle(work, Step.SUCCEED)


def test_a_run_that_another_took_over_as_it_began_is_none(scene, database):
    """Who waited for the row while its lease passed on does not hold it, and is told so before anything runs."""
    application = scene.application()
    scene.endpoint(application)
    (work,) = scene.publish(application).works
    with contextlib.ExitStack() as stack:
        with scene.store.transaction():
            scene.store.execute("UPDATE ringback_delivery SET lease_token = ?", (work.lease.token + 1,))
            result = stack.enter_context(meanwhile(database, "begin", work, None, scene.now))
        assert not result.result().held


def test_a_handler_that_freezes_when_it_is_done_holds_the_delivery_for_seconds(scene, database):
    """However long it may take before: from what settles it on, the server ends it if nothing comes."""
    application = scene.application()
    scene.endpoint(application)
    (work,) = scene.publish(application).works
    with database.application() as handler:
        assert handler.execute(IDLE).fetchone() == ("0",)
        settling(scene, handler, work)
        assert handler.execute(IDLE).fetchone() == (f"{LEASE_MARGIN // 1000}s",)
        handler.execute("ROLLBACK")
        assert handler.execute(IDLE).fetchone() == ("0",)
