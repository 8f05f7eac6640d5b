"""The engine of one process, put together from its settings: a store, its committer and a worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import socket
import time
from collections.abc import Callable, Collection

from ringback import __version__, ids, policy
from ringback.canary import Canary
from ringback.clocks import DatabaseClock
from ringback.config import Settings
from ringback.courier import Courier
from ringback.desk import Desk
from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.errors import ConfigurationError
from ringback.fleet import Fleet
from ringback.handlers import Handlers
from ringback.keyring import check_key, open_vault
from ringback.model import Duration, Instant, Registration
from ringback.observe import Observer
from ringback.outbox import system_clock
from ringback.probing import Probe
from ringback.signing.contract import END_OF_TIME
from ringback.store import Store, absence, open_store
from ringback.store.commit import Committer, NoWorker
from ringback.store.hints import Listener
from ringback.worker import Worker, WorkerSettings

USER_AGENT = f"Ringback/{__version__}"
MAX_DUE = 1_000
LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 60.0
ABSENCE_SECONDS = 60.0
ABSENCE_POLL_SECONDS = 0.2

logger = logging.getLogger("ringback.engine")


def open_checked_store(settings: Settings, *, shared: bool = False) -> Store:
    """Open the store that *settings* name and make sure of its key.

    Raises:
        ConfigurationError: The store or its key cannot be used.
        OSError: A file cannot be written.
    """
    store = open_store(settings.store, open_vault(settings, shared=shared), shared=shared)
    try:
        check_key(store)
    except BaseException:
        store.close()
        raise
    return store


async def until_there(settings: Settings, patience: float | None = None) -> None:
    """Wait until the server of the store takes connections, where it has one, and say that it is waited for.

    A machine that starts everything at once may start this first; a database that has crashed recovers for a while.

    Raises:
        ConfigurationError: It does not take any within *patience* seconds, a minute if that is None.
    """
    patience = ABSENCE_SECONDS if patience is None else patience
    end, told = time.monotonic() + patience, False
    while (absent := await asyncio.to_thread(absence, settings.store)) is not None:
        if time.monotonic() >= end:
            raise ConfigurationError(
                f"cannot use {settings.place}: {absent}, after {patience:g} seconds."
                " Start the database, or name another with --store"
            )
        if not told:
            told = True
            logger.warning("waits up to %g seconds for %s: %s", patience, settings.place, absent)
        await asyncio.sleep(ABSENCE_POLL_SECONDS)


class Engine:
    """A store with its committer, and the worker that may be started for it.

    Args:
        store: The store; this owns it and closes it.
        settings: How to behave.
        observer: Told of everything.
        works: Whether a worker may be started.
        handlers: The full names of the handlers that it will have.
        deadline: The longest an attempt may take, where that is longer than the setting.
        clock: Returns the present instant, where the database has no time of its own.
        roles: What the node does that this is part of.

    Attributes:
        clock: Returns the present instant: the database's where several nodes may share it.
        committer: Writes and reads.
        fleet: The nodes that share the store.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        observer: Observer,
        *,
        works: bool = True,
        handlers: Collection[str] = frozenset(),
        deadline: Duration = 0,
        clock: Callable[[], Instant] = system_clock,
        roles: tuple[str, ...] = (policy.WORKER,),
    ) -> None:
        database_clock = None if store.now() is None else DatabaseClock(store)
        self.clock: Callable[[], Instant] = database_clock or clock
        self._store = store
        self._listener: Listener | None = None
        self._settings = settings
        self._observer = observer
        self._deadline = max(deadline, settings.delivery_timeout)
        self._desk = Desk(settings.memory_deliveries, handlers) if works else None
        self.committer = Committer(
            store,
            clock=self.clock,
            observer=observer,
            handover=self._desk or NoWorker(),
            deadline=self._deadline,
        )
        if database_clock is not None:
            database_clock.renew_through(self.committer.read)
        # Who moves a clock by hand has a store to himself.
        self._joins = database_clock is not None or clock is system_clock
        self.fleet = Fleet(_registration(roles, self.clock()), self.committer, self.clock)

    async def join(self, worker: Worker | None) -> None:
        """Be one of the nodes that share the store, until ``leave``; on the running event loop.

        The *worker* looks whenever another node hints that something is due.

        Raises:
            RingbackError: The store cannot be written.
        """
        if self._joins:
            await self.fleet.start()
        if worker is not None:
            self._listener = Listener(self._store, _look_of(worker))

    async def leave(self) -> None:
        """Take leave of the other nodes, who go on at once with what this one had alone."""
        if self._listener is not None:
            self._listener.close()
        await self.fleet.stop()

    def worker(self, handlers: Handlers | None = None) -> Worker:
        """Return a worker for the running event loop, not started yet."""
        assert self._desk is not None  # noqa: S101 - whoever wants a worker has said so
        settings = self._settings
        return Worker(
            self._desk,
            self.committer,
            destination_of(settings),
            observer=self._observer,
            settings=worker_settings(settings, self._deadline),
            clock=self.clock,
            monotonic=time.perf_counter,
            chance=random.random,
            handlers=handlers,
            fleet=self.fleet,
        )


def destination_of(settings: Settings) -> HttpDestination:
    """Return the way out, as *settings* say, for the running event loop."""
    return HttpDestination(
        HttpSettings(allow=settings.allow_subnets, proxy=settings.egress_proxy, ca_file=settings.tls_ca_file)
    )


def probe_of(settings: Settings, clock: Callable[[], Instant]) -> Probe:
    """Return what tries endpoints out, for the running event loop."""
    return Probe(_courier_of(settings), clock, time.perf_counter, secrets.token_bytes)


def canary_of(settings: Settings, committer: Committer, clock: Callable[[], Instant]) -> Canary:
    """Return what sends one message past a pause, for the running event loop."""
    return Canary(
        committer,
        _courier_of(settings),
        settings.delivery_timeout,
        clock=clock,
        monotonic=time.perf_counter,
        entropy=secrets.token_bytes,
    )


def _courier_of(settings: Settings) -> Courier:
    return Courier(
        destination_of(settings), USER_AGENT, settings.delivery_timeout, monotonic=time.perf_counter
    )


def _look_of(worker: Worker) -> Callable[[], None]:
    loop = asyncio.get_running_loop()

    def look() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it the worker
            loop.call_soon_threadsafe(worker.look)

    return look


def _registration(roles: tuple[str, ...], now: Instant) -> Registration:
    return Registration(
        id=ids.new_id(ids.NODE, now, secrets.token_bytes(ids.ENTROPY_BYTES)),
        name=socket.gethostname(),
        roles=roles,
        version=__version__,
        started_at=now,
        seen_at=now,
    )


async def until_idle(committer: Committer, worker: Worker, clock: Callable[[], Instant]) -> Instant | None:
    """Wait until nothing is due and no attempt is under way; return when something will be due, None: never.

    Meant for a clock that stands still: by one that runs, more may be due as soon as this returns.

    Raises:
        TimeoutError: Nothing was settled or taken for a minute, and yet something is due or under way.
    """
    loop = asyncio.get_running_loop()
    standing, since = (-1, -1), loop.time()
    while True:
        # What was settled by now is in the store after the next commit; what is settled from now on may not be.
        let_go, was_idle = worker.let_go, not worker.in_memory
        await committer.write(lambda _: None)
        due = await committer.read(lambda store: store.due(END_OF_TIME, MAX_DUE))
        instants = [one.oldest_due_at for one in due if one.handler is None]
        overdue = sum(instant <= clock() for instant in instants)
        is_idle = was_idle and not worker.in_memory and worker.let_go == let_go
        if is_idle and not overdue:
            return min(instants, default=None)
        if (overdue, worker.in_memory) != standing:
            standing, since = (overdue, worker.in_memory), loop.time()
        elif loop.time() - since > PATIENCE_SECONDS:
            raise TimeoutError(f"{worker.in_memory} deliveries are under way and do not end")
        if overdue:
            worker.look()
        await asyncio.sleep(LOOK_SECONDS)


def worker_settings(settings: Settings, deadline: Duration) -> WorkerSettings:
    """Return the part of *settings* that a worker heeds, with attempts of up to *deadline*."""
    return WorkerSettings(
        deadline=deadline,
        slots=settings.worker_slots,
        memory=settings.memory_deliveries,
        schedule=settings.retry_schedule,
        disable_after=settings.endpoint_disable_after,
        breaker_rest=settings.breaker_rest,
        retention=settings.retention,
        poll_interval=settings.poll_interval,
        user_agent=USER_AGENT,
    )
