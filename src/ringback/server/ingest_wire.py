"""The shapes of what comes in: those of Svix Ingest where it has them, with Ringback's additions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ringback.errors import FieldError, InvalidInput
from ringback.model import CustomAck, Delivery, Held, Message, Refusal, SkipReason, Source
from ringback.providers import PROVIDERS
from ringback.providers.ingest_types import INGEST_TYPES
from ringback.providers.meta import VERIFY_TOKEN
from ringback.server.wire import NO_CONTENT, Shape, content_of, moment
from ringback.source_drafts import SourceDraft
from ringback.sources import Fare

# Where the wire has what a draft has at its top.
_PLACES: dict[str | int, tuple[str, ...]] = {
    "provider": ("type",),
    **{name: ("config", name) for name in ("secrets", "url", "options", "ack")},
}


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Base of what is sent."""


class AckIn(Body):
    """What to answer the provider in place of its usual acknowledgement."""

    status: int = 200
    body: str = ""
    content_type: str | None = None


class ConfigIn(Body):
    """How a source verifies and answers. ``verifyToken`` is a second secret that Meta has."""

    secret: str | UnsetType | None = UNSET
    secrets: tuple[str, ...] | UnsetType | None = UNSET
    verify_token: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET
    options: dict[str, str] | UnsetType = UNSET
    ack: AckIn | UnsetType | None = UNSET


class SourceIn(Body):
    """A source to create, or to replace another with."""

    name: str
    type: str
    uid: str | None = None
    metadata: dict[str, str] | None = None
    config: ConfigIn = msgspec.field(default_factory=ConfigIn)


class SourcePatch(Body):
    """What of a source to change."""

    name: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    uid: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    config: ConfigIn = msgspec.field(default_factory=ConfigIn)


class AckOut(Shape):
    """What is answered in place of the provider's usual acknowledgement."""

    status: int
    body: str
    content_type: str | None


class SourceConfigOut(Shape):
    """How a source verifies and answers, without its secrets."""

    secret_count: int
    url: str | None
    options: dict[str, str]
    ack: AckOut | None


class SourceOut(Shape):
    """A source; ``provider`` is Ringback's own."""

    id: str
    uid: str | None
    name: str
    type: str
    ingest_url: str | None
    config: SourceConfigOut
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    provider: str


class RotateTokenIn(Body):
    """For how long the address that a source has stays good; null for 48 hours."""

    grace_period_seconds: int | None = None


class RotateTokenOut(Shape):
    """The new address of a source."""

    ingest_url: str


class EndpointLeft(Shape):
    """What waits at one endpoint of a source."""

    endpoint_id: str
    waiting: int
    retrying: int


class SourceStatsOut(Shape):
    """How a source fares."""

    received: int
    refused: int
    waiting: int
    retrying: int
    dead: int
    quarantined: int
    unhandled: int
    endpoints: list[EndpointLeft]


class ReceivedOut(Shape):
    """A message that a source received."""

    id: str
    event_type: str
    payload: Raw
    payload_base64: str | None
    timestamp: datetime
    headers: dict[str, str]
    event_id: str | None
    dedupe_key: str | None
    business_key: str | None
    sent_at: datetime | None
    secret_index: int | None
    is_test: bool
    understood: bool
    polled: bool
    held: Held | None
    skipped: dict[str, SkipReason]


class RefusalOut(Shape):
    """A request that a source refused."""

    id: str
    timestamp: datetime
    reason: str
    detail: str
    hints: tuple[str, ...]
    method: str
    header_names: tuple[str, ...]
    size: int
    more: int


class DeadLetterOut(Shape):
    """A delivery that was given up."""

    endpoint_id: str
    attempts: int
    reason: str | None
    message: ReceivedOut


class ReplayOut(Shape):
    """What a replay does, or would do."""

    messages: int
    deliveries: int
    pruned: int
    iterator: str | None
    done: bool


# --- From requests to drafts -------------------------------------------------------------------------------


def source_draft_of(body: SourceIn) -> SourceDraft:
    """Return the draft that a request for a whole source stands for.

    Raises:
        InvalidInput: The type is unknown.
    """
    fields = _type_fields(body.type) | _config_fields(body.config)
    return SourceDraft(name=body.name, uid=body.uid, metadata=body.metadata or {}, **fields)


def source_changes_of(body: SourcePatch) -> dict[str, Any]:
    """Return the fields of a ``SourceDraft`` that a request changes; raises as ``source_draft_of`` does."""
    changes = {
        name: value for name in ("name", "uid", "metadata") if (value := getattr(body, name)) is not UNSET
    }
    if isinstance(body.type, str):
        changes |= _type_fields(body.type)
    return changes | _config_fields(body.config)


def relocated(error: InvalidInput) -> InvalidInput:
    """Return *error* with the fields of a draft called as the wire calls them."""
    return InvalidInput(*(msgspec.structs.replace(field, loc=_place(field)) for field in error.fields))


def _place(field: FieldError) -> tuple[str | int, ...]:
    path = field.loc[1:] if field.loc[0] == "body" else field.loc
    return ("body", *_PLACES.get(path[0], (path[0],)), *path[1:]) if path else field.loc


def _type_fields(name: str) -> dict[str, Any]:
    provider = name if name in PROVIDERS else INGEST_TYPES.get(name)
    if provider is None:
        known = ", ".join(sorted({*PROVIDERS, *INGEST_TYPES}))
        raise InvalidInput.at("body", "type", msg=f"no type is called {name[:100]!r}; there are {known}")
    return {"provider": provider, "alias": None if provider == name else name}


def _config_fields(config: ConfigIn) -> dict[str, Any]:
    given = {name: value for name in ("url", "options") if (value := getattr(config, name)) is not UNSET}
    if config.ack is not UNSET:
        given["ack"] = None if config.ack is None else CustomAck(**msgspec.structs.asdict(config.ack))
    secrets = _secrets_of(config)
    return given if secrets is None else given | {"secrets": secrets}


def _secrets_of(config: ConfigIn) -> tuple[str, ...] | None:
    secrets = tuple(config.secrets or ())
    if config.secret:
        secrets = (config.secret, *secrets)
    if config.verify_token:
        secrets = (*secrets, VERIFY_TOKEN + config.verify_token)
    if config.secrets and not all(config.secrets):
        return secrets  # an empty one among them is refused
    return secrets or None


# --- From records to shapes --------------------------------------------------------------------------------


def source_out(record: Source, base: str) -> SourceOut:
    """Show a source, whose address is below *base*."""
    ack = record.ack
    return SourceOut(
        id=record.id,
        uid=record.uid,
        name=record.name,
        type=record.alias or record.provider,
        ingest_url=ingest_url(record, base),
        config=SourceConfigOut(
            secret_count=len(record.secrets),
            url=record.url,
            options=record.options,
            ack=None if ack is None else AckOut(**msgspec.structs.asdict(ack)),
        ),
        metadata=record.metadata,
        created_at=moment(record.created_at),
        updated_at=moment(record.updated_at),
        provider=record.provider,
    )


def source_stats_out(fare: Fare) -> SourceStatsOut:
    """Show how a source fares."""
    left = fare.left
    return SourceStatsOut(
        received=fare.received,
        refused=fare.refused,
        waiting=sum(left.waiting.values()),
        retrying=sum(left.retrying.values()),
        dead=left.dead,
        quarantined=left.quarantined,
        unhandled=left.unhandled,
        endpoints=[
            EndpointLeft(endpoint_id=key, waiting=count, retrying=left.retrying.get(key, 0))
            for key, count in sorted(left.waiting.items())
        ],
    )


def ingest_url(record: Source, base: str) -> str | None:
    """Return where a source receives, None where only a program's own inbox does."""
    return None if record.token is None else f"{base}/in/{record.token}"


def received_out(record: Message, *, with_content: bool = True) -> ReceivedOut:
    """Show a received message; its body, byte for byte, and its headers only *with_content*."""
    inbound = record.inbound
    assert inbound is not None  # noqa: S101 - whatever a source has was received
    payload, encoded = content_of(record.payload) if with_content else (NO_CONTENT, None)
    return ReceivedOut(
        id=record.id,
        event_type=record.event_type,
        payload=payload,
        payload_base64=encoded,
        timestamp=moment(record.created_at),
        headers=inbound.headers if with_content else {},
        event_id=inbound.event_id,
        dedupe_key=inbound.dedupe_key,
        business_key=inbound.business_key,
        sent_at=None if inbound.sent_at is None else moment(inbound.sent_at),
        secret_index=inbound.key,
        is_test=inbound.is_test,
        understood=inbound.understood,
        polled=inbound.polled,
        held=record.held,
        skipped=record.skipped,
    )


def refusal_out(record: Refusal) -> RefusalOut:
    """Show a refusal."""
    shown = msgspec.structs.asdict(record)
    del shown["source_id"]
    return RefusalOut(timestamp=moment(shown.pop("at")), **shown)


def dead_letter_out(delivery: Delivery, message: Message, *, with_content: bool) -> DeadLetterOut:
    """Show a delivery that was given up, with its message."""
    return DeadLetterOut(
        endpoint_id=delivery.endpoint_id,
        attempts=delivery.attempts,
        reason=delivery.reason,
        message=received_out(message, with_content=with_content),
    )
