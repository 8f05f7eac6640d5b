"""Event types."""

from __future__ import annotations

from typing import Literal

import msgspec
from falcon import HTTP_201, HTTP_204
from falcon.asgi import Response

from ringback.drafts import EventTypeDraft
from ringback.errors import Conflict
from ringback.outbox import Outbox
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import PageQuery, Query, listing, page_of_names, parse
from ringback.server.replies import created, reply
from ringback.server.unknown import Request
from ringback.server.wire import EventTypeOut, Listing, event_type_out, given, partial

DRAFT = msgspec.json.Decoder(EventTypeDraft)
UPDATE = msgspec.json.Decoder(partial(EventTypeDraft, "EventTypeUpdate", without={"name"}, optional=()))
PATCH = msgspec.json.Decoder(partial(EventTypeDraft, "EventTypePatch", without={"name"}))


class ListQuery(PageQuery):
    """Which event types to list, and whether with their schemas; they always come in the order of names."""

    order: Literal["ascending", "descending"] | None = None
    include_archived: bool = False
    with_content: bool = False


class RemovalQuery(Query):
    """Whether to delete for good instead of archiving."""

    expunge: bool = False


class EventTypes:
    """Kinds of messages that endpoints can subscribe to."""

    def __init__(self, outbox: Outbox, bodies: Bodies) -> None:
        self._outbox = outbox
        self._bodies = bodies

    @operation("event-type.list", {200: Listing[EventTypeOut]}, query=ListQuery)
    async def on_get_all(self, req: Request, resp: Response) -> None:
        """List event types by name."""
        query = parse(req, ListQuery)
        page = page_of_names(query)
        rows = await self._outbox.read(lambda store: store.event_types(page, archived=query.include_archived))
        reply(
            resp,
            listing(
                rows,
                page,
                lambda row: event_type_out(row, with_content=query.with_content),
                lambda row: row.name,
            ),
        )

    @operation("event-type.create", {201: EventTypeOut}, body=DRAFT, keyed=True, raises=(Conflict,))
    async def on_post_all(self, req: Request, resp: Response) -> None:
        """Create an event type, or revive an archived one."""
        parse(req, Query)
        draft = await self._bodies.decode(req, DRAFT)
        record = await self._outbox.create_event_type(
            draft, idempotency_key=req.get_header("idempotency-key")
        )
        reply(resp, event_type_out(record), HTTP_201)

    @operation("event-type.get", {200: EventTypeOut})
    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        """Show an event type."""
        parse(req, Query)
        reply(resp, event_type_out(await self._outbox.read(lambda store: store.event_type(name))))

    @operation("event-type.update", {200: EventTypeOut, 201: EventTypeOut}, body=UPDATE, raises=(Conflict,))
    async def on_put(self, req: Request, resp: Response, name: str) -> None:
        """Replace an event type, or create it."""
        parse(req, Query)
        update = await self._bodies.decode(req, UPDATE)
        record, new = await self._outbox.put_event_type(name, EventTypeDraft(name=name, **given(update)))
        reply(resp, event_type_out(record), created(new=new))

    @operation("event-type.patch", {200: EventTypeOut}, body=PATCH, raises=(Conflict,))
    async def on_patch(self, req: Request, resp: Response, name: str) -> None:
        """Change the fields given."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, PATCH))
        reply(resp, event_type_out(await self._outbox.change_event_type(name, changes)))

    @operation("event-type.delete", {204: None}, query=RemovalQuery)
    async def on_delete(self, req: Request, resp: Response, name: str) -> None:
        """Archive an event type, or delete it for good."""
        query = parse(req, RemovalQuery)
        await self._outbox.remove_event_type(name, expunge=query.expunge)
        resp.status = HTTP_204
