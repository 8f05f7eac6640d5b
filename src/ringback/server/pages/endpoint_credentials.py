"""The page of an endpoint's credentials: what its requests show of who sends them. Secrets are written, never shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.client_certificate import MAX_PEM, shown
from ringback.credentials import (
    NO_CREDENTIALS,
    AuthMethod,
    Authorization,
    Basic,
    Bearer,
    ClientCertificate,
    OAuth,
)
from ringback.errors import InvalidInput, NotFound, RingbackError
from ringback.model import Application, Endpoint
from ringback.observe import Deed
from ringback.option_drafts import AuthDraft, OAuthDraft, checked_certificate
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.endpoints import receiver_of
from ringback.server.pages.forms import REFUSED, faults, fitting, pairs, status_of, written_pairs
from ringback.server.pages.page import Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways

BASIC, BEARER, OAUTH, CERTIFICATE = "basic", "bearer", "oauth2", "certificate"
KINDS: Mapping[type[Authorization], str] = {Basic: BASIC, Bearer: BEARER, OAuth: OAUTH}
# What is not secret, and so shown.
TEXTS = ("username", "tokenUrl", "clientId", "authMethod", "scopes", "extraParams")
METHODS = (
    (AuthMethod.CLIENT_SECRET_BASIC.value, "In a header (client_secret_basic)"),
    (AuthMethod.CLIENT_SECRET_POST.value, "In the form (client_secret_post)"),
)
# How many bytes of a page each of these may take; what takes more is not changed here.
MAX_SCOPES, MAX_PARAMS = 8_000, 8_000
AUTHORIZATION = "authorization"


class EndpointCredentials:
    """What an endpoint's requests show: an authorization, a client certificate, or both.

    Whoever changes or removes one is named in the log.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show what there is, without what is secret, and a form for each kind."""
        application, endpoint = await receiver_of(self._behind, visit)
        return self._page(visit, application, endpoint)

    async def change(self, visit: Visit) -> Page:
        """Have requests show what one of the forms says; a secret that is left empty stays."""
        application, endpoint = await receiver_of(self._behind, visit)
        kind = visit.form.get("kind")
        write = {
            BASIC: self._write_basic,
            BEARER: self._write_bearer,
            OAUTH: self._write_oauth,
            CERTIFICATE: self._write_certificate,
        }.get(kind)
        if write is None:
            raise NotFound("there is no such kind of credentials")
        try:
            changed = await write(visit, endpoint)
        except REFUSED as error:
            return self._page(visit, application, endpoint, kind=kind, error=error)
        self._behind.audit.of_secret(visit.who.caller, Deed.CREDENTIALS_CHANGED, changed)
        return see(visit, _way(visit, endpoint), Said("The requests show it from now on."))

    async def remove(self, visit: Visit) -> Page:
        """Have requests show one of the two no more, when that is confirmed."""
        _, endpoint = await receiver_of(self._behind, visit)
        what = visit.form.get("what")
        if what not in {AUTHORIZATION, CERTIFICATE}:
            raise NotFound("there is no such kind of credentials")
        if not visit.form.ticked("sure"):
            return confirm(visit, _whether_to_remove(visit, endpoint, what))
        options = self._behind.outbox.options
        withdraw = options.withdraw_authorization if what == AUTHORIZATION else options.withdraw_certificate
        changed = await withdraw(endpoint.application_id, endpoint.id)
        self._behind.audit.of_secret(visit.who.caller, Deed.CREDENTIALS_REMOVED, changed)
        return see(visit, _way(visit, endpoint), Said("It is removed: the requests show it no more."))

    async def _write_basic(self, visit: Visit, endpoint: Endpoint) -> Endpoint:
        options, form = self._behind.outbox.options, visit.form
        typed = {name: form.get(name) for name in ("username", "password")}
        if isinstance(_authorization(endpoint), Basic):
            changes = {"kind": BASIC} | {name: value for name, value in typed.items() if value}
            return await options.change_authorization(endpoint.application_id, endpoint.id, changes)
        # Some receivers know a name alone.
        draft = AuthDraft(kind="basic", username=typed["username"] or None, password=typed["password"])
        return await options.authorize(endpoint.application_id, endpoint.id, draft)

    async def _write_bearer(self, visit: Visit, endpoint: Endpoint) -> Endpoint:
        draft = AuthDraft(kind="bearer", token=visit.form.get("token") or None)
        return await self._behind.outbox.options.authorize(endpoint.application_id, endpoint.id, draft)

    async def _write_oauth(self, visit: Visit, endpoint: Endpoint) -> Endpoint:
        options, held = self._behind.outbox.options, _authorization(endpoint)
        before = held if isinstance(held, OAuth) else None
        typed, secret = _typed_client(visit, before), visit.form.get("clientSecret")
        if before is None:
            draft = OAuthDraft(client_secret=secret, **typed)
            return await options.authorize(endpoint.application_id, endpoint.id, draft)
        changes = typed | ({"client_secret": secret} if secret else {})
        return await options.change_oauth(endpoint.application_id, endpoint.id, changes)

    async def _write_certificate(self, visit: Visit, endpoint: Endpoint) -> Endpoint:
        options, held = self._behind.outbox.options, _certificate(endpoint)
        fields = _typed_certificate(visit)
        if held is None and "identity" not in fields:
            raise InvalidInput.at("identity", msg="is needed: a private key and its certificate")
        # It may take a while to check a key, so it keeps nobody else waiting.
        checked = await asyncio.to_thread(checked_certificate, fields, self._behind.clock())
        if held is None:
            certificate = msgspec.convert(checked, ClientCertificate)
            return await options.certify(endpoint.application_id, endpoint.id, certificate)
        return await options.change_certificate(endpoint.application_id, endpoint.id, checked)

    def _page(
        self,
        visit: Visit,
        application: Application,
        endpoint: Endpoint,
        *,
        kind: str = "",
        error: RingbackError | None = None,
    ) -> Page:
        held, certificate = _authorization(endpoint), _certificate(endpoint)
        given = {
            "place": Ways(visit).place_of(application.id),
            "application": application,
            "endpoint": endpoint,
            "held": None if held is None else KINDS[type(held)],
            "shown": _values(held),
            "values": _values(held) if error is None else _values(held) | _written(visit, kind),
            "open": kind or (None if held is None else KINDS[type(held)]),
            "certificate": None if certificate is None else shown(certificate.identity),
            "has_authorities": certificate is not None and certificate.server_ca is not None,
            "authorities": visit.form.typed("serverCaCert"),
            "methods": METHODS,
            "now": self._behind.clock(),
            "faults": {} if error is None else faults(error),
        }
        status = 200 if error is None else status_of(error)
        return page(visit, "endpoint_credentials.html", given, status=status)


def _authorization(endpoint: Endpoint) -> Authorization | None:
    return (endpoint.credentials or NO_CREDENTIALS).authorization


def _certificate(endpoint: Endpoint) -> ClientCertificate | None:
    return (endpoint.credentials or NO_CREDENTIALS).certificate


def _values(held: Authorization | None) -> dict[str, Any]:
    """Return what is shown of an authorization, nothing of it secret; None for what is too long for a form."""
    values: dict[str, Any] = dict.fromkeys(TEXTS, "")
    if isinstance(held, Basic):
        values["username"] = held.username
    if isinstance(held, OAuth):
        values |= {
            "tokenUrl": held.token_url,
            "clientId": held.client_id,
            "authMethod": held.auth_method.value,
            "scopes": fitting(" ".join(held.scopes), MAX_SCOPES),
            "extraParams": fitting(written_pairs(held.extra_params), MAX_PARAMS),
        }
    return values


def _written(visit: Visit, kind: str) -> dict[str, Any]:
    """Return what one of the forms said; what is secret is typed again."""
    names = {BASIC: TEXTS[:1], OAUTH: TEXTS[1:]}.get(kind, ())
    return {name: visit.form.typed(name) if visit.form.all(name) else None for name in names}


def _typed_client(visit: Visit, before: OAuth | None) -> dict[str, Any]:
    """Return what the form says of an OAuth2 client but for its secret; what it does not show is as it was *before*.

    Raises:
        InvalidInput: A line of it cannot be read.
    """
    form = visit.form
    scopes, params = ((), {}) if before is None else (before.scopes, before.extra_params)
    if form.all("scopes"):
        scopes = tuple(dict.fromkeys(form.get("scopes").split()))
    if form.all("extraParams"):
        params = pairs("extraParams", form.get("extraParams"), params)
    return {
        "token_url": form.get("tokenUrl"),
        "client_id": form.get("clientId"),
        "auth_method": _method(form.get("authMethod")),
        "scopes": scopes,
        "extra_params": params,
    }


def _method(text: str) -> AuthMethod:
    try:
        return AuthMethod(text or AuthMethod.CLIENT_SECRET_BASIC)
    except ValueError:
        raise InvalidInput.at("authMethod", msg="is none of those that there are") from None


def _typed_certificate(visit: Visit) -> dict[str, str | None]:
    """Return the fields of a ``CertificateDraft`` that are typed; None for authorities that are taken away."""
    form = visit.form
    identity, authorities = form.get("identity", MAX_PEM), form.get("serverCaCert", MAX_PEM)
    fields: dict[str, str | None] = {"identity": identity} if identity else {}
    if authorities:
        fields["server_ca_cert"] = authorities
    elif form.ticked("usual"):
        fields["server_ca_cert"] = None
    return fields


def _way(visit: Visit, endpoint: Endpoint) -> str:
    return f"{Ways(visit).endpoint(endpoint)}/credentials"


def _whether_to_remove(visit: Visit, endpoint: Endpoint, what: str) -> Question:
    name = "the authorization" if what == AUTHORIZATION else "the client certificate"
    return Question(
        title=f"Remove {name}",
        question=f"Have the requests to this endpoint show {name} no more?",
        points=(
            "A receiver that asks for it refuses what is sent from then on.",
            "What was kept of it is gone: to go back, it is typed again.",
        ),
        action=visit.link(f"{_way(visit, endpoint)}/remove"),
        button="Remove it",
        back=visit.link(_way(visit, endpoint)),
        tone="bad",
        hidden={"what": what, "sure": "yes"},
    )
