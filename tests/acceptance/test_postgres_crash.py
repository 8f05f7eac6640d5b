"""PostgreSQL crashes under a node: what was acknowledged is there, and the node goes on by itself."""

import itertools
import threading
import time

import psycopg
import pytest
from bench.postgres import DURABLE
from bench.postgres import running as running_postgres
from running import ADMIN_TOKEN, ANYWHERE, MAIN_KEY, receiving, running

PUBLISHERS = 4
CRASHES = 3
RECONNECTED_WITHIN = 5
# A server on which nothing is durable but what asks to be: nobody writes its log out for ten seconds.
LAZY = DURABLE | {"synchronous_commit": "off", "wal_writer_delay": "10s", "bgwriter_lru_maxpages": "0"}
SETTINGS = {
    "admin_token": ADMIN_TOKEN,
    "main_key": MAIN_KEY,
    "allow_subnets": "127.0.0.0/8",
    "poll_interval": "50ms",
    # What a node had leased when the server crashed is taken again after this and 15 seconds.
    "delivery_timeout": "1s",
}


@pytest.fixture
def server():
    """A server of this test's own, which may be killed."""
    with running_postgres(settings=LAZY) as started:
        yield started


class Publisher(threading.Thread):
    """Publishes until it is told to stop, each message until it is acknowledged, and keeps the books."""

    def __init__(self, node, name, over):
        super().__init__()
        self.acknowledged = {}
        self._node = node
        self._name = name
        self._over = over

    def run(self):
        """See ``Thread``."""
        with self._node.api() as api:
            for number in itertools.count():
                if self._over.is_set():
                    return
                self._publish(api, f"{self._name}-{number}")

    def _publish(self, api, key):
        body = b'{"eventType":"invoice.paid","payload":{"number":"%s"}}' % key.encode()
        while True:
            status, answer = api.ask("POST", "/api/v1/app/acme/msg", body, idempotency_key=key)
            if status == 202:
                self.acknowledged[key] = (time.monotonic(), answer["id"])
                return
            assert status == 503, answer
            if self._over.wait(0.02):
                return


@pytest.mark.slow
def test_what_was_acknowledged_outlives_every_crash_of_the_server(tmp_path, server):
    """All of PostgreSQL's processes are killed, three times, under load: no message is lost, none is stored twice.

    The node is back at work within five seconds of the server's being there again.
    """
    url = server.url(server.new_database())
    over = threading.Event()
    with (
        receiving() as receiver,
        running("serve", "--listen", ANYWHERE, "--store", url, folder=tmp_path, **SETTINGS) as node,
    ):
        with node.api() as api:
            api.post("/app", {"name": "Acme", "uid": "acme"})
            api.post("/app/acme/endpoint", {"url": f"{receiver.url}/hook"})
        publishers = [Publisher(node, name, over) for name in range(PUBLISHERS)]
        for publisher in publishers:
            publisher.start()
        back = []
        for crash in range(CRASHES):
            before = len(receiver.seen())
            receiver.until(lambda before=before: len(receiver.ledger) > before + 50)
            server.kill() if crash % 2 else server.restart("immediate")
            back.append(time.monotonic())
            time.sleep(1)
        over.set()
        for publisher in publishers:
            publisher.join()
        heard = sorted(entry for publisher in publishers for entry in publisher.acknowledged.values())
        receiver.until(lambda: len(receiver.succeeded) >= len(heard))
        assert node.stop() == 0
    ids = [message for _, message in heard]
    print(f"{len(ids)} acknowledged, {len(receiver.seen())} deliveries")
    assert len(set(ids)) == len(ids)
    assert {message for _, message in receiver.succeeded} >= set(ids)
    for moment in back:
        first = min(at for at, _ in heard if at > moment)
        assert first - moment < RECONNECTED_WITHIN


def test_the_server_does_forget(server):
    """The control: what was committed on this server without asking for durability is lost in a crash."""
    url = server.url(server.new_database())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (number integer)")
        connection.execute("SET synchronous_commit = on")
        connection.execute("INSERT INTO kept VALUES (1)")
        connection.execute("SET synchronous_commit = off")
        connection.execute("INSERT INTO kept VALUES (2)")
    server.kill()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]
