"""The law: whether, when and how often to try, and which state may follow which.

Everything here is pure. The present instant and a random number are arguments; nothing is read, written or
waited for. ``now`` and all instants are milliseconds since the Unix epoch, durations are milliseconds.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from ringback.errors import IllegalTransition, InvalidInput, InvalidRange
from ringback.model import (
    DeliveryState,
    Duration,
    Endpoint,
    EndpointState,
    Held,
    Inbound,
    Instant,
    NodeState,
    Outcome,
    OutcomeKind,
    Registration,
    SkipReason,
)

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


# --- Delivery states ---------------------------------------------------------------------------------------


class Step(enum.StrEnum):
    """What can happen to a delivery."""

    ACCEPT = "accept"  # the message is stored and handed to this node's worker in memory
    SPILL = "spill"  # the message is stored, and the worker has no room for it now, or it is for later
    TAKE = "take"  # a worker takes what is due, or what a vanished worker left behind
    SUCCEED = "succeed"
    RETRY = "retry"  # the attempt failed, another follows
    POSTPONE = "postpone"  # given back without an attempt: open circuit, pause, rate limit, shutdown
    EXHAUST = "exhaust"  # the attempt failed and was the last
    HAND_OUT = "hand out"  # a receiver that asks for its messages gets it
    CANCEL = "cancel"  # the endpoint is disabled or gone, or somebody or its handler wants nothing more of the message
    RESEND = "resend"  # a person asks for another round of attempts


_S = DeliveryState

# The one table of legal transitions: (state before, step) -> state after. None is "not created yet". A resend that a
# replay has asked for can be taken back while nobody has taken the delivery: then it is as it was before.
TRANSITIONS: dict[tuple[DeliveryState | None, Step], DeliveryState] = {
    (None, Step.ACCEPT): _S.LEASED,
    (None, Step.SPILL): _S.WAITING,
    (None, Step.RESEND): _S.WAITING,
    (_S.WAITING, Step.TAKE): _S.LEASED,
    (_S.WAITING, Step.RESEND): _S.WAITING,
    (_S.WAITING, Step.HAND_OUT): _S.SUCCEEDED,
    (_S.WAITING, Step.CANCEL): _S.CANCELLED,
    (_S.LEASED, Step.TAKE): _S.LEASED,
    (_S.LEASED, Step.SUCCEED): _S.SUCCEEDED,
    (_S.LEASED, Step.RETRY): _S.WAITING,
    (_S.LEASED, Step.POSTPONE): _S.WAITING,
    (_S.LEASED, Step.EXHAUST): _S.FAILED,
    (_S.LEASED, Step.CANCEL): _S.CANCELLED,
    (_S.SUCCEEDED, Step.RESEND): _S.WAITING,
    (_S.FAILED, Step.RESEND): _S.WAITING,
    (_S.CANCELLED, Step.RESEND): _S.WAITING,
}

AT_REST = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED})


def next_state(state: DeliveryState | None, step: Step) -> DeliveryState:
    """Return the state after *step*.

    Raises:
        IllegalTransition: The table has no such row.
    """
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        raise IllegalTransition(f"a delivery that is {state or 'new'} cannot {step}") from None


# --- Retry schedules ---------------------------------------------------------------------------------------


class RetrySchedule(msgspec.Struct, frozen=True):
    """The delays between attempts, and the share of each by which it may vary either way (0 to 1).

    A schedule of n delays allows n + 1 attempts. An *exact* one heeds nothing that the receiver asks for; one without
    *after_silence* ends when the receiver does not answer in time.
    """

    delays: tuple[Duration, ...]
    jitter: float = 0.2
    exact: bool = False
    after_silence: bool = True

    @property
    def attempts(self) -> int:
        """How many attempts the schedule allows in all."""
        return len(self.delays) + 1


# Source: Standard Webhooks, "Retries and deliverability", the specification's example.
DEFAULT_SCHEDULE = RetrySchedule(
    (
        5 * SECOND,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
    )
)
# Source: Xendit's documentation of automatic retries: six, each counted from the one before, without jitter.
XENDIT_SCHEDULE = RetrySchedule(
    (15 * MINUTE, 45 * MINUTE, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR), jitter=0.0
)

SCHEDULES = {"default": DEFAULT_SCHEDULE, "xendit": XENDIT_SCHEDULE}
MAX_DELAYS = 50
MAX_DELAY = 7 * DAY

_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)")


def parse_duration(text: str) -> Duration:
    """Read a duration such as ``250ms``, ``1.5s``, ``5m``, ``2h`` or ``1d``.

    Raises:
        ValueError: *text* is not a duration.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number and ms, s, m, h or d, such as 30s")
    return round(float(match[1]) * _UNITS[match[2]])


def parse_schedule(text: str) -> RetrySchedule:
    """Read a schedule: ``default``, ``xendit``, ``none`` or delays such as ``1s,2s,5s``.

    Raises:
        ValueError: *text* is none of these, or has more or longer delays than allowed.
    """
    name = text.strip()
    if name in SCHEDULES:
        return SCHEDULES[name]
    if name in {"none", ""}:
        return RetrySchedule(())
    return custom_schedule(tuple(parse_duration(part) for part in name.split(",")))


def custom_schedule(delays: tuple[Duration, ...]) -> RetrySchedule:
    """Return a schedule of *delays*, with the usual jitter.

    Raises:
        ValueError: There are more than 50 delays, or one is negative or longer than seven days.
    """
    if len(delays) > MAX_DELAYS:
        raise ValueError(f"a retry schedule has at most {MAX_DELAYS} delays, not {len(delays)}")
    if any(not 0 <= delay <= MAX_DELAY for delay in delays):
        raise ValueError("each delay of a retry schedule is between 0 and 7 days")
    return RetrySchedule(delays)


# --- After an attempt --------------------------------------------------------------------------------------

RETRY_AFTER_CEILING = HOUR
GONE = 410


class Decision(msgspec.Struct, frozen=True):
    """What an attempt's outcome means for its delivery: the step, and when to try again if at all."""

    step: Step
    due_at: Instant | None = None


def decide(outcome: Outcome, attempts: int, schedule: RetrySchedule, now: Instant, chance: float) -> Decision:
    """Decide what follows an attempt.

    Only 2xx is success (Standard Webhooks): a redirect is a failure. 410 ends the delivery at once, and so does a
    message that does not fit the type a handler asks for: trying again would change nothing. A transformation that
    fails is tried again: it makes the same of the message every time, but whoever wrote it may put it right meanwhile.

    Args:
        outcome: What came of the attempt.
        attempts: How many attempts have been made, this one included.
        schedule: The delays between attempts.
        now: The present instant.
        chance: A random number from 0 up to 1, for the jitter.
    """
    if outcome.ok:
        return Decision(Step.SUCCEED)
    if outcome.kind is OutcomeKind.DISCARDED:
        return Decision(Step.CANCEL)
    if _is_final(outcome, schedule) or attempts > len(schedule.delays):
        return Decision(Step.EXHAUST)
    return Decision(Step.RETRY, now + retry_delay(outcome, attempts, schedule, chance))


def _is_final(outcome: Outcome, schedule: RetrySchedule) -> bool:
    gone = outcome.status == GONE and not schedule.exact
    silent = outcome.kind is OutcomeKind.TIMEOUT and not schedule.after_silence
    return gone or silent or outcome.detail == MISFIT


def schedule_of(endpoint: Endpoint, usual: RetrySchedule) -> RetrySchedule:
    """Return the schedule for an endpoint: its own or the *usual* one, in the manner of the sender it is played by."""
    own = usual if endpoint.retry_schedule is None else RetrySchedule(endpoint.retry_schedule)
    if endpoint.manner is None:
        return own
    return RetrySchedule(own.delays, jitter=0.0, exact=True, after_silence=endpoint.manner.retries_silence)


def is_paced(endpoint: Endpoint) -> bool:
    """Tell whether failures rest or disable an endpoint: not a handler, nor one that a sandbox delivers to."""
    return endpoint.handler is None and endpoint.manner is None


def retry_delay(outcome: Outcome, attempts: int, schedule: RetrySchedule, chance: float) -> Duration:
    """Return how long to wait after failed attempt number *attempts*, which is at most the schedule's length.

    ``Retry-After`` is honoured when it asks for longer than the schedule, up to an hour or twice the
    scheduled delay, whichever is more: a receiver may slow us down but not make us forget. A handler is the
    application's own, so what it asks for is done.
    """
    if outcome.kind is OutcomeKind.AGAIN and outcome.retry_after is not None:
        return min(outcome.retry_after, MAX_DELAY)
    scheduled = schedule.delays[attempts - 1]
    delay = round(scheduled * (1 + schedule.jitter * (2 * chance - 1)))
    if outcome.retry_after is None or schedule.exact:
        return delay
    return max(delay, min(outcome.retry_after, max(RETRY_AFTER_CEILING, 2 * scheduled)))


ON_REQUEST = "on_request"  # why a delivery is cancelled that somebody has asked to cancel
FAILING = "failing"  # why an endpoint is disabled that had no success for too long


class Health(msgspec.Struct, frozen=True):
    """What an attempt means for its endpoint's row: set ``failing_since``, or disable it with a reason."""

    failing_since: Instant | None = None
    disable: str | None = None


def judge_endpoint(
    endpoint: Endpoint, outcome: Outcome, decision: Decision, now: Instant, disable_after: Duration
) -> Health | None:
    """Say how an endpoint's health changes after an attempt; None when it does not.

    410 disables at once. Otherwise an endpoint is disabled when a delivery runs out of attempts and there has
    been no success for *disable_after*. An attempt nobody saw the end of changes nothing, and a handler is never
    disabled: what it does not handle is kept for it.
    """
    if outcome.ok:
        return Health() if endpoint.failing_since is not None else None
    if not counts_as_failure(outcome.kind) or not is_paced(endpoint):
        return None
    since = endpoint.failing_since if endpoint.failing_since is not None else now
    if outcome.status == GONE:
        return Health(since, disable="gone")
    if decision.step is Step.EXHAUST and now - since >= disable_after:
        return Health(since, disable=FAILING)
    return Health(since) if endpoint.failing_since is None else None


# --- Order -------------------------------------------------------------------------------------------------


def in_turn(due: Sequence[Instant], now: Instant, *, under_way: bool) -> int:
    """Return how many deliveries may be taken now for an endpoint that gets its messages one at a time, in order.

    Those that are due, from the first on: one that is tried again later holds up all behind it. None at all while one
    is *under_way*, which may be one behind the first: somebody has asked for an older message again.

    Args:
        due: When each of the first that are not at rest may be taken, in the order of their acceptance.
        now: The present instant.
        under_way: Whether an attempt at any of them may be under way.
    """
    if under_way:
        return 0
    return next((place for place, due_at in enumerate(due) if due_at > now), len(due))


def holds(step: Step) -> bool:
    """Tell whether a delivery holds up those behind it after *step*: it is not at rest."""
    return next_state(DeliveryState.LEASED, step) not in AT_REST


# --- Handlers ----------------------------------------------------------------------------------------------

# A handler that was begun so often without an end is taken to kill its process.
MAX_BEGUN = 3
# Why a delivery is given back: its endpoint has an order, or its handler takes the messages of one key in theirs.
BEHIND_ANOTHER = "earlier_message_first"
# The detail of an outcome: the message does not fit the type that the handler asks for.
MISFIT = "model_mismatch"
# How long an event is known, so that its repetition is noticed: longer than any provider repeats one.
RECEIPT_RETENTION = 30 * DAY

# --- Nodes -------------------------------------------------------------------------------------------------

HEARTBEAT = 2 * SECOND
# A node that has given no sign of life for that long is taken for dead, also by itself.
SILENT_AFTER = 10 * SECOND
# When one that was silent for that long is heard again, others may take it for dead before they hear of it.
DOUBTED_AFTER = SILENT_AFTER - HEARTBEAT
# Every node has heard of a new one when it is that old.
SETTLED_AFTER = 5 * SECOND
FORGOTTEN_AFTER = DAY
WORKER = "worker"
API = "api"


def node_state(node: Registration, now: Instant) -> NodeState:
    """Say whether a node lives."""
    if node.stopped:
        return NodeState.STOPPED
    return NodeState.ALIVE if now - node.seen_at < SILENT_AFTER else NodeState.SILENT


def live_workers(nodes: Iterable[Registration], now: Instant) -> list[Registration]:
    """Return the nodes that deliver and live, in the order of their starts."""
    live = [node for node in nodes if WORKER in node.roles and node_state(node, now) is NodeState.ALIVE]
    return sorted(live, key=lambda node: (node.started_at, node.id))


def owners(workers: Sequence[Registration], now: Instant) -> tuple[str, ...]:
    """Return the ids of those among the *live workers* that endpoints may be given to.

    A new worker is given some only when all others know it, so that two never deliver to one endpoint; the first of
    all need not wait.
    """
    settled = tuple(node.id for node in workers if now - node.started_at >= SETTLED_AFTER)
    return settled or tuple(node.id for node in workers[:1])


# --- Leases ------------------------------------------------------------------------------------------------

LEASE_MARGIN = 15 * SECOND
SETTLE_MARGIN = 1 * SECOND


def lease_until(now: Instant, deadline: Duration) -> Instant:
    """Return when a lease taken now ends, for attempts that take at most *deadline*."""
    return now + deadline + LEASE_MARGIN


def may_send(now: Instant, until: Instant, deadline: Duration) -> bool:
    """Tell whether an attempt started now will be settled before its lease ends at *until*."""
    return now + deadline + SETTLE_MARGIN <= until


# --- Fan-out -----------------------------------------------------------------------------------------------


def skip_reason(endpoint: Endpoint, event_type: str, channels: tuple[str, ...] | None) -> SkipReason | None:
    """Say why a message is not for *endpoint*; None when it is.

    An endpoint with channels gets only messages that share one; an endpoint without gets all of them.
    """
    if endpoint.state is EndpointState.DISABLED:
        return SkipReason.DISABLED
    if endpoint.event_types is not None and not matches(endpoint.event_types, event_type):
        return SkipReason.EVENT_TYPE
    if endpoint.channels is not None and not set(endpoint.channels).intersection(channels or ()):
        return SkipReason.CHANNEL
    return None


def matches(patterns: Collection[str], event_type: str) -> bool:
    """Tell whether an event type is one of *patterns*, in which ``*`` stands for any characters, full stops too."""
    return event_type in patterns or any(_fits(pattern, event_type) for pattern in patterns if "*" in pattern)


def _fits(pattern: str, event_type: str) -> bool:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression, event_type, re.DOTALL) is not None


def held(inbound: Inbound, *, matched: bool) -> Held | None:
    """Say why nothing handles a received message; None where something does. *matched*: an endpoint wants its type."""
    if not inbound.understood:
        return Held.QUARANTINED
    return None if matched else Held.UNHANDLED


def fan_out(
    endpoints: Iterable[Endpoint], event_type: str, channels: tuple[str, ...] | None
) -> tuple[list[Endpoint], dict[str, SkipReason]]:
    """Divide an application's *endpoints* into those that get the message and those that do not, with why."""
    targets: list[Endpoint] = []
    skipped: dict[str, SkipReason] = {}
    for endpoint in endpoints:
        reason = skip_reason(endpoint, event_type, channels)
        if reason is None:
            targets.append(endpoint)
        else:
            skipped[endpoint.id] = reason
    return targets, skipped


# --- Recovery ----------------------------------------------------------------------------------------------

RECOVER_WINDOW = 14 * DAY
RECOVER_SLACK = 5 * MINUTE


def check_recover_window(since: Instant, until: Instant) -> None:
    """Refuse a window to recover that is empty or longer than 14 days and five minutes.

    Raises:
        InvalidInput: The window is refused.
    """
    if since >= until:
        raise InvalidInput.at("body", "since", msg="since must be before until")
    if until - since > RECOVER_WINDOW + RECOVER_SLACK:
        raise InvalidInput.at("body", "since", msg="since can be at most 14 days before until")


TALLY_WINDOW = 28 * DAY


def tally_window(since: Instant | None, until: Instant | None, now: Instant) -> tuple[Instant, Instant]:
    """Return the window to count in, by default the 28 days before now.

    Raises:
        InvalidRange: It is empty or longer than 28 days and five minutes.
    """
    end = now + 1 if until is None else until  # what begins this very millisecond counts
    begin = end - TALLY_WINDOW if since is None else since
    if begin > end:
        raise InvalidRange("since must not be after until")
    if end - begin > TALLY_WINDOW + RECOVER_SLACK:
        raise InvalidRange("since can be at most 28 days before until")
    return begin, end


# What came of a message before anybody was asked to take it: that says nothing about the receiver.
OF_THE_MESSAGE = frozenset({OutcomeKind.TRANSFORMATION, OutcomeKind.DISCARDED})


# Why a delivery is cancelled, and the detail of the outcome: its endpoint's transformation makes null of the message.
TRANSFORMED_TO_NULL = "transformed_to_null"


def is_try(outcome: Outcome) -> bool:
    """Tell whether an outcome is that of an attempt: not where a transformation wants nothing to be sent."""
    return outcome.detail != TRANSFORMED_TO_NULL


def counts_as_failure(kind: OutcomeKind) -> bool:
    """Tell whether an outcome speaks against the endpoint.

    An attempt that nobody saw the end of does not, nor one that was called off.
    """
    return kind not in {OutcomeKind.SUCCESS, OutcomeKind.UNKNOWN, OutcomeKind.DISCARDED}
