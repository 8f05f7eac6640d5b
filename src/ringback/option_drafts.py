"""How an endpoint may be asked to be sent to: what credentials and transformations must obey before they are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from ringback.client_certificate import checked_authorities, checked_identity
from ringback.credentials import AuthMethod, Authorization, Basic, Bearer, OAuth
from ringback.drafts import Draft, Problems, caught
from ringback.errors import FieldError, InvalidInput
from ringback.model import Instant
from ringback.target import MAX_HEADER_VALUE, parse_target
from ringback.transforming import check_code

MAX_SECRET = 1_024
MAX_TOKEN = MAX_HEADER_VALUE - len("Bearer ")
MAX_SCOPES = 50
MAX_EXTRA_PARAMS = 20
MAX_VARIABLES = 50
MAX_VALUE = 1_024

_TOKEN = re.compile(r"[!-~]+")
_SCOPE = re.compile(r"[!#-\[\]-~]{1,256}")  # RFC 6749, 3.3
_PARAM = re.compile(r"[!-~]{1,256}")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,255}")  # what JMESPath takes without quotes
_OWN_PARAMS = frozenset({"grant_type", "client_id", "client_secret", "scope"})


class AuthDraft(Draft):
    """A name and password (``basic``), or a token (``bearer``), to send with every request."""

    kind: Literal["basic", "bearer"]
    username: str | None = None
    password: str | None = None
    token: str | None = None

    def _problems(self) -> Problems:
        basic = self.kind == "basic"
        for field, value, wanted in (
            ("username", self.username, basic),
            ("password", self.password, basic),
            ("token", self.token, not basic),
        ):
            if wanted != (value is not None):
                yield FieldError(
                    ("body", field), f"is {'needed' if wanted else 'not'} for the kind {self.kind}"
                )
        if self.username is not None and ":" in self.username:
            yield FieldError(("body", "username"), "has no colon, which ends it (RFC 7617)")
        for field, value in (("username", self.username), ("password", self.password)):
            yield from _secret_problems(field, value, shortest=0)
        if self.token is not None and (len(self.token) > MAX_TOKEN or not _TOKEN.fullmatch(self.token)):
            yield FieldError(("body", "token"), f"is 1 to {MAX_TOKEN:,} characters of ASCII without spaces")

    def authorization(self) -> Authorization:
        """Return what is kept."""
        if self.kind == "bearer":
            return Bearer(token=self.token or "")
        return Basic(username=self.username or "", password=self.password or "")


class OAuthDraft(Draft):
    """A client of an OAuth2 server, which asks that for tokens (RFC 6749, 4.4)."""

    client_id: str
    client_secret: str
    token_url: str
    grant_type: Literal["clientCredentials"] = "clientCredentials"
    auth_method: AuthMethod = AuthMethod.CLIENT_SECRET_BASIC
    scopes: tuple[str, ...] | None = None
    extra_params: dict[str, str] | None = None

    def _problems(self) -> Problems:
        yield from _secret_problems("clientId", self.client_id, shortest=1)
        yield from _secret_problems("clientSecret", self.client_secret, shortest=1)
        yield from self._url_problems()
        scopes, params = self.scopes or (), self.extra_params or {}
        if len(scopes) > MAX_SCOPES:
            yield FieldError(("body", "scopes"), f"has at most {MAX_SCOPES} entries")
        for index, scope in enumerate(scopes):
            if not _SCOPE.fullmatch(scope):
                yield FieldError(
                    ("body", "scopes", index), "is one word of ASCII without quotes and backslashes"
                )
        if len(params) > MAX_EXTRA_PARAMS:
            yield FieldError(("body", "extraParams"), f"has at most {MAX_EXTRA_PARAMS} entries")
        for name, value in params.items():
            if name in _OWN_PARAMS or not _PARAM.fullmatch(name):
                yield FieldError(
                    ("body", "extraParams", name), "is a word of its own, which no other field stands for"
                )
            if len(value) > MAX_VALUE:
                yield FieldError(("body", "extraParams", name), f"has at most {MAX_VALUE:,} characters")

    def _url_problems(self) -> Problems:
        try:
            target = parse_target(self.token_url)
        except InvalidInput as error:
            yield FieldError(("body", "tokenUrl"), error.fields[0].msg)
            return
        if target.credentials:
            yield FieldError(("body", "tokenUrl"), "has no name and password in it, since it is shown")

    def authorization(self) -> Authorization:
        """Return what is kept."""
        return OAuth(
            token_url=self.token_url,
            client_id=self.client_id,
            client_secret=self.client_secret,
            auth_method=self.auth_method,
            scopes=self.scopes or (),
            extra_params=self.extra_params or {},
        )


class CertificateDraft(Draft):
    """A private key and its certificates, as PEM, to show in TLS; and whom to trust there instead of the usual."""

    identity: str
    server_ca_cert: str | None = None


def checked_certificate(fields: Mapping[str, str | None], now: Instant) -> dict[str, str | None]:
    """Return those *fields* of a ``CertificateDraft`` that are given, as they are kept.

    It may take a third of a second, so no event loop should wait for it.

    Raises:
        InvalidInput: No receiver would take it at *now*, or it cannot be read.
    """
    checked: dict[str, str | None] = {}
    identity, authorities = fields.get("identity"), fields.get("server_ca_cert")
    if identity is not None:
        checked["identity"] = checked_identity(identity, now)
    if "server_ca_cert" in fields:
        checked["server_ca"] = None if authorities is None else checked_authorities(authorities)
    return checked


class TransformationDraft(Draft):
    """An expression in JMESPath, and values that it may use by name."""

    code: str | None = None
    enabled: bool | None = False
    variables: dict[str, str] | None = None

    def _problems(self) -> Problems:
        if self.code is not None:
            yield from caught(check_code, self.code)
        if self.enabled and self.code is None:
            yield FieldError(("body", "enabled"), "needs code to be enabled")
        variables = self.variables or {}
        if len(variables) > MAX_VARIABLES:
            yield FieldError(("body", "variables"), f"has at most {MAX_VARIABLES} entries")
        for name, value in variables.items():
            if not _VARIABLE.fullmatch(name):
                yield FieldError(
                    ("body", "variables", name), "is called with letters, digits and underscores"
                )
            if len(value) > MAX_VALUE:
                yield FieldError(("body", "variables", name), f"has at most {MAX_VALUE:,} characters")


def _secret_problems(field: str, text: str | None, *, shortest: int) -> Problems:
    if text is None:
        return
    if not shortest <= len(text) <= MAX_SECRET:
        yield FieldError(
            ("body", field), f"has {shortest} to {MAX_SECRET:,} characters, this one {len(text)}"
        )
    if not text.isprintable():
        yield FieldError(("body", field), "holds a control character")
