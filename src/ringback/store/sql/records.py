"""How records become rows and come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ringback.credentials import Credentials
from ringback.model import (
    Application,
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointSecret,
    EndpointState,
    EventType,
    Held,
    Inbound,
    Instant,
    Message,
    Outcome,
    OutcomeKind,
    Phases,
    SkipReason,
    Transformation,
    Trigger,
)
from ringback.store.sql.tables import Row
from ringback.vault import NONCE_BYTES, Vault

ENDPOINT_COLUMNS = (
    "e.record, e.state, e.disabled_reason, e.failing_since, e.secrets,"
    " (SELECT o.sealed FROM ringback_endpoint_option o WHERE o.endpoint_key = e.key)"
)
MESSAGE_COLUMNS = (
    "m.id, m.event_type, m.event_id, m.channels, m.created_at, m.skipped, m.payload, m.inbound, m.held,"
    " (SELECT terms.record FROM ringback_terms terms WHERE terms.message_key = m.key)"
)
DELIVERY_COLUMNS = "d.state, d.attempts, d.due_at, d.trigger, d.reason"
ATTEMPT_COLUMNS = (
    "a.id, m.id, e.id, a.number, a.trigger, a.url, a.started_at, a.duration,"
    " a.kind, a.detail, a.status, a.phases, a.body"
)
# The same without the answer: in SQLite, long ones lie apart from the rest of their rows, and are not read for this.
UNANSWERED_ATTEMPT_COLUMNS = ATTEMPT_COLUMNS.replace("a.body", "substr(a.body, 1, 0)")


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said of how an endpoint is sent to."""

    credentials: Credentials | None = None
    transformation: Transformation | None = None


NO_OPTIONS = Options()

_encode = msgspec.json.encode
_application = msgspec.json.Decoder(Application)
_endpoint = msgspec.json.Decoder(Endpoint)
_event_type = msgspec.json.Decoder(EventType)
_secrets = msgspec.json.Decoder(tuple[EndpointSecret, ...])
_options = msgspec.json.Decoder(Options)
_names = msgspec.json.Decoder(tuple[str, ...])
_skipped = msgspec.json.Decoder(dict[str, SkipReason])
_inbound = msgspec.json.Decoder(Inbound)


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What few messages have; kept apart, so that it costs the others nothing."""

    tags: tuple[str, ...] | None = None
    deliver_at: Instant | None = None


_terms = msgspec.json.Decoder(Terms)
_NO_TERMS = Terms()


def application_of(record: bytes) -> Application:
    """Read an application."""
    return _application.decode(record)


def event_type_of(record: bytes) -> EventType:
    """Read an event type."""
    return _event_type.decode(record)


def endpoint_record(endpoint: Endpoint) -> bytes:
    """Return what is kept of an endpoint as JSON: all but its secrets and what has a column."""
    bare = msgspec.structs.replace(
        endpoint,
        secrets=(),
        state=EndpointState.ENABLED,
        disabled_reason=None,
        failing_since=None,
        credentials=None,
        transformation=None,
    )
    return _encode(bare)


def sealed_secrets(endpoint: Endpoint, vault: Vault, nonce: bytes) -> bytes:
    """Return an endpoint's secrets as they are kept."""
    assert len(nonce) == NONCE_BYTES  # noqa: S101 - a shorter one would not be encryption
    return vault.seal(_encode(endpoint.secrets).decode(), nonce, endpoint.id)


def sealed_options(endpoint: Endpoint, vault: Vault, entropy: Callable[[int], bytes]) -> bytes | None:
    """Return how an endpoint is sent to as it is kept; None where nothing is said of that."""
    options = Options(endpoint.credentials, endpoint.transformation)
    if options == NO_OPTIONS:
        return None
    return vault.seal(_encode(options).decode(), entropy(NONCE_BYTES), _context_of_options(endpoint.id))


def endpoint_of(row: Row, vault: Vault) -> Endpoint:
    """Read an endpoint from ``ENDPOINT_COLUMNS``."""
    record, state, disabled_reason, failing_since, sealed, sealed_options = row
    bare = _endpoint.decode(record)
    options = NO_OPTIONS
    if sealed_options is not None:
        options = _options.decode(vault.open(sealed_options, _context_of_options(bare.id)))
    return msgspec.structs.replace(
        bare,
        state=EndpointState(state),
        disabled_reason=disabled_reason,
        failing_since=failing_since,
        secrets=_secrets.decode(vault.open(sealed, bare.id)),
        credentials=options.credentials,
        transformation=options.transformation,
    )


def _context_of_options(endpoint_id: str) -> str:
    # What is sealed as one of an endpoint's secrets does not open as another.
    return f"{endpoint_id}/options"


def message_of(row: Row, application_id: str) -> Message:
    """Read a message from ``MESSAGE_COLUMNS``."""
    message_id, event_type, event_id, channels, created_at, skipped, payload, inbound, held, record = row
    terms = terms_of(record)
    return Message(
        id=message_id,
        application_id=application_id,
        event_type=event_type,
        payload=payload,
        created_at=created_at,
        event_id=event_id,
        channels=None if channels is None else _names.decode(channels),
        skipped={} if skipped is None else _skipped.decode(skipped),
        inbound=inbound_of(inbound),
        held=None if held is None else Held(held),
        tags=terms.tags,
        deliver_at=terms.deliver_at,
    )


def terms_of(record: bytes | None) -> Terms:
    """Read what few messages have."""
    return _NO_TERMS if record is None else _terms.decode(record)


def terms_record(message: Message) -> bytes | None:
    """Return what few messages have as it is kept, None where this one has nothing of it."""
    if message.tags is None and message.deliver_at is None:
        return None
    return _encode(Terms(message.tags, message.deliver_at))


def inbound_of(record: bytes | None) -> Inbound | None:
    """Read what a received message has beyond a published one."""
    return None if record is None else _inbound.decode(record)


def inbound_record(inbound: Inbound | None) -> bytes | None:
    """Return what a received message has beyond a published one as it is kept."""
    return None if inbound is None else _encode(inbound)


def names_text(names: tuple[str, ...] | None) -> str | None:
    """Return channels as they are kept."""
    return None if names is None else _encode(names).decode()


def names_of(text: str | None) -> tuple[str, ...] | None:
    """Read channels."""
    return None if text is None else _names.decode(text)


def skipped_of(text: str | None) -> dict[str, SkipReason]:
    """Read the endpoints that get nothing."""
    return {} if text is None else _skipped.decode(text)


def skipped_text(skipped: dict[str, SkipReason]) -> str | None:
    """Return the endpoints that get nothing as they are kept."""
    return _encode(skipped).decode() if skipped else None


def delivery_of(row: Row, message_id: str, endpoint_id: str) -> Delivery:
    """Read a delivery from ``DELIVERY_COLUMNS``."""
    state, attempts, due_at, trigger, reason = row
    return Delivery(
        message_id=message_id,
        endpoint_id=endpoint_id,
        state=DeliveryState(state),
        attempts=attempts,
        due_at=due_at,
        trigger=Trigger(trigger),
        reason=reason,
    )


def attempt_row(key: tuple[int, int], attempt: Attempt) -> tuple[Any, ...]:
    """Return the row of an attempt at the delivery *key*."""
    outcome, phases = attempt.outcome, attempt.outcome.phases
    return (
        key[0],
        attempt.id,
        key[1],
        attempt.number,
        attempt.trigger.value,
        attempt.url,
        attempt.started_at,
        attempt.duration,
        outcome.kind.value,
        outcome.detail,
        outcome.status,
        f"{phases.dns},{phases.connect},{phases.tls},{phases.write},{phases.wait},{phases.read}",
        outcome.body,
    )


def attempt_of(row: Row) -> Attempt:
    """Read an attempt from ``ATTEMPT_COLUMNS``."""
    (attempt_id, message_id, endpoint_id, number, trigger, url, started_at, duration, *rest) = row
    kind, detail, status, phases, body = rest
    return Attempt(
        id=attempt_id,
        message_id=message_id,
        endpoint_id=endpoint_id,
        number=number,
        trigger=Trigger(trigger),
        url=url,
        started_at=started_at,
        duration=duration,
        outcome=Outcome(
            kind=OutcomeKind(kind),
            detail=detail,
            status=status,
            body=body,
            phases=Phases(*map(int, phases.split(","))),
        ),
    )
