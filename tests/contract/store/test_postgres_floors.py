"""PostgreSQL alone: a busy queue is read from where it begins now, and nothing that comes in before that is missed."""

import contextlib
import statistics

import psycopg
import pytest
from scene import LEASE, PostgresDatabase

from ringback.policy import Step
from ringback.store.postgres import floors
from ringback.store.postgres.floors import TURNS

BATCH = 5


@pytest.fixture
def database(tmp_path):
    return PostgresDatabase(tmp_path)


def publish(scene, application, count, *, late=0):
    """Accept messages that wait in the store, *late* milliseconds ago; return their ids."""
    return [
        scene.publish(application, admit=False, created_at=scene.now - late).message.id for _ in range(count)
    ]


def taken(scene, limit=BATCH):
    """Take what is due, as a worker does; return the messages' ids."""
    return [work.message_id for work in scene.take(limit=limit)]


def test_what_comes_in_late_is_found_though_nothing_else_is_due(scene):
    """A batch was taken whole and nothing is left: what has been due for longer is listed and taken at once."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    first = publish(scene, application, BATCH)
    assert taken(scene) == first
    late = publish(scene, application, 1, late=60_000)
    assert scene.due() == [endpoint.id]
    assert taken(scene) == late


def test_what_comes_in_late_is_found_while_more_is_due(scene):
    """While every batch is whole, it is found before long; when one is not, by the next."""
    application = scene.application()
    scene.endpoint(application)
    first = publish(scene, application, 2 * BATCH)
    assert taken(scene) == first[:BATCH]
    late = publish(scene, application, 1, late=60_000)
    assert sorted(taken(scene) + taken(scene)) == sorted(first[BATCH:] + late)
    for _ in range(TURNS + 2):
        publish(scene, application, BATCH)
        got = taken(scene)
    late = publish(scene, application, 1, late=3_600_000)
    seen = []
    for _ in range(TURNS + 2):
        publish(scene, application, BATCH)
        seen += taken(scene)
    assert set(late) <= set(seen)
    assert len(got) == BATCH


def test_what_another_node_gives_back_is_found(scene, database):
    """A node takes past what another holds in an open transaction; when that is undone, the rest is there."""
    application = scene.application()
    scene.endpoint(application)
    ids = publish(scene, application, 3 * BATCH)
    with (
        contextlib.closing(database.open()) as other,
        contextlib.suppress(ZeroDivisionError),
        other.transaction(),
    ):
        other.rows("SELECT 1 FROM ringback_queue ORDER BY due_at LIMIT ? FOR UPDATE", (BATCH,))
        assert taken(scene) == ids[BATCH : 2 * BATCH]
        raise ZeroDivisionError
    assert sorted(taken(scene) + taken(scene)) == sorted(ids[:BATCH] + ids[2 * BATCH :])


def test_several_busy_endpoints_and_new_ones_are_all_listed(scene):
    """Endpoints before, between and behind those that are busy are seen as soon as something is due for them."""
    application = scene.application()
    endpoints = [scene.endpoint(application, channels=(f"c-{number}",)) for number in range(5)]

    def send(number, count):
        for _ in range(count):
            scene.publish(application, admit=False, channels=(f"c-{number}",))

    for number in (1, 3):
        send(number, 2 * BATCH)
    assert len(taken(scene)) == 2 * BATCH
    for number in (0, 2, 4):
        send(number, 1)
    assert sorted(scene.due()) == sorted(endpoint.id for endpoint in endpoints)


def test_a_held_snapshot_leaves_the_front_of_a_busy_queue_alone(scene, database):
    """While an old transaction keeps PostgreSQL from cleaning up, a take reads what it takes and little more."""
    application = scene.application()
    scene.endpoint(application)
    publish(scene, application, BATCH)
    with psycopg.connect(database.url) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM ringback_queue")
        read = []
        for _ in range(60):
            publish(scene, application, BATCH)
            before = read_from_queue(scene)
            assert len(taken(scene)) == BATCH
            read.append(read_from_queue(scene) - before)
        assert statistics.median(read[-10:]) <= 2 * statistics.median(read[5:15])


@pytest.fixture
def spared(monkeypatch):
    """Have every look from the front be taken for one that takes long."""
    monkeypatch.setattr(floors, "FEW", -1)
    monkeypatch.setattr(floors, "QUICK_SECONDS", 0)
    return monkeypatch


def test_a_held_snapshot_leaves_the_front_alone_where_less_is_due_than_is_asked_for(scene, database, spared):
    """Nodes that keep up with what is due pass what has gone now and then, and not at every look."""
    spared.setattr(floors, "SHARE", 1_000_000)
    application = scene.application()
    scene.endpoint(application)
    with psycopg.connect(database.url) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM ringback_queue")
        read = []
        for _ in range(70):
            scene.tick(floors.MARGIN)
            publish(scene, application, BATCH)
            works = [*scene.publish(application).works]  # which leaves a lease
            before = read_from_queue(scene)
            assert len(scene.due()) == 1
            works += scene.take(limit=2 * BATCH)
            assert len(works) == 1 + BATCH
            scene.write(scene.store.settle, [scene.settlement(work, Step.SUCCEED) for work in works])
            assert scene.due() == []
            read.append(read_from_queue(scene) - before)
        assert statistics.median(read[-10:]) <= 2 * statistics.median(read[20:30])


def test_what_comes_in_late_while_the_front_is_left_alone_is_found_before_long(scene, spared):
    """It is listed and taken as soon as it is time for another look from the front."""
    spared.setattr(floors, "LONGEST_SECONDS", 0.1)
    application = scene.application()
    endpoint = scene.endpoint(application)
    assert taken(scene) == []
    publish(scene, application, 1)
    assert scene.due() == [endpoint.id]
    assert len(taken(scene)) == 1
    late = publish(scene, application, 1, late=60_000)
    while not scene.due():
        pass
    assert taken(scene) == late


def read_from_queue(scene):
    """Return how many index entries of queue and leases have been read so far, as this connection has counted."""
    with scene.store.transaction():
        scene.store.rows("SELECT pg_stat_force_next_flush()")
    with scene.store.transaction():
        found = scene.store.rows(
            "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes"
            " WHERE relname IN ('ringback_queue', 'ringback_lease')"
        )
    return int(found[0][0])


def leases(scene):
    """Return how many born leases are remembered."""
    return scene.store.rows("SELECT count(*) FROM ringback_lease")[0][0]


def test_leases_are_forgotten_though_nothing_is_ever_taken(scene):
    """Where every message is delivered by the node that accepted it, what it leaves does not add up."""
    application = scene.application()
    scene.endpoint(application)
    for _ in range(10):
        (work,) = scene.publish(application).works
        scene.write(scene.store.settle, [scene.settlement(work, Step.SUCCEED)])
    assert leases(scene) == 10
    scene.tick(10 * LEASE)
    assert scene.due() == []
    assert leases(scene) == 0


def test_a_dead_nodes_lease_is_over_and_what_it_held_is_listed_and_taken(scene):
    """Finding out what is due ends the lease; what had not been settled is due, once."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    ids = [scene.publish(application).message.id for _ in range(3)]
    assert scene.due() == []
    assert leases(scene) == 3
    scene.tick(10 * LEASE)
    assert scene.due() == [endpoint.id]
    assert leases(scene) == 0
    assert sorted(taken(scene)) == sorted(ids)


def test_counting_what_is_under_way_reads_what_is_leased_not_what_ever_was(scene, database):
    """Statistics of a store that holds much look up each lease's own keys, whatever PostgreSQL guesses of it."""
    application = scene.application()
    scene.endpoint(application)
    for _ in range(500):
        (work,) = scene.publish(application).works
        scene.write(scene.store.settle, [scene.settlement(work, Step.SUCCEED)])
    with psycopg.connect(database.url, autocommit=True) as other:
        other.execute("ANALYZE ringback_delivery, ringback_lease")
    scene.tick(10 * LEASE)
    scene.due()
    scene.publish(application)
    before = read_of_deliveries(scene)
    assert scene.store.statistics(scene.now).waiting == 1
    assert read_of_deliveries(scene) - before <= 10


def read_of_deliveries(scene):
    """Return how many deliveries the connection that reads has read so far, by index or in passing."""
    scene.store.rows("SELECT pg_stat_force_next_flush()")
    found = scene.store.rows(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
        " WHERE relname LIKE 'ringback_delivery%'"
    )
    return int(found[0][0])
