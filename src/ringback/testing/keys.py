"""Secrets for tests: one for each provider, in the form that the provider's scheme wants.

They are the same in every process, so that a test and a server that it starts agree on them; only RSA keys (PayPal's
and Amazon's) are made anew in each. None of them protects anything.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from ringback.providers import Profile, provider
from ringback.signing import (
    BasicAuthentication,
    BodyHashToken,
    Hmac,
    ItemHmac,
    MessageSignatures,
    NotificationSignature,
    PublicAlgorithm,
    PublicKeySignature,
    Scheme,
    SecretForm,
    StandardWebhooks,
    TransmissionSignature,
)
from ringback.signing.keys import PrivateKey

WEBHOOK_ID = "WEBHOOK-FOR-TESTS"
RSA_BITS = 2048
# Long enough for any clock a test may freeze.
IN_FORCE = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


class Keys(msgspec.Struct, frozen=True):
    """What signs as a provider, and what an inbox is configured with to verify it; often the same."""

    signing: str
    verifying: str


def keys_for(source: str | Profile) -> Keys:
    """Return the test keys of a provider.

    Raises:
        InvalidInput: No provider has that name.
    """
    profile = provider(source) if isinstance(source, str) else source
    return _keys(profile.scheme, profile.name)


def secret_for(source: str | Profile) -> str:
    """Return the secret that verifies what ``signed_request`` signs, for ``inbox.source(..., secrets=[...])``.

    Raises:
        InvalidInput: No provider has that name.
    """
    return keys_for(source).verifying


def private_pem(key: PrivateKey) -> str:
    """Write a private key as PEM."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_pem(key: PrivateKey) -> str:
    """Write the public half of a key as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def certificate_pem(
    key: PrivateKey, host: str, starts: datetime = IN_FORCE[0], ends: datetime = IN_FORCE[1]
) -> str:
    """Return a self-signed certificate of *key* for *host*, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(starts).not_valid_after(ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@functools.cache
def ed25519_key(name: str) -> Ed25519PrivateKey:
    """Return the Ed25519 key of a provider."""
    return Ed25519PrivateKey.from_private_bytes(_seed(name))


@functools.cache
def p256_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return a provider's key on P-256."""
    # Halved, the number is below the order of the curve whatever the seed.
    return ec.derive_private_key(int.from_bytes(_seed(name)) >> 1, ec.SECP256R1())


@functools.cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:  # noqa: ARG001 - each name has a key of its own, made at random
    """Return a provider's RSA key, made when this process first asks for it."""
    return rsa.generate_private_key(65_537, RSA_BITS)


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"ringback test key: {name}".encode()).digest()


def _base64(name: str) -> str:
    return base64.b64encode(_seed(name)).decode()


def _keys(scheme: Scheme, name: str) -> Keys:
    """Make the keys of a provider called *name* by the kind of its scheme; most take any text."""
    for kind, make in _MAKERS.items():
        if isinstance(scheme, kind):
            return make(scheme, name)
    return _text(name)


def _same(secret: str) -> Keys:
    return Keys(signing=secret, verifying=secret)


def _text(name: str) -> Keys:
    return _same(f"secret-of-{name}-for-tests")


def _hmac(scheme: Hmac, name: str) -> Keys:
    written = {SecretForm.HEX: _seed(name).hex(), SecretForm.BASE64: _base64(name)}
    return _same(written[scheme.secret_form]) if scheme.secret_form in written else _text(name)


def _public(scheme: PublicKeySignature, name: str) -> Keys:
    if scheme.algorithm is PublicAlgorithm.ED25519:
        key = ed25519_key(name)
        return Keys(signing=private_pem(key), verifying=key.public_key().public_bytes_raw().hex())
    return _pair(p256_key(name) if scheme.algorithm is PublicAlgorithm.ECDSA_SHA256_DER else rsa_key(name))


def _pair(key: PrivateKey) -> Keys:
    return Keys(signing=private_pem(key), verifying=public_pem(key))


def _transmission(scheme: TransmissionSignature, name: str) -> Keys:
    key = rsa_key(name)
    certificate = certificate_pem(key, f"webhooks{scheme.domain}")
    return Keys(signing=f"{WEBHOOK_ID}\n{private_pem(key)}", verifying=f"{WEBHOOK_ID}\n{certificate}")


def _notification(_scheme: NotificationSignature, name: str) -> Keys:
    key = rsa_key(name)
    return Keys(signing=private_pem(key), verifying=certificate_pem(key, "sns.amazonaws.com"))


_MAKERS: dict[type, Callable[..., Keys]] = {
    StandardWebhooks: lambda _, name: _same("whsec_" + _base64(name)),
    Hmac: _hmac,
    ItemHmac: lambda _, name: _same(_seed(name).hex()),
    BasicAuthentication: lambda _, name: _same(f"{name}:password-for-tests"),
    PublicKeySignature: _public,
    BodyHashToken: lambda _, name: _pair(p256_key(name)),
    MessageSignatures: lambda _, name: _pair(ed25519_key(name)),
    TransmissionSignature: _transmission,
    NotificationSignature: _notification,
}
