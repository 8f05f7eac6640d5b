"""Connections to PostgreSQL: lost ones are replaced, slow statements end, and what cannot be written is refused."""

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from scene import VAULT, Scene

from postgres_server import postgres_server
from ringback.config import load
from ringback.engine import until_there
from ringback.errors import ConfigurationError, NotFound, StoreUnavailable
from ringback.policy import DAY
from ringback.store import Idempotency, Page, absence, open_store
from ringback.store.postgres import database

SOON = 5.0
BRIEF = "300ms"
# Says no to encryption, which is asked for in eight bytes, and to everything else what a server says that recovers.
UNREADY = r"""
import socket
refusal = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
listener = socket.socket(fileno=0)
while True:
    connection, _ = listener.accept()
    with connection:
        while len(connection.recv(1_000)) == 8:
            connection.sendall(b"N")
        connection.sendall(b"E" + (len(refusal) + 4).to_bytes(4) + refusal)
"""


@pytest.fixture
def url():
    return postgres_server().new_database()


@pytest.fixture
def scene(url):
    with contextlib.closing(open_store(url, VAULT)) as store:
        yield Scene(store)


def brief(begin):
    """Return how a transaction begins, with all its time limits short."""
    return re.sub(r"'\d+s'", f"'{BRIEF}'", begin)


def lose_all(url):
    """Have the server close all connections to a database, as it does when it is restarted."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def cancel_whoever_waits(url):
    """Have the server end the statement that waits for a lock of a database, as soon as there is one."""
    cancel = (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute(cancel).fetchall():
            time.sleep(0.01)


def interrupted(scene, event):
    """Begin a transaction in the middle of which something happens."""
    with scene.store.transaction():
        scene.application(uid="lost")
        event()
        scene.application(uid="later")


def test_connections_that_were_lost_while_idle_are_not_missed(scene, url):
    """After the server has closed every connection, the next change and the next question succeed as if nothing was."""
    application = scene.application(uid="acme")
    assert scene.store.applications(Page()) == [application]
    for _ in range(3):
        lose_all(url)
        scene.write(scene.store.change_application, "acme", lambda record: record)
        assert [one.id for one in scene.store.applications(Page())] == [application.id]


def test_a_transaction_that_loses_its_connection_fails(scene, url):
    """What was under way is not done by halves: it fails as a whole, and the next one has a new connection."""
    with pytest.raises(StoreUnavailable):
        interrupted(scene, lambda: lose_all(url))
    assert scene.store.applications(Page()) == []
    assert scene.application(uid="acme").uid == "acme"


def test_a_statement_does_not_run_for_ever(scene, monkeypatch):
    """A statement that takes too long is ended by the server, and the store can be used at once."""
    monkeypatch.setattr(database, "BEGIN", brief(database.BEGIN))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="statement timeout"), scene.store.transaction():
        scene.store.rows("SELECT pg_sleep(60)")
    assert time.monotonic() - began < SOON
    assert scene.application(uid="acme").uid == "acme"


def test_a_transaction_does_not_sit_idle_for_ever(scene, monkeypatch):
    """One whose node does nothing more is ended by the server, so that it holds up nobody."""
    monkeypatch.setattr(database, "BEGIN", brief(database.BEGIN))
    with pytest.raises(StoreUnavailable):
        interrupted(scene, lambda: time.sleep(1))
    assert scene.store.applications(Page()) == []
    assert scene.application(uid="acme").uid == "acme"


def test_timeouts_are_those_of_every_transaction(scene):
    """What is set is read back: half a minute for a statement, five seconds of doing nothing, six of waiting."""
    with scene.store.transaction():
        (found,) = scene.store.rows(
            "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'),"
            " current_setting('lock_timeout'), current_setting('synchronous_commit')"
        )
    assert found == ("30s", "5s", "6s", "on")


def test_what_was_undone_is_never_taken_for_done(scene):
    """Where a part failed and nobody minded, PostgreSQL undoes the whole; so the whole is told to have failed."""

    def change():
        with scene.store.transaction():
            scene.application(uid="acme")
            with contextlib.suppress(StoreUnavailable):
                scene.store.rows("SELECT 1 / 0")

    with pytest.raises(StoreUnavailable, match="undid"):
        change()
    assert scene.store.applications(Page()) == []


def test_what_follows_a_loss_is_not_kept_without_what_came_before(scene, url):
    """Where a part found the connection lost and nobody minded, nothing that comes later is written on another one."""
    first, last = scene.new_application(uid="first"), scene.new_application(uid="last")

    def change():
        with scene.store.transaction():
            scene.store.add(first)
            lose_all(url)
            with contextlib.suppress(StoreUnavailable):
                scene.store.applications(Page())
            scene.store.add(last)

    with pytest.raises(StoreUnavailable, match="middle of a change"):
        change()
    assert scene.store.applications(Page()) == []
    assert scene.application(uid="acme").uid == "acme"


def test_a_batch_that_loses_its_connection_is_answered_as_a_whole(scene, url):
    """One of its messages found the connection lost: none of the others is stored by halves and taken for whole."""
    acme = scene.application(uid="acme")
    scene.endpoint(acme)
    use = Idempotency("message", "once", b"same")
    scene.publish(acme, idempotency=use)
    new, again = scene.acceptance(acme), scene.acceptance(acme, idempotency=use)
    with pytest.raises(StoreUnavailable):
        scene.accept(new, again, admit=lambda _: lose_all(url) is None)
    with pytest.raises(NotFound):
        scene.store.message(acme.id, new.id)


def test_a_transaction_that_fails_as_it_begins_is_left_behind(scene, url):
    """A statement that somebody cancels there costs what it was for, and nothing that is asked later."""
    with psycopg.connect(url) as other, ThreadPoolExecutor(1) as threads:
        other.execute("LOCK TABLE ringback_catalog IN ACCESS EXCLUSIVE MODE")
        failing = threads.submit(scene.due)
        cancel_whoever_waits(url)
        with pytest.raises(StoreUnavailable, match="canceling"):
            failing.result()
        other.rollback()
        assert threads.submit(scene.due).result() == []  # the thread has a connection of its own


def test_a_server_that_has_become_a_standby_is_left(scene):
    """Who finds that the server only reads connects anew for the next change: the primary may be another by then."""
    with scene.store.transaction():
        scene.store.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises(StoreUnavailable, match="read-only"):
        scene.application(uid="lost")
    assert scene.application(uid="acme").uid == "acme"


def test_a_default_isolation_level_makes_no_difference(url):
    """Where transactions are serializable by default, those of a node wait for rows and go on, as everywhere else."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    with contextlib.closing(open_store(url, VAULT)) as store, store.transaction():
        assert store.rows("SELECT current_setting('transaction_isolation')") == [("read committed",)]


def test_a_server_that_only_reads_is_refused(url):
    """A database that takes no changes, as a standby's, is refused at the start, with what to do about it."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(postgres_server().admin_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(ConfigurationError, match=r"read-only.*name the primary"):
        open_store(url, VAULT)


def test_a_default_encoding_makes_no_difference(url):
    """Where a database has its clients write in another encoding, a node writes every character all the same."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET client_encoding = 'LATIN1'")
    with contextlib.closing(open_store(url, VAULT)) as store:
        found = Scene(store).application(name="株式会社", uid="株式会社")
        assert store.application("株式会社") == found


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_character_is_refused(encoding):
    """It is left untouched, and told what it would have to be."""
    name = f"in_{encoding.lower()}"
    with psycopg.connect(postgres_server().admin_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(ConfigurationError, match=f"encoding is UTF8, not {encoding}"):
        open_store(postgres_server().url(name), VAULT)


def test_a_store_tells_the_database_s_time(scene, url):
    """The time is the server's, in milliseconds."""
    with psycopg.connect(url) as connection:
        (before,) = connection.execute("SELECT extract(epoch FROM clock_timestamp()) * 1000").fetchone()
    assert 0 <= scene.store.now() - int(before) < DAY


@pytest.mark.parametrize(
    "wrong",
    [
        "postgresql://u:s3cret@127.0.0.1:1/x",
        "postgresql://u@127.0.0.1:1/x?password=s3cret",
        "postgresql://u:s3cret@[broken/x",
    ],
)
def test_errors_tell_no_password(wrong):
    """A server that cannot be reached, or an address that cannot be read, is told of without its password."""
    with pytest.raises(ConfigurationError) as refused:
        open_store(wrong, VAULT)
    assert "s3cret" not in str(refused.value)


@contextlib.contextmanager
def recovering():
    """Run what answers everybody as a server does that is not ready yet; yield its address."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        # In a process of its own: libpq's question holds up all threads of the one that asks.
        subprocess.Popen([sys.executable, "-c", UNREADY], stdin=listener) as server,
    ):
        try:
            yield f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/x"
        finally:
            server.kill()


def test_a_server_that_recovers_is_waited_for(url):
    """Who is not ready or not there is absent for now, without being asked for anything; what cannot be read is not."""
    with recovering() as unready:
        assert absence(unready) == "the server is starting, stopping or recovering"
    assert absence(unready) == "nothing answers there"
    known = psycopg.conninfo.make_conninfo(url, user="a stranger", dbname="another")
    assert [absence(one) for one in (url, known, "postgresql://u@[broken/x", "sqlite:///x.db")] == [None] * 4


def test_nobody_waits_for_ever(caplog):
    """A node that has waited as long as it may says what for and what to do; it has said that it waits, once."""
    with recovering() as unready:
        settings = load({"store": unready.replace("u@", "u:s3cret@")}, {}, None)
        with pytest.raises(ConfigurationError, match=r"recovering, after 0.5 seconds\. .*--store") as refused:
            asyncio.run(until_there(settings, 0.5))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("waits up to 0.5 seconds for postgresql://u")
    assert "s3cret" not in caplog.text + str(refused.value)
