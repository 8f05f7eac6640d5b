"""Log lines about what the engine says happened, for people or for machines.

Lines are written by a thread of their own: nobody who accepts or delivers ever waits for a terminal. When it
cannot keep up, lines are dropped and counted.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from ringback.config import Settings
from ringback.model import Attempt, OutcomeKind, iso
from ringback.observe import (
    AttemptFinished,
    Audited,
    CircuitChanged,
    Deed,
    DeliveryPostponed,
    EndpointDisabled,
    FoundByPoll,
    LeaseLost,
    MessageAccepted,
    MessagesPruned,
    Observer,
    PollFinished,
    RequestRefused,
    StepFailed,
    StoreFailed,
)
from ringback.policy import Step

MAX_LINES = 10_000
# Anybody can send what is refused: of each source and reason, so many lines are written in so many seconds.
REFUSED_SECONDS = 10.0
MAX_REFUSED = 1_000

logger = logging.getLogger("ringback.line")

Fields = dict[str, Any]


class _Lines(logging.handlers.QueueHandler):
    def __init__(self) -> None:
        super().__init__(queue.Queue(MAX_LINES))
        self._dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Pass a line on, or count it when too many wait."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logger.warning("log lines dropped", extra={"fields": {"count": dropped}})


class _Format(logging.Formatter):
    def __init__(self, render: Callable[[str, str, str, Fields], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record; an exception becomes one of its fields."""
        fields: Fields = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            fields["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        at = iso(round(record.created * 1000))
        # Libraries log here as well, some of them with line breaks.
        message = " ".join(record.getMessage().split())
        return self._render(at, record.levelname.lower(), message, fields)


def _json(at: str, level: str, message: str, fields: Fields) -> str:
    return msgspec.json.encode({"at": at, "level": level, "message": message, **fields}).decode()


def _text(at: str, level: str, message: str, fields: Fields) -> str:
    trace = fields.pop("traceback", "")
    told = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value is not None)
    return f"{at} {level:<7} {message} {told}".rstrip() + (f"\n{trace.rstrip()}" if trace else "")


def _value(value: object) -> str:
    text = str(value)
    # Some of it comes from receivers: it must not break out of its line.
    return text if text.isprintable() and " " not in text and text else repr(text)


def start_logging(settings: Settings, observer: Observer) -> Callable[[], None]:
    """Write log lines to standard error from now on; return what stops that, after the last line.

    Args:
        settings: ``log_level`` and ``log_format``.
        observer: Tells what happens.
    """
    lines = _Lines()
    lines.setFormatter(_Format(_json if settings.log_format == "json" else _text))
    root = logging.getLogger()
    root.addHandler(lines)
    root.setLevel(settings.log_level.upper())
    listener = logging.handlers.QueueListener(lines.queue, logging.StreamHandler(sys.stderr))
    listener.start()
    _subscribe(observer)

    def stop() -> None:
        root.removeHandler(lines)
        listener.stop()

    return stop


def _subscribe(observer: Observer) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        observer.subscribe(MessageAccepted, _accepted)
        observer.subscribe(DeliveryPostponed, _postponed)
        observer.subscribe(PollFinished, _polled)
    observer.subscribe(RequestRefused, _Refused(time.monotonic))
    observer.subscribe(FoundByPoll, _found_by_poll)
    observer.subscribe(AttemptFinished, _attempt)
    observer.subscribe(EndpointDisabled, _disabled)
    observer.subscribe(Audited, _audited)
    observer.subscribe(CircuitChanged, _circuit)
    observer.subscribe(LeaseLost, _lease_lost)
    observer.subscribe(StoreFailed, _store_failed)
    observer.subscribe(StepFailed, _step_failed)
    observer.subscribe(MessagesPruned, _pruned)


def _tell(level: int, message: str, /, **fields: object) -> None:
    if logger.isEnabledFor(level):
        logger.log(level, message, extra={"fields": fields})


def _accepted(event: MessageAccepted) -> None:
    message = event.message
    _tell(
        logging.DEBUG,
        "message accepted",
        message_id=message.id,
        application_id=message.application_id,
        event_type=message.event_type,
        deliveries=event.deliveries,
        spilled=event.spilled,
    )


class _Refused:
    """Writes one line about the refusals of a source for one reason, and how many there were since the last."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # When the next line may be written, and how many refusals wait to be told of in it.
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, event: RequestRefused) -> None:
        key, now = (event.source.id, event.reason), self._monotonic()
        with self._lock:
            if len(self._told) >= MAX_REFUSED and key not in self._told:
                self._told.clear()
            next_at, more = self._told.get(key, (now, 0))
            if now < next_at:
                self._told[key] = next_at, more + 1
                return
            self._told[key] = now + REFUSED_SECONDS, 0
        _tell(
            logging.INFO,
            "webhook refused",
            source=event.source.name,
            provider=event.source.provider,
            reason=event.reason,
            more=more or None,
        )


def _found_by_poll(event: FoundByPoll) -> None:
    _tell(
        logging.INFO,
        "found by poll before its webhook",
        source=event.source.name,
        event_type=event.event_type,
        message_id=event.message_id,
        held=event.held,
    )


def _polled(event: PollFinished) -> None:
    _tell(
        logging.DEBUG,
        "provider asked for its events",
        source=event.source.name,
        news=event.news,
        unusable=event.unusable or None,
    )


def _attempt(event: AttemptFinished) -> None:
    if event.endpoint.handler is not None:
        _run(event, event.endpoint.handler)
        return
    attempt = event.attempt
    level, words = _ATTEMPT[event.step]
    if logger.isEnabledFor(level):
        _tell(level, words, **_of(attempt, endpoint_id=attempt.endpoint_id), next_at=_next(event))


def _run(event: AttemptFinished, handler: str) -> None:
    # What a handler asks for itself is no failure.
    asked = event.step == Step.RETRY and event.attempt.outcome.kind is OutcomeKind.AGAIN
    level, words = _ASKED_FOR_AGAIN if asked else _RUN[event.step]
    if logger.isEnabledFor(level):
        _tell(level, words, handler=handler, **_of(event.attempt), next_at=_next(event))


def _of(attempt: Attempt, **whose: str) -> Fields:
    status = {} if attempt.outcome.status == 0 else {"status": attempt.outcome.status}
    return {
        "message_id": attempt.message_id,
        **whose,
        "attempt": attempt.number,
        "outcome": attempt.outcome.kind.value,
        "detail": attempt.outcome.detail or None,
        **status,
        "milliseconds": attempt.duration,
    }


def _next(event: AttemptFinished) -> str | None:
    return None if event.due_at is None else iso(event.due_at)


_ATTEMPT: dict[str, tuple[int, str]] = {
    Step.SUCCEED: (logging.DEBUG, "delivered"),
    Step.RETRY: (logging.INFO, "attempt failed"),
    Step.EXHAUST: (logging.WARNING, "delivery given up"),
}
_RUN: dict[str, tuple[int, str]] = {
    Step.SUCCEED: (logging.DEBUG, "handled"),
    Step.RETRY: (logging.WARNING, "handler failed"),
    Step.EXHAUST: (logging.WARNING, "handling given up"),
    Step.CANCEL: (logging.INFO, "discarded by its handler"),
}
_ASKED_FOR_AGAIN = logging.INFO, "to be handled again"


def _postponed(event: DeliveryPostponed) -> None:
    _tell(
        logging.DEBUG,
        "delivery postponed",
        message_id=event.message_id,
        endpoint_id=event.endpoint_id,
        reason=event.reason,
    )


def _disabled(event: EndpointDisabled) -> None:
    _tell(logging.WARNING, "endpoint disabled", endpoint_id=event.endpoint.id, reason=event.reason)


def _audited(event: Audited) -> None:
    # Platforms let people into portals and out again all day long.
    is_daily = event.deed in {Deed.PORTAL_LINK_MADE, Deed.PORTAL_ENDED}
    level = logging.INFO if is_daily else logging.WARNING
    fields = msgspec.structs.asdict(event)
    _tell(level, fields.pop("deed").value, **fields)


def _circuit(event: CircuitChanged) -> None:
    state = "open: deliveries wait" if event.open else "closed: deliveries flow again"
    _tell(logging.WARNING if event.open else logging.INFO, f"circuit {state}", endpoint_id=event.endpoint.id)


def _lease_lost(event: LeaseLost) -> None:
    _tell(
        logging.WARNING,
        "an attempt ended after its lease",
        message_id=event.message_id,
        endpoint_id=event.endpoint_id,
    )


def _store_failed(event: StoreFailed) -> None:
    _tell(logging.ERROR, "the store failed", error=event.error)


def _step_failed(event: StepFailed) -> None:
    fields = {"fields": {"step": event.step}}
    logger.error("a step of the worker failed; this is a bug", exc_info=event.error, extra=fields)


def _pruned(event: MessagesPruned) -> None:
    _tell(logging.INFO, "messages past their retention removed", count=event.count)
