"""How endpoints are sent to: what requests show of who sends them, what they carry, and dry runs of both."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from falcon import HTTP_204
from falcon.asgi import Response

from ringback.credentials import ClientCertificate
from ringback.delivery_options import authorization_of, certificate_of, oauth_of
from ringback.errors import Conflict
from ringback.model import Endpoint
from ringback.observe import Deed
from ringback.option_drafts import (
    AuthDraft,
    CertificateDraft,
    OAuthDraft,
    TransformationDraft,
    checked_certificate,
)
from ringback.outbox import Outbox, system_clock
from ringback.rehearsal import DryRunDraft, SimulationDraft, rehearse, simulate
from ringback.server.audit import Audit
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.option_wire import (
    AuthOut,
    CertificateOut,
    DryRunOut,
    OAuthOut,
    SimulationOut,
    TransformationOut,
    auth_out,
    certificate_out,
    dry_run_out,
    oauth_out,
    simulation_out,
    transformation_out,
)
from ringback.server.paging import Query, parse
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import given, partial
from ringback.store import Store

AUTH = msgspec.json.Decoder(AuthDraft)
AUTH_PATCH = msgspec.json.Decoder(partial(AuthDraft, "AuthPatch"))
OAUTH = msgspec.json.Decoder(OAuthDraft)
OAUTH_PATCH = msgspec.json.Decoder(partial(OAuthDraft, "OAuthPatch"))
MTLS = msgspec.json.Decoder(CertificateDraft)
MTLS_PATCH = msgspec.json.Decoder(partial(CertificateDraft, "CertificatePatch"))
TRANSFORMATION = msgspec.json.Decoder(partial(TransformationDraft, "TransformationPatch"))
SIMULATION = msgspec.json.Decoder(SimulationDraft)
DRY_RUN = msgspec.json.Decoder(DryRunDraft)


class EndpointOptions:
    """Credentials, certificates and transformations of endpoints, whoever owns them."""

    def __init__(self, outbox: Outbox, bodies: Bodies, audit: Audit) -> None:
        self._outbox = outbox
        self._bodies = bodies
        self._audit = audit

    # --- A name and a password, or a token ----------------------------------------------------------------

    @operation("endpoint.get-auth", {200: AuthOut})
    async def on_get_auth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Show what kind of authorization requests carry."""
        parse(req, Query)
        reply(resp, auth_out(authorization_of(await self._endpoint(app, ep))))

    @operation("endpoint.update-auth", {204: None}, body=AUTH, raises=(Conflict,))
    async def on_put_auth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have requests carry a name and a password, or a token, in place of any other authorization."""
        parse(req, Query)
        draft = await self._bodies.decode(req, AUTH)
        endpoint = await self._outbox.options.authorize(app, ep, draft)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_CHANGED, endpoint)
        resp.status = HTTP_204

    @operation("endpoint.patch-auth", {204: None}, body=AUTH_PATCH, raises=(Conflict,))
    async def on_patch_auth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Change the fields given of a name and password, or a token."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, AUTH_PATCH))
        endpoint = await self._outbox.options.change_authorization(app, ep, changes)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_CHANGED, endpoint)
        resp.status = HTTP_204

    @operation("endpoint.delete-auth", {204: None}, raises=(Conflict,))
    async def on_delete_auth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have requests carry no authorization of any kind."""
        parse(req, Query)
        endpoint = await self._outbox.options.withdraw_authorization(app, ep)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_REMOVED, endpoint)
        resp.status = HTTP_204

    # --- OAuth2 -------------------------------------------------------------------------------------------

    @operation("endpoint.get-oauth-config", {200: OAuthOut})
    async def on_get_oauth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Show the OAuth2 client, without its secret."""
        parse(req, Query)
        reply(resp, oauth_out(oauth_of(await self._endpoint(app, ep))))

    @operation("endpoint.update-oauth-config", {204: None}, body=OAUTH, raises=(Conflict,))
    async def on_put_oauth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have requests carry a token of an OAuth2 server, in place of any other authorization."""
        parse(req, Query)
        draft = await self._bodies.decode(req, OAUTH)
        endpoint = await self._outbox.options.authorize(app, ep, draft)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_CHANGED, endpoint)
        resp.status = HTTP_204

    @operation("endpoint.patch-oauth-config", {204: None}, body=OAUTH_PATCH, raises=(Conflict,))
    async def on_patch_oauth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Change the fields given of the OAuth2 client; its secret stays unless it is given."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, OAUTH_PATCH))
        endpoint = await self._outbox.options.change_oauth(app, ep, changes)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_CHANGED, endpoint)
        resp.status = HTTP_204

    @operation("endpoint.delete-oauth-config", {204: None}, raises=(Conflict,))
    async def on_delete_oauth(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have requests carry no token of an OAuth2 server; other authorization stays."""
        parse(req, Query)
        endpoint = await self._outbox.options.withdraw_authorization(app, ep, oauth=True)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_REMOVED, endpoint)
        resp.status = HTTP_204

    # --- Client certificates ------------------------------------------------------------------------------

    @operation("endpoint.get-mtls-config", {200: CertificateOut})
    async def on_get_mtls(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Show the client certificate and when it ends, without its key."""
        parse(req, Query)
        reply(resp, certificate_out(certificate_of(await self._endpoint(app, ep))))

    @operation("endpoint.update-mtls-config", {204: None}, body=MTLS, raises=(Conflict,))
    async def on_put_mtls(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have requests show a client certificate in TLS."""
        parse(req, Query)
        body = await self._bodies.decode(req, MTLS)
        checked = await self._checked(app, ep, msgspec.structs.asdict(body))
        endpoint = await self._outbox.options.certify(app, ep, msgspec.convert(checked, ClientCertificate))
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_CHANGED, endpoint)
        resp.status = HTTP_204

    @operation("endpoint.patch-mtls-config", {204: None}, body=MTLS_PATCH, raises=(Conflict,))
    async def on_patch_mtls(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Change the fields given of the client certificate; its key stays unless it is given."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, MTLS_PATCH))
        checked = await self._checked(app, ep, changes)
        endpoint = await self._outbox.options.change_certificate(app, ep, checked)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_CHANGED, endpoint)
        resp.status = HTTP_204

    @operation("endpoint.delete-mtls-config", {204: None}, raises=(Conflict,))
    async def on_delete_mtls(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Have requests show no client certificate."""
        parse(req, Query)
        endpoint = await self._outbox.options.withdraw_certificate(app, ep)
        self._audit.of_secret(req.context.caller, Deed.CREDENTIALS_REMOVED, endpoint)
        resp.status = HTTP_204

    # --- Transformations ----------------------------------------------------------------------------------

    @operation("endpoint.get-transformation", {200: TransformationOut})
    async def on_get_transformation(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Show the transformation."""
        parse(req, Query)
        reply(resp, transformation_out((await self._endpoint(app, ep)).transformation))

    @operation("endpoint.patch-transformation", {204: None}, body=TRANSFORMATION, raises=(Conflict,))
    async def on_patch_transformation(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Set or change the transformation: an expression in JMESPath, whose result is sent in place of payloads."""
        parse(req, Query)
        changes = given(await self._bodies.decode(req, TRANSFORMATION))
        await self._outbox.options.change_transformation(app, ep, changes)
        resp.status = HTTP_204

    @operation("endpoint.simulate-transformation", {200: SimulationOut}, body=SIMULATION)
    async def on_post_simulate(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Say what an expression would make of a message. Nothing is sent or changed."""
        parse(req, Query)
        draft = await self._bodies.decode(req, SIMULATION)
        reply(resp, simulation_out(simulate(await self._endpoint(app, ep), draft, system_clock())))

    @operation("endpoint.dry-run", {200: DryRunOut}, body=DRY_RUN)
    async def on_post_dry_run(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Say whether the endpoint would get a message, why not, and what would be sent. Nothing is."""
        parse(req, Query)
        draft = await self._bodies.decode(req, DRY_RUN)
        reply(resp, dry_run_out(rehearse(await self._endpoint(app, ep), draft, system_clock())))

    async def _checked(self, app: str, ep: str, fields: dict[str, Any]) -> dict[str, str | None]:
        # What is not there is told before what is wrong, and before anything costly.
        await self._endpoint(app, ep)
        return await asyncio.to_thread(checked_certificate, fields, system_clock())

    async def _endpoint(self, app: str, ep: str) -> Endpoint:
        def query(store: Store) -> Endpoint:
            return store.endpoint(store.application(app).id, ep)

        return await self._outbox.read(query)
