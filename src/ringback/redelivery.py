"""Delivering one message to one endpoint again; for many see ``replays``."""

from __future__ import annotations

from collections.abc import Callable

from ringback.model import Delivery, Instant
from ringback.repetition import once
from ringback.store import Idempotency, Store


def resending(
    application: str, message_id: str, endpoint: str, now: Instant, use: Idempotency | None
) -> Callable[[Store], Delivery]:
    """Return the change that delivers a message to an endpoint again, once for each use of a key."""

    def change(store: Store) -> Delivery:
        owner = store.application(application).id
        message, target = store.message(owner, message_id), store.endpoint(owner, endpoint)
        once(
            store,
            use,
            (owner, message.id, target.id),
            now,
            lambda: _resent(store, owner, message.id, target.id, now),
        )
        return store.delivery(owner, message.id, target.id)

    return change


def _resent(store: Store, owner: str, message_id: str, endpoint_id: str, now: Instant) -> str:
    store.resend(owner, message_id, endpoint_id, now)
    return message_id
