"""Sets the demonstration's stage and plays on it: a node, the sandbox, the shop, and receivers of what is published."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ringback.config import Address, Settings
from ringback.demo import sending
from ringback.demo.buyer import Unanswered
from ringback.demo.receiver import Receiver
from ringback.demo.sandbox_server import SandboxOptions, SandboxServer
from ringback.demo.selling import Invoiced, Selling, Wrong
from ringback.demo.sending import Cast
from ringback.demo.shop import DATABASE, HOOK, Shop, ShopOptions, folder
from ringback.demo.suggestions import suggestions
from ringback.demo.till import HEARD, Till
from ringback.demo.view import SHOWN, Line, View, printer
from ringback.model import Message
from ringback.observe import AttemptFinished, Event, Observer
from ringback.policy import Step
from ringback.sandbox.xendit.sandbox import DEFAULT_KEY
from ringback.server.node import Node

PATIENCE_SECONDS = 60
# The page that shows what happens as it does.
LIVE = "watch"


class Places(msgspec.Struct, frozen=True):
    """Where things are.

    Args:
        data: The folder with all that is kept.
        sandbox: Where the sandbox listens.
        shop: Where the shop listens.
    """

    data: Path
    sandbox: Address
    shop: Address


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
    """Everything that takes part, and what is told of it.

    Args:
        settings: Of the node; loopback must be among the networks allowed, and the token must be known.
        sandbox: Of the node through which the sandbox's webhooks leave; loopback as above.
        places: Where things are.
        told: What Ringback's part of the shop is told, as variables.
        opens: Whether the live view is opened in a browser.
    """

    def __init__(
        self, settings: Settings, sandbox: Settings, places: Places, told: Mapping[str, str], *, opens: bool
    ) -> None:
        self._settings = settings
        self._places = places
        self._told = told
        self._opens = opens
        self._node = Node(settings, shared=True)
        self._carrier = Node(sandbox, api=False)
        self._receiver = Receiver()
        self._show = printer()
        self._names: dict[str, str] = {}
        self._view = View(self._names, self._show)
        self._till = Till(self._show)
        self._progress = Progress()

    async def run(self, *, once: bool) -> bool:
        """Play the story and tell whether all went well within a minute.

        Args:
            once: Return when the story is over; otherwise keep running until SIGINT or SIGTERM.

        Raises:
            RingbackError: Something cannot be started.
            OSError: An address or a file cannot be used.
        """
        stopped = asyncio.ensure_future(_stop_signal())
        async with contextlib.AsyncExitStack() as stage:
            shop, sandbox = await self._set(stage)
            playing = asyncio.ensure_future(self._play(shop, sandbox))
            await asyncio.wait({playing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                playing.cancel()
                await asyncio.wait({playing})
                return False
            well = playing.result()
            if not once:
                await stopped
            return well

    # --- The stage ----------------------------------------------------------------------------------------

    async def _set(self, stage: contextlib.AsyncExitStack) -> tuple[Shop, SandboxServer]:
        """Start everything; what *stage* undoes at its end is stopped in the opposite order."""
        for node in (self._node, self._carrier):
            await node.start()
            stage.push_async_callback(node.stop)
        self._receiver.start()
        stage.callback(self._receiver.stop)
        shop = Shop(self._places.shop)
        stage.push_async_callback(shop.stop)
        options = SandboxOptions(listen=self._places.sandbox, webhook_url=f"{shop.url}{HOOK}")
        sandbox = SandboxServer(self._carrier.outbox, options)
        stage.push_async_callback(sandbox.stop)
        await sandbox.start()
        await self._open(shop, sandbox)
        return shop, sandbox

    async def _open(self, shop: Shop, sandbox: SandboxServer) -> None:
        shop.load(
            ShopOptions(
                database=self._places.data / DATABASE,
                api_url=sandbox.url,
                api_key=DEFAULT_KEY,
                callback_token=sandbox.token,
                settings=self._told,
            )
        )
        self._subscribe(self._node.observer, SHOWN, self._tell)
        self._subscribe(shop.inbox.observer, HEARD, self._till.note)
        self._subscribe(shop.inbox.observer, (AttemptFinished,), self._tell_of_others)
        self._node.follow(shop.inbox.observer)
        await shop.start()

    def _subscribe(
        self, observer: Observer, kinds: tuple[type[Event], ...], tell: Callable[[Event], None]
    ) -> None:
        loop = asyncio.get_running_loop()

        def pass_on(event: Event) -> None:
            # Events happen on the engine's threads, which must not wait for a terminal.
            with contextlib.suppress(RuntimeError):  # the very last ones happen after the loop was closed
                loop.call_soon_threadsafe(tell, event)

        for kind in kinds:
            observer.subscribe(kind, pass_on)

    def _tell(self, event: Event) -> None:
        self._view.tell(event)
        self._progress.note(event)

    def _tell_of_others(self, event: Event) -> None:
        """Tell of what the shop's worker did for the server: it takes what is published, too."""
        if isinstance(event, AttemptFinished) and event.endpoint.handler is None:
            self._tell(event)

    # --- The story ----------------------------------------------------------------------------------------

    async def _play(self, shop: Shop, sandbox: SandboxServer) -> bool:
        self._introduce(shop, sandbox)
        selling = Selling(shop.url, sandbox.url, DEFAULT_KEY, self._till, self._show)
        try:
            unpaid = await asyncio.wait_for(selling.play(), PATIENCE_SECONDS)
            cast, messages = await self._publish()
        except TimeoutError:
            self._fail(f"what should have happened next has not within {PATIENCE_SECONDS} s")
        except (Wrong, LookupError, Unanswered) as error:
            self._fail(str(error))
        else:
            self._conclude(shop, sandbox, unpaid, cast, messages)
            return True
        return False

    async def _publish(self) -> tuple[Cast, list[Message]]:
        """Play the sending half; return who took part, and what was delivered to both endpoints."""
        title = "The other half: messages are published to two endpoints, one of which fails at first"
        self._show(Line(f"\n{title}", "bold"))
        cast = await sending.assemble(self._node.outbox, self._receiver)
        self._names |= {cast.healthy.id: "healthy", cast.flaky.id: "flaky"}
        messages = await sending.publish(self._node.outbox, cast)
        self._progress.want(messages, cast)
        try:
            await asyncio.wait_for(self._progress.complete(), PATIENCE_SECONDS)
        except TimeoutError:
            missing = self._progress.missing()
            raise Wrong(f"{missing} deliveries are missing after {PATIENCE_SECONDS} s") from None
        return cast, messages

    def _introduce(self, shop: Shop, sandbox: SandboxServer) -> None:
        networks = ", ".join(map(str, self._settings.allow_subnets))
        data = f"{self._places.data}{os.sep}"
        self._show(Line(f"Ringback listens on {self._url()} and keeps its data in {data}", "bold"))
        link = f"{self._node.sign_in_link}&next={LIVE}"
        self._show(Line("The live view, for who opens this link first, within 15 minutes:"))
        self._show(Line(f"  {link}"))
        if self._opens:
            # A browser that takes its time holds nothing up.
            threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()
        self._show(Line(f"The Xendit sandbox is on {sandbox.url}; it takes the API key {DEFAULT_KEY}"))
        self._show(Line(f"The shop is on {shop.url}, a FastAPI application: {_shown(folder())}"))
        self._show(
            Line(f"Nothing leaves this machine: here, unlike elsewhere, webhooks may go to {networks},")
        )
        self._show(Line("and what fails is tried again within seconds."))

    def _conclude(
        self, shop: Shop, sandbox: SandboxServer, unpaid: Invoiced, cast: Cast, messages: list[Message]
    ) -> None:
        count = len(messages)
        text = f"Two orders are fulfilled, each once; all {count} messages reached both endpoints."
        self._show(Line(f"\n{text}", "green"))
        lines = suggestions(
            api=f"{self._url()}/api/v1/app/{cast.application.uid}",
            token=str(self._settings.admin_token),
            shop=shop.url,
            sandbox=sandbox.url,
            key=DEFAULT_KEY,
            unpaid=unpaid,
            message=messages[0],
            endpoint=cast.healthy,
        )
        for line in lines:
            self._show(line)
        self._till.go_live()

    def _fail(self, why: str) -> None:
        self._till.go_live()
        self._show(Line(f"Something went wrong: {why}", "red"))

    def _url(self) -> str:
        return f"http://{Address(*self._node.address)}"


def _shown(path: Path) -> str:
    """Write a path as it is seen from here, where it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


async def _stop_signal() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    await told.wait()
