"""How requests to an endpoint show who sends them, beside being signed.

What an endpoint's owner has given is kept sealed, as signing keys are, and never shown again.
"""

from __future__ import annotations

import base64
import enum
from urllib.parse import quote_plus

import msgspec


class Basic(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="basic"):
    """A name and a password (RFC 7617)."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Basic(username={self.username!r})"

    @property
    def header(self) -> str:
        """The value of the header ``Authorization``."""
        return basic(self.username, self.password)


class Bearer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="bearer"):
    """A token that does not change (RFC 6750)."""

    token: str

    def __repr__(self) -> str:
        return "Bearer()"

    @property
    def header(self) -> str:
        """The value of the header ``Authorization``."""
        return f"Bearer {self.token}"


class AuthMethod(enum.StrEnum):
    """How a client shows its secret to a token endpoint (RFC 6749, 2.3.1)."""

    CLIENT_SECRET_BASIC = "clientSecretBasic"  # noqa: S105 - a word for: in a header
    CLIENT_SECRET_POST = "clientSecretPost"  # noqa: S105 - a word for: in the body


class OAuth(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="oauth2"):
    """A client that asks *token_url* for tokens in its own name (RFC 6749, 4.4).

    ``extra_params`` are sent along when it asks, such as ``audience``.
    """

    token_url: str
    client_id: str
    client_secret: str
    auth_method: AuthMethod = AuthMethod.CLIENT_SECRET_BASIC
    scopes: tuple[str, ...] = ()
    extra_params: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"OAuth(client_id={self.client_id!r})"

    @property
    def header(self) -> str | None:
        """The header that shows the secret to the token endpoint, None where the body does."""
        if self.auth_method is AuthMethod.CLIENT_SECRET_POST:
            return None
        # RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
        return basic(quote_plus(self.client_id), quote_plus(self.client_secret))

    @property
    def form(self) -> bytes:
        """The body of a request for a token."""
        fields = {"grant_type": "client_credentials", **self.extra_params}
        if self.scopes:
            fields["scope"] = " ".join(self.scopes)
        if self.auth_method is AuthMethod.CLIENT_SECRET_POST:
            fields |= {"client_id": self.client_id, "client_secret": self.client_secret}
        return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields.items()).encode()


Authorization = Basic | Bearer | OAuth


class ClientCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown in TLS: a private key and its certificates, as PEM.

    With *server_ca*, certificates as PEM, nobody else is trusted to vouch for the receiver.
    """

    identity: str
    server_ca: str | None = None

    def __repr__(self) -> str:
        return "ClientCertificate()"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """All that an endpoint's requests show: one authorization, one certificate, or both."""

    authorization: Authorization | None = None
    certificate: ClientCertificate | None = None


NO_CREDENTIALS = Credentials()


def basic(username: str, password: str) -> str:
    """Return the header of a name and a password, in UTF-8 (RFC 7617, 2.1)."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
