"""Whether anybody would get a message, asked before it is published."""

from __future__ import annotations

import msgspec
from falcon.asgi import Response

from ringback.outbox import Outbox
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import Query, parse
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import Shape


class MessagePrecheckIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What the message would be."""

    event_type: str
    channels: tuple[str, ...] | None = None


class MessagePrecheckOut(Shape):
    """Whether any enabled endpoint listens to such a message."""

    active: bool


PRECHECK = msgspec.json.Decoder(MessagePrecheckIn)


class Precheck:
    """Looks at who listens."""

    def __init__(self, outbox: Outbox, bodies: Bodies) -> None:
        self._outbox = outbox
        self._bodies = bodies

    @operation("message.precheck", {200: MessagePrecheckOut}, body=PRECHECK)
    async def on_post(self, req: Request, resp: Response, app: str) -> None:
        """Tell whether any endpoint would be sent such a message; nothing is published."""
        parse(req, Query)
        body = await self._bodies.decode(req, PRECHECK)
        reply(
            resp, MessagePrecheckOut(active=await self._outbox.precheck(app, body.event_type, body.channels))
        )
