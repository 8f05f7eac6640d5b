"""Assertions about what an inbox answered and what became of an event; a failure tells what did happen.

An event is named by what tells it apart, which for most providers is their id for it (``signed_request`` takes it as
``event_id``), or by its message's id. Everything is read through the inbox's own reading methods, so that a test sees
what an operator would.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ringback.errors import NotFound
from ringback.model import Delivery, DeliveryState, Endpoint, Held, Message, Refusal, iso

if TYPE_CHECKING:
    from ringback.inbox import Inbox
    from ringback.intake import Reply

SHOWN_REFUSALS = 3
BETWEEN_LOOKS = 0.005


def assert_acknowledged(reply: Reply | int) -> None:
    """Assert that a reply, or a status, tells the provider that its event was received."""
    if not 200 <= _status(reply) < 300:  # noqa: PLR2004 - RFC 9110, section 15.3
        raise AssertionError(f"not acknowledged: {_told(reply)}")


def assert_refused(
    reply: Reply | int,
    reason: str | None = None,
    *,
    inbox: Inbox | None = None,
    source: str = "",
    wait: float = 2.0,
) -> None:
    """Assert that a reply, or a status, refuses a request for good, with a status from 400 to 499.

    Args:
        reply: What was answered.
        reason: Why, as ``ringback.signing`` names it, such as ``signature_mismatch``: a refusal for it must be on
            record. This needs *inbox* and *source*.
        inbox: Where the refusal is on record.
        source: Who it was refused to.
        wait: For how many seconds to wait for the record, which an inbox writes after it has answered.
    """
    if not 400 <= _status(reply) < 500:  # noqa: PLR2004 - RFC 9110, section 15.5
        raise AssertionError(f"not refused: {_told(reply)}")
    if reason is None:
        return
    if inbox is None:
        raise TypeError("the reason is on the inbox's record: give inbox and source as well")
    refusals = inbox.refusals(source).result()
    until = time.monotonic() + wait
    while all(refusal.reason != reason for refusal in refusals):
        if time.monotonic() >= until:
            raise AssertionError(f"no refusal for {reason}: {_refusals(refusals, source)}")
        time.sleep(BETWEEN_LOOKS)
        refusals = inbox.refusals(source).result()


def assert_received(inbox: Inbox, source: str, event: str) -> Message:
    """Assert that *source* has received an event; return its message."""
    message = _message(inbox, source, event)
    if message is None:
        told = _refusals(inbox.refusals(source).result(), source)
        raise AssertionError(f"{source} has not received {event}; {told}")
    return message


def assert_not_received(inbox: Inbox, source: str, event: str) -> None:
    """Assert that *source* has not received an event."""
    message = _message(inbox, source, event)
    if message is not None:
        raise AssertionError(
            f"{source} has received {event}, at {iso(message.created_at)}: {message.event_type}"
        )


def assert_handled(
    inbox: Inbox, source: str, event: str, handler: str | None = None, *, attempts: int | None = None
) -> None:
    """Assert that a handler is done with an event, or all are that it is for, of which there must be one.

    Args:
        inbox: The inbox.
        source: Who received it.
        event: The event.
        handler: The handler's name; None for all of them.
        attempts: How many it took, if that matters.
    """
    for delivery, endpoint in _deliveries(inbox, source, event, handler):
        if delivery.state is not DeliveryState.SUCCEEDED:
            raise AssertionError(f"{_became(inbox, source, event, delivery, endpoint)}, not handled")
        if attempts not in {None, delivery.attempts}:
            raise AssertionError(f"{_name(endpoint)} took {_times(delivery.attempts)}, not {attempts}")


def assert_waiting(inbox: Inbox, source: str, event: str, handler: str | None = None) -> None:
    """Assert that a handler, or every one, will be called with an event, for the first time or again."""
    for delivery, endpoint in _deliveries(inbox, source, event, handler):
        if delivery.state not in {DeliveryState.WAITING, DeliveryState.LEASED}:
            raise AssertionError(f"{_became(inbox, source, event, delivery, endpoint)}, not waiting")


def assert_dead(inbox: Inbox, source: str, event: str, handler: str | None = None) -> None:
    """Assert that a handler, or every one, has failed with an event for good: it is a dead letter."""
    for delivery, endpoint in _deliveries(inbox, source, event, handler):
        if delivery.state is not DeliveryState.FAILED:
            raise AssertionError(f"{_became(inbox, source, event, delivery, endpoint)}, not dead")


def assert_discarded(inbox: Inbox, source: str, event: str, handler: str | None = None) -> None:
    """Assert that a handler, or every one, wanted nothing more of an event (``Discard``)."""
    for delivery, endpoint in _deliveries(inbox, source, event, handler):
        if delivery.state is not DeliveryState.CANCELLED:
            raise AssertionError(f"{_became(inbox, source, event, delivery, endpoint)}, not discarded")


def assert_unhandled(inbox: Inbox, source: str, event: str) -> None:
    """Assert that an event was received and understood, and that no handler is for its type."""
    _assert_held(inbox, source, event, Held.UNHANDLED)


def assert_quarantined(inbox: Inbox, source: str, event: str) -> None:
    """Assert that an event was received and verified, and is kept because it is not understood."""
    _assert_held(inbox, source, event, Held.QUARANTINED)


def _message(inbox: Inbox, source: str, event: str) -> Message | None:
    message_id = inbox.received(source, event).result() or event
    try:
        return inbox.message(source, message_id).result()
    except NotFound:
        return None


def _assert_held(inbox: Inbox, source: str, event: str, held: Held) -> None:
    message = assert_received(inbox, source, event)
    if message.held is held:
        return
    if message.held is not None:
        raise AssertionError(f"{event} ({message.event_type}) is {message.held}, not {held}")
    names = _names(inbox.deliveries(source, message.id).result())
    raise AssertionError(f"{event} ({message.event_type}) is not {held}: it is for {names}")


def _deliveries(
    inbox: Inbox, source: str, event: str, handler: str | None
) -> Sequence[tuple[Delivery, Endpoint]]:
    """Return what is asked about; there is always one."""
    message = assert_received(inbox, source, event)
    found = inbox.deliveries(source, message.id).result()
    if not found:
        why = message.held or "unhandled"
        raise AssertionError(f"{event} ({message.event_type}) is for no handler: it is {why}")
    wanted = [pair for pair in found if handler in {None, _name(pair[1])}]
    if not wanted:
        names = _names(found)
        raise AssertionError(f"{event} ({message.event_type}) is not for {handler}: it is for {names}")
    return wanted


def _became(inbox: Inbox, source: str, event: str, delivery: Delivery, endpoint: Endpoint) -> str:
    """Say how a delivery stands, with what the last attempt left behind: for an exception, its traceback."""
    attempts = inbox.attempts(source, delivery.message_id).result()
    outcome = next((one.outcome for one in attempts if one.endpoint_id == delivery.endpoint_id), None)
    reason = f" ({delivery.reason})" if delivery.reason else ""
    told = f"{_name(endpoint)} is {delivery.state}{reason} with {event} after {_times(delivery.attempts)}"
    if outcome is None:
        return told
    left = outcome.body.decode("utf-8", "replace").strip()
    return f"{told}; the last: {' '.join(filter(None, (outcome.kind, outcome.detail)))}\n{left}\n".rstrip(
        "\n"
    )


def _name(endpoint: Endpoint) -> str:
    return (endpoint.handler or endpoint.url).rpartition("/")[2]


def _names(found: Sequence[tuple[Delivery, Endpoint]]) -> str:
    return ", ".join(sorted(_name(endpoint) for _, endpoint in found))


def _times(attempts: int) -> str:
    return f"{attempts} attempt{'' if attempts == 1 else 's'}"


def _status(reply: Reply | int) -> int:
    return reply if isinstance(reply, int) else reply.status


def _told(reply: Reply | int) -> str:
    body = b"" if isinstance(reply, int) else reply.body
    text = body.decode("utf-8", "replace")
    return f"the status is {_status(reply)}" + (f", the body {text}" if text else "")


def _refusals(refusals: Sequence[Refusal], source: str) -> str:
    if not refusals:
        return f"{source} has refused nothing"
    shown = "; ".join(f"{one.reason}: {one.detail}" for one in refusals[:SHOWN_REFUSALS])
    return f"refused of late: {shown}"
