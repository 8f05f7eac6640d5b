"""The provider of a comparison: a sandbox on a clock of its own, with the worker that sends its webhooks."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import msgspec

from ringback.config import Address, load
from ringback.demo.comparison.clock import ProviderClock
from ringback.demo.comparison.door import LOOPBACK
from ringback.demo.comparison.tally import Tally, on_loop
from ringback.demo.sandbox_server import SandboxOptions, SandboxServer
from ringback.engine import Engine, open_checked_store
from ringback.model import Duration, Instant
from ringback.observe import AttemptFinished, Observer
from ringback.outbox import Outbox
from ringback.policy import Step
from ringback.sandbox.xendit.api import Incoming
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.sandbox import BUSINESS

OWNER = Owner(BUSINESS)
SLOT = "invoice"
# For how long a webhook's sender waits for an answer, in real time. The provider waits 30 seconds, of which nothing
# is learnt: whoever has not answered by then loses the webhook either way.
SENDER_PATIENCE: Duration = 1_000
# How often the worker looks whether a retry is due, in real time.
LOOK = "20ms"
NOBODY = "-"


class Provider:
    """A sandbox that runs.

    Args:
        folder: Where it keeps everything.
        clock: Its clock.
        seed: Makes its ids.
    """

    def __init__(self, folder: Path, clock: ProviderClock, seed: int) -> None:
        self.served: Counter[str] = Counter()
        self.attempts = Tally("webhooks were sent")
        # When webhooks that failed are sent again, as often as there are such.
        self.retries: list[Instant] = []
        self._folder = folder
        self._clock = clock
        self._seed = seed
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Begin to answer and to send."""
        settings = load(
            {
                "store": f"sqlite:///{self._folder / 'provider.db'}",
                "allow_subnets": f"{LOOPBACK}/32",
                "delivery_timeout": f"{SENDER_PATIENCE}ms",
                "poll_interval": LOOK,
            },
            {},
            None,
        )
        observer = Observer()
        on_loop(observer, AttemptFinished, self._note)
        engine = Engine(open_checked_store(settings), settings, observer, clock=self._clock)
        self._running.push_async_callback(asyncio.to_thread, engine.committer.close)
        engine.committer.start()
        worker = engine.worker()
        worker.start()
        self._running.push_async_callback(worker.stop, 0)
        options = SandboxOptions(listen=Address(LOOPBACK, 0), seed=self._seed)
        outbox = Outbox(engine.committer, clock=self._clock)
        self._server = SandboxServer(outbox, options, clock=self._clock, hears=self._hear)
        await self._server.start()
        self._running.push_async_callback(self._server.stop)

    async def stop(self) -> None:
        """Stop."""
        await self._running.aclose()

    @property
    def address(self) -> Address:
        """Where its API is."""
        return Address(*self._server.address)

    @property
    def token(self) -> str:
        """What its webhooks carry."""
        return self._server.sandbox.slots.token(OWNER).current

    async def send_to(self, url: str) -> None:
        """Send the webhooks of invoices to a URL from now on."""
        slots = self._server.sandbox.slots
        await slots.put(OWNER, msgspec.structs.replace(slots.get(OWNER, SLOT), url=url))

    async def pass_time(self) -> None:
        """Let happen in the sandbox what is due by now."""
        await self._server.sandbox.tick()

    def _hear(self, incoming: Incoming) -> None:
        self.served[incoming.headers.get("user-agent", NOBODY)] += 1

    def _note(self, event: AttemptFinished) -> None:
        if event.step == Step.RETRY and event.due_at is not None:
            self.retries.append(event.due_at)
        self.attempts.note()
