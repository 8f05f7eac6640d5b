"""Mail providers: Mailgun and SendGrid.

Sources: Mailgun's "Securing webhooks" and "Webhooks" (retries, the meaning of statuses); the event webhook helper of
sendgrid-python.
"""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import EachId, EachType, Field, Recogniser
from ringback.signing import Encoding, FieldHmac, PublicAlgorithm, PublicKeySignature

# Mailgun counts only 200 as received and gives up on 406.
MAILGUN = Profile(
    name="mailgun",
    title="Mailgun",
    configured_with="the webhook signing key",
    scheme=FieldHmac(place="signature"),
    recognise=Recogniser(event_id=Field("signature.token"), event_type=Field("event-data.event")),
    uncovered=(
        "Mailgun's signature covers its own timestamp and token and nothing of the event: whoever has seen one "
        "request can send any event with it until the token has been used."
    ),
)
# The time is signed but not checked: retries come for about a day, and how they are signed is not documented.
SENDGRID = Profile(
    name="sendgrid",
    title="SendGrid event webhook",
    configured_with="the verification key of the event webhook: a public key in base64 or PEM",
    scheme=PublicKeySignature(
        header="x-twilio-email-event-webhook-signature",
        algorithm=PublicAlgorithm.ECDSA_SHA256_DER,
        encoding=Encoding.BASE64,
        template="{timestamp}{body}",
        timestamp_header="x-twilio-email-event-webhook-timestamp",
    ),
    recognise=Recogniser(
        event_type=EachType("", Field("event")), dedupe_key=EachId("", Field("sg_event_id"))
    ),
)
