"""Runs the demonstration: a node, a receiver, the story, and a view of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from ringback.config import Address, Settings
from ringback.demo import story
from ringback.demo.receiver import Receiver
from ringback.demo.story import Cast
from ringback.demo.view import SHOWN, Line, View, printer
from ringback.model import Message
from ringback.observe import AttemptFinished, Event
from ringback.policy import Step
from ringback.server.node import Node

PATIENCE_SECONDS = 60
EXAMPLE = '{"eventType": "invoice.paid", "payload": {"external_id": "order-1", "amount": 250000}}'


class Progress:
    """Knows which deliveries have succeeded, and when all of some messages' have."""

    def __init__(self) -> None:
        self._delivered: set[tuple[str, str]] = set()
        self._wanted: set[tuple[str, str]] | None = None
        self._complete = asyncio.Event()

    def note(self, event: Event) -> None:
        """Take an event into account."""
        if isinstance(event, AttemptFinished) and event.step == Step.SUCCEED:
            self._delivered.add((event.attempt.message_id, event.attempt.endpoint_id))
            self._check()

    def want(self, messages: list[Message], cast: Cast) -> None:
        """Be complete when both endpoints have got all of *messages*."""
        self._wanted = {(m.id, endpoint.id) for m in messages for endpoint in (cast.healthy, cast.flaky)}
        self._check()

    async def complete(self) -> None:
        """Wait until everything wanted has been delivered."""
        await self._complete.wait()

    def missing(self) -> int:
        """Return how many of the deliveries wanted have not succeeded yet."""
        return len((self._wanted or set()) - self._delivered)

    def _check(self) -> None:
        if self._wanted is not None and self._wanted <= self._delivered:
            self._complete.set()


class Demonstration:
    """A node, the receivers it delivers to, and what is told of them.

    Args:
        settings: Of the node; loopback must be among the networks allowed, and the token must be known.
        data: What to call the folder with the data.
    """

    def __init__(self, settings: Settings, data: str) -> None:
        self._settings = settings
        self._data = data
        self._node = Node(settings)
        self._receiver = Receiver()
        self._show = printer()
        self._names: dict[str, str] = {}
        self._view = View(self._names, self._show)
        self._progress = Progress()

    async def run(self, *, once: bool) -> bool:
        """Run the story and tell whether everything was delivered within a minute.

        Args:
            once: Return when the story is over; otherwise keep running until SIGINT or SIGTERM.

        Raises:
            RingbackError: The node cannot be started.
            OSError: Its address or its files cannot be used.
        """
        stopped = asyncio.ensure_future(_stop_signal())
        self._subscribe()
        await self._node.start()
        self._receiver.start()
        try:
            playing = asyncio.ensure_future(self._play())
            await asyncio.wait({playing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            delivered = playing.done() and playing.result()
            if not once:
                await stopped
            return delivered
        finally:
            await self._node.stop()
            self._receiver.stop()

    def _subscribe(self) -> None:
        loop = asyncio.get_running_loop()

        def pass_on(event: Event) -> None:
            # Events happen on the engine's threads, which must not wait for a terminal.
            with contextlib.suppress(RuntimeError):  # the very last ones happen after the loop was closed
                loop.call_soon_threadsafe(self._tell, event)

        for kind in SHOWN:
            self._node.observer.subscribe(kind, pass_on)

    def _tell(self, event: Event) -> None:
        self._view.tell(event)
        self._progress.note(event)

    async def _play(self) -> bool:
        self._introduce()
        cast = await story.assemble(self._node.outbox, self._receiver)
        self._names |= {cast.healthy.id: "healthy", cast.flaky.id: "flaky"}
        messages = await story.publish(self._node.outbox, cast)
        self._progress.want(messages, cast)
        try:
            await asyncio.wait_for(self._progress.complete(), PATIENCE_SECONDS)
        except TimeoutError:
            missing = self._progress.missing()
            self._show(Line(f"{missing} deliveries are still missing after {PATIENCE_SECONDS} s", "red"))
            return False
        self._show(Line(f"\nAll {len(messages)} messages reached both endpoints.", "green"))
        self._suggest(cast, messages[0])
        return True

    def _introduce(self) -> None:
        allowed = ", ".join(map(str, self._settings.allow_subnets))
        self._show(Line(f"Ringback listens on {self._url()} and keeps its data in {self._data}", "bold"))
        self._show(Line(f"Only for this demonstration it may deliver to this machine itself ({allowed})"))
        self._show(Line("and retries within seconds. Every payload is made up.\n"))

    def _suggest(self, cast: Cast, message: Message) -> None:
        api = f"{self._url()}/api/v1/app/{cast.application.uid}"
        curl = f"curl -sS -H 'Authorization: Bearer {self._settings.admin_token}'"
        self._show(Line("\nTry next, in another terminal:"))
        self._show(Line("\n# Publish a message", "bold"))
        self._show(Line(f"{curl} -H 'Content-Type: application/json' \\\n  {api}/msg -d '{EXAMPLE}'"))
        self._show(Line("\n# List a message's attempts", "bold"))
        self._show(Line(f"{curl} \\\n  {api}/attempt/msg/{message.id}"))
        self._show(Line("\n# Send it again to one endpoint", "bold"))
        self._show(Line(f"{curl} -X POST \\\n  {api}/msg/{message.id}/endpoint/{cast.healthy.id}/resend\n"))

    def _url(self) -> str:
        return f"http://{Address(*self._node.address)}"


async def _stop_signal() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    await told.wait()
