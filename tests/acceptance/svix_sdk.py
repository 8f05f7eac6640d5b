"""The official Svix SDKs, unmodified, in several versions, against real servers on both databases."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from running import ADMIN_TOKEN, ANYWHERE, LOOPBACK, PATIENCE, Ringback, environment, running

from postgres_server import postgres_server

VERSIONS = ("1.99.1", "2.6.2", "2.9.1")
DATABASES = ("sqlite", "postgres")
SDKS = Path(sys.prefix) / "sdks"
DRIVER = Path(__file__).parent / "svix_driver.py"
# What methods and fields were called in the first major version.
FORMER_METHODS = {
    "application.upsert": "application.update",
    "endpoint.upsert": "endpoint.update",
    "endpoint.set_headers": "endpoint.update_headers",
    "endpoint.transformation.get": "endpoint.transformation_get",
    "endpoint.transformation.patch": "endpoint.patch_transformation",
    "event_type.upsert": "event_type.update",
    "ingest.endpoint.set_headers": "ingest.endpoint.update_headers",
    "ingest.endpoint.upsert": "ingest.endpoint.update",
    "ingest.source.upsert": "ingest.source.update",
    "operational_webhook.endpoint.set_headers": "operational_webhook.endpoint.update_headers",
    "operational_webhook.endpoint.upsert": "operational_webhook.endpoint.update",
}
FORMER_FIELDS = {"eventTypes": "filterTypes"}
STEP = 0.05
# What signs JSON Web Tokens, as with a Svix server.
JWT_SECRET = "the secret that signs tokens of a Svix server"
ORGANISATION = "org_23rb8YdGqMT0qIzpgGwdXfHirMu"


class SdkError(Exception):
    """The SDK raised an error: ``status`` and ``code`` are the server's, 0 and "" where it was none of the server's."""

    def __init__(self, outcome: dict[str, Any]) -> None:
        super().__init__(json.dumps(outcome))
        self.status = outcome.get("status", 0)
        self.code = outcome.get("code", "")
        self.detail = outcome.get("detail", outcome.get("raised"))


class Sdk:
    """One version of the SDK, as a client of one server.

    Args:
        process: Runs the driver.
        version: Which version that has.
        token: Whom the server takes this client for.
    """

    def __init__(self, process: subprocess.Popen[str], version: str, token: str = ADMIN_TOKEN) -> None:
        self.version = version
        self.is_first = version.startswith("1.")
        self.methods: set[str] = set()
        self._process = process
        self._token = token

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Return what a method answers: JSON, with the names of the wire.

        Raises:
            SdkError: The SDK raised.
        """
        called = _formerly(method, FORMER_METHODS) if self.is_first else method
        given = [_formerly(one, FORMER_FIELDS) for one in arguments] if self.is_first else arguments
        call = {
            "token": self._token,
            "method": called,
            "arguments": given,
            "options": options,
        }
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        outcome = json.loads(self._process.stdout.readline())
        if "value" not in outcome:
            raise SdkError(outcome)
        self.methods.add(method)
        return outcome["value"]

    def refused(self, method: str, *arguments: Any, **options: Any) -> SdkError:
        """Return the error that a method must end in."""
        try:
            value = self.call(method, *arguments, **options)
        except SdkError as error:
            return error
        raise AssertionError(f"{method} answered {value}")

    def faults(self, method: str, *arguments: Any, **options: Any) -> list[tuple[str, ...]]:
        """Return where the faults are that a method must be refused for."""
        error = self.refused(method, *arguments, **options)
        assert error.status == 422, error
        return [tuple(map(str, fault["loc"])) for fault in error.detail]

    def as_bearer(self, token: str) -> Sdk:
        """Return the same client with another token."""
        return Sdk(self._process, self.version, token)

    def verify(self, secret: str, body: bytes, headers: dict[str, str]) -> None:
        """Verify a delivery as a receiver does.

        Raises:
            SdkError: It does not verify.
        """
        self.call("verify", secret, body.decode(), headers)

    # What many tests begin with.

    def application(self, **fields: Any) -> str:
        """Create an application; return its id."""
        return self.call("application.create", {"name": "Acme", **fields})["id"]

    def endpoint(self, app: str, url: str = "https://example.com/hook", **fields: Any) -> dict[str, Any]:
        """Create an endpoint."""
        return self.call("endpoint.create", app, {"url": url, **fields})

    def event_type(self, name: str, **fields: Any) -> dict[str, Any]:
        """Create an event type, or leave the one that is there as it is."""
        return self.call("event_type.upsert", name, {"description": "", **fields})

    def publish(self, app: str, event_type: str = "invoice.paid", **fields: Any) -> dict[str, Any]:
        """Publish a message."""
        return self.call("message.create", app, {"eventType": event_type, "payload": {"n": 1}, **fields})


def _formerly(what: Any, names: dict[str, str]) -> Any:
    if isinstance(what, dict):
        return {names.get(name, name): value for name, value in what.items()}
    return names.get(what, what)


def until(look: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """Return what *look* finds as soon as it finds something."""
    end = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(STEP)
    return found


def folder_of(version: str) -> Path:
    """Return where a version is installed."""
    folder = SDKS / f"svix-{version}"
    assert folder.is_dir(), f"{folder} is missing: run `make sdks`"
    return folder


@contextlib.contextmanager
def driving(version: str, ringback: Ringback) -> Iterator[Sdk]:
    """Run a version of the SDK as a client of a server for the length of the block."""
    with subprocess.Popen(
        [sys.executable, str(DRIVER), f"http://{LOOPBACK}:{ringback.port}"],
        env=environment({}) | {"PYTHONPATH": str(folder_of(version))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert json.loads(process.stdout.readline())["version"] == version
            yield Sdk(process, version)
        finally:
            process.kill()


@contextlib.contextmanager
def serving(database: str, folder: Path, store: str | None = None) -> Iterator[Ringback]:
    """Run a server that tries failed deliveries twice more within a second, at *store* or on a new database."""
    if store is None and database != "sqlite":
        store = postgres_server().new_database()
    with running(
        "serve",
        folder=folder,
        listen=ANYWHERE,
        admin_token=ADMIN_TOKEN,
        jwt_secret=JWT_SECRET,
        main_key=base64.b64encode(bytes(32)).decode(),
        allow_subnets="127.0.0.0/8",
        retry_schedule="200ms,200ms",
        poll_interval="100ms",
        breaker_rest="1s",
        **({} if store is None else {"store": store}),
    ) as ringback:
        yield ringback
