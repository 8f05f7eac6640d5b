"""Senders without a profile of their own: set the scheme's parameters with ``msgspec.structs.replace``.

Also the defaults of webhook gateways: Outpost and Hookdeck, and Convoy's two modes. Sources: their own source code.
"""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import Either, Field, Header, Recogniser
from ringback.signing import SCHEMES, Encoding, Hmac, Parts
from ringback.signing.contract import FIVE_MINUTES

_RECOGNISE = Recogniser(
    event_id=Either((Header("webhook-id"), Header("idempotency-key"))),
    event_type=Either((Header("x-event-type"), Field("type"), Field("event"), Field("event_type"))),
)
_NO_TIME = "The signature covers the body only: de-duplication is what stops a replay."

HMAC = Profile(
    name="hmac",
    title="Any HMAC of the body",
    configured_with="the shared secret",
    scheme=SCHEMES["hmac"],
    recognise=_RECOGNISE,
    uncovered=_NO_TIME,
)
BASIC = Profile(
    name="basic",
    title="HTTP Basic",
    configured_with="user:password",
    scheme=SCHEMES["basic"],
    recognise=_RECOGNISE,
    uncovered="The sender shows a password and signs nothing: whoever learns it can make up any event.",
    secret_headers=("authorization",),
)
API_KEY = Profile(
    name="api-key",
    title="API key",
    configured_with="the key",
    scheme=SCHEMES["api-key"],
    recognise=_RECOGNISE,
    uncovered="The sender shows a key and signs nothing: whoever learns it can make up any event.",
    secret_headers=("x-api-key",),
)
MESSAGE_SIGNATURES = Profile(
    name="message-signatures",
    title="HTTP Message Signatures (RFC 9421)",
    configured_with="a JWK, a public key in PEM, or a shared key in base64",
    scheme=SCHEMES["message-signatures"],
    recognise=_RECOGNISE,
)
OUTPOST = Profile(
    name="outpost",
    title="Outpost",
    scheme=Hmac(header="x-outpost-signature", prefix="v0=", separator=","),
    recognise=_RECOGNISE,
    uncovered=_NO_TIME,
)
HOOKDECK = Profile(
    name="hookdeck",
    title="Hookdeck",
    scheme=Hmac(header="x-hookdeck-signature", encoding=Encoding.BASE64),
    recognise=_RECOGNISE,
    uncovered=_NO_TIME,
)
CONVOY = Profile(
    name="convoy",
    title="Convoy (simple)",
    scheme=Hmac(header="x-convoy-signature"),
    recognise=_RECOGNISE,
    uncovered=_NO_TIME,
)
# Between the time and the body stands a comma, not a full stop.
CONVOY_ADVANCED = Profile(
    name="convoy-advanced",
    title="Convoy (advanced)",
    scheme=Hmac(
        header="x-convoy-signature", parts=Parts(), template="{timestamp},{body}", tolerance=FIVE_MINUTES
    ),
    recognise=_RECOGNISE,
)
