"""Secrets in their text forms, read once: shared keys, public and private keys, certificates.

A secret that is public by nature never becomes a MAC key: whoever can read it could forge. A private key may
stand in for its public half, so that a simulator needs one secret only.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringback.errors import InvalidInput, SignatureInvalid

PEM = "-----BEGIN"
PUBLIC_PREFIXES = ("whpk_", "ssh-", "ecdsa-sha2-")
SECRETS_KEPT = 10_000
ED25519_BYTES = 32
MIN_RSA_BITS = 2048

PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Key = TypeVar("Key")

CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}


class SecretForm(StrEnum):
    """How a shared secret's text becomes a key."""

    TEXT = "text"
    HEX = "hex"
    BASE64 = "base64"


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON Web Key (RFC 7517) of the kinds used here."""

    kty: str
    kid: str | None = None
    alg: str | None = None
    crv: str | None = None
    x: str | None = None
    y: str | None = None
    d: str | None = None
    n: str | None = None
    e: str | None = None
    k: str | None = None


def usable(secrets: Sequence[str], read: Callable[[str], Key]) -> list[tuple[int, Key]]:
    """Read each secret and return those that serve, with their index.

    Raises:
        SignatureInvalid: ``secret_unusable``, when none serves; the detail says why the first does not.
    """
    keys: list[tuple[int, Key]] = []
    failure = "no secret is configured"
    for index, secret in enumerate(secrets):
        try:
            keys.append((index, read(secret)))
        except InvalidInput as error:
            failure = failure if index else error.fields[0].msg
    if not keys:
        raise SignatureInvalid("secret_unusable", f"no secret can be used: {failure}")
    return keys


def signing_key(secrets: Sequence[str], read: Callable[[str], Key]) -> Key:
    """Read the first secret, the one that signs."""
    if not secrets:
        raise invalid("a secret is needed to sign")
    return read(secrets[0])


@functools.lru_cache(maxsize=SECRETS_KEPT)
def symmetric_key(text: str, form: SecretForm) -> bytes:
    """Read a shared secret.

    Raises:
        InvalidInput: It is empty, malformed, or a public or private key.
    """
    if is_asymmetric(text):
        raise invalid("this is a public or private key, and the scheme needs a shared secret")
    key = _decoded(text, form)
    if not key:
        raise invalid("the secret is empty")
    return key


def is_asymmetric(text: str) -> bool:
    """Tell whether *text* is any known form of a public or private key; bare hex cannot be told from a secret."""
    if text.startswith(PUBLIC_PREFIXES) or PEM in text:
        return True
    if text.lstrip().startswith("{"):
        return _is_asymmetric_jwk(text)
    return _der_public_key(text) is not None


@functools.lru_cache(maxsize=SECRETS_KEPT)
def public_key(text: str) -> PublicKey:
    """Read a public key: PEM (key, certificate or private key), JWK, DER in base64, or Ed25519 in hex.

    Raises:
        InvalidInput: It is none of these, or of a kind or size that is not trusted.
    """
    if text.lstrip().startswith("{"):
        return jwk_public_key(jwk(text))
    if f"{PEM} CERTIFICATE" in text:
        return trusted(certificate(text).public_key())
    if "PRIVATE KEY-----" in text:
        return private_key(text).public_key()
    if PEM in text:
        return trusted(_loaded(lambda: serialization.load_pem_public_key(text.encode())))
    key = _der_public_key(text)
    return trusted(key) if key is not None else _ed25519_public_key(text)


@functools.lru_cache(maxsize=SECRETS_KEPT)
def private_key(text: str) -> PrivateKey:
    """Read a private key in PEM, without a passphrase.

    Raises:
        InvalidInput: It is not one.
    """
    if "PRIVATE KEY-----" not in text:
        raise invalid("signing needs a private key in PEM")
    start = text.index(PEM)
    key = _loaded(lambda: serialization.load_pem_private_key(text[start:].encode(), None))
    if isinstance(key, Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        trusted(key.public_key())
        return key
    raise invalid("the key is not Ed25519, ECDSA or RSA")


@functools.lru_cache(maxsize=SECRETS_KEPT)
def certificate(text: str) -> x509.Certificate:
    """Read the first certificate of a PEM text.

    Raises:
        InvalidInput: There is none.
    """
    start = text.find(f"{PEM} CERTIFICATE")
    if start < 0:
        raise invalid("there is no certificate in this PEM text")
    return _loaded(lambda: x509.load_pem_x509_certificate(text[start:].encode()))


def jwk(text: str) -> Jwk:
    """Read a JSON Web Key.

    Raises:
        InvalidInput: It is not one.
    """
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=Jwk)
    except msgspec.DecodeError:
        raise invalid("the secret is not a JSON Web Key") from None


def jwk_public_key(key: Jwk) -> PublicKey:
    """Return the public key in a JSON Web Key (RFC 7518, section 6; RFC 8037).

    Raises:
        InvalidInput: It is incomplete or of another kind.
    """
    if key.kty == "OKP" and key.crv == "Ed25519":
        return _loaded(lambda: Ed25519PublicKey.from_public_bytes(_base64url(key.x)))
    if key.kty == "EC" and key.crv in CURVES:
        curve = CURVES[key.crv]
        numbers = ec.EllipticCurvePublicNumbers(_number(key.x), _number(key.y), curve)
        return _loaded(numbers.public_key)
    if key.kty == "RSA":
        modulus = rsa.RSAPublicNumbers(_number(key.e), _number(key.n))
        return trusted(_loaded(modulus.public_key))
    raise invalid("the JSON Web Key is not Ed25519, P-256, P-384 or RSA")


def jwk_symmetric_key(key: Jwk) -> bytes:
    """Return the shared key in a JSON Web Key of kind ``oct``."""
    value = _base64url(key.k)
    if not value:
        raise invalid("the JSON Web Key holds no key")
    return value


def trusted(key: Any) -> PublicKey:
    """Return *key* if it is of a kind and size that is trusted: Ed25519, P-256, P-384, RSA of 2048 bits."""
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    raise invalid("the key is not Ed25519, ECDSA on P-256 or P-384, or RSA of 2048 bits or more")


def invalid(message: str) -> InvalidInput:
    """Build the error for a secret that cannot be used; *message* never holds any of it."""
    return InvalidInput.at("secret", msg=message)


def _decoded(text: str, form: SecretForm) -> bytes:
    try:
        if form is SecretForm.HEX:
            return bytes.fromhex(text)
        if form is SecretForm.BASE64:
            return base64.b64decode(text.encode("ascii"), validate=True)
        return text.encode()
    except (ValueError, binascii.Error):
        raise invalid(f"the secret is not {form.value}") from None


def _is_asymmetric_jwk(text: str) -> bool:
    try:
        return jwk(text).kty != "oct"
    except InvalidInput:
        return False


def _der_public_key(text: str) -> Any:
    try:
        return serialization.load_der_public_key(base64.b64decode(text.encode("ascii"), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None


def _ed25519_public_key(text: str) -> PublicKey:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != ED25519_BYTES:
        raise invalid("the secret is not a public key in PEM, JWK, base64 or hex")
    return _loaded(lambda: Ed25519PublicKey.from_public_bytes(raw))


def _loaded(load: Callable[[], Key]) -> Key:
    try:
        return load()
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        raise invalid("the key cannot be read") from None


def _base64url(text: str | None) -> bytes:
    if not text:
        raise invalid("the JSON Web Key is incomplete")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise invalid("the JSON Web Key is not base64url") from None


def _number(text: str | None) -> int:
    return int.from_bytes(_base64url(text), "big")
