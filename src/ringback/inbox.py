"""The inbox of an application: its sources, its handlers, and the store behind them.

An ``Inbox`` is made where the application is put together and opens nothing then. The store is opened at the first
use, in the process that uses it, so an inbox may be made before a server forks. Receiving and handling may happen in
one process or in several.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ringback import policy
from ringback.config import DEFAULT, Settings, load_here
from ringback.declarations import Declarations, check_handler, schedule_of
from ringback.engine import Engine, open_checked_store, until_there
from ringback.entrance import Entrance, Reply, error_reply
from ringback.errors import (
    ConfigurationError,
    NotFound,
    PayloadTooLarge,
    StoreUnavailable,
)
from ringback.handlers import Function, Handler, Handlers, Key, check_transactions
from ringback.intake import Intake, Ready
from ringback.model import (
    Attempt,
    Delivery,
    Endpoint,
    Held,
    Instant,
    Message,
    Refusal,
)
from ringback.observe import AttemptFinished, Observer
from ringback.opening import Opening
from ringback.outbox import system_clock
from ringback.providers import Profile
from ringback.providers import provider as provider_called
from ringback.reconciler import Fetch, Looked, Reconciler, check_profile
from ringback.signing import Request
from ringback.signing.contract import END_OF_TIME
from ringback.store import AttemptFilter, Page, Pending, Store
from ringback.store.effects import Effects, effects_of
from ringback.worker import Worker

F = TypeVar("F", bound=Function)

DEFAULT_MAX_BODY = 1024 * 1024
DEFAULT_THREADS = 16
POLL_INTERVAL = 100
PAGE = Page(limit=100, descending=True)
SOON = 250
STALLED_SECONDS = 1.0
LOOK_SECONDS = 0.005
UNUSABLE_SECONDS = 1.0
UNUSABLE = StoreUnavailable("the inbox's store cannot be used now; send this again later", retry_after=30)

logger = logging.getLogger("ringback.inbox")


class Drained(msgspec.Struct, frozen=True):
    """What ``drain`` did: attempts that succeeded and that did not, and whether more is due."""

    succeeded: int
    failed: int
    more: bool


class Inbox:
    """Receives webhooks for an application and hands them to its handlers.

    Args:
        store: Where messages are kept: ``sqlite:///FILE`` or ``postgresql://…``, or a function that tells when it is
            needed first; without it, where the setting ``store`` says.
        shared: That is the application's own database, and handlers may ask for ``tx``.
        effects: How to open a transaction of the application's database, where a framework does that.
        max_body: The largest request body, in bytes.
        threads: How many handlers that are not coroutines run at once.
        clock: Returns the present instant.
        settings: Further settings by name, such as ``retry_schedule="5s,1m"``; see the reference of settings. They,
            too, are looked for in the environment and in ``ringback.toml`` where they are not given.
    """

    def __init__(
        self,
        store: str | Callable[[], str] | None = None,
        *,
        shared: bool = False,
        effects: Effects | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        threads: int = DEFAULT_THREADS,
        clock: Callable[[], Instant] = system_clock,
        **settings: str,
    ) -> None:
        self.observer = Observer()
        self.max_body = max_body
        self._store = store
        self._flags = settings
        self._shared = shared or effects is not None
        self._effects = effects
        self._threads = threads
        self._clock = clock
        self._declared = Declarations()
        self._reconcilers: list[Reconciler] = []
        self._unusable_until = float("-inf")
        self._opening = Opening(self._open_here, self._close_here)

    # --- Declaring ----------------------------------------------------------------------------------------

    def source(
        self,
        name: str,
        *,
        secrets: Sequence[str],
        provider: str | Profile | None = None,
        url: str | None = None,
        ack: Reply | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        """Declare a place where webhooks come in.

        Args:
            name: What it is called in addresses and handlers.
            secrets: Every secret to accept, as the provider shows it.
            provider: Who sends: the name of one in the reference of providers, or a profile of your own. By default
                the one called *name*.
            url: The address as registered with the provider; only some schemes sign it.
            ack: What to answer in place of the provider's usual acknowledgement.
            options: Parameters of the provider's scheme, such as ``{"header": "x-signature"}`` for ``hmac``.

        Raises:
            InvalidInput: The name, the provider or an option is wrong.
            ConfigurationError: There is no secret.
        """
        self._check_idle()
        self._declared.add_source(
            name, provider or name, secrets, url=url, ack=ack, options=dict(options or {})
        )
        # What is declared after the first use is written to the store as the rest was: when it is opened.
        self.close()

    def on(
        self,
        source: str,
        *event_types: str,
        name: str | None = None,
        key: Key | None = None,
        model: Any = None,
        timeout: float = 30.0,
        retries: str | None = None,
    ) -> Callable[[F], F]:
        """Have a function handle messages of a source.

        Args:
            source: The source's name.
            event_types: Which; ``*`` stands for any characters. None given means all.
            name: What the handler is called in the store; by default the function's name. To rename it later is to
                make another handler.
            key: Messages for which this returns the same are handled one after the other.
            model: The type to read the body as: a ``msgspec.Struct`` or a pydantic model.
            timeout: How many seconds a run may take.
            retries: When a failed run is tried again, such as ``"5s,1m,10m"``; by default ten times in three days.

        Raises:
            ConfigurationError: The handler cannot be: the name is taken, or a value is out of range.
        """
        if callable(source):
            raise ConfigurationError("write @inbox.on(SOURCE, EVENT_TYPES…), not @inbox.on alone")

        def declare(function: F) -> F:
            self._check_idle()
            handler = Handler(
                source=source,
                name=name or str(getattr(function, "__name__", "handler")),
                event_types=event_types or ("*",),
                function=function,
                key=key,
                model=model,
                timeout=timeout,
                schedule=None if retries is None else schedule_of(retries),
            )
            check_handler(handler)
            check_transactions((handler,), shared=self._shared)
            self._declared.add_handler(handler)
            self.close()
            return function

        return declare

    def reconcile(self, source: str, fetch: Fetch, *, every: str = "5m", timeout: str = "5m") -> None:
        """Ask a provider now and then for events whose webhook has not come.

        What is found reaches the same handlers, and a webhook that comes later is known. Each worker does the asking
        for itself, at times that differ a little; ``drain`` does not ask.

        Args:
            source: The source's name. Its provider's profile must tell what an event is about without its webhook,
                as Xendit's does.
            fetch: Called with the instant since when to look, two days ago at first; returns or yields bodies as the
                provider's webhooks have them. May be a coroutine function or an asynchronous generator.
            every: How long between two times, at least a second; longer after failures, an hour at most.
            timeout: How long *fetch* may give nothing before it is left alone.

        Raises:
            ConfigurationError: A time is too short, or the profile cannot tell.
            ValueError: A time is none.
        """
        reconciler = Reconciler(
            source,
            fetch,
            every=policy.parse_duration(every) / 1000,
            patience=policy.parse_duration(timeout) / 1000,
            observer=self.observer,
            clock=self._clock,
            chance=random.random,
        )
        for declared, profile in self._declared.sources:
            if declared.name == source:
                check_profile(source, profile or provider_called(declared.provider))
        self._reconcilers.append(reconciler)

    def reconcile_once(self, source: str, *, since: datetime | None = None) -> Looked:
        """Ask a source's provider now, and return what came of it. For schedulers, functions and tests.

        What is found waits in the store for a worker or for ``drain``.

        Args:
            source: The source's name.
            since: Since when; by default since this process asked last, or two days ago.

        Raises:
            ConfigurationError: Nothing is declared with ``reconcile`` for this source, or it is not declared itself.
            TimeoutError: The provider does not answer in time.
            Exception: Whatever ``fetch`` raised. What was found before that is kept.
        """
        mine = [reconciler for reconciler in self._reconcilers if reconciler.source == source]
        if not mine:
            raise ConfigurationError(
                f"nothing asks for the events of {source}; call inbox.reconcile() for it"
            )
        opened = self._open()
        return asyncio.run(_look_once(mine, opened.intake, _entrance_of(opened, source), since))

    @property
    def declared(self) -> Declarations:
        """The sources and handlers declared so far."""
        return self._declared

    @property
    def shared(self) -> bool:
        """Whether the store is in the application's own database."""
        return self._shared

    def settings(self) -> Settings:
        """Put the settings together from those given, the environment and ``ringback.toml``.

        Raises:
            ConfigurationError: One is wrong.
        """
        store = self._store() if callable(self._store) else self._store
        settings = load_here({"store": store, **self._flags})
        if settings.origins["poll_interval"].where == DEFAULT:
            # Handlers work in another process than the one that receives, and hear of a message by looking.
            settings = msgspec.structs.replace(settings, poll_interval=POLL_INTERVAL)
        return settings

    # --- Receiving ----------------------------------------------------------------------------------------

    def accept(self, source: str, request: Request) -> Pending[Reply]:
        """Take a request in; the reply, awaited or with ``result()``, says how that went.

        Nothing a request holds ever raises. A 2xx means that the message is on disk.

        Args:
            source: The name of the source it came to.
            request: As it came, body and headers untouched.
        """
        if len(request.body) > self.max_body:
            return Ready(self.too_large())
        if not self._declared.has_source(source):
            return Ready(error_reply(NotFound(f"there is no source {source[:100]!r} here")))
        try:
            opened = self._open_for_requests()
        except Exception:  # noqa: BLE001 - whatever it is, the provider must send it again
            return Ready(error_reply(UNUSABLE))
        return opened.intake.accept(opened.entrances[source], request)

    def too_large(self) -> Reply:
        """Return the reply to a request whose body is larger than ``max_body``."""
        return error_reply(PayloadTooLarge(f"the request body may have {self.max_body} bytes at most"))

    # --- Handling -----------------------------------------------------------------------------------------

    def run_worker(self, *, begun: Callable[[], None] = lambda: None) -> None:
        """Handle messages until SIGTERM or SIGINT; then finish what is under way.

        Args:
            begun: Called once, when signals are heeded and messages handled.

        Raises:
            ConfigurationError: The store or a setting cannot be used.
        """
        from ringback.server.logs import start_logging  # noqa: PLC0415 - only a process that works writes log lines

        stop_logging = start_logging(self.settings(), self.observer)
        try:
            asyncio.run(self._work_until_signalled(begun))
        finally:
            stop_logging()
            self.close()

    async def work(self, stop: asyncio.Event | None = None) -> None:
        """Handle messages on the running event loop until *stop* is set or this is cancelled."""
        async with self._working(self.settings().drain_timeout / 1000):
            await (stop or asyncio.Event()).wait()

    def drain(self, seconds: float | None = None) -> Drained:
        """Handle what is due, then return. For schedulers, functions and tests.

        With *seconds*, nothing new is begun after that time, and what is under way then is handled another time.
        """
        return asyncio.run(self._drain(seconds))

    async def _work_until_signalled(self, begun: Callable[[], None]) -> None:
        await until_there(self.settings())
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with self._working(self.settings().drain_timeout / 1000):
            begun()
            await stop.wait()

    @contextlib.asynccontextmanager
    async def _working(self, patience: float, *, polling: bool = True) -> Any:
        await asyncio.to_thread(self._open)
        with self._opening.kept() as opened:
            async with self._working_in(opened, patience, polling=polling) as worker:
                yield worker

    def _transactions(self) -> Effects | None:
        if self._effects is None and self._shared:
            self._effects = effects_of(self.settings().store)
        return self._effects

    @contextlib.asynccontextmanager
    async def _working_in(self, opened: _Opened, patience: float, *, polling: bool) -> Any:
        reconcilers = [(one, _entrance_of(opened, one.source)) for one in self._reconcilers if polling]
        handlers = Handlers(
            self._declared.handlers,
            opened.engine.committer,
            effects=self._transactions(),
            clock=self._clock,
            threads=self._threads,
        )
        worker = opened.engine.worker(handlers)
        await opened.engine.join(worker)
        worker.start()
        asking = [asyncio.create_task(one.run(opened.intake, entrance)) for one, entrance in reconcilers]
        try:
            yield worker
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            await opened.engine.leave()
            await worker.stop(patience)
            # What was settled last is in the store before this process may end.
            await opened.engine.committer.write(lambda _: None)

    async def _drain(self, seconds: float | None) -> Drained:
        counted = {True: 0, False: 0}

        def count(event: AttemptFinished) -> None:
            counted[event.attempt.outcome.ok] += 1

        with self.observer.subscribed(AttemptFinished, count):
            async with self._working(
                self.settings().drain_timeout / 1000 if seconds is None else 0, polling=False
            ) as worker:
                more = await self._until_idle(worker, float("inf") if seconds is None else seconds)
            # A commit tells of its attempts after it has answered; the next one begins when that is done.
            await self._open().engine.committer.write(lambda _: None)
        return Drained(counted[True], counted[False], more)

    async def _until_idle(self, worker: Worker, seconds: float) -> bool:
        """Wait until nothing is due and nothing under way; tell whether something was left when the time was over."""
        started = progressed = time.monotonic()
        while time.monotonic() - started < seconds:
            now, due = self._clock(), await self._due_soon()
            if worker.in_memory or any(instant <= now for instant in due):
                progressed = time.monotonic()
            elif time.monotonic() - progressed > STALLED_SECONDS:
                return False
            elif not due:
                # What was given back a moment ago is in the store only now.
                await self._open().engine.committer.write(lambda _: None)
                if not worker.in_memory and not await self._due_soon() and not worker.in_memory:
                    return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def _due_soon(self) -> list[Instant]:
        """Return since when, or from when on, what this worker handles has been or will be due."""
        due = await self._read(lambda store, until: store.due(until, 1000), self._clock() + SOON)
        names = self._declared.names
        return [one.oldest_due_at for one in due if one.handler is None or one.handler in names]

    # --- Looking, and trying again ------------------------------------------------------------------------

    def message(self, source: str, message_id: str) -> Pending[Message]:
        """Return a message by its id; raises ``NotFound``."""
        return self._read(lambda store, owner: store.message(owner, message_id), self._owner(source))

    def received(self, source: str, dedupe_key: str) -> Pending[str | None]:
        """Return the id of the message stored for the provider's event, None when it has not come."""
        return self._read(lambda store, owner: store.received(owner, dedupe_key), self._owner(source))

    def deliveries(self, source: str, message_id: str) -> Pending[list[tuple[Delivery, Endpoint]]]:
        """Return what became of a message, handler by handler."""
        return self._read(
            lambda store, owner: store.deliveries(owner, message_id, Page(limit=1_000)), self._owner(source)
        )

    def attempts(self, source: str, message_id: str) -> Pending[list[Attempt]]:
        """Return the attempts made at a message, newest first; one whose handler raised has the traceback."""
        where = AttemptFilter(message_id=message_id)
        return self._read(lambda store, owner: store.attempts(owner, where, PAGE), self._owner(source))

    def next_due(self) -> Pending[Instant | None]:
        """Return when the first of what waits for these handlers is due, None where nothing waits."""

        def look(store: Store, until: Instant) -> Instant | None:
            due = store.due(until, 1_000)
            return min(
                (one.oldest_due_at for one in due if one.handler in self._declared.names), default=None
            )

        return self._read(look, END_OF_TIME)

    def refusals(self, source: str, page: Page = PAGE) -> Pending[list[Refusal]]:
        """Return refused requests, newest first, with why; and those that ask for a person's decision."""
        return self._read(lambda store, owner: store.refusals(owner, page), self._owner(source))

    def dead_letters(self, source: str, page: Page = PAGE) -> Pending[list[tuple[Delivery, Message]]]:
        """Return the deliveries that were given up, newest first."""
        return self._read(lambda store, owner: store.dead_letters(owner, page), self._owner(source))

    def held(self, source: str, held: Held, page: Page = PAGE) -> Pending[list[Message]]:
        """Return the messages that nothing handles, newest first: quarantined or unhandled."""
        return self._read(lambda store, owner: store.held(owner, held, page), self._owner(source))

    def replay(
        self, source: str, message_id: str, *, rematch: bool = False, done_too: bool | None = None
    ) -> Pending[int]:
        """Handle a message again; return by how many handlers.

        Args:
            source: The source's name.
            message_id: Which.
            rematch: By the handlers that match it now, rather than by those that it was for.
            done_too: Also by those that are done with it; by default only without *rematch*.
        """
        opened, now = self._open(), self._clock()
        entrance = self._entrance(source)

        def change(store: Store) -> int:
            event_type = entrance.event_type_of(store.message(entrance.source.id, message_id))
            return store.replay(
                entrance.source.id,
                message_id,
                now,
                event_type=event_type if rematch else None,
                rematch=rematch,
                done_too=not rematch if done_too is None else done_too,
            )

        return opened.engine.committer.write(change)

    def missing_handlers(self) -> Pending[list[str]]:
        """Return the names of handlers that the store has messages for but this application has not."""

        def look(store: Store, sources: list[str]) -> list[str]:
            pages = (store.endpoints(owner, Page(limit=1_000)) for owner in sources)
            known = (endpoint.handler for page in pages for endpoint in page)
            return [name for name in known if name is not None and name not in self._declared.names]

        opened = self._open()
        return self._read(look, [entrance.source.id for entrance in opened.entrances.values()])

    def _owner(self, source: str) -> str:
        return self._entrance(source).source.id

    def _entrance(self, source: str) -> Entrance:
        try:
            return self._open().entrances[source]
        except KeyError:
            raise NotFound(f"there is no source {source}") from None

    def _read(self, query: Callable[[Store, Any], Any], argument: Any) -> Pending[Any]:
        return self._open().engine.committer.read(lambda store: query(store, argument))

    # --- Opening and closing ------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit what has been handed in and close the store; the next use opens it again.

        Raises:
            ConfigurationError: A worker runs on it.
        """
        if self._opening.is_kept:
            raise ConfigurationError("a worker runs on this inbox; stop it before closing the inbox")
        self._opening.close()

    def _open(self) -> _Opened:
        return self._opening.get()

    def _check_idle(self) -> None:
        if self._opening.is_kept:
            raise ConfigurationError(
                "sources and handlers are declared before the worker starts, not while it runs"
            )

    def _open_for_requests(self) -> _Opened:
        # Where it cannot be opened, it is not tried again for every request.
        if time.monotonic() < self._unusable_until:
            raise StoreUnavailable
        try:
            return self._open()
        except Exception:
            self._unusable_until = time.monotonic() + UNUSABLE_SECONDS
            logger.exception("the inbox cannot be opened")
            raise

    def _open_here(self) -> _Opened:
        settings = self.settings()
        engine = Engine(
            open_checked_store(settings, shared=self._shared),
            settings,
            self.observer,
            handlers=self._declared.names,
            deadline=self._declared.longest,
            clock=self._clock,
        )
        self._clock = engine.clock
        engine.committer.start()
        try:
            entrances = engine.committer.write(
                lambda store: self._declared.write(store, self._clock())
            ).result()
        except BaseException:
            engine.committer.close()
            raise
        return _Opened(engine, Intake(engine.committer, self.observer, clock=self._clock), entrances)

    def _close_here(self, opened: _Opened) -> None:
        opened.engine.committer.close()
        if self._effects is not None:
            self._effects.close()


class _Opened(msgspec.Struct, frozen=True):
    """What is open."""

    engine: Engine
    intake: Intake
    entrances: dict[str, Entrance]


def _entrance_of(opened: _Opened, source: str) -> Entrance:
    try:
        return opened.entrances[source]
    except KeyError:
        raise ConfigurationError(
            f"{source} is to be reconciled and is no source; call inbox.source() for it"
        ) from None


async def _look_once(
    reconcilers: list[Reconciler], intake: Intake, entrance: Entrance, since: datetime | None
) -> Looked:
    looks = (reconciler.look(intake, entrance, since) for reconciler in reconcilers)
    looked = await asyncio.gather(*looks, return_exceptions=True)
    for one in looked:
        if isinstance(one, BaseException):
            raise one
    return sum((one for one in looked if isinstance(one, Looked)), Looked())
