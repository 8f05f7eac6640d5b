"""Signature schemes, one file per family; a scheme signs what is sent and verifies what is received.

Schemes are values: a family with its parameters. ``SCHEMES`` maps a family's name to one with ordinary
parameters; ``ringback.providers`` has those of each provider. Signing and verifying are pure: the instant is an
argument, and nothing is fetched.

A refusal is ``SignatureInvalid`` with one of these reasons: ``header_missing``, ``header_too_long``,
``signature_malformed``, ``signature_mismatch``, ``token_mismatch``, ``timestamp_missing``, ``timestamp_malformed``,
``timestamp_too_old``, ``timestamp_too_new``, ``body_malformed``, ``body_uncovered``, ``digest_malformed``,
``digest_mismatch``, ``url_malformed``, ``component_uncovered``, ``component_unsupported``, ``tag_mismatch``,
``key_unknown``, ``algorithm_refused``, ``certificate_url_refused``, ``topic_unknown``, ``secret_unusable``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ringback.errors import InvalidInput
from ringback.model import Duration, HeaderFamily, Instant
from ringback.signing import keys, standard
from ringback.signing.asymmetric import PublicAlgorithm, PublicKeySignature
from ringback.signing.body import FieldHash, FieldHmac, ItemHmac
from ringback.signing.certificate import NotificationSignature, TransmissionSignature
from ringback.signing.contract import FIVE_MINUTES, Request, Scheme, TimeUnit, Verified
from ringback.signing.hmac import Algorithm, Encoding, Hmac, Parts
from ringback.signing.jwt import BodyHashToken
from ringback.signing.keys import SecretForm
from ringback.signing.message_signatures import MessageSignatures
from ringback.signing.token import BasicAuthentication, SharedToken
from ringback.signing.url import HashedSecret, SignedForm

__all__ = [
    "SCHEMES",
    "Algorithm",
    "BasicAuthentication",
    "BodyHashToken",
    "Encoding",
    "FieldHash",
    "FieldHmac",
    "HashedSecret",
    "Hmac",
    "ItemHmac",
    "MessageSignatures",
    "NotificationSignature",
    "Parts",
    "PublicAlgorithm",
    "PublicKeySignature",
    "Request",
    "Scheme",
    "SecretForm",
    "SharedToken",
    "SignedForm",
    "StandardWebhooks",
    "TimeUnit",
    "TransmissionSignature",
    "Verified",
    "scheme",
]

# Far beyond any clock: what "no tolerance" means to the standard's own verification.
ANY_AGE: Duration = 10**18


class StandardWebhooks(msgspec.Struct, frozen=True, kw_only=True):
    """Standard Webhooks 1.0: ``v1`` (HMAC-SHA256) and ``v1a`` (Ed25519).

    Signs with the header names of one family and verifies either. A secret received without its ``whsec_``
    prefix or its padding, as some senders show it, is taken for one with both.
    """

    family: HeaderFamily = HeaderFamily.WEBHOOK
    tolerance: Duration | None = FIVE_MINUTES

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check the signature headers of either family; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _standard_key)
        tolerance = ANY_AGE if self.tolerance is None else self.tolerance
        event_id, sent_at, position = standard.verify(
            [key for _, key in usable], request.headers, request.body, now, tolerance
        )
        return Verified(event_id=event_id, event_type=None, sent_at=sent_at, key=usable[position][0])

    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:
        """Add the three headers, one signature per secret, in the secrets' order; see ``Scheme.sign``."""
        keys.signing_key(secrets, _whole)
        signers = [standard.parse_signing_key(_whole(secret)) for secret in secrets]
        added = standard.signature_headers(signers, self.family, event_id, now, request.body)
        return request.with_headers(added)


def _whole(secret: str) -> str:
    prefixes = (standard.SYMMETRIC_PREFIX, standard.PRIVATE_PREFIX, standard.PUBLIC_PREFIX)
    prefix = next((prefix for prefix in prefixes if secret.startswith(prefix)), standard.SYMMETRIC_PREFIX)
    if prefix == standard.SYMMETRIC_PREFIX and keys.is_asymmetric(secret):
        raise keys.invalid("this is a public or private key of another scheme")
    text = secret.removeprefix(prefix)
    return prefix + text + "=" * (-len(text) % 4)


def _standard_key(secret: str) -> standard.VerifyingKey:
    return standard.parse_verifying_key(_whole(secret))


_TIMESTAMPED = "{timestamp}.{body}"

SCHEMES: Mapping[str, Scheme] = {
    "standard-webhooks": StandardWebhooks(),
    "svix": StandardWebhooks(family=HeaderFamily.SVIX),
    "hmac": Hmac(header="x-signature"),
    "hmac-timestamped": Hmac(
        header="x-signature",
        template=_TIMESTAMPED,
        timestamp_header="x-timestamp",
        tolerance=FIVE_MINUTES,
    ),
    "hmac-parts": Hmac(header="x-signature", template=_TIMESTAMPED, parts=Parts(), tolerance=FIVE_MINUTES),
    "token": SharedToken(header="x-webhook-token"),
    "bearer": SharedToken(header="authorization", prefix="Bearer "),
    "api-key": SharedToken(header="x-api-key"),
    "basic": BasicAuthentication(),
    "ed25519": PublicKeySignature(
        header="x-signature",
        algorithm=PublicAlgorithm.ED25519,
        encoding=Encoding.HEX,
        template="{timestamp}{body}",
        timestamp_header="x-timestamp",
        tolerance=FIVE_MINUTES,
    ),
    "message-signatures": MessageSignatures(),
}


def scheme(name: str) -> Scheme:
    """Return the scheme called *name*.

    Raises:
        InvalidInput: There is none; the message lists those there are.
    """
    try:
        return SCHEMES[name]
    except KeyError:
        known = ", ".join(sorted(SCHEMES))
        raise InvalidInput.at("scheme", msg=f"no scheme is called {name!r}; there are {known}") from None
