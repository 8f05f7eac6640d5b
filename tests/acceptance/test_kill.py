"""The server is killed again and again while it accepts and delivers: nothing is lost, nothing is made up.

The publishers and the receiver outlive it and keep the books. ``KILL_SEED=7 pytest ...`` plays another game.
"""

import http.client
import itertools
import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from typing import NamedTuple

import pytest
from running import ADMIN_TOKEN, Answer, Api, receiving, running

SEED = int(os.environ.get("KILL_SEED", "1"))
KILLS = 20
PUBLISHERS = 4
STEADY, MOODY = PATHS = ("/steady", "/moody")
SETTINGS = {
    "admin_token": ADMIN_TOKEN,
    "allow_subnets": "127.0.0.0/8",
    "retry_schedule": "1s,2s,5s",
    # What a killed server leaves behind is taken over after this and 15 seconds.
    "delivery_timeout": "3s",
    "poll_interval": "100ms",
}
TAKEN_OVER_WITHIN = 90
# A success is settled by the commit that comes next after the worker has read the answer, and publishing waits for
# a commit too. So what was answered before somebody published this often, one after the other, was settled. This
# is some milliseconds; counting them instead would hold the server to account for when the machine gave it no turn.
SETTLED_AFTER_PUBLISHING = 3


class Life(NamedTuple):
    """The instants at which one server was ready and, None for the last, at which it was killed."""

    ready: float
    killed: float | None = None


class Lives:
    """Tells the publishers when there is a server, and when to finish."""

    def __init__(self):
        self.over = False
        self._count = 0
        self._changed = threading.Condition()

    def begin(self):
        """Say that another life has begun."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def after(self, life):
        """Wait for a life later than *life* and return it."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > life)
            return self._count


class Sent:
    """A message that a publisher sent at least once, and the id that it was accepted with, if it heard of it."""

    def __init__(self, number, key):
        self.number = number
        self.payload = b'{"number":%d,"filler":"%s"}' % (number, b"x" * (number * 37 % 2_000))
        self.key = key
        self.id = None
        self.tries = 0


class Publisher(threading.Thread):
    """Publishes on one connection for as long as there is a server, then on another to the next server.

    Every second message has an idempotency key, and is sent again when its answer was lost.
    """

    def __init__(self, name, lives, port):
        super().__init__()
        self.sent = []
        self.accepted = []
        self.refusals = []
        self._numbers = iter(range(name, 10**9, PUBLISHERS))
        self._lives = lives
        self._port = port
        self._unanswered = None

    def run(self):
        """Publish until the end, and leave no message with a key unanswered."""
        life = 0
        while self._unanswered or not self._lives.over:
            life = self._lives.after(life)
            with Api(self._port) as api, suppress(OSError, http.client.HTTPException):
                while self._unanswered or not self._lives.over:
                    self._publish(api, self._unanswered or self._next())

    def accepted_between(self, begin, end):
        """Return how many messages it began to publish after *begin* and heard of before *end*."""
        return sum(begin <= begun and heard <= end for begun, heard in self.accepted)

    def _next(self):
        number = next(self._numbers)
        message = Sent(number, f"key-{number}" if number // PUBLISHERS % 2 else None)
        self.sent.append(message)
        return message

    def _publish(self, api, message):
        message.tries += 1
        self._unanswered = message if message.key else None
        body = b'{"eventType":"invoice.paid","payload":%s}' % message.payload
        headers = {"idempotency_key": message.key} if message.key else {}
        begun = time.monotonic()
        status, answer = api.ask("POST", "/api/v1/app/acme/msg", body, **headers)
        self._unanswered = None
        if status == 202:
            message.id = answer["id"]
            self.accepted.append((begun, time.monotonic()))
        else:
            self.refusals.append((status, answer))


def moods():
    """Return how the receiver answers: one endpoint always at once, the other as its mood at a message is."""
    refused = set()

    def answer(arrival):
        chance = random.Random(f"{SEED} {arrival.id}").random()
        if arrival.path == STEADY or chance > 0.2:
            return Answer()
        if chance > 0.1:
            return Answer(seconds=3 * (chance - 0.1))
        if arrival.id in refused:
            return Answer()
        refused.add(arrival.id)
        return Answer(500)

    return answer


def begin(folder, store, receiver):
    """Make an application with both endpoints, and leave no server; return the port to go on with."""
    with running("serve", "--listen", "127.0.0.1:0", folder=folder, **SETTINGS, **store) as server:
        with server.api() as api:
            api.post("/app", {"name": "Acme", "uid": "acme"})
            for path in PATHS:
                api.post("/app/acme/endpoint", {"url": receiver.url + path})
        assert server.stop() == 0
        return server.port


def live_and_die(folder, store, port, lives):
    """Run one server after another and kill each at a random moment; return their lives."""
    moments = random.Random(SEED)
    lived = []
    for _ in range(KILLS):
        with running("serve", "--listen", f"127.0.0.1:{port}", folder=folder, **SETTINGS, **store) as server:
            ready = time.monotonic()
            lives.begin()
            threading.Event().wait(moments.uniform(0.05, 0.6))
            lived.append(Life(ready, time.monotonic()))
            server.kill()
    return lived


@pytest.mark.slow
def test_nothing_is_lost_however_often_the_server_is_killed(tmp_path, store):
    """What was answered with 202 is delivered, under one id; only what a kill caught is delivered twice."""
    with receiving(moods()) as receiver:
        port = begin(tmp_path, store, receiver)
        lives = Lives()
        publishers = [Publisher(name, lives, port) for name in range(PUBLISHERS)]
        for publisher in publishers:
            publisher.start()
        lived = live_and_die(tmp_path, store, port, lives)
        with running(
            "serve", "--listen", f"127.0.0.1:{port}", folder=tmp_path, **SETTINGS, **store
        ) as server:
            lived.append(Life(time.monotonic()))
            lives.over = True
            lives.begin()
            for publisher in publishers:
                publisher.join()
            sent = [message for publisher in publishers for message in publisher.sent]
            await_deliveries(receiver, sent)
            assert server.stop() == 0
        ledger = receiver.seen()

    assert [refusal for publisher in publishers for refusal in publisher.refusals] == []
    check_ids(sent, ledger)
    check_duplicates(ledger, lived, publishers)


def await_deliveries(receiver, sent):
    """Wait until everything that was accepted has been delivered to both endpoints."""
    missing = [(path, message.id) for message in sent if message.id for path in PATHS]

    def all_delivered():
        while missing and missing[-1] in receiver.succeeded:
            missing.pop()
        return not missing

    receiver.until(all_delivered, TAKEN_OVER_WITHIN)


def check_ids(sent, ledger):
    """Check that each delivery is of a message that was sent, byte for byte, and that each has one id."""
    by_number = {message.number: message for message in sent}
    ids = defaultdict(set)
    for arrival in ledger:
        number = json.loads(arrival.body)["number"]
        assert arrival.body == by_number[number].payload
        ids[number].add(arrival.id)
    assert {number: found for number, found in ids.items() if len(found) > 1} == {}
    for message in sent:
        assert not message.id or ids[message.number] == {message.id}
    unheard = sum(message.id is None for message in sent)
    repeated = sum(message.tries > 1 for message in sent)
    print(f"\n{len(sent)} sent, {unheard} never answered, {repeated} repeated with their key")
    assert repeated, "no answer to a message with a key was lost, so repeating was not tried"


def check_duplicates(ledger, lived, publishers):
    """Check that whatever was delivered again, after a success, had been caught by a kill.

    That is, the kill came while the delivery was under way, or before its success can have been settled.
    """
    successes = defaultdict(list)
    for arrival in ledger:
        if arrival.ok:
            successes[arrival.path, arrival.id].append(arrival)
    again = [arrival for same in successes.values() for arrival in sorted(same, key=answered)[:-1]]
    per_kill, unexplained = Counter(), []
    for arrival in again:
        killed = kill_after(arrival, lived)
        per_kill[killed] += 1
        if killed is None or settled_before(killed, arrival, publishers):
            unexplained.append((arrival.path, arrival.id, killed and killed - arrival.answered))
    print(f"{len(successes)} delivered, {len(again)} of them again; by kill {sorted(per_kill.values())}")
    assert unexplained == []


def kill_after(arrival, lived):
    """Return when the server that sent a delivery was killed; None if it was the last one, which was not.

    Until the next server is ready, what comes is still from the one before: the receiver may be late to read.
    """
    following = itertools.pairwise(lived)
    return next((life.killed for life, after in following if arrival.arrived <= after.ready), None)


def settled_before(killed, arrival, publishers):
    """Tell whether a success must have been settled when its server was killed."""
    published = (publisher.accepted_between(arrival.answered, killed) for publisher in publishers)
    return any(count >= SETTLED_AFTER_PUBLISHING for count in published)


def answered(arrival):
    """Return when an arrival was answered."""
    return arrival.answered
