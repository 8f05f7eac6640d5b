"""One node: the store, the worker, the API and what binds them, started and stopped in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator

import uvloop

from ringback import __version__
from ringback.adapters.asgi import ASGIAdapter
from ringback.api_keys import ApiKeys
from ringback.canary import Canary
from ringback.config import SETTINGS, Address, Settings
from ringback.declared_sources import MARK
from ringback.engine import Engine, canary_of, open_checked_store, probe_of, until_idle, until_there
from ringback.errors import ConfigurationError
from ringback.fleet import Fleet
from ringback.gateway import Gateway
from ringback.intake import Intake
from ringback.keyring import first_token, open_vault, signer_of
from ringback.model import Instant, Source
from ringback.observe import Observer, StoreFailed
from ringback.outbox import Outbox, system_clock
from ringback.policy import API, WORKER
from ringback.probing import Probe
from ringback.provisioning import provision
from ringback.server.app import Doors, create_app, create_health_app
from ringback.server.audit import Audit
from ringback.server.auth import Tokens
from ringback.server.express import Express, Lane
from ringback.server.logs import start_logging
from ringback.server.metrics import Metrics
from ringback.server.pages.behind import Behind, SettingShown
from ringback.server.pages.brand import Brand, read_logo
from ringback.server.pages.live import Live
from ringback.server.pages.recent import Recent
from ringback.server.pages.site import Site
from ringback.server.web import Web
from ringback.sessions import SESSION_KEY, Sessions, link_path
from ringback.sources import Sources
from ringback.store import Store
from ringback.store.commit import Committer
from ringback.worker import Worker

BODY_OVERHEAD = 64 * 1024
# In a form, a byte may be written in three.
FORM_GROWTH = 3
DOUBT_SECONDS = 5.0
COLLECT_AFTER = 50_000
SWITCH_SECONDS = 0.001
SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger("ringback.server")


class Node:
    """A running Ringback, in the process and on the event loop of whoever starts it.

    Args:
        settings: How it behaves.
        worker: Deliver; otherwise what is accepted waits for a node that does.
        api: Listen; otherwise only ``outbox`` accepts.
        shared: The store is in the database of an application in this process.
        clock: Returns the present instant.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        worker: bool = True,
        api: bool = True,
        shared: bool = False,
        clock: Callable[[], Instant] = system_clock,
    ) -> None:
        self.observer = Observer()
        self.new_token: str | None = None
        self.new_sources: tuple[Source, ...] = ()
        self._settings = settings
        self._clock = clock
        self._committer: Committer | None = None
        self._worker: Worker | None = None
        self._fleet: Fleet | None = None
        self._with_worker = worker
        self._with_api = api
        self._shared = shared
        self._outbox: Outbox | None = None
        self._web: Web | None = None
        self._link: str | None = None
        self._live = Live(self.observer)
        # The engine may bring another clock.
        self._recent = Recent(self.observer, lambda: self._clock())  # noqa: PLW0108 - that of later
        self._running = contextlib.AsyncExitStack()
        self._stopping = False
        self._store_failed_at = float("-inf")

    @property
    def outbox(self) -> Outbox:
        """Publishes and manages; there from ``start`` to ``stop``."""
        if self._outbox is None:
            raise RuntimeError("the node has not been started")
        return self._outbox

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that the API listens on, or where a node without one tells whether it lives."""
        if self._web is None:
            raise RuntimeError("the node does not listen")
        return self._web.address

    def follow(self, observer: Observer) -> None:
        """Have the pages tell what *observer* tells, too: that of an inbox in this process, on the same store."""
        self._live.follow(observer)
        self._recent.follow(observer)

    async def start(self) -> None:
        """Open the store, begin to deliver and to listen.

        ``new_token`` is then the token made, if one was; ``new_sources`` are the declared ones that were not there.

        Raises:
            ConfigurationError: The store or a setting cannot be used.
            OSError: The address or a file cannot be used.
        """
        async with contextlib.AsyncExitStack() as undo:
            metrics = Metrics(self.observer)
            store = open_checked_store(self._settings, shared=self._shared)
            undo.callback(store.close)
            engine = Engine(
                store,
                self._settings,
                self.observer,
                works=self._with_worker,
                clock=self._clock,
                roles=self._roles(),
            )
            committer, self._clock = engine.committer, engine.clock
            undo.pop_all()
            undo.push_async_callback(asyncio.to_thread, committer.close)
            self.observer.subscribe(StoreFailed, self._note_failure)
            committer.start()
            self._outbox = Outbox(committer, clock=self._clock, max_payload=self._settings.max_payload)
            if self._with_worker:
                self._committer, self._worker = committer, engine.worker()
            undo.push_async_callback(engine.leave)
            await engine.join(self._worker)
            self._fleet = engine.fleet
            if not self._with_api and self._settings.health_listen is not None:
                # Stopped last, so that whoever watches does not take a node for dead that finishes its attempts.
                app = create_health_app(self._outbox, metrics, self._reason_against)
                self._web = Web(app, Lane(), self._settings.health_listen)
                undo.push_async_callback(self._web.stop)
                await self._web.start()
            if self._worker is not None:
                self._worker.start()
                undo.push_async_callback(self._worker.stop, self._settings.drain_timeout / 1000)
                # Told first: others need not wait until the last attempt here has ended.
                undo.push_async_callback(engine.leave)
            if self._with_api:
                declared = {str(one.draft.uid) for one in self._settings.sources if one.draft.token}
                sources = Sources(committer, clock=self._clock, declared_tokens=declared)
                await self._provision(sources)
                await self._start_web(committer, sources, metrics, undo)
                # Last of all: it is shown only once, and a start that fails shows nothing.
                self.new_token = await committer.write(self._first_token)
            self._running = undo.pop_all()

    async def stop(self) -> None:
        """Take no more requests, finish the attempts under way, commit what is left, close the store."""
        self._stopping = True
        await self._running.aclose()

    async def until_idle(self) -> Instant | None:
        """Wait until nothing is due and no attempt is under way; return when something will be due, None: never.

        Raises:
            TimeoutError: Something is under way that does not end.
        """
        if self._committer is None or self._worker is None:
            raise RuntimeError("the node has no worker")
        return await until_idle(self._committer, self._worker, self._clock)

    def _roles(self) -> tuple[str, ...]:
        told = {API: self._with_api, WORKER: self._with_worker}
        return tuple(role for role, played in told.items() if played)

    def _first_token(self, store: Store) -> str | None:
        return first_token(store, self._settings, self._clock())

    async def _provision(self, sources: Sources) -> None:
        (mark,) = MARK.items()
        done = await provision(self._settings.sources, sources, self.outbox, mark)
        self.new_sources = done.new
        for stray in done.stray:
            logger.warning("%s is no longer in the configuration file, and stays until it is removed", stray)

    async def _start_web(
        self, committer: Committer, sources: Sources, metrics: Metrics, undo: contextlib.AsyncExitStack
    ) -> None:
        keys = ApiKeys(committer, clock=self._clock)
        tokens = Tokens(keys, self._settings.admin_token, signer_of(self._settings))
        sessions = self._sessions(committer)
        strict = self._settings.unknown_fields == "refuse"
        canary = canary_of(self._settings, committer, self._clock)
        undo.push_async_callback(canary.aclose)
        app = create_app(
            outbox=self.outbox,
            sources=sources,
            tokens=tokens,
            sessions=sessions,
            metrics=metrics,
            observer=self.observer,
            readiness=self._reason_against,
            canary=canary.send,
            max_body=self._settings.max_payload + BODY_OVERHEAD,
            public_url=self._settings.public_url,
            strict=strict,
        )
        gateway = Gateway(
            committer,
            Intake(committer, self.observer, clock=self._clock),
            clock=self._clock,
            max_body=self._settings.max_payload,
        )
        express = Express(self.outbox, tokens, gateway, strict=strict)
        probe = probe_of(self._settings, self._clock)
        undo.push_async_callback(probe.aclose)
        behind = self._behind(sources, keys, sessions, probe, canary)
        doors = Doors(app, ASGIAdapter(gateway), Site(behind))
        self._web = Web(doors, express, self._settings.listen)
        undo.push_async_callback(self._web.stop)
        # Streams would keep the server from stopping.
        undo.callback(self._live.close)
        await self._web.start()
        self._link = await behind.sessions.link()

    def _sessions(self, committer: Committer) -> Sessions:
        settings = self._settings
        return Sessions(
            committer,
            open_vault(settings, shared=self._shared).derived(SESSION_KEY),
            admin=settings.admin_token,
            signer=signer_of(settings),
            clock=self._clock,
        )

    def _behind(
        self, sources: Sources, keys: ApiKeys, sessions: Sessions, probe: Probe, canary: Canary
    ) -> Behind:
        settings = self._settings
        return Behind(
            outbox=self.outbox,
            sources=sources,
            keys=keys,
            sessions=sessions,
            audit=Audit(self.observer),
            live=self._live,
            recent=self._recent,
            readiness=self._reason_against,
            probe=probe.probe,
            canary=canary.send,
            clock=self._clock,
            brand=brand_of(settings),
            settings=tuple(_shown(settings)),
            public_url=settings.public_url,
            plain_http=settings.plain_http_login == "allow",
            max_form=FORM_GROWTH * settings.max_payload + BODY_OVERHEAD,
        )

    @property
    def sign_in_link(self) -> str:
        """A link for one use, within a quarter of an hour, with which whoever started this signs in to the pages."""
        if self._link is None:
            raise RuntimeError("the node does not listen")
        return self._settings.address_of(link_path(self._link), Address(*self.address))

    def _note_failure(self, _: StoreFailed) -> None:
        self._store_failed_at = time.monotonic()

    def _reason_against(self) -> str | None:
        if self._stopping:
            return "it is stopping"
        if time.monotonic() - self._store_failed_at < DOUBT_SECONDS:
            return "the store failed to write within the last seconds"
        if self._fleet is not None and self._fleet.is_silent:
            return "it could give no sign of life for so long that the other nodes take it for dead"
        return None


def serve(settings: Settings, *, worker: bool = True, api: bool = True) -> None:
    """Run a node until SIGTERM or SIGINT, then drain it; a second signal ends the process at once.

    Raises:
        ConfigurationError: The store or a setting cannot be used.
        OSError: The address or a file cannot be used.
    """
    # The committer asks for the interpreter a few times per commit, and everyone who publishes waits for it.
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, worker=worker, api=api))


async def _serve(settings: Settings, *, worker: bool, api: bool) -> None:
    node = Node(settings, worker=worker, api=api)
    stop_logging = start_logging(settings, node.observer)
    try:
        await until_there(settings)
        await node.start()
        _spare_the_collector()
        try:
            # Whoever reads the announcement may send a signal at once.
            told = signalled()
            _announce(node, settings, api=api)
            await told.wait()
        finally:
            await node.stop()
    finally:
        stop_logging()


def signalled() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the next one does what it does by default."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        told.set()
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, tell)
    return told


def _spare_the_collector() -> None:
    # What has been loaded stays, and what a message leaves behind is freed without the cycle collector: looking
    # for cycles at every few hundred objects would cost a tenth of the throughput.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


def _ways_in(node: Node, place: str) -> Iterator[str]:
    yield f"Its pages, for who opens this link first, within 15 minutes: {node.sign_in_link}"
    for source in node.new_sources:
        yield (
            f"The source {source.name} receives at {place}/in/{source.token}, told only now; "
            f"`ringback source show {source.uid}` tells it again"
        )


def _ways_to_find(node: Node) -> Iterator[str]:
    yield "Its pages are there, too: `ringback token link` prints a link to sign in with"
    for source in node.new_sources:
        yield f"The source {source.name} is new: `ringback source show {source.uid}` tells where it receives"


def _announce(node: Node, settings: Settings, *, api: bool) -> None:
    here = f"http://{Address(*node.address)}" if api else ""
    place = f"listens on {here} and keeps" if api else "delivers what is kept in"
    lines = [f"Ringback {__version__} {place} {'everything in ' if api else ''}{settings.place}"]
    if node.new_token is not None:
        lines.append(f"The first API token, shown only now: {node.new_token}")
    if api:
        # What is for machines is collected, and read by more people than may do everything.
        collected = settings.log_format == "json"
        lines += _ways_to_find(node) if collected else _ways_in(node, settings.public_url or here)
    print(*lines, sep="\n", file=sys.stderr, flush=True)  # noqa: T201 - told to whoever started it


def _shown(settings: Settings) -> Iterator[SettingShown]:
    for one in SETTINGS:
        if not one.client:
            origin = settings.origins[one.name].where
            yield SettingShown(one.name, settings.shown(one), origin, one.description)


def brand_of(settings: Settings) -> Brand:
    """Return how the portal looks, as *settings* say.

    Raises:
        ConfigurationError: The logo cannot be used.
    """
    try:
        logo = None if settings.portal_logo is None else read_logo(settings.portal_logo)
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"portal_logo: {error}") from None
    return Brand(
        name=settings.portal_name,
        logo=logo,
        colour=settings.portal_colour,
        ancestors=settings.portal_ancestors or (),
    )
