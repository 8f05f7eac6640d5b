"""Trying an endpoint out at once: one signed request, of which nothing is kept, for whoever waits to see."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec

from ringback import ids
from ringback.courier import Courier
from ringback.errors import Conflict, Unavailable
from ringback.examples import PING, PING_PAYLOAD
from ringback.model import Duration, Endpoint, Instant, Outcome, Trigger
from ringback.store import Lease, Work

MAX_AT_ONCE = 4
PATIENCE_SECONDS = 3.0


class Probed(msgspec.Struct, frozen=True):
    """What came of it, and how long that took."""

    outcome: Outcome
    duration: Duration


class Probe:
    """Tries endpoints out, a few at a time, and of each application one.

    Args:
        courier: Makes attempts.
        clock: Returns the present instant.
        monotonic: Returns seconds that only grow.
        entropy: Returns that many random bytes.
        patience: For how many seconds somebody waits while others take all the room.
    """

    def __init__(
        self,
        courier: Courier,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
        entropy: Callable[[int], bytes],
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._courier = courier
        self._clock = clock
        self._monotonic = monotonic
        self._entropy = entropy
        self._patience = patience
        self._room = asyncio.Semaphore(MAX_AT_ONCE)
        # The applications that try something out, or wait to.
        self._busy: set[str] = set()

    async def probe(self, endpoint: Endpoint) -> Probed:
        """Send one signed example to an endpoint, whatever its state; whatever happens comes back as a value.

        Raises:
            Conflict: The application tries out an endpoint already.
            Unavailable: So many others do that there was no room in time.
        """
        async with self._alone(endpoint.application_id), self._slot():
            return await self._try(endpoint)

    @contextlib.asynccontextmanager
    async def _alone(self, application_id: str) -> AsyncIterator[None]:
        if application_id in self._busy:
            raise Conflict("a check is under way already; try again when it is done")
        self._busy.add(application_id)
        try:
            yield
        finally:
            self._busy.discard(application_id)

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience):
                await self._room.acquire()
        except TimeoutError:
            raise Unavailable("many checks are under way, so that this one was not made; try again") from None
        try:
            yield
        finally:
            self._room.release()

    async def _try(self, endpoint: Endpoint) -> Probed:
        now, started = self._clock(), self._monotonic()
        work = Work(
            key=(0, 0),
            message_id=ids.new_id(ids.MESSAGE, now, self._entropy(ids.ENTROPY_BYTES)),
            event_type=PING,
            payload=PING_PAYLOAD,
            accepted_at=now,
            endpoint=endpoint,
            attempts=0,
            trigger=Trigger.MANUAL,
            lease=Lease(token=0, until=now),
        )
        outcome = await self._courier.send(work, endpoint, now)
        return Probed(outcome, round((self._monotonic() - started) * 1000))

    async def aclose(self) -> None:
        """Give up idle connections."""
        await self._courier.aclose()
