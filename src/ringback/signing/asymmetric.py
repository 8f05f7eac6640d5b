"""Signatures by a private key that are verified with its public half.

``PublicKeySignature`` covers Discord (Ed25519 in hex over timestamp and body) and SendGrid (ECDSA on P-256 in DER and
base64 over timestamp and body). The algorithm is a setting and must suit the kind of key: a request never
chooses it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from enum import StrEnum

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.model import Duration, Instant
from ringback.signing import keys, template
from ringback.signing.contract import (
    Request,
    TimeUnit,
    Verified,
    asked_to_sign,
    check_fresh,
    header,
    mismatch,
    read_joined_instant,
    to_bytes,
    write_instant,
)
from ringback.signing.hmac import Encoding, written
from ringback.signing.keys import PrivateKey, PublicKey


class PublicAlgorithm(StrEnum):
    """A signature algorithm with its hash, padding and form. ``raw`` is r and s side by side, ``der`` ASN.1."""

    ED25519 = "ed25519"
    ECDSA_SHA256_DER = "ecdsa-sha256-der"
    ECDSA_SHA256_RAW = "ecdsa-sha256-raw"
    ECDSA_SHA384_RAW = "ecdsa-sha384-raw"
    RSA_SHA1 = "rsa-sha1"
    RSA_SHA256 = "rsa-sha256"
    RSA_PSS_SHA512 = "rsa-pss-sha512"


_ECDSA: dict[PublicAlgorithm, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm]] = {
    PublicAlgorithm.ECDSA_SHA256_DER: (ec.SECP256R1, hashes.SHA256()),
    PublicAlgorithm.ECDSA_SHA256_RAW: (ec.SECP256R1, hashes.SHA256()),
    PublicAlgorithm.ECDSA_SHA384_RAW: (ec.SECP384R1, hashes.SHA384()),
}
_RSA: dict[PublicAlgorithm, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]] = {
    PublicAlgorithm.RSA_SHA1: (padding.PKCS1v15(), hashes.SHA1()),  # noqa: S303 - SNS signs so unless told otherwise
    PublicAlgorithm.RSA_SHA256: (padding.PKCS1v15(), hashes.SHA256()),
    PublicAlgorithm.RSA_PSS_SHA512: (padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512()),
}


class PublicKeySignature(msgspec.Struct, frozen=True, kw_only=True):
    """A signature over a template, in a header; a secret is the public key, or to sign the private one in PEM.

    Attributes:
        header: The header with the signature, in lower case.
        algorithm: How it was made.
        encoding: How it is written.
        template: What is signed; see ``ringback.signing.template``.
        timestamp_header: The header with the timestamp.
        tolerance: How far the timestamp may be from now, in milliseconds and either direction; None for any.
    """

    header: str
    algorithm: PublicAlgorithm
    encoding: Encoding
    template: str
    timestamp_header: str
    tolerance: Duration | None = None

    def __post_init__(self) -> None:
        template.check(self.template)

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check the signature header; see ``Scheme.verify``."""
        usable = keys.usable(secrets, self._public_key)
        signature = decoded(header(request, self.header), self.encoding)
        timestamp = header(request, self.timestamp_header)
        sent_at = read_joined_instant(timestamp)
        check_fresh(sent_at, now, self.tolerance)
        signed = template.render(self.template, request, timestamp)
        for index, key in usable:
            if verifies(key, self.algorithm, signature, signed):
                return Verified(event_id=None, event_type=None, sent_at=sent_at, key=index)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - no id is carried
        """Add timestamp and signature; the first secret is a private key in PEM. See ``Scheme.sign``."""
        key = keys.signing_key(secrets, keys.private_key)
        timestamp = write_instant(now, TimeUnit.SECONDS)
        request = request.with_headers({self.timestamp_header: timestamp})
        signature = made(key, self.algorithm, template.render(self.template, request, timestamp))
        return request.with_headers({self.header: written(signature, self.encoding).decode()})

    def _public_key(self, secret: str) -> PublicKey:
        return suited(keys.public_key(secret), self.algorithm)


def suited(key: PublicKey, algorithm: PublicAlgorithm) -> PublicKey:
    """Return *key* if *algorithm* is one for keys of its kind.

    Raises:
        InvalidInput: It is not.
    """
    if algorithm is PublicAlgorithm.ED25519:
        fits = isinstance(key, Ed25519PublicKey)
    elif algorithm in _ECDSA:
        fits = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _ECDSA[algorithm][0])
    else:
        fits = isinstance(key, rsa.RSAPublicKey)
    if not fits:
        raise InvalidInput.at("secret", msg=f"the key is of another kind than {algorithm.value} needs")
    return key


def verifies(key: PublicKey, algorithm: PublicAlgorithm, signature: bytes, signed: bytes) -> bool:
    """Tell whether *signature* is *algorithm*'s for *signed* by the private half of a suited *key*."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_as_der(signature, algorithm), signed, ec.ECDSA(_ECDSA[algorithm][1]))
        else:
            padded, hashed = _RSA[algorithm]
            key.verify(signature, signed, padded, hashed)
    except (InvalidSignature, ValueError):
        return False
    return True


def made(key: PrivateKey, algorithm: PublicAlgorithm, signed: bytes) -> bytes:
    """Sign.

    Raises:
        InvalidInput: The key is of another kind than *algorithm* needs.
    """
    suited(key.public_key(), algorithm)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(signed)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _from_der(key.sign(signed, ec.ECDSA(_ECDSA[algorithm][1])), algorithm)
    padded, hashed = _RSA[algorithm]
    return key.sign(signed, padded, hashed)


def decoded(text: str, encoding: Encoding) -> bytes:
    """Decode a signature; only its one canonical spelling is accepted.

    Raises:
        SignatureInvalid: ``signature_malformed``.
    """
    raw = to_bytes(text)
    try:
        if encoding is Encoding.HEX:
            signature = binascii.unhexlify(raw)
        else:
            altchars = b"-_" if encoding is Encoding.BASE64URL else None
            signature = base64.b64decode(raw, altchars=altchars, validate=True)
    except binascii.Error:
        signature = b""
    if not signature or written(signature, encoding) != raw:
        raise SignatureInvalid("signature_malformed", f"the signature is not {encoding.value}")
    return signature


def _half(algorithm: PublicAlgorithm) -> int:
    return 48 if algorithm is PublicAlgorithm.ECDSA_SHA384_RAW else 32


def _as_der(signature: bytes, algorithm: PublicAlgorithm) -> bytes:
    if algorithm is PublicAlgorithm.ECDSA_SHA256_DER:
        return signature
    size = _half(algorithm)
    if len(signature) != 2 * size:
        raise InvalidSignature
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    return utils.encode_dss_signature(r, s)


def _from_der(signature: bytes, algorithm: PublicAlgorithm) -> bytes:
    if algorithm is PublicAlgorithm.ECDSA_SHA256_DER:
        return signature
    size = _half(algorithm)
    return b"".join(number.to_bytes(size, "big") for number in utils.decode_dss_signature(signature))
