"""``ringback.publish``, for any language: the same law, the same keys and the same bytes as at every other door."""

import contextlib
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene import LEASE, PostgresDatabase, Scene

from ringback import ids, policy
from ringback.errors import Conflict, InProgress
from ringback.model import DeliveryState, EndpointState
from ringback.observe import Observer
from ringback.outbox import Outbox
from ringback.store import MessageFilter, Page
from ringback.store.commit import Committer, NoWorker

PATIENCE = 30
NAMES = ("order", "order.paid", "order.lost", "invoice.paid", "a_b", "a%b", "a\\b", "aXb", "order\npaid")
PATTERNS = (*NAMES, "*", "order*", "*paid", "a_*", "a%*", "*\\*", "o*r*d", "**")
CHANNELS = ("eu", "us", "vip")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Return one database for all these tests."""
    return PostgresDatabase(tmp_path_factory.mktemp("unused"))


@pytest.fixture(scope="module")
def scene(database):
    with contextlib.closing(database.open()) as store:
        yield Scene(store)


@pytest.fixture
def acme(scene):
    """Return an application of this test's own."""
    return scene.application()


@pytest.fixture
def tx(database):
    """Return the connection of a program that knows nothing but SQL."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def committer(scene):
    committer = Committer(
        scene.store, clock=lambda: scene.now, observer=Observer(), handover=NoWorker(), deadline=LEASE
    )
    # Not closed: that would close the store, which is everybody's.
    committer.start()
    return committer


@pytest.fixture
def outbox(scene, committer):
    return Outbox(committer, clock=lambda: scene.tick(1))


def publish(tx, application, event_type="order.paid", payload='{"id": 1}', cast="text", **options):
    named = "".join(f", {name} => %s" for name in options)
    query = f"SELECT ringback.publish(%s, %s, %s::{cast}{named})"
    return tx.execute(query, (application.id, event_type, payload, *options.values())).fetchone()[0]


# --- The law -----------------------------------------------------------------------------------------------


endpoints = st.fixed_dictionaries(
    {
        "state": st.sampled_from(EndpointState),
        "event_types": st.none() | st.lists(st.sampled_from(PATTERNS), max_size=3).map(tuple),
        "channels": st.none() | st.lists(st.sampled_from(CHANNELS), max_size=2).map(tuple),
        "description": st.sampled_from(["", "\0", "\\u0000", '"\\', "€"]),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(endpoints, max_size=5),
    st.sampled_from(NAMES),
    st.none() | st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3, unique=True),
)
def test_fan_out_is_that_of_the_law(scene, tx, catalog, event_type, channels):
    """On any catalog, each endpoint gets the message, or is skipped for the same reason, as ``policy.fan_out`` says."""
    with scene.store.transaction():
        owner = scene.store.application(scene.store.add(scene.new_application()))
        everyone = [scene.new_endpoint(owner, **fields) for fields in catalog]
        for endpoint in everyone:
            scene.store.add(endpoint)
    targets, skipped = policy.fan_out(everyone, event_type, None if channels is None else tuple(channels))
    found = tx.execute(
        "SELECT f.endpoint_id, f.reason FROM ringback_application a,"
        " ringback.fan_out(a.key, %s, %s) f WHERE a.id = %s",
        (event_type, channels, owner.id),
    ).fetchall()
    assert {name: reason for name, reason in found if reason is not None} == skipped
    assert [name for name, reason in found if reason is None] == sorted(one.id for one in targets)


def test_removed_endpoints_are_not_there(scene, tx, acme):
    """A message is neither for an endpoint that was deleted nor skipped by it; nor is it for another application's."""
    gone, other = scene.endpoint(acme), scene.endpoint(scene.application())
    scene.write(scene.store.remove_endpoint, acme.id, gone.id, scene.tick())
    message = scene.store.message(acme.id, publish(tx, acme))
    assert message.skipped == {}
    assert scene.store.deliveries(acme.id, message.id, Page()) == []
    assert other.application_id != acme.id


# --- What is kept ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "cast", "kept"),
    [
        ('{ "b":1.0,"a":"€" }', "text", '{ "b":1.0,"a":"€" }'.encode()),
        (b'{ "b":1.0,\n"a":"\xe2\x82\xac" }', "bytea", b'{ "b":1.0,\n"a":"\xe2\x82\xac" }'),
        ('{ "bb":1.0,"a":"€","a":2 }', "jsonb", b'{"a": 2, "bb": 1.0}'),
        ('{"zero":"\\u0000"}', "text", b'{"zero":"\\u0000"}'),
        ('{"pair":"\\uD83d\\ude00"}', "text", b'{"pair":"\\uD83d\\ude00"}'),
        ('{"no escape":"\\\\ud800"}', "text", b'{"no escape":"\\\\ud800"}'),
    ],
)
def test_bytes_are_kept_as_given(scene, tx, acme, *, payload, cast, kept):
    """Text and bytea are published byte for byte; of jsonb, what PostgreSQL has made of it."""
    message = scene.store.message(acme.id, publish(tx, acme, payload=payload, cast=cast))
    assert message.payload == kept


def test_a_message_is_like_any_other(scene, tx, acme):
    """Its id is of the usual form and tells the time, and all that was said of it is kept."""
    wanted = scene.endpoint(acme, channels=("eu",))
    before = tx.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint").fetchone()[0]
    published = [
        publish(tx, acme, channels=["eu", "vip"], event_id=f"event-{number}") for number in range(50)
    ]
    message = scene.store.message(acme.id, "event-0")
    assert message.id == published[0]
    assert (message.channels, message.event_type) == (("eu", "vip"), "order.paid")
    assert all(ids.is_id(ids.MESSAGE, one) for one in published)
    assert len({one[-15:] for one in published}) == 50
    assert min(published) >= ids.earliest(ids.MESSAGE, before)
    assert max(published) < ids.earliest(ids.MESSAGE, before + 3_600_000)
    assert message.created_at >= before
    listed = scene.store.messages(acme.id, MessageFilter(), Page(limit=100))
    assert {one.id for one in listed} == set(published)
    taken = [work.message_id for work in _taken(scene, wanted)]
    assert taken == published


def _taken(scene, endpoint):
    scene.now = max(scene.now, scene.store.now() + 1)
    return scene.take(endpoints=[endpoint.id])


def test_by_uid(scene, tx):
    """An application may be named by its uid."""
    owner = scene.application(uid="by-uid")
    published = tx.execute("SELECT ringback.publish('by-uid', 'order.paid', '{}')").fetchone()[0]
    assert scene.store.message(owner.id, published).payload == b"{}"


@pytest.mark.parametrize(
    ("options", "channels"), [({}, None), ({"event_id": "e-1"}, None), ({}, ["eu", "vip"])]
)
def test_a_key_is_one_key_at_every_door(scene, tx, acme, outbox, *, options, channels):
    """A key that was used with SQL is known in Python, and the other way round; other requests are told apart."""
    body = b'{"id": 1}'
    in_python = {**options, "channels": None if channels is None else tuple(channels)}
    first = publish(tx, acme, idempotency_key="sql", channels=channels, **options)
    again = outbox.publish(acme.id, "order.paid", body, idempotency_key="sql", **in_python).result()
    assert (again.replayed, again.message.id) == (True, first)
    if not options:
        in_first = outbox.publish(acme.id, "order.paid", body, idempotency_key="py", **in_python).result()
        assert publish(tx, acme, idempotency_key="py", channels=channels) == in_first.message.id
    with pytest.raises(Conflict):
        outbox.publish(acme.id, "order.lost", body, idempotency_key="sql", **in_python).result()
    with pytest.raises(psycopg.Error, match="different request") as raised:
        publish(tx, acme, "order.lost", idempotency_key="sql", channels=channels, **options)
    assert raised.value.sqlstate == "RB409"


@pytest.mark.parametrize(
    ("tags", "at"),
    [(["a", "b#/\\:"], None), (None, 123_999), (["a"], 0), ([], None)],
)
def test_terms_are_the_same_at_every_door(scene, tx, acme, committer, *, tags, at):
    """Tags and a time are kept as in Python, to the millisecond, and a key stands for a message with these."""
    outbox = Outbox(committer)  # at the time of PostgreSQL's clock
    endpoint = scene.endpoint(acme)
    moment = None if at is None else datetime.now(UTC).replace(microsecond=at) + timedelta(days=2)
    said = {"idempotency_key": "one", "tags": None if tags is None else tuple(tags), "deliver_at": moment}
    first = outbox.publish(acme.id, "order.paid", b'{"id": 1}', **said).result().message
    in_sql = {"tags": tags, "deliver_at": moment}
    assert publish(tx, acme, idempotency_key="one", **in_sql) == first.id
    with pytest.raises(psycopg.Error, match="different request"):
        publish(tx, acme, idempotency_key="one", deliver_at=moment, tags=["other"])
    second = scene.store.message(acme.id, publish(tx, acme, **in_sql))
    assert (second.tags, second.deliver_at) == (first.tags, first.deliver_at)
    delivery = scene.delivery(acme.id, second.id, endpoint.id)
    assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 0)
    assert delivery.due_at == (second.deliver_at or second.created_at)
    for tag in tags or ():
        assert second in scene.store.messages(acme.id, MessageFilter(tag=tag), Page())


def test_whatever_the_caller_has_set(scene, tx, acme):
    """Backslashes in texts, time zones and the form of dates are the caller's affair."""
    scene.endpoint(acme, event_types=("order.*",))
    tx.execute(
        "SET standard_conforming_strings = off; SET TimeZone = 'Pacific/Apia'; SET DateStyle = 'SQL, DMY'"
    )
    message = scene.store.message(
        acme.id, publish(tx, acme, channels=["eu"], tags=["a\\b"], idempotency_key="k")
    )
    assert (message.skipped, message.tags) == ({}, ("a\\b",))


def test_where_no_trigger_fires_nothing_is_published(tx, acme):
    """What applies another server's changes would leave a message that nobody delivers."""
    tx.execute("SET session_replication_role = replica")
    with pytest.raises(psycopg.Error, match="would not be delivered"):
        publish(tx, acme)
    tx.execute("SET session_replication_role = origin")
    assert publish(tx, acme)


# --- Refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "state", "told"),
    [
        ({"event_type": "order paid"}, "RB422", "event_type: is 1 to 256"),
        ({"event_type": "a" * 257}, "RB422", "event_type"),
        ({"event_type": "order\n"}, "RB422", "event_type"),
        ({"event_type": None}, "RB422", "event_type"),
        ({"payload": "[]"}, "RB422", "payload: is a JSON object"),
        ({"payload": "{"}, "RB422", "payload: is not JSON"),
        ({"payload": None}, "RB422", "payload: is a JSON object"),
        ({"payload": '{"half":"\\ud800"}'}, "RB422", "payload: is not JSON: it has half"),
        ({"payload": '{"\\udE00":1}'}, "RB422", "payload: is not JSON: it has half"),
        ({"payload": '{"apart":"\\ud83d\\\\\\ude00"}'}, "RB422", "payload: is not JSON: it has half"),
        ({"payload": '{"deep":' + "[" * 400_000 + "]" * 400_000 + "}"}, "RB422", "payload: is not JSON"),
        ({"payload": b'{"a":"\xff"}', "cast": "bytea"}, "RB422", "payload: is not JSON"),
        ({"payload": json.dumps({"a": "x" * 1024 * 1024})}, "RB413", "the limit is 1048576"),
        ({"event_id": "msg_1"}, "RB422", "event_id: must not start with msg_"),
        ({"event_id": ".."}, "RB422", "event_id"),
        ({"event_id": ""}, "RB422", "event_id"),
        ({"channels": []}, "RB422", "channels: has 1 to 5"),
        ({"channels": list("abcdef")}, "RB422", "channels: has 1 to 5"),
        ({"channels": ["a", None]}, "RB422", "channels"),
        ({"channels": ["a", "b c"]}, "RB422", "channels"),
        ({"channels": ["a", "a"]}, "RB422", "channels: names something twice"),
        ({"idempotency_key": ""}, "RB422", "idempotency_key"),
        ({"deliver_at": "2020-01-01T00:00:00Z"}, "RB422", "deliver_at: lies in the past"),
        ({"deliver_at": "-infinity"}, "RB422", "deliver_at: lies in the past"),
        ({"deliver_at": "9000-01-01T00:00:00Z"}, "RB422", "deliver_at: is at most 90 days ahead"),
        ({"deliver_at": "infinity"}, "RB422", "deliver_at: is at most 90 days ahead"),
        ({"tags": [f"t{number}" for number in range(11)]}, "RB422", "tags: has at most 10"),
        ({"tags": ["a", None]}, "RB422", "tags: each is 1 to 128"),
        ({"tags": [""]}, "RB422", "tags: each is 1 to 128"),
        ({"tags": ["a b"]}, "RB422", "tags: each is 1 to 128"),
        ({"tags": ["x" * 129]}, "RB422", "tags: each is 1 to 128"),
        ({"tags": ["a", "a"]}, "RB422", "tags: names something twice"),
        ({"idempotency_key": "a\tb"}, "RB422", "idempotency_key"),
        ({"event_id": "taken"}, "RB409", "event id taken was used"),
    ],
)
def test_refusals_say_what_is_wrong(tx, acme, change, state, told):
    """Each refusal has a code of its own and says which rule was broken."""
    publish(tx, acme, event_id="taken")
    with pytest.raises(psycopg.Error, match=told) as raised:
        publish(tx, acme, **change)
    assert raised.value.sqlstate == state


@pytest.mark.parametrize("name", ["nobody", "app_nobody", "", None])
def test_an_unknown_application_is_told(tx, name):
    """Where there is no such application, the error says so and what to do."""
    with pytest.raises(psycopg.Error, match="there is no application") as raised:
        tx.execute("SELECT ringback.publish(%s, 'order.paid', '{}')", (name,))
    assert (raised.value.sqlstate, "uid" in raised.value.diag.message_hint) == ("RB404", True)


# --- Together ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("option", ["event_id", "idempotency_key"])
def test_of_two_at_once_one_is_first(database, tx, acme, option, end):
    """Who uses an id or a key that an open transaction has used waits for its end, and is told what that was."""
    outcome = []

    def second():
        try:
            outcome.append(publish(tx, acme, **{option: "once"}))
        except psycopg.Error as error:
            outcome.append(error.sqlstate)

    with psycopg.connect(database.url) as other:
        first = publish(other, acme, **{option: "once"})
        thread = threading.Thread(target=second)
        thread.start()
        _until_waiting(other)
        assert not outcome
        getattr(other, end)()
        thread.join(PATIENCE)
    if end == "rollback":
        assert ids.is_id(ids.MESSAGE, outcome[0])
        assert outcome[0] != first
    else:
        assert outcome == ["RB409" if option == "event_id" else first]


@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("option", ["event_id", "idempotency_key"])
def test_a_node_waits_for_no_open_transaction(database, acme, outbox, option, end):
    """A node that is given what an open transaction has used says so at once, and then answers as that one ended."""
    message = acme.id, "order.paid", b'{"id": 1}'
    with psycopg.connect(database.url) as other:
        first = publish(other, acme, **{option: "held"})
        held = outbox.publish(*message, **{option: "held"})
        free = outbox.publish(*message, **{option: "free"})
        with pytest.raises(InProgress, match="repeat the request"):
            held.result(PATIENCE)
        assert not free.result(PATIENCE).replayed
        getattr(other, end)()
    after = outbox.publish(*message, **{option: "held"})
    if end == "commit" and option == "event_id":
        with pytest.raises(Conflict):
            after.result(PATIENCE)
    else:
        accepted = after.result(PATIENCE)
        assert accepted.replayed == (accepted.message.id == first) == (end == "commit")


def test_a_key_that_is_used_again_in_a_transaction_is_known(database, acme, outbox):
    """While an open transaction repeats what was done, everybody else may repeat it, too."""
    done = outbox.publish(acme.id, "order.paid", b'{"id": 1}', idempotency_key="done").result(PATIENCE)
    with psycopg.connect(database.url) as other:
        assert publish(other, acme, idempotency_key="done") == done.message.id
        again = outbox.publish(acme.id, "order.paid", b'{"id": 1}', idempotency_key="done").result(PATIENCE)
        assert (again.replayed, again.message.id) == (True, done.message.id)


def test_many_in_one_transaction_leave_locks_to_others(tx, acme):
    """However many event ids a transaction uses, it holds a thousand locks at most."""
    query = "SELECT count(ringback.publish(%s, 'a', '{}'::text, event_id => 'e-' || n)) FROM generate_series(1, 1500) n"
    with tx.transaction():
        assert tx.execute(query, (acme.id,)).fetchone() == (1500,)
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        # Those of the day's tables are counted as well.
        assert 1000 <= tx.execute(locks).fetchone()[0] <= 1002


def _until_waiting(connection):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while not connection.execute(waiting).fetchone()[0]:
        connection.execute("SELECT pg_stat_clear_snapshot()")


def test_a_role_needs_no_more_than_usage(database, tx, acme):
    """A role that may use the schema publishes, and cannot read or slip in what it likes."""
    tx.execute("CREATE ROLE shop_teller")
    tx.execute("GRANT USAGE ON SCHEMA ringback TO shop_teller")
    try:
        with psycopg.connect(database.url) as teller:
            teller.execute("SET ROLE shop_teller")
            teller.execute("CREATE TEMP TABLE ringback_application (key bigint, id text, deleted_at bigint)")
            assert publish(teller, acme)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                teller.execute("SELECT * FROM ringback_message")
    finally:
        tx.execute("DROP OWNED BY shop_teller; DROP ROLE shop_teller")


def test_a_schema_in_which_everybody_may_make_functions_is_told(tmp_path):
    """There, a function could take the place of PostgreSQL's own, and run with the rights of Ringback's role."""
    database = PostgresDatabase(tmp_path)
    with contextlib.closing(database.open()) as store, database.application() as owner:
        assert store.inspect().open_schema is None
        owner.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        assert store.inspect().open_schema == "public"


ACCEPT = """
    SELECT message_id FROM ringback.accept(
        %s, %s, %s, 'order.paid', '{}', NULL, NULL, NULL, NULL, CAST(NULL AS bigint), CAST(NULL AS text)
    )
"""
GOOD_ID = "msg_" + "0" * 27


@pytest.mark.parametrize(
    ("message_id", "days", "told"),
    [
        (GOOD_ID, 8, "created_at"),
        (GOOD_ID, 40_000, "created_at"),
        (GOOD_ID, -8, "created_at"),
        (GOOD_ID, None, "created_at"),
        ("msg_1", 0, "id"),
        ("<script>", 0, "id"),
        (None, 0, "id"),
    ],
)
def test_whoever_goes_past_the_doors_is_held_to_bounds(tx, acme, message_id, days, told):
    """No message has an id of another form, and no tables are made for days that are far away."""
    instant = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint + %s::bigint * 86400000"
    query = ACCEPT.replace("%s, %s, %s", f"%s, %s, {instant}")
    with pytest.raises(psycopg.Error, match=f"^{told}: ") as raised:
        tx.execute(query, (acme.id, message_id, days))
    assert raised.value.sqlstate == "RB422"
    assert tx.execute(query, (acme.id, GOOD_ID, 1)).fetchone() == (GOOD_ID,)


def test_what_the_functions_call_themselves_is_not_for_others(database, tx, acme):
    """Nor is the form of earlier versions, which knows no bounds."""
    tx.execute("CREATE ROLE shop_teller")
    tx.execute("GRANT USAGE ON SCHEMA ringback TO shop_teller")
    try:
        with psycopg.connect(database.url, autocommit=True) as teller:
            teller.execute("SET ROLE shop_teller")
            earlier = ACCEPT.replace(", CAST(NULL AS bigint), CAST(NULL AS text)", "")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                teller.execute(earlier, (acme.id, GOOD_ID, 1))
            now = int(time.time() * 1000)
            assert teller.execute(ACCEPT, (acme.id, GOOD_ID, now)).fetchone() == (GOOD_ID,)
    finally:
        tx.execute("DROP OWNED BY shop_teller; DROP ROLE shop_teller")


def test_a_day_that_no_node_has_made_is_made(scene, tx, acme):
    """Where no node has run for days, the first message of a day makes its partitions, as nodes would have."""
    made = "SELECT relname, pg_get_expr(relpartbound, oid), reloptions FROM pg_class WHERE relname LIKE %s ORDER BY 1"
    tx.execute("SELECT ringback.make_day(4000)")
    with scene.store.transaction():
        scene.store.new_message_key(1_577_836_800_000 + 4_001 * policy.DAY)
    ours = tx.execute(made, ("ringback_%_20301214",)).fetchall()
    theirs = tx.execute(made, ("ringback_%_20301215",)).fetchall()
    assert len(ours) == len(theirs) == 3
    for mine, yours in zip(ours, theirs, strict=True):
        assert mine[0].replace("1214", "1215") == yours[0]
        assert mine[2] == yours[2]
    bounds = [bound for _, bound, _ in ours if bound]
    assert bounds == [
        f"FOR VALUES FROM ('{4000 * policy.DAY << 22}') TO ('{4001 * policy.DAY << 22}')"
    ] * len(bounds)


@pytest.mark.parametrize(("setting", "heard"), [("on", 1), ("off", 0)])
def test_one_hint_for_each_commit(database, scene, tx, acme, *, setting, heard):
    """However much a transaction publishes, listeners hear of it once, at its commit; it can be turned off."""
    scene.endpoint(acme)
    tx.execute("LISTEN ringback")
    with psycopg.connect(database.url) as other:
        other.execute(f"SET ringback.hints = {setting}")
        for _ in range(3):
            publish(other, acme)
        assert list(tx.notifies(timeout=0)) == []
        other.commit()
    tx.execute("SELECT 1")
    assert len(list(tx.notifies(timeout=0.2))) == heard
