"""Canaries: one message sent past a pause, whose outcome the caller waits for."""

from __future__ import annotations

from falcon.asgi import Response

from ringback.canary import SendCanary
from ringback.errors import Conflict
from ringback.server.operation import operation
from ringback.server.paging import Query, parse
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import MessageAttemptOut, attempt_out


class Canaries:
    """What is sent to an endpoint before it is resumed.

    Args:
        send: Sends one, given the application and the endpoint.
    """

    def __init__(self, send: SendCanary) -> None:
        self._send = send

    @operation("endpoint.send-canary", {200: MessageAttemptOut}, raises=(Conflict,))
    async def on_post(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Send the oldest message that waits for a paused endpoint, and show the attempt."""
        parse(req, Query)
        reply(resp, attempt_out(await self._send(app, ep)))
