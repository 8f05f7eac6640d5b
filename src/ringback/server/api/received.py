"""What sources received and refused, and handling it again."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
from falcon import HTTP_202
from falcon.asgi import Response

from ringback import ids, search
from ringback.errors import Conflict, InvalidInput, MissingPayload
from ringback.model import Held
from ringback.server.bodies import Bodies
from ringback.server.ingest_wire import (
    Body,
    DeadLetterOut,
    ReceivedOut,
    RefusalOut,
    ReplayOut,
    dead_letter_out,
    received_out,
    refusal_out,
)
from ringback.server.operation import operation
from ringback.server.paging import (
    ContentQuery,
    PageQuery,
    Query,
    listing,
    optional_instant,
    page_of,
    page_of_names,
    parse,
)
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import Listing, instant
from ringback.sources import Found, Sources
from ringback.store import MessageFilter


class ReceivedQuery(PageQuery):
    """Which part of what was received, newest first."""

    before: datetime | None = None
    after: datetime | None = None
    event_types: tuple[str, ...] | None = None
    with_content: bool = True


class ContentPageQuery(PageQuery):
    """Which part of a list, and whether to show contents."""

    with_content: bool = True


class HeldQuery(ContentPageQuery, kw_only=True):
    """Which part of what nothing handles, for which reason."""

    reason: Held


class ReplayIn(Body):
    """How to handle one message again."""

    rematch: bool = False
    done_too: bool | None = None


class BulkReplayIn(Body):
    """Which messages to handle again, and how; or, with *preview*, only how many those are."""

    since: datetime
    until: datetime | None = None
    event_types: tuple[str, ...] | None = None
    rematch: bool = False
    done_too: bool = False
    preview: bool = False
    iterator: str | None = None


REPLAY = msgspec.json.Decoder(ReplayIn)
BULK_REPLAY = msgspec.json.Decoder(BulkReplayIn)


class Received:
    """What sources received. A source's id comes as ``app``; see ``server.owners``."""

    def __init__(self, sources: Sources, bodies: Bodies) -> None:
        self._sources = sources
        self._bodies = bodies

    @operation("message.list", {200: Listing[ReceivedOut]}, query=ReceivedQuery)
    async def on_get_all(self, req: Request, resp: Response, app: str) -> None:
        """List messages, newest first."""
        query = parse(req, ReceivedQuery)
        page = page_of(query, ids.MESSAGE, descending=True)
        where = MessageFilter(
            before=optional_instant(query.before),
            after=optional_instant(query.after),
            event_types=query.event_types,
        )
        rows = await search.messages(self._sources.read, app, where, page)
        content = query.with_content
        reply(
            resp, listing(rows, page, lambda row: received_out(row, with_content=content), lambda row: row.id)
        )

    @operation("message.get", {200: ReceivedOut}, query=ContentQuery)
    async def on_get(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """Show a message."""
        query = parse(req, ContentQuery)
        message = await self._sources.read(lambda store: store.message(app, msg))
        reply(resp, received_out(message, with_content=query.with_content))

    @operation("message.list-held", {200: Listing[ReceivedOut]}, query=HeldQuery)
    async def on_get_held(self, req: Request, resp: Response, app: str) -> None:
        """List messages that nothing handles, newest first."""
        query = parse(req, HeldQuery)
        page = page_of(query, ids.MESSAGE, descending=True)
        rows = await self._sources.read(lambda store: store.held(app, query.reason, page))
        content = query.with_content
        reply(
            resp, listing(rows, page, lambda row: received_out(row, with_content=content), lambda row: row.id)
        )

    @operation("message.list-dead-letters", {200: Listing[DeadLetterOut]}, query=ContentPageQuery)
    async def on_get_dead(self, req: Request, resp: Response, app: str) -> None:
        """List deliveries that were given up, newest message first."""
        query = parse(req, ContentPageQuery)
        # One message may have several, so its id alone does not say where a page ended.
        page = page_of_names(query, descending=True)
        rows = await self._sources.read(lambda store: store.dead_letters(app, page))
        content = query.with_content
        reply(
            resp,
            listing(
                rows,
                page,
                lambda row: dead_letter_out(*row, with_content=content),
                lambda row: f"{row[1].id}.{row[0].endpoint_id}",
            ),
        )

    @operation("source.list-refusals", {200: Listing[RefusalOut]}, query=PageQuery)
    async def on_get_refusals(self, req: Request, resp: Response, app: str) -> None:
        """List refused requests, newest first."""
        query = parse(req, PageQuery)
        page = page_of(query, ids.REFUSAL, descending=True)
        rows = await self._sources.read(lambda store: store.refusals(app, page))
        reply(resp, listing(rows, page, refusal_out, lambda row: row.id))

    @operation(
        "message.replay", {202: ReplayOut}, body=REPLAY, without_body=True, raises=(Conflict, MissingPayload)
    )
    async def on_post_replay(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """Deliver a message again."""
        parse(req, Query)
        body = await self._bodies.decode_optional(req, REPLAY, ReplayIn())
        # Whoever names one message means it; those of a span of time may have been handled long since.
        done_too = not body.rematch if body.done_too is None else body.done_too
        deliveries = await self._sources.replay(app, msg, rematch=body.rematch, done_too=done_too)
        answer = ReplayOut(messages=1, deliveries=deliveries, pruned=0, iterator=None, done=True)
        reply(resp, answer, HTTP_202)

    @operation("source.replay", {202: ReplayOut}, body=BULK_REPLAY)
    async def on_post_bulk(self, req: Request, resp: Response, app: str) -> None:
        """Deliver up to 500 messages again, or count them."""
        parse(req, Query)
        body = await self._bodies.decode(req, BULK_REPLAY)
        found = await self._sources.find(app, _filter(body), after=body.iterator)
        deliveries, pruned = (0, 0) if body.preview else await self._replay(app, found, body)
        answer = ReplayOut(
            messages=len(found.message_ids),
            deliveries=deliveries,
            pruned=pruned,
            iterator=found.message_ids[-1] if found.message_ids else None,
            done=found.done,
        )
        reply(resp, answer, HTTP_202)

    async def _replay(self, source: str, found: Found, how: BulkReplayIn) -> tuple[int, int]:
        """Return how many deliveries were made due, and how many messages are without a payload."""
        pending = [
            self._sources.replay(source, message, rematch=how.rematch, done_too=how.done_too)
            for message in found.message_ids
        ]
        outcomes = await asyncio.gather(*pending, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Conflict):
                raise outcome
        deliveries = [outcome for outcome in outcomes if isinstance(outcome, int)]
        return sum(deliveries), len(outcomes) - len(deliveries)


def _filter(body: BulkReplayIn) -> MessageFilter:
    if body.iterator is not None and not ids.is_id(ids.MESSAGE, body.iterator):
        raise InvalidInput.at("body", "iterator", msg="is the iterator of an earlier answer")
    if body.event_types is not None and not body.event_types:
        raise InvalidInput.at("body", "eventTypes", msg="is empty; leave it out for all")
    return MessageFilter(
        after=instant(body.since), before=optional_instant(body.until), event_types=body.event_types
    )
