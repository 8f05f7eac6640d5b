"""An inbox in several processes: forked, killed, taken over by the next."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from ringback.outbox import system_clock
from ringback.policy import Decision, Step
from ringback.store import Lease, Quota, Settlement
from ringback.testing import (
    assert_acknowledged,
    assert_dead,
    assert_handled,
    assert_received,
    assert_waiting,
    inbox_at,
    secret_for,
    signed_request,
)

XENDIT, PAID = "xendit", "invoice.paid"
PATIENCE = 30


def opened(folder, **options):
    inbox = inbox_at(folder, **options)
    inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
    return inbox


def post(inbox, event_id):
    return inbox.accept(XENDIT, signed_request(XENDIT, PAID, event_id=event_id)).result()


# --- Forks -------------------------------------------------------------------------------------------------


class Child:
    """A fork of this process that does one thing after the other when told to, and tells how each went."""

    def __init__(self, *steps):
        self._theirs, self._told = os.pipe()
        self._go, self._mine = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                for step in steps:
                    os.read(self._go, 1)
                    os.write(self._told, str(step()).encode().ljust(8))
            finally:
                os._exit(0)

    def step(self):
        """Have it take its next step; return what came of that."""
        os.write(self._mine, b"x")
        return os.read(self._theirs, 8).decode().strip()

    def end(self):
        """Wait for its end."""
        os.waitpid(self.process, 0)
        for one in (self._theirs, self._told, self._go, self._mine):
            os.close(one)


def test_both_sides_of_a_fork_may_go_on(tmp_path):
    """A process with an opened inbox and its fork both receive, and closing either loses nothing of the other."""
    with closing(opened(tmp_path)) as inbox:
        assert_acknowledged(post(inbox, "before"))
        child = Child(
            *[lambda name=name: post(inbox, name).status for name in ("child 1", "child 2", "child 3")]
        )
        assert child.step() == "200"
        assert_acknowledged(post(inbox, "parent 1"))
        inbox.close()
        assert child.step() == "200"
        assert_acknowledged(post(inbox, "parent 2"))
        assert child.step() == "200"
        child.end()
        inbox.close()
    with closing(opened(tmp_path)) as again:
        for name in ("before", "parent 1", "parent 2", "child 1", "child 2", "child 3"):
            assert_received(again, XENDIT, name)


def test_a_fork_that_only_closes(tmp_path):
    """A child that closes the inbox it was forked with, or drops it, takes nothing from its parent."""
    with closing(opened(tmp_path)) as inbox:
        assert_acknowledged(post(inbox, "1"))
        child = Child(inbox.close)
        assert child.step() == "None"
        child.end()
        assert_acknowledged(post(inbox, "2"))
    with closing(opened(tmp_path)) as again:
        assert_received(again, XENDIT, "1")
        assert_received(again, XENDIT, "2")


def test_forks_while_requests_come(tmp_path):
    """Forks at any moment neither hang nor lose what is acknowledged, in the parent and in the children."""
    inbox, statuses, done = opened(tmp_path), {}, threading.Event()

    def receiving():
        number = 0
        while not done.is_set():
            statuses[f"parent {number}"] = post(inbox, f"parent {number}").status
            number += 1

    thread = threading.Thread(target=receiving)
    thread.start()
    try:
        for number in range(8):
            child = Child(lambda number=number: post(inbox, f"child {number}").status)
            statuses[f"child {number}"] = int(child.step())
            child.end()
    finally:
        done.set()
        thread.join()
        inbox.close()
    assert set(statuses.values()) <= {200, 503}
    assert sum(status == 200 for name, status in statuses.items() if "child" in name) == 8
    with closing(opened(tmp_path)) as again:
        for name, status in statuses.items():
            if status == 200:
                assert_received(again, XENDIT, name)


def test_a_fork_of_a_worker_takes_nothing(tmp_path):
    """A process that a handler forks cannot use the inbox at work, and answers 503; its parent goes on."""
    told = []
    with closing(opened(tmp_path)) as inbox:

        @inbox.on(XENDIT, PAID, name="fulfil")
        def handler(message):
            receiving, sending = multiprocessing.get_context("fork").Pipe(duplex=False)
            process = multiprocessing.get_context("fork").Process(
                target=lambda: sending.send(post(inbox, "child").status)
            )
            process.start()
            told.append(receiving.recv() if receiving.poll(PATIENCE) else None)
            process.join(PATIENCE)

        assert_acknowledged(post(inbox, "parent"))
        assert inbox.drain().succeeded == 1
        assert told == [503]
        assert_handled(inbox, XENDIT, "parent")


# --- Crashes -----------------------------------------------------------------------------------------------

WORKER = """
import os, signal, sys, threading
from pathlib import Path
from ringback import Inbox
from ringback.outbox import system_clock

folder, ahead = Path(sys.argv[1]), int(sys.argv[2])
inbox = Inbox(f"sqlite:///{folder / 'inbox.db'}", clock=lambda: system_clock() + ahead, poll_interval="10ms")
inbox.source("xendit", secrets=["never used here"])
lock = threading.Lock()

@inbox.on("xendit", "invoice.paid", name="fulfil")
def fulfil(message):
    event = message.data["id"]
    with lock, (folder / "runs").open("a") as runs:
        runs.write(event + "\\n")
    if event.startswith("deadly"):
        os._exit(9)

def stop_when_idle():
    import time
    idle = 0
    while idle < 5:
        due = inbox.next_due().result()
        idle = idle + 1 if due is None else 0
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=stop_when_idle, daemon=True).start()
inbox.run_worker()
"""


def work(folder, ahead):
    """Run a worker until it dies or has nothing left; return its status."""
    script = folder / "application.py"
    script.write_text(textwrap.dedent(WORKER))
    result = subprocess.run(
        [sys.executable, str(script), str(folder), str(ahead)],
        capture_output=True,
        timeout=PATIENCE,
        cwd=folder,
        check=False,
    )
    return result.returncode


@pytest.mark.parametrize("deadly", [1, 3])
def test_a_handler_that_kills_its_process_is_put_to_rest(tmp_path, deadly):
    """What kills the worker is given up as crashed after three runs, and every message beside it is handled."""
    innocent = [str(number) for number in range(6)]
    guilty = [f"deadly {number}" for number in range(deadly)]
    with closing(opened(tmp_path)) as inbox:
        inbox.on(XENDIT, PAID, name="fulfil")(lambda message: None)
        for event_id in (*guilty, *innocent):
            assert_acknowledged(post(inbox, event_id))
    deaths, ahead = 0, 0
    while work(tmp_path, ahead) == 9:
        deaths += 1
        # As long as leases last: then the next worker takes over what this one had.
        ahead += 120_000
        assert deaths <= 3 * deadly, "it goes on dying"
    runs = (tmp_path / "runs").read_text().splitlines()
    with closing(opened(tmp_path)) as inbox:
        inbox.on(XENDIT, PAID, name="fulfil")(lambda message: None)
        for event_id in guilty:
            # A run that another's crash cut off before its first line counts as well.
            assert 1 <= runs.count(event_id) <= 3
            assert_dead(inbox, XENDIT, event_id)
            message = assert_received(inbox, XENDIT, event_id)
            ((delivery, _),) = inbox.deliveries(XENDIT, message.id).result()
            assert delivery.reason == "crashed"
        for event_id in innocent:
            assert_handled(inbox, XENDIT, event_id)
        assert len(inbox.dead_letters(XENDIT).result()) == deadly
        assert inbox.replay(XENDIT, message.id).result() == 1
        assert_waiting(inbox, XENDIT, guilty[-1])


def test_a_suspect_stays_one_while_it_waits(tmp_path):
    """A delivery whose last run vanished, and that is given back before the next, is still known to have vanished."""

    class Clock:
        ahead = 0

        def __call__(self):
            """Return the present, in milliseconds."""
            return system_clock() + self.ahead

    clock = Clock()
    with closing(opened(tmp_path, clock=clock)) as inbox:
        inbox.on(XENDIT, PAID, name="fulfil")(lambda message: None)
        assert_acknowledged(post(inbox, "deadly 0"))
        assert work(tmp_path, 0) == 9
        clock.ahead = 120_000
        assert begun(tmp_path) == 1
        inbox.close()
        # Taken over and given back unrun, as by a worker that is stopped or that waits too long for its turn.
        inbox._open()
        give_back(inbox)
        assert begun(tmp_path) == 1


def begun(folder):
    with closing(apsw.Connection(str(Path(folder) / "inbox.db"))) as looking:
        return looking.execute("SELECT begun FROM ringback_delivery").get


def give_back(inbox):
    committer, now = inbox._open().engine.committer, inbox._clock()

    def take(store):
        (due,) = store.due(now, 10)
        return store.take([Quota(due.endpoint_id, 10)], Lease(7, now + 60_000), now)

    (work_taken,) = committer.write(take).result()
    assert work_taken.begun == 1
    decision = Decision(Step.POSTPONE, now)
    committer.settle(Settlement(work=work_taken, decision=decision, reason="lease_too_short"))
    committer.write(lambda _: None).result()
