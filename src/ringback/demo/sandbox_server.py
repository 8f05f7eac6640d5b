"""Serves the sandbox over HTTP, beside a node through which its webhooks leave."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ringback.config import Address, Settings
from ringback.errors import ConfigurationError
from ringback.model import Instant
from ringback.outbox import Outbox, system_clock
from ringback.sandbox.xendit.api import MAX_BODY, Api, Incoming, rendered
from ringback.sandbox.xendit.calls import Answer, Owner, Refused
from ringback.sandbox.xendit.products import PRODUCTS
from ringback.sandbox.xendit.sandbox import BUSINESS, DEFAULT_KEY, LIVE_KEY, Sandbox
from ringback.sandbox.xendit.slots import SLOTS, Sending
from ringback.server.express import Lane
from ringback.server.logs import start_logging
from ringback.server.node import Node, signalled
from ringback.server.web import Web
from ringback.store import file_of, is_postgres

SECURITY = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


class SandboxOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to play.

    Args:
        listen: Where.
        webhook_url: The URL of every slot of the test mode; None leaves them as they are.
        sending: How webhooks are sent, and how fast time passes.
        seed: Makes ids and numbers come out the same every time; None: they differ.
        public_url: How others reach it, if not at the address it listens on.
    """

    listen: Address
    webhook_url: str | None = None
    sending: Sending = Sending()
    seed: int | None = None
    public_url: str | None = None


class SandboxServer:
    """The sandbox, on an address of its own.

    Args:
        outbox: Of the node through which webhooks leave.
        options: How to play.
        clock: Returns the present instant; None: time passes by itself. With a clock that is moved by hand, what is
            due happens when ``sandbox.tick`` is called.
        hears: Told of every request, before it is answered.
    """

    def __init__(
        self,
        outbox: Outbox,
        options: SandboxOptions,
        *,
        clock: Callable[[], Instant] | None = None,
        hears: Callable[[Incoming], None] = lambda _: None,
    ) -> None:
        self._passes = clock is None
        self._options = options
        self._hears = hears
        chance = random.SystemRandom() if options.seed is None else random.Random(options.seed)  # noqa: S311 - ids of a sandbox
        self.sandbox = Sandbox(
            outbox, PRODUCTS, clock=clock or system_clock, chance=chance, sending=options.sending
        )
        keys = {DEFAULT_KEY: Owner(BUSINESS), LIVE_KEY: Owner(BUSINESS, live=True)}
        self._api = Api(self.sandbox, keys=keys, site=lambda: self.url)
        self._web = Web(self._app, Lane(), options.listen)
        self._time: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that it listens on."""
        return self._web.address

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return (self._options.public_url or f"http://{Address(*self.address)}").rstrip("/")

    @property
    def token(self) -> str:
        """The verification token of webhooks of the test mode."""
        return self.sandbox.slots.token(Owner(BUSINESS)).current

    async def start(self) -> None:
        """Remember, begin to listen, and let time pass.

        Raises:
            ConfigurationError: ``webhook_url`` is no URL for webhooks.
        """
        await self.sandbox.start()
        owner = Owner(BUSINESS)
        await self.sandbox.slots.open(owner)
        if self._options.webhook_url is not None:
            await self._point_slots(owner, self._options.webhook_url)
        await self._web.start()
        if self._passes:
            self._time = asyncio.create_task(self.sandbox.run())

    async def stop(self) -> None:
        """Finish the requests under way; what is due later happens after the next start."""
        await self._web.stop()
        if self._time is not None:
            self._time.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._time

    async def _point_slots(self, owner: Owner, url: str) -> None:
        try:
            for name in SLOTS:
                slot = self.sandbox.slots.get(owner, name)
                await self.sandbox.slots.put(owner, msgspec.structs.replace(slot, url=url))
        except Refused as refused:
            raise ConfigurationError(f"--webhook-url: {refused.message}") from None

    async def _app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = await _body(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if body is None:
            too_large = f"the body has more than {MAX_BODY} bytes"
            answer = Refused(413, "REQUEST_TOO_LARGE", too_large).answer()
        else:
            incoming = Incoming(
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                headers=headers,
                body=body,
            )
            self._hears(incoming)
            answer = await self._api.answer(incoming)
        await _send(answer, send, whole=scope["method"] != "HEAD")


async def play(settings: Settings, options: SandboxOptions) -> None:
    """Run a node and the sandbox beside it until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: The store or a setting cannot be used; or another sandbox plays on the store.
        OSError: The address or a file cannot be used.
    """
    node = Node(settings, api=False)
    stop_logging = start_logging(settings, node.observer)
    try:
        with _alone(settings.store):
            await _play_on(node, settings, options)
    finally:
        stop_logging()


async def _play_on(node: Node, settings: Settings, options: SandboxOptions) -> None:
    await node.start()
    try:
        server = SandboxServer(node.outbox, options)
        await server.start()
        told = signalled()
        _announce(server, settings)
        await told.wait()
        await server.stop()
    finally:
        await node.stop()


@contextlib.contextmanager
def _alone(store: str) -> Iterator[None]:
    """Be the only sandbox on a file: each keeps its objects in memory, and knows nothing of what another makes.

    The lock goes with the process, however that ends.
    """
    if is_postgres(store) or sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415 - there is none on Windows

    with Path(f"{file_of(store)}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another sandbox plays on {store}; stop it, or keep this one elsewhere with --store"
            ) from None
        yield


def _announce(server: SandboxServer, settings: Settings) -> None:
    lines = [
        f"The Xendit sandbox listens on {server.url} and keeps everything in {settings.place}",
        f"API key: {DEFAULT_KEY}   Dashboard: {server.url}/dashboard",
        f"Webhooks carry x-callback-token: {server.token}",
    ]
    print(*lines, sep="\n", file=sys.stderr, flush=True)  # noqa: T201 - told to whoever started it


async def _body(receive: Any) -> bytes | None:
    """Return the request's body; None where it is too large."""
    parts, size, more = [], 0, True
    while more:
        event = await receive()
        more = event["type"] == "http.request" and event.get("more_body", False)
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
    return b"".join(parts)


async def _send(answer: Answer, send: Any, *, whole: bool) -> None:
    body = rendered(answer)
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *SECURITY,
        *((name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body if whole else b""})
