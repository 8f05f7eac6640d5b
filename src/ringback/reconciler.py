"""Asks a provider for events whose webhook has not come, and feeds them to the same handlers.

A poll and a webhook of one event share its business key, which names the thing and the state it reached; whichever
comes second is known already. So nothing goes wrong where several nodes poll, or where one looks twice at the same
hour: it only costs requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ringback.crew import Crew
from ringback.entrance import JSON, Entrance
from ringback.errors import ConfigurationError, RingbackError, Unavailable
from ringback.intake import Intake
from ringback.last_look import LastLook
from ringback.model import Instant
from ringback.observe import Observer, PollFailed, PollFinished
from ringback.policy import DAY, HOUR
from ringback.providers import Profile, Received, recognise
from ringback.providers.recognition import Recogniser
from ringback.signing import Request
from ringback.store import Pending

# How far the first look goes back, and how far each further one looks behind the one before.
FIRST_LOOK = 2 * DAY
OVERLAP = 1 * HOUR

SHORTEST_EVERY = 1.0
# The longest pause after failures, in seconds, unless looks are further apart anyway.
LONGEST_PAUSE = 3_600.0
# Nodes that start together look at different times: the first look waits up to this share of the time between two,
# and every pause is up to so much shorter or longer.
SPREAD = 0.1
# A call that hangs holds its thread for good, so there may not be many.
MAX_HANGING = 3

Body = bytes | Mapping[str, Any]
Fetch = Callable[[datetime], Any]

logger = logging.getLogger("ringback.reconciler")


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking a provider.

    Attributes:
        news: Events whose webhook had not come; they are in the inbox now.
        known: Events that were there already.
        pending: Things that are no event yet, such as an invoice that waits to be paid.
        unusable: What could not be read, or told apart from other events.
    """

    news: int = 0
    known: int = 0
    pending: int = 0
    unusable: int = 0

    def __add__(self, other: Looked) -> Looked:
        """Return both together."""
        return Looked(
            news=self.news + other.news,
            known=self.known + other.known,
            pending=self.pending + other.pending,
            unusable=self.unusable + other.unusable,
        )


def check_profile(source: str, profile: Profile) -> None:
    """Refuse to poll where it can be told that a poll could not be matched with its webhook.

    Raises:
        ConfigurationError: The provider's profile gives no business key.
    """
    if isinstance(profile.recognise, Recogniser):
        raise _keyless(source, profile)


def _keyless(source: str, profile: Profile) -> ConfigurationError:
    return ConfigurationError(
        f"the source {source} cannot be reconciled: the profile {profile.name} gives no business key, so what a poll "
        "finds and its webhook would both be handled. Use a profile whose recognise returns a business_key, as that "
        "of xendit does"
    )


class Reconciler:
    """Polls for one source, with one ``fetch``. Remembers until when it has looked.

    Args:
        source: The source's name.
        fetch: Called with the instant since when to look. It returns bodies, or yields them, and may be a coroutine
            function or an asynchronous generator. Any other is called, and read to its end, on one thread of its own.
        every: Seconds between two looks.
        patience: For how many seconds at most *fetch* may give nothing before a look is given up.
        observer: Told of every look.
        clock: Returns the present instant.
        chance: Returns a random number from 0 to 1.

    Raises:
        ConfigurationError: A time is too short.
    """

    def __init__(
        self,
        source: str,
        fetch: Fetch,
        *,
        every: float,
        patience: float,
        observer: Observer,
        clock: Callable[[], Instant],
        chance: Callable[[], float],
    ) -> None:
        if every < SHORTEST_EVERY or patience <= 0:
            raise ConfigurationError(
                f"to reconcile {source}, every= is {SHORTEST_EVERY:g}s or more and timeout= more than nothing"
            )
        self.source = source
        self._fetch = fetch
        self._every = every
        self._patience = patience
        self._observer = observer
        self._clock = clock
        self._chance = chance
        self._looked_at: Instant | None = None
        self._failures = 0
        self._hanging = 0

    async def run(self, intake: Intake, entrance: Entrance) -> None:
        """Look again and again until cancelled; what goes wrong is told in the log, and tried again later."""
        await asyncio.sleep(self._every * SPREAD * self._chance())
        while True:
            try:
                await self.look(intake, entrance)
                pause = self._pause(None)
            except Exception as error:
                pause = self._pause(error)
                told = "asking for the events of %s failed (%s); next in %.0f s"
                logger.warning(told, self.source, type(error).__name__, pause, exc_info=error)
            await asyncio.sleep(pause)

    async def look(self, intake: Intake, entrance: Entrance, since: datetime | None = None) -> Looked:
        """Look once; return what came of it.

        Args:
            intake: Takes in what is found.
            entrance: The source.
            since: Since when; by default since the last look that succeeded, or two days ago.

        Raises:
            TimeoutError: *fetch* hangs.
            ConfigurationError: The source's profile gives no business key.
            RingbackError: What was found could not be stored.
            Exception: Whatever *fetch* raised. After any error, the next look begins where this one did.
        """
        started = self._clock()
        look = _Look(intake, entrance)
        try:
            await self._take_in(look, since or self._since(started))
            looked = look.result()
            await intake.note_look(entrance, lambda _: _kept(looked, started))
        except Exception as error:
            self._failures += 1
            name = type(error).__name__
            with contextlib.suppress(
                RingbackError
            ):  # told to the observer, and what went wrong first is raised
                await intake.note_look(entrance, lambda before: before.failed(started, name))
            self._observer.emit(PollFailed(source=entrance.source, error=name))
            raise
        finally:
            look.given_up.set()
        self._failures = 0
        if since is None:
            self._looked_at = started
        self._observer.emit(PollFinished(source=entrance.source, news=looked.news, unusable=looked.unusable))
        return looked

    def _since(self, now: Instant) -> datetime:
        since = now - FIRST_LOOK if self._looked_at is None else self._looked_at - OVERLAP
        return datetime.fromtimestamp(since / 1000, UTC)

    def _pause(self, error: Exception | None) -> float:
        longest = max(self._every, LONGEST_PAUSE)
        pause = min(self._every * 2.0 ** min(self._failures, 16), longest)
        if isinstance(error, Unavailable):
            pause = max(pause, error.retry_after)
        return pause * (1 - SPREAD + 2 * SPREAD * self._chance())

    async def _take_in(self, look: _Look, since: datetime) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience) as limit:

                def heard() -> None:
                    with contextlib.suppress(RuntimeError):  # the limit has passed, or the look is over
                        limit.reschedule(loop.time() + self._patience)

                look.heard = heard
                await self._ask(look, since)
        except TimeoutError:
            if not limit.expired():
                raise
            told = f"fetch gave nothing for {self._patience:g} s; have it limit the time of its own requests"
            raise TimeoutError(told) from None

    async def _ask(self, look: _Look, since: datetime) -> None:
        if _belongs_on_the_loop(self._fetch):
            found = self._fetch(since)
        else:
            found = await self._on_a_thread(lambda: look.take_all_at_once(self._fetch(since)))
        if inspect.isawaitable(found):
            found = await found
        if isinstance(found, AsyncIterable):
            await look.take_each(found)
        elif found is not None:
            await self._on_a_thread(lambda: look.take_all_at_once(found))

    async def _on_a_thread(self, function: Callable[[], Any]) -> Any:
        if self._hanging >= MAX_HANGING:
            raise TimeoutError(
                f"{MAX_HANGING} calls of fetch hang still; have it limit the time of its requests"
            )
        crew, loop = Crew(1), asyncio.get_running_loop()

        def counted() -> Any:
            try:
                return function()
            finally:
                self._hanging -= 1

        self._hanging += 1
        try:
            return await crew.do(counted)
        finally:
            loop.call_soon(crew.close)


class _Look:
    """One look: takes in bodies one after the other, so that no more than one is in memory, and counts them."""

    def __init__(self, intake: Intake, entrance: Entrance) -> None:
        self._intake = intake
        self._entrance = entrance
        self._loop = asyncio.get_running_loop()
        self._counts = {True: 0, False: 0}
        self._pending = 0
        self._keyless = 0
        self._faults = 0
        self.heard: Callable[[], None] = lambda: None
        self.given_up = threading.Event()

    def take_all_at_once(self, found: Any) -> Any:
        """Take in all bodies, on a thread; return *found* untouched where only an event loop can read it."""
        if inspect.isawaitable(found) or isinstance(found, AsyncIterable):
            return found
        if found is None:
            return None
        if isinstance(found, (bytes, str, Mapping)) or not isinstance(found, Iterable):
            raise TypeError(f"fetch returns or yields bodies; it gave {type(found).__name__}")
        for body in found:
            if self.given_up.is_set():
                break
            self._loop.call_soon_threadsafe(self.heard)
            news = self._hand_in(body)
            if news is not None:
                self._counts[news.result()] += 1
        return None

    async def take_each(self, found: AsyncIterable[Body]) -> None:
        """Take in each body as it comes."""
        closing: Any = contextlib.aclosing(found) if inspect.isasyncgen(found) else contextlib.nullcontext()
        async with closing:
            async for body in found:
                self.heard()
                news = self._hand_in(body)
                if news is not None:
                    self._counts[await news] += 1

    def result(self) -> Looked:
        """Return the counts.

        Raises:
            ConfigurationError: Nothing of what was found had a business key.
        """
        if self._keyless and not any(self._counts.values()):
            raise _keyless(self._entrance.source.name, self._entrance.profile)
        return Looked(
            news=self._counts[True],
            known=self._counts[False],
            pending=self._pending,
            unusable=self._keyless + self._faults,
        )

    def _hand_in(self, body: Body) -> Pending[bool] | None:
        try:
            raw, received = self._read(body)
        except Exception as error:  # noqa: BLE001 - whatever this body is, the others are taken
            self._faults += 1
            if self._faults == 1:
                name = self._entrance.source.name
                logger.warning("what was found for %s cannot be read: %s", name, type(error).__name__)
            return None
        if received.event_type is None:
            self._pending += 1
            return None
        if received.business_key is None:
            self._keyless += 1
            return None
        return self._intake.found(self._entrance, received, raw, {"content-type": JSON})

    def _read(self, body: Body) -> tuple[bytes, Received]:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(dict(body))
        if not isinstance(msgspec.json.decode(raw), dict):
            raise TypeError("a body is a JSON object")
        request = Request("POST", "", {"content-type": JSON}, raw)
        return raw, recognise(self._entrance.profile, request)


def _kept(looked: Looked, at: Instant) -> LastLook:
    return LastLook(
        at=at, news=looked.news, known=looked.known, pending=looked.pending, unusable=looked.unusable
    )


def _belongs_on_the_loop(fetch: Fetch) -> bool:
    candidates = (fetch, getattr(fetch, "__call__", None))  # noqa: B004 - an object's call may be a coroutine function
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in candidates)
