"""Event types."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec
from falcon import HTTP_201, HTTP_204
from falcon.asgi import Response

from ringback.changes import event_type_for
from ringback.drafts import EventTypeDraft
from ringback.errors import Conflict, MalformedRequest
from ringback.model import EventType
from ringback.outbox import Outbox
from ringback.server.bodies import Bodies
from ringback.server.import_wire import ImportOut, import_out
from ringback.server.operation import operation
from ringback.server.paging import PageQuery, Query, listing, page_of_names, parse
from ringback.server.replies import created, reply
from ringback.server.unknown import Request
from ringback.server.wire import EventTypeOut, Listing, event_type_out, given, partial
from ringback.specification import event_types_of
from ringback.store import Page, Store
from ringback.yaml_text import from_yaml


class EventTypeImportIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """An OpenAPI document, as an object or as the text of one, and what to do with it."""

    spec: dict[str, Any] | None = None
    spec_raw: str | None = None
    dry_run: bool | None = False
    replace_all: bool | None = False


DRAFT = msgspec.json.Decoder(EventTypeDraft)
UPDATE = msgspec.json.Decoder(partial(EventTypeDraft, "EventTypeUpdate", without={"name"}, optional=()))
IMPORT = msgspec.json.Decoder(EventTypeImportIn)
PATCH = msgspec.json.Decoder(partial(EventTypeDraft, "EventTypePatch", without={"name"}))


AT_ONCE = 250


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
        flags = req.context.principal.feature_flags
        rows = await self._outbox.read(
            lambda store: known(store, page, flags, archived=query.include_archived)
        )
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

    @operation("event-type.import-openapi", {200: ImportOut}, body=IMPORT, raises=(Conflict,))
    async def on_post_openapi(self, req: Request, resp: Response) -> None:
        """Create and update event types after the webhooks of an OpenAPI document, all or none."""
        parse(req, Query)
        body = await self._bodies.decode(req, IMPORT)
        # A large document takes a while, and others are waiting.
        wanted = await asyncio.to_thread(_read, body)
        dry_run = bool(body.dry_run)
        done = await self._outbox.import_event_types(
            wanted, replace_all=bool(body.replace_all), dry_run=dry_run
        )
        reply(resp, import_out(done, dry_run=dry_run))

    @operation("event-type.get", {200: EventTypeOut})
    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        """Show an event type."""
        parse(req, Query)
        flags = req.context.principal.feature_flags
        record = await self._outbox.read(lambda store: event_type_for(store, name, flags))
        reply(resp, event_type_out(record))

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


def _read(body: EventTypeImportIn) -> tuple[EventTypeDraft, ...]:
    if (body.spec is None) is (body.spec_raw is None):
        raise MalformedRequest("give the document as spec or as specRaw, one of the two")
    if body.spec is not None:
        return event_types_of(body.spec, "body", "spec")
    raw = body.spec_raw or ""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        document = from_yaml(raw, "body", "specRaw")
    return event_types_of(document, "body", "specRaw")


def known(store: Store, page: Page, flags: frozenset[str] | None, *, archived: bool) -> list[EventType]:
    """Return a page of the event types that one with these feature *flags* may know of (None: all)."""
    found: list[EventType] = []
    # Many may be hidden, one after another.
    rest = page if flags is None else msgspec.structs.replace(page, limit=max(page.limit, AT_ONCE))
    while len(found) < page.limit:
        rows = store.event_types(rest, archived=archived)
        shown = [row for row in rows if row.is_known_to(flags)]
        found = [*shown, *found] if page.backwards else [*found, *shown]
        if len(rows) < rest.limit:
            break
        rest = msgspec.structs.replace(rest, cursor=rows[0 if page.backwards else -1].name)
    return found[-page.limit :] if page.backwards else found[: page.limit]
