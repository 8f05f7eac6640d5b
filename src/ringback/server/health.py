"""Whether this node lives, and whether it should be sent requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import falcon
from falcon.asgi import Request, Response

from ringback.errors import RingbackError, Unavailable
from ringback.outbox import Outbox
from ringback.server.operation import operation
from ringback.server.replies import reply
from ringback.server.wire import HealthOut

Readiness = Callable[[], str | None]

STORE_SECONDS = 2.0


class Health:
    """Answers the questions of load balancers and supervisors; needs no token.

    Args:
        outbox: Reads the store.
        readiness: Says why this node should get no requests now, such as "draining"; None when it should.
    """

    open = True

    def __init__(self, outbox: Outbox, readiness: Readiness) -> None:
        self._outbox = outbox
        self._readiness = readiness

    @operation("health.get", {200: HealthOut}, query=None, raises=(Unavailable,))
    async def on_get(self, _req: Request, resp: Response) -> None:
        """Tell whether this node should be sent requests: 200, or 503 and why not."""
        await self._check()
        reply(resp, HealthOut())

    @operation("health.head", {200: None}, query=None, raises=(Unavailable,))
    async def on_head(self, req: Request, resp: Response) -> None:
        """Answer as GET does, without the body."""
        await self.on_get(req, resp)

    @operation("health.live", {200: HealthOut}, query=None)
    async def on_get_alive(self, _req: Request, resp: Response) -> None:
        """Tell that the event loop turns."""
        reply(resp, HealthOut())

    @operation("health.ping", {204: None}, query=None)
    async def on_get_ping(self, _req: Request, resp: Response) -> None:
        """Tell that the event loop turns, without a word."""
        resp.status = falcon.HTTP_204

    @operation("health.ping-head", {204: None}, query=None)
    async def on_head_ping(self, req: Request, resp: Response) -> None:
        """Answer as GET does."""
        await self.on_get_ping(req, resp)

    async def _check(self) -> None:
        reason = self._readiness()
        if reason is not None:
            raise Unavailable(f"this node is not ready: {reason}")
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._outbox.read(lambda store: store.catalog_version())
        except (RingbackError, TimeoutError) as error:
            why = str(error) or f"it did not answer within {STORE_SECONDS:g} seconds"
            raise Unavailable(f"this node is not ready: the store cannot be read: {why}") from None
