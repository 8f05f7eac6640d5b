"""Standard Webhooks signatures: ``v1`` (HMAC-SHA256) and ``v1a`` (Ed25519).

Source: the Standard Webhooks specification 1.0, "Webhook signature" and "Verifying webhook authenticity". What
is signed is ``id.timestamp.body``, the timestamp in whole seconds. A signature header lists one signature per
live key, separated by single spaces. The algorithm follows from the kind of key, never from the header:
``whsec_`` is HMAC, ``whsk_`` an Ed25519 key pair (seed then public key), ``whpk_`` its public half.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
from collections.abc import Mapping, Sequence
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.model import HeaderFamily, Instant

SYMMETRIC_PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 75
GENERATED_SECRET_BYTES = 24
SEED_BYTES = 32
TOLERANCE = 300_000
MAX_SIGNATURES = 64

FAMILIES: Mapping[HeaderFamily, tuple[str, str, str]] = {
    HeaderFamily.WEBHOOK: ("webhook-id", "webhook-timestamp", "webhook-signature"),
    HeaderFamily.SVIX: ("svix-id", "svix-timestamp", "svix-signature"),
}


class SymmetricKey:
    """An HMAC-SHA256 key: signs and verifies."""

    version: ClassVar[str] = "v1"

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, signed: bytes) -> bytes:
        """Return the MAC of *signed*."""
        return hmac.digest(self._secret, signed, "sha256")

    def fits(self, signature: bytes, signed: bytes) -> bool:
        """Tell, in constant time, whether *signature* is this key's for *signed*."""
        return hmac.compare_digest(self.sign(signed), signature)


class PublicKey:
    """An Ed25519 public key: verifies."""

    version: ClassVar[str] = "v1a"

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key

    def fits(self, signature: bytes, signed: bytes) -> bool:
        """Tell whether *signature* was made for *signed* by the private half."""
        try:
            self._key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


class PrivateKey(PublicKey):
    """An Ed25519 key pair: signs and verifies."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        super().__init__(key.public_key())
        self._private = key

    def sign(self, signed: bytes) -> bytes:
        """Return the signature of *signed*."""
        return self._private.sign(signed)

    def public_text(self) -> str:
        """Return the public half in its ``whpk_`` form, for the receiver."""
        raw = self._key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return PUBLIC_PREFIX + base64.b64encode(raw).decode()


SigningKey = SymmetricKey | PrivateKey
VerifyingKey = SymmetricKey | PublicKey


def symmetric_secret(entropy: bytes) -> str:
    """Return a new ``whsec_`` secret made of 24 random bytes."""
    return SYMMETRIC_PREFIX + base64.b64encode(entropy).decode()


def asymmetric_secret(seed: bytes) -> str:
    """Return a new ``whsk_`` key pair made from 32 random bytes."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return PRIVATE_PREFIX + base64.b64encode(seed + raw).decode()


@functools.lru_cache(maxsize=20_000)
def parse_signing_key(text: str) -> SigningKey:
    """Read a ``whsec_`` or ``whsk_`` secret.

    Raises:
        InvalidInput: *text* is neither, or has the wrong length.
    """
    if text.startswith(SYMMETRIC_PREFIX):
        return SymmetricKey(_symmetric_bytes(text))
    if text.startswith(PRIVATE_PREFIX):
        return PrivateKey(_private_key(text))
    raise _invalid_secret("a secret starts with whsec_ (HMAC-SHA256) or whsk_ (Ed25519)")


@functools.lru_cache(maxsize=1_000)
def parse_verifying_key(text: str) -> VerifyingKey:
    """Read a ``whsec_``, ``whsk_`` or ``whpk_`` key.

    Raises:
        InvalidInput: *text* is none of these, or has the wrong length.
    """
    if not text.startswith(PUBLIC_PREFIX):
        return parse_signing_key(text)
    raw = _decode(text.removeprefix(PUBLIC_PREFIX))
    if len(raw) != SEED_BYTES:
        raise _invalid_secret("a whpk_ key is 32 bytes in base64")
    return PublicKey(Ed25519PublicKey.from_public_bytes(raw))


def shown_key(text: str) -> str:
    """Return what a receiver needs to verify: the ``whsec_`` secret itself, or the ``whpk_`` public key."""
    key = parse_signing_key(text)
    return key.public_text() if isinstance(key, PrivateKey) else text


def signature_headers(
    keys: Sequence[SigningKey], family: HeaderFamily, message_id: str, now: Instant, body: bytes
) -> dict[str, str]:
    """Sign *body* with every key and return the id, timestamp and signature headers of *family*."""
    timestamp = str(now // 1000)
    signed = b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), body)
    signature = " ".join(f"{key.version},{base64.b64encode(key.sign(signed)).decode()}" for key in keys)
    id_name, timestamp_name, signature_name = FAMILIES[family]
    return {id_name: message_id, timestamp_name: timestamp, signature_name: signature}


def verify(
    keys: Sequence[VerifyingKey],
    headers: Mapping[str, str],
    body: bytes,
    now: Instant,
    tolerance: int = TOLERANCE,
) -> tuple[str, Instant, int]:
    """Verify a received request and return the message id, when it was signed and which key fits.

    Args:
        keys: Keys to accept.
        headers: Names in lower case; either family will do.
        body: The raw body.
        now: The present instant.
        tolerance: How far the timestamp may lie from *now* in either direction.

    Raises:
        SignatureInvalid: With the reason ``header_missing``, ``timestamp_malformed``, ``timestamp_too_old``,
            ``timestamp_too_new``, ``signature_malformed`` or ``signature_mismatch``.
    """
    message_id, timestamp, signatures = _signature_headers_of(headers)
    sent_at = _checked_timestamp(timestamp, now, tolerance)
    try:
        signed = f"{message_id}.{timestamp}.".encode() + body
    except UnicodeEncodeError:
        raise SignatureInvalid("signature_mismatch") from None
    candidates = _parse_signatures(signatures)
    for index, key in enumerate(keys):
        for version, signature in candidates:
            if version == key.version and key.fits(signature, signed):
                return message_id, sent_at, index
    raise SignatureInvalid("signature_mismatch", _mismatch(keys, {version for version, _ in candidates}))


def _signature_headers_of(headers: Mapping[str, str]) -> tuple[str, str, str]:
    for names in FAMILIES.values():
        found = [headers.get(name) for name in names]
        if all(found):
            return found[0] or "", found[1] or "", found[2] or ""
    wanted = FAMILIES[HeaderFamily.SVIX if "svix-id" in headers else HeaderFamily.WEBHOOK]
    missing = ", ".join(name for name in wanted if not headers.get(name))
    raise SignatureInvalid("header_missing", f"missing header: {missing}")


def _checked_timestamp(text: str, now: Instant, tolerance: int) -> Instant:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):  # noqa: PLR2004 - longer is beyond any calendar
        raise SignatureInvalid("timestamp_malformed", "the timestamp is not a whole number of seconds")
    sent_at = int(text) * 1000
    if sent_at < now - tolerance:
        raise SignatureInvalid("timestamp_too_old", f"the timestamp is {(now - sent_at) // 1000} s old")
    if sent_at > now + tolerance:
        raise SignatureInvalid("timestamp_too_new", f"the timestamp is {(sent_at - now) // 1000} s ahead")
    return sent_at


def _parse_signatures(text: str) -> list[tuple[str, bytes]]:
    candidates = []
    for part in text.split(" ")[:MAX_SIGNATURES]:
        version, comma, encoded = part.partition(",")
        try:
            signature = base64.b64decode(encoded.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            continue
        if comma and signature:
            candidates.append((version, signature))
    if not candidates:
        raise SignatureInvalid("signature_malformed", "no part of the signature header is version,base64")
    return candidates


def _mismatch(keys: Sequence[VerifyingKey], versions: set[str]) -> str:
    expected = {key.version for key in keys}
    if versions.isdisjoint(expected):
        signed, verified = "/".join(sorted(versions))[:40], "/".join(sorted(expected))
        return f"signed with {signed}, but the secrets given verify {verified}"
    return "none of the secrets made this signature: another secret, or the body was changed after signing"


def _symmetric_bytes(text: str) -> bytes:
    secret = _decode(text.removeprefix(SYMMETRIC_PREFIX))
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise _invalid_secret(
            f"a whsec_ secret holds {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes, this one {len(secret)}"
        )
    return secret


def _private_key(text: str) -> Ed25519PrivateKey:
    pair = _decode(text.removeprefix(PRIVATE_PREFIX))
    if len(pair) != 2 * SEED_BYTES:
        raise _invalid_secret("a whsk_ key is 64 bytes in base64: the seed, then the public key")
    key = Ed25519PrivateKey.from_private_bytes(pair[:SEED_BYTES])
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    if public != pair[SEED_BYTES:]:
        raise _invalid_secret("the two halves of this whsk_ key do not belong together")
    return key


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _invalid_secret("the part after the prefix is not base64") from None


def _invalid_secret(message: str) -> InvalidInput:
    return InvalidInput.at("body", "secret", msg=message)
