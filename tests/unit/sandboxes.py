"""Plays the Xendit sandbox in a test: no HTTP, a clock that stands still, a real store."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from ringback.config import load
from ringback.engine import Engine, open_checked_store, until_idle
from ringback.observe import Observer
from ringback.outbox import Outbox
from ringback.sandbox.xendit.api import Api, Incoming
from ringback.sandbox.xendit.calls import Answer, Owner
from ringback.sandbox.xendit.notices import NOTICE
from ringback.sandbox.xendit.products import PRODUCTS
from ringback.sandbox.xendit.sandbox import BUSINESS, DEFAULT_KEY, Sandbox
from ringback.sandbox.xendit.slots import Sending
from ringback.testing import FrozenClock

OWNER = Owner(BUSINESS)
SITE = "http://127.0.0.1:8700"
LOOPBACK = "127.0.0.0/8,::1/128"


class Play:
    """A sandbox in a test."""

    def __init__(
        self, folder: Path, *, worker: bool, sending: Sending, seed: int, products: Sequence[Any]
    ) -> None:
        self.clock = FrozenClock()
        self._runner = asyncio.Runner()
        settings = load(
            {
                "store": f"sqlite:///{folder / 'sandbox.db'}",
                "allow_subnets": LOOPBACK,
                "delivery_timeout": "1s",
                "poll_interval": "20ms",
            },
            {},
            None,
        )
        self.store = open_checked_store(settings)
        self._engine = Engine(self.store, settings, Observer(), works=worker, clock=self.clock)
        self._committer = self._engine.committer
        self._committer.start()
        outbox = Outbox(self._committer, clock=self.clock)
        self.sandbox = Sandbox(
            outbox, products, clock=self.clock, chance=random.Random(seed), sending=sending
        )
        self.api = Api(self.sandbox, keys={DEFAULT_KEY: OWNER}, site=lambda: SITE)
        self.run(self.sandbox.start())
        self._worker = self.run(self._start_worker()) if worker else None

    def run(self, awaitable: Any) -> Any:
        """Run something on the sandbox's loop; return what it returns."""

        async def waited() -> Any:
            return await awaitable

        return self._runner.run(waited())

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Any = (),
        headers: dict[str, str] | None = None,
        key: str | None = DEFAULT_KEY,
        form: dict[str, str] | None = None,
    ) -> Answer:
        """Ask the API; *body* is JSON (bytes are sent as they are), *form* a page's fields."""
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if key is not None:
            sent.setdefault("authorization", "Basic " + base64.b64encode(f"{key}:".encode()).decode())
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        if form is not None:
            raw, sent["content-type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        incoming = Incoming(
            method=method, path=path, query=urlencode(query, doseq=True), headers=sent, body=raw
        )
        return self.run(self.api.answer(incoming))

    def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Ask the API, which must succeed; return the answer's body as a client reads it."""
        answer = self.call(method, path, body, **options)
        assert 200 <= answer.status < 300, answer
        return json.loads(msgspec.json.encode(answer.body))

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str]:
        """Ask the API, which must refuse in the provider's shape; return the status and the error's code."""
        answer = self.call(method, path, body, **options)
        assert 400 <= answer.status < 500, answer
        assert isinstance(answer.body["message"], str)
        return answer.status, answer.body["error_code"]

    def advance(self, milliseconds: int) -> None:
        """Let time pass, and happen what is due, each at its time."""
        until = self.clock() + milliseconds
        while (entry := self.sandbox.ledger.next_due()) is not None and (entry.due_at or 0) <= until:
            self.clock.advance(max(0, (entry.due_at or 0) - self.clock()) / 1_000)
            self.tick()
        self.clock.advance((until - self.clock()) / 1_000)

    def tick(self) -> int:
        """Let happen what is due."""
        return self.run(self.sandbox.tick())

    def told(self, owner: Owner | None = None) -> list[tuple[str, str, dict[str, Any]]]:
        """Return event, slot and body of all that was published, oldest first."""
        return [
            (entry.body["event"], entry.body["slot"], json.loads(entry.hidden["payload"]))
            for entry in reversed(self.sandbox.ledger.entries(NOTICE, owner))
            if entry.hidden["published"]
        ]

    def deliver(self) -> None:
        """Let the worker do all that is due."""
        assert self._worker is not None
        self.run(until_idle(self._committer, self._worker, self.clock))

    def close(self) -> None:
        """Stop, leaving the store as it is."""
        if self._worker is not None:
            self.run(self._worker.stop(1))
        self._committer.close()
        self._runner.close()

    async def _start_worker(self) -> Any:
        worker = self._engine.worker()
        worker.start()
        return worker


@contextlib.contextmanager
def playing(
    folder: Path,
    *,
    worker: bool = False,
    sending: Sending | None = None,
    seed: int = 7,
    products: Sequence[Any] = PRODUCTS,
) -> Iterator[Play]:
    """Play the sandbox in a folder; again in the same folder, it goes on from there."""
    play = Play(folder, worker=worker, sending=sending or Sending(), seed=seed, products=products)
    try:
        yield play
    finally:
        play.close()
