"""What a provider is to Ringback: how it signs, how its events are told apart, and how it wants to be answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ringback.model import Instant
from ringback.providers.recognition import Content, Recognised
from ringback.signing import Request, Scheme

Recognise = Callable[[Content], Recognised]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer a provider.

    ``visit`` is an address that somebody must open, once a person or a rule has approved of it, before the
    provider sends anything; nothing here opens it.
    """

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    visit: str | None = None


Challenge = Callable[[Scheme, Request, Sequence[str], Instant], Answer | None]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. To change a part, such as the scheme's tolerance, use ``msgspec.structs.replace``.

    Attributes:
        name: What it is called in settings, commands and handlers.
        title: What people call it.
        scheme: How it signs, with its parameters.
        recognise: How id, type and the key for de-duplication are found. It never raises.
        ack: The answer that counts as received.
        reject_status: The status for what does not verify.
        challenge: How it is answered when it tries the address out, None where it does not. Called before
            verification, with the scheme, the request, the secrets and the present instant; it verifies what must be
            verified (``SignatureInvalid``) and returns None for an ordinary event.
        configured_with: What its secret is and where it is found, for people.
        uncovered: What the scheme leaves open to forgery or replay, in one sentence for people.
        secret_headers: Headers that hold a secret, in lower case; they must not be stored.
    """

    name: str
    title: str
    scheme: Scheme
    recognise: Recognise
    ack: Answer = Answer()
    reject_status: int = 401
    challenge: Challenge | None = None
    configured_with: str = "the webhook's signing secret, as the provider shows it"
    uncovered: str | None = None
    secret_headers: tuple[str, ...] = ()


class Received(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request that verified, and what it is about.

    Attributes:
        event_id: The provider's id for the event, None where it sends none.
        event_type: What happened; None when the request is not understood.
        sent_at: When it was sent, where the signature says so.
        key: The index of the secret that fits.
        dedupe_key: The same for every delivery of one event. None when no two can be told to be one.
        business_key: Names the thing and the state it reached, whatever message tells it; where a provider's
            profile builds one, polling can build the same.
        is_test: Whether it is a ping or sample that the provider sends to try the address out.
        understood: Whether there is an event type.
    """

    event_id: str | None
    event_type: str | None
    sent_at: Instant | None
    key: int
    dedupe_key: str | None
    business_key: str | None
    is_test: bool
    understood: bool
