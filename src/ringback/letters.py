"""What an attempt sends: headers and body, signed as Ringback signs or made as the sender makes it who is played.

``webhook_id`` is public: who plays a sender can tell what its receivers were sent.
"""

from __future__ import annotations

import hashlib
import re
import uuid

import msgspec

from ringback.destinations import Request
from ringback.model import Duration, Endpoint, Instant, Manner, iso
from ringback.signing import standard
from ringback.store import Work
from ringback.target import content_headers, event_header

ID_HEADER = "webhook-id"
_CREATED = re.compile(rb'\A(\s*\{\s*"created"\s*:\s*")[^"]*')


def signed(work: Work, endpoint: Endpoint, user_agent: str, now: Instant, deadline: Duration) -> Request:
    """Return the request of an attempt, signed with every secret that is in force at *now* (Standard Webhooks)."""
    keys = [
        standard.parse_signing_key(secret.key)
        for secret in endpoint.secrets
        if secret.expires_at is None or secret.expires_at > now
    ]
    signature = standard.signature_headers(keys, endpoint.header_family, work.message_id, now, work.payload)
    headers = (
        *content_headers({} if work.inbound is None else work.inbound.headers),
        *([] if work.inbound is None else [event_header(work.event_type)]),
        ("User-Agent", user_agent),
        *endpoint.headers.items(),
        *signature.items(),
    )
    return Request(endpoint.url, headers, work.payload, deadline)


def rewritten(work: Work, payload: bytes) -> Work:
    """Return *work* with another payload, which is JSON whatever was received."""
    inbound = work.inbound
    if inbound is not None:
        about_the_body = {"content-type", "content-encoding"}
        kept = {name: value for name, value in inbound.headers.items() if name not in about_the_body}
        inbound = msgspec.structs.replace(inbound, headers=kept)
    return msgspec.structs.replace(work, payload=payload, inbound=inbound)


def authorized(letter: Request, authorization: str) -> Request:
    """Return *letter* with a header ``Authorization``, in place of one that it may have."""
    others = (pair for pair in letter.headers if pair[0].lower() != "authorization")
    return msgspec.structs.replace(letter, headers=(*others, ("Authorization", authorization)))


def played(work: Work, endpoint: Endpoint, manner: Manner, now: Instant, deadline: Duration) -> Request:
    """Return the request of an attempt as the sender makes it whom a sandbox plays."""
    headers = (
        ("User-Agent", manner.user_agent),
        *content_headers({}),
        *endpoint.headers.items(),
        (ID_HEADER, webhook_id(work.message_id)),
    )
    body = stamped(work.payload, now) if manner.stamps_attempts else work.payload
    return Request(endpoint.url, headers, body, deadline)


def webhook_id(message_id: str) -> str:
    """Return the UUID that stands for a message where ids are UUIDs: the same for every attempt."""
    return str(uuid.UUID(bytes=hashlib.sha256(message_id.encode()).digest()[:16], version=4))


def stamped(payload: bytes, now: Instant) -> bytes:
    """Return an envelope whose first field, ``created``, is *now*; what does not begin with it is returned as it is."""
    return _CREATED.sub(lambda found: found[1] + iso(now).encode(), payload, count=1)
