"""`ringback db`, `ringback nodes` and the doctor, on either kind of database."""

import base64
import contextlib
import json

import psycopg
import pytest
from line import registration

from postgres_server import postgres_server
from ringback.cli import run
from ringback.model import Application
from ringback.outbox import system_clock
from ringback.policy import DAY
from ringback.store import Acceptance, Lease, MessageFilter, Page, examine_store, open_store
from ringback.store.postgres.upkeep import PRUNING
from ringback.vault import Vault

KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path):
    """The address of a database without tables, of each kind in turn."""
    return (
        f"sqlite:///{tmp_path / 'ringback.db'}"
        if request.param == "sqlite"
        else postgres_server().url(_bare_database())
    )


def _bare_database():
    return psycopg.conninfo.conninfo_to_dict(postgres_server().new_database("template1"))["dbname"]


@contextlib.contextmanager
def opened(url):
    with contextlib.closing(open_store(url, Vault(bytes(32)))) as store:
        yield store


def findings(capsys, *words):
    code = run([*words, "--json"])
    return code, {(one["about"], one["verdict"]): one for one in json.loads(capsys.readouterr().out)}


def test_migrate_makes_the_tables(empty_url, capsys):
    """An empty database gets its tables, and one that has them is left as it is."""
    assert run(["db", "migrate", "--store", empty_url]) == 0
    assert "is migrated from schema 0 to" in capsys.readouterr().err
    assert examine_store(empty_url).schema == examine_store(empty_url).newest
    assert run(["db", "migrate", "--store", empty_url]) == 0
    assert "has the current schema" in capsys.readouterr().err


def test_check_finds_a_sound_database_sound(store_url, capsys):
    """What is fine is told as ok; nothing that is looked at is broken but what a careless server is."""
    with opened(store_url):
        pass
    code, found = findings(capsys, "db", "check", "--store", store_url)
    assert ("store", "ok") in found
    assert ("queue", "ok") in found
    if store_url.startswith("sqlite"):
        assert (code, found.keys()) == (0, {("store", "ok"), ("database", "ok"), ("queue", "ok")})
    else:
        # The tests' server does not wait for its disk, which is what a check is for.
        assert code == 10
        assert "fsync = off" in found["database", "broken"]["what"]
        assert {("vacuum", "ok"), ("transactions", "ok")} <= found.keys()


def test_check_opens_no_other_schema(empty_url, capsys):
    """A database that is empty is told to be, and stays so."""
    _, found = findings(capsys, "db", "check", "--store", empty_url)
    assert list(found) == [("store", "warning")]
    assert examine_store(empty_url).schema is None


def test_check_finds_what_is_wrong(capsys):
    """An index that is not valid, a day's table on its own, a transaction that is never ended: each is named."""
    url = postgres_server().new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ringback_message_20200101 (key bigint)")
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ringback_application_uid'::regclass"
        )
    code, _ = findings(capsys, "db", "check", "--store", url)
    assert code == 10
    assert run(["db", "check", "--store", url]) == 10
    told = capsys.readouterr().out
    assert "the index ringback_application_uid is invalid" in told
    assert "the table ringback_message_20200101 is no part of its whole" in told


def test_prune_says_what_is_in_its_way(capsys):
    """While another node removes, it is left to that one; nothing is called done that is not."""
    url = postgres_server().new_database()
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (PRUNING,))
        assert run(["db", "prune", "--store", url]) == 0
    told = capsys.readouterr().err
    assert "another node is removing at this moment; the rest is for later" in told


def test_prune_removes_what_is_old(store_url, capsys):
    """What is past retention goes at once, what is not stays, and days are made ahead."""
    now = system_clock()
    with opened(store_url) as store:
        application = Application(id="app_" + "0" * 27, name="Acme", created_at=now, updated_at=now)
        ages = {"old": 10 * DAY, "older": 11 * DAY, "young": DAY // 24}
        with store.transaction():
            store.add(application)
            store.accept(
                [
                    Acceptance(
                        application=application.id,
                        id=f"msg_{number:027}",
                        event_type="a",
                        payload=b"{}",
                        created_at=now - age,
                        event_id=name,
                    )
                    for number, (name, age) in enumerate(sorted(ages.items(), key=lambda one: -one[1]))
                ],
                Lease(1, now),
                lambda _: True,
            )
    assert run(["db", "prune", "--store", store_url, "--retention", "2d"]) == 0
    assert "2 messages removed in all" in capsys.readouterr().err
    with opened(store_url) as store:
        left = store.messages(application.id, MessageFilter(), Page())
        assert [one.event_id for one in left] == ["young"]
    _, found = findings(capsys, "db", "check", "--store", store_url)
    assert store_url.startswith("sqlite") or "2 more days" in found["days", "ok"]["what"]


def test_nodes_are_listed(store_url, capsys):
    """The nodes of a store are listed with their states, as a table and as JSON."""
    now = system_clock()
    with opened(store_url) as store, store.transaction():
        store.beat(registration(now, name="here"))
        store.beat(registration(now - DAY // 2, name="lost"))
    assert run(["nodes", "--store", store_url]) == 0
    heading, lost, here = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["NAME", "ROLES", "STATE"]
    assert (lost.split()[:3], here.split()[:3]) == (["lost", "worker", "silent"], ["here", "worker", "alive"])
    assert run(["nodes", "--store", store_url, "--json"]) == 0
    assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["silent", "alive"]


def test_the_doctor_examines_postgres(capsys, monkeypatch):
    """The doctor looks at schema, database, queue and key, and says what is missing."""
    url = postgres_server().new_database()
    code, found = findings(capsys, "doctor", "--store", url)
    assert code == 10
    assert "RINGBACK_MAIN_KEY" in found["key", "broken"]["advice"]
    monkeypatch.setenv("RINGBACK_MAIN_KEY", KEY)
    _, found = findings(capsys, "doctor", "--store", url)
    assert {
        ("settings", "ok"),
        ("store", "ok"),
        ("vacuum", "ok"),
        ("queue", "ok"),
        ("key", "ok"),
    } <= found.keys()
    assert ("key", "broken") not in found
