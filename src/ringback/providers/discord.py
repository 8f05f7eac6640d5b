"""Discord's webhook events and interactions. Source: "Webhook events", signature, PING and answers.

Discord tries the address with bad signatures, again and again, and wants 401 for them. The time is signed and not
checked: retries come for ten minutes, and how they are signed is not documented.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringback.model import Instant
from ringback.providers.profile import Answer, Profile
from ringback.providers.recognition import BodyHash, Field, Recogniser, inside, read
from ringback.signing import Encoding, PublicAlgorithm, PublicKeySignature, Request, Scheme

PING = 0
SCHEME = PublicKeySignature(
    header="x-signature-ed25519",
    algorithm=PublicAlgorithm.ED25519,
    encoding=Encoding.HEX,
    template="{timestamp}{body}",
    timestamp_header="x-signature-timestamp",
)


def answer_ping(scheme: Scheme, request: Request, secrets: Sequence[str], now: Instant) -> Answer | None:
    """Answer a genuine PING with an empty 204."""
    kind = inside(read(request).body, "type")
    if kind != PING or isinstance(kind, bool):
        return None
    scheme.verify(secrets, request, now)
    return Answer(status=204)


DISCORD = Profile(
    name="discord",
    title="Discord",
    configured_with="the application's public key, in hex",
    scheme=SCHEME,
    recognise=Recogniser(event_type=Field("event.type"), dedupe_key=BodyHash()),
    ack=Answer(status=204),
    challenge=answer_ping,
)
