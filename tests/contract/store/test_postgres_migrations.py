"""A PostgreSQL database of any earlier schema is brought to the newest, with all that is in it, beside older nodes.

``postgres_schema_1.sql`` is the dump of what the first version left; the schemas in between follow from it.
"""

import contextlib
import threading
from pathlib import Path

import psycopg
import pytest
from doors import receive, source
from scene import MANY, REFUSED, START, VAULT, Scene

from postgres_server import postgres_server
from ringback.errors import StoreIncompatible
from ringback.model import DeliveryState
from ringback.policy import DAY, Step
from ringback.store import Document, MessageFilter, Page, Token, examine_store, open_store
from ringback.store.postgres import database
from ringback.store.sql.tables import Many

FIRST_SCHEMA = Path(__file__).with_name("postgres_schema_1.sql")
NEWEST = len(database.migrations())
# The first that has functions for programs to call.
PUBLISH_SCHEMA = 3
# Since then, they take another argument.
TERMS_SCHEMA = 7
ALL = Page(limit=MANY)
# What statements about endpoints ask for since a later schema than the first.
LATER = {6: "(SELECT o.sealed FROM ringback_endpoint_option o WHERE o.endpoint_key = e.key)"}
STATES = {
    "done": DeliveryState.SUCCEEDED,
    "failed": DeliveryState.FAILED,
    "waiting": DeliveryState.WAITING,
    "leased": DeliveryState.LEASED,
}


def fill(scene):
    """Leave something of each kind in a store; the dump was made of what this leaves."""
    application = scene.application(uid="acme")
    scene.endpoint(application, uid="billing")
    scene.write(scene.store.keep, [Document("orders", "a", b"paid")])
    scene.write(scene.store.add_token, Token(id="tok_1", name="billing", digest=b"d" * 32, created_at=START))
    for event_id, step in (("done", Step.SUCCEED), ("failed", Step.EXHAUST)):
        (work,) = scene.publish(application, event_id=event_id).works
        outcome = {} if step is Step.SUCCEED else {"attempt": scene.attempt(work, REFUSED)}
        assert scene.settle(work, step, **outcome)
    scene.publish(application, event_id="waiting", admit=False)
    scene.publish(application, event_id="leased")
    receive(scene, source(scene, uid="xendit"), "order-1")


def left_by(monkeypatch, schema):
    """Return the address of a database that a version with that schema has left."""
    server = postgres_server()
    url = server.new_database("template1")
    script = "\n".join(
        line for line in FIRST_SCHEMA.read_text("utf-8").splitlines() if not line.startswith("\\")
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())
    if schema > 1:
        with monkeypatch.context() as patched:
            steps = database.migrations()[:schema]
            patched.setattr(database, "migrations", lambda: steps)
            database.migrate(url)
    return url


def ask_for_what_there_was(store, schema):
    """Have a store ask for nothing that its version did not know."""
    rows, rows_for = store.rows, store.rows_for
    unknown = [asked for since, asked in LATER.items() if since > schema]

    def known(statement):
        for asked in unknown:
            statement = statement.replace(asked, "NULL")
        return statement

    store.rows = lambda statement, values=(): rows(known(statement), values)
    store.rows_for = lambda query, *asked: rows_for(Many(known(query.text), query.kinds), *asked)


@contextlib.contextmanager
def old_node(monkeypatch, url, schema):
    """Run a store that knows no later schema."""
    with monkeypatch.context() as patched:
        steps = database.migrations()[:schema]
        patched.setattr(database, "migrations", lambda: steps)
        store = open_store(url, VAULT)
    ask_for_what_there_was(store, schema)
    with contextlib.closing(store):
        scene = Scene(store, seed=8)
        scene.now = START + DAY // 2
        yield scene


def schema_of(url):
    """Return what a database's tables and functions are, without those of single days."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, generation_expression)"
            " FROM information_schema.columns WHERE table_schema IN ('public', 'ringback')"
            " AND table_name !~ '_[0-9]{8}$' ORDER BY 1, 2"
        ).fetchall()
        indexes = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ '_[0-9]{8}$' ORDER BY 1"
        ).fetchall()
        functions = connection.execute(
            "SELECT proname, pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
            " WHERE nspname IN ('public', 'ringback') ORDER BY 1, 2"
        ).fetchall()
    return columns, indexes, functions


@pytest.mark.parametrize("schema", range(1, NEWEST))
def test_nothing_is_lost(monkeypatch, schema):
    """From every earlier schema, all records, messages and deliveries are as they were, and the line goes on."""
    url = left_by(monkeypatch, schema)
    assert examine_store(url).schema == schema
    with contextlib.closing(open_store(url, VAULT)) as store:
        assert examine_store(url).schema == NEWEST
        application = store.application("acme")
        messages = {one.event_id: one for one in store.messages(application.id, MessageFilter(), ALL)}
        assert messages.keys() == STATES.keys()
        for event_id, state in STATES.items():
            ((delivery, endpoint),) = store.deliveries(application.id, messages[event_id].id, ALL)
            assert (delivery.state, endpoint.uid) == (state, "billing")
        assert store.documents("orders", Page()) == [Document("orders", "a", b"paid")]
        assert [one.name for one in store.tokens()] == ["billing"]
        assert store.received(store.source("xendit").id, "order-1")
        scene = Scene(store, seed=9)
        scene.now = START + DAY // 2
        assert {work.message_id for work in scene.take()} == {
            messages[one].id for one in ("waiting", "leased")
        }
        assert scene.publish(application).works


@pytest.mark.parametrize("schema", range(1, NEWEST))
def test_the_way_makes_no_difference(monkeypatch, schema):
    """A database that was migrated has the same tables, indexes and functions as one that is new."""
    migrated, new = left_by(monkeypatch, schema), postgres_server().new_database("template1")
    database.migrate(migrated)
    database.migrate(new)
    assert schema_of(migrated) == schema_of(new)


@pytest.mark.parametrize("schema", range(1, NEWEST))
def test_older_nodes_go_on_meanwhile(monkeypatch, schema):
    """While a node of an earlier version is in the middle of a transaction, another migrates; then both deliver."""
    url = left_by(monkeypatch, schema)
    with old_node(monkeypatch, url, schema) as old:
        application = old.store.application("acme")
        migrating = threading.Thread(target=database.migrate, args=(url,))
        with old.store.transaction():
            (accepted,) = old.store.accept([old.acceptance(application)], old.lease(), lambda _: True)
            migrating.start()
            migrating.join(timeout=20)
            assert not migrating.is_alive()
        assert examine_store(url).schema == NEWEST
        assert old.settle(accepted.works[0], Step.SUCCEED)
        with contextlib.closing(open_store(url, VAULT)) as store:
            new = Scene(store, seed=10)
            new.now = old.now
            published = new.publish(application, admit=False)
            old.now = new.now
            assert published.message.id in {work.message_id for work in old.take()}


@pytest.mark.parametrize("schema", range(PUBLISH_SCHEMA, TERMS_SCHEMA))
def test_who_may_publish_with_sql_may_go_on(monkeypatch, schema):
    """A right that was taken from all or given to some holds for what takes the place of the functions."""
    url = left_by(monkeypatch, schema)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE publisher_of_old")
        try:
            (function,) = connection.execute(
                "SELECT oid::regprocedure::text FROM pg_proc WHERE proname = 'publish'"
                " AND pronamespace = 'ringback'::regnamespace AND proargtypes[2] = 'jsonb'::regtype"
            ).fetchone()
            connection.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
            connection.execute(f"GRANT EXECUTE ON FUNCTION {function} TO publisher_of_old")
            database.migrate(url)
            rights = connection.execute(
                "SELECT p.proargtypes[2]::regtype::text, array_agg(a.grantee::regrole::text ORDER BY 1)"
                " FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
                " WHERE p.pronamespace = 'ringback'::regnamespace AND p.proname = 'publish' GROUP BY 1"
            ).fetchall()
            owner = connection.execute("SELECT current_user").fetchone()[0]
            assert {kind: set(names) for kind, names in rights} == {
                "jsonb": {owner, "publisher_of_old"},
                "text": {owner, "-"},
                "bytea": {owner, "-"},
            }
        finally:
            connection.execute("DROP OWNED BY publisher_of_old; DROP ROLE publisher_of_old")


def test_several_nodes_migrate_at_once(monkeypatch):
    """Of nodes that start at the same moment one migrates, and the others find it done."""
    url = left_by(monkeypatch, 1)
    errors = []

    def start():
        try:
            open_store(url, VAULT).close()
        except Exception as error:  # noqa: BLE001 - it is what the test is about
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, examine_store(url).schema) == ([], NEWEST)


def test_a_newer_database_is_refused(monkeypatch):
    """What a newer version has written is left alone."""
    url = left_by(monkeypatch, NEWEST)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ringback_migration (version, name) VALUES (%s, 'later')", (NEWEST + 1,)
        )
    with pytest.raises(StoreIncompatible, match="newer Ringback"):
        open_store(url, VAULT)
