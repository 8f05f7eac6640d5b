"""An application publishes in its own transaction and a node delivers: soon after the commit, and never without one."""

import contextlib
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from running import ADMIN_TOKEN, ANYWHERE, MAIN_KEY, environment, receiving, running

from ringback import Publisher

SETTINGS = {"admin_token": ADMIN_TOKEN, "main_key": MAIN_KEY, "allow_subnets": "127.0.0.0/8"}
PICKED_UP_WITHIN = 0.1
MOMENTS = ("before the commit", "after the commit")
APPLICATION = """
import sqlite3, sys
import psycopg
from ringback import Publisher

store, moment = sys.argv[1:]
tx = psycopg.connect(store) if store.startswith("postgres") else sqlite3.connect(store.removeprefix("sqlite:///"))
tx.execute("BEGIN")
tx.execute(f"INSERT INTO shop_order VALUES ('{moment}')")
Publisher(store, shared=True).outbox.publish("acme", "order.paid", {"moment": moment}, tx=tx)
if moment == "after the commit":
    tx.commit()
print("now", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(store, tmp_path):
    """Where an empty database is, of each kind in turn."""
    return store.get("store", f"sqlite:///{tmp_path / 'shop.db'}")


@contextlib.contextmanager
def shop(place, folder, receiver):
    """Run a node with one endpoint, and the application's connection to the same database."""
    with running("serve", "--listen", ANYWHERE, "--store", place, folder=folder, **SETTINGS) as node:
        with node.api() as api:
            api.post("/app", {"name": "Acme", "uid": "acme"})
            api.post("/app/acme/endpoint", {"url": f"{receiver.url}/hook"})
        with contextlib.closing(connected(place)) as connection:
            connection.execute("CREATE TABLE shop_order (reference text)")
            connection.commit()
            yield connection


def connected(place):
    if place.startswith("sqlite"):
        return sqlite3.connect(place.removeprefix("sqlite:///"), timeout=60)
    return psycopg.connect(place)


@pytest.mark.alone
def test_what_is_committed_is_picked_up_at_once(place, tmp_path):
    """From the commit to the request's arrival it takes less than a tenth of a second, although nodes look seldom."""
    taken = []
    with (
        receiving() as receiver,
        shop(place, tmp_path, receiver) as connection,
        Publisher(place, shared=True, main_key=MAIN_KEY) as publisher,
    ):
        for number in range(40):
            connection.execute(f"INSERT INTO shop_order VALUES ('{number}')")
            publisher.outbox.publish("acme", "order.paid", {"number": number}, tx=connection)
            connection.commit()
            committed = time.monotonic()
            receiver.until(lambda number=number: len(receiver.ledger) > number)
            taken.append(receiver.seen()[-1].arrived - committed)
    taken.sort()
    median, high = taken[len(taken) // 2], taken[len(taken) * 9 // 10]
    print(f"picked up after {median * 1000:.0f} ms (median), {high * 1000:.0f} ms (nine in ten)")
    assert median < PICKED_UP_WITHIN


def test_sql_alone_is_picked_up_at_once(store, tmp_path):
    """Any language can publish on PostgreSQL; on SQLite there is nothing to call."""
    if not store:
        pytest.skip("SQLite has no functions of Ringback's")
    with receiving() as receiver, shop(store["store"], tmp_path, receiver) as connection:
        connection.execute("SELECT ringback.publish('acme', 'order.paid', '{\"id\": 1}'::jsonb)")
        connection.commit()
        receiver.until(lambda: receiver.ledger)
        assert receiver.seen()[0].body == b'{"id": 1}'


def test_a_killed_application_leaves_both_or_neither(place, tmp_path):
    """Killed between its insert and its commit, an application leaves neither order nor message; after it, both."""
    with receiving() as receiver, shop(place, tmp_path, receiver) as connection:
        for moment in MOMENTS:
            kill_at(moment, place, tmp_path)
        receiver.until(lambda: receiver.ledger)
        orders = connection.execute("SELECT reference FROM shop_order").fetchall()
        messages = connection.execute("SELECT payload FROM ringback_message").fetchall()
    assert orders == [("after the commit",)]
    assert [bytes(payload) for (payload,) in messages] == [b'{"moment":"after the commit"}']
    assert [arrival.body for arrival in receiver.seen()] == [b'{"moment":"after the commit"}']


def kill_at(moment: str, place: str, folder: Path) -> None:
    """Run the application up to a moment; then kill it."""
    with subprocess.Popen(
        [sys.executable, "-c", APPLICATION, place, moment],
        cwd=folder,
        env=environment(SETTINGS),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"now\n"
        process.kill()
