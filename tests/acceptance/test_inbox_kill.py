"""Real applications are killed at each step of receiving and handling: every acknowledged payment is booked once.

The provider outlives them: it sends each event until it is acknowledged, some of them again, as real ones do.
``KILL_SEED=7 pytest ...`` plays another game.
"""

import http.client
import itertools
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psycopg
import pytest
from running import MAIN_KEY

from postgres_server import durable_server
from ringback.testing import signed_request

SEED = int(os.environ.get("KILL_SEED", "1"))
ROUNDS = 25
PROVIDERS = 3
PATIENCE = 60
# What a killed worker leaves behind is taken over after this or a handler's timeout (in dying.py), and 15 seconds.
SETTINGS = {"RINGBACK_DELIVERY_TIMEOUT": "5s"}
TAKEN_OVER_WITHIN = 120
HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
TOKEN = "callback-token-of-the-test"
RECEIVING = ["before_commit", "after_commit"]
HANDLING = ["in_handler", "after_effect", "before_done", "after_done"]
AMOUNT = 250_000


class Example:
    """An application: where it is, how it is run and for how many rounds, and what it has booked."""

    def __init__(self, folder, web, worker, query, rounds=ROUNDS):
        self.folder = folder
        self.name = folder.name
        self.web = web
        self.worker = worker
        self.rounds = rounds
        self.settings = {}
        self._query = query

    def begin(self, folder):
        """Make what it finds at its first start, in a copy of it."""
        if (folder / "manage.py").exists():
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
                cwd=folder,
                env=environment(self.settings),
                check=True,
                timeout=PATIENCE,
            )

    def booked(self, folder):
        """Return what was booked for each order: the sum over all bookings of it."""
        with closing(self.connect(folder)) as database:
            return dict(database.execute(self._query).fetchall())

    def connect(self, folder):
        """Return a connection to its database."""
        return sqlite3.connect(folder / "shop.db", timeout=30)


class PostgresExample(Example):
    """One that has its tables and its inbox in a PostgreSQL database."""

    def begin(self, folder):
        """See ``Example``."""
        self.settings = {"SHOP_DATABASE": durable_server().new_database(), "RINGBACK_MAIN_KEY": MAIN_KEY}

    def connect(self, folder):
        """See ``Example``."""
        return psycopg.connect(self.settings["SHOP_DATABASE"])


SUMS = "SELECT reference, sum(amount) FROM payments GROUP BY reference"
FASTAPI = Example(
    EXAMPLES / "fastapi_shop",
    ["uvicorn", "shop:app"],
    ["ringback", "worker", "--inbox", "payments:inbox"],
    SUMS,
)
DJANGO = Example(
    EXAMPLES / "django_shop",
    ["uvicorn", "project.asgi:application"],
    ["manage.py", "ringback_worker"],
    "SELECT reference, sum(amount) FROM shop_order GROUP BY reference",
)
POSTGRES = PostgresExample(
    HERE / "postgres_shop",
    ["uvicorn", "shop:app"],
    ["ringback", "worker", "--inbox", "payments:inbox"],
    SUMS,
    rounds=13,
)


class Provider(threading.Thread):
    """Sends events one after the other, each until it is acknowledged, and keeps the books."""

    def __init__(self, number, port):
        super().__init__(daemon=True)
        self._number = number
        self._port = port
        self._over = threading.Event()
        self.acknowledged = []
        self.strange = []

    def run(self):
        """See ``Thread``."""
        for number in itertools.count():
            if self._over.is_set():
                return
            order = f"order-{self._number}-{number}"
            event = signed_request(
                "xendit",
                "invoice.paid",
                secret=TOKEN,
                event_id=f"event-{order}",
                fields={"external_id": order, "id": f"invoice-{order}", "amount": AMOUNT},
            )
            for copy in range(1 + (number % 5 == 0)):
                if not self._send_until_acknowledged(event):
                    return
                if not copy:
                    self.acknowledged.append(order)

    def finish(self):
        """Send what is on its way to its end, and no more."""
        self._over.set()
        self.join(PATIENCE)
        assert not self.is_alive()

    def _send_until_acknowledged(self, event):
        while True:
            status = self._send(event)
            if status == 200:
                return True
            if status not in {None, 503}:
                self.strange.append(status)
            # Nobody there: a provider, too, waits before it tries again.
            if self._over.wait(0.05):
                return False

    def _send(self, event):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/hooks/xendit", event.body, dict(event.headers))
            return connection.getresponse().status
        return None


class Stage:
    """The two processes of an application, each of which may be told to die at a step."""

    def __init__(self, example, folder, port, exits):
        self._settings = example.settings
        self._commands = {"web": [*example.web, "--port", str(port)], "worker": example.worker}
        self._folder = folder
        self._exits = exits
        self._running = {}
        self._log = exits.enter_context((folder / "processes.log").open("w"))

    def run(self, who, step="never", count=1):
        """Start one of the two, instead of the one that runs."""
        self.kill(who)
        self._running[who] = self._exits.enter_context(
            subprocess.Popen(
                [sys.executable, str(HERE / "dying.py"), step, str(count), *self._commands[who]],
                cwd=self._folder,
                env=environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
        )
        self._exits.callback(self.kill, who)

    def keep(self, who):
        """Have one of the two running; if it does already, it goes on."""
        if who not in self._running or self._running[who].poll() is not None:
            self.run(who)

    def await_death(self, who):
        """Wait until it has killed itself."""
        assert self._running[who].wait(PATIENCE) == -9, (self._folder / "processes.log").read_text()[-3000:]

    def kill(self, who):
        """Make sure that it does not run."""
        if who in self._running:
            self._running[who].kill()
            self._running[who].wait()


def environment(settings):
    """Return the environment of an application."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    return outside | SETTINGS | {"XENDIT_CALLBACK_TOKEN": TOKEN, "PYTHONWARNINGS": "ignore"} | settings


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", [FASTAPI, DJANGO, POSTGRES], ids=lambda example: example.name)
def test_every_acknowledged_payment_is_booked_exactly_once(example, tmp_path):
    """Whatever step a process is killed at, what was acknowledged has one effect in the application's database."""
    folder = tmp_path / example.name
    shutil.copytree(example.folder, folder, ignore=shutil.ignore_patterns("*.db*", "__pycache__"))
    example.begin(folder)
    dice, port = random.Random(SEED), free_port()
    deaths = list(itertools.islice(itertools.cycle([*RECEIVING, *HANDLING]), example.rounds))
    dice.shuffle(deaths)
    with ExitStack() as exits:
        stage = Stage(example, folder, port, exits)
        providers = [Provider(number, port) for number in range(PROVIDERS)]
        for provider in providers:
            provider.start()
        for step in deaths:
            victim, other = ("web", "worker") if step in RECEIVING else ("worker", "web")
            stage.run(victim, step, dice.randint(1, 6))
            stage.keep(other)
            stage.await_death(victim)
        stage.keep("web")
        stage.keep("worker")
        for provider in providers:
            provider.finish()
        acknowledged = [order for provider in providers for order in provider.acknowledged]
        end = time.monotonic() + TAKEN_OVER_WITHIN
        while not set(acknowledged) <= (booked := example.booked(folder)).keys() and time.monotonic() < end:
            time.sleep(0.2)
    print(f"{len(deaths)} deaths, {len(acknowledged)} payments acknowledged, {len(booked)} orders booked")
    assert len(acknowledged) > len(deaths)
    assert [status for provider in providers for status in provider.strange] == []
    # An event on its way at the end may have been stored without its acknowledgement having arrived.
    assert set(acknowledged) <= booked.keys()
    assert len(booked) <= len(acknowledged) + PROVIDERS
    assert {order: amount for order, amount in booked.items() if amount != AMOUNT} == {}
