"""Letting an application's own people in: tokens for its portal, and their end.

The server that the wire format is from gives signed tokens, which nothing can end. These are kept, so that logging out
and ending them all work. Capabilities and how long a token may last are as the Svix clients describe them.
"""

from __future__ import annotations

import contextlib
from typing import Annotated

import msgspec
from falcon import HTTP_204
from falcon.asgi import Response

from ringback.api_keys import Visit
from ringback.drafts import ApplicationDraft
from ringback.errors import Forbidden, NotFound
from ringback.outbox import Outbox
from ringback.server.audit import Audit
from ringback.server.auth import Tokens
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import Query, parse
from ringback.server.portal_access import HOUR, WEEK, Capability, Flags, link_to_portal, scopes_of
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import Shape
from ringback.sessions import Grant, Sessions

MAX_SESSIONS = 100

Session = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class AppPortalAccessIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Who is let in: what they may do, for how many seconds; and the application, if it may not be there yet."""

    application: ApplicationDraft | None = None
    feature_flags: Flags | None = None
    capabilities: tuple[Capability, ...] | None = None
    read_only: bool | None = None
    expiry: Annotated[int, msgspec.Meta(ge=HOUR, le=WEEK)] | None = None
    session_id: Session | None = None


class ApplicationTokenExpireIn(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which tokens end, and in how many seconds; all of them and at once, unless it says otherwise."""

    expiry: Annotated[int, msgspec.Meta(ge=0, le=WEEK)] | None = None
    session_ids: Annotated[tuple[Session, ...], msgspec.Meta(max_length=MAX_SESSIONS)] | None = None


class AppPortalAccessOut(Shape):
    """The way in: a link to the portal, good for one use, and a token for the API."""

    url: str
    token: str


ACCESS = msgspec.json.Decoder(AppPortalAccessIn)
EXPIRY = msgspec.json.Decoder(ApplicationTokenExpireIn)


class Authentication:
    """Tokens for an application's own people.

    Args:
        outbox: Creates an application that is not there yet.
        tokens: Whom they let in.
        sessions: Makes links to the portal.
        bodies: Reads requests.
        audit: Tells who let whom in.
        public_url: Where this server is reached; None to take the address of each request.
    """

    def __init__(
        self,
        outbox: Outbox,
        tokens: Tokens,
        sessions: Sessions,
        bodies: Bodies,
        *,
        audit: Audit,
        public_url: str | None,
    ) -> None:
        self._outbox = outbox
        self._tokens = tokens
        self._sessions = sessions
        self._bodies = bodies
        self._audit = audit
        self._public_url = public_url

    @operation("authentication.app-portal-access", {200: AppPortalAccessOut}, body=ACCESS, without_body=True)
    async def on_post_portal(self, req: Request, resp: Response, app: str) -> None:
        """Make a link to an application's portal, for one use, and a token that may do the same by API."""
        parse(req, Query)
        body = await self._bodies.decode_optional(req, ACCESS, AppPortalAccessIn())
        if body.application is not None:
            await self._outbox.ensure_application(app, body.application)
        reply(resp, await self._admitted(req, app, body))

    @operation("authentication.dashboard-access", {200: AppPortalAccessOut}, deprecated=True)
    async def on_post_dashboard(self, req: Request, resp: Response, app: str) -> None:
        """Make a token for an application's portal, as app-portal-access does."""
        parse(req, Query)
        reply(resp, await self._admitted(req, app, AppPortalAccessIn()))

    @operation("authentication.expire-all", {204: None}, body=EXPIRY, without_body=True)
    async def on_post_expire(self, req: Request, resp: Response, app: str) -> None:
        """End the tokens of an application's portal. They stop working within five seconds of that."""
        parse(req, Query)
        body = await self._bodies.decode_optional(req, EXPIRY, ApplicationTokenExpireIn())
        owner = await self._outbox.read(lambda store: store.application(app).id)
        await self._tokens.keys.expire(owner, body.session_ids or None, (body.expiry or 0) * 1000)
        self._audit.of_portal_end(req.context.caller, owner)
        resp.status = HTTP_204

    @operation("authentication.logout", {204: None}, raises=(Forbidden,))
    async def on_post_logout(self, req: Request, resp: Response) -> None:
        """End the token that this is asked with: one for a portal. It stops working within five seconds."""
        parse(req, Query)
        visit = req.context.caller.visit
        if visit is None:
            raise Forbidden(
                "only the tokens that app-portal-access makes can log out; revoke others by their ids"
            )
        with contextlib.suppress(NotFound):  # it may have been ended in the meantime
            await self._tokens.keys.remove(visit)
        self._tokens.forget(visit)
        resp.status = HTTP_204

    async def _admitted(self, req: Request, app: str, body: AppPortalAccessIn) -> AppPortalAccessOut:
        visit = Visit(
            scopes=scopes_of(body.capabilities, read_only=bool(body.read_only)),
            feature_flags=tuple(dict.fromkeys(body.feature_flags or ())),
            session=body.session_id or "",
            lifetime=(body.expiry or WEEK) * 1000,
        )
        token = await self._tokens.keys.admit(app, visit)
        owner = await self._outbox.read(lambda store: store.application(app).id)
        grant = Grant(
            scopes=visit.scopes,
            origin=visit.session,
            application_id=owner,
            feature_flags=visit.feature_flags,
        )
        code = await self._sessions.link(grant, visit.lifetime)
        self._audit.of_portal(req.context.caller, owner)
        # Not the token: what is in an address is logged on the way, and this is worth nothing after its first use.
        return AppPortalAccessOut(url=f"{self._public_url or req.prefix}{link_to_portal(code)}", token=token)
