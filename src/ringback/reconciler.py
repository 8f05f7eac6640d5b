"""Asks a provider for events whose webhook has not come, and feeds them to the same handlers.

A poll and a webhook of one event share its business key, which names the thing and the state it reached; whichever
comes second is known already.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ringback.entrance import JSON, Entrance
from ringback.intake import Intake
from ringback.model import Instant
from ringback.policy import DAY, HOUR
from ringback.providers import recognise
from ringback.signing import Request

# How far the first look goes back, and how far each further one looks behind the one before.
FIRST_LOOK = 2 * DAY
OVERLAP = 1 * HOUR

Body = bytes | Mapping[str, Any]
Fetch = Callable[[datetime], Any]

logger = logging.getLogger("ringback.reconciler")


class Reconciler:
    """Polls for one source.

    Args:
        intake: Takes in what is found.
        entrance: The source.
        fetch: Called with the instant since when to look; returns or yields bodies, as a coroutine function too.
        every: Seconds between two looks.
        clock: Returns the present instant.
    """

    def __init__(
        self,
        intake: Intake,
        entrance: Entrance,
        fetch: Fetch,
        *,
        every: float,
        clock: Callable[[], Instant],
    ) -> None:
        self._intake = intake
        self._entrance = entrance
        self._fetch = fetch
        self._every = every
        self._clock = clock
        self._looked_at: Instant | None = None

    async def run(self) -> None:
        """Look again and again; what goes wrong is told in the log, and tried again the next time."""
        while True:
            try:
                await self.look()
            except Exception:
                logger.exception("asking for the events of %s failed", self._entrance.source.name)
            await asyncio.sleep(self._every)

    async def look(self) -> int:
        """Look once; return how many events were news."""
        now = self._clock()
        since = now - FIRST_LOOK if self._looked_at is None else self._looked_at - OVERLAP
        bodies = await self._ask(datetime.fromtimestamp(since / 1000, UTC))
        news = [await self._take(body) for body in bodies]
        self._looked_at = now
        return sum(news)

    async def _ask(self, since: datetime) -> list[Body]:
        if inspect.iscoroutinefunction(self._fetch):
            return list(await self._fetch(since))
        return await asyncio.to_thread(lambda: list(self._fetch(since)))

    async def _take(self, body: Body) -> bool:
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"content-type": JSON}
        received = recognise(self._entrance.profile, Request("POST", "", headers, raw))
        if received.business_key is None or received.event_type is None:
            # An object on its way, such as an invoice that waits to be paid, is no event.
            return False
        return await self._intake.found(self._entrance, received, raw, headers)
