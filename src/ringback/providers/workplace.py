"""Workplace and marketing applications whose rules need no code: Intercom, Typeform, HubSpot.

Sources: Intercom's "Webhook notifications"; Typeform's "Secure your webhooks"; the signature helper of
hubspot-api-python. HubSpot signs the URL as it called it, with certain escapes decoded; the URL is compared here as
it was given, so an address with escapes in it may need them decoded before.
"""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import EachId, EachType, Field, Joined, Recogniser, equals
from ringback.signing import Algorithm, Encoding, HashedSecret, Hmac, TimeUnit
from ringback.signing.contract import FIVE_MINUTES

_NO_TIME = "{} signs no time: de-duplication is what stops a replay."
_HUBSPOT_KEY = (Field("eventId"), Field("subscriptionId"), Field("occurredAt"))
_HUBSPOT = Recogniser(
    event_type=EachType("", Field("subscriptionType")),
    dedupe_key=EachId("", Joined(_HUBSPOT_KEY, by=":", strict=True)),
)

INTERCOM = Profile(
    name="intercom",
    title="Intercom",
    configured_with="the client secret of the app",
    scheme=Hmac(header="x-hub-signature", prefix="sha1=", algorithm=Algorithm.SHA1),
    recognise=Recogniser(
        event_id=Field("id"), event_type=Field("topic"), is_test=equals(Field("topic"), "ping")
    ),
    uncovered=_NO_TIME.format("Intercom"),
)
TYPEFORM = Profile(
    name="typeform",
    title="Typeform",
    scheme=Hmac(header="typeform-signature", prefix="sha256=", encoding=Encoding.BASE64),
    recognise=Recogniser(event_id=Field("event_id"), event_type=Field("event_type")),
    uncovered=_NO_TIME.format("Typeform"),
)
HUBSPOT = Profile(
    name="hubspot",
    title="HubSpot v3",
    configured_with="the client secret of the app",
    scheme=Hmac(
        header="x-hubspot-signature-v3",
        encoding=Encoding.BASE64,
        template="{method}{url}{body}{timestamp}",
        timestamp_header="x-hubspot-request-timestamp",
        timestamp_unit=TimeUnit.MILLISECONDS,
        tolerance=FIVE_MINUTES,
    ),
    recognise=_HUBSPOT,
)
HUBSPOT_V2 = Profile(
    name="hubspot-v2",
    title="HubSpot v2",
    configured_with="the client secret of the app",
    scheme=HashedSecret(header="x-hubspot-signature", template="{method}{url}{body}"),
    recognise=_HUBSPOT,
    uncovered=_NO_TIME.format("HubSpot v2"),
)
HUBSPOT_V1 = Profile(
    name="hubspot-v1",
    title="HubSpot v1",
    configured_with="the client secret of the app",
    scheme=HashedSecret(header="x-hubspot-signature", template="{body}"),
    recognise=_HUBSPOT,
    uncovered="HubSpot v1 hashes the body only, with no time in it: de-duplication is what stops a replay.",
)
