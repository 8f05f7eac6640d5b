"""Amazon SNS. Source: "Verifying the signatures of Amazon SNS messages" and "Parsing message formats".

Notifications come as JSON under the media type ``text/plain``. A subscription must be confirmed by opening its
``SubscribeURL``; the answer carries it as ``visit``, and whoever runs the inbox decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from ringback.model import Instant
from ringback.providers.profile import Answer, Profile
from ringback.providers.recognition import Field, Recogniser, read
from ringback.signing import NotificationSignature, Request, Scheme

CONFIRMATION = "SubscriptionConfirmation"
HOSTS = r"sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?"
SCHEME = NotificationSignature(
    hosts=HOSTS,
    certificate_url="https://sns.us-east-1.amazonaws.com/SimpleNotificationService-example.pem",
)


def answer_confirmation(
    scheme: Scheme, request: Request, secrets: Sequence[str], now: Instant
) -> Answer | None:
    """Hand on the address that confirms a genuine subscription."""
    if CONFIRMATION.encode() not in request.body:
        return None
    content = read(request)
    url = Field("SubscribeURL").find(content)
    if Field("Type").find(content) != CONFIRMATION or url is None:
        return None
    scheme.verify(secrets, request, now)
    return Answer(visit=url if _is_amazons(url) else None)


def _is_amazons(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and re.fullmatch(HOSTS, parts.netloc) is not None


SNS = Profile(
    name="sns",
    title="Amazon SNS",
    configured_with="Amazon's certificate in PEM, fetched from the message's SigningCertURL",
    scheme=SCHEME,
    recognise=Recogniser(event_id=Field("MessageId"), event_type=Field("Type")),
    challenge=answer_confirmation,
    uncovered=(
        "A signature by Amazon SNS only proves that some topic sent it, anybody's: list the topics you expect in the "
        "scheme's topics."
    ),
)
