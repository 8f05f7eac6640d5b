"""Every operation of the Svix API, done once through an SDK; what comes of it is a table of the documentation."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from running import LOOPBACK, Receiver, Ringback
from svix_sdk import DATABASES, VERSIONS, Sdk, SdkError, until

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "svix-compatibility.md"
TABLE = re.compile(r"(<!-- table: begin; [^>]*-->\n).*(<!-- table: end -->)", re.DOTALL)
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
MARKS = {True: "yes", False: "**no**"}

# What is asked of each operation: the SDK's method, or a request where the SDKs have none.
OPERATIONS = {
    "GET /app": "application.list",
    "POST /app": "application.create",
    "GET /app/{app}": "application.get",
    "PUT /app/{app}": "application.upsert",
    "PATCH /app/{app}": "application.patch",
    "DELETE /app/{app}": "application.delete",
    "GET /app/{app}/endpoint": "endpoint.list",
    "POST /app/{app}/endpoint": "endpoint.create",
    "GET /app/{app}/endpoint/{ep}": "endpoint.get",
    "PUT /app/{app}/endpoint/{ep}": "endpoint.upsert",
    "PATCH /app/{app}/endpoint/{ep}": "endpoint.patch",
    "DELETE /app/{app}/endpoint/{ep}": "endpoint.delete",
    "GET /app/{app}/endpoint/{ep}/secret": "endpoint.get_secret",
    "POST /app/{app}/endpoint/{ep}/secret/rotate": "endpoint.rotate_secret",
    "GET /app/{app}/endpoint/{ep}/headers": "endpoint.get_headers",
    "PUT /app/{app}/endpoint/{ep}/headers": "endpoint.set_headers",
    "PATCH /app/{app}/endpoint/{ep}/headers": "endpoint.patch_headers",
    "GET /app/{app}/endpoint/{ep}/stats": "endpoint.get_stats",
    "POST /app/{app}/endpoint/{ep}/recover": "endpoint.recover",
    "POST /app/{app}/endpoint/{ep}/send-example": "endpoint.send_example",
    "GET /app/{app}/endpoint/{ep}/msg": "message_attempt.list_attempted_messages",
    "GET /app/{app}/msg": "message.list",
    "POST /app/{app}/msg": "message.create",
    "GET /app/{app}/msg/{msg}": "message.get",
    "DELETE /app/{app}/msg/{msg}/content": "message.expunge_content",
    "GET /app/{app}/msg/{msg}/endpoint": "message_attempt.list_attempted_destinations",
    "POST /app/{app}/msg/{msg}/endpoint/{ep}/resend": "message_attempt.resend",
    "GET /app/{app}/msg/{msg}/attempt/{att}": "message_attempt.get",
    "DELETE /app/{app}/msg/{msg}/attempt/{att}/content": "message_attempt.expunge_content",
    "GET /app/{app}/attempt/endpoint/{ep}": "message_attempt.list_by_endpoint",
    "GET /app/{app}/attempt/msg/{msg}": "message_attempt.list_by_msg",
    "GET /event-type": "event_type.list",
    "POST /event-type": "event_type.create",
    "GET /event-type/{name}": "event_type.get",
    "PUT /event-type/{name}": "event_type.upsert",
    "PATCH /event-type/{name}": "event_type.patch",
    "DELETE /event-type/{name}": "event_type.delete",
    "POST /auth/app-portal-access/{app}": "authentication.app_portal_access",
    "POST /auth/logout": "authentication.logout",
    "GET /health": "health.get",
    "HEAD /health": None,
    "GET /health/ping": None,
    "HEAD /health/ping": None,
}

Results = Mapping[str, bool]


class Walk:
    """One way through all operations: each is done where it makes sense, and must be answered well."""

    def __init__(self, sdk: Sdk, ringback: Ringback, receiver: Receiver) -> None:
        self.failures: dict[str, str] = {}
        self._sdk = sdk
        self._ringback = ringback
        self._url = receiver.url

    def results(self) -> Results:
        """Go, and tell of each operation whether it works."""
        self._event_types()
        app, endpoint = self._endpoints()
        self._messages(app, endpoint)
        self._portal(app)
        self._do("application.delete", app)
        self._health()
        return {
            operation: name not in self.failures and (method is None or method in self._sdk.methods)
            for operation, method in OPERATIONS.items()
            for name in [method or operation]
        }

    def _do(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._sdk.call(method, *arguments, **options)

    def _event_types(self) -> None:
        name = f"walk.{self._sdk.version}"
        self._do("event_type.create", {"name": name, "description": "made"})
        self._do("event_type.upsert", name, {"description": "put"})
        self._do("event_type.patch", name, {"description": "patched"})
        self._expect("event_type.patch", self._do("event_type.get", name)["description"], "patched")
        self._do("event_type.list")
        self._do("event_type.delete", name)

    def _endpoints(self) -> tuple[str, str]:
        app = self._do("application.create", {"name": "Walk"})["id"]
        self._do("application.upsert", app, {"name": "Put"})
        self._do("application.patch", app, {"name": "Patched"})
        self._expect("application.patch", self._do("application.get", app)["name"], "Patched")
        self._do("application.list", limit=1)
        spare = self._do("endpoint.create", app, {"url": self._url})["id"]
        self._do("endpoint.delete", app, spare)
        endpoint = self._do("endpoint.create", app, {"url": self._url})["id"]
        self._do("endpoint.upsert", app, endpoint, {"url": self._url, "description": "put"})
        self._do("endpoint.patch", app, endpoint, {"description": "patched"})
        self._expect("endpoint.patch", self._do("endpoint.get", app, endpoint)["description"], "patched")
        self._expect("endpoint.list", len(self._do("endpoint.list", app)["data"]), 1)
        self._do("endpoint.set_headers", app, endpoint, {"headers": {"x-one": "1"}})
        self._do("endpoint.patch_headers", app, endpoint, {"headers": {"x-two": "2"}})
        headers = self._do("endpoint.get_headers", app, endpoint)["headers"]
        self._expect("endpoint.get_headers", headers, {"x-one": "1", "x-two": "2"})
        before = self._do("endpoint.get_secret", app, endpoint)["key"]
        self._do("endpoint.rotate_secret", app, endpoint, {})
        after = self._do("endpoint.get_secret", app, endpoint)["key"]
        self._expect("endpoint.rotate_secret", before != after, wanted=True)
        return app, endpoint

    def _messages(self, app: str, endpoint: str) -> None:
        self._do("endpoint.send_example", app, endpoint, {"eventType": "svix.ping"})
        asked = {"eventType": "walk", "payload": {"n": 1}, "tags": ["walk:1"], "deliverAt": _soon()}
        message = self._do("message.create", app, asked)["id"]
        self._expect("message.get", self._do("message.get", app, message)["eventType"], "walk")
        self._expect("message.list", len(self._do("message.list", app)["data"]), 2)
        (tagged,) = self._do("message.list", app, tag="walk:1")["data"]
        self._expect("message.create", (tagged["id"], tagged["tags"]), (message, ["walk:1"]))
        self._expect("message.create", tagged["deliverAt"] is not None, wanted=True)
        attempts = until(lambda: self._do("message_attempt.list_by_msg", app, message)["data"])
        attempt = attempts[0]["id"]
        self._expect("message_attempt.list_by_msg", attempts[0]["status"], 0)
        self._do("message_attempt.list_by_endpoint", app, endpoint)
        self._do("message_attempt.get", app, message, attempt)
        self._do("message_attempt.list_attempted_messages", app, endpoint)
        self._do("message_attempt.list_attempted_destinations", app, message)
        self._do("endpoint.get_stats", app, endpoint)
        self._do("message_attempt.resend", app, message, endpoint)
        self._do(
            "endpoint.recover",
            app,
            endpoint,
            {"since": "2099-01-01T00:00:00Z", "until": "2099-01-02T00:00:00Z"},
        )
        self._do("message_attempt.expunge_content", app, message, attempt)
        self._do("message.expunge_content", app, message)

    def _portal(self, app: str) -> None:
        try:
            bearer = self._sdk.as_bearer(self._do("authentication.app_portal_access", app, {})["token"])
        except SdkError as error:
            self.failures |= dict.fromkeys(
                ("authentication.app_portal_access", "authentication.logout"), str(error)
            )
            return
        bearer.call("application.get", app)
        bearer.call("authentication.logout")
        self._expect("authentication.logout", bearer.refused("application.get", app).status, 401)
        self._sdk.methods |= bearer.methods

    def _health(self) -> None:
        self._do("health.get")
        connection = http.client.HTTPConnection(LOOPBACK, self._ringback.port, timeout=60)
        for request, status in {
            "HEAD /health": 200,
            "GET /health/ping": 204,
            "HEAD /health/ping": 204,
        }.items():
            method, path = request.split()
            connection.request(method, f"/api/v1{path}")
            answer = connection.getresponse()
            answer.read()
            self._expect(request, answer.status, status)
        connection.close()

    def _expect(self, name: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            self.failures[name] = f"{found!r} is not {wanted!r}"


def _soon() -> str:
    return (datetime.now(UTC) + timedelta(milliseconds=500)).isoformat()


def column(version: str, database: str) -> str:
    """Return the heading of a column."""
    return f"{version} {NAMES[database]}"


def table(results: Mapping[tuple[str, str], Results]) -> str:
    """Return the table of the documentation, from what came of each operation by version and database."""
    columns = [(version, database) for version in VERSIONS for database in DATABASES]
    lines = [
        "| Operation | " + " | ".join(column(*one) for one in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for operation in OPERATIONS:
        marks = " | ".join(MARKS[results[one][operation]] for one in columns)
        lines.append(f"| `{operation}` | {marks} |")
    return "\n".join(lines) + "\n"


def documented() -> dict[tuple[str, str], dict[str, bool]]:
    """Return what the table of the documentation says."""
    found = TABLE.search(PAGE.read_text("utf-8"))
    assert found, f"{PAGE} has no table"
    told: dict[tuple[str, str], dict[str, bool]] = {(v, d): {} for v in VERSIONS for d in DATABASES}
    heads, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in found[0].splitlines()[1:-1]
    ]
    for operation, *marks in rows:
        for head, mark in zip(heads[1:], marks, strict=True):
            version, _, name = head.partition(" ")
            database = next(key for key, value in NAMES.items() if value == name)
            told[version, database][operation.strip("`")] = mark == MARKS[True]
    return told
