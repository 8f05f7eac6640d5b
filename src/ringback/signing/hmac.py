"""The HMAC family: one value describes how a sender signs with a shared secret (RFC 2104) in a header.

Most providers differ only in the parameters: the hash, hex or base64, the header, what is signed, and whether
the header is the signature alone (GitHub, Shopify) or a list of named parts (Stripe, Paddle).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from ringback.errors import SignatureInvalid
from ringback.model import Duration, Instant
from ringback.signing import keys, template
from ringback.signing.contract import (
    MAX_SIGNATURES,
    Request,
    TimeUnit,
    Verified,
    asked_to_sign,
    check_fresh,
    header,
    mismatch,
    read_instant,
    to_bytes,
    write_instant,
)
from ringback.signing.keys import SecretForm


class Algorithm(StrEnum):
    """The hash below the HMAC. MD5 and SHA-1 are there for senders that offer nothing better."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class Encoding(StrEnum):
    """How a signature is written."""

    HEX = "hex"
    BASE64 = "base64"
    BASE64URL = "base64url"


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The layout of a header that is a list of named parts, such as ``t=1700000000,v1=5257a8…``.

    ``separator`` stands between the parts, ``timestamp`` and ``signatures`` name them. Parts are found by
    name, in any order; those of other names are passed over.
    """

    separator: str = ","
    timestamp: str = "t"
    signatures: tuple[str, ...] = ("v1",)


class Hmac(msgspec.Struct, frozen=True, kw_only=True):
    """HMAC over a template, in a header.

    Attributes:
        header: The header with the signature, in lower case.
        algorithm: The hash.
        encoding: How the signature is written.
        template: What is signed; see ``ringback.signing.template``.
        prefix: What stands before the signature in a header that is not a list of parts.
        separator: What stands between several signatures in such a header; empty where there is only one.
        parts: The layout of a header that is a list of named parts.
        timestamp_header: The header with the timestamp, where it is not one of the parts.
        timestamp_unit: How the timestamp is written.
        id_header: The header with the event's id, where there is one.
        tolerance: How far the timestamp may be from now, in milliseconds and either direction; None for any.
        secret_form: How the secret's text becomes the key.
    """

    header: str
    algorithm: Algorithm = Algorithm.SHA256
    encoding: Encoding = Encoding.HEX
    template: str = "{body}"
    prefix: str = ""
    separator: str = ""
    parts: Parts | None = None
    timestamp_header: str | None = None
    timestamp_unit: TimeUnit = TimeUnit.SECONDS
    id_header: str | None = None
    tolerance: Duration | None = None
    secret_form: SecretForm = SecretForm.TEXT

    def __post_init__(self) -> None:
        template.check(self.template)

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check the signature header; see ``Scheme.verify``."""
        usable = keys.usable(secrets, self._key)
        timestamp, candidates = self._presented(request)
        sent_at = None
        if timestamp is not None:
            sent_at = read_instant(timestamp, self.timestamp_unit)
            check_fresh(sent_at, now, self.tolerance)
        event_id = request.headers.get(self.id_header) if self.id_header else None
        signed = template.render(self.template, request, timestamp or "", event_id or "")
        for index, key in usable:
            expected = written(hmac.digest(key, signed, self.algorithm.value), self.encoding)
            if any_equal(expected, candidates):
                return Verified(event_id=event_id, event_type=None, sent_at=sent_at, key=index)
        check_form(candidates, self.algorithm, self.encoding)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:
        """Add the signature header, and those with the timestamp and the id; see ``Scheme.sign``."""
        timestamp = write_instant(now, self.timestamp_unit)
        added = {self.timestamp_header: timestamp} if self.timestamp_header else {}
        added |= {self.id_header: event_id} if self.id_header else {}
        request = request.with_headers(added)
        keys.signing_key(secrets, self._key)
        signed = template.render(self.template, request, timestamp, event_id)
        signatures = [
            written(hmac.digest(self._key(secret), signed, self.algorithm.value), self.encoding).decode()
            for secret in secrets
        ]
        return request.with_headers({self.header: self._header_text(timestamp, signatures)})

    def _key(self, secret: str) -> bytes:
        return keys.symmetric_key(secret, self.secret_form)

    def _presented(self, request: Request) -> tuple[str | None, list[bytes]]:
        text = header(request, self.header)
        if self.parts is not None:
            return _read_parts(text, self.parts)
        timestamp = header(request, self.timestamp_header) if self.timestamp_header else None
        if not text.startswith(self.prefix):
            raise SignatureInvalid("signature_malformed", f"{self.header} does not start with {self.prefix}")
        text = text.removeprefix(self.prefix)
        several = text.split(self.separator) if self.separator else [text]
        return timestamp, [to_bytes(one.strip()) for one in several[:MAX_SIGNATURES]]

    def _header_text(self, timestamp: str, signatures: Sequence[str]) -> str:
        if self.parts is None:
            return self.prefix + (self.separator.join(signatures) if self.separator else signatures[0])
        first, *others = self.parts.signatures
        written_parts = [f"{self.parts.timestamp}={timestamp}"]
        written_parts += [f"{first}={signature}" for signature in signatures]
        written_parts += [f"{name}=" for name in others]
        return self.parts.separator.join(written_parts)


def written(digest: bytes, encoding: Encoding) -> bytes:
    """Write a signature's bytes as text."""
    if encoding is Encoding.HEX:
        return binascii.hexlify(digest)
    if encoding is Encoding.BASE64:
        return base64.b64encode(digest)
    return base64.urlsafe_b64encode(digest)


def any_equal(expected: bytes, candidates: Sequence[bytes]) -> bool:
    """Compare *expected* with every candidate, in a time that tells nothing about where they differ."""
    equal = False
    for candidate in candidates:
        equal |= hmac.compare_digest(expected, candidate)
    return equal


def check_form(candidates: Sequence[bytes], algorithm: Algorithm, encoding: Encoding) -> None:
    """Refuse as malformed what could not be a signature of this hash in this encoding."""
    size = hashlib.new(algorithm.value, usedforsecurity=False).digest_size
    if not any(_is_encoded(candidate, size, encoding) for candidate in candidates):
        raise SignatureInvalid(
            "signature_malformed",
            f"the signature is not {size} bytes in {encoding.value}, as {algorithm} makes",
        )


def _read_parts(text: str, parts: Parts) -> tuple[str, list[bytes]]:
    timestamp = None
    candidates: list[bytes] = []
    for part in text.split(parts.separator):
        name, _, value = part.strip().partition("=")
        if name == parts.timestamp:
            timestamp = value
        elif name in parts.signatures and value and len(candidates) < MAX_SIGNATURES:
            candidates.append(to_bytes(value))
    if timestamp is None:
        raise SignatureInvalid("timestamp_missing", f"the signature header has no part {parts.timestamp}=")
    if not candidates:
        wanted = " or ".join(f"{name}=" for name in parts.signatures)
        raise SignatureInvalid("signature_malformed", f"the signature header has no part {wanted}")
    return timestamp, candidates


def _is_encoded(text: bytes, size: int, encoding: Encoding) -> bool:
    try:
        if encoding is Encoding.HEX:
            return len(binascii.unhexlify(text)) == size
        altchars = b"-_" if encoding is Encoding.BASE64URL else None
        return len(base64.b64decode(text, altchars=altchars, validate=True)) == size
    except binascii.Error:
        return False


def proof(secret: str, challenge: str) -> str:
    """Return HMAC-SHA256 of *challenge* in hex: what some senders ask for before they trust an address.

    Raises:
        InvalidInput: The secret cannot be a key.
    """
    key = keys.symmetric_key(secret, SecretForm.TEXT)
    return hmac.digest(key, to_bytes(challenge), "sha256").hex()


def same_text(one: str, other: str) -> bool:
    """Compare two texts in a time that tells nothing about where they differ."""
    return hmac.compare_digest(to_bytes(one), to_bytes(other))
