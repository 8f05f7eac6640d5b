"""Which deliveries are meant when many are asked to be made again. Pure, like ``policy``."""

from __future__ import annotations

import msgspec

from ringback import policy
from ringback.model import (
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointState,
    Held,
    Instant,
    Outcome,
    OutcomeKind,
    SkipReason,
    Standing,
)

STATUS_CLASS = 100
# What failed, or will be tried again by itself: what a person recovers after an outage.
RECOVERABLE = (Standing.FAILED, Standing.SENDING, Standing.CANCELLED)
# What is at rest. The rest is on its way, and is never sent twice.
AT_REST = (Standing.SUCCEEDED, Standing.FAILED, Standing.CANCELLED)
# In place of an endpoint's id, where a message was for one endpoint alone: all the others, whatever they listen to.
OTHERS = "*"
ADDRESSED = {OTHERS: SkipReason.ADDRESSED}


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries: of messages accepted from *since* to before *until*, of some types, in a channel, with a tag.

    They stand as one of *standings* says, and what somebody has cancelled is meant only where cancelled ones alone are;
    with *missing*, they were never attempted, and the endpoint wants them as it is now. Their last attempt came to one
    of *outcomes*, with an HTTP status of *status_class* (0, 100 … 500).
    """

    since: Instant
    until: Instant
    standings: tuple[Standing, ...] = AT_REST
    missing: bool = False
    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    tag: str | None = None
    status_class: int | None = None
    outcomes: tuple[OutcomeKind, ...] | None = None

    @property
    def is_of_unsent(self) -> bool:
        """Whether all of them have failed before or for good, of which a store has a list."""
        return not self.missing and set(RECOVERABLE).issuperset(self.standings)

    @property
    def asks_of_attempts(self) -> bool:
        """Whether it takes a look at attempts to tell what is meant."""
        return self.missing or self.status_class is not None or self.outcomes is not None


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message, and how it stands at an endpoint: *delivery* is None where it was not for it."""

    key: int
    message_id: str
    created_at: Instant
    event_type: str
    channels: tuple[str, ...] | None
    has_payload: bool
    held: Held | None
    # It was for one endpoint alone, whatever others there are.
    addressed: bool
    delivery: Delivery | None


def may_be_meant(candidate: Candidate, selection: Selection, endpoint: Endpoint) -> bool:
    """Tell whether a delivery is meant, as far as that can be told without a look at attempts and tags."""
    return (
        selection.since <= candidate.created_at < selection.until
        and candidate.has_payload
        and (selection.event_types is None or policy.matches(selection.event_types, candidate.event_type))
        and (selection.channel is None or selection.channel in (candidate.channels or ()))
        and (_lacks(candidate, endpoint) if selection.missing else _stands(candidate, selection))
    )


def is_meant(last: Outcome | None, selection: Selection) -> bool:
    """Tell whether a delivery is meant by its *last* attempt: the kind and the status of that outcome are looked at."""
    if selection.missing:
        return last is None
    if selection.status_class is None and selection.outcomes is None:
        return True
    if last is None:
        return False
    status_class = last.status // STATUS_CLASS * STATUS_CLASS
    return selection.status_class in (None, status_class) and (
        selection.outcomes is None or last.kind in selection.outcomes
    )


def _stands(candidate: Candidate, selection: Selection) -> bool:
    delivery = candidate.delivery
    # What is leased, or waits for its first attempt, is on its way.
    if delivery is None or delivery.state is DeliveryState.LEASED or delivery.standing is Standing.PENDING:
        return False
    if delivery.reason == policy.ON_REQUEST and selection.standings != (Standing.CANCELLED,):
        return False
    return delivery.standing in selection.standings


def _lacks(candidate: Candidate, endpoint: Endpoint) -> bool:
    delivery = candidate.delivery
    if delivery is not None and (
        delivery.state is not DeliveryState.CANCELLED or delivery.reason == policy.ON_REQUEST
    ):
        return False
    if candidate.addressed or candidate.held is Held.QUARANTINED:
        return False
    enabled = msgspec.structs.replace(endpoint, state=EndpointState.ENABLED)
    return policy.skip_reason(enabled, candidate.event_type, candidate.channels) is None
