"""What a worker does besides delivering: it advances open tasks, and removes what is past retention."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial

from ringback import policy
from ringback.errors import NotFound
from ringback.model import Duration, Instant
from ringback.observe import MessagesPruned, Observer, StepFailed
from ringback.store import EXPIRING, Document, Page, Pruned, Store, Task
from ringback.store.commit import Committer

# Whoever else writes waits no longer than such a step takes.
TASK_STEP = 200
PRUNE_STEP = 500
# Of rows that nothing else belongs to.
AGED_STEP = 2_000
# What is left when a turn has taken that long waits for the next: tasks want to be advanced, too.
TURN_SECONDS = 20.0
PRUNE_EVERY = policy.MINUTE
# Source: Svix lists the tasks of the last 90 days.
TASK_RETENTION = 90 * policy.DAY


class Housekeeping:
    """Keeps house in small transactions.

    Args:
        committer: Writes.
        observer: Told of what is removed.
        retention: How long messages are kept.
    """

    def __init__(self, committer: Committer, observer: Observer, retention: Duration) -> None:
        self._committer = committer
        self._observer = observer
        self._retention = retention
        self._pruned_at = 0

    async def keep(self, clock: Callable[[], Instant], moved: Callable[[], None]) -> None:
        """Do what there is to do now; call *moved* whenever a task has made deliveries due."""
        while True:
            now = clock()
            task = await self._committer.write(partial(_advance_task, now))
            if task is None:
                break
            if task.failure is not None:
                self._observer.emit(StepFailed(step="task", error=RuntimeError(f"{task.id}: {task.failure}")))
            if task.moved:
                moved()
        if now // PRUNE_EVERY != self._pruned_at:
            self._pruned_at = now // PRUNE_EVERY
            await self.prune(now)

    async def prune(self, now: Instant) -> int:
        """Remove what is past retention; return how many messages that were.

        Payloads that were to be kept for a shorter time are forgotten, too.
        """
        while await self._committer.write(partial(_expire, now)):
            pass
        await self._committer.write(lambda store: store.forget_tasks(now - TASK_RETENTION))
        before = now - self._retention
        before -= before % self._committer.grain
        await self._prune_aged(partial(_prune_keys, before))
        await self._prune_aged(partial(_prune_receipts, min(before, now - policy.RECEIPT_RETENTION)))
        cursor: int | None = 0
        removed = 0
        while cursor is not None:
            pruned = await self._committer.write(partial(_prune, before, cursor))
            cursor = pruned.cursor
            removed += pruned.messages
            if pruned.messages:
                self._observer.emit(MessagesPruned(count=pruned.messages))
        return removed

    async def _prune_aged(self, step: Callable[[int, Store], int | None]) -> None:
        end = time.monotonic() + TURN_SECONDS
        cursor = await self._committer.write(partial(step, 0))
        while cursor is not None and time.monotonic() < end:
            cursor = await self._committer.write(partial(step, cursor))


def _advance_task(now: Instant, store: Store) -> Task | None:
    return store.advance_task(now, TASK_STEP)


def _expire(now: Instant, store: Store) -> bool:
    """Forget payloads whose time is over; tell whether there may be more of them."""
    found = store.documents(EXPIRING, Page(limit=PRUNE_STEP))
    ended = [document for document in found if int(document.id.partition(".")[0]) <= now]
    for document in ended:
        _, application, message = document.id.split(".")
        with contextlib.suppress(NotFound):  # it went with its application, or with retention
            store.expunge_message(application, message)
    store.keep([Document(EXPIRING, document.id, None) for document in ended])
    return len(ended) == PRUNE_STEP


def _prune(before: Instant, cursor: int, store: Store) -> Pruned:
    return store.prune(before, cursor, PRUNE_STEP)


def _prune_keys(before: Instant, cursor: int, store: Store) -> int | None:
    return store.prune_keys(before, cursor, AGED_STEP)


def _prune_receipts(before: Instant, cursor: int, store: Store) -> int | None:
    return store.prune_receipts(before, cursor, AGED_STEP)
