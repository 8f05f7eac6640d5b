"""Nodes that deliver in order are killed in the middle of it: never does a message come after a later one.

Real processes and sockets: one node accepts, two deliver, and the receiver keeps the books.
"""

import json
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise

import pytest
from running import ADMIN_TOKEN, ANYWHERE, MAIN_KEY, Answer, receiving, running

from postgres_server import postgres_server

MESSAGES = 300
MOODY = 25
KILLED_AFTER = (60, 180)
SETTINGS = {
    "admin_token": ADMIN_TOKEN,
    "main_key": MAIN_KEY,
    "allow_subnets": "127.0.0.0/8",
    "retry_schedule": "200ms,200ms",
    "poll_interval": "50ms",
    # What a killed node was at is taken over after this and 15 seconds.
    "delivery_timeout": "1s",
}
TAKEN_OVER_WITHIN = 90


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path):
    """The address of an empty store, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ringback.db'}"
    return postgres_server().new_database()


def number_of(arrival):
    """Return which message it is."""
    return json.loads(arrival.body)["number"]


def moody():
    """Return what answers: a few milliseconds late, and to every 25th message first with a 500."""
    tries = Counter()

    def answer(arrival):
        number = number_of(arrival)
        tries[number] += 1
        failing = number % MOODY == MOODY - 1 and tries[number] == 1
        return Answer(500 if failing else 204, seconds=0.003)

    return answer


def test_order_outlives_the_nodes_that_keep_it(tmp_path, store):
    """Every message arrives, and whatever comes again does so before the next; only what a kill caught comes again."""
    with receiving(moody()) as receiver, ExitStack() as running_nodes:

        def node(*command):
            return running_nodes.enter_context(running(*command, folder=tmp_path, store=store, **SETTINGS))

        accepting = node("serve", "--no-worker", "--listen", ANYWHERE)
        workers = [node("worker"), node("worker")]
        api = running_nodes.enter_context(accepting.api())
        api.post("/app", {"name": "Acme", "uid": "acme"})
        api.post("/app/acme/endpoint", {"url": f"{receiver.url}/hook", "ordered": True})
        for number in range(MESSAGES):
            api.post("/app/acme/msg", {"eventType": "invoice.paid", "payload": {"number": number}})
        for count in KILLED_AFTER:
            receiver.until(lambda count=count: len(receiver.succeeded) >= count, TAKEN_OVER_WITHIN)
            workers.pop(0).kill()
            workers.append(node("worker"))
        receiver.until(lambda: len(receiver.succeeded) == MESSAGES, TAKEN_OVER_WITHIN)
        for worker in (*workers, accepting):
            assert worker.stop() == 0
    numbers = [number_of(arrival) for arrival in receiver.seen()]
    assert all(later >= earlier for earlier, later in pairwise(numbers))
    again = sum(count - 1 for count in receiver.succeeded.values())
    assert again <= len(KILLED_AFTER)
