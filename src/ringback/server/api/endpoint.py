"""Endpoints: their settings, headers, secrets and recovery."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from falcon import HTTP_202, HTTP_204
from falcon.asgi import Response

from ringback import ids
from ringback.access import Right
from ringback.drafts import EndpointDraft, SecretRotation
from ringback.errors import Conflict, InvalidRange, LimitReached, NotFound
from ringback.model import Endpoint
from ringback.observe import Deed
from ringback.outbox import Outbox
from ringback.secrecy import SENSITIVE_HEADERS
from ringback.server.audit import Audit
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import OrderedQuery, Query, descending, listing, optional_instant, page_of, parse
from ringback.server.replies import created, reply
from ringback.server.unknown import Request
from ringback.server.wire import (
    EndpointAttemptStats,
    EndpointOut,
    EndpointStats,
    HeadersOut,
    Listing,
    RecoverOut,
    SecretOut,
    attempt_stats_out,
    endpoint_out,
    given,
    instant,
    partial,
    recover_out,
    stats_out,
)
from ringback.signing.standard import shown_key
from ringback.store import Store

# What Svix clients cannot send in a PUT, and so must not lose by one.
KEPT = frozenset({"headers", "retry_schedule", "header_family", "ordered"})

DRAFT = msgspec.json.Decoder(EndpointDraft)
UPDATE = msgspec.json.Decoder(partial(EndpointDraft, "EndpointUpdate", without={"secret"}, optional=KEPT))
PATCH = msgspec.json.Decoder(partial(EndpointDraft, "EndpointPatch", without={"secret"}))
ROTATION = msgspec.json.Decoder(SecretRotation)


class HeadersIn(msgspec.Struct, forbid_unknown_fields=True):
    """All of an endpoint's own headers."""

    headers: dict[str, str]


class HeadersPatch(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Headers to set, or with null to remove; and names of more to remove."""

    headers: dict[str, str | None] = {}
    delete_headers: tuple[str, ...] | None = None


class Recovery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The window of messages to recover; without an end it reaches to now."""

    since: datetime
    until: datetime | None = None


class StatsQuery(Query):
    """The window to count in."""

    since: datetime | None = None
    until: datetime | None = None


class AttemptStatsQuery(StatsQuery):
    """The window to count in, and the seconds of each step of it that is to be counted by itself."""

    step: int | None = None


HEADERS = msgspec.json.Decoder(HeadersIn)
HEADERS_PATCH = msgspec.json.Decoder(HeadersPatch)
RECOVERY = msgspec.json.Decoder(Recovery)


class Endpoints:
    """Places that messages are delivered to."""

    kind: type[EndpointDraft] = EndpointDraft
    kept = KEPT
    draft: msgspec.json.Decoder[Any] = DRAFT
    update: msgspec.json.Decoder[Any] = UPDATE
    patch: msgspec.json.Decoder[Any] = PATCH

    def __init__(self, outbox: Outbox, bodies: Bodies, audit: Audit) -> None:
        self._outbox = outbox
        self._bodies = bodies
        self._audit = audit

    @operation("endpoint.list", {200: Listing[EndpointOut]}, query=OrderedQuery)
    async def on_get_all(self, req: Request, resp: Response, app: str) -> None:
        """List endpoints, newest first unless asked otherwise."""
        query = parse(req, OrderedQuery)
        page = page_of(query, ids.ENDPOINT, descending=descending(query, default=True))
        rows = await self._outbox.read(lambda store: store.endpoints(store.application(app).id, page))
        reply(resp, listing(rows, page, _shown_to(req), lambda row: row.id))

    @operation(
        "endpoint.create", {201: EndpointOut}, body="draft", keyed=True, raises=(Conflict, LimitReached)
    )
    async def on_post_all(self, req: Request, resp: Response, app: str) -> None:
        """Create an endpoint."""
        parse(req, Query)
        draft = await self._bodies.decode(req, self.draft)
        key = req.get_header("idempotency-key")
        flags = req.context.principal.feature_flags
        endpoint = await self._outbox.create_endpoint(app, draft, idempotency_key=key, flags=flags)
        self._audit.of_forward(req.context.caller, Deed.FORWARD_MADE, endpoint)
        reply(resp, _shown_to(req)(endpoint), created(new=True))

    @operation("endpoint.get", {200: EndpointOut})
    async def on_get(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Show an endpoint."""
        parse(req, Query)
        reply(resp, _shown_to(req)(await self._endpoint(app, ep)))

    @operation(
        "endpoint.update",
        {200: EndpointOut, 201: EndpointOut},
        body="update",
        raises=(Conflict, LimitReached),
    )
    async def on_put(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Replace an endpoint, or create it with the uid of the path."""
        parse(req, Query)
        fields = given(await self._bodies.decode(req, self.update))
        endpoint, new = await self._outbox.put_endpoint(
            app,
            ep,
            self.kind(**fields),
            keep=self.kept.difference(fields),
            flags=req.context.principal.feature_flags,
        )
        deed = Deed.FORWARD_MADE if new else Deed.FORWARD_CHANGED
        self._audit.of_forward(req.context.caller, deed, endpoint)
        reply(resp, _shown_to(req)(endpoint), created(new=new))

    @operation("endpoint.patch", {200: EndpointOut}, body="patch", raises=(Conflict,))
    async def on_patch(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Change the fields given."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, self.patch))
        flags = req.context.principal.feature_flags
        endpoint = await self._outbox.change_endpoint(app, ep, changes, flags)
        self._audit.of_forward(req.context.caller, Deed.FORWARD_CHANGED, endpoint)
        reply(resp, _shown_to(req)(endpoint))

    @operation("endpoint.delete", {204: None}, raises=(Conflict,))
    async def on_delete(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Delete an endpoint."""
        parse(req, Query)
        await self._outbox.remove_endpoint(app, ep)
        resp.status = HTTP_204

    @operation("endpoint.pause", {200: EndpointOut}, raises=(Conflict,))
    async def on_post_pause(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have deliveries wait."""
        parse(req, Query)
        reply(resp, _shown_to(req)(await self._outbox.pause_endpoint(app, ep)))

    @operation("endpoint.resume", {200: EndpointOut}, raises=(Conflict,))
    async def on_post_resume(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have deliveries flow again."""
        parse(req, Query)
        reply(resp, _shown_to(req)(await self._outbox.resume_endpoint(app, ep)))

    @operation(
        "endpoint.recover", {202: RecoverOut}, body=RECOVERY, keyed=True, raises=(Conflict, InvalidRange)
    )
    async def on_post_recover(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Deliver again what failed in a window of time."""
        parse(req, Query)
        window = await self._bodies.decode(req, RECOVERY)
        since, until = instant(window.since), optional_instant(window.until)
        key = req.get_header("idempotency-key")
        task = await self._outbox.recover(app, ep, since, until, idempotency_key=key)
        reply(resp, recover_out(task), HTTP_202)

    @operation("endpoint.get-stats", {200: EndpointStats}, query=StatsQuery, raises=(InvalidRange,))
    async def on_get_stats(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Count how the endpoint fared, by default in the last 28 days."""
        window = parse(req, StatsQuery)
        since, until = optional_instant(window.since), optional_instant(window.until)
        reply(resp, stats_out(await self._outbox.archive.tally(app, ep, since, until)))

    @operation(
        "endpoint.get-attempt-stats",
        {200: EndpointAttemptStats},
        query=AttemptStatsQuery,
        raises=(InvalidRange,),
    )
    async def on_get_attempt_stats(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Count attempts at the endpoint, by default in the last 28 days; with a step, also step by step."""
        query = parse(req, AttemptStatsQuery)
        since, until = optional_instant(query.since), optional_instant(query.until)
        step = None if query.step is None else query.step * 1000
        spells = await self._outbox.archive.attempts(app, ep, since, until, step)
        reply(resp, attempt_stats_out(spells, stepwise=step is not None))

    @operation("endpoint.get-secret", {200: SecretOut})
    async def on_get_secret(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Show the key that verifies signatures."""
        parse(req, Query)
        endpoint = await self._endpoint(app, ep)
        shown = _secret_out(endpoint)
        self._audit.of_secret(req.context.caller, Deed.SECRET_SHOWN, endpoint)
        reply(resp, shown)

    @operation(
        "endpoint.rotate-secret",
        {200: SecretOut},
        body=ROTATION,
        without_body=True,
        keyed=True,
        raises=(Conflict, LimitReached),
    )
    async def on_post_rotate(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Make a new secret current, and show its key."""
        parse(req, Query)
        rotation = await self._bodies.decode_optional(req, ROTATION, SecretRotation())
        key = req.get_header("idempotency-key")
        endpoint = await self._outbox.rotate_secret(app, ep, rotation, idempotency_key=key)
        self._audit.of_secret(req.context.caller, Deed.SECRET_ROTATED, endpoint)
        reply(resp, _secret_out(endpoint))

    @operation("endpoint.get-headers", {200: HeadersOut})
    async def on_get_headers(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Show the endpoint's own headers, without the values of sensitive ones."""
        parse(req, Query)
        reply(resp, _headers_out(await self._endpoint(app, ep)))

    @operation("endpoint.update-headers", {204: None}, body=HEADERS, raises=(Conflict,))
    async def on_put_headers(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Replace all of the endpoint's own headers."""
        parse(req, Query)
        body = await self._bodies.decode(req, HEADERS)
        await self._outbox.change_endpoint(app, ep, {"headers": body.headers})
        resp.status = HTTP_204

    @operation("endpoint.patch-headers", {204: None}, body=HEADERS_PATCH, raises=(Conflict,))
    async def on_patch_headers(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Set or remove some of the endpoint's own headers."""
        parse(req, Query)
        body = await self._bodies.decode(req, HEADERS_PATCH)
        await self._outbox.change_headers(app, ep, dict.fromkeys(body.delete_headers or ()) | body.headers)
        resp.status = HTTP_204

    async def _endpoint(self, app: str, ep: str) -> Endpoint:
        def query(store: Store) -> Endpoint:
            return store.endpoint(store.application(app).id, ep)

        return await self._outbox.read(query)


def _shown_to(req: Request) -> Callable[[Endpoint], EndpointOut]:
    """Return how endpoints are shown to whoever asks: whole to those who may change them."""
    whole = Right.MANAGE_ENDPOINTS in req.context.principal.rights
    return functools.partial(endpoint_out, whole=whole)


def _secret_out(endpoint: Endpoint) -> SecretOut:
    if endpoint.handler is not None:
        raise NotFound("this endpoint is a handler, for which nothing is signed")
    return SecretOut(key=shown_key(endpoint.secrets[0].key))


def _headers_out(endpoint: Endpoint) -> HeadersOut:
    shown = {name: value for name, value in endpoint.headers.items() if name.lower() not in SENSITIVE_HEADERS}
    return HeadersOut(headers=shown, sensitive=sorted(endpoint.headers.keys() - shown.keys()))
