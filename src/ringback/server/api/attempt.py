"""Attempts: every try at a delivery, by endpoint or by message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec
from falcon import HTTP_204
from falcon.asgi import Response

from ringback import ids, search
from ringback.model import Attempt, Message
from ringback.outbox import Outbox
from ringback.server.operation import operation
from ringback.server.paging import HistoryQuery, Query, listing, optional_instant, page_of, parse
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import FAIL, SUCCESS, Listing, MessageAttemptOut, attempt_out
from ringback.store import AttemptFilter, Page, Store

_OK = {None: None, SUCCESS[0]: True, FAIL[0]: False}


class AttemptQuery(HistoryQuery):
    """Which attempts; ``expanded_statuses`` makes no difference to them."""

    status: Literal[0, 1, 2, 3, 4] | None = None
    status_code_class: Literal[0, 100, 200, 300, 400, 500] | None = None
    expanded_statuses: bool = False


class EndpointAttemptQuery(AttemptQuery):
    """Which attempts at an endpoint, and whether to show their messages."""

    with_msg: bool = False


class AttemptShownQuery(Query):
    """How to show an attempt; see ``AttemptQuery``."""

    expanded_statuses: bool = False


class MessageAttemptQuery(AttemptQuery):
    """Which attempts of a message."""

    endpoint_id: str | None = None


class Attempts:
    """What came of every try."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @operation("message-attempt.get", {200: MessageAttemptOut}, query=AttemptShownQuery)
    async def on_get(self, req: Request, resp: Response, app: str, msg: str, att: str) -> None:
        """Show an attempt."""
        parse(req, AttemptShownQuery)

        def look_up(store: Store) -> Attempt:
            owner = store.application(app).id
            return store.attempt(owner, store.message(owner, msg).id, att)

        reply(resp, attempt_out(await self._outbox.read(look_up)))

    @operation(
        "message-attempt.list-by-endpoint", {200: Listing[MessageAttemptOut]}, query=EndpointAttemptQuery
    )
    async def on_get_of_endpoint(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """List an endpoint's attempts, newest first."""
        query = parse(req, EndpointAttemptQuery)
        page = page_of(query, ids.ATTEMPT, descending=True)
        where = _filter(query)
        rows = [] if where is None else await search.attempts(self._outbox.read, app, ep, where, page)
        named = {row.message_id for row in rows} if query.with_msg else set()

        def look_up(store: Store) -> dict[str, Message]:
            owner = store.application(app).id
            store.endpoint(owner, ep)
            return {message.id: message for message in store.messages_named(owner, named)}

        _list(resp, query, page, rows, await self._outbox.read(look_up) if named or where is None else {})

    @operation("message-attempt.list-by-msg", {200: Listing[MessageAttemptOut]}, query=MessageAttemptQuery)
    async def on_get_of_message(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """List a message's attempts, newest first."""
        query = parse(req, MessageAttemptQuery)
        page = page_of(query, ids.ATTEMPT, descending=True)

        await self._list_of_message(resp, query, page, (app, msg, query.endpoint_id))

    @operation(
        "message-attempt.list-by-msg-deprecated",
        {200: Listing[MessageAttemptOut]},
        query=MessageAttemptQuery,
        deprecated=True,
    )
    async def on_get_formerly_of_message(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """List a message's attempts, at an address of older clients."""
        await self.on_get_of_message(req, resp, app, msg)

    @operation(
        "message-attempt.list-by-endpoint-deprecated",
        {200: Listing[MessageAttemptOut]},
        query=AttemptQuery,
        deprecated=True,
    )
    async def on_get_of_delivery(self, req: Request, resp: Response, app: str, msg: str, ep: str) -> None:
        """List a message's attempts at one endpoint, newest first."""
        query = parse(req, AttemptQuery)
        page = page_of(query, ids.ATTEMPT, descending=True)
        await self._list_of_message(resp, query, page, (app, msg, ep))

    @operation("message-attempt.expunge-content", {204: None})
    async def on_delete_content(self, req: Request, resp: Response, app: str, msg: str, att: str) -> None:
        """Forget what the receiver answered."""
        parse(req, Query)
        await self._outbox.archive.expunge_attempt(app, msg, att)
        resp.status = HTTP_204

    async def _list_of_message(
        self, resp: Response, query: AttemptQuery, page: Page, place: tuple[str, str, str | None]
    ) -> None:
        where, (app, msg, ep) = _filter(query), place

        def look_up(store: Store) -> list[Attempt]:
            owner = store.application(app).id
            message_id = store.message(owner, msg).id
            endpoint_id = None if ep is None else store.endpoint(owner, ep).id
            if where is None:
                return []
            meant = msgspec.structs.replace(where, message_id=message_id, endpoint_id=endpoint_id)
            return store.attempts(owner, meant, page)

        _list(resp, query, page, await self._outbox.read(look_up))


def _list(
    resp: Response,
    query: AttemptQuery,
    page: Page,
    rows: Sequence[Attempt],
    messages: Mapping[str, Message] = MappingProxyType({}),
) -> None:
    def show(row: Attempt) -> MessageAttemptOut:
        return attempt_out(row, messages.get(row.message_id), with_content=query.with_content)

    reply(resp, listing(rows, page, show, lambda row: row.id))


def _filter(query: AttemptQuery) -> AttemptFilter | None:
    if query.status not in _OK:
        return None  # an attempt on record has ended: none is pending, sending or cancelled
    return AttemptFilter(
        before=optional_instant(query.before),
        after=optional_instant(query.after),
        ok=_OK[query.status],
        status_class=query.status_code_class,
        event_types=query.event_types,
        channel=query.channel,
        tag=query.tag,
    )
