"""Twilio. Source: "Webhooks security" and the request validator of twilio-python."""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import Either, Field, Joined, Recogniser
from ringback.signing import SignedForm

_STATUS = Either((Field("MessageStatus"), Field("CallStatus"), Field("SmsStatus")))

TWILIO = Profile(
    name="twilio",
    title="Twilio",
    configured_with="the auth token of the account",
    scheme=SignedForm(header="x-twilio-signature"),
    recognise=Recogniser(
        event_type=_STATUS,
        dedupe_key=Joined(
            (Either((Field("MessageSid"), Field("CallSid"), Field("SmsSid"))), _STATUS), by=":", strict=True
        ),
    ),
    uncovered="Twilio signs no time: de-duplication is what stops a replay.",
)
