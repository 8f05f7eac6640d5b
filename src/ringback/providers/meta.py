"""Meta's Graph API webhooks: WhatsApp, Messenger, Instagram, Pages. Source: "Webhooks", getting started.

Two secrets are configured: the app secret, which signs, and the verify token of the subscription, which Meta shows
once in a GET. A secret that starts with ``verify_token:`` is the latter and never verifies a signature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from ringback.errors import SignatureInvalid
from ringback.model import Instant
from ringback.providers.profile import Answer, Profile
from ringback.providers.recognition import Content, Field, Joined, Recognised, inside, text_of
from ringback.signing import Hmac, Request, Scheme, Verified
from ringback.signing.hmac import same_text

VERIFY_TOKEN = "verify_token:"  # noqa: S105 - the mark before one
MAX_CHALLENGE = 256
_SIGNATURE = Hmac(header="x-hub-signature-256", prefix="sha256=")
_TYPE = Joined((Field("object"), Field("entry.0.changes.0.field")))


class AppSecretSignature(msgspec.Struct, frozen=True):
    """HMAC-SHA256 of the body as Meta escaped it, by the app secrets among the secrets."""

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check the signature header; see ``signing.Scheme.verify``."""
        indices = [index for index, secret in enumerate(secrets) if not secret.startswith(VERIFY_TOKEN)]
        verified = _SIGNATURE.verify([secrets[index] for index in indices], request, now)
        return msgspec.structs.replace(verified, key=indices[verified.key])

    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:
        """Add the signature header; see ``signing.Scheme.sign``."""
        app_secrets = [secret for secret in secrets if not secret.startswith(VERIFY_TOKEN)]
        return _SIGNATURE.sign(app_secrets, request, now, event_id)


def answer_subscription(
    scheme: Scheme,  # noqa: ARG001 - nothing is signed
    request: Request,
    secrets: Sequence[str],
    now: Instant,  # noqa: ARG001 - and there is no time in it
) -> Answer | None:
    """Echo the challenge of a GET that knows the verify token."""
    if request.method != "GET":
        return None
    query = _query(request.url)
    if query.get("hub.mode") != "subscribe":
        raise SignatureInvalid("header_missing", "a GET without hub.mode=subscribe is nothing Meta sends")
    token = query.get("hub.verify_token", "")
    known = [secret.removeprefix(VERIFY_TOKEN) for secret in secrets if secret.startswith(VERIFY_TOKEN)]
    if not any([same_text(one, token) for one in known if one]):  # noqa: C419 - every one is compared, for constant time
        raise SignatureInvalid("token_mismatch", "the verify token is none of those configured")
    challenge = query.get("hub.challenge", "")[:MAX_CHALLENGE]
    return Answer(body=challenge.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")


def recognise(content: Content) -> Recognised:
    """Tell the type (object and field), and the key from the messages and statuses of the batch."""
    return Recognised(event_type=_TYPE.find(content), dedupe_key=_batch_key(content.body))


def _batch_key(body: Any) -> str | None:
    # A status has the id of the message it is about: sent, delivered and read share it.
    found: list[str] = []
    for entry in _listed(body, "entry"):
        for change in _listed(entry, "changes"):
            value = inside(change, "value")
            found += [f"message:{text_of(inside(one, 'id'))}" for one in _listed(value, "messages")]
            found += [
                f"status:{text_of(inside(one, 'id'))}:{text_of(inside(one, 'status'))}"
                for one in _listed(value, "statuses")
            ]
    return ",".join(sorted(found)) or None


def _listed(value: Any, name: str) -> list[Any]:
    found = inside(value, name)
    return found if isinstance(found, list) else []


def _query(url: str) -> Mapping[str, str]:
    try:
        pairs = parse_qs(urlsplit(url).query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise SignatureInvalid("url_malformed", "the URL of the request cannot be read") from None
    return {name: values[0] for name, values in pairs.items()}


META = Profile(
    name="meta",
    title="Meta (Graph API)",
    configured_with="the app secret; and the verify token of the subscription, written verify_token:TOKEN",
    scheme=AppSecretSignature(),
    recognise=recognise,
    challenge=answer_subscription,
    uncovered="Meta signs no time: de-duplication, which only messages and statuses allow, is what stops a replay.",
)
WHATSAPP = msgspec.structs.replace(META, name="whatsapp", title="WhatsApp")
