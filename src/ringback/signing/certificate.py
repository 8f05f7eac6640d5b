"""Signatures whose key comes in a certificate that the request points to: PayPal's and Amazon SNS's.

Nothing is fetched here. Whoever configures the secret has fetched the certificate from the provider and checked
its chain; these schemes check that the request points to the provider's own host, and the rest offline.

Sources: PayPal's "Verify webhook signature" and the validator of its Python SDK; Amazon SNS's "Verifying the
signatures of Amazon SNS messages".
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from ringback.errors import SignatureInvalid
from ringback.model import Duration, Instant
from ringback.signing import keys
from ringback.signing.asymmetric import PublicAlgorithm, decoded, made, suited, verifies
from ringback.signing.contract import (
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
from ringback.signing.hmac import Encoding, written
from ringback.signing.keys import PublicKey

ALGORITHM_NAME = "SHA256withRSA"
VERSIONS = {"1": PublicAlgorithm.RSA_SHA1, "2": PublicAlgorithm.RSA_SHA256}
NOTIFICATION = "Notification"
CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
COMMON_FIELDS = ("Message", "MessageId")


class TransmissionSignature(msgspec.Struct, frozen=True, kw_only=True):
    """PayPal's: RSA-SHA256 over transmission id, time, the webhook's own id and the body's CRC-32.

    A secret is the webhook's id as the provider shows it, a line break, and the certificate in PEM (or its
    public key; or to sign the private key). A certificate must be in force and name a host of the provider's.

    Attributes:
        prefix: What the names of the five headers start with.
        hosts: A pattern of the hosts that a certificate may be fetched from.
        domain: How the certificate's common name ends.
        certificate_url: What signing says the certificate's URL is.
        tolerance: How far the time may be from now, in milliseconds and either direction; None for any.
    """

    prefix: str
    hosts: str
    domain: str
    certificate_url: str
    tolerance: Duration | None = None

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check the transmission's signature; see ``Scheme.verify``."""
        usable = keys.usable(secrets, lambda secret: _webhook_key(secret, now, self.domain))
        _check_host(self._header(request, "cert-url"), self.hosts)
        if self._header(request, "auth-algo") != ALGORITHM_NAME:
            raise SignatureInvalid("algorithm_refused", f"the algorithm is not {ALGORITHM_NAME}")
        signature = decoded(self._header(request, "transmission-sig"), Encoding.BASE64)
        event_id = self._header(request, "transmission-id")
        sent_at = read_instant(self._header(request, "transmission-time"), TimeUnit.ISO)
        check_fresh(sent_at, now, self.tolerance)
        for index, (webhook_id, key) in usable:
            if verifies(key, PublicAlgorithm.RSA_SHA256, signature, self.transmitted(request, webhook_id)):
                return Verified(event_id=event_id, event_type=None, sent_at=sent_at, key=index)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:
        """Add the five headers; the secret holds a private key. See ``Scheme.sign``."""
        webhook_id, pem = keys.signing_key(secrets, _webhook_id_and_pem)
        added = {
            "transmission-id": event_id,
            "transmission-time": write_instant(now, TimeUnit.ISO),
            "cert-url": self.certificate_url,
            "auth-algo": ALGORITHM_NAME,
        }
        request = request.with_headers({f"{self.prefix}-{name}": text for name, text in added.items()})
        signed = self.transmitted(request, webhook_id)
        signature = written(made(keys.private_key(pem), PublicAlgorithm.RSA_SHA256, signed), Encoding.BASE64)
        return request.with_headers({f"{self.prefix}-transmission-sig": signature.decode()})

    def transmitted(self, request: Request, webhook_id: str) -> bytes:
        """Return what is signed: id, time, the webhook's id and the body's CRC-32, with bars between them."""
        start = [self._header(request, f"transmission-{name}") for name in ("id", "time")]
        return to_bytes("|".join([*start, webhook_id, str(binascii.crc32(request.body))]))

    def _header(self, request: Request, name: str) -> str:
        return header(request, f"{self.prefix}-{name}")


class NotificationSignature(msgspec.Struct, frozen=True, kw_only=True):
    """Amazon SNS's: RSA over named fields of the JSON body, each as its name and value on a line.

    A secret is the certificate in PEM, or its public key, or to sign the private key.

    Attributes:
        hosts: A pattern of the hosts that a certificate may be fetched from.
        certificate_url: What signing says the certificate's URL is.
        versions: The signature versions accepted: 1 is SHA-1, still the sender's default; 2 is SHA-256.
        topics: The topics accepted. When empty, any topic of anybody's is, for the signature only proves that
            a notification came through the service.
        tolerance: How far the time may be from now, in milliseconds and either direction; None for any.
    """

    hosts: str
    certificate_url: str
    versions: tuple[str, ...] = ("1", "2")
    topics: tuple[str, ...] = ()
    tolerance: Duration | None = None

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check the notification's signature; see ``Scheme.verify``."""
        usable = keys.usable(secrets, lambda secret: _certified_key(secret, now))
        fields = _fields(request)
        algorithm = self._algorithm(fields)
        signature, signed = decoded(_text(fields, "Signature"), Encoding.BASE64), _notified(fields)
        sent_at = read_instant(_text(fields, "Timestamp"), TimeUnit.ISO)
        check_fresh(sent_at, now, self.tolerance)
        for index, key in usable:
            if verifies(key, algorithm, signature, signed):
                event_id, event_type = _text(fields, "MessageId"), _text(fields, "Type")
                return Verified(event_id=event_id, event_type=event_type, sent_at=sent_at, key=index)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:
        """Put id, time, version, certificate URL and signature into the body; see ``Scheme.sign``."""
        key = keys.signing_key(secrets, keys.private_key)
        version = self.versions[-1]
        added = {
            "MessageId": event_id,
            "Timestamp": write_instant(now, TimeUnit.ISO),
            "SignatureVersion": version,
            "SigningCertURL": self.certificate_url,
        }
        fields = {**_fields(request), **added}
        signature = written(made(key, VERSIONS[version], _notified(fields)), Encoding.BASE64).decode()
        return request.with_body(msgspec.json.encode({**fields, "Signature": signature}))

    def _algorithm(self, fields: Mapping[str, Any]) -> PublicAlgorithm:
        _check_host(_text(fields, "SigningCertURL"), self.hosts)
        version = _text(fields, "SignatureVersion")
        if version not in self.versions or version not in VERSIONS:
            raise SignatureInvalid("algorithm_refused", "this SignatureVersion is not accepted")
        if self.topics and _text(fields, "TopicArn") not in self.topics:
            raise SignatureInvalid("topic_unknown", "the topic is not one of those accepted")
        return VERSIONS[version]


def _webhook_id_and_pem(secret: str) -> tuple[str, str]:
    webhook_id, _, pem = secret.partition("\n")
    if not webhook_id.strip() or keys.PEM in webhook_id or keys.PEM not in pem:
        raise keys.invalid("the secret is the webhook's id, a line break, and the certificate in PEM")
    return webhook_id.strip(), pem


def _webhook_key(secret: str, now: Instant, domain: str) -> tuple[str, PublicKey]:
    webhook_id, pem = _webhook_id_and_pem(secret)
    return webhook_id, _certified_key(pem, now, domain)


def _certified_key(pem: str, now: Instant, domain: str = "") -> PublicKey:
    key = suited(keys.public_key(pem), PublicAlgorithm.RSA_SHA256)
    if f"{keys.PEM} CERTIFICATE" in pem:
        _check_certificate(keys.certificate(pem), now, domain)
    return key


def _check_certificate(certificate: x509.Certificate, now: Instant, domain: str) -> None:
    moment = datetime.fromtimestamp(now / 1000, UTC)
    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
        raise keys.invalid("the certificate is not in force: fetch the present one")
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if domain and not any(name.endswith(domain) for name in names):
        raise keys.invalid(f"the certificate is not for a host below {domain[1:]}")


def _check_host(url: str, hosts: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "https" or not re.fullmatch(hosts, parts.netloc):
        raise SignatureInvalid(
            "certificate_url_refused", "the certificate's URL is not on the provider's host"
        )


def _fields(request: Request) -> Mapping[str, Any]:
    try:
        fields = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise SignatureInvalid("body_malformed", "the body is not a JSON object")
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise SignatureInvalid("body_malformed", f"the body has no text {name}")
    return value


def _notified(fields: Mapping[str, Any]) -> bytes:
    kind = _text(fields, "Type")
    if kind == NOTIFICATION:
        subject = ("Subject",) if fields.get("Subject") is not None else ()
        names = (*COMMON_FIELDS, *subject, "Timestamp", "TopicArn", "Type")
    elif kind in CONFIRMATIONS:
        names = (*COMMON_FIELDS, "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    else:
        raise SignatureInvalid("body_malformed", "the Type is not one that Amazon SNS sends")
    return to_bytes("".join(f"{name}\n{_text(fields, name)}\n" for name in names))
