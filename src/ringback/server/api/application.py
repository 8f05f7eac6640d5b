"""Applications."""

from __future__ import annotations

import msgspec
from falcon import HTTP_204
from falcon.asgi import Response

from ringback import ids
from ringback.drafts import ApplicationDraft
from ringback.errors import Conflict
from ringback.outbox import Outbox
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import OrderedQuery, Query, descending, listing, page_of, parse
from ringback.server.replies import created, reply
from ringback.server.unknown import Request
from ringback.server.wire import ApplicationOut, Listing, application_out, given, partial
from ringback.store import ApplicationFilter

DRAFT = msgspec.json.Decoder(ApplicationDraft)
PATCH = msgspec.json.Decoder(partial(ApplicationDraft, "ApplicationPatch"))


class ApplicationQuery(OrderedQuery):
    """Which part of the list, and what to leave out: applications without endpoints, or with none but disabled ones.

    Svix Play is not here, so there is nothing that the last would leave out.
    """

    exclude_apps_with_no_endpoints: bool = False
    exclude_apps_with_disabled_endpoints: bool = False
    exclude_apps_with_svix_play_endpoints: bool = False


class CreateQuery(Query):
    """Whether an existing application of that uid will do."""

    get_if_exists: bool = False


class Applications:
    """Tenants: the owners of endpoints and messages."""

    def __init__(self, outbox: Outbox, bodies: Bodies) -> None:
        self._outbox = outbox
        self._bodies = bodies

    @operation("application.list", {200: Listing[ApplicationOut]}, query=ApplicationQuery)
    async def on_get_all(self, req: Request, resp: Response) -> None:
        """List applications, oldest first unless asked otherwise."""
        query = parse(req, ApplicationQuery)
        where = ApplicationFilter(
            with_endpoints=query.exclude_apps_with_no_endpoints,
            without_idle=query.exclude_apps_with_disabled_endpoints,
        )
        page = page_of(query, ids.APPLICATION, descending=descending(query, default=False))
        rows = await self._outbox.read(lambda store: store.applications(page, where))
        reply(resp, listing(rows, page, application_out, lambda row: row.id))

    @operation(
        "application.create",
        {200: ApplicationOut, 201: ApplicationOut},
        query=CreateQuery,
        body=DRAFT,
        keyed=True,
        raises=(Conflict,),
    )
    async def on_post_all(self, req: Request, resp: Response) -> None:
        """Create an application, or find the one that has its uid."""
        query = parse(req, CreateQuery)
        draft = await self._bodies.decode(req, DRAFT)
        application, new = await self._outbox.create_application(
            draft, reuse=query.get_if_exists, idempotency_key=req.get_header("idempotency-key")
        )
        reply(resp, application_out(application), created(new=new))

    @operation("application.get", {200: ApplicationOut})
    async def on_get(self, req: Request, resp: Response, app: str) -> None:
        """Show an application."""
        parse(req, Query)
        reply(resp, application_out(await self._outbox.read(lambda store: store.application(app))))

    @operation(
        "application.update", {200: ApplicationOut, 201: ApplicationOut}, body=DRAFT, raises=(Conflict,)
    )
    async def on_put(self, req: Request, resp: Response, app: str) -> None:
        """Replace an application, or create it with the uid of the path."""
        parse(req, Query)
        draft = await self._bodies.decode(req, DRAFT)
        application, new = await self._outbox.put_application(app, draft)
        reply(resp, application_out(application), created(new=new))

    @operation("application.patch", {200: ApplicationOut}, body=PATCH, raises=(Conflict,))
    async def on_patch(self, req: Request, resp: Response, app: str) -> None:
        """Change the fields given."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, PATCH))
        reply(resp, application_out(await self._outbox.change_application(app, changes)))

    @operation("application.delete", {204: None})
    async def on_delete(self, req: Request, resp: Response, app: str) -> None:
        """Delete an application."""
        parse(req, Query)
        await self._outbox.remove_application(app)
        resp.status = HTTP_204
