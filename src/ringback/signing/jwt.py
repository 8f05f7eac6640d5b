"""A JSON Web Token in a header that names the hash of the body: Plaid's scheme.

Sources: Plaid's "Webhook verification"; RFC 7515 (JWS) and RFC 7518 (ES256, section 3.4).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.model import Duration, Instant
from ringback.signing import keys
from ringback.signing.asymmetric import PublicAlgorithm, decoded, made, suited, verifies
from ringback.signing.contract import (
    FIVE_MINUTES,
    Request,
    Verified,
    asked_to_sign,
    check_fresh,
    header,
    mismatch,
    on_calendar,
    to_bytes,
)
from ringback.signing.hmac import Encoding, written
from ringback.signing.keys import PublicKey

ALGORITHM = "ES256"
Part = TypeVar("Part")


class _Head(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None
    typ: str | None = None


class _Claims(msgspec.Struct, frozen=True):
    iat: int
    request_body_sha256: str


class BodyHashToken(msgspec.Struct, frozen=True, kw_only=True):
    """An ES256 token whose claims are ``iat`` and ``request_body_sha256``, in *header*.

    A secret is the key the token's ``kid`` names, fetched by whoever configures it: a JWK (whose own ``kid``
    must then be the token's) or PEM; to sign, a private key in PEM.
    """

    header: str
    tolerance: Duration | None = FIVE_MINUTES

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check token, age and body; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _key_and_id)
        signed, head, claims, signature = _read(header(request, self.header))
        if head.alg != ALGORITHM:
            raise SignatureInvalid("algorithm_refused", f"the token is not signed with {ALGORITHM}")
        named = [(index, key) for index, (key, kid) in usable if kid is None or kid == head.kid]
        if not named:
            raise SignatureInvalid("key_unknown", "the token names a key that is not configured")
        index = next((i for i, key in named if _holds(key, signature, signed)), None)
        if index is None:
            raise mismatch()
        sent_at = on_calendar(claims.iat * 1000)
        check_fresh(sent_at, now, self.tolerance)
        actual = hashlib.sha256(request.body).hexdigest()
        if not hmac.compare_digest(to_bytes(claims.request_body_sha256), actual.encode()):
            raise SignatureInvalid("digest_mismatch", "the body is not the one the token speaks of")
        return Verified(event_id=None, event_type=None, sent_at=sent_at, key=index)

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - no id is carried
        """Add the token; see ``Scheme.sign``."""
        key = keys.signing_key(secrets, keys.private_key)
        claims = _Claims(iat=now // 1000, request_body_sha256=hashlib.sha256(request.body).hexdigest())
        parts = (_written(msgspec.json.encode(part)) for part in (_Head(alg=ALGORITHM, typ="JWT"), claims))
        signed = ".".join(parts)
        signature = made(key, PublicAlgorithm.ECDSA_SHA256_RAW, signed.encode())
        return request.with_headers({self.header: f"{signed}.{_written(signature)}"})


def _holds(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    return verifies(key, PublicAlgorithm.ECDSA_SHA256_RAW, signature, signed)


def _key_and_id(secret: str) -> tuple[PublicKey, str | None]:
    kid = None
    if secret.lstrip().startswith("{"):
        key = keys.jwk(secret)
        if key.alg not in {None, ALGORITHM}:
            raise InvalidInput.at("secret", msg=f"the JSON Web Key is not for {ALGORITHM}")
        kid = key.kid
    return suited(keys.public_key(secret), PublicAlgorithm.ECDSA_SHA256_RAW), kid


def _read(token: str) -> tuple[bytes, _Head, _Claims, bytes]:
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - RFC 7515, section 3.1
        raise _malformed("the token has not three parts")
    head = _decoded(parts[0], _Head)
    claims = _decoded(parts[1], _Claims)
    return to_bytes(f"{parts[0]}.{parts[1]}"), head, claims, _bytes(parts[2])


def _decoded(text: str, kind: type[Part]) -> Part:
    try:
        return msgspec.json.decode(_bytes(text), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _malformed("a part of the token is not the JSON it should be") from None


def _bytes(text: str) -> bytes:
    return decoded(text + "=" * (-len(text) % 4), Encoding.BASE64URL)


def _written(raw: bytes) -> str:
    return written(raw, Encoding.BASE64URL).decode().rstrip("=")


def _malformed(detail: str) -> SignatureInvalid:
    return SignatureInvalid("signature_malformed", detail)
