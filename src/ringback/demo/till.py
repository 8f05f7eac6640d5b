"""What the shop's inbox does, one line per thing that happened: told at once, or waited for by the story.

A webhook's line says how long its acknowledgement took; a handler's, how long after the payment the order was
fulfilled. The payment's time is the one in the webhook's body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from ringback.demo.view import Line, Printer, seconds
from ringback.intake import ACCEPTED, REPEATED
from ringback.model import Attempt, Instant, Message
from ringback.observe import (
    AttemptFinished,
    Event,
    MessageAccepted,
    MessageReplayed,
    RequestRefused,
    WebhookReceived,
)
from ringback.policy import Step

HEARD: tuple[type[Event], ...] = (
    MessageAccepted,
    MessageReplayed,
    WebhookReceived,
    AttemptFinished,
    RequestRefused,
)
NOBODY = "webhook"
RECEIVED, AGAIN, FAILED, DONE, GAVE_UP, REFUSED = (
    "received",
    "repeated",
    "failed",
    "fulfilled",
    "gave up",
    "refused",
)


class Happening(msgspec.Struct, frozen=True):
    """One thing that happened to an order: what, told in which words and in which style."""

    order: str
    what: str
    text: str
    style: str = ""

    def line(self) -> Line:
        """Return it as it is printed."""
        return Line(f"{self.order:<10} {self.what:<9} {self.text}", self.style)


class Told(msgspec.Struct, frozen=True):
    """What is known of a webhook: the order that it is about, and when what it tells of happened."""

    order: str
    event_type: str
    happened_at: Instant | None


class Till:
    """Turns events of the shop's inbox into happenings.

    Args:
        show: Prints.
    """

    def __init__(self, show: Printer) -> None:
        self._show = show
        self._told: dict[str, Told] = {}
        self._early: dict[str, list[WebhookReceived]] = {}
        self._waiting: list[Happening] = []
        self._live = False
        self._happened = asyncio.Event()

    def note(self, event: Event) -> None:
        """Take an event into account, on the loop's thread; kinds that are not in ``HEARD`` are passed over."""
        for happening in self._happenings(event):
            if self._live:
                self._show(happening.line())
            else:
                self._waiting.append(happening)
                self._happened.set()

    async def until(self, what: str, order: str) -> Happening:
        """Show all that happened, and return once that has happened to the order."""
        while True:
            while self._waiting:
                happening = self._waiting.pop(0)
                self._show(happening.line())
                if (happening.what, happening.order) == (what, order):
                    return happening
            self._happened.clear()
            await self._happened.wait()

    def go_live(self) -> None:
        """Show what happens from now on at once: the story is over."""
        self._live = True
        while self._waiting:
            self._show(self._waiting.pop(0).line())

    def _happenings(self, event: Event) -> Iterator[Happening]:
        match event:
            case MessageAccepted(message=message) | MessageReplayed(message=message):
                self._remember(message)
                for early in self._early.pop(message.id, ()):
                    yield self._received(early)
            case WebhookReceived(message_id=str(message_id)) if message_id not in self._told:
                # A commit answers whoever waits for it before it tells of what it holds.
                self._early.setdefault(message_id, []).append(event)
            case WebhookReceived():
                yield self._received(event)
            case AttemptFinished() if event.endpoint.handler is not None:
                yield self._attempted(event)
            case RequestRefused():
                text = f"by the inbox, and nothing is stored: {event.reason.replace('_', ' ')}"
                yield Happening(NOBODY, REFUSED, text, "yellow")
            case _:
                pass

    def _remember(self, message: Message) -> None:
        if message.id in self._told:
            return
        # Of a message that was stored in an earlier run, only the id and the event type are told.
        body = _object_in(message.payload)
        order = str(body.get("external_id", NOBODY))
        self._told[message.id] = Told(order, message.event_type, _instant(body.get("paid_at")))

    def _received(self, event: WebhookReceived) -> Happening:
        told = self._about(event.message_id or "")
        took = f"{event.seconds * 1000:.1f} ms"
        if event.outcome == ACCEPTED:
            return Happening(
                told.order, RECEIVED, f"{told.event_type} on disk and acknowledged with 200 in {took}", "bold"
            )
        if event.outcome == REPEATED:
            text = f"its webhook-id is known: acknowledged with 200 in {took}, not handled again"
            return Happening(told.order, AGAIN, text, "green")
        return Happening(told.order, REFUSED, f"503 in {took}: it could not be stored", "red")

    def _attempted(self, event: AttemptFinished) -> Happening:
        attempt = event.attempt
        told = self._about(attempt.message_id)
        if event.step == Step.SUCCEED:
            ended = attempt.started_at + attempt.duration
            after = (
                "" if told.happened_at is None else f", {_span(ended - told.happened_at)} after the payment"
            )
            text = f"by the handler in {_took(attempt)}, attempt {attempt.number}{after}"
            return Happening(told.order, DONE, text, "green")
        why = f"the handler raised {attempt.outcome.detail} after {_took(attempt)}, attempt {attempt.number}"
        if event.due_at is None:
            return Happening(told.order, GAVE_UP, why, "red")
        wait = seconds(event.due_at - attempt.started_at - attempt.duration)
        return Happening(told.order, FAILED, f"{why}; next in {wait}", "yellow")

    def _about(self, message_id: str) -> Told:
        return self._told.get(message_id, Told(NOBODY, NOBODY, None))


def _took(attempt: Attempt) -> str:
    microseconds = attempt.outcome.phases.wait
    return f"{microseconds / 1000:.1f} ms" if microseconds else f"{max(1, attempt.duration)} ms"


def _span(duration: int) -> str:
    return f"{max(1, duration)} ms" if duration < 1000 else seconds(duration)  # noqa: PLR2004 - a second


def _object_in(payload: bytes | None) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(payload or b"")
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _instant(text: object) -> Instant | None:
    try:
        return round(datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return None
