"""PostgreSQL alone: days are made ahead and dropped whole, and keys tell the time."""

import contextlib
import threading
import time

import pytest
from scene import MANY, PostgresDatabase, Scene

from ringback.model import DeliveryState
from ringback.policy import DAY, Step
from ringback.store import MessageFilter, Page
from ringback.store.postgres.database import make_day
from ringback.store.postgres.days import day_of

WAITING = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def database(tmp_path):
    return PostgresDatabase(tmp_path)


@pytest.fixture
def scene(database):
    with contextlib.closing(database.open()) as store:
        yield Scene(store)


def tables(database):
    with database.application() as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '_[0-9]{8}$' AND relkind = 'r'"
        )
        return {name for (name,) in found.fetchall()}


def prune(scene, before):
    counts, cursor = [], 0
    while cursor is not None:
        pruned = scene.write(
            lambda cursor=cursor: scene.store.prune(before, cursor, MANY, receipts_before=before)
        )
        counts.append(pruned.messages)
        cursor = pruned.cursor
    return sum(counts)


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


def test_days_are_made_ahead(scene, database):
    """Today's, tomorrow's and the day after's tables are there before anything comes."""
    prune(scene, 0)
    names = tables(database)
    for ahead in range(3):
        day = time.strftime("%Y%m%d", time.gmtime(time.time() + ahead * 86_400))
        for table in ("message", "delivery", "attempt"):
            assert f"ringback_{table}_{day}" in names


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
