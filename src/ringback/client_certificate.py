"""Reading the key and the certificates that an endpoint's owner wants to be shown in TLS.

To check an RSA key takes up to a third of a second of computing, so it is done once: when the key is given.
"""

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
FIELD = "identity"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_KEYS = re.compile(r"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_LONGEST_NAME = 500


class Shown(msgspec.Struct, frozen=True):
    """What may be told of a certificate: whom it names, its SHA-256 digest as tools print it, and when it ends."""

    subject: str
    fingerprint: str
    not_after: Instant


def checked_identity(pem: str, now: Instant) -> str:
    """Return a private key and its certificates, in any order, as they are kept: the key's own certificate first.

    Raises:
        InvalidInput: It cannot be read, the key belongs to none of the certificates, or one of them would not do at
            *now*.
    """
    text, key = _key_of(pem)
    found = _certificates(FIELD, pem)
    own = [one for one in found if _public(one.public_key()) == _public(key.public_key())]
    if not own:
        raise _refused(FIELD, "the private key belongs to none of the certificates")
    chain = [own[0], *(one for one in found if one not in own)]
    for certificate in chain:
        _check_time(certificate, now)
    if not _is_for_clients(own[0]):
        raise _refused(FIELD, "the certificate is for servers alone: its extended key usage lacks clientAuth")
    return "\n".join([text, *(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)])


def checked_authorities(pem: str) -> str:
    """Return certificates as they are kept; raises ``InvalidInput`` where there is none that can be read."""
    found = _certificates("serverCaCert", pem)
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in found)


def shown(identity: str) -> Shown:
    """Return what may be told of an identity that was checked."""
    chain = x509.load_pem_x509_certificates(identity.encode())
    return Shown(
        subject=_name_of(chain[0]),
        fingerprint=chain[0].fingerprint(hashes.SHA256()).hex(":").upper(),
        not_after=min(_instant(one.not_valid_after_utc) for one in chain),
    )


def locked(identity: str, password: bytes) -> bytes:
    """Return an identity that was checked, with its key encrypted; raises ``ValueError`` for any other."""
    key = serialization.load_pem_private_key(identity.encode(), None, unsafe_skip_rsa_key_validation=True)
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    chain = x509.load_pem_x509_certificates(identity.encode())
    return sealed + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)


def _key_of(pem: str) -> tuple[str, PrivateKey]:
    if len(pem) > MAX_PEM:
        raise _refused(FIELD, f"has at most {MAX_PEM:,} characters")
    found = list(_KEYS.finditer(pem))
    if len(found) != 1:
        raise _refused(
            FIELD, f"holds one private key as PEM, with its certificates; this holds {len(found)} keys"
        )
    text = found[0][0]
    try:
        key = serialization.load_pem_private_key(text.encode(), None)
    except TypeError:
        raise _refused(
            FIELD, "the private key is encrypted; take its password off, it is kept sealed"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(FIELD, "the private key cannot be read") from None
    if not isinstance(key, PrivateKey):
        raise _refused(FIELD, "the private key is of none of the kinds RSA, EC and Ed25519")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise _refused(FIELD, f"an RSA key has at least {MIN_RSA_BITS:,} bits, this one {key.key_size:,}")
    return text, key


def _certificates(field: str, pem: str) -> Sequence[x509.Certificate]:
    if len(pem) > MAX_PEM:
        raise _refused(field, f"has at most {MAX_PEM:,} characters")
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise _refused(field, "holds no certificate as PEM, or one that cannot be read") from None


def _check_time(certificate: x509.Certificate, now: Instant) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if _instant(end) <= now:
        raise _refused(
            FIELD, f"the certificate of {_name_of(certificate)} ended at {end.isoformat()}; get a new one"
        )
    if _instant(begin) > now:
        raise _refused(
            FIELD, f"the certificate of {_name_of(certificate)} begins only at {begin.isoformat()}"
        )


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return True
    return bool({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage))


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _name_of(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:_LONGEST_NAME]


def _instant(moment: dt.datetime) -> Instant:
    return int(moment.timestamp() * 1000)


def _refused(field: str, why: str) -> InvalidInput:
    return InvalidInput.at("body", field, msg=why)
