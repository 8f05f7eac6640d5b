"""Slack's Events API. Sources: "Verifying requests from Slack"; "The Events API", url_verification."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.model import Instant
from ringback.providers.profile import Answer, Profile
from ringback.providers.recognition import Either, Field, Recogniser, read
from ringback.signing import Hmac, Request, Scheme
from ringback.signing.contract import FIVE_MINUTES

SCHEME = Hmac(
    header="x-slack-signature",
    prefix="v0=",
    template="v0:{timestamp}:{body}",
    timestamp_header="x-slack-request-timestamp",
    tolerance=FIVE_MINUTES,
)


def answer_challenge(scheme: Scheme, request: Request, secrets: Sequence[str], now: Instant) -> Answer | None:
    """Echo the challenge of a genuine ``url_verification``."""
    if b"url_verification" not in request.body:
        return None
    content = read(request)
    challenge = Field("challenge").find(content)
    if Field("type").find(content) != "url_verification" or challenge is None:
        return None
    scheme.verify(secrets, request, now)
    return Answer(body=challenge.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")


SLACK = Profile(
    name="slack",
    title="Slack",
    configured_with="the signing secret of the app",
    scheme=SCHEME,
    recognise=Recogniser(
        event_id=Field("event_id"), event_type=Either((Field("event.type"), Field("type"), Field("command")))
    ),
    challenge=answer_challenge,
)
