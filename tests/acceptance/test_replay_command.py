"""`ringback replay` after an outage: looked at, begun, paused, gone on with by another process, cancelled."""

import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from running import (
    ADMIN_TOKEN,
    ANYWHERE,
    LOOPBACK,
    MAIN_KEY,
    PATIENCE,
    Answer,
    environment,
    receiving,
    running,
)
from svix_sdk import until

OUTAGE = 25


class Health:
    """What the receiver answers."""

    status = 400

    def __call__(self, _):
        """Answer a delivery."""
        return Answer(self.status)


@pytest.fixture
def health():
    return Health()


@pytest.fixture
def receiver(health):
    with receiving(health) as receiver:
        yield receiver


@contextmanager
def serving(folder, store):
    """Run a server that tries once, and yield it with the command line that talks to it."""
    with running(
        "serve",
        folder=folder,
        listen=ANYWHERE,
        admin_token=ADMIN_TOKEN,
        allow_subnets="127.0.0.0/8",
        retry_schedule="none",
        poll_interval="50ms",
        breaker_rest="100ms",
        delivery_timeout="1s",
        **{"main_key": MAIN_KEY, **store},
    ) as server:

        def replay(*words, code=0):
            settings = {"url": f"http://{LOOPBACK}:{server.port}", "token": ADMIN_TOKEN}
            done = subprocess.run(
                [sys.executable, "-m", "ringback", "replay", *words],
                cwd=folder,
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == code, done.stderr
            return done.stdout.strip() or done.stderr.strip()

        yield server, replay


def hour_ago():
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def outage(api, receiver):
    """Publish while the receiver fails; return the ids of the messages when all have been given up."""
    api.post("/app", {"name": "Acme", "uid": "acme"})
    api.post("/app/acme/endpoint", {"url": receiver.url, "uid": "orders"})
    message = {"eventType": "invoice.paid", "payload": {"n": 1}}
    ids = [api.post("/app/acme/msg", message)["id"] for _ in range(OUTAGE)]
    until(lambda: len(api.get("/app/acme/endpoint/orders/msg?status=2")["data"]) == OUTAGE)
    return ids


def test_after_an_outage(tmp_path, store, receiver, health):
    """Looked at first, then sent once each at the rate that was asked for; afterwards there is nothing left to send."""
    with serving(tmp_path, store) as (server, replay), server.api() as api:
        ids = outage(api, receiver)
        health.status = 204
        what = ("--app", "acme", "--since", "1h")
        told = replay(*what, "--rate", "10/s", "--dry-run")
        assert told.startswith(f"acme: {OUTAGE} messages, accepted from ")
        assert told.endswith("; about 2 s")
        assert "--yes" in replay(*what, code=2)
        again = ("--app", "acme", "--since", hour_ago(), "--rate", "50/s", "--yes", "--idempotency-key", "k")
        task = replay(*again)
        assert replay(*again) in {task, "there is nothing to send"}
        (over,) = json.loads(replay("status", task, "--wait", "--json"))
        assert (over["data"]["state"], over["data"]["messagesSent"]) == ("finished", OUTAGE)
        assert {name: receiver.succeeded["/", name] for name in ids} == dict.fromkeys(ids, 1)
        assert replay(*what, "--yes") == "there is nothing to send"
        assert task in replay("list", "--app", "acme")
        assert replay("status", "qtask_none", code=5)


def test_another_process_goes_on(tmp_path, store, receiver, health):
    """A replay that is paused and whose process is killed goes on when it is told to, where it was."""
    with serving(tmp_path, store) as (server, replay):
        with server.api() as api:
            ids = outage(api, receiver)
        health.status = 204
        task = replay("--all-apps", "--since", "1h", "--status", "failed", "--rate", "10/s", "--yes")
        receiver.until(lambda: receiver.succeeded.total() >= 3)
        with server.api() as api:  # the command would need longer to start than the task to end
            assert api.post(f"/background-task/{task}/pause", {})["data"]["state"] == "paused"
        server.kill()
    with serving(tmp_path, store) as (_, replay):
        (paused,) = json.loads(replay("status", task, "--json"))
        assert paused["data"]["state"] == "paused"
        assert receiver.succeeded.total() < OUTAGE
        replay("resume", task)
        receiver.until(lambda: all(receiver.succeeded["/", name] for name in ids))
        # What was being sent when the process was killed may have come twice, nothing else.
        assert receiver.succeeded.total() <= OUTAGE + 2
        replay("status", task, "--wait")
        assert replay("cancel", task).count(" cancelled ") == 1
