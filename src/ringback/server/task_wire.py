"""What replays and other tasks are asked with and shown as: the Svix shapes, with Ringback's additions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from ringback.errors import InvalidInput
from ringback.model import OutcomeKind, Standing
from ringback.replays import Plan, Preview
from ringback.selection import AT_REST
from ringback.server.wire import STATUSES, Shape, instant, moment
from ringback.store import Task, TaskKind, TaskState

Status = Literal[0, 1, 2, 3, 4]
StatusClass = Literal[0, 100, 200, 300, 400, 500]

RUNNING = "running"
FINISHED = "finished"
FAILED = "failed"
# What Svix clients can tell apart: to them, what waits for a person is running.
WIRE_STATES = {
    RUNNING: (TaskState.RUNNING, TaskState.PAUSED),
    FINISHED: (TaskState.FINISHED, TaskState.CANCELLED),
    FAILED: (TaskState.FAILED,),
}
_WIRE_STATE = {state: text for text, states in WIRE_STATES.items() for state in states}
_STANDINGS = {number: standing for standing, (number, _) in STATUSES.items()}


class EndpointReplay(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Which messages to deliver again, and how; ``statuses`` and what follows are Ringback's own.

    Without a status it is all that is at rest. What is on its way is never sent twice.
    """

    since: datetime
    until: datetime | None = None
    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    tag: str | None = None
    status: Status | None = None
    status_code_class: StatusClass | None = None
    statuses: tuple[Status, ...] | None = None
    outcomes: tuple[OutcomeKind, ...] | None = None
    missing: bool = False
    rate: int | None = None
    limit: int | None = None
    preview: bool = False


class ApplicationReplay(EndpointReplay, kw_only=True):
    """Which messages to deliver again, at which endpoints (null: at all that are enabled), and how."""

    endpoint_ids: tuple[str, ...] | None = None


class TaskData(Shape, kw_only=True):
    """How a task stands; all but ``messages_sent`` and ``messages_purged`` is Ringback's own.

    A task has either what is about sending, or what is about forgetting.
    """

    messages_sent: int | UnsetType = UNSET
    messages_purged: int | UnsetType = UNSET
    messages_waiting: int | UnsetType = UNSET
    state: TaskState
    failure: str | None
    progress: float
    app_id: str
    endpoints: int | UnsetType = UNSET
    since: datetime
    until: datetime
    rate: int | None
    limit: int | None
    created_at: datetime


class BackgroundTaskOut(Shape):
    """A task."""

    id: str
    status: str
    task: TaskKind
    data: TaskData
    updated_at: datetime


class ReplayPreviewOut(Shape):
    """What a replay would send now; Ringback's own."""

    messages: int
    oldest: datetime | None
    newest: datetime | None
    estimated_minutes: float | None
    complete: bool


def plan_of(body: EndpointReplay, endpoints: tuple[str, ...] | None) -> Plan:
    """Return what *body* asks for, at *endpoints*."""
    return Plan(
        since=instant(body.since),
        until=None if body.until is None else instant(body.until),
        endpoints=endpoints,
        standings=_standings(body),
        event_types=body.event_types,
        channel=body.channel,
        tag=body.tag,
        missing=body.missing,
        status_class=body.status_code_class,
        outcomes=body.outcomes,
        rate=body.rate,
        limit=body.limit,
    )


def _standings(body: EndpointReplay) -> tuple[Standing, ...]:
    if body.missing and (body.status is not None or body.statuses is not None):
        raise InvalidInput.at("body", "missing", msg="goes with no status: these have none")
    asked = body.statuses if body.status is None else (body.status, *(body.statuses or ()))
    return AT_REST if asked is None else tuple(_STANDINGS[number] for number in dict.fromkeys(asked))


def task_out(task: Task) -> BackgroundTaskOut:
    """Show a task."""
    purges = task.kind is TaskKind.PURGE
    data = TaskData(
        messages_sent=UNSET if purges else task.moved - task.unsent,
        messages_purged=task.moved if purges else UNSET,
        messages_waiting=UNSET if purges else task.unsent,
        state=task.state,
        failure=task.failure,
        progress=round(task.progress, 4),
        app_id=task.application_id,
        endpoints=UNSET if purges else task.breadth,
        since=moment(task.selection.since),
        until=moment(task.selection.until),
        rate=task.rate,
        limit=task.limit,
        created_at=moment(task.created_at),
    )
    return BackgroundTaskOut(
        id=task.id,
        status=_WIRE_STATE[task.state],
        task=task.kind,
        data=data,
        updated_at=moment(task.updated_at),
    )


def preview_out(preview: Preview) -> ReplayPreviewOut:
    """Show what a replay would send."""
    return ReplayPreviewOut(
        messages=preview.count,
        oldest=None if preview.oldest is None else moment(preview.oldest),
        newest=None if preview.newest is None else moment(preview.newest),
        estimated_minutes=None if preview.seconds is None else round(preview.seconds / 60, 2),
        complete=preview.complete,
    )
