"""How pages say what is: for every state its word, its icon and its tone, so that none is told by colour alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ringback.model import (
    Delivery,
    DeliveryState,
    EndpointState,
    Held,
    NodeState,
    Outcome,
    OutcomeKind,
    SkipReason,
    Standing,
    Trigger,
)
from ringback.policy import SECOND
from ringback.schemas import newest_version
from ringback.secrecy import masked_url
from ringback.server.pages.advice import advice
from ringback.store import TaskState


class Badge(msgspec.Struct, frozen=True):
    """A state: the word for it, the name of an icon (see ``design/templates/pieces.html``), and its tone.

    A tone is ``good``, ``wait``, ``bad`` or empty.
    """

    word: str
    icon: str = "info"
    tone: str = ""


# What has no delivery: no endpoint of its application wanted it.
UNSENT = Badge("Not sent", "off")

STANDINGS = {
    Standing.SUCCEEDED: Badge("Delivered", "good", "good"),
    Standing.PENDING: Badge("Waiting", "wait", "wait"),
    Standing.SENDING: Badge("Under way", "again", "wait"),
    Standing.FAILED: Badge("Failed", "bad", "bad"),
    Standing.CANCELLED: Badge("Cancelled", "off"),
}
DELIVERIES = {
    DeliveryState.WAITING: Badge("Waiting", "wait", "wait"),
    DeliveryState.LEASED: Badge("Being sent", "again", "wait"),
    DeliveryState.SUCCEEDED: STANDINGS[Standing.SUCCEEDED],
    DeliveryState.FAILED: STANDINGS[Standing.FAILED],
    DeliveryState.CANCELLED: STANDINGS[Standing.CANCELLED],
}
RETRYING = Badge("Retrying", "again", "wait")
ENDPOINTS = {
    EndpointState.ENABLED: Badge("Enabled", "good", "good"),
    EndpointState.PAUSED: Badge("Paused", "pause", "wait"),
    EndpointState.DISABLED: Badge("Disabled", "off", "bad"),
}
# An endpoint that is enabled and has failed since its last success.
FAILING = Badge("Failing", "bad", "bad")
# What is told of a request that made no message.
REFUSED = Badge("Refused", "bad", "bad")
CAME_AGAIN = Badge("Came again", "info")
LOST = Badge("Not stored", "bad", "bad")
NODES = {
    NodeState.ALIVE: Badge("Alive", "good", "good"),
    NodeState.SILENT: Badge("Silent", "late", "bad"),
    NodeState.STOPPED: Badge("Stopped", "off"),
}
TASKS = {
    TaskState.RUNNING: Badge("Running", "again", "wait"),
    TaskState.PAUSED: ENDPOINTS[EndpointState.PAUSED],
    TaskState.FINISHED: Badge("Finished", "good", "good"),
    TaskState.CANCELLED: STANDINGS[Standing.CANCELLED],
    TaskState.FAILED: STANDINGS[Standing.FAILED],
}
HELD = {
    Held.QUARANTINED: Badge("Quarantined", "late", "wait"),
    Held.UNHANDLED: Badge("Unhandled", "info"),
}
_ALL: tuple[Mapping[Any, Badge], ...] = (STANDINGS, DELIVERIES, ENDPOINTS, NODES, HELD, TASKS)
STATES = {state: badge for badges in _ALL for state, badge in badges.items()}

OUTCOMES = {
    OutcomeKind.SUCCESS: "Delivered",
    OutcomeKind.REFUSED: "Refused by the receiver",
    OutcomeKind.BLOCKED_ADDRESS: "The address may not be delivered to",
    OutcomeKind.DNS: "The host name has no usable address",
    OutcomeKind.CONNECT: "No connection",
    OutcomeKind.TLS: "TLS failed",
    OutcomeKind.TIMEOUT: "Timed out",
    OutcomeKind.RESET: "The connection broke",
    OutcomeKind.BAD_RESPONSE: "The answer is not HTTP",
    OutcomeKind.TOO_LARGE: "The answer is too large",
    OutcomeKind.AUTHORIZATION: "No token to send along",
    OutcomeKind.TRANSFORMATION: "The transformation failed",
    OutcomeKind.UNKNOWN: "Not known: the node vanished",
    OutcomeKind.RAISED: "The handler raised an error",
    OutcomeKind.AGAIN: "The handler asked to be called again",
    OutcomeKind.DISCARDED: "The handler wants nothing more of it",
}
# What an attempt was at when its time was over.
PHASES = {
    "dns": "looking up the name",
    "connect": "connecting",
    "tls": "agreeing on TLS",
    "write": "sending",
    "wait": "waiting for the answer",
    "read": "reading the answer",
    "handler": "handling",
}
SKIPPED = {
    SkipReason.EVENT_TYPE: "The endpoint does not listen to this event type.",
    SkipReason.CHANNEL: "The endpoint listens to other channels.",
    SkipReason.DISABLED: "The endpoint was disabled when the message was accepted.",
    SkipReason.ADDRESSED: "The message was for one endpoint alone.",
}
# Why a delivery waits or was cancelled, where its record has a reason.
REASONS = {
    "another_node_delivers": "Another node delivers to this endpoint.",
    "circuit_open": "The endpoint keeps failing, so it is left alone for a moment.",
    "crashed": "Its handler ended the process each time that it ran.",
    "draining": "The node that had it was stopping.",
    "earlier_message_first": "An earlier message goes first.",
    "endpoint_deleted": "The endpoint was deleted.",
    "endpoint_disabled": "The endpoint was disabled.",
    "endpoint_paused": "The endpoint is paused.",
    "expunged": "Its payload was forgotten on request.",
    "lease_lost": "Another node has taken it over.",
    "lease_too_short": "Little time was left of the lease.",
    "on_request": "It was cancelled on request.",
}
TRIGGERS = {Trigger.SCHEDULED: "Automatic", Trigger.MANUAL: "By hand"}


MOST_OF_IT = 99.99
TEN_SECONDS = 10 * SECOND
TENTHS = 100


def percent(share: float) -> str:
    """Write a share, such as ``99.95 %``; nothing but all of it is 100."""
    if share in {0, 1}:
        return f"{share * 100:.0f}\N{NO-BREAK SPACE}%"
    return f"{min(MOST_OF_IT, share * 100):.2f}\N{NO-BREAK SPACE}%"


def milliseconds(duration: float) -> str:
    """Write how long something takes."""
    if duration < TEN_SECONDS:
        return f"{duration:,.0f}\N{NO-BREAK SPACE}ms"
    return f"{duration / SECOND:,.1f}\N{NO-BREAK SPACE}s"


def acknowledged(seconds: float) -> str:
    """Write how long an acknowledgement took: what is worth telling there is below a millisecond."""
    duration = seconds * 1_000
    return f"{duration:.1f}\N{NO-BREAK SPACE}ms" if duration < TENTHS else milliseconds(duration)


def badge(state: Any) -> Badge:
    """Return how a state is shown; what has no word of its own is shown as it is."""
    if isinstance(state, Badge):
        return state
    return STATES.get(state) or Badge(str(state).replace("_", " ").capitalize())


def outcome(kind: OutcomeKind) -> str:
    """Return how an outcome is said."""
    return OUTCOMES[kind]


def went(what: Outcome) -> Badge:
    """Return how an attempt went."""
    if what.ok:
        return STANDINGS[Standing.SUCCEEDED]
    return Badge(OUTCOMES[what.kind], "late" if what.kind is OutcomeKind.AGAIN else "bad", "bad")


def stands(delivery: Delivery) -> Badge:
    """Return how a delivery is shown by itself: one that waits after an attempt is told from one that is being sent."""
    waits_again = delivery.state is DeliveryState.WAITING and delivery.attempts > 0
    return RETRYING if waits_again else DELIVERIES[delivery.state]


def standing(value: str) -> Badge:
    """Return how the standing of that name is shown."""
    return STANDINGS[Standing(value)]


def failure(kind: OutcomeKind, status: int, detail: str) -> str:
    """Return what happened, with what there is to refine it, such as ``Refused by the receiver: 503``."""
    if kind is OutcomeKind.TIMEOUT and detail in PHASES:
        return f"{OUTCOMES[kind]} {refinement(kind, detail)}"
    more = str(status) if status else refinement(kind, detail)
    return f"{OUTCOMES[kind]}: {more}" if more else OUTCOMES[kind]


def refinement(kind: OutcomeKind, detail: str) -> str:
    """Return what a detail says beside the outcome that it refines."""
    if kind is OutcomeKind.TIMEOUT and detail in PHASES:
        return f"while {PHASES[detail]}"
    return detail.replace("_", " ")


def skipped(reason: SkipReason) -> str:
    """Return why an endpoint gets nothing."""
    return SKIPPED[reason]


def why(reason: str) -> str:
    """Return why a delivery waits or was cancelled; a handler says so in words of its own."""
    return REASONS.get(reason, reason)


def trigger(what: Trigger) -> str:
    """Return what made an attempt happen."""
    return TRIGGERS[what]


FILTERS: dict[str, Callable[..., Any]] = {
    "percent": percent,
    "acknowledged": acknowledged,
    "milliseconds": milliseconds,
    "badge": badge,
    "outcome": outcome,
    "went": went,
    "standing": standing,
    "stands": stands,
    "failure": failure,
    "masked": masked_url,
    "refinement": refinement,
    "skipped": skipped,
    "trigger": trigger,
    "why": why,
    "newest_version": newest_version,
    "advice": advice,
}
