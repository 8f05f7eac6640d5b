"""Standard Webhooks and Svix: one scheme under two families of header names.

Sources: the Standard Webhooks specification 1.0, whose payloads carry their ``type``; Svix's documentation.
"""

from __future__ import annotations

from ringback.model import HeaderFamily
from ringback.providers.profile import Profile
from ringback.providers.recognition import Either, Field, Recogniser
from ringback.signing import StandardWebhooks

# The event's id is the one that the signature covers, so it is left to the scheme.
_RECOGNISE = Recogniser(event_type=Either((Field("type"), Field("event_type"), Field("eventType"))))

STANDARD_WEBHOOKS = Profile(
    name="standard-webhooks",
    title="Standard Webhooks",
    configured_with="the endpoint's whsec_ secret, or its whpk_ public key",
    scheme=StandardWebhooks(),
    recognise=_RECOGNISE,
)
SVIX = Profile(
    name="svix",
    title="Svix",
    configured_with="the endpoint's whsec_ secret, or its whpk_ public key",
    scheme=StandardWebhooks(family=HeaderFamily.SVIX),
    recognise=_RECOGNISE,
)
