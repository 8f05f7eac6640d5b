"""Pollers: endpoints without an address, and the two ways to ask for what they have."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from falcon import HTTP_201, HTTP_204
from falcon.asgi import Response

from ringback import ids
from ringback.api_keys import Caller
from ringback.drafts import PollerDraft
from ringback.errors import Conflict, InvalidInput, LimitReached, NotFound
from ringback.model import Endpoint, Message
from ringback.outbox import Outbox
from ringback.polling import Maker
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import (
    MAX_LIMIT,
    Named,
    OrderedQuery,
    PageQuery,
    Query,
    descending,
    listing,
    optional_instant,
    page_of,
    parse,
)
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import Listing, MessageOut, Shape, given, instant, message_out, moment, partial
from ringback.store import MessageFilter, Polled

MAX_DIGITS = 15

DRAFT = msgspec.json.Decoder(PollerDraft)
PATCH = msgspec.json.Decoder(partial(PollerDraft, "PollerPatch"))


class PollQuery(Query):
    """Where to go on, and which messages are meant."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 50
    iterator: str | None = None
    event_type: Named | None = None
    channel: Named | None = None
    after: datetime | None = None


class PollerOut(Shape):
    """A poller."""

    id: str
    description: str
    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime


class PollerCreatedOut(PollerOut):
    """A new poller, with the text of a token for it."""

    token: str


class PollerTokenOut(Shape):
    """A new token for a poller."""

    token: str


class PollingEndpointMessageOut(MessageOut):
    """A message that was asked for."""

    headers: dict[str, str] | None


class PollingEndpointOut(Shape):
    """What was asked for."""

    data: list[PollingEndpointMessageOut]
    iterator: str
    done: bool


class PollingEndpointConsumerSeekIn(msgspec.Struct, forbid_unknown_fields=True):
    """Where a consumer is to go on."""

    after: datetime


class PollingEndpointConsumerSeekOut(Shape):
    """Where that is."""

    iterator: str


SEEK = msgspec.json.Decoder(PollingEndpointConsumerSeekIn)


class MessagePollers:
    """Pollers, for receivers that nobody can reach."""

    def __init__(self, outbox: Outbox, bodies: Bodies) -> None:
        self._pollers = outbox.pollers
        self._bodies = bodies

    @operation("message-poller.list", {200: Listing[PollerOut]}, query=OrderedQuery)
    async def on_get_all(self, req: Request, resp: Response, app: str) -> None:
        """List pollers, newest first unless asked otherwise."""
        query = parse(req, OrderedQuery)
        page = page_of(query, ids.POLLER, descending=descending(query, default=True))
        rows = await self._pollers.list(app, page)
        reply(resp, listing(rows, page, _shown, lambda row: row.id))

    @operation("message-poller.create", {201: PollerCreatedOut}, body=DRAFT, raises=(LimitReached,))
    async def on_post_all(self, req: Request, resp: Response, app: str) -> None:
        """Create a poller. The text of its token is told only now."""
        parse(req, Query)
        poller, token = await self._pollers.create(app, await self._bodies.decode(req, DRAFT), _maker(req))
        shown = msgspec.structs.asdict(_shown(poller))
        reply(resp, PollerCreatedOut(**shown, token=token), HTTP_201)

    @operation("message-poller.poll", {200: PollingEndpointOut}, query=PollQuery)
    async def on_get(self, req: Request, resp: Response, app: str, poller: str) -> None:
        """Ask for messages behind an iterator, in their order; the caller keeps it."""
        query = parse(req, PollQuery)
        _check_bound(req, poller)
        where = MessageFilter(
            after=optional_instant(query.after),
            event_types=None if query.event_type is None else (query.event_type,),
            channel=query.channel,
        )
        position = _position(query.iterator)
        reply(resp, _out(await self._pollers.poll(app, poller, position, where, limit=query.limit)))

    @operation("message-poller.patch", {200: PollerOut}, body=PATCH)
    async def on_patch(self, req: Request, resp: Response, app: str, poller: str) -> None:
        """Change the fields given, for messages that are published from now on."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, PATCH))
        flags = req.context.principal.feature_flags
        reply(resp, _shown(await self._pollers.change(app, poller, changes, flags)))

    @operation("message-poller.delete", {204: None})
    async def on_delete(self, req: Request, resp: Response, app: str, poller: str) -> None:
        """Delete a poller and its tokens."""
        parse(req, Query)
        await self._pollers.remove(app, poller)
        resp.status = HTTP_204

    @operation("message-poller.rotate-token", {200: PollerTokenOut})
    async def on_post_rotate(self, req: Request, resp: Response, app: str, poller: str) -> None:
        """Make a new token for a poller; those before it stop working."""
        parse(req, Query)
        reply(resp, PollerTokenOut(token=await self._pollers.rotate_token(app, poller, _maker(req))))

    @operation(
        "message-poller.consumer-poll", {200: PollingEndpointOut}, query=PageQuery, raises=(LimitReached,)
    )
    async def on_get_consumer(
        self, req: Request, resp: Response, app: str, poller: str, consumer: str
    ) -> None:
        """Ask for what a consumer has not seen; Ringback keeps its place."""
        query = parse(req, PageQuery)
        _check_bound(req, poller)
        position = _position(query.iterator)
        reply(resp, _out(await self._pollers.consume(app, poller, consumer, position, limit=query.limit)))

    @operation(
        "message-poller.consumer-seek",
        {200: PollingEndpointConsumerSeekOut},
        body=SEEK,
        keyed=True,
        raises=(Conflict, LimitReached),
    )
    async def on_post_seek(self, req: Request, resp: Response, app: str, poller: str, consumer: str) -> None:
        """Have a consumer go on with what was accepted after a time."""
        parse(req, Query)
        _check_bound(req, poller)
        body = await self._bodies.decode(req, SEEK)
        key = req.get_header("idempotency-key")
        position = await self._pollers.seek(app, poller, consumer, instant(body.after), idempotency_key=key)
        reply(resp, PollingEndpointConsumerSeekOut(iterator=str(position)))


def _maker(req: Request) -> Maker:
    caller: Caller = req.context.caller
    flags = caller.principal.feature_flags
    return Maker(None if flags is None else tuple(sorted(flags)), caller.session)


def _check_bound(req: Request, poller: str) -> None:
    # To who has a token for one poller alone, no other is there.
    if req.context.principal.poller_id not in {None, poller}:
        raise NotFound(f"there is no poller {poller}")


def _position(iterator: str | None) -> int | None:
    if iterator is None:
        return None
    if not (iterator.isascii() and iterator.isdigit() and len(iterator) <= MAX_DIGITS):
        raise InvalidInput.at("query", "iterator", msg="is not from this poller, whose iterators are numbers")
    return int(iterator)


def _shown(record: Endpoint) -> PollerOut:
    return PollerOut(
        id=record.id,
        description=record.description,
        event_types=record.event_types,
        channels=record.channels,
        metadata=record.metadata,
        created_at=moment(record.created_at),
        updated_at=moment(record.updated_at),
    )


def _out(polled: Polled) -> PollingEndpointOut:
    return PollingEndpointOut(
        data=[_message(message) for message in polled.messages],
        iterator=str(polled.position),
        done=polled.ended and not polled.more,
    )


def _message(message: Message) -> PollingEndpointMessageOut:
    # What a receiver verifies elsewhere needs no signature here: it has asked for it, with a token of its own.
    return PollingEndpointMessageOut(**msgspec.structs.asdict(message_out(message)), headers=None)
