"""Messages: publishing them, and where each stands at its endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec
from falcon import HTTP_202, HTTP_204
from falcon.asgi import Response

from ringback import ids, search
from ringback.access import Right
from ringback.changes import event_type_for
from ringback.drafts import ApplicationDraft, ExampleDraft, MessageDraft
from ringback.errors import Conflict, InProgress, InvalidInput, MissingPayload, NoExample
from ringback.examples import PING, PING_PAYLOAD, example_payload
from ringback.message_request import MessageRequest
from ringback.model import Delivery, Endpoint, Message, Standing
from ringback.outbox import Outbox
from ringback.publication import of_each
from ringback.server.api.validation import PublishQuery, check_draft, check_drafts
from ringback.server.bodies import UNKNOWN, Bodies, decode_json, decode_known
from ringback.server.operation import operation
from ringback.server.paging import (
    ContentQuery,
    HistoryQuery,
    PageQuery,
    Query,
    listing,
    optional_instant,
    page_of,
    parse,
)
from ringback.server.replies import encode, reply
from ringback.server.unknown import Request
from ringback.server.wire import (
    FAIL,
    STATUSES,
    CancelOut,
    DestinationListing,
    EmptyResponse,
    EndpointMessageOut,
    Listing,
    MessageOut,
    Rows,
    SkippedOut,
    destination_out,
    endpoint_message_out,
    message_out,
)
from ringback.store import MessageFilter, Page, Store

MAX_BATCH = 100

DRAFT = msgspec.json.Decoder(MessageDraft)
REQUEST = msgspec.json.Decoder(MessageRequest)
EXAMPLE = msgspec.json.Decoder(ExampleDraft)
PLAINLY = PublishQuery()


class BatchIn(msgspec.Struct, forbid_unknown_fields=True):
    """Several messages to publish."""

    messages: tuple[MessageRequest, ...]


class DestinationQuery(PageQuery):
    """Which part of a message's deliveries, and whether the caller knows the status "canceled"."""

    expanded_statuses: bool = False


class EndpointMessageQuery(HistoryQuery):
    """Which messages of an endpoint; ``expanded_statuses`` as in ``DestinationQuery``."""

    status: Literal[0, 1, 2, 3, 4] | None = None
    expanded_statuses: bool = False


BATCH = msgspec.json.Decoder(BatchIn)


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a request to publish asks for: a message, perhaps its application; and the fields left out of it."""

    draft: MessageDraft
    application: ApplicationDraft | None = None
    ignored: tuple[str, ...] = ()


def decode_message(
    body: bytes, decoder: msgspec.json.Decoder[MessageRequest], *, strict: Callable[[], bool]
) -> Asked:
    """Decode a request to publish; *decoder* knows all that can be asked for.

    Raises:
        InvalidInput: It is not of the shape expected.
    """
    try:
        return Asked(decode_json(body, DRAFT))
    except InvalidInput as error:
        if error.fields[0].type != UNKNOWN:
            raise
    # Most requests end above: what few say is looked for only in those that say more.
    request, ignored = decode_known(body, decoder, strict=strict)
    request = _checked(request)
    return Asked(request, request.application, ignored)


def _checked(request: MessageRequest) -> MessageRequest:
    resolved = request.resolved()
    resolved.check()
    return resolved


class Messages:
    """What was published."""

    def __init__(self, outbox: Outbox, bodies: Bodies) -> None:
        self._outbox = outbox
        self._bodies = bodies

    @operation(
        "message.create",
        {202: MessageOut},
        query=PublishQuery,
        body=REQUEST,
        keyed=True,
        raises=(Conflict, InProgress),
    )
    async def on_post_all(self, req: Request, resp: Response, app: str) -> None:
        """Publish a message; the answer means it is durable."""
        # The hot path: nothing that is not needed, not even headers against keeping what no cache keeps.
        query = parse(req, PublishQuery) if req.query_string else PLAINLY
        asked = decode_message(await self._bodies.text(req), REQUEST, strict=req.refuses_unknown)
        if asked.ignored:
            req.ignore(asked.ignored)
        if query.validate:
            await check_draft(self._outbox, asked.draft)
        if asked.application is not None and Right.OPERATE in req.context.caller.principal.rights:
            await self._outbox.ensure_application(app, asked.application)
        key = req.get_header("idempotency-key")
        accepted = await self._outbox.publish_draft(app, asked.draft, key)
        resp.status = HTTP_202
        resp.data = encode(message_out(accepted.message, with_content=query.with_content))

    @operation(
        "message.create-batch",
        {202: Rows[MessageOut]},
        query=PublishQuery,
        body=BATCH,
        keyed=True,
        raises=(Conflict, InProgress),
    )
    async def on_post_batch(self, req: Request, resp: Response, app: str) -> None:
        """Publish up to a hundred messages, all checked before any is stored."""
        query = parse(req, PublishQuery)
        asked = (await self._bodies.decode(req, BATCH)).messages
        if not 1 <= len(asked) <= MAX_BATCH:
            raise InvalidInput.at("body", "messages", msg=f"has 1 to {MAX_BATCH} entries")
        batch = of_each(asked, _checked)
        created = next((one.application for one in batch if one.application is not None), None)
        if created is not None and Right.OPERATE in req.context.caller.principal.rights:
            await self._outbox.ensure_application(app, created)
        if query.validate:
            await check_drafts(self._outbox, batch)
        pending = self._outbox.publish_batch(app, batch, req.get_header("idempotency-key"))
        outcomes = await asyncio.gather(*pending, return_exceptions=True)
        messages = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            messages.append(message_out(outcome.message, with_content=query.with_content))
        reply(resp, Rows(data=messages), HTTP_202)

    @operation(
        "endpoint.send-example",
        {200: MessageOut},
        body=EXAMPLE,
        keyed=True,
        raises=(Conflict, InProgress, NoExample),
    )
    async def on_post_example(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Send an example of an event type to one endpoint."""
        parse(req, Query)
        asked = await self._bodies.decode(req, EXAMPLE)
        asked.check()
        draft = MessageDraft(event_type=asked.event_type, payload=await self._example(req, asked))
        key = req.get_header("idempotency-key")
        accepted = await self._outbox.publish_example(app, ep, draft, key)
        reply(resp, message_out(accepted.message))

    async def _example(self, req: Request, asked: ExampleDraft) -> msgspec.Raw:
        if asked.payload is not None:
            return msgspec.Raw(encode(asked.payload))
        if asked.event_type == PING:
            return msgspec.Raw(PING_PAYLOAD)
        flags = req.context.principal.feature_flags
        event_type = await self._outbox.read(lambda store: event_type_for(store, asked.event_type, flags))
        return msgspec.Raw(example_payload(event_type, asked.example_index or 0))

    @operation("message.list", {200: Listing[MessageOut]}, query=HistoryQuery)
    async def on_get_all(self, req: Request, resp: Response, app: str) -> None:
        """List messages, newest first."""
        query = parse(req, HistoryQuery)
        page = page_of(query, ids.MESSAGE, descending=True)
        where = _filter(query)
        rows = await search.messages(self._outbox.read, app, where, page)
        reply(
            resp,
            listing(
                rows,
                page,
                lambda row: message_out(row, with_content=query.with_content),
                lambda row: row.id,
            ),
        )

    # Where only Ringback itself publishes, there is an address to look at and none to publish at.
    on_get_published = on_get_all

    @operation("message.get", {200: MessageOut}, query=ContentQuery)
    async def on_get(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """Show a message, by its id or event id."""
        query = parse(req, ContentQuery)
        message = await self._outbox.read(lambda store: store.message(store.application(app).id, msg))
        reply(resp, message_out(message, with_content=query.with_content))

    @operation("message.get-batch", {200: MessageOut}, query=ContentQuery)
    async def on_get_batch(self, req: Request, resp: Response, app: str) -> None:
        """Show the message whose event id is "batch", which the address of batches would hide."""
        await self.on_get(req, resp, app, "batch")

    @operation("message.cancel", {200: CancelOut})
    async def on_post_cancel(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """Cancel what waits to be delivered of a message, such as one that is for later."""
        parse(req, Query)
        reply(resp, CancelOut(canceled=await self._outbox.archive.cancel_message(app, msg)))

    @operation("message.expunge-content", {204: None})
    async def on_delete_content(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """Forget a message's payload."""
        parse(req, Query)
        await self._outbox.archive.expunge_message(app, msg)
        resp.status = HTTP_204

    @operation(
        "message-attempt.list-attempted-messages",
        {200: Listing[EndpointMessageOut]},
        query=EndpointMessageQuery,
    )
    async def on_get_of_endpoint(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """List the messages that an endpoint gets or got, newest first."""
        query = parse(req, EndpointMessageQuery)
        page = page_of(query, ids.MESSAGE, descending=True)
        rows = await search.addressed(
            self._outbox.read, app, ep, _filter(query), page, standings=_standings(query)
        )

        def show(row: tuple[Delivery, Message]) -> EndpointMessageOut:
            return endpoint_message_out(
                *row, expanded=query.expanded_statuses, with_content=query.with_content
            )

        reply(resp, listing(rows, page, show, lambda row: row[1].id))

    @operation(
        "message-attempt.list-attempted-destinations", {200: DestinationListing}, query=DestinationQuery
    )
    async def on_get_destinations(self, req: Request, resp: Response, app: str, msg: str) -> None:
        """Tell where a message stands at each endpoint, and why it was not for others."""
        query = parse(req, DestinationQuery)
        page = page_of(query, ids.ENDPOINT, descending=False)
        message, rows = await self._outbox.read(lambda store: _destinations(store, app, msg, page))
        shown = listing(
            rows,
            page,
            lambda row: destination_out(*row, expanded=query.expanded_statuses),
            lambda row: row[1].id,
        )
        skipped = [SkippedOut(endpoint_id=key, reason=why) for key, why in message.skipped.items()]
        reply(resp, DestinationListing(**msgspec.structs.asdict(shown), skipped=skipped))

    @operation("message-attempt.resend", {202: EmptyResponse}, keyed=True, raises=(Conflict, MissingPayload))
    async def on_post_resend(self, req: Request, resp: Response, app: str, msg: str, ep: str) -> None:
        """Deliver a message to an endpoint again."""
        parse(req, Query)
        await self._outbox.resend(app, msg, ep, idempotency_key=req.get_header("idempotency-key"))
        reply(resp, EmptyResponse(), HTTP_202)


def _filter(query: HistoryQuery) -> MessageFilter:
    return MessageFilter(
        before=optional_instant(query.before),
        after=optional_instant(query.after),
        event_types=query.event_types,
        channel=query.channel,
        tag=query.tag,
    )


def _standings(query: EndpointMessageQuery) -> tuple[Standing, ...] | None:
    """Return what a status means: one who does not know "canceled" is told that those failed."""
    if query.status is None:
        return None
    meant = [standing for standing, (number, _) in STATUSES.items() if number == query.status]
    if query.status == FAIL[0] and not query.expanded_statuses:
        meant.append(Standing.CANCELLED)
    return tuple(meant)


def _destinations(
    store: Store, app: str, msg: str, page: Page
) -> tuple[Message, list[tuple[Delivery, Endpoint]]]:
    owner = store.application(app).id
    message = store.message(owner, msg)
    return message, store.deliveries(owner, message.id, page)
