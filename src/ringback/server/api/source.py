"""Sources: where webhooks come in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from falcon import HTTP_201, HTTP_204
from falcon.asgi import Response

from ringback import ids
from ringback.errors import Conflict, InvalidInput, InvalidRange, LimitReached
from ringback.former_addresses import GRACE
from ringback.server.api.endpoint import StatsQuery
from ringback.server.bodies import Bodies
from ringback.server.ingest_wire import (
    RotateTokenIn,
    RotateTokenOut,
    SourceIn,
    SourceOut,
    SourcePatch,
    SourceStatsOut,
    ingest_url,
    relocated,
    source_changes_of,
    source_draft_of,
    source_out,
    source_stats_out,
)
from ringback.server.operation import operation
from ringback.server.paging import OrderedQuery, Query, descending, listing, optional_instant, page_of, parse
from ringback.server.replies import created, reply
from ringback.server.unknown import Request
from ringback.server.wire import Listing
from ringback.sources import Sources

SOURCE = msgspec.json.Decoder(SourceIn)
PATCH = msgspec.json.Decoder(SourcePatch)
ROTATION = msgspec.json.Decoder(RotateTokenIn)


class SourceResource:
    """Inbound doors, one per provider and purpose.

    Args:
        sources: Manages them.
        bodies: Reads requests.
        public_url: Where providers reach this server; None to take the address of each request.
    """

    of_sources = True

    def __init__(self, sources: Sources, bodies: Bodies, public_url: str | None) -> None:
        self._sources = sources
        self._bodies = bodies
        self._public_url = public_url

    @operation("source.list", {200: Listing[SourceOut]}, query=OrderedQuery)
    async def on_get_all(self, req: Request, resp: Response) -> None:
        """List sources, oldest first unless asked otherwise."""
        query = parse(req, OrderedQuery)
        page = page_of(query, ids.SOURCE, descending=descending(query, default=False))
        rows = await self._sources.read(lambda store: store.sources(page))
        base = self._base(req)
        reply(resp, listing(rows, page, lambda row: source_out(row, base), lambda row: row.id))

    @operation("source.create", {201: SourceOut}, body=SOURCE, keyed=True, raises=(Conflict,))
    async def on_post_all(self, req: Request, resp: Response) -> None:
        """Create a source."""
        parse(req, Query)
        body = await self._bodies.decode(req, SOURCE)
        with _told_as_sent():
            draft = source_draft_of(body)
            record = await self._sources.create(draft, idempotency_key=req.get_header("idempotency-key"))
        reply(resp, source_out(record, self._base(req)), HTTP_201)

    @operation("source.get", {200: SourceOut})
    async def on_get(self, req: Request, resp: Response, source: str) -> None:
        """Show a source."""
        parse(req, Query)
        record = await self._sources.read(lambda store: store.source(source))
        reply(resp, source_out(record, self._base(req)))

    @operation("source.update", {200: SourceOut, 201: SourceOut}, body=SOURCE, raises=(Conflict,))
    async def on_put(self, req: Request, resp: Response, source: str) -> None:
        """Replace a source, or create it with the uid of the path."""
        parse(req, Query)
        body = await self._bodies.decode(req, SOURCE)
        with _told_as_sent():
            record, new = await self._sources.put(source, source_draft_of(body))
        reply(resp, source_out(record, self._base(req)), created(new=new))

    @operation("source.patch", {200: SourceOut}, body=PATCH, raises=(Conflict,))
    async def on_patch(self, req: Request, resp: Response, source: str) -> None:
        """Change the fields given."""
        parse(req, Query)
        body = await self._bodies.decode(req, PATCH)
        with _told_as_sent():
            record = await self._sources.change(source, source_changes_of(body))
        reply(resp, source_out(record, self._base(req)))

    @operation("source.delete", {204: None}, raises=(Conflict,))
    async def on_delete(self, req: Request, resp: Response, source: str) -> None:
        """Delete a source."""
        parse(req, Query)
        await self._sources.remove(source)
        resp.status = HTTP_204

    @operation(
        "source.rotate-token",
        {200: RotateTokenOut},
        body=ROTATION,
        without_body=True,
        keyed=True,
        raises=(Conflict, LimitReached),
    )
    async def on_post_rotate(self, req: Request, resp: Response, source: str) -> None:
        """Give a source another address; the one it has stays good for a while."""
        parse(req, Query)
        rotation = await self._bodies.decode_optional(req, ROTATION, RotateTokenIn())
        seconds = rotation.grace_period_seconds
        record = await self._sources.rotate_token(
            source,
            grace=GRACE if seconds is None else seconds * 1000,
            idempotency_key=req.get_header("idempotency-key"),
        )
        reply(resp, RotateTokenOut(ingest_url=str(ingest_url(record, self._base(req)))))

    @operation("source.get-stats", {200: SourceStatsOut}, query=StatsQuery, raises=(InvalidRange,))
    async def on_get_stats(self, req: Request, resp: Response, source: str) -> None:
        """Count what the source received and refused, by default in the last 28 days, and what is left over."""
        window = parse(req, StatsQuery)
        since, until = optional_instant(window.since), optional_instant(window.until)
        reply(resp, source_stats_out(await self._sources.fare(source, since, until)))

    def _base(self, req: Request) -> str:
        return self._public_url or str(req.prefix)


@contextmanager
def _told_as_sent() -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise relocated(error) from None
