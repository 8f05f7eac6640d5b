"""`ringback worker --inbox` as an operator meets it: a process that runs an application's handlers."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from running import PATIENCE, environment, running

from ringback import Inbox
from ringback.testing import secret_for, signed_request

APPLICATION = f"""
import sqlite3

from ringback import Inbox

inbox = Inbox("sqlite:///shop.db", shared=True, poll_interval="20ms")
inbox.source("xendit", secrets=[{secret_for("xendit")!r}])
inbox.source("stripe", secrets=["whsec_1"])


@inbox.on("xendit", "invoice.paid")
def fulfil(message, tx):
    tx.execute("INSERT INTO orders VALUES (?)", (message.data["external_id"],))


@inbox.on("xendit", "invoice.expired")
def release(message):
    raise LookupError("no such order")
"""


@pytest.fixture
def shop(tmp_path):
    """A folder with an application in it whose database has a table of its own."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "webhooks.py").write_text(APPLICATION)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as own:
        own.execute("CREATE TABLE orders (id TEXT)")
    return tmp_path


def receive(folder, event_type):
    """Receive one webhook in a process that has no handlers."""
    with closing(Inbox(f"sqlite:///{folder / 'shop.db'}", shared=True)) as door:
        door.source("xendit", secrets=[secret_for("xendit")])
        assert door.accept("xendit", signed_request("xendit", event_type)).result().status == 200


def inbox(folder, *command):
    """Run `ringback inbox` in *folder* and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "ringback", "inbox", *command, "--store", "sqlite:///shop.db", "--json"],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return json.loads(done.stdout)


def orders(folder):
    """Return the application's own rows."""
    with closing(sqlite3.connect(folder / "shop.db")) as own:
        return [row[0] for row in own.execute("SELECT id FROM orders")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_serves_and_ends_when_told(shop, number):
    """It announces store, sources and handlers, and a signal ends it with 0."""
    with running("worker", "--inbox", "shop.webhooks:inbox", folder=shop) as worker:
        assert worker.line(r"^  xendit \(xendit\): fulfil, release$")
        assert worker.line(r"^  stripe \(stripe\): no handlers$")
        worker.ask_to_stop(number)
        assert worker.exit_code() == 0


def test_it_handles_what_another_process_received(shop):
    """What is received while it runs is handled once, and commands beside it see and repeat what failed."""
    with running("worker", "--inbox", "shop.webhooks:inbox", folder=shop, log_level="debug") as worker:
        receive(shop, "invoice.expired")
        worker.line(" failed .* detail=LookupError")
        receive(shop, "invoice.paid")
        worker.line("debug .*handler=xendit/fulfil .* outcome=success")
        (paid,) = inbox(shop, "messages", "xendit", "--event-type", "invoice.paid")
        (expired,) = inbox(shop, "messages", "xendit", "--event-type", "invoice.expired")
        assert (
            "LookupError: no such order"
            in inbox(shop, "show", "xendit", expired["id"])["attempts"][0]["told"]
        )
        assert inbox(shop, "replay", "xendit", expired["id"])["deliveries"] == 1
        assert worker.stop() == 0
    (delivery,) = inbox(shop, "show", "xendit", paid["id"])["deliveries"]
    assert (delivery["state"], orders(shop)) == ("succeeded", ["order-1001"])
