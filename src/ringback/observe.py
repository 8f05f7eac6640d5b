"""The catalogue of observable events, and the line's one way to tell of them.

Logging, metrics, tracing and the live view subscribe; the engine only says what happened. Secrets and payloads
never appear in an event.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from ringback.model import Attempt, Duration, Endpoint, Held, Message, Source


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of the catalogue."""


class MessageAccepted(Event, frozen=True):
    """A message is durable. ``waited`` is from the call to the commit, in seconds."""

    message: Message
    deliveries: int
    spilled: int
    waited: float


class MessageReplayed(Event, frozen=True):
    """A publish repeated with its idempotency key, or an event received again, was answered with the first message."""

    message: Message


class WebhookReceived(Event, frozen=True):
    """A source answered a webhook that verified.

    ``outcome`` is ``accepted``, ``repeated`` (it had come before) or ``not_stored`` (the provider is to send it
    again). ``held`` says why nothing handles it. ``seconds`` is from the request to its acknowledgement.
    ``message_id`` is that of the message as it was stored first, None where it was not.
    """

    source: Source
    outcome: str
    message_id: str | None
    held: Held | None
    seconds: float


class RequestRefused(Event, frozen=True):
    """A source refused a request; ``reason`` is machine-readable."""

    source: Source
    reason: str


class FoundByPoll(Event, frozen=True):
    """Asking a provider found an event whose webhook had not come. ``held`` says why nothing handles it."""

    source: Source
    event_type: str
    message_id: str
    held: Held | None


class PollFinished(Event, frozen=True):
    """A provider was asked for its events; ``news`` and ``unusable`` count what it told."""

    source: Source
    news: int
    unusable: int


class PollFailed(Event, frozen=True):
    """Asking a provider for its events failed; ``error`` is the name of the exception."""

    source: Source
    error: str


class AttemptFinished(Event, frozen=True):
    """An attempt ended. ``step`` is what follows, ``since_accepted`` counts from the message's acceptance."""

    attempt: Attempt
    endpoint: Endpoint
    event_type: str
    step: str
    due_at: int | None
    since_accepted: Duration


class DeliveryPostponed(Event, frozen=True):
    """A delivery was given back without an attempt; ``reason`` says why."""

    message_id: str
    endpoint_id: str
    application_id: str
    reason: str


class EndpointDisabled(Event, frozen=True):
    """An endpoint was disabled; ``reason`` is ``gone`` (410) or ``failing`` (no success for too long)."""

    endpoint: Endpoint
    reason: str


class Deed(enum.StrEnum):
    """What somebody did that others may ask about later."""

    SECRET_SHOWN = "secret shown"  # noqa: S105 - what was done with one
    SECRET_ROTATED = "secret rotated"  # noqa: S105 - as above
    KEY_MADE = "key made"
    KEY_REVOKED = "key revoked"
    PORTAL_LINK_MADE = "portal link made"
    PORTAL_ENDED = "portal sessions ended"
    CREDENTIALS_CHANGED = "credentials changed"
    CREDENTIALS_REMOVED = "credentials removed"
    FORWARD_MADE = "forward made"
    FORWARD_CHANGED = "forward changed"


class Audited(Event, frozen=True):
    """Somebody did something that others may ask about later.

    ``who`` is as ``Caller`` has it, and ``session_id`` that of a browser's or a portal's session; ``endpoint_id`` or
    ``token_id`` is what it was done to, and ``application_id`` whose that is.
    """

    deed: Deed
    who: str
    session_id: str | None = None
    application_id: str | None = None
    endpoint_id: str | None = None
    token_id: str | None = None


class CircuitChanged(Event, frozen=True):
    """An endpoint's circuit breaker opened (deliveries wait) or closed (they flow again)."""

    endpoint: Endpoint
    open: bool


class LeaseLost(Event, frozen=True):
    """An attempt ended after its lease had passed to another node; its record is kept as evidence."""

    message_id: str
    endpoint_id: str


class BatchTaken(Event, frozen=True):
    """Deliveries were leased from the store. ``seconds`` is how long that took."""

    count: int
    seconds: float


class BatchCommitted(Event, frozen=True):
    """One transaction was made durable. ``seconds`` is how long it took, ``rows`` the operations in it."""

    rows: int
    seconds: float


class StoreFailed(Event, frozen=True):
    """The store refused a transaction; its callers were told that the outcome is unknown."""

    error: str


class StepFailed(Event, frozen=True):
    """A step of the worker ended in an error that nobody foresaw: a bug. The worker goes on."""

    step: str
    error: Exception


class MessagesPruned(Event, frozen=True):
    """Retention removed messages."""

    count: int


CATALOGUE: tuple[type[Event], ...] = (
    MessageAccepted,
    MessageReplayed,
    WebhookReceived,
    RequestRefused,
    FoundByPoll,
    PollFinished,
    PollFailed,
    AttemptFinished,
    DeliveryPostponed,
    EndpointDisabled,
    Audited,
    CircuitChanged,
    LeaseLost,
    BatchTaken,
    BatchCommitted,
    StoreFailed,
    StepFailed,
    MessagesPruned,
)

E = TypeVar("E", bound=Event)


class Observer:
    """Passes events on to those who asked for their type. Subscribers must be quick and must not raise."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[..., None]]] = {kind: [] for kind in CATALOGUE}

    def subscribe(self, kind: type[E], subscriber: Callable[[E], None]) -> None:
        """Call *subscriber* with every event of *kind* from now on, on the thread where it happens."""
        self._subscribers[kind].append(subscriber)

    @contextlib.contextmanager
    def subscribed(self, kind: type[E], subscriber: Callable[[E], None]) -> Iterator[None]:
        """Call *subscriber* with every event of *kind* until the end of the block."""
        self.subscribe(kind, subscriber)
        try:
            yield
        finally:
            self._subscribers[kind] = [one for one in self._subscribers[kind] if one is not subscriber]

    def emit(self, event: Event) -> None:
        """Tell everyone who subscribed to this kind of event."""
        for subscriber in self._subscribers[type(event)]:
            subscriber(event)

    def wants(self, kind: type[Event]) -> bool:
        """Tell whether anyone subscribed to *kind*, so that costly events need not be built in vain."""
        return bool(self._subscribers[kind])
