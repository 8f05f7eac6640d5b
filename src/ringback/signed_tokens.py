"""Signed tokens: JSON Web Tokens as servers of the Svix API make and take them, known by their signature alone.

The token of an organisation may do everything: its ``sub`` is the organisation. That of an application names the
organisation in ``org`` and the application in ``sub``, and may do what a portal does. Nothing is kept of them, so they
cannot be revoked one by one.

Sources: RFC 7515 (JWS), RFC 7518 (HS256, section 3.2), RFC 7519 (JWT) and RFC 8725 (one algorithm, said by us and not
by the token). The claims are those of the Svix server. It is not known to check ``iss`` or ``aud``: neither is checked
here. A token without ``exp`` does not expire.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from ringback import ids
from ringback.access import ADMINISTRATOR, RIGHTS, Principal, Scope
from ringback.model import Duration, Instant

ALGORITHM = "HS256"
ISSUER = "ringback"
# The organisation that a Svix server makes tokens for when it is told no other.
DEFAULT_ORGANISATION = "org_23rb8YdGqMT0qIzpgGwdXfHirMu"
LEEWAY = 60_000  # clocks of different machines
MAX_LENGTH = 8192
PARTS = 3  # RFC 7515, section 3.1
FAR = 2**40  # seconds; later than any clock shows

Part = TypeVar("Part")


class _Head(msgspec.Struct, frozen=True):
    alg: str
    # An extension that must be understood (RFC 7515, section 4.1.11): none is.
    crit: Any = None


class _Claims(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    sub: str
    org: str | None = None
    iss: str | None = None
    iat: int | float | None = None
    nbf: int | float | None = None
    exp: int | float | None = None
    feature_flags: tuple[str, ...] | None = None


class Signed(msgspec.Struct, frozen=True):
    """Whom a token speaks for, and until when (None: for ever)."""

    principal: Principal
    until: Instant | None


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Makes and reads the tokens of one organisation.

    Args:
        secrets: The first one signs; tokens that the others signed are good, too.
        organisation: Whose tokens; another's are refused.
    """

    secrets: tuple[str, ...]
    organisation: str = DEFAULT_ORGANISATION

    def read(self, token: str, now: Instant) -> Signed | None:
        """Return what a token says; None unless it is one of ours, and good now."""
        claims = _verified(token, self.secrets)
        if claims is None or not _in_time(claims, now):
            return None
        principal = self._principal(claims)
        until = None if claims.exp is None else round(min(claims.exp, FAR) * 1000) + LEEWAY
        return None if principal is None else Signed(principal, until)

    def make(self, now: Instant, lifetime: Duration, application_id: str | None = None) -> str:
        """Return a new token: the organisation's, or with *application_id* that application's."""
        claims = _Claims(
            iss=ISSUER,
            sub=application_id or self.organisation,
            org=None if application_id is None else self.organisation,
            iat=now // 1000,
            nbf=now // 1000,
            exp=(now + lifetime) // 1000,
        )
        parts = ({"alg": ALGORITHM, "typ": "JWT"}, claims)
        signed = ".".join(_written(msgspec.json.encode(part)) for part in parts)
        return f"{signed}.{_written(_signature(self.secrets[0], signed))}"

    def _principal(self, claims: _Claims) -> Principal | None:
        if claims.org is None:
            return ADMINISTRATOR if claims.sub == self.organisation else None
        if claims.org != self.organisation or not claims.sub.startswith(f"{ids.APPLICATION}_"):
            return None
        return Principal(
            rights=RIGHTS[Scope.PORTAL],
            application_id=claims.sub,
            feature_flags=frozenset(claims.feature_flags or ()),
        )


def is_signed(token: str) -> bool:
    """Tell whether a token has the form of a signed one."""
    return token.count(".") == PARTS - 1


def _verified(token: str, secrets: Sequence[str]) -> _Claims | None:
    if len(token) > MAX_LENGTH or not token.isascii() or not is_signed(token):
        return None
    signed, _, signature = token.rpartition(".")
    head, claims = signed.split(".")
    read = _decoded(head, _Head)
    if read is None or read.alg != ALGORITHM or read.crit is not None:
        return None
    given = _bytes(signature)
    # All are tried, so that the time taken does not tell which one it was.
    good = [hmac.compare_digest(given, _signature(secret, signed)) for secret in secrets]
    return _decoded(claims, _Claims) if any(good) else None


def _in_time(claims: _Claims, now: Instant) -> bool:
    begun = claims.nbf is None or claims.nbf * 1000 <= now + LEEWAY
    return begun and (claims.exp is None or now < claims.exp * 1000 + LEEWAY)


def _signature(secret: str, signed: str) -> bytes:
    return hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)


def _decoded(text: str, kind: type[Part]) -> Part | None:
    try:
        return msgspec.json.decode(_bytes(text), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
