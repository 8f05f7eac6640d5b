"""The examples do what their pages say, command by command, and write every order exactly once."""

import asyncio
import contextlib
import http.client
import importlib.util
import json
import os
import random
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import azure.functions
import pytest
from running import LOOPBACK, PATIENCE, Ringback, environment

from ringback import Inbox
from ringback.testing import assert_handled, signed_request

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOKEN = "the-token-from-the-dashboard"
SERVERS = ["wsgi_shop", "flask_shop", "fastapi_shop", "django_shop"]
TABLES = {"django_shop": "shop_order", "fastapi_shop": "payments"}
EVENTS = ("invoice.paid", "invoice.expired", "fva.paid")
STATUS = {"invoice.paid": "PAID", "invoice.expired": "EXPIRED", "fva.paid": "PAID"}
ROUNDS = 4


# --- What a page says --------------------------------------------------------------------------------------


class Page:
    """An example in a folder of its own, and the commands of its page; what pip is told to do has been done."""

    def __init__(self, name, folder):
        self.folder = folder
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("*.db*", "__pycache__"))
        lines = "".join(BLOCK.findall((folder / "README.md").read_text("utf-8"))).replace("\\\n", "")
        commands = [line for line in lines.splitlines() if not line.startswith("pip install ")]
        exported = [line.partition(" ")[2] for line in commands if line.startswith("export ")]
        self.settings = dict(setting.split("=") for setting in exported)
        self.commands = [command for command in commands if not command.startswith("export ")]

    def command(self, *words):
        """Return the one command in which any of *words* is."""
        (found,) = [one for one in self.commands if any(word in one for word in words)]
        return found

    def environment(self, **settings):
        """Return the variables that its commands see: those of the page, and these settings of Ringback's."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return environment(settings) | self.settings | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, command):
        """Run a command to its end and return what it says."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextlib.contextmanager
    def running(self, command, **settings):
        """Run a command that goes on until it is told to stop."""
        words = ["env", *shlex.split(command)]
        with subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            program = Program(process)
            try:
                yield program
            finally:
                program.kill()

    @contextlib.contextmanager
    def serving(self):
        """Run what receives, on a port that is free, and what handles; yield the port and the worker."""
        if any("migrate" in command for command in self.commands):
            self.run(self.command("migrate"))
        serve = self.command("PORT=8000", "--port 8000").replace("8000", "0")
        with self.running(serve) as server:
            port = int(server.line(r"http://127\.0\.0\.1:(\d+)")[1])
            work = self.command("ringback worker", "ringback_worker")
            with self.running(work, log_level="debug") as worker:
                yield port, worker


class Program(Ringback):
    """A process of an example's."""

    def handled(self, count):
        """Wait until the worker has told of *count* successes."""
        with self._said:
            arrived = self._said.wait_for(lambda: self._ended or self._handled() >= count, PATIENCE)
            assert arrived, self._lines
            assert self._handled() >= count, self._lines

    def _handled(self):
        return sum("outcome=success" in line for line in self._lines)


@pytest.fixture
def page_of(tmp_path):
    return lambda name: Page(name, tmp_path / name)


# --- What is sent ------------------------------------------------------------------------------------------


def events():
    """Return references with the event that is about each."""
    return {f"order-{number}": EVENTS[number % len(EVENTS)] for number in range(ROUNDS * len(EVENTS))}


def webhook(event_type, reference, token=TOKEN):
    return signed_request(
        "xendit",
        event_type,
        fields={"external_id": reference},
        headers={"webhook-id": reference},
        event_id=reference,
        secret=token,
    )


def storm():
    """Return every event twice, and as often a forged one, in no order, each with the status that it deserves."""
    requests = []
    for reference, event_type in events().items():
        request = webhook(event_type, reference)
        forged = webhook(event_type, f"forged-{reference}", token="another-token")
        requests += [(request, 200), (request, 200), (forged, 401), (forged, 401)]
    random.Random(7).shuffle(requests)
    return requests


def amount_of(reference, event_type):
    return json.loads(webhook(event_type, reference).body)["amount"]


def assert_written_once(name, folder):
    """Assert that the application's database has each order once and nothing else."""
    expected = sorted((ref, STATUS[kind], amount_of(ref, kind)) for ref, kind in events().items())
    table = TABLES.get(name, "orders")
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as database:
        found = database.execute(f"SELECT reference, status, amount FROM {table} ORDER BY 1").fetchall()
        assert found == expected
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def assert_all_done(folder):
    """Assert that every event was received as one message, and that its handler is done with it."""
    inbox = Inbox(f"sqlite:///{folder / 'shop.db'}", shared=True)
    inbox.source("xendit", secrets=[TOKEN])
    for reference in events():
        assert_handled(inbox, "xendit", reference)
    inbox.close()


# --- The examples with a server ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVERS)
def test_the_commands_of_a_page_lead_to_an_order(name, page_of):
    """Who follows a page's commands from the first to the last sees the order that was paid."""
    page = page_of(name)
    pay, look = (one for one in page.commands if one.startswith("curl"))
    amount = json.loads(shlex.split(pay)[-1])["amount"]
    with page.serving() as (port, worker):
        there = "--noproxy '*' --fail -sS http://127.0.0.1:"
        pay, look = (one.replace("-sS http://127.0.0.1:8000", f"{there}{port}") for one in (pay, look))
        page.run(pay)
        page.run(pay)
        worker.handled(1)
        assert page.run(look).count(str(amount)) == 1


@pytest.mark.parametrize("name", SERVERS)
def test_every_order_is_written_exactly_once(name, page_of):
    """However often and at once webhooks come, forged ones among them, the database has each order once."""
    page = page_of(name)
    with page.serving() as (port, worker), ThreadPoolExecutor(8) as senders:
        for status, deserved in senders.map(lambda sent: (post(port, sent[0]), sent[1]), storm()):
            assert status == deserved
        worker.handled(len(events()))
        assert worker.stop() == 0
        assert_all_done(page.folder)
        assert_written_once(name, page.folder)


def post(port, request):
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", "/hooks/xendit", request.body, request.headers)
        return connection.getresponse().status


# --- The examples that a platform calls --------------------------------------------------------------------


@contextlib.contextmanager
def module(page, name, monkeypatch):
    """Import an example's module as its platform does, in the environment that its page describes."""
    for setting, value in page.settings.items():
        monkeypatch.setenv(setting, value)
    monkeypatch.chdir(page.folder)
    described = importlib.util.spec_from_file_location(
        f"{page.folder.name}_{name}", page.folder / f"{name}.py"
    )
    imported = importlib.util.module_from_spec(described)
    described.loader.exec_module(imported)
    yield imported
    imported.inbox.close()


class Invocation:
    """What Lambda tells a function about its invocation."""

    def get_remaining_time_in_millis(self):
        """Return a minute."""
        return PATIENCE * 1000


def gateway_event(request):
    """Return a request as an HTTP API of Amazon's API Gateway hands it on."""
    return {
        "version": "2.0",
        "rawPath": "/hooks/xendit",
        "rawQueryString": "",
        "headers": request.headers,
        "requestContext": {"http": {"method": "POST"}, "domainName": "shop.example"},
        "body": request.body.decode(),
        "isBase64Encoded": False,
    }


def test_lambda_writes_every_order_exactly_once(page_of, monkeypatch):
    """Amazon's calls of the intake and of the drain leave each order in the database once."""
    page = page_of("lambda_shop")
    with module(page, "shop", monkeypatch) as shop, ThreadPoolExecutor(4) as instances:
        requests = storm()
        answers = instances.map(lambda sent: shop.intake(gateway_event(sent[0]), Invocation()), requests)
        assert [answer["statusCode"] for answer in answers] == [deserved for _, deserved in requests]
        done = shop.drain({"source": "aws.scheduler"}, Invocation())
        assert done == {"succeeded": len(events()), "failed": 0, "more": False}
    assert_written_once("lambda_shop", page.folder)


def test_azure_writes_every_order_exactly_once(page_of, monkeypatch):
    """The Functions host's calls of the HTTP function and of the timer leave each order in the database once."""
    page = page_of("azure_shop")
    with module(page, "function_app", monkeypatch) as application:
        functions = {
            one.get_function_name(): one.get_user_function() for one in application.app.get_functions()
        }

        async def send():
            return await asyncio.gather(
                *(functions["ringback_intake"](azure_request(one)) for one, _ in requests)
            )

        requests = storm()
        answers = asyncio.run(send())
        assert [answer.status_code for answer in answers] == [deserved for _, deserved in requests]
        functions["ringback_drain"](None)
        paid = sum(STATUS[kind] == "PAID" for kind in events().values())
        told = functions["list_orders"](azure.functions.HttpRequest("GET", "/api/orders", body=b""))
        assert told.get_body().decode().startswith(f"{paid} orders, ")
    assert_written_once("azure_shop", page.folder)


def azure_request(request):
    return azure.functions.HttpRequest(
        "POST",
        "https://shop.example/api/hooks/xendit",
        headers=request.headers,
        route_params={"source": "xendit"},
        body=request.body,
    )


def test_the_commands_of_the_lambda_page_lead_to_one_order(page_of):
    """Receiving and handling by hand, twice, writes the order of the page's event once."""
    page = page_of("lambda_shop")
    receive, handle, look = page.commands
    for _ in range(2):
        assert "'statusCode': 200" in page.run(receive)
        page.run(handle)
    assert page.run(look) == "('order-1001', 'PAID', 250000)\n"


def test_the_commands_of_the_azure_page_run(page_of):
    """What the page says for those without the Functions host runs as it stands."""
    page = page_of("azure_shop")
    (handle,) = page.commands
    assert page.run(handle) == "Drained(succeeded=0, failed=0, more=False)\n"
