"""Where a message goes: its endpoints one by one, and why some of them get nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.model import Delivery, DeliveryState, Endpoint, Message, SkipReason
from ringback.outbox import found
from ringback.selection import OTHERS
from ringback.store import Page as Part
from ringback.store import Store

ROWS = 20


class Destination(msgspec.Struct, frozen=True):
    """An endpoint, and the message's delivery to it; None where it gets nothing, for a reason.

    Its id is ``OTHERS`` where it stands for all endpoints that the message was not for.
    """

    endpoint: Endpoint | None
    endpoint_id: str
    delivery: Delivery | None = None
    skipped: SkipReason | None = None

    @property
    def is_others(self) -> bool:
        """Whether it stands for all endpoints but the one that the message was for."""
        return self.endpoint_id == OTHERS

    @property
    def waits(self) -> bool:
        """Whether the message waits to be delivered there."""
        return self.delivery is not None and self.delivery.state is DeliveryState.WAITING

    @property
    def can_resend(self) -> bool:
        """Whether it may be delivered there again: not while it is being sent, and not to what is gone."""
        sending = self.delivery is not None and self.delivery.state is DeliveryState.LEASED
        return self.endpoint is not None and not sending


class Destinations(msgspec.Struct, frozen=True):
    """Some of a message's destinations; *last* is the id to go on from, empty where there are no more."""

    rows: Sequence[Destination]
    last: str


def destinations(store: Store, message: Message, after: str) -> Destinations:
    """Return the destinations with ids after one, as many as fit on a page: first those that get the message."""
    owner = message.application_id
    deliveries = store.deliveries(owner, message.id, Part(limit=ROWS + 1, cursor=after or None))
    sent = {endpoint.id: Destination(endpoint, endpoint.id, delivery) for delivery, endpoint in deliveries}
    left_out = sorted(name for name in message.skipped if name > after and name not in sent)
    names = sorted([*sent, *left_out[: ROWS + 1]])
    shown = names[:ROWS]

    def at(endpoint_id: str) -> Endpoint | None:
        return None if endpoint_id == OTHERS else found(lambda: store.endpoint(owner, endpoint_id))

    rows = [
        *(sent[name] for name in shown if name in sent),
        *(Destination(at(name), name, None, message.skipped[name]) for name in shown if name not in sent),
    ]
    return Destinations(rows, shown[-1] if len(names) > ROWS else "")
