"""How what was received is shown: as values for JSON, and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from ringback.cli.output import coloured, print_table, printable
from ringback.model import Attempt, Delivery, DeliveryState, Endpoint, Message, OutcomeKind, Refusal, iso

COLOURS = {
    DeliveryState.SUCCEEDED: "green",
    DeliveryState.FAILED: "red",
    DeliveryState.WAITING: "yellow",
    DeliveryState.LEASED: "yellow",
}
LABELS = {
    "Message": "id",
    "Received": "receivedAt",
    "Type": "eventType",
    "Event": "eventId",
    "Key": "dedupeKey",
    "Held": "held",
}
WRITTEN = frozenset({OutcomeKind.RAISED, OutcomeKind.AGAIN, OutcomeKind.DISCARDED, OutcomeKind.REFUSED})


class Case(msgspec.Struct, frozen=True):
    """A message with all that became of it; the attempts newest first."""

    message: Message
    deliveries: Sequence[tuple[Delivery, Endpoint]]
    attempts: Sequence[Attempt]


def text_or_bytes(name: str, content: bytes | None) -> dict[str, Any]:
    """Return *content* under *name* where it is UTF-8, in base64 under that name with ``Base64`` where it is not."""
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": content}


def refusal_shown(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as it is shown in JSON."""
    return {
        "id": refusal.id,
        "at": iso(refusal.at),
        "reason": refusal.reason,
        "detail": refusal.detail,
        "hints": refusal.hints,
        "method": refusal.method,
        "headerNames": refusal.header_names,
        "size": refusal.size,
        "more": refusal.more,
    }


def message_shown(message: Message) -> dict[str, Any]:
    """Return a message as lists of JSON show it: without its payload and headers."""
    inbound = message.inbound
    return {
        "id": message.id,
        "receivedAt": iso(message.created_at),
        "eventType": message.event_type,
        "eventId": None if inbound is None else inbound.event_id,
        "dedupeKey": None if inbound is None else inbound.dedupe_key,
        "test": inbound is not None and inbound.is_test,
        "polled": inbound is not None and inbound.polled,
        "held": message.held,
    }


def case_shown(case: Case) -> dict[str, Any]:
    """Return a message and what became of it as it is shown in JSON."""
    inbound = case.message.inbound
    names = {endpoint.id: place_of(endpoint) for _, endpoint in case.deliveries}
    return {
        **message_shown(case.message),
        "headers": {} if inbound is None else inbound.headers,
        **text_or_bytes("payload", case.message.payload),
        "deliveries": [delivery_shown(delivery, names) for delivery, _ in case.deliveries],
        "attempts": [_attempt_shown(attempt, names) for attempt in case.attempts],
    }


def delivery_shown(delivery: Delivery, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a delivery as it is shown in JSON; *names* are those of endpoints, by their ids."""
    return {
        "to": names.get(delivery.endpoint_id, delivery.endpoint_id),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "dueAt": None if delivery.due_at is None else iso(delivery.due_at),
        "reason": delivery.reason,
    }


def _attempt_shown(attempt: Attempt, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "to": names.get(attempt.endpoint_id, attempt.endpoint_id),
        "number": attempt.number,
        "startedAt": iso(attempt.started_at),
        "milliseconds": attempt.duration,
        "outcome": attempt.outcome.kind,
        "detail": attempt.outcome.detail,
        "status": attempt.outcome.status,
        **text_or_bytes("told", attempt.outcome.body),
    }


def place_of(endpoint: Endpoint) -> str:
    """Return what a person calls an endpoint: the handler's name or the URL."""
    return endpoint.handler or endpoint.url


def outcome_of(attempt: Attempt) -> str:
    """Return what came of an attempt in a few words."""
    outcome = attempt.outcome
    return " ".join(filter(None, (outcome.kind.value, outcome.detail, str(outcome.status or ""))))


def print_refusals(refusals: Sequence[Refusal]) -> None:
    """Print refusals with what a person can do about them."""
    for refusal in refusals:
        click.echo(
            f"{iso(refusal.at)}  {coloured(printable(refusal.reason), 'yellow')}  {printable(refusal.detail)}"
        )
        for hint in refusal.hints:
            click.echo(f"    - {printable(hint)}")
        names = ", ".join(refusal.header_names)
        click.echo(
            f"    {printable(refusal.method)}, {refusal.size:,} bytes; headers: {printable(names) or 'none'}"
        )
        if refusal.more:
            click.echo(f"    {refusal.more:,} more since the one before were only counted")


def print_messages(messages: Sequence[dict[str, Any]]) -> None:
    """Print messages as a table."""
    rows = [
        (row["id"], row["receivedAt"], row["eventType"], row["eventId"] or "-", row["held"] or "-")
        for row in messages
    ]
    print_table(("ID", "RECEIVED", "TYPE", "EVENT", "HELD"), rows)


def print_case(case: Case) -> None:
    """Print a message and what became of it."""
    shown = message_shown(case.message)
    for label, name in LABELS.items():
        if shown[name] is not None:
            click.echo(f"{label:<10} {printable(str(shown[name]))}")
    _print_request(case.message)
    click.echo("\nDeliveries")
    for delivery, endpoint in case.deliveries:
        _print_delivery(case, delivery, endpoint)
    if not case.deliveries:
        click.echo("  none")


def _print_request(message: Message) -> None:
    click.echo("\nHeaders")
    for name, value in ({} if message.inbound is None else message.inbound.headers).items():
        click.echo(f"  {printable(name)}: {printable(value)}")
    click.echo("\nPayload")
    if message.payload is None:
        click.echo("  removed when its retention was over")
    else:
        _print_indented(message.payload)


def _print_delivery(case: Case, delivery: Delivery, endpoint: Endpoint) -> None:
    state = coloured(delivery.state.value, COLOURS.get(delivery.state, "white"))
    due = "" if delivery.due_at is None else f", due {iso(delivery.due_at)}"
    reason = f" ({printable(delivery.reason)})" if delivery.reason else ""
    tries = "1 attempt" if delivery.attempts == 1 else f"{delivery.attempts} attempts"
    click.echo(f"  {printable(place_of(endpoint))}: {state}{reason} after {tries}{due}")
    attempts = [attempt for attempt in case.attempts if attempt.endpoint_id == endpoint.id]
    for attempt in reversed(attempts):
        told = f"{attempt.number}. {iso(attempt.started_at)}  {outcome_of(attempt)}  {attempt.duration:,} ms"
        click.echo(f"    {printable(told)}")
    if attempts and attempts[0].outcome.kind in WRITTEN and attempts[0].outcome.body:
        _print_indented(attempts[0].outcome.body, "      ")


def _print_indented(content: bytes, indent: str = "  ") -> None:
    text = printable(content.decode("utf-8", "backslashreplace"), lines=True)
    for line in text.rstrip("\n").split("\n"):
        click.echo(f"{indent}{line}".rstrip())
