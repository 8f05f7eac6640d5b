"""A Xendit sandbox for tests: real HTTP on loopback, and time that only passes when the test says so."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from ringback.config import Address, load
from ringback.demo.sandbox_server import SandboxOptions, SandboxServer
from ringback.model import Instant
from ringback.sandbox.xendit.sandbox import DEFAULT_KEY
from ringback.sandbox.xendit.slots import Sending
from ringback.server.node import Node
from ringback.testing.clock import FrozenClock

LOOPBACK = "127.0.0.1"
NETWORKS = "127.0.0.0/8,::1/128"
PATIENCE_SECONDS = 60

T = TypeVar("T")


class XenditSandbox:
    """Plays Xendit until it is closed: point the official SDK at ``url`` with the key ``key``.

    Everything that would happen by itself, such as expiries and retries of webhooks, happens in ``advance``, in its
    order and each at its time. The program under test has to receive webhooks on loopback meanwhile.

    Args:
        folder: Where it keeps what it knows; in a folder that one was in before, it goes on from there.
        clock: The present. It may be shared with what is tested; let time pass with ``advance`` here.
        webhook_url: Where all webhooks go; None: where the settings say, at first nowhere.
        seed: Ids and numbers come out the same for the same seed.
        timeout: How long a receiver has to answer, in real time.
        retry_timeouts: Whether webhooks are retried that nobody answered in time; the provider does not.
    """

    key = DEFAULT_KEY

    def __init__(
        self,
        folder: Path,
        *,
        clock: FrozenClock | None = None,
        webhook_url: str | None = None,
        seed: int = 1,
        timeout: str = "30s",
        retry_timeouts: bool = False,
    ) -> None:
        self.clock = clock or FrozenClock()
        self._options = SandboxOptions(
            listen=Address(LOOPBACK, 0),
            webhook_url=webhook_url,
            sending=Sending(retries_silence=retry_timeouts),
            seed=seed,
        )
        self._settings = load(
            {
                "store": f"sqlite:///{folder / 'xendit-sandbox.db'}",
                "allow_subnets": NETWORKS,
                "delivery_timeout": timeout,
                "poll_interval": "20ms",
            },
            {},
            None,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="xendit-sandbox", daemon=True)
        self._thread.start()
        self._running = AsyncExitStack()
        try:
            self._node, self._server = self._run(self._start())
        except BaseException:
            self.close()
            raise
        self.url = self._server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def token(self) -> str:
        """The verification token that webhooks carry in ``x-callback-token``."""
        return str(self.ask("GET", "/sandbox/webhooks/token")["current"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the sandbox's API with its key, for what the SDK has no calls for; return the answer's JSON.

        Raises:
            AssertionError: It was refused; the message is the provider's.
        """
        connection = http.client.HTTPConnection(*self._server.address, timeout=PATIENCE_SECONDS)
        user = base64.b64encode(f"{self.key}:".encode()).decode()
        try:
            raw = None if body is None else json.dumps(body)
            connection.request(method, path, raw, {"authorization": f"Basic {user}"})
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise AssertionError(
                f"{method} {path}: {answer.status} {content['error_code']}: {content['message']}"
            )
        return content

    def send_webhooks_to(self, url: str | None) -> None:
        """Set the URL of every webhook setting; None: they go nowhere, and can be sent later."""
        self.ask("PUT", "/sandbox/webhooks/slots", {"url": url})

    def pay(self, invoice_id: str, method: str = "BANK_TRANSFER", channel: str = "BCA") -> Any:
        """Pay an invoice as a payer does on its page; return the invoice. Its webhook goes out at once.

        Args:
            invoice_id: Of a pending invoice.
            method: The provider's name of a way to pay, such as ``EWALLET``.
            channel: Such as ``DANA``.
        """
        draft = {"payment_method": method, "payment_channel": channel}
        return self.ask("POST", f"/sandbox/invoices/{invoice_id}/pay", draft)

    def advance(self, seconds: float) -> None:
        """Let time pass, at least 0 seconds; return when all has happened that is due by then.

        Raises:
            ValueError: *seconds* is negative.
            TimeoutError: A receiver neither answers nor hangs up for a minute.
        """
        if seconds < 0:
            raise ValueError("time does not run back: advance by 0 seconds or more")
        self._run(self._advance(self.clock() + round(seconds * 1_000)))

    def deliver(self) -> None:
        """Wait until every webhook that is due has been sent and answered."""
        self.advance(0)

    def close(self) -> None:
        """Stop; what was to happen later happens where another sandbox goes on in the same folder."""
        if self._thread.is_alive():
            self._run(self._running.aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _start(self) -> tuple[Node, SandboxServer]:
        node = Node(self._settings, api=False, clock=self.clock)
        await node.start()
        self._running.push_async_callback(node.stop)
        server = SandboxServer(node.outbox, self._options, clock=self.clock)
        await server.start()
        self._running.push_async_callback(server.stop)
        return node, server

    async def _advance(self, until: Instant) -> None:
        while (due_at := await self._next_due()) is not None and due_at <= until:
            self.clock.advance_to(due_at)
        self.clock.advance_to(until)

    async def _next_due(self) -> Instant | None:
        """Let happen what is due; return when something will be next."""
        sandbox = self._server.sandbox
        await self._node.until_idle()
        while await sandbox.tick():
            await self._node.until_idle()
        entry = sandbox.ledger.next_due()
        instants = [await self._node.until_idle(), None if entry is None else entry.due_at]
        return min((instant for instant in instants if instant is not None), default=None)
