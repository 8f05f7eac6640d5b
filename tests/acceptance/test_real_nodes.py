"""Real nodes over one PostgreSQL: some accept, some deliver, one is killed; and a pooler may stand between."""

import contextlib
import os
import socket
import subprocess
import time
from collections import Counter

import pytest
from bench.postgres import free_port
from bench.postgres import running as running_postgres
from running import ADMIN_TOKEN, ANYWHERE, LOOPBACK, MAIN_KEY, receiving, running
from scripts import pgbouncer

RATE = 10
# Requests that were held up on the way come closer together than they were sent.
SLACK = 3
PATHS = [f"/hook-{number}" for number in range(6)]
PATIENCE = 30
PASSWORD = "a_password_that_nobody_is_told"
SETTINGS = {
    "admin_token": ADMIN_TOKEN,
    "main_key": MAIN_KEY,
    "allow_subnets": "127.0.0.0/8",
    # What a node held when it was killed is taken again after this and 15 seconds.
    "delivery_timeout": "1s",
}
POOLER = pgbouncer.found()
POOLER_SETTINGS = """
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
max_client_conn = 200
"""


@pytest.fixture
def server():
    """A server of this test's own, over TCP."""
    with running_postgres(listens=True) as started:
        yield started


@contextlib.contextmanager
def nodes(folder, store, workers):
    """Run a node that accepts and some that deliver; yield them."""
    with contextlib.ExitStack() as stack:
        serve = ("serve", "--no-worker", "--listen", ANYWHERE)
        api = stack.enter_context(running(*serve, folder=folder, store=store, **SETTINGS))
        yield (
            api,
            [
                stack.enter_context(running("worker", folder=folder, store=store, **SETTINGS))
                for _ in range(workers)
            ],
        )


def publish(api, count):
    body = {"eventType": "invoice.paid", "payload": {"n": 1}}
    return [api.post("/app/acme/msg", body)["id"] for _ in range(count)]


def states(api):
    return Counter((row["state"], *row["roles"]) for row in api.get("/node")["data"])


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def most_within(instants, duration):
    return max(sum(first <= one < first + duration for one in instants) for first in instants)


@pytest.mark.alone
def test_rates_outlive_the_node_that_keeps_them(tmp_path, server):
    """Of three nodes one accepts; of the two that deliver to endpoints with a rate one is killed, the other goes on.

    Every message arrives everywhere, no rate is exceeded, and the registry tells who lives. Nobody tells the password
    of the store.
    """
    store = server.address(server.new_database()).replace("postgres@", f"postgres:{PASSWORD}@")
    with receiving() as receiver, nodes(tmp_path, store, 2) as (accepting, workers), accepting.api() as api:
        wait_for(lambda: states(api) == {("alive", "api"): 1, ("alive", "worker"): 2})
        api.post("/app", {"name": "Acme", "uid": "acme"})
        for path in PATHS:
            api.post("/app/acme/endpoint", {"url": f"{receiver.url}{path}", "throttleRate": RATE})
        time.sleep(6)  # until each worker knows that all others know it
        ids = publish(api, 6 * RATE)
        receiver.until(lambda: all(at(receiver.ledger, path) for path in PATHS))
        workers[0].kill()
        receiver.until(lambda: len(receiver.succeeded) == len(ids) * len(PATHS), within=90)
        assert states(api)["silent", "worker"] == 1
        assert workers[1].stop() == 0
        assert states(api)["stopped", "worker"] == 1
        assert accepting.stop() == 0
    for path in PATHS:
        instants = at(receiver.seen(), path)
        assert most_within(instants, 1.0) <= 2 * RATE + SLACK
        assert most_within(instants, 3.0) <= 4 * RATE + SLACK
    assert not [line for node in (accepting, *workers) for line in node.lines if PASSWORD in line]


def at(arrivals, path):
    """Return when requests came in at a path."""
    return [arrival.arrived for arrival in arrivals if arrival.path == path]


@pytest.mark.skipif(POOLER is None, reason="pgbouncer is not installed")
def test_nodes_work_behind_a_pooler(tmp_path, server):
    """Through PgBouncer in transaction mode, with fewer connections than the nodes would have, all is delivered."""
    with pooling(tmp_path, server) as port:
        store = server.address(server.new_database(), port)
        with (
            receiving() as receiver,
            nodes(tmp_path, store, 2) as (accepting, workers),
            accepting.api() as api,
        ):
            api.post("/app", {"name": "Acme", "uid": "acme"})
            api.post("/app/acme/endpoint", {"url": f"{receiver.url}/hook"})
            ids = publish(api, 200)
            receiver.until(lambda: len(receiver.succeeded) == len(ids))
            assert states(api)["alive", "worker"] == 2
            assert [node.stop() for node in (*workers, accepting)] == [0, 0, 0]
    assert receiver.succeeded == {("/hook", message): 1 for message in ids}


@contextlib.contextmanager
def pooling(folder, server):
    """Run PgBouncer before a server; yield its port."""
    port = free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(POOLER_SETTINGS.format(host=LOOPBACK, port=server.port, listen=port))
    # As root it refuses to run.
    command = [POOLER, *(("-u", "nobody") if os.geteuid() == 0 else ()), str(settings)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as pooler:
        try:
            wait_for(lambda: _listens(port))
            yield port
        finally:
            pooler.terminate()


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False
