"""Plaid. Source: "Webhook verification"."""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import BodyHash, Field, Joined, Recogniser
from ringback.signing import BodyHashToken

PLAID = Profile(
    name="plaid",
    title="Plaid",
    configured_with="the key that the token's kid names, as the JWK that Plaid's API returns",
    scheme=BodyHashToken(header="plaid-verification"),
    recognise=Recogniser(
        event_type=Joined((Field("webhook_type"), Field("webhook_code")), strict=True), dedupe_key=BodyHash()
    ),
)
