"""What a server has lived through before somebody looks at it: days of orders, on a clock of their own."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from orders import COURSE, PAID, event
from provider import TOKEN, Provider
from running import ANYWHERE, Api
from running_site import HANGS, SHOP

from ringback.config import load
from ringback.desk import Desk
from ringback.destinations import Request
from ringback.engine import open_checked_store, until_idle, worker_settings
from ringback.model import Outcome, OutcomeKind, Phases
from ringback.observe import Observer
from ringback.outbox import system_clock
from ringback.policy import DAY, HOUR, MINUTE, SECOND
from ringback.server.node import Node
from ringback.store.commit import Committer
from ringback.worker import Worker, WorkerSettings

DAYS = 7
# The past ends so long ago: what a server does then takes time as well.
UNTIL = 20 * SECOND
SLOT = 10 * MINUTE
# Orders an hour, when there are most.
BUSIEST = 12
# What is due is looked for this seldom.
STRIDE = 5 * MINUTE
SEED = 7


class Habit(NamedTuple):
    """How a receiver answers: in how many milliseconds usually, and what instead while it is ill.

    Args:
        usual: How long an answer takes; half of them take longer.
        ill: From when until when it is ill, in hours ago; -1 where it still is.
        answer: What it answers then.
    """

    usual: int
    ill: tuple[tuple[float, float], ...] = ()
    answer: tuple[int, str] = (502, "<h1>Bad Gateway</h1>")


HABITS: Mapping[str, Habit] = {
    "/orders/webhooks": Habit(85, ((51.5, 50.8),), (503, "Down for maintenance")),
    "/broken": Habit(140, ((7.2, -1),), SHOP["/broken"]),
    "/stranger": Habit(60, ((97, 91), (62, 58), (15.5, 13.6), (1.4, -1)), SHOP["/stranger"]),
    HANGS: Habit(430),
}
USUAL = Habit(70)
# Of so many answers, one goes wrong where nobody is ill.
ONCE_IN = 250
# How long ago somebody paused an endpoint, in hours.
PAUSED = 20


class Clock:
    """The present instant of the past, which moves only when told to."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the present instant."""
        return self.now

    def monotonic(self) -> float:
        """Return the same time in seconds."""
        return self.now / SECOND

    def reach(self, instant: int) -> None:
        """Let time pass until then, where it has not."""
        self.now = max(self.now, instant)


class Receivers:
    """Everybody who receives, as one destination: they answer by their habits, and time passes meanwhile.

    One attempt is made at a time, so that each takes as long as it says.
    """

    def __init__(self, clock: Clock, until: int, chance: random.Random) -> None:
        self._clock = clock
        self._until = until
        self._chance = chance

    async def send(self, request: Request) -> Outcome:
        """See ``Destination``."""
        habit = HABITS.get(urlsplit(request.url).path, USUAL)
        hours = (self._until - self._clock.now) / HOUR
        took = round(habit.usual * self._chance.lognormvariate(0, 0.35) * (1 + 0.6 * load_at(hours)))
        if took > request.deadline:
            self._clock.now += request.deadline
            return Outcome(kind=OutcomeKind.TIMEOUT, detail="wait")
        self._clock.now += took
        is_ill = any(begin > hours >= end for begin, end in habit.ill)
        status, body = SHOP["/shop"]
        if is_ill or self._chance.randrange(ONCE_IN) == 0:
            status, body = habit.answer
        kind = OutcomeKind.SUCCESS if status < 300 else OutcomeKind.REFUSED
        return Outcome(kind=kind, status=status, body=body.encode(), phases=phases(took))

    async def aclose(self) -> None:
        """See ``Destination``."""


def phases(took: int) -> Phases:
    """Return how an answer that took so many milliseconds came about."""
    whole = took * 1000
    return Phases(
        dns=whole // 40, connect=whole // 12, tls=whole // 6, write=180, wait=whole * 2 // 3, read=whole // 30
    )


def load_at(hours: float) -> float:
    """Return how busy the shop was so many *hours* ago, from 0 to 1: it is afternoon, whenever one looks."""
    return 0.12 + 0.88 * (0.5 + 0.5 * math.cos((hours - 1.5) * math.tau / 24)) ** 1.6


def moments(until: int, chance: random.Random) -> Iterator[int]:
    """Yield when something happened to an order, in order: more by day than by night, and more lately."""
    owed = 0.0
    for start in range(until - DAYS * DAY, until, SLOT):
        hours = (until - start) / HOUR
        owed += BUSIEST * SLOT / HOUR * load_at(hours) * (1 - 0.06 * hours / 24) * chance.uniform(0.6, 1.4)
        yield from sorted(start + chance.randrange(SLOT) for _ in range(int(owed)))
        owed %= 1


class Past:
    """The days before the present in the life of a server that is started afterwards.

    Args:
        place: The folder that the server keeps everything in.
        settings: The server's.
    """

    def __init__(self, place: Path, settings: Mapping[str, str]) -> None:
        self._until = system_clock() - UNTIL
        self._clock = Clock(self._until - DAYS * DAY - HOUR)
        self._chance = random.Random(SEED)
        own = {"listen": ANYWHERE, "store": f"sqlite:///{place / 'ringback.db'}"}
        self._settings = load({**settings, **own}, {}, None)

    def live(self, open_up: Callable[[Api], None]) -> None:
        """Let it pass, from what *open_up* makes of a new server on."""
        # On a thread of its own: who drives a browser has a loop on theirs.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._live(open_up)).result()

    async def _live(self, open_up: Callable[[Api], None]) -> None:
        node = Node(self._settings, worker=False, clock=self._clock)
        await node.start()
        try:
            with Api(node.address[1]) as api:
                await asyncio.to_thread(open_up, api)
                async with self._delivering() as rest:
                    await self._pass(api, rest)
        finally:
            await node.stop()

    async def _pass(self, api: Api, rest: Callable[[], Awaitable[int | None]]) -> None:
        shop = await asyncio.to_thread(Shop, api, self._clock)
        pause = self._until - PAUSED * HOUR
        due = None
        for number, moment in enumerate(moments(self._until, self._chance)):
            while due is not None and (then := max(due, self._clock.now + STRIDE)) < moment:
                self._clock.reach(then)
                due = await rest()
            if self._clock.now < pause <= moment:
                await asyncio.to_thread(shop.pause)
            self._clock.reach(moment)
            await asyncio.to_thread(shop.go_on, number)
            due = await rest()

    @contextlib.asynccontextmanager
    async def _delivering(self) -> AsyncIterator[Callable[[], Awaitable[int | None]]]:
        """Deliver for the length of the block; yield what waits until nothing is due, and tells when something is."""
        observer, desk = Observer(), Desk(self._settings.memory_deliveries)
        committer = Committer(
            open_checked_store(self._settings),
            clock=self._clock,
            observer=observer,
            handover=desk,
            deadline=self._settings.delivery_timeout,
        )
        committer.start()
        worker = Worker(
            desk,
            committer,
            Receivers(self._clock, self._until, self._chance),
            observer=observer,
            settings=self._pace(),
            clock=self._clock,
            monotonic=self._clock.monotonic,
            chance=lambda: 0.5,
        )
        worker.start()
        try:
            yield lambda: until_idle(committer, worker, self._clock)
        finally:
            await worker.stop(0)
            await asyncio.to_thread(committer.close)

    def _pace(self) -> WorkerSettings:
        usual = worker_settings(self._settings, self._settings.delivery_timeout)
        # A clock that stands still while all comes to rest would let no circuit rest.
        return msgspec.structs.replace(usual, slots=1, breaker_rest=0)


class Shop:
    """A shop whose orders go their way, and its payment provider.

    Args:
        api: The server's.
        clock: Returns the present instant.
    """

    def __init__(self, api: Api, clock: Callable[[], int]) -> None:
        self._api = api
        self._clock = clock
        self._provider = Provider(api)

    def go_on(self, number: int) -> None:
        """Let the next thing happen: it is published, and every now and then the provider sends a webhook, too."""
        kind, order = COURSE[number % len(COURSE)], 1000 + number // 3
        body = event(kind, order, self._clock())
        self._api.post("/app/northwind/msg", body)
        if number % 4 == 0:
            self._api.post("/app/kopi-tiga/msg", {name: body[name] for name in ("eventType", "payload")})
        if kind in PAID:
            self._notify(number, body["payload"])

    def _notify(self, number: int, body: dict[str, Any]) -> None:
        """Let the provider send a webhook: some it sends twice, and a few with a token that is no longer good."""
        self._provider.send(body, "an older token" if number % 37 == 0 else TOKEN)
        if number % 13 == 0:
            self._provider.send(body)

    def pause(self) -> None:
        """Pause an endpoint."""
        self._api.post("/app/northwind/endpoint/paused/pause", {})
