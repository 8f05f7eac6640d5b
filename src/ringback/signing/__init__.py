"""Signature schemes, one file per family; a scheme signs what is sent and verifies what is received.

``SCHEMES`` maps a scheme's name to it. Signing and verifying are pure: the instant is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ringback.errors import InvalidInput
from ringback.model import HeaderFamily, Instant
from ringback.signing import standard


class Verified(msgspec.Struct, frozen=True):
    """A signature that holds: the id it covers, when it was made, and the index of the secret that fits."""

    event_id: str
    sent_at: Instant
    key: int


class Scheme(Protocol):
    """How one family of senders signs."""

    def sign(self, secrets: Sequence[str], message_id: str, now: Instant, body: bytes) -> Mapping[str, str]:
        """Return the headers that prove *body* comes from a holder of *secrets*."""
        ...

    def verify(
        self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: Instant
    ) -> Verified:
        """Check headers (names in lower case) against *body*; raises ``SignatureInvalid``."""
        ...


class StandardWebhooks:
    """Standard Webhooks 1.0: ``v1`` (HMAC-SHA256) and ``v1a`` (Ed25519), under one family of header names."""

    def __init__(self, family: HeaderFamily = HeaderFamily.WEBHOOK) -> None:
        self._family = family

    def sign(self, secrets: Sequence[str], message_id: str, now: Instant, body: bytes) -> Mapping[str, str]:
        """Return the three signature headers, one signature per secret, in the secrets' order."""
        keys = [standard.parse_signing_key(secret) for secret in secrets]
        return standard.signature_headers(keys, self._family, message_id, now, body)

    def verify(
        self, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: Instant
    ) -> Verified:
        """Check the signature headers of either family; raises ``SignatureInvalid``."""
        keys = [standard.parse_verifying_key(secret) for secret in secrets]
        event_id, sent_at, key = standard.verify(keys, headers, body, now)
        return Verified(event_id, sent_at, key)


SCHEMES: Mapping[str, Scheme] = {
    "standard-webhooks": StandardWebhooks(HeaderFamily.WEBHOOK),
    "svix": StandardWebhooks(HeaderFamily.SVIX),
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
