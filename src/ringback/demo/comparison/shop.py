"""The shop of a comparison: Ringback's own inbox behind a door, its handler, and its reconciler where it has one."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from ringback.adapters.asgi import ASGIAdapter
from ringback.config import Address
from ringback.demo.comparison.clock import ProviderClock
from ringback.demo.comparison.door import LOOPBACK, Condition, Door
from ringback.demo.comparison.ear import Ear
from ringback.demo.comparison.tally import Tally, on_loop
from ringback.handlers import Message
from ringback.inbox import Inbox
from ringback.observe import AttemptFinished, FoundByPoll, WebhookReceived
from ringback.reconcilers.xendit import invoices
from ringback.sandbox.xendit.compare.results import Traffic
from ringback.server.express import Lane
from ringback.server.web import Web

SOURCE = "xendit"
PAID = "invoice.paid"
# How often the handlers look whether the reconciler has found something, in real time.
LOOK = "20ms"


class Shop:
    """A shop that hears of payments by webhook.

    Args:
        folder: Where the inbox keeps everything.
        clock: The provider's clock: the shop goes by it, too.
        ear: Told of each invoice that the handler gets.
    """

    def __init__(self, folder: Path, clock: ProviderClock, ear: Ear) -> None:
        self._store = f"sqlite:///{folder / 'shop.db'}"
        self._clock = clock
        self._ear = ear
        self._token = ""
        self._accepted = Tally("webhooks were taken in")
        self._handled = Tally("payments were handled")
        self._running = contextlib.AsyncExitStack()
        self._looking: Inbox | None = None
        self._api: Door | None = None

    async def start(self, token: str) -> None:
        """Begin to receive and to handle; webhooks carry the *token*."""
        self._token = token
        inbox = self._new_inbox()
        inbox.on(SOURCE, PAID, name="follow")(self._follow)
        on_loop(inbox.observer, WebhookReceived, self._note_webhook)
        on_loop(inbox.observer, AttemptFinished, lambda _: self._handled.note())
        # Opened before anybody else opens the same file: who makes it wants it alone.
        await asyncio.to_thread(lambda: inbox.next_due().result())
        web = Web(ASGIAdapter(inbox), Lane(), Address(LOOPBACK, 0))
        await web.start()
        self._running.push_async_callback(web.stop)
        stop = asyncio.Event()
        working = asyncio.create_task(inbox.work(stop))

        async def end() -> None:
            stop.set()
            await working
            await asyncio.to_thread(inbox.close)

        self._running.push_async_callback(end)
        self.door = Door(Address(*web.address))
        await self.door.turn(Condition.WELL)
        self._running.push_async_callback(self.door.close)

    async def reconcile_with(self, api: Address, key: str) -> None:
        """Be ready to ask an API for payments whose webhook has not come."""
        self._api = Door(api)
        await self._api.turn(Condition.WELL)
        self._running.push_async_callback(self._api.close)
        self._looking = self._new_inbox()
        self._looking.reconcile(SOURCE, invoices(key, base_url=self._api.url))
        on_loop(self._looking.observer, FoundByPoll, self._note_found)
        self._running.push_async_callback(asyncio.to_thread, self._looking.close)

    async def stop(self) -> None:
        """Stop."""
        await self._running.aclose()

    @property
    def reconciles(self) -> bool:
        """Whether it has a reconciler."""
        return self._looking is not None

    def reconciling(self, requests: int) -> Traffic:
        """Return what the reconciler's *requests* took: the connections tell the bytes, the API the number."""
        return Traffic() if self._api is None else Traffic(requests, self._api.asked, self._api.answered)

    @property
    def url(self) -> str:
        """Where webhooks come in."""
        return f"{self.door.url}/{SOURCE}"

    async def settled(self) -> None:
        """Wait until the handler is done with all that has come in."""
        await self._handled.reach(self._accepted.count)

    async def look(self) -> None:
        """Ask the API once, as a scheduler would have it asked, and wait until what was found is handled."""
        assert self._looking is not None  # noqa: S101 - only a shop with a reconciler is told to look
        await asyncio.to_thread(self._looking.reconcile_once, SOURCE)
        await self.settled()

    def _new_inbox(self) -> Inbox:
        inbox = Inbox(self._store, clock=self._clock, poll_interval=LOOK)
        inbox.source(SOURCE, secrets=[self._token])
        return inbox

    async def _follow(self, message: Message) -> None:
        self._ear.hear(str(message.data["id"]))

    def _note_found(self, event: FoundByPoll) -> None:
        if event.held is None:
            self._accepted.note()

    def _note_webhook(self, event: WebhookReceived) -> None:
        if event.outcome == "accepted":
            self._accepted.note()
