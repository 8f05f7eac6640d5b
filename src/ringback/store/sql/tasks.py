"""Long work: kept, shown, turned, and advanced in steps that hold up nobody, by whichever node comes by."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from ringback import ids, pacing
from ringback.errors import NotFound, StoreUnavailable
from ringback.model import Instant
from ringback.policy import SECOND
from ringback.store import Page, Task, TaskFilter, TaskKind, TaskState
from ringback.store.sql.filters import ID_STEP
from ringback.store.sql.history import EXPUNGE
from ringback.store.sql.replays import Replays, Target, after, behind
from ringback.store.tasks import Lane

# How many deliveries of a task may wait for their first attempt: what is published meanwhile is not held up by them,
# and no more than these are on their way when it is cancelled.
WINDOW = 1_000
WINDOW_OF_ALL = 4_000
# How many messages one step looks at.
LOOK = 500
# When a task looks again whether there is room in its window, or whether the last of it has been tried.
LOOK_AGAIN = SECOND // 5
SETTLE_AGAIN = SECOND

# How many payloads are forgotten at once.
PURGE = 200

_NEXT = """
    SELECT key, id, created_at, payload IS NOT NULL FROM ringback_message
    WHERE application_key = ? AND id > ? AND id < ? ORDER BY id LIMIT ?
"""
_decode = msgspec.json.Decoder(Task).decode
_SELECT = "SELECT record FROM ringback_background_task"


class _Step(msgspec.Struct):
    """What one step has looked at and moved so far, and what is left of the lanes it has walked along."""

    now: Instant
    moved: int = 0
    looked: int = 0
    behind: list[Lane] = []


class Tasks(Replays):
    """The verbs about tasks."""

    def add_task(self, task: Task) -> None:
        """See ``Store``."""
        self.execute(
            "INSERT INTO ringback_background_task (id, application_id, kind, state, due_at, record)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (task.id, task.application_id, task.kind, task.state, task.created_at, msgspec.json.encode(task)),
        )

    def task(self, task_id: str) -> Task:
        """See ``Store``."""
        return self._task(task_id, "")

    def _task(self, task_id: str, lock: str) -> Task:
        found = self.row(f"{_SELECT} WHERE id = ? {lock}", (task_id,))
        if found is None:
            raise NotFound(f"there is no task {task_id}")
        return _decode(found[0])

    def tasks(self, where: TaskFilter, page: Page) -> list[Task]:
        """See ``Store``."""
        query, values = f"{_SELECT} WHERE true", list[Any]()
        if where.application_id is not None:
            query += " AND application_id = ?"
            values.append(where.application_id)
        for column, wanted in (("kind", where.kinds), ("state", where.states)):
            if wanted is not None:
                # Of none of them there is nothing.
                query += f" AND {column} IN ({', '.join('?' * len(wanted)) or 'NULL'})"
                values += wanted
        return [_decode(row[0]) for row in self.page(query, values, "id", page)]

    def turn_task(self, task_id: str, state: TaskState, now: Instant) -> Task:
        """See ``Store``."""
        old = self._task(task_id, self.dialect.lock)
        task = old.turned(state, now)
        if state is TaskState.RUNNING:
            moved = self.put_forward(task, now) if old.state is TaskState.PAUSED else 0
        else:
            moved = -self.take_back(task)
        if state is TaskState.CANCELLED:
            self.let_go(task)
        unsent = self.sweep(task).total()
        task = msgspec.structs.replace(task, moved=task.moved + moved, unsent=unsent)
        due_at = now if state is TaskState.RUNNING else _settled_at(unsent, now)
        self._keep(task, due_at)
        return task

    def forget_tasks(self, before: Instant) -> None:
        """See ``Store``."""
        self.execute(
            "DELETE FROM ringback_background_task WHERE id < ? AND due_at IS NULL AND state <> ?",
            (ids.earliest(ids.TASK, before), TaskState.PAUSED),
        )

    # --- Advancing ----------------------------------------------------------------------------------------

    def advance_task(self, now: Instant, limit: int) -> Task | None:
        """See ``Store``."""
        # A task that another node is at work on is passed over.
        found = self.row(
            f"{_SELECT} WHERE due_at <= ? ORDER BY due_at, id LIMIT 1 {self.dialect.lock_free}", (now,)
        )
        if found is None:
            return None
        task = _decode(found[0])
        if task.state is TaskState.RUNNING:
            return self._take_step(task, now, limit)
        if task.state in {TaskState.PAUSED, TaskState.CANCELLED}:
            task = msgspec.structs.replace(task, moved=task.moved - self.take_back(task))
        if task.state is TaskState.CANCELLED:
            self.let_go(task)
        task = msgspec.structs.replace(task, unsent=self.sweep(task).total())
        self._keep(task, _settled_at(task.unsent, now))
        return task

    def _take_step(self, task: Task, now: Instant, limit: int) -> Task:
        try:
            with self.transaction():
                return (
                    self._purge(task, now) if task.kind is TaskKind.PURGE else self._advance(task, now, limit)
                )
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - it would fail again and again, and no other task be taken
            failure = f"{type(error).__name__}: {error}"
            task = msgspec.structs.replace(task, state=TaskState.FAILED, failure=failure, updated_at=now)
            self._keep(task, None)
            return task

    def _advance(self, task: Task, now: Instant, limit: int) -> Task:
        waiting = self.sweep(task)
        bucket = None if task.rate is None else pacing.refill(_bucket(task), task.rate, now)
        room = min(limit, WINDOW_OF_ALL - waiting.total(), _left(task, bucket))
        step = self._step(task, waiting, room, now)
        moved = task.moved + step.moved
        ended = not step.behind or moved == task.limit
        task = msgspec.structs.replace(
            task,
            lanes=() if ended else tuple(step.behind),
            bucket=bucket and pacing.Bucket(bucket.tokens - step.moved, bucket.at),
            moved=moved,
            unsent=waiting.total() + step.moved,
            state=TaskState.FINISHED if ended else TaskState.RUNNING,
            updated_at=now,
        )
        self._keep(task, _settled_at(task.unsent, now) if ended else _next_at(task, step, now))
        return task

    def _step(self, task: Task, waiting: Counter[int], room: int, now: Instant) -> _Step:
        """Take one step along the lanes; those that were walked along come after those that were not."""
        step, blocked = _Step(now), list[Lane]()
        # However many endpoints do not take what is due for them, there is room left for the others.
        window = min(WINDOW, max(1, WINDOW_OF_ALL // max(1, task.breadth)))
        for position, lane in enumerate(task.lanes):
            if step.moved >= room or step.looked >= LOOK:
                blocked += task.lanes[position:]
                break
            target = self.target(task.application_id, lane.endpoint_id)
            if target is None:
                continue
            wanted = min(room - step.moved, window - waiting[target.key])
            if wanted > 0:
                self._go_along(task, lane, target, wanted, step)
            else:
                blocked.append(lane)
        step.behind = blocked + step.behind
        return step

    def _go_along(self, task: Task, lane: Lane, target: Target, wanted: int, step: _Step) -> None:
        look = LOOK - step.looked
        candidates = self.candidates(target, lane, task.selection, look)
        meant = self.meant(candidates, target, task.selection)
        picked = meant[:wanted]
        rest = behind(picked[-1], lane) if len(picked) < len(meant) else None
        step.moved += self.make_many_due(task.id, picked, target, step.now)
        step.looked += len(candidates)
        rest = rest or after(candidates, lane, look, task.selection)
        if rest is not None:
            step.behind.append(rest)

    def _purge(self, task: Task, now: Instant) -> Task:
        """Forget the payloads of the messages that come next."""
        owner_key, _ = self._application_row(task.application_id)
        lane = task.lanes[0]
        end = ids.earliest(ids.MESSAGE, task.selection.until + ID_STEP)
        looked = self.rows(_NEXT, (owner_key, lane.cursor, end, PURGE))
        meant = [
            (key,) for key, _, created_at, there in looked if there and created_at < task.selection.until
        ]
        for part in EXPUNGE:
            self.execute_rows(part, meant)
        ended = len(looked) < PURGE
        if looked:
            lane = msgspec.structs.replace(lane, cursor=looked[-1][1], reached=looked[-1][2])
        task = msgspec.structs.replace(
            task,
            lanes=() if ended else (lane,),
            moved=task.moved + len(meant),
            state=TaskState.FINISHED if ended else TaskState.RUNNING,
            updated_at=now,
        )
        self._keep(task, None if ended else now)
        return task

    def _keep(self, task: Task, due_at: Instant | None) -> None:
        self.execute(
            "UPDATE ringback_background_task SET state = ?, due_at = ?, record = ? WHERE id = ?",
            (task.state, due_at, msgspec.json.encode(task), task.id),
        )


def _bucket(task: Task) -> pacing.Bucket:
    return task.bucket or pacing.empty_bucket(task.created_at)


def _left(task: Task, bucket: pacing.Bucket | None) -> int:
    """Return how many deliveries the rate and the limit of a task leave for now."""
    by_rate = WINDOW_OF_ALL if bucket is None else int(bucket.tokens)
    by_limit = WINDOW_OF_ALL if task.limit is None else task.limit - task.moved
    return max(0, min(by_rate, by_limit))


def _next_at(task: Task, step: _Step, now: Instant) -> Instant:
    """Return when the next step of a task that runs is due."""
    if task.rate is not None and task.bucket is not None:
        pause = pacing.wait_for_token(task.bucket, task.rate)
        if pause:
            return now + pause
    return now if step.looked else now + LOOK_AGAIN


def _settled_at(unsent: int, now: Instant) -> Instant | None:
    """Return when to look again at what a task that does not run has made due, None when all has been tried."""
    return now + SETTLE_AGAIN if unsent else None
