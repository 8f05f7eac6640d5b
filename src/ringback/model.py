"""The values Ringback passes around, in its one vocabulary.

Instants are whole milliseconds since the Unix epoch, durations are whole milliseconds, unless a name or a
docstring says otherwise. Every value is frozen: a change is a new value.
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta

import msgspec

from ringback.credentials import Credentials

Instant = int
Duration = int

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class EndpointState(enum.StrEnum):
    """Whether an endpoint is being delivered to."""

    ENABLED = "enabled"
    PAUSED = "paused"  # deliveries are kept and wait until it is resumed
    DISABLED = "disabled"  # nothing is kept for it until it is enabled again


class HeaderFamily(enum.StrEnum):
    """Which names the signature headers carry."""

    WEBHOOK = "webhook"  # webhook-id, webhook-timestamp, webhook-signature (Standard Webhooks)
    SVIX = "svix"  # svix-id, svix-timestamp, svix-signature


class DeliveryState(enum.StrEnum):
    """Where a delivery stands; ``policy.TRANSITIONS`` says what may follow what."""

    WAITING = "waiting"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Standing(enum.StrEnum):
    """How a delivery goes, as those see it who do not know of leases."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"  # not tried yet
    SENDING = "sending"  # being tried, or to be tried again
    FAILED = "failed"
    CANCELLED = "cancelled"


class Trigger(enum.StrEnum):
    """What made an attempt happen."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"


class OutcomeKind(enum.StrEnum):
    """How an attempt ended."""

    SUCCESS = "success"  # answered with 2xx
    REFUSED = "refused"  # answered with anything else
    BLOCKED_ADDRESS = "blocked_address"  # the address may not be delivered to; nothing was sent
    DNS = "dns"  # the host name has no usable address
    CONNECT = "connect"  # no connection could be made
    TLS = "tls"  # the handshake or the certificate failed; detail names the kind
    TIMEOUT = "timeout"  # the deadline passed; detail names the phase
    RESET = "reset"  # the connection ended before a whole answer
    BAD_RESPONSE = "bad_response"  # the answer is not HTTP
    TOO_LARGE = "too_large"  # the answer's headers passed the bound
    AUTHORIZATION = "authorization"  # no token could be got to send along; nothing was sent
    TRANSFORMATION = "transformation"  # nothing to send came of the message; nothing was sent
    UNKNOWN = "unknown"  # the node that made the attempt vanished before it could tell
    RAISED = "raised"  # a handler ended in an exception; detail names its class, body holds the traceback
    AGAIN = "again"  # a handler asked to be called again later; body holds why
    DISCARDED = (
        "discarded"  # a handler or a transformation wants nothing more of this message; body holds why
    )


class SkipReason(enum.StrEnum):
    """Why a message was not sent to an endpoint."""

    EVENT_TYPE = "event_type"  # the endpoint does not listen to this event type
    CHANNEL = "channel"  # the endpoint listens to other channels
    DISABLED = "disabled"  # the endpoint was disabled when the message was accepted
    ADDRESSED = "addressed"  # the message was for one endpoint alone


class Held(enum.StrEnum):
    """Why nothing handles a received message."""

    QUARANTINED = "quarantined"  # it verified, but what it is about is not understood
    UNHANDLED = "unhandled"  # no handler and no endpoint of the source wants its event type


HANDLER_SCHEME = "handler:"
# In place of the address of an endpoint that has none: its messages are asked for. It is paused for ever.
POLLED = "poller:"


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant: the owner of endpoints and messages. ``throttle_rate`` is in messages per second."""

    id: str
    name: str
    created_at: Instant
    updated_at: Instant
    uid: str | None = None
    throttle_rate: int | None = None
    metadata: dict[str, str] = {}


class EndpointSecret(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A signing key in its text form (``whsec_`` or ``whsk_``) and when it stops signing (None: never)."""

    key: str
    expires_at: Instant | None = None

    def __repr__(self) -> str:
        return f"EndpointSecret({self.key[:6]}…, expires_at={self.expires_at})"


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a sender delivers that is rehearsed, where that is not Ringback's own way.

    Nothing is signed: what proves the sender is among the endpoint's headers. ``webhook-id`` is a UUID. Delays are kept
    to the letter, whatever the receiver asks for, and no endpoint is ever rested or disabled. Without
    ``retries_silence`` a receiver that does not answer in time is not tried again. With ``stamps_attempts`` the
    payload's ``created`` is the time of the attempt.
    """

    user_agent: str
    retries_silence: bool = False
    stamps_attempts: bool = False


class Transformation(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent in place of a message's payload: what an expression in JMESPath makes of it.

    ``variables`` are values that the expression may use by name.
    """

    code: str | None = None
    enabled: bool = False
    variables: dict[str, str] = {}
    updated_at: Instant | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A place that messages of one application are delivered to.

    ``event_types`` and ``channels`` of None match everything. ``throttle_rate`` is in messages per second.
    ``retry_schedule`` overrides the server's: the delays between attempts. ``secrets`` come current first.
    ``failing_since`` is the first failure since the last success. A URL of ``handler:NAME`` stands for a Python
    function of the application; ``ordered`` says that it takes messages with the same key one after the other, and of
    a place on the network that it gets all its messages so, in the order of acceptance. ``manner`` is that of the
    sender whom a sandbox plays. ``credentials`` are sent along, and of a message is sent what ``transformation`` makes
    of it.
    """

    id: str
    application_id: str
    url: str
    created_at: Instant
    updated_at: Instant
    secrets: tuple[EndpointSecret, ...]
    uid: str | None = None
    description: str = ""
    event_types: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    metadata: dict[str, str] = {}
    headers: dict[str, str] = {}
    throttle_rate: int | None = None
    retry_schedule: tuple[Duration, ...] | None = None
    header_family: HeaderFamily = HeaderFamily.WEBHOOK
    state: EndpointState = EndpointState.ENABLED
    disabled_reason: str | None = None
    failing_since: Instant | None = None
    ordered: bool = False
    manner: Manner | None = None
    credentials: Credentials | None = None
    transformation: Transformation | None = None

    @property
    def transformer(self) -> Transformation | None:
        """Its transformation, where that is to be used."""
        chosen = self.transformation
        return chosen if chosen is not None and chosen.enabled and chosen.code is not None else None

    @property
    def handler(self) -> str | None:
        """The name of the handler that this endpoint stands for, None where it is a place on the network."""
        return self.url[len(HANDLER_SCHEME) :] if self.url.startswith(HANDLER_SCHEME) else None

    @property
    def in_order(self) -> bool:
        """Whether it gets its messages one at a time, in the order of acceptance."""
        return self.ordered and self.handler is None


class NodeState(enum.StrEnum):
    """What is known of a node from its signs of life."""

    ALIVE = "alive"
    SILENT = "silent"  # it has given no sign of life for a while, and has not said that it stops
    STOPPED = "stopped"


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One process that uses a store: its *name* is that of its machine, its roles are ``api`` and ``worker``.

    ``seen_at`` is when it last gave a sign of life, ``stopped`` that this was its last.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    version: str
    started_at: Instant
    seen_at: Instant
    stopped: bool = False


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of message that endpoints can subscribe to; ``schemas`` maps a version to a JSON Schema.

    Of an application's own people, those know of it who have one of its feature flags, where it has any: the single
    flag of earlier clients, or those of later ones.
    """

    name: str
    description: str
    created_at: Instant
    updated_at: Instant
    archived: bool = False
    deprecated: bool = False
    schemas: dict[str, msgspec.Raw] | None = None
    feature_flag: str | None = None
    feature_flags: tuple[str, ...] | None = None
    group_name: str | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """Its feature flags."""
        single = () if self.feature_flag is None else (self.feature_flag,)
        return self.feature_flags or single

    def is_known_to(self, flags: frozenset[str] | None) -> bool:
        """Tell whether one with these feature *flags* (None: all) may know of it."""
        return flags is None or not self.flags or not flags.isdisjoint(self.flags)


class CustomAck(msgspec.Struct, frozen=True, kw_only=True):
    """What a source answers in place of its provider's usual acknowledgement. ``status`` is 200 to 299."""

    status: int = 200
    body: str = ""
    content_type: str | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An inbound door: who sends to it, and how that is verified.

    Messages and endpoints of a source are its own, as those of an application are. ``secrets`` are all accepted.
    ``token`` is the secret part of its address on the gateway; None where only a program's own inbox receives for
    it. ``url`` is the address as registered with the provider, for the schemes that sign it; None means the address
    that was called. ``options`` change parts of the provider's scheme, by name. ``alias`` is the name that whoever made
    the source has for the provider, where that is another.
    """

    id: str
    name: str
    provider: str
    created_at: Instant
    updated_at: Instant
    uid: str | None = None
    secrets: tuple[str, ...] = ()
    token: str | None = None
    url: str | None = None
    options: dict[str, str] = {}
    ack: CustomAck | None = None
    metadata: dict[str, str] = {}
    alias: str | None = None

    def __repr__(self) -> str:
        return f"Source(id={self.id!r}, name={self.name!r}, provider={self.provider!r})"


class Inbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a received message has beyond a published one.

    ``headers`` are the request's, without those that hold secrets. ``event_id`` is the provider's id. Deliveries of
    one event share ``dedupe_key``; ``business_key`` names the thing and the state it reached, whoever tells it.
    ``key`` is the index of the secret that fitted. ``polled`` marks what was found by asking the provider.
    """

    headers: dict[str, str]
    event_id: str | None = None
    dedupe_key: str | None = None
    business_key: str | None = None
    sent_at: Instant | None = None
    key: int | None = None
    is_test: bool = False
    understood: bool = True
    polled: bool = False


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a source refused, as far as it may be kept: no secret, no body.

    ``hints`` are what a person can do about it. ``more`` counts refusals since the one before that were not kept.
    """

    id: str
    source_id: str
    at: Instant
    reason: str
    detail: str
    hints: tuple[str, ...] = ()
    method: str = "POST"
    header_names: tuple[str, ...] = ()
    size: int = 0
    more: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened, exactly as it was published or received. ``payload`` of None has been pruned.

    ``skipped`` maps the id of each endpoint that gets nothing to the reason; ``*`` stands for all but one. Nothing is
    delivered before ``deliver_at``.
    """

    id: str
    application_id: str
    event_type: str
    payload: bytes | None
    created_at: Instant
    event_id: str | None = None
    channels: tuple[str, ...] | None = None
    skipped: dict[str, SkipReason] = {}
    inbound: Inbound | None = None
    held: Held | None = None
    tags: tuple[str, ...] | None = None
    deliver_at: Instant | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way to one endpoint.

    ``attempts`` counts those made since the delivery was created or last resent. ``due_at`` is when it may be
    taken next: the time of the next attempt while waiting, the end of the lease while leased, None at rest.
    """

    message_id: str
    endpoint_id: str
    state: DeliveryState
    attempts: int
    due_at: Instant | None
    trigger: Trigger = Trigger.SCHEDULED
    reason: str | None = None

    @property
    def standing(self) -> Standing:
        """How it goes."""
        if self.state is DeliveryState.LEASED:
            return Standing.SENDING
        if self.state is DeliveryState.WAITING:
            return Standing.SENDING if self.attempts else Standing.PENDING
        return Standing(self.state.value)


class Phases(msgspec.Struct, frozen=True, gc=False):
    """How long each phase of an attempt took, in microseconds; 0 where it did not happen."""

    dns: int = 0
    connect: int = 0
    tls: int = 0
    write: int = 0
    wait: int = 0
    read: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came of an attempt.

    ``detail`` is a machine-readable refinement of ``kind``. ``status`` is the HTTP status, 0 without an answer.
    ``body`` is the start of the answer. ``retry_after`` is what the receiver asked for, from the answer's time.
    """

    kind: OutcomeKind
    detail: str = ""
    status: int = 0
    body: bytes = b""
    retry_after: Duration | None = None
    phases: Phases = Phases()

    @property
    def ok(self) -> bool:
        """Whether the delivery succeeded."""
        return self.kind is OutcomeKind.SUCCESS


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a delivery: when it started, how long it took and what came of it."""

    id: str
    message_id: str
    endpoint_id: str
    number: int
    trigger: Trigger
    url: str
    started_at: Instant
    duration: Duration
    outcome: Outcome


def instant_of(moment: datetime) -> Instant:
    """Return a datetime as an instant; without an offset it is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _UNIX_EPOCH) // _MILLISECOND


def iso(instant: Instant) -> str:
    """Write an instant as RFC 3339 in UTC, such as ``2026-03-02T04:05:06.789Z``."""
    moment = datetime.fromtimestamp(instant / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
