"""Operational webhooks: what operators are told of their own installation, and in which words.

They are messages of one reserved application, whose endpoints the operators manage. Of those endpoints nothing is told,
nor of handlers and of what a sandbox plays.

Source: the events of Svix's operational webhooks and their fields. ``reason`` and the events of sources themselves are
Ringback's own.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from ringback import ids, policy
from ringback.model import Attempt, Endpoint, EndpointState, Instant, iso
from ringback.policy import Step

# Source: Svix, which tells of a message that fails at its fourth attempt.
FAILING_AFTER = 4
INGEST = "ingest."


class Turn(enum.StrEnum):
    """What an attempt means for its delivery, where that is worth telling."""

    FAILING = "message.attempt.failing"  # it has failed four times, and is tried again
    EXHAUSTED = "message.attempt.exhausted"  # it has failed for good
    RECOVERED = "message.attempt.recovered"  # it has succeeded after that was told


class Change(enum.StrEnum):
    """What happened to an endpoint."""

    CREATED = "endpoint.created"
    UPDATED = "endpoint.updated"
    DELETED = "endpoint.deleted"
    ENABLED = "endpoint.enabled"
    DISABLED = "endpoint.disabled"


class SourceChange(enum.StrEnum):
    """What happened to a source."""

    CREATED = "ingest.source.created"
    UPDATED = "ingest.source.updated"
    DELETED = "ingest.source.deleted"


EVENT_TYPES = frozenset(
    [
        *(f"{prefix}{kind}" for prefix in ("", INGEST) for kinds in (Change, Turn) for kind in kinds),
        *SourceChange,
    ]
)


class Event(msgspec.Struct, frozen=True):
    """Something to tell; the whole of it is the payload of a message."""

    type: str
    data: dict[str, Any]


class Owner(msgspec.Struct, frozen=True):
    """Whose an endpoint is: an application with its uid, or a source."""

    id: str
    uid: str | None = None


def created(owner: Owner, endpoint: Endpoint) -> Event:
    """Tell of a new endpoint."""
    return _of_endpoint(Change.CREATED, owner, endpoint)


def deleted(owner: Owner, endpoint: Endpoint) -> Event:
    """Tell of an endpoint that is no more."""
    return _of_endpoint(Change.DELETED, owner, endpoint)


def changed(owner: Owner, old: Endpoint, new: Endpoint) -> list[Event]:
    """Tell what became of an endpoint that somebody changed: nothing where it is as it was."""
    if msgspec.structs.replace(new, updated_at=old.updated_at) == old:
        return []
    events = [_of_endpoint(Change.UPDATED, owner, new)]
    if (new.state is EndpointState.DISABLED) == (old.state is EndpointState.DISABLED):
        return events
    if new.state is EndpointState.DISABLED:
        since = new.failing_since
        return [*events, _disabled(owner, new, since, "manual", new.disabled_reason)]
    return [*events, _of_endpoint(Change.ENABLED, owner, new)]


def gave_up(owner: Owner, endpoint: Endpoint, since: Instant | None, reason: str) -> Event:
    """Tell of an endpoint that was disabled for what it answered; *since* is when it began to fail."""
    return _disabled(owner, endpoint, since, "automatic", reason)


def source_changed(kind: SourceChange, source_id: str) -> Event:
    """Tell what happened to a source."""
    return Event(kind.value, {"sourceId": source_id})


def turn(endpoint: Endpoint, step: Step, attempts: int) -> Turn | None:
    """Say what an attempt means for its delivery, None where that is not worth telling.

    Args:
        endpoint: Where it was made.
        step: What follows from it.
        attempts: How many have been made, this one included.
    """
    found = None
    if step is Step.EXHAUST:
        found = Turn.EXHAUSTED
    elif step is Step.RETRY and attempts == FAILING_AFTER:
        found = Turn.FAILING
    elif step is Step.SUCCEED and attempts > FAILING_AFTER:
        found = Turn.RECOVERED
    return found if found is not None and is_told_of(endpoint) else None


def is_told_of(endpoint: Endpoint) -> bool:
    """Tell whether operators hear of deliveries to an endpoint."""
    return endpoint.application_id != ids.OPERATOR and policy.is_paced(endpoint)


def turned(kind: Turn, owner: Owner, event_id: str | None, attempt: Attempt) -> Event:
    """Tell of a delivery after an *attempt*; *event_id* is the message's."""
    data = {
        **_of_owner(owner),
        "msgId": attempt.message_id,
        "msgEventId": event_id,
        "endpointId": attempt.endpoint_id,
        "lastAttempt": {
            "id": attempt.id,
            "responseStatusCode": attempt.outcome.status,
            "timestamp": iso(attempt.started_at),
        },
    }
    return Event(_named(kind, owner), data)


def _disabled(
    owner: Owner, endpoint: Endpoint, since: Instant | None, trigger: str, reason: str | None
) -> Event:
    told = _of_endpoint(Change.DISABLED, owner, endpoint)
    why = {"failSince": None if since is None else iso(since), "trigger": trigger, "reason": reason}
    return Event(told.type, told.data | why)


def _of_endpoint(kind: Change, owner: Owner, endpoint: Endpoint) -> Event:
    data = {**_of_owner(owner), "endpointId": endpoint.id, "endpointUid": endpoint.uid}
    return Event(_named(kind, owner), data)


def _of_owner(owner: Owner) -> dict[str, Any]:
    if ids.is_id(ids.SOURCE, owner.id):
        return {"sourceId": owner.id}
    return {"appId": owner.id, "appUid": owner.uid}


def _named(kind: Change | Turn, owner: Owner) -> str:
    return f"{INGEST if ids.is_id(ids.SOURCE, owner.id) else ''}{kind}"
