"""One SQLite file for an application's tables and the store's: neither disturbs the other."""

import contextlib
import sqlite3
import threading
from functools import partial

import apsw
import pytest
from doors import handler, receive, source
from scene import VAULT, Scene

from ringback.errors import StoreIncompatible
from ringback.policy import Step
from ringback.store import Page, open_store

# Names that an application may well use, those of the first schema of the store among them.
TABLES = (
    "application",
    "attempt",
    "catalog",
    "delivery",
    "document",
    "endpoint",
    "event_type",
    "idempotency",
    "message",
    "migration",
    "receipt",
    "refusal",
    "removed",
    "source",
    "task",
    "token",
)
INDEXES = ("application_uid", "delivery_due", "delivery_unsent", "message_event_id", "attempt_of_endpoint")
THEIR_MARK = 0x0A99


@pytest.fixture
def file(tmp_path):
    return tmp_path / "application.db"


def run(file, *statements):
    """Run statements as the application does; return the rows of the last."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def add_tables(file):
    """Make the application's tables, one row in each, and a view and a trigger that use them."""
    for name in TABLES:
        run(file, f"CREATE TABLE {name} (key, text)", f"INSERT INTO {name} VALUES (1, 'mine')")
    for name in INDEXES:
        run(file, f"CREATE INDEX {name} ON message (text)")
    run(
        file,
        "CREATE VIEW everything AS SELECT message.text FROM message JOIN delivery USING (key)",
        "CREATE TRIGGER counted AFTER INSERT ON message BEGIN UPDATE catalog SET key = key + 1; END",
        f"PRAGMA application_id = {THEIR_MARK}",
        "PRAGMA user_version = 12",
    )


def theirs(file):
    """All of the application's that the store must not touch."""
    return (
        run(file, "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE '%ringback%' ORDER BY name"),
        [run(file, f"SELECT * FROM {name}") for name in TABLES],
        run(file, "PRAGMA application_id"),
        run(file, "PRAGMA user_version"),
        run(file, "SELECT * FROM everything"),
    )


@contextlib.contextmanager
def opened(file, *, shared=True):
    with contextlib.closing(open_store(f"sqlite:///{file}", VAULT, shared=shared)) as store:
        scene = Scene(store)
        # Later than what was stored before, so that no id is made twice.
        scene.now += 10**6 * (1 + len(store.sources(Page())))
        yield scene


def go_through(scene):
    """Receive and handle one message."""
    owner = source(scene)
    handler(scene, owner)
    (work,) = receive(scene, owner, "event").works
    assert scene.settle(work, Step.SUCCEED)
    assert receive(scene, owner, "event").replayed


def test_an_applications_tables_are_left_as_they_are(file):
    """Whatever they are called: opening, working and opening again changes nothing of theirs."""
    add_tables(file)
    before = theirs(file)
    for _ in range(2):
        with opened(file) as scene:
            go_through(scene)
    assert theirs(file) == before


def test_an_application_may_make_its_tables_later(file):
    """In a file that the store has made, and while it is open."""
    with opened(file) as scene:
        go_through(scene)
        add_tables(file)
        before = theirs(file)
        go_through(scene)
    with opened(file) as scene:
        assert len(scene.store.sources(Page())) == 2
        go_through(scene)
    assert theirs(file) == before


def test_everything_of_the_stores_has_its_prefix(file):
    """So that no name of an application's can ever be taken."""
    with opened(file) as scene:
        go_through(scene)
    names = run(file, "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL")
    assert names
    assert [name for (name,) in names if not name.startswith("ringback_")] == []


def test_nothing_is_marked_as_the_stores(file):
    """The file's application id is the application's to give, also where the store came first."""
    with opened(file):
        pass
    assert run(file, "PRAGMA application_id") == [(0,)]


def test_without_being_told_so_it_is_refused(file):
    """A file with somebody's tables is not written to by mistake."""
    add_tables(file)
    before, content = theirs(file), file.read_bytes()
    with pytest.raises(StoreIncompatible, match="another program"), opened(file, shared=False):
        pass
    assert file.read_bytes() == content
    assert theirs(file) == before


def test_what_is_shared_already_opens_for_every_tool(file):
    """A command that is not told that the file is shared works on it, and still leaves the rest alone."""
    add_tables(file)
    with opened(file) as scene:
        go_through(scene)
    before = theirs(file)
    with opened(file, shared=False) as scene:
        assert len(scene.store.sources(Page())) == 1
        go_through(scene)
    assert theirs(file) == before


def test_a_file_of_its_own_may_become_shared(file):
    """An application may move in with a store that was alone."""
    with opened(file, shared=False) as scene:
        go_through(scene)
    run(file, "CREATE TABLE message (text)")
    for shared in (True, False):
        with opened(file, shared=shared) as scene:
            go_through(scene)
    assert run(file, "SELECT * FROM message") == []


def test_it_is_refused_from_the_future_all_the_same(file):
    """A newer schema is not guessed at, shared or not."""
    with opened(file):
        pass
    run(file, "INSERT INTO ringback_migration VALUES (9999, '9999_future.sql', 0)")
    with pytest.raises(StoreIncompatible, match="upgrade"), opened(file):
        pass


def test_a_file_that_is_no_database_is_refused(file):
    """It is not touched, shared or not."""
    content = b"These are somebody's notes, and long enough to be read as a header. " * 20
    file.write_bytes(content)
    with pytest.raises(StoreIncompatible, match="not a SQLite database"), opened(file):
        pass
    assert file.read_bytes() == content


@pytest.mark.parametrize("shared", [True, False])
def test_opening_waits_for_whoever_writes(file, shared):
    """An application, or another node that opens the same new file, may be in the middle of a transaction."""
    connect = partial(sqlite3.connect, isolation_level=None, check_same_thread=False)
    with contextlib.closing(connect(file) if shared else apsw.Connection(str(file))) as other:
        other.execute("BEGIN IMMEDIATE")
        end = threading.Timer(0.1, other.execute, ("COMMIT",))
        end.start()
        with opened(file, shared=shared) as scene:
            go_through(scene)
        end.join()
