"""Reading the key and the certificates that an endpoint's owner wants to be shown in TLS."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from ringback.errors import InvalidInput
from ringback.model import Instant

MAX_PEM = 64 * 1024
MIN_RSA_BITS = 2_048

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_KEYS = re.compile(r"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_LONGEST_NAME = 500


class Identity(msgspec.Struct, frozen=True):
    """A private key and its certificates, the key's own first."""

    key: PrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def subject(self) -> str:
        """Whom the certificate names."""
        return self.chain[0].subject.rfc4514_string()[:_LONGEST_NAME]

    @property
    def not_after(self) -> Instant:
        """When the first of the certificates ends."""
        return min(_instant(certificate.not_valid_after_utc) for certificate in self.chain)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 digest of the certificate, as tools print it."""
        return self.chain[0].fingerprint(hashes.SHA256()).hex(":").upper()

    def locked(self, password: bytes) -> bytes:
        """Return all of it as PEM, the key encrypted with *password*."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )
        return key + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in self.chain)


def read_identity(pem: str) -> Identity:
    """Read a private key and its certificates, in any order.

    Raises:
        InvalidInput: It is something else, or the key belongs to none of the certificates.
    """
    key = _key_of(pem)
    found = _certificates("identity", pem)
    own = [one for one in found if _public(one.public_key()) == _public(key.public_key())]
    if not own:
        raise _refused("identity", "the private key belongs to none of the certificates")
    return Identity(key, (own[0], *(one for one in found if one not in own)))


def check_certificate(pem: str, now: Instant) -> None:
    """Refuse a key with certificates that no receiver would take at *now*.

    Raises:
        InvalidInput: It cannot be read, is not valid now, or is not for clients.
    """
    identity = read_identity(pem)
    for certificate in identity.chain:
        name = certificate.subject.rfc4514_string()[:_LONGEST_NAME]
        if _instant(certificate.not_valid_after_utc) <= now:
            end = certificate.not_valid_after_utc.isoformat()
            raise _refused("identity", f"the certificate of {name} ended at {end}; get a new one")
        if _instant(certificate.not_valid_before_utc) > now:
            begin = certificate.not_valid_before_utc.isoformat()
            raise _refused("identity", f"the certificate of {name} begins only at {begin}")
    if not _is_for_clients(identity.chain[0]):
        raise _refused(
            "identity", "the certificate is for servers alone: its extended key usage lacks clientAuth"
        )


def check_authorities(pem: str) -> None:
    """Refuse what is no list of certificates; raises ``InvalidInput``."""
    _certificates("serverCaCert", pem)


def _key_of(pem: str) -> PrivateKey:
    if len(pem) > MAX_PEM:
        raise _refused("identity", f"has at most {MAX_PEM} characters")
    found = list(_KEYS.finditer(pem))
    if len(found) != 1:
        raise _refused(
            "identity", f"holds one private key as PEM, with its certificates; this holds {len(found)} keys"
        )
    try:
        key = serialization.load_pem_private_key(found[0][0].encode(), None)
    except TypeError:
        raise _refused(
            "identity", "the private key is encrypted; take its password off, it is kept sealed"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _refused("identity", "the private key cannot be read") from None
    if not isinstance(key, PrivateKey):
        raise _refused("identity", "the private key is of none of the kinds RSA, EC and Ed25519")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise _refused("identity", f"an RSA key has at least {MIN_RSA_BITS} bits, this one {key.key_size}")
    return key


def _certificates(field: str, pem: str) -> Sequence[x509.Certificate]:
    if len(pem) > MAX_PEM:
        raise _refused(field, f"has at most {MAX_PEM} characters")
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _refused(field, "holds no certificate as PEM, or one that cannot be read") from None


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return bool({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage))


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _instant(moment: dt.datetime) -> Instant:
    return int(moment.timestamp() * 1000)


def _refused(field: str, why: str) -> InvalidInput:
    return InvalidInput.at("body", field, msg=why)
