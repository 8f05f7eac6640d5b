"""Long work that outlives the node that does it: what it is, how far it has come, and how fast it may go."""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

from ringback.errors import Conflict
from ringback.model import Instant
from ringback.pacing import Bucket
from ringback.selection import Selection
from ringback.store.values import Page


class TaskKind(enum.StrEnum):
    """What a task does. Source: the names that Svix has for such tasks."""

    RECOVER = "endpoint.recover"
    REPLAY_MISSING = "endpoint.replay"
    BULK_REPLAY = "endpoint.bulk-replay"
    PURGE = "application.purge_content"


# Those that deliver again.
REPLAYING = (TaskKind.RECOVER, TaskKind.REPLAY_MISSING, TaskKind.BULK_REPLAY)


class TaskState(enum.StrEnum):
    """How a task stands."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"  # for a reason that would be there again the next time


# What a person may ask of a task: the state it is to have, by those it may come from. One that is finished may still
# have deliveries that wait for their first attempt, and cancelling takes those back.
_MOVES = {
    TaskState.PAUSED: {TaskState.RUNNING},
    TaskState.RUNNING: {TaskState.PAUSED},
    TaskState.CANCELLED: {TaskState.RUNNING, TaskState.PAUSED, TaskState.FINISHED, TaskState.FAILED},
}


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """How far a task has come at one endpoint: key, id and time of the last message that it has looked at."""

    endpoint_id: str
    position: int = 0
    cursor: str = ""
    reached: Instant = 0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of an application or a source to be made again, at one endpoint or several.

    Args:
        id: Its id.
        application_id: Whose they are.
        kind: What was asked for.
        selection: Which deliveries.
        lanes: The endpoints that it has not come to the end of.
        breadth: How many endpoints there were.
        limit: How many deliveries to make at most.
        rate: How many to make due per second, all endpoints together; None: as fast as they are taken.
        bucket: What is left of the rate.
        moved: How many deliveries it has made due, without those that were taken back.
        unsent: How many of those waited for their first attempt when that was looked at last.
        failure: Why it has failed.
    """

    id: str
    application_id: str
    kind: TaskKind
    selection: Selection
    lanes: tuple[Lane, ...]
    created_at: Instant
    updated_at: Instant
    state: TaskState = TaskState.RUNNING
    breadth: int = 1
    limit: int | None = None
    rate: int | None = None
    bucket: Bucket | None = None
    moved: int = 0
    unsent: int = 0
    failure: str | None = None

    @property
    def done(self) -> bool:
        """Whether it is over, one way or another."""
        return self.state in {TaskState.FINISHED, TaskState.CANCELLED, TaskState.FAILED}

    @property
    def progress(self) -> float:
        """Which part of the time from since to until it has looked through, of all its endpoints."""
        if self.done:
            return 1.0
        span = max(1, self.selection.until - self.selection.since)
        ended = self.breadth - len(self.lanes)
        begun = sum(min(1.0, max(0, lane.reached - self.selection.since) / span) for lane in self.lanes)
        return (ended + begun) / max(1, self.breadth)

    def turned(self, state: TaskState, now: Instant) -> Task:
        """Return it as a person wants it to stand.

        Raises:
            Conflict: It has come too far for that.
        """
        if self.state is not state and self.state not in _MOVES[state]:
            raise Conflict(f"the task is {self.state}, so it cannot become {state}")
        return msgspec.structs.replace(self, state=state, updated_at=now)


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks: of an application or a source, of these kinds, in one of these states; None is all."""

    application_id: str | None = None
    kinds: tuple[str, ...] | None = None
    states: tuple[TaskState, ...] | None = None


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a lane has found: how many deliveries are meant, of how many messages.

    ``lane`` is that to go on with, None at its end; ``oldest`` and ``newest`` are when messages were accepted.
    """

    count: int
    lane: Lane | None
    looked: int = 0
    oldest: Instant | None = None
    newest: Instant | None = None


class TaskVerbs(Protocol):
    """What a store does with tasks; a part of ``Store``."""

    def add_task(self, task: Task) -> None:
        """Keep a task to be advanced by a worker."""
        ...

    def task(self, task_id: str) -> Task:
        """Return a task as it stands; raises ``NotFound``."""
        ...

    def advance_task(self, now: Instant, limit: int) -> Task | None:
        """Take the next step of whichever task is due first; return it as it stands then, None where none is due.

        A step makes up to *limit* deliveries due, and looks at no more messages than can be looked at in a moment. A
        task waits while much of what it has made due waits for its first attempt, or while its rate wants it to.
        """
        ...

    def turn_task(self, task_id: str, state: TaskState, now: Instant) -> Task:
        """Pause a task, cancel it or have it go on; return it as it stands.

        What it has made due and nobody has begun to deliver is what it was before; should it go on, it is due again.

        Raises:
            NotFound: There is no such task.
            Conflict: It has come too far for that.
        """
        ...

    def tasks(self, where: TaskFilter, page: Page) -> list[Task]:
        """Return a page of tasks, in the order of their ids."""
        ...

    def forget_tasks(self, before: Instant) -> None:
        """Forget tasks that were begun before an instant and are over."""
        ...

    def survey(self, application_id: str, lane: Lane, selection: Selection, look: int) -> Survey:
        """Look at the next *look* messages of a lane, for how many deliveries of them are meant."""
        ...
