"""API tokens: who may use the API. An addition of Ringback's own, in the style of the wire format."""

from __future__ import annotations

from datetime import datetime

import msgspec
from falcon import HTTP_201, HTTP_204
from falcon.asgi import Response

from ringback import ids
from ringback.access import Scope
from ringback.api_keys import ApiKeyDraft, ApiKeys
from ringback.errors import NotFound
from ringback.model import Instant
from ringback.observe import Deed
from ringback.server.audit import Audit
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import PageQuery, Query, listing, optional_instant, page_of, parse
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import Listing, Shape, moment
from ringback.store import Token


class ApiTokenIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A token to make: what it may do, in which application, and until when."""

    name: str
    scopes: tuple[Scope, ...] = (Scope.ADMIN,)
    app_id: str | None = None
    expires_at: datetime | None = None


class ApiTokenCensoredOut(Shape):
    """A token, but for its text."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    app_id: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class ApiTokenOut(ApiTokenCensoredOut):
    """A new token, with its text."""

    token: str


TOKEN = msgspec.json.Decoder(ApiTokenIn)


class ApiTokens:
    """Tokens of programs."""

    def __init__(self, keys: ApiKeys, bodies: Bodies, audit: Audit) -> None:
        self._keys = keys
        self._bodies = bodies
        self._audit = audit

    @operation("api-token.list", {200: Listing[ApiTokenCensoredOut]}, query=PageQuery)
    async def on_get_all(self, req: Request, resp: Response) -> None:
        """List tokens, newest first, without their texts."""
        page = page_of(parse(req, PageQuery), ids.TOKEN, descending=True)
        rows = await self._keys.read(lambda store: store.tokens(page))
        reply(resp, listing(rows, page, _censored, lambda row: row.id))

    @operation("api-token.create", {201: ApiTokenOut}, body=TOKEN, raises=(NotFound,))
    async def on_post_all(self, req: Request, resp: Response) -> None:
        """Make a token. Its text is told only now."""
        parse(req, Query)
        body = await self._bodies.decode(req, TOKEN)
        draft = ApiKeyDraft(
            name=body.name,
            scopes=tuple(dict.fromkeys(body.scopes)),
            application=body.app_id,
            expires_at=optional_instant(body.expires_at),
        )
        token, text = await self._keys.create(draft)
        self._audit.of_key(req.context.caller, Deed.KEY_MADE, token.id, token.application_id)
        shown = msgspec.structs.asdict(_censored(token))
        reply(resp, ApiTokenOut(**shown, token=text), HTTP_201)

    @operation("api-token.delete", {204: None})
    async def on_delete(self, req: Request, resp: Response, token: str) -> None:
        """Revoke a token. It stops working within five seconds."""
        parse(req, Query)
        await self._keys.remove(token)
        self._audit.of_key(req.context.caller, Deed.KEY_REVOKED, token)
        resp.status = HTTP_204


def _censored(token: Token) -> ApiTokenCensoredOut:
    return ApiTokenCensoredOut(
        id=token.id,
        name=token.name,
        scopes=token.scopes,
        app_id=token.application_id,
        created_at=moment(token.created_at),
        expires_at=_moment(token.expires_at),
        last_used_at=_moment(token.last_used_at),
    )


def _moment(instant: Instant | None) -> datetime | None:
    return None if instant is None else moment(instant)
