"""`ringback worker --inbox` as an operator meets it: a process that runs an application's handlers."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest
from running import PATIENCE, environment, running

from ringback import Inbox
from ringback.testing import secret_for, signed_request

APPLICATION = """
from ringback import Inbox

inbox = Inbox({place!r}, shared=True, poll_interval="20ms")
inbox.source("xendit", secrets=[{secret!r}])
inbox.source("stripe", secrets=["whsec_1"])


@inbox.on("xendit", "invoice.paid")
def fulfil(message, tx):
    tx.execute("INSERT INTO orders VALUES ({value})", (message.data["external_id"],))


@inbox.on("xendit", "invoice.expired")
def release(message):
    raise LookupError("no such order")
"""


class Shop:
    """A folder with an application in it whose database, a file or on a server, has a table of its own."""

    def __init__(self, folder, store):
        self.folder = folder
        self.settings = {name: value for name, value in store.items() if name != "store"}
        self.place = store.get("store", f"sqlite:///{folder / 'shop.db'}")
        value = "%s" if store else "?"
        (folder / "shop").mkdir()
        text = APPLICATION.format(place=self.place, secret=secret_for("xendit"), value=value)
        (folder / "shop" / "webhooks.py").write_text(text)
        self.execute("CREATE TABLE orders (id TEXT)")

    def execute(self, statement):
        """Run a statement as the application does; return its rows."""
        with closing(self._connect()) as own:
            done = own.execute(statement)
            rows = done.fetchall() if done.description else []
            own.commit()
        return rows

    def worker(self, **settings):
        """Run the worker of its inbox."""
        return running(
            "worker", "--inbox", "shop.webhooks:inbox", folder=self.folder, **self.settings, **settings
        )

    def receive(self, event_type):
        """Receive one webhook in a process that has no handlers."""
        with closing(Inbox(self.place, shared=True, **self.settings)) as door:
            door.source("xendit", secrets=[secret_for("xendit")])
            assert door.accept("xendit", signed_request("xendit", event_type)).result().status == 200

    def inbox(self, *command):
        """Run `ringback inbox` and return what it prints as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "ringback", "inbox", *command, "--store", self.place, "--json"],
            cwd=self.folder,
            env=environment(self.settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return json.loads(done.stdout)

    def _connect(self):
        if self.place.startswith("sqlite"):
            return sqlite3.connect(self.place.removeprefix("sqlite:///"), timeout=PATIENCE)
        return psycopg.connect(self.place)


@pytest.fixture
def shop(tmp_path, store):
    return Shop(tmp_path, store)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_serves_and_ends_when_told(shop, number):
    """It announces store, sources and handlers, and a signal ends it with 0."""
    with shop.worker() as worker:
        assert worker.line(r"^  xendit \(xendit\): fulfil, release$")
        assert worker.line(r"^  stripe \(stripe\): no handlers$")
        worker.ask_to_stop(number)
        assert worker.exit_code() == 0


def test_it_handles_what_another_process_received(shop):
    """What is received while it runs is handled once, and commands beside it see and repeat what failed."""
    with shop.worker(log_level="debug") as worker:
        shop.receive("invoice.expired")
        worker.line(" failed .* detail=LookupError")
        shop.receive("invoice.paid")
        worker.line("debug .*handler=xendit/fulfil .* outcome=success")
        (paid,) = shop.inbox("messages", "xendit", "--event-type", "invoice.paid")
        (expired,) = shop.inbox("messages", "xendit", "--event-type", "invoice.expired")
        assert (
            "LookupError: no such order" in shop.inbox("show", "xendit", expired["id"])["attempts"][0]["told"]
        )
        assert shop.inbox("replay", "xendit", expired["id"])["deliveries"] == 1
        assert worker.stop() == 0
    (delivery,) = shop.inbox("show", "xendit", paid["id"])["deliveries"]
    assert delivery["state"] == "succeeded"
    assert shop.execute("SELECT id FROM orders") == [("order-1001",)]
