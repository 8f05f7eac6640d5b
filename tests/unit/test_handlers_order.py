"""Messages of one key one after the other, all others side by side."""

import asyncio
import threading
from collections import Counter
from contextlib import closing

import pytest

from ringback.outbox import system_clock
from ringback.policy import HOUR
from ringback.testing import (
    FrozenClock,
    assert_acknowledged,
    assert_dead,
    assert_handled,
    assert_waiting,
    drain,
    inbox_at,
    secret_for,
    signed_request,
)

XENDIT, PAID = "xendit", "invoice.paid"
PATIENCE = 10


def order_of(message):
    return message.data["external_id"]


def send(inbox, event_id, key):
    request = signed_request(XENDIT, PAID, event_id=event_id, fields={"external_id": key})
    assert_acknowledged(inbox.accept(XENDIT, request).result())


def opened(folder, **options):
    inbox = inbox_at(folder, poll_interval="20ms", **options)
    inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
    return closing(inbox)


@pytest.mark.parametrize("while_working", [False, True])
def test_one_after_the_other_by_key_and_side_by_side_otherwise(tmp_path, while_working):
    """Messages of one key never overlap and keep their order; those of different keys do run at the same time."""
    lock, active, seen, finished = threading.Lock(), Counter(), {}, []
    # Passed only by as many runs as there are keys, all under way at once.
    together = threading.Barrier(4)

    def handler(message):
        key = order_of(message)
        with lock:
            active[key] += 1
            assert active[key] == 1, "two messages of one key at once"
            seen.setdefault(key, []).append(message.event_id or message.data["id"])
        if len(seen[key]) == 1:
            together.wait(PATIENCE)
        with lock:
            active[key] -= 1
            if sum(map(len, seen.values())) == 40:
                finished and finished[0]()

    with opened(tmp_path, threads=8) as inbox:
        inbox.on(XENDIT, PAID, name="fulfil", key=order_of)(handler)
        sent = [(f"{number}", "abcd"[number % 4]) for number in range(40)]

        async def working():
            stop, loop = asyncio.Event(), asyncio.get_running_loop()
            finished.append(lambda: loop.call_soon_threadsafe(stop.set))
            work = asyncio.create_task(inbox.work(stop))
            await asyncio.to_thread(send_all)
            await asyncio.wait_for(work, PATIENCE)

        def send_all():
            for event_id, key in sent:
                send(inbox, event_id, key)

        if while_working:
            asyncio.run(working())
        else:
            send_all()
            drained = inbox.drain()
            assert (drained.succeeded, drained.failed) == (40, 0)
        for key in "abcd":
            assert seen[key] == [event_id for event_id, its in sent if its == key]


class LaterClock:
    """The system's clock, put forward."""

    ahead = 0

    def __call__(self):
        """Return the present, in milliseconds."""
        return system_clock() + self.ahead


def test_a_failing_head_blocks_only_its_key(tmp_path):
    """While the first message of a key is tried again later, the next of that key wait and all other keys go on."""
    clock, runs = LaterClock(), []

    def handler(message):
        runs.append((order_of(message), message.data["id"], message.attempt))
        if message.data["id"] == "1" and message.attempt == 1:
            raise ValueError("not yet")

    with opened(tmp_path, clock=clock) as inbox:
        inbox.on(XENDIT, PAID, name="fulfil", key=order_of, retries="1h")(handler)
        for event_id, key in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "a"), ("5", "b")):
            send(inbox, event_id, key)
        inbox.drain()
        assert [run for run in runs if run[0] == "a"] == [("a", "1", 1)]
        assert [run for run in runs if run[0] == "b"] == [("b", "3", 1), ("b", "5", 1)]
        for event_id in ("1", "2", "4"):
            assert_waiting(inbox, XENDIT, event_id)
        clock.ahead = 2 * HOUR
        inbox.drain()
        assert [run for run in runs if run[0] == "a"][1:] == [("a", "1", 2), ("a", "2", 1), ("a", "4", 1)]
        for event_id in "12345":
            assert_handled(inbox, XENDIT, event_id)


def test_a_dead_head_lets_the_next_go(tmp_path):
    """What is given up, discarded or replayed later does not hold up its key for ever."""
    clock, runs = FrozenClock(), []

    def handler(message):
        runs.append(message.data["id"])
        if message.data["id"] == "1":
            raise ValueError("never")

    with opened(tmp_path, clock=clock) as inbox:
        inbox.on(XENDIT, PAID, name="fulfil", key=order_of, retries="none")(handler)
        for event_id in ("1", "2"):
            send(inbox, event_id, "a")
        drain(inbox, clock)
        assert runs == ["1", "2"]
        assert_dead(inbox, XENDIT, "1")
        assert_handled(inbox, XENDIT, "2")


def test_many_of_one_key_are_all_handled(tmp_path):
    """Waiting for one another loses none and keeps their order, and a drain goes on until the last."""
    seen = []
    with opened(tmp_path) as inbox:
        inbox.on(XENDIT, PAID, name="fulfil", key=order_of)(lambda message: seen.append(message.data["id"]))
        for number in range(50):
            send(inbox, str(number), "a")
        drained = inbox.drain()
    assert drained.succeeded == 50
    assert seen == [str(number) for number in range(50)]
