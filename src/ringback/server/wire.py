"""What the API answers with: the shapes of the Svix wire format, with Ringback's additions.

Instants leave as RFC 3339 in UTC with milliseconds or better; everything is camelCase.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar, Union

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ringback.drafts import Draft
from ringback.ids import EPOCH_MS
from ringback.model import (
    Application,
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointState,
    EventType,
    Instant,
    Message,
    NodeState,
    Phases,
    Registration,
    SkipReason,
    Standing,
    Trigger,
    instant_of,
)
from ringback.policy import node_state
from ringback.secrecy import masked_url
from ringback.store import Spell, Tally, Task

T = TypeVar("T")

# Ids carry their time in 32 bits of seconds, so this is where time ends for everything that has an id.
LAST_INSTANT = EPOCH_MS + (2**32 - 1) * 1000

NULL = Raw(b"null")
NO_CONTENT = Raw(b"{}")
EXPIRED = Raw(b'{"expired":true}')

VERSION = 1  # of every endpoint

# Svix's MessageStatus, number and text.
SUCCESS = (0, "success")
PENDING = (1, "pending")
FAIL = (2, "fail")
SENDING = (3, "sending")
CANCELED = (4, "canceled")

STATUSES = {
    Standing.SUCCEEDED: SUCCESS,
    Standing.PENDING: PENDING,
    Standing.FAILED: FAIL,
    Standing.SENDING: SENDING,
    Standing.CANCELLED: CANCELED,
}


def moment(instant: Instant) -> datetime:
    """Return *instant* as a datetime in UTC."""
    return datetime.fromtimestamp(instant / 1000, UTC)


def instant(value: datetime) -> Instant:
    """Return a datetime as an instant, within the time that ids can express; without an offset it is UTC."""
    return min(max(instant_of(value), EPOCH_MS), LAST_INSTANT)


class Shape(msgspec.Struct, rename="camel", kw_only=True, gc=False):
    """Base of what is answered."""


class ApplicationOut(Shape):
    """An application; for ``rate_limit``, see ``EndpointOut``."""

    id: str
    uid: str | None
    name: str
    throttle_rate: int | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    rate_limit: int | None


class EndpointOut(Shape):
    """An endpoint; ``state`` and what follows are Ringback's own.

    ``filter_types``, ``rate_limit`` and ``version`` are what Svix clients before 2.0 look for: the event types and the
    throttle rate by their earlier names, and a number that has no meaning any more.
    """

    id: str
    uid: str | None
    url: str
    description: str
    disabled: bool
    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    throttle_rate: int | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    filter_types: tuple[str, ...] | None
    rate_limit: int | None
    version: int
    state: str
    disabled_reason: str | None
    failing_since: datetime | None
    retry_schedule: tuple[float, ...] | None
    header_family: str
    ordered: bool


class EventTypeOut(Shape):
    """An event type."""

    name: str
    description: str
    archived: bool
    deprecated: bool
    schemas: dict[str, Raw] | None
    feature_flag: str | None
    feature_flags: tuple[str, ...] | None
    group_name: str | None
    created_at: datetime
    updated_at: datetime


class MessageOut(Shape):
    """A message."""

    id: str
    event_id: str | None
    event_type: str
    channels: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    payload: Raw
    timestamp: datetime
    deliver_at: datetime | None


class EndpointMessageOut(Shape):
    """A message and where it stands at one endpoint."""

    id: str
    event_id: str | None
    event_type: str
    channels: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    payload: Raw
    timestamp: datetime
    deliver_at: datetime | None
    status: int
    status_text: str
    next_attempt: datetime | None


class CancelOut(Shape):
    """How many deliveries were cancelled; Ringback's own."""

    canceled: int


class EndpointStats(Shape):
    """How an endpoint fared in a window of time."""

    success: int
    pending: int
    fail: int
    sending: int
    canceled: int


class AttemptSpell(Shape):
    """Attempts in one step of a window, by what came of them; Ringback's own."""

    since: datetime
    success: int
    fail: int
    canceled: int


class EndpointAttemptStats(Shape):
    """Attempts in a window of time, by what came of them; ``steps`` are Ringback's own, None unless asked for."""

    success: int
    fail: int
    canceled: int
    steps: tuple[AttemptSpell, ...] | None


class MessageEndpointOut(Shape):
    """Where a message stands at one endpoint; ``state``, ``reason`` and ``attempts`` are Ringback's own.

    For ``filter_types``, ``rate_limit`` and ``version``, see ``EndpointOut``.
    """

    id: str
    uid: str | None
    url: str
    description: str
    disabled: bool
    event_types: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    throttle_rate: int | None
    created_at: datetime
    updated_at: datetime
    filter_types: tuple[str, ...] | None
    rate_limit: int | None
    version: int
    status: int
    status_text: str
    next_attempt: datetime | None
    state: str
    reason: str | None
    attempts: int


class NodeOut(Shape):
    """A process that uses the store; Ringback's own."""

    id: str
    name: str
    roles: tuple[str, ...]
    version: str
    state: NodeState
    started_at: datetime
    seen_at: datetime


class SkippedOut(Shape):
    """An endpoint that the message is not for, and why."""

    endpoint_id: str
    reason: SkipReason


class MessageAttemptOut(Shape):
    """An attempt; ``outcome`` and what follows are Ringback's own, ``phases`` in microseconds."""

    id: str
    msg_id: str
    endpoint_id: str
    url: str
    status: int
    status_text: str
    response: str
    response_status_code: int
    response_duration_ms: int
    timestamp: datetime
    trigger_type: int
    outcome: str
    detail: str
    number: int
    phases: Phases
    msg: MessageOut | None


class SecretOut(Shape):
    """The key that a receiver verifies with."""

    key: str


class HeadersOut(Shape):
    """An endpoint's own headers, and the names of those whose values are not shown."""

    headers: dict[str, str]
    sensitive: list[str]


class RecoverOut(Shape):
    """A task that was begun."""

    id: str
    status: str
    task: str
    updated_at: datetime


class Listing(Shape, Generic[T]):
    """A page: ``iterator`` leads on, ``prev_iterator`` leads back, ``done`` says nothing more lies ahead."""

    data: list[T]
    iterator: str | None
    prev_iterator: str | None
    done: bool


class DestinationListing(Listing[MessageEndpointOut]):
    """A page of a message's deliveries, with every endpoint that the message skipped."""

    skipped: list[SkippedOut]


class Rows(Shape, Generic[T]):
    """A list that is shown whole."""

    data: list[T]


class EmptyResponse(Shape):
    """Nothing: it was accepted, and there is no more to say."""


class HealthOut(Shape):
    """This node is well."""

    status: Literal["ok"] = "ok"


# --- From records to shapes --------------------------------------------------------------------------------


def application_out(record: Application) -> ApplicationOut:
    """Show an application."""
    return ApplicationOut(
        id=record.id,
        uid=record.uid,
        name=record.name,
        throttle_rate=record.throttle_rate,
        metadata=record.metadata,
        created_at=moment(record.created_at),
        updated_at=moment(record.updated_at),
        rate_limit=record.throttle_rate,
    )


def node_out(node: Registration, now: Instant) -> NodeOut:
    """Show a node as it stands at an instant."""
    return NodeOut(
        id=node.id,
        name=node.name,
        roles=node.roles,
        version=node.version,
        state=node_state(node, now),
        started_at=moment(node.started_at),
        seen_at=moment(node.seen_at),
    )


def endpoint_out(record: Endpoint, *, whole: bool) -> EndpointOut:
    """Show an endpoint, without its secrets and headers; a password in its URL only if it is shown *whole*."""
    schedule = record.retry_schedule
    return EndpointOut(
        **_endpoint_facts(record, record.url if whole else masked_url(record.url)),
        metadata=record.metadata,
        state=record.state,
        disabled_reason=record.disabled_reason,
        failing_since=None if record.failing_since is None else moment(record.failing_since),
        retry_schedule=None if schedule is None else tuple(delay / 1000 for delay in schedule),
        header_family=record.header_family,
        ordered=record.ordered,
    )


def event_type_out(record: EventType, *, with_content: bool = True) -> EventTypeOut:
    """Show an event type; its schemas only *with_content*."""
    return EventTypeOut(
        name=record.name,
        description=record.description,
        archived=record.archived,
        deprecated=record.deprecated,
        schemas=record.schemas if with_content else None,
        feature_flag=next(iter(record.flags), None),
        feature_flags=record.flags or None,
        group_name=record.group_name,
        created_at=moment(record.created_at),
        updated_at=moment(record.updated_at),
    )


def message_out(record: Message, *, with_content: bool = True) -> MessageOut:
    """Show a message; its payload, byte for byte, only *with_content*."""
    shown = NO_CONTENT
    if with_content:
        shown = EXPIRED if record.payload is None else Raw(record.payload)
        if record.inbound is not None:
            shown = _received(record.payload)
    return MessageOut(
        id=record.id,
        event_id=record.event_id,
        event_type=record.event_type,
        channels=record.channels,
        tags=record.tags,
        payload=shown,
        timestamp=moment(record.created_at),
        deliver_at=None if record.deliver_at is None else moment(record.deliver_at),
    )


def content_of(body: bytes | None) -> tuple[Raw, str | None]:
    """Return a received body as JSON where it is that, and else as null and in base64."""
    if body is None:
        return EXPIRED, None
    try:
        body.decode()
        return msgspec.json.decode(body, type=Raw), None
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return NULL, base64.b64encode(body).decode()


def _received(body: bytes | None) -> Raw:
    """Return a received body as an object of JSON, whatever it is."""
    shown, encoded = content_of(body)
    if encoded is not None:
        return Raw(msgspec.json.encode({"base64": encoded}))
    return shown


def destination_out(delivery: Delivery, endpoint: Endpoint, *, expanded: bool) -> MessageEndpointOut:
    """Show a delivery; Svix clients know the status "canceled" only when they ask for *expanded* ones."""
    return MessageEndpointOut(
        **_endpoint_facts(endpoint, masked_url(endpoint.url)),
        **_standing_facts(delivery, expanded=expanded),
        state=delivery.state,
        reason=delivery.reason,
        attempts=delivery.attempts,
    )


def endpoint_message_out(
    delivery: Delivery, message: Message, *, expanded: bool, with_content: bool
) -> EndpointMessageOut:
    """Show a message with where it stands; for *expanded*, see ``destination_out``."""
    shown = msgspec.structs.asdict(message_out(message, with_content=with_content))
    return EndpointMessageOut(**shown, **_standing_facts(delivery, expanded=expanded))


def stats_out(tally: Tally) -> EndpointStats:
    """Show how an endpoint fared."""
    return EndpointStats(
        success=tally.succeeded,
        pending=tally.pending,
        fail=tally.failed,
        sending=tally.sending,
        canceled=tally.cancelled,
    )


def attempt_stats_out(spells: Sequence[Spell], *, stepwise: bool) -> EndpointAttemptStats:
    """Show attempts in a window, and those of each of its steps if *stepwise*."""
    steps = [
        AttemptSpell(since=moment(one.since), success=one.succeeded, fail=one.failed, canceled=one.cancelled)
        for one in spells
    ]
    return EndpointAttemptStats(
        success=sum(one.success for one in steps),
        fail=sum(one.fail for one in steps),
        canceled=sum(one.canceled for one in steps),
        steps=tuple(steps) if stepwise else None,
    )


def attempt_out(
    record: Attempt, message: Message | None = None, *, with_content: bool = True
) -> MessageAttemptOut:
    """Show an attempt, with its message if given; the start of the receiver's answer only *with_content*."""
    outcome = record.outcome
    number, text = SUCCESS if outcome.ok else FAIL
    return MessageAttemptOut(
        id=record.id,
        msg_id=record.message_id,
        endpoint_id=record.endpoint_id,
        url=masked_url(record.url),
        status=number,
        status_text=text,
        response=outcome.body.decode(errors="replace") if with_content else "",
        response_status_code=outcome.status,
        response_duration_ms=record.duration,
        timestamp=moment(record.started_at),
        trigger_type=int(record.trigger is Trigger.MANUAL),
        outcome=outcome.kind,
        detail=outcome.detail,
        number=record.number,
        phases=outcome.phases,
        msg=None if message is None else message_out(message, with_content=with_content),
    )


def recover_out(task: Task) -> RecoverOut:
    """Show a task that was begun."""
    return RecoverOut(
        id=task.id,
        status="failed" if task.failure else "finished" if task.done else "running",
        task=task.kind,
        updated_at=moment(task.updated_at),
    )


def _endpoint_facts(record: Endpoint, url: str) -> dict[str, Any]:
    return {
        "id": record.id,
        "uid": record.uid,
        "url": url,
        "description": record.description,
        "disabled": record.state is EndpointState.DISABLED,
        "event_types": record.event_types,
        "channels": record.channels,
        "throttle_rate": record.throttle_rate,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "filter_types": record.event_types,
        "rate_limit": record.throttle_rate,
        "version": VERSION,
    }


def _standing_facts(delivery: Delivery, *, expanded: bool) -> dict[str, Any]:
    number, text = STATUSES[delivery.standing]
    if not expanded and delivery.standing is Standing.CANCELLED:
        number, text = FAIL
    waits = delivery.state is DeliveryState.WAITING and delivery.due_at is not None
    return {
        "status": number,
        "status_text": text,
        "next_attempt": moment(delivery.due_at or 0) if waits else None,
    }


# --- Partial drafts ----------------------------------------------------------------------------------------


def partial(
    draft: type[Draft], name: str, *, without: Collection[str] = (), optional: Collection[str] | None = None
) -> type[msgspec.Struct]:
    """Derive the shape of a PATCH or PUT body from a draft: absent, null and a value are three things.

    Args:
        draft: The draft, whose rules the result is checked by later.
        name: What to call the shape.
        without: Fields that cannot be given this way.
        optional: Fields that may be absent; None means all of them.
    """
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in msgspec.structs.fields(draft):
        if field.name in without:
            continue
        if optional is None or field.name in optional:
            fields.append((field.name, Union[field.type, UnsetType], UNSET))  # noqa: UP007 - the types are values
        elif field.required:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, field.type, _default_of(field)))
    return msgspec.defstruct(
        name,
        fields,
        rename="camel",
        forbid_unknown_fields=True,
        kw_only=True,
        namespace={"aliases": draft.aliases},
    )


def given(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a partial body that are there, null included."""
    values = ((name, getattr(body, name)) for name in body.__struct_fields__)
    return {name: value for name, value in values if value is not UNSET}


def _default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default
