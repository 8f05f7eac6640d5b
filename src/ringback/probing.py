"""Trying an endpoint out at once: one signed request, of which nothing is kept, for whoever waits to see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from ringback import ids
from ringback.courier import Courier
from ringback.examples import PING, PING_PAYLOAD
from ringback.model import Duration, Endpoint, Instant, Outcome, Trigger
from ringback.store import Lease, Work

MAX_AT_ONCE = 4


class Probed(msgspec.Struct, frozen=True):
    """What came of it, and how long that took."""

    outcome: Outcome
    duration: Duration


class Probe:
    """Tries endpoints out, a few at a time.

    Args:
        courier: Makes attempts.
        clock: Returns the present instant.
        monotonic: Returns seconds that only grow.
        entropy: Returns that many random bytes.
    """

    def __init__(
        self,
        courier: Courier,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._courier = courier
        self._clock = clock
        self._monotonic = monotonic
        self._entropy = entropy
        self._room = asyncio.Semaphore(MAX_AT_ONCE)

    async def probe(self, endpoint: Endpoint) -> Probed:
        """Send one signed example to an endpoint, whatever its state; whatever happens comes back as a value."""
        async with self._room:
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
