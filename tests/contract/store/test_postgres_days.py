"""PostgreSQL alone: days are made ahead and dropped whole, and keys tell the time."""

import contextlib
import threading
import time

import pytest
from scene import LEASE, MANY, PostgresDatabase, Scene

from ringback.model import DeliveryState
from ringback.policy import DAY, Step
from ringback.store import MessageFilter, Page, Quota
from ringback.store.postgres import upkeep
from ringback.store.postgres.database import make_day
from ringback.store.postgres.days import day_of
from ringback.store.postgres.upkeep import BESIDE_STEP

PATIENCE = 20_000
BESIDE = ("event", "feed", "terms", "tag")
BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
WAITING = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

DAYS_IN_USE = """
    SELECT DISTINCT right(c.relname, 8) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid() AND c.relname ~ '_[0-9]{8}$'
"""


@pytest.fixture
def database(tmp_path):
    return PostgresDatabase(tmp_path)


def tables(database):
    with database.application() as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '_[0-9]{8}$' AND relkind = 'r'"
        )
        return {name for (name,) in found.fetchall()}


def steps(scene, before):
    """Prune to the end; yield what each step did."""
    cursor = 0
    while cursor is not None:
        pruned = scene.prune(before, cursor)
        yield pruned
        cursor = pruned.cursor


def prune(scene, before):
    return sum(pruned.messages for pruned in steps(scene, before))


def count(scene, table):
    return scene.store.rows(f"SELECT count(*) FROM ringback_{table}")[0][0]


def test_a_day_that_is_over_goes_whole(scene, database):
    """Its tables are dropped with all messages in them; those of the day after stay."""
    application = scene.application()
    scene.endpoint(application)
    for _ in range(3):
        scene.fail(application, event_id=f"order-{_}")
    old = tables(database)
    scene.tick(DAY)
    young = scene.fail(application).message
    before = scene.now - scene.now % DAY
    assert prune(scene, before) == 3
    assert [one.id for one in scene.store.messages(application.id, MessageFilter(), Page())] == [young.id]
    left = tables(database)
    assert f"ringback_message_{time.strftime('%Y%m%d', time.gmtime(young.created_at / 1000))}" in left
    assert len(old - left) >= 3
    # Its event ids are free again.
    assert not scene.publish(application, event_id="order-0").replayed


def test_what_lies_beside_a_day_goes_some_rows_at_a_time(scene, database):
    """However much there is of it, no step takes long; the day's tables are there until nothing else is left."""
    application = scene.application()
    scene.endpoint(application)
    scene.fail(application, event_id="order-1")
    day = day_of(scene.now)
    with database.application() as connection:
        for table, columns in (
            ("event", "1, 'filler-' || n, {}"),
            ("terms", "{}, ''"),
            ("tag", "{}, 'a', 1, 'msg_' || n"),
            ("feed", "1, n, {}, 0"),
        ):
            connection.execute(
                f"INSERT INTO ringback_{table} SELECT {columns.format('?::bigint + n')}"
                f" FROM generate_series(1, {BESIDE_STEP * 2 + 10}) AS n",
                (day.keys[0],),
            )
    scene.tick(DAY)
    young = scene.fail(application, event_id="order-2").message
    before = [count(scene, table) for table in BESIDE]
    removed = 0
    for pruned in steps(scene, scene.now - scene.now % DAY):
        removed += pruned.messages
        now = [count(scene, table) for table in BESIDE]
        assert all(had - has <= BESIDE_STEP for had, has in zip(before, now, strict=True))
        before = now
        is_there = f"ringback_message_{day.name}" in tables(database)
        assert is_there == (removed == 0)
    assert removed == 1
    assert before == [1, 0, 0, 0]
    assert scene.store.message(application.id, "order-2") == young


def test_a_day_whose_tables_are_in_use_waits_and_stays_whole(scene, database):
    """While a backup, say, reads them, nothing of the day is deleted and others go on; then it goes whole."""
    application = scene.application()
    scene.endpoint(application)
    old = [scene.fail(application, event_id=f"order-{number}").message.id for number in range(3)]
    scene.tick(DAY)
    before = scene.now - scene.now % DAY
    with database.application() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM ringback_message")
        for _ in range(3):
            (pruned,) = steps(scene, before)
            assert (pruned.messages, pruned.cursor) == (0, None)
            assert "in use" in pruned.hindrance
            assert [count(scene, table) for table in ("message", "delivery", "event")] == [3, 3, 3]
        scene.fail(application)
        connection.execute("COMMIT")
    assert prune(scene, before) == len(old)
    assert count(scene, "message") == 1


def test_one_node_removes_at_a_time(scene, database):
    """A second one leaves it to the first, and says so."""
    application = scene.application()
    scene.endpoint(application)
    scene.fail(application)
    scene.tick(DAY)
    before = scene.now - scene.now % DAY
    prune(scene, 0)  # makes days ahead, for which others would wait
    with contextlib.closing(database.open()) as other, other.transaction():
        assert other.prune(0, 0, MANY).hindrance is None
        (pruned,) = steps(scene, before)
        assert (pruned.messages, pruned.cursor) == (0, None)
        assert "another node" in pruned.hindrance
    assert prune(scene, before) == 1


def test_what_is_resent_while_its_message_goes_leaves_nothing_in_the_queue(scene, database):
    """Whoever commits first: no row is due for ever without a delivery, and the day is dropped in the end."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    message = scene.fail(application).message
    scene.publish(application)  # under way, so that the day cannot be dropped
    scene.tick(DAY)
    before = scene.now - scene.now % DAY
    removed = []
    with contextlib.closing(database.open()) as other, database.application() as watcher:
        remover = threading.Thread(target=lambda: removed.append(prune(Scene(other), before)))
        with scene.store.transaction():
            scene.store.resend(application.id, message.id, endpoint.id, scene.now)
            remover.start()
            while not watcher.execute(BLOCKED).fetchone()[0]:
                time.sleep(0.01)
        remover.join()
    assert removed == [1]
    assert count(scene, "queue") == 0


def test_what_an_earlier_version_left_in_the_queue_is_removed(scene, database):
    """A row without a delivery holds no day back for ever, nor is there one without a day."""
    application = scene.application()
    scene.endpoint(application)
    scene.fail(application)
    old = day_of(scene.now)
    with database.application() as connection:
        connection.execute(
            "INSERT INTO ringback_queue SELECT e.key, 1, ? FROM ringback_endpoint e", (old.keys[0],)
        )
        connection.execute("DELETE FROM ringback_delivery")
        connection.execute("DELETE FROM ringback_message")
    scene.tick(DAY)
    before = scene.now - scene.now % DAY
    for _ in range(2):
        prune(scene, before)
    assert f"ringback_message_{old.name}" not in tables(database)
    assert count(scene, "queue") == 0


@pytest.mark.parametrize("how", ["leased", "waiting"])
def test_a_day_with_something_under_way_stays(scene, database, how):
    """What is at rest in it goes row by row, and what is not goes on to be delivered."""
    application = scene.application()
    scene.endpoint(application)
    scene.fail(application)
    accepted = scene.publish(application, admit=how == "leased")
    scene.tick(2 * DAY)
    assert prune(scene, scene.now - scene.now % DAY) == 1
    (work,) = scene.take()
    assert work.message_id == accepted.message.id
    assert scene.settle(work, Step.SUCCEED)
    assert scene.delivery_of(work).state is DeliveryState.SUCCEEDED
    assert prune(scene, scene.now - scene.now % DAY) == 1


def test_what_is_sent_again_at_the_last_moment_keeps_its_day(scene, database, monkeypatch):
    """Whoever drops a day waits for a resend that is being committed, and then leaves the day as it is."""
    monkeypatch.setattr(upkeep, "PATIENCE", (PATIENCE,))
    application = scene.application()
    endpoint = scene.endpoint(application)
    message = scene.fail(application).message
    scene.tick(2 * DAY)
    pruning = threading.Thread(target=prune, args=(scene, scene.now - scene.now % DAY))
    with contextlib.closing(database.open()) as other, other.transaction():
        other.resend(application.id, message.id, endpoint.id, scene.now)
        pruning.start()
        while not other.rows(BLOCKED)[0][0]:
            time.sleep(0.01)
    pruning.join()
    assert [work.message_id for work in scene.take()] == [message.id]


def test_days_are_made_ahead(scene, database):
    """Today's, tomorrow's and the day after's tables are there before anything comes."""
    prune(scene, 0)
    names = tables(database)
    for ahead in range(3):
        day = time.strftime("%Y%m%d", time.gmtime(time.time() + ahead * 86_400))
        for table in ("message", "delivery", "attempt"):
            assert f"ringback_{table}_{day}" in names


def used(scene, verb, *arguments):
    """Call a verb in a transaction; return its answer, and which days that are over it has looked at."""
    with scene.store.transaction():
        answer = verb(*arguments)
        days = {name for (name,) in scene.store.rows(DAYS_IN_USE)}
    return answer, {day for day in days if day < day_of(scene.now).name}


def test_the_line_looks_at_no_more_days_than_it_must(scene):
    """However many are kept, those before the day that is meant cost nothing to accept, settle, list or take."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    for _ in range(3):
        scene.settle(scene.publish(application).works[0], Step.SUCCEED)
        scene.tick(DAY)
        assert scene.due() == []
    acceptance = scene.acceptance(application, event_id="order-1")
    (accepted,), over = used(scene, scene.store.accept, [acceptance], scene.lease(), lambda _: True)
    assert over == set()
    settlement = scene.settlement(accepted.works[0], Step.RETRY, scene.now)
    assert used(scene, scene.store.settle, [settlement]) == ([True], set())
    scene.tick(LEASE)
    due, over = used(scene, scene.store.due, scene.now, MANY)
    assert [one.endpoint_id for one in due] == [endpoint.id]
    assert over == set()
    taken, over = used(scene, scene.store.take, [Quota(endpoint.id, MANY)], scene.lease(), scene.now)
    assert [work.message_id for work in taken] == [acceptance.id]
    assert over == set()


def test_keys_follow_the_order_of_acceptance(scene):
    """Also over many within one millisecond, where a new range of numbers begins, and over a restart."""
    application = scene.application()
    scene.endpoint(application)
    keys = []
    for _ in range(50):
        batch = [scene.acceptance(application) for _ in range(200)]
        instant = batch[0].created_at
        batch = [scene.acceptance(application, created_at=instant) for _ in batch]
        keys += [accepted.works[0].key for accepted in scene.accept(*batch)]
    assert keys == sorted(set(keys))


def by_a_node(store, day):
    make_day(store, day)


def by_a_caller(store, day):
    store.rows("SELECT ringback.make_day(?)", (day.number,))


@pytest.mark.parametrize("make", [by_a_node, by_a_caller])
def test_two_that_make_a_day_make_one(scene, database, make):
    """Whoever has waited for another to make a day's tables finds them made, whatever was known before."""
    day = day_of(scene.now + 5 * DAY)
    made = []

    def make_too():
        with contextlib.closing(database.open()) as other, other.transaction():
            make(other, day)
            made.append(day)

    second = threading.Thread(target=make_too)
    with scene.store.transaction():
        make(scene.store, day)
        second.start()
        while not scene.store.rows(WAITING)[0][0]:
            time.sleep(0.01)
    second.join()
    assert made == [day]
    assert f"ringback_attempt_{day.name}" in tables(database)
