"""Zoom. Sources: "Using webhooks", its signature and its endpoint.url_validation, which comes every 72 hours."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.model import Instant
from ringback.providers.profile import Answer, Profile
from ringback.providers.recognition import Field, Joined, Recogniser, read
from ringback.signing import Hmac, Request, Scheme
from ringback.signing.contract import FIVE_MINUTES
from ringback.signing.hmac import proof

VALIDATION = "endpoint.url_validation"
SCHEME = Hmac(
    header="x-zm-signature",
    prefix="v0=",
    template="v0:{timestamp}:{body}",
    timestamp_header="x-zm-request-timestamp",
    tolerance=FIVE_MINUTES,
)


def answer_challenge(scheme: Scheme, request: Request, secrets: Sequence[str], now: Instant) -> Answer | None:
    """Return the token of a genuine validation together with its HMAC by the secret that fits."""
    if VALIDATION.encode() not in request.body:
        return None
    content = read(request)
    token = Field("payload.plainToken").find(content)
    if Field("event").find(content) != VALIDATION or token is None:
        return None
    verified = scheme.verify(secrets, request, now)
    return Answer(body=validation(secrets[verified.key], token), content_type="application/json")


def validation(secret: str, token: str) -> bytes:
    """Return the body that answers a validation with *token*."""
    return msgspec.json.encode({"plainToken": token, "encryptedToken": proof(secret, token)})


ZOOM = Profile(
    name="zoom",
    title="Zoom",
    configured_with="the secret token of the app",
    scheme=SCHEME,
    recognise=Recogniser(
        event_type=Field("event"),
        dedupe_key=Joined((Field("event"), Field("event_ts"), Field("payload.object.uuid")), by=":"),
    ),
    challenge=answer_challenge,
)
