"""The sandbox as a process of its own, and the provider's official SDK pointed at it, unmodified."""

from __future__ import annotations

import contextlib
import http.client
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xendit
from running import ANYWHERE, LOOPBACK, PATIENCE, Ringback, running

KEY = "xnd_development_ringback"
LIVE_KEY = "xnd_production_ringback"


class Sandbox:
    """A running sandbox, as a program sees it that calls it."""

    def __init__(self, process: Ringback) -> None:
        self.process = process
        self.url = f"http://{LOOPBACK}:{process.port}"

    def client(self, key: str = KEY) -> xendit.ApiClient:
        """Return the SDK's client for it."""
        return xendit.ApiClient(xendit.Configuration(host=self.url, api_key=key))

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str = KEY, **headers: str
    ) -> tuple[int, Any]:
        """Call it without the SDK; return the status and the JSON of the answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.process.port, timeout=PATIENCE)
        sent = {"authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call it without the SDK, which must succeed; return the JSON of the answer."""
        status, answer = self.ask(method, path, body, **options)
        assert status < 300, (status, answer)
        return answer


@contextlib.contextmanager
def sandbox(folder: Path, *options: str, **settings: str) -> Iterator[Sandbox]:
    """Run `ringback sandbox xendit` in *folder* for the length of the block."""
    command = ["sandbox", "xendit", "--listen", ANYWHERE, *options]
    with running(*command, folder=folder, **settings) as process:
        yield Sandbox(process)


def refusal(call: Any, *arguments: Any, **named: Any) -> tuple[int, str]:
    """Make a call of the SDK that must be refused; return the status and the code that its exception tells."""
    with pytest.raises(xendit.XenditSdkException) as caught:
        call(*arguments, **named)
    assert caught.value.errorMessage
    return int(caught.value.status), caught.value.errorCode
