"""Shared tokens: the sender shows that it knows a secret and signs nothing.

Nothing protects the body or stops a replay: whoever sees one request can make any other. HTTPS, a
de-duplication that lasts and asking the provider before value is delivered make up for it.
"""

from __future__ import annotations

import base64
import functools
import hmac
from collections.abc import Sequence

import msgspec

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.model import Instant
from ringback.signing import keys
from ringback.signing.contract import Request, Verified, header, to_bytes
from ringback.signing.keys import SecretForm

BASIC = "Basic "


class SharedToken(msgspec.Struct, frozen=True, kw_only=True):
    """The secret itself in a header, after a prefix; ``id_header`` carries the event's id, unprotected."""

    header: str
    prefix: str = ""
    id_header: str | None = None

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:  # noqa: ARG002 - a token has no time
        """Compare the header with every secret; see ``Scheme.verify``."""
        tokens = _tokens(tuple(secrets))
        text = header(request, self.header)
        if not text.startswith(self.prefix):
            raise SignatureInvalid("signature_malformed", f"{self.header} does not start with {self.prefix}")
        index = _matching(tokens, to_bytes(text.removeprefix(self.prefix)))
        event_id = request.headers.get(self.id_header) if self.id_header else None
        return Verified(event_id=event_id or None, event_type=None, sent_at=None, key=index)

    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - as verify
        """Add the token, and the id where the scheme carries one; see ``Scheme.sign``."""
        added = {self.header: self.prefix + keys.signing_key(secrets, _token).decode()}
        added |= {self.id_header: event_id} if self.id_header else {}
        return request.with_headers(added)


class BasicAuthentication(msgspec.Struct, frozen=True):
    """HTTP Basic (RFC 7617); a secret is ``user:password``."""

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:  # noqa: ARG002 - as above
        """Compare the credentials with every secret; see ``Scheme.verify``."""
        pairs = keys.usable(secrets, _credentials)
        text = header(request, "authorization")
        if text[: len(BASIC)].lower() != BASIC.lower():
            raise SignatureInvalid("signature_malformed", "the authorization header is not of the kind Basic")
        try:
            given = base64.b64decode(text[len(BASIC) :].strip().encode("ascii"), validate=True)
        except ValueError:
            raise SignatureInvalid("signature_malformed", "the credentials are not base64") from None
        return Verified(event_id=None, event_type=None, sent_at=None, key=_matching(pairs, given))

    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - as above
        """Add the credentials; see ``Scheme.sign``."""
        credentials = base64.b64encode(keys.signing_key(secrets, _credentials)).decode()
        return request.with_headers({"authorization": BASIC + credentials})


def _matching(tokens: Sequence[tuple[int, bytes]], given: bytes) -> int:
    # Every token is compared, whichever fits, so the time tells nothing.
    found = -1
    for index, token in tokens:
        if hmac.compare_digest(token, given) and found < 0:
            found = index
    if found < 0:
        raise SignatureInvalid("token_mismatch", "the token is none of those configured")
    return found


@functools.lru_cache(maxsize=keys.SECRETS_KEPT)
def _tokens(secrets: tuple[str, ...]) -> list[tuple[int, bytes]]:
    return keys.usable(secrets, _token)


def _token(secret: str) -> bytes:
    return keys.symmetric_key(secret, SecretForm.TEXT)


def _credentials(secret: str) -> bytes:
    if ":" not in secret:
        raise InvalidInput.at("secret", msg="a secret for Basic is user:password")
    return _token(secret)
