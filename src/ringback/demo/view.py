"""Tells what the engine does, one line per thing that happened.

A message has a number of its own, so that a line about an attempt stays short; its id is shown when it is
accepted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import msgspec

from ringback.config import colour_wanted
from ringback.model import Attempt, Duration
from ringback.observe import (
    AttemptFinished,
    DeliveryPostponed,
    EndpointDisabled,
    Event,
    MessageAccepted,
    MessageReplayed,
    StoreFailed,
)
from ringback.policy import Step

SHOWN: tuple[type[Event], ...] = (
    MessageAccepted,
    MessageReplayed,
    AttemptFinished,
    DeliveryPostponed,
    EndpointDisabled,
    StoreFailed,
)


class Line(msgspec.Struct, frozen=True):
    """A line to print, and the style it has where there is colour."""

    text: str
    style: str = ""


Printer = Callable[[Line], None]


class View:
    """Turns events into lines; *names* has a short name for the id of each endpoint that has one."""

    def __init__(self, names: Mapping[str, str], show: Printer) -> None:
        self._names = names
        self._show = show
        self._numbers: dict[str, int] = {}

    def tell(self, event: Event) -> None:
        """Show what *event* means; kinds that are not in ``SHOWN`` are passed over."""
        match event:
            case MessageAccepted():
                self._show(self._accepted(event))
            case MessageReplayed():
                self._show(
                    Line(f"{self._number(event.message.id)} repeated  answered with the first message")
                )
            case AttemptFinished():
                self._show(self._attempted(event))
            case DeliveryPostponed():
                name = self._name(event.endpoint_id)
                self._show(
                    Line(f"{self._number(event.message_id)} postponed {name:<8} {event.reason}", "yellow")
                )
            case EndpointDisabled():
                self._show(Line(f"    disabled  {self._name(event.endpoint.id):<8} {event.reason}", "red"))
            case StoreFailed():
                self._show(Line(f"    the store failed: {event.error}", "red"))
            case _:
                pass

    def _accepted(self, event: MessageAccepted) -> Line:
        message = event.message
        number = self._number(message.id)
        text = (
            f"{number} accepted  {message.event_type} {message.id}: durable in {event.waited * 1000:.1f} ms"
        )
        return Line(text, "bold")

    def _attempted(self, event: AttemptFinished) -> Line:
        attempt = event.attempt
        what, style = _verdict(event)
        name = self._name(event.endpoint.id)
        ending = f"{_answer(attempt)} in {_latency(attempt)}, attempt {attempt.number}{_sequel(event)}"
        return Line(f"{self._number(attempt.message_id)} {what:<9} {name:<8} {ending}", style)

    def _name(self, endpoint_id: str) -> str:
        return self._names.get(endpoint_id, endpoint_id)

    def _number(self, message_id: str) -> str:
        number = self._numbers.setdefault(message_id, len(self._numbers) + 1)
        return f"#{number}".ljust(3)


def printer() -> Printer:
    """Return what prints lines on standard output, in colour on a terminal that wants it."""
    return _rich_printer() if sys.stdout.isatty() and colour_wanted() else _print_plainly


def seconds(duration: Duration) -> str:
    """Write a duration in seconds with one decimal, such as ``1.2 s``."""
    return f"{duration / 1000:.1f} s"


def _print_plainly(line: Line) -> None:
    sys.stdout.write(line.text + "\n")
    sys.stdout.flush()


def _rich_printer() -> Printer:
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import and only needed here

    console = Console(highlight=False, markup=False, soft_wrap=True)
    return lambda line: console.print(line.text, style=line.style)


def _verdict(event: AttemptFinished) -> tuple[str, str]:
    if event.step == Step.SUCCEED:
        return ("recovered" if event.attempt.number > 1 else "delivered"), "green"
    return ("refused", "yellow") if event.due_at is not None else ("gave up", "red")


def _sequel(event: AttemptFinished) -> str:
    ended = event.attempt.started_at + event.attempt.duration
    if event.due_at is not None:
        return f", next in {seconds(event.due_at - ended)}"
    if event.step == Step.SUCCEED and event.attempt.number > 1:
        return f", {seconds(event.since_accepted)} after acceptance"
    return ""


def _answer(attempt: Attempt) -> str:
    return str(attempt.outcome.status or f"{attempt.outcome.kind} {attempt.outcome.detail}".strip())


def _latency(attempt: Attempt) -> str:
    return f"{attempt.duration} ms" if attempt.duration else "under 1 ms"
