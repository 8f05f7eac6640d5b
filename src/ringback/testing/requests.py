"""Requests as providers send them, made and signed here, so that a test needs no provider and no network.

    request = signed_request("xendit", "invoice.paid", fields={"external_id": "order-7", "amount": 50_000})
    client.post("/hooks/xendit", data=request.body, headers=request.headers)

An inbox takes them when its source has ``secrets=[secret_for("xendit")]``. Each call makes another event; to send
one twice, send the same request twice or give an ``event_id``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any, TypedDict, Unpack

import msgspec

from ringback.errors import InvalidInput
from ringback.model import Instant
from ringback.providers import Profile
from ringback.providers import provider as profile_of
from ringback.signing import Request
from ringback.testing.clock import instant_of
from ringback.testing.keys import keys_for
from ringback.testing.samples import HEADER, Draft, Sample, sample_of

When = Instant | datetime | Callable[[], Instant]


class RequestParts(TypedDict, total=False):
    """What can be said of a request beside its event type; ``signed_request`` explains each."""

    fields: Mapping[str, Any] | None
    body: Any
    headers: Mapping[str, str] | None
    event_id: str | None
    url: str | None
    method: str


def signed_request(
    provider: str | Profile,
    event_type: str | None = None,
    *,
    fields: Mapping[str, Any] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    event_id: str | None = None,
    url: str | None = None,
    method: str = "POST",
    secret: str | None = None,
    now: When | None = None,
) -> Request:
    """Return a request as *provider* sends it, with a signature that verifies.

    Args:
        provider: The provider's name, or a profile; a profile of one's own gets the sample of a plain sender.
        event_type: What happened, in the provider's words; that of the provider's sample if left out.
        fields: Values to put into the sample's body, by dotted path: ``{"data.object.id": "pi_7"}``.
        body: The whole body instead of the sample: bytes as they are, or values that become JSON (a form,
            if the content type says so). Event type and id are then yours to write, but for those in headers.
        headers: More headers, or other values for those of the sample. They are added before signing.
        event_id: The event's id; a new one of digits if left out.
        url: The address as the provider has it, for schemes that sign it must be the source's own;
            ``https://shop.example/hooks/`` and the provider's name if left out.
        method: The HTTP method.
        secret: What signs instead of the test key: a shared secret, or a private key in PEM.
        now: When it is sent, as milliseconds since 1970, a datetime or a clock; the present if left out.

    Raises:
        InvalidInput: There is no such provider, the event type or a field has no place in its sample, or the
            secret cannot sign.
    """
    profile = profile_of(provider) if isinstance(provider, str) else provider
    event_id = event_id or new_event_id()
    parts = RequestParts(fields=fields, body=body, headers=headers, event_id=event_id, url=url, method=method)
    request = unsigned_request(profile, event_type, **parts)
    signing = secret or keys_for(profile).signing
    return profile.scheme.sign([signing], request, _instant(now), event_id)


def unsigned_request(
    provider: str | Profile, event_type: str | None = None, **parts: Unpack[RequestParts]
) -> Request:
    """Return the request that ``signed_request`` would sign: an inbox must refuse it.

    Raises:
        InvalidInput: There is no such provider, or the event type or a field has no place in its sample.
    """
    profile = profile_of(provider) if isinstance(provider, str) else provider
    body, event_id = parts.get("body"), parts.get("event_id") or new_event_id()
    sample = sample_of(profile.name, event_type if body is None else None)
    draft = sample.draft() if body is None else msgspec.structs.replace(sample.draft(), body=body)
    _name(draft, sample, event_type or sample.event_type, event_id, whole=body is None)
    _change(draft, parts.get("fields") or {}, whole=body is None)
    draft.headers |= {name.lower(): value for name, value in (parts.get("headers") or {}).items()}
    url = parts.get("url") or f"https://shop.example/hooks/{profile.name}"
    return Request(parts.get("method", "POST"), url, draft.headers, draft.raw())


def new_event_id() -> str:
    """Return an id that no other event has: fifteen digits, since some providers number their events."""
    return str(10**14 + secrets.randbelow(9 * 10**14))


def _name(draft: Draft, sample: Sample, event_type: str, event_id: str, *, whole: bool) -> None:
    """Write event type and id in their places; in the headers only, unless the sample's body is *whole*."""
    if whole and not sample.type_at and event_type != sample.event_type:
        raise InvalidInput.at("event_type", msg="this provider tells it by the path of the address: give url")
    for place, part in zip_longest(sample.type_at, _parts(event_type, len(sample.type_at))):
        if whole or place.startswith(HEADER):
            draft.remove(place) if part is None else draft.write(place, part)
    for place in sample.id_at:
        if whole or place.startswith(HEADER):
            draft.write_id(place, sample.id_prefix + event_id.removeprefix(sample.id_prefix))


def _parts(event_type: str, count: int) -> list[str]:
    return event_type.split(".", count - 1) if count else []


def _change(draft: Draft, fields: Mapping[str, Any], *, whole: bool) -> None:
    if fields and not whole:
        raise InvalidInput.at(
            "fields", msg="fields change the sample's body, and body takes its place: give one"
        )
    for place, value in fields.items():
        draft.write(place, value)


def _instant(now: When | None) -> Instant:
    if now is None:
        return time.time_ns() // 1_000_000
    return instant_of(now() if callable(now) else now)
