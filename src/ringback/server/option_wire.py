"""What the API answers about how endpoints are sent to: nothing that is secret in it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ringback.client_certificate import shown as shown_of
from ringback.credentials import AuthMethod, Authorization, Basic, Bearer, ClientCertificate, OAuth
from ringback.model import Transformation
from ringback.rehearsal import Letter, Rehearsal, Simulation
from ringback.secrecy import masked_url
from ringback.server.wire import Shape, moment


class AuthOut(Shape):
    """What an endpoint's requests carry in ``Authorization``, without what is secret; Ringback's own."""

    kind: Literal["basic", "bearer", "oauth2"]
    username: str | None


class OAuthOut(Shape):
    """An endpoint's OAuth2 client, without its secret."""

    token_url: str
    client_id: str
    grant_type: str
    auth_method: AuthMethod
    scopes: tuple[str, ...]
    extra_params: dict[str, str]


class CertificateOut(Shape):
    """An endpoint's client certificate, without its key; ``subject`` and what follows are Ringback's own."""

    server_ca_cert: str | None
    subject: str
    fingerprint: str
    not_after: datetime


class TransformationOut(Shape):
    """An endpoint's transformation."""

    code: str | None
    enabled: bool
    variables: dict[str, str]
    updated_at: datetime | None


class SimulationOut(Shape):
    """What an expression makes of a message; ``canceled`` is Ringback's own."""

    method: str
    url: str
    payload: str
    canceled: bool


class LetterOut(Shape):
    """A request as it would be sent, with what is secret masked; Ringback's own."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


class DryRunOut(Shape):
    """What would become of a message; Ringback's own."""

    delivered: bool
    reason: str | None
    detail: str | None
    request: LetterOut | None


def auth_out(held: Authorization) -> AuthOut:
    """Show an authorization."""
    if isinstance(held, Basic):
        return AuthOut(kind="basic", username=held.username)
    return AuthOut(kind="bearer" if isinstance(held, Bearer) else "oauth2", username=None)


def oauth_out(held: OAuth) -> OAuthOut:
    """Show an OAuth2 client."""
    return OAuthOut(
        token_url=held.token_url,
        client_id=held.client_id,
        grant_type="clientCredentials",
        auth_method=held.auth_method,
        scopes=held.scopes,
        extra_params=held.extra_params,
    )


def certificate_out(held: ClientCertificate) -> CertificateOut:
    """Show a client certificate."""
    told = shown_of(held.identity)
    return CertificateOut(
        server_ca_cert=held.server_ca,
        subject=told.subject,
        fingerprint=told.fingerprint,
        not_after=moment(told.not_after),
    )


def transformation_out(held: Transformation | None) -> TransformationOut:
    """Show a transformation; where there is none, as one that does nothing."""
    shown = held or Transformation()
    return TransformationOut(
        code=shown.code,
        enabled=shown.enabled,
        variables=shown.variables,
        updated_at=None if shown.updated_at is None else moment(shown.updated_at),
    )


def simulation_out(made: Simulation) -> SimulationOut:
    """Show what an expression made."""
    payload = "null" if made.payload is None else made.payload.decode()
    return SimulationOut(
        method="POST", url=masked_url(made.url), payload=payload, canceled=made.payload is None
    )


def dry_run_out(made: Rehearsal) -> DryRunOut:
    """Show what would become of a message."""
    request = None if made.letter is None else _letter_out(made.letter)
    return DryRunOut(delivered=made.delivered, reason=made.reason, detail=made.why, request=request)


def _letter_out(letter: Letter) -> LetterOut:
    return LetterOut(method=letter.method, url=letter.url, headers=letter.headers, body=letter.body.decode())
