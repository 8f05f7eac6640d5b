"""Delivering again: one message to one endpoint, or all that failed at an endpoint in a window of time."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ringback.errors import Conflict
from ringback.model import Delivery, EndpointState, Instant
from ringback.repetition import once
from ringback.store import Idempotency, Store, Task


class Window(msgspec.Struct, frozen=True):
    """What to recover: messages accepted from *since* to *until*, by the task that is called *task_id*."""

    task_id: str
    since: Instant
    until: Instant
    now: Instant


def resending(
    application: str, message_id: str, endpoint: str, now: Instant, use: Idempotency | None
) -> Callable[[Store], Delivery]:
    """Return the change that delivers a message to an endpoint again, once for each use of a key."""

    def change(store: Store) -> Delivery:
        owner = store.application(application).id
        message, target = store.message(owner, message_id), store.endpoint(owner, endpoint)
        once(store, use, owner, now, lambda: _resent(store, owner, message.id, target.id, now))
        return store.delivery(owner, message.id, target.id)

    return change


def recovering(
    application: str, endpoint: str, window: Window, use: Idempotency | None
) -> Callable[[Store], Task]:
    """Return the change that has a worker deliver again what failed, once for each use of a key."""

    def change(store: Store) -> Task:
        owner = store.application(application).id
        target = store.endpoint(owner, endpoint)
        if target.state is EndpointState.DISABLED:
            raise Conflict("the endpoint is disabled; enable it before recovering")
        task = Task(
            id=window.task_id,
            application_id=owner,
            endpoint_id=target.id,
            since=window.since,
            until=window.until,
            updated_at=window.now,
        )
        return store.task(once(store, use, owner, window.now, lambda: _added(store, task)))

    return change


def _resent(store: Store, owner: str, message_id: str, endpoint_id: str, now: Instant) -> str:
    store.resend(owner, message_id, endpoint_id, now)
    return message_id


def _added(store: Store, task: Task) -> str:
    store.add_task(task)
    return task.id
