"""Contents of many messages, forgotten on request."""

from __future__ import annotations

import asyncio
import enum

import msgspec
from falcon import HTTP_202
from falcon.asgi import Response

from ringback.archive import MAX_EXPUNGED
from ringback.errors import InvalidInput, NotFound
from ringback.outbox import Outbox
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import Query, parse
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import RecoverOut, Shape, recover_out


class Expunged(enum.StrEnum):
    """What became of a message's content."""

    EXPUNGED = "expunged"
    NOT_FOUND = "not-found"


class BulkExpungeIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Messages, by id or event id."""

    ids: tuple[str, ...] | None = None


class BulkExpungeOut(Shape):
    """What became of each of them."""

    results: dict[str, Expunged]


BULK_EXPUNGE = msgspec.json.Decoder(BulkExpungeIn)


class Contents:
    """Forgets the payloads of many messages of an application."""

    def __init__(self, outbox: Outbox, bodies: Bodies) -> None:
        self._outbox = outbox
        self._bodies = bodies

    @operation("message.bulk-expunge-content", {200: BulkExpungeOut}, body=BULK_EXPUNGE)
    async def on_post_bulk(self, req: Request, resp: Response, app: str) -> None:
        """Forget the payloads of some messages."""
        parse(req, Query)
        names = tuple(dict.fromkeys((await self._bodies.decode(req, BULK_EXPUNGE)).ids or ()))
        if len(names) > MAX_EXPUNGED:
            raise InvalidInput.at("body", "ids", msg=f"has at most {MAX_EXPUNGED} entries")
        await self._outbox.read(lambda store: store.application(app))
        results = await asyncio.gather(*[self._expunge(app, name) for name in names])
        reply(resp, BulkExpungeOut(results=dict(zip(names, results, strict=True))))

    async def _expunge(self, app: str, name: str) -> Expunged:
        try:
            await self._outbox.archive.expunge_message(app, name)
        except NotFound:
            return Expunged.NOT_FOUND
        return Expunged.EXPUNGED

    @operation("message.expunge-all-contents", {202: RecoverOut}, keyed=True)
    async def on_post_all(self, req: Request, resp: Response, app: str) -> None:
        """Forget the payloads of all messages that the application has now."""
        parse(req, Query)
        key = req.get_header("idempotency-key")
        reply(resp, recover_out(await self._outbox.archive.purge(app, idempotency_key=key)), HTTP_202)
