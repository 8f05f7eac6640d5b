"""The one bridge between callers and the store: a committer thread with group commit, and reader threads.

Whatever waits when the committer is free goes into one transaction, so a hundred callers share one fsync. A
caller gets a ``Pending``: a coroutine awaits it, a thread blocks on its ``result()``. Nothing is acknowledged
before the commit has returned.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from ringback import policy
from ringback.errors import Raced, RingbackError, StoreUnavailable, Unavailable
from ringback.model import Duration, Endpoint, EndpointState, Instant
from ringback.observe import (
    AttemptFinished,
    BatchCommitted,
    DeliveryPostponed,
    EndpointDisabled,
    LeaseLost,
    MessageAccepted,
    MessageReplayed,
    Observer,
    StoreFailed,
)
from ringback.store import Acceptance, Accepted, Lease, Pending, Settlement, Statement, Store
from ringback.store.hints import Teller
from ringback.store.unsettled import Unsettled

logger = logging.getLogger("ringback.store")

T = TypeVar("T")

MAX_BATCH = 512
MAX_QUEUED = 20_000
TOKEN_BITS = 62
READERS = 2
MAX_RACES = 5
COMPANY_SECONDS = 0.005
# Where many hand in at once, a moment's wait makes commits fewer and larger, and each of them costs as much.
BUSY = 8
LOOKS = 4
LOOK_SECONDS = 0.0005
# Where all that comes is to be acknowledged, the next batch gathers while this one reaches the disk: with about
# half of what is under way in each, neither the processor nor the disk waits for the other.
ENOUGH = 32
QUICK_LOOKS = 16
QUICK_LOOK_SECONDS = 0.0001


class Handover(Protocol):
    """The way from a commit to this node's worker; called on the committer thread only."""

    def admit(self, endpoint: Endpoint) -> bool:
        """Reserve room for one delivery; False has it spilled to the store."""
        ...

    def receive(self, accepted: Sequence[Accepted]) -> None:
        """Take over what was just committed, using the room reserved."""
        ...

    def withdraw(self) -> None:
        """Give back the room reserved: the commit failed."""
        ...

    def catalog_changed(self) -> None:
        """Heed that applications or endpoints may have been changed by a commit."""
        ...


class NoWorker:
    """The handover of a node that only accepts: everything waits in the store for others."""

    def admit(self, endpoint: Endpoint) -> bool:  # noqa: ARG002 - the answer is the same for all
        """Never reserve."""
        return False

    def receive(self, accepted: Sequence[Accepted]) -> None:
        """Take nothing."""

    def withdraw(self) -> None:
        """Give nothing back."""

    def catalog_changed(self) -> None:
        """Heed nothing."""


class _Operation:
    """Something to do in the next transaction, and whom to tell."""

    __slots__ = ("argument", "kind", "loop", "pending", "since")

    def __init__(
        self, kind: str, argument: Any, pending: Any, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self.kind = kind
        self.argument = argument
        self.pending = pending
        self.loop = loop
        self.since = time.perf_counter()


class _Batch(msgspec.Struct):
    accepts: list[_Operation] = []
    settlements: list[Settlement] = []
    writes: list[_Operation] = []
    # The settlements that somebody waits for, each with its place among them.
    awaited: list[tuple[int, _Operation]] = []

    def __len__(self) -> int:
        return len(self.accepts) + len(self.settlements) + len(self.writes)

    def patience(self, until: float) -> float:
        """Return how many seconds to wait for more: for settlements alone nobody waits, so they may have company."""
        if self.accepts or self.writes or self.awaited:
            return 0.0
        return max(0.0, until - time.perf_counter())

    def add(self, operation: _Operation) -> None:
        if operation.kind == "accept":
            self.accepts.append(operation)
        elif operation.kind == "settle":
            if operation.pending is not None:
                self.awaited.append((len(self.settlements), operation))
            self.settlements.append(operation.argument)
        else:
            self.writes.append(operation)


class NotThereYet(RuntimeError):  # noqa: N818 - named for what is the matter
    """A coroutine asked for a result that it has to await: to wait here would stop its loop for ever."""


class _Awaited:
    """A result to come for coroutines of one loop: a future without a turn of the loop for each who waits."""

    __slots__ = ("_done", "_error", "_listeners", "_loop", "_value")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done = False
        self._value: Any = None
        self._error: Exception | None = None
        self._listeners: list[Callable[[Any], object]] = []

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._done:
            told = self._loop.create_future()
            self._listeners.append(lambda _: None if told.done() else told.set_result(None))
            yield from told
        return self.result()

    def result(self) -> Any:
        """Return it or raise its error; it must be there."""
        if not self._done:
            raise NotThereYet("this was asked for on an event loop: await it instead of calling result()")
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self) -> Exception | None:
        """Return its error, if it ended in one."""
        return self._error

    def done(self) -> bool:
        """Tell whether it is there."""
        return self._done

    def add_done_callback(self, listener: Callable[[Any], object]) -> None:
        """Call *listener* with this when it is there; on its loop, between two turns of anything else."""
        if self._done:
            listener(self)
        else:
            self._listeners.append(listener)

    def set_result(self, value: Any) -> None:
        """Be there."""
        self._end(value, None)

    def set_exception(self, error: Exception) -> None:
        """Be there, as an error."""
        self._end(None, error)

    def _end(self, value: Any, error: Exception | None) -> None:
        self._value, self._error, self._done = value, error, True
        # Let go of first: who listens often holds this, and a circle would be left to the collector.
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            try:
                listener(self)
            except Exception as raised:  # noqa: BLE001 - one who waits must not cost the others their answers
                self._loop.call_exception_handler({"message": "a listener failed", "exception": raised})


class _Blocking(concurrent.futures.Future[T]):
    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()


class Committer:
    """Runs every write of one process on one thread, and its reads on a few others.

    Args:
        store: The store; this owns it and closes it.
        clock: Returns the present instant.
        observer: Told of every commit and of what it made durable.
        handover: The worker of this node.
        deadline: The longest an attempt may take; leases of accepted deliveries follow from it.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], Instant],
        observer: Observer,
        handover: Handover,
        deadline: Duration,
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._handover = handover
        self._deadline = deadline
        # Tokens need only differ, from those of other nodes too: a random start and a counter do that.
        self._tokens = itertools.count(secrets.randbits(TOKEN_BITS))
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ringback-committer", daemon=True)
        self._readers = concurrent.futures.ThreadPoolExecutor(READERS, "ringback-reader")
        self._gate = threading.Lock()
        self._closing = False
        self._closing_readers = False
        self._teller = Teller(store) if store.tells else None
        self._unsettled = Unsettled()
        self._busy = False
        self._only_accepts = False

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def close(self) -> None:
        """Commit what has been handed in, then close the store."""
        with self._gate:
            if self._closing_readers:
                return
            self._closing_readers = True
        # What a reader has found out may still have to be written.
        self._readers.shutdown()
        with self._gate:
            self._closing = True
            self._queue.put(None)
        if self._thread.ident is None:
            self._run()
        else:
            self._thread.join()
        if self._teller is not None:
            self._teller.close()
        self._store.close()

    def accept(self, acceptance: Acceptance) -> Pending[Accepted]:
        """Store a message with its deliveries.

        Raises:
            Unavailable: Too much is waiting to be stored.
        """
        if self._queue.qsize() > MAX_QUEUED:
            raise Unavailable("too many messages are waiting to be stored; try again shortly")
        stored: Pending[Accepted] = self._submit("accept", acceptance)
        return stored

    def accept_within(self, tx: Any, acceptance: Acceptance) -> Pending[Accepted]:
        """Store a message with its deliveries in a transaction of the application; see ``Store``."""
        return self._store.accept_within(tx, acceptance)

    def settle(self, settlement: Settlement) -> None:
        """End a lease. Nobody waits: where the store fails it is tried again until the lease has run out.

        A settlement that is lost costs a repeated attempt, never a message.
        """
        self._queue.put(_Operation("settle", settlement, None, None))

    def settle_surely(self, settlement: Settlement) -> Pending[bool]:
        """End a lease for somebody who waits; tell whether it was still held.

        Raises:
            Unavailable: This node is shutting down.
            StoreUnavailable: The store failed.
        """
        settled: Pending[bool] = self._submit("settle", settlement)
        return settled

    @property
    def grain(self) -> Duration:
        """The step in which retention goes; see ``Store``."""
        return self._store.grain

    def free_space(self) -> int | None:
        """Return how many bytes the store has room for; see ``Store``."""
        return self._store.free_space()

    def done_statements(self, settlement: Settlement) -> tuple[Statement, ...]:
        """Return what settles a success in a transaction of the application; see ``Store``."""
        return self._store.done_statements(settlement)

    def tell_settled(self, settlement: Settlement) -> None:
        """Tell the observer of a settlement that the application's own transaction has made durable."""
        self._tell_settled([settlement], [True])

    def write(self, change: Callable[[Store], T]) -> Pending[T]:
        """Run *change* in the next transaction; a ``RingbackError`` from it undoes only its own part."""
        written: Pending[T] = self._submit("write", change)
        return written

    def read(self, query: Callable[[Store], T]) -> Pending[T]:
        """Run *query* on a reader thread.

        Raises:
            Unavailable: This node is shutting down.
        """
        pending, loop = _new_pending()
        with self._gate:
            self._refuse_when(self._closing_readers)
            self._readers.submit(self._answer, query, pending, loop)
        answer: Pending[T] = pending
        return answer

    def _submit(self, kind: str, argument: Any) -> Any:
        pending, loop = _new_pending()
        with self._gate:
            self._refuse_when(self._closing)
            self._queue.put(_Operation(kind, argument, pending, loop))
        return pending

    def _refuse_when(self, closing: bool) -> None:
        if closing:
            raise Unavailable("this node is shutting down; try another or try again")

    def _answer(self, query: Callable[[Store], Any], pending: Any, loop: Any) -> None:
        try:
            _resolve([(loop, pending, query(self._store), None)])
        except Exception as error:  # noqa: BLE001 - whatever happened, the caller must hear of it
            _resolve([(loop, pending, None, error)])

    def _run(self) -> None:
        while (batch := self._gather()) is not None:
            if len(batch):
                self._busy = len(batch) >= BUSY
                self._only_accepts = len(batch.accepts) == len(batch)
                self._commit(batch)
                self._store.checkpoint()
            self._settle_again()
        self._settle_again()

    def _settle_again(self) -> None:
        settlements = self._unsettled.due(self._clock(), MAX_BATCH)
        if settlements:
            self._commit(_Batch(settlements=settlements))

    def _gather(self) -> _Batch | None:
        try:
            first = self._queue.get(timeout=self._unsettled.patience())
        except queue.Empty:
            return _Batch()
        if first is None:
            return None
        batch = _Batch()
        batch.add(first)
        if self._busy:
            self._await_company()
        until = time.perf_counter() + COMPANY_SECONDS
        while (room := MAX_BATCH - len(batch)) > 0:
            # This thread is the only one that takes, so what is counted is there.
            operations = [self._queue.get_nowait() for _ in range(min(room, self._queue.qsize()))]
            if not operations:
                try:
                    operations = [self._queue.get(timeout=batch.patience(until))]
                except queue.Empty:
                    break
            for operation in operations:
                if operation is not None:
                    batch.add(operation)
            if None in operations:
                self._queue.put(None)
                break
        return batch

    def _await_company(self) -> None:
        """Wait while more keep coming, a few looks at most."""
        waiting = -1
        looks, seconds, enough = LOOKS, LOOK_SECONDS, MAX_BATCH
        if self._only_accepts:
            looks, seconds, enough = QUICK_LOOKS, QUICK_LOOK_SECONDS, ENOUGH
        for _ in range(looks):
            waiting, before = self._queue.qsize(), waiting
            if waiting == before or waiting >= enough:
                return
            time.sleep(seconds)

    def _commit(self, batch: _Batch) -> None:
        started = time.perf_counter()
        try:
            written, accepted, held = self._write(batch)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any single transaction
            self._fail(batch, error)
            return
        finished = time.perf_counter()
        self._handover.receive([value for value in accepted if isinstance(value, Accepted)])
        if batch.writes:
            self._handover.catalog_changed()
        if self._teller is not None and self._leaves_to_others(batch, accepted):
            self._teller.tell()
        outcomes = [
            (operation.loop, operation.pending, *_value_or_error(value))
            for operation, value in zip(batch.writes + batch.accepts, written + accepted, strict=True)
        ]
        outcomes += [(one.loop, one.pending, held[place], None) for place, one in batch.awaited]
        _resolve(outcomes)
        try:
            self._observer.emit(BatchCommitted(rows=len(batch), seconds=finished - started))
            self._tell_accepted(batch.accepts, accepted, finished)
            self._tell_settled(batch.settlements, held)
        except Exception:
            # Whoever listens may fail; without this thread nothing would be accepted any more.
            logger.exception("a subscriber failed")

    def _write(self, batch: _Batch) -> tuple[list[Any], list[Accepted | RingbackError], list[bool]]:
        for races in itertools.count(1):
            try:
                with self._store.transaction():
                    written = [self._apply(operation) for operation in batch.writes]
                    accepted = self._accept(batch)
                    held = self._store.settle(batch.settlements) if batch.settlements else []
            except Raced:
                # Another node has written the same: now that it has, this one sees it.
                self._handover.withdraw()
                if races == MAX_RACES:
                    raise
            else:
                break
        return written, accepted, held

    def _apply(self, operation: _Operation) -> Any:
        try:
            with self._store.transaction():
                return operation.argument(self._store)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - what one change runs into must not undo the others' parts
            return error

    def _accept(self, batch: _Batch) -> list[Accepted | RingbackError]:
        if not batch.accepts:
            return []
        lease = Lease(next(self._tokens), policy.lease_until(self._clock(), self._deadline))
        return self._store.accept([op.argument for op in batch.accepts], lease, self._handover.admit)

    def _leaves_to_others(self, batch: _Batch, accepted: Sequence[Accepted | RingbackError]) -> bool:
        """Tell whether a commit may have made due what this node's worker, if it has one, was not handed."""
        if batch.writes and isinstance(self._handover, NoWorker):
            return True
        spilled = any(isinstance(value, Accepted) and value.spilled for value in accepted)
        return spilled or any(settlement.attempt is None for settlement in batch.settlements)

    def _fail(self, batch: _Batch, error: Exception) -> None:
        self._handover.withdraw()
        if isinstance(error, StoreUnavailable) or batch.accepts or batch.writes:
            # Whoever waits for a settlement is told; the others may be none of what failed.
            awaited = {place for place, _ in batch.awaited}
            self._unsettled.keep(one for place, one in enumerate(batch.settlements) if place not in awaited)
        waiting = [*batch.writes, *batch.accepts, *(operation for _, operation in batch.awaited)]
        _resolve([(op.loop, op.pending, None, error) for op in waiting])
        self._observer.emit(StoreFailed(error=f"{type(error).__name__}: {error}"))

    def _tell_accepted(
        self, operations: list[_Operation], accepted: Sequence[Accepted | RingbackError], finished: float
    ) -> None:
        for operation, value in zip(operations, accepted, strict=True):
            if not isinstance(value, Accepted):
                continue
            if value.replayed:
                self._observer.emit(MessageReplayed(message=value.message))
                continue
            self._observer.emit(
                MessageAccepted(
                    message=value.message,
                    deliveries=len(value.works) + len(value.spilled) + value.scheduled,
                    spilled=len(value.spilled),
                    waited=finished - operation.since,
                )
            )

    def _tell_settled(self, settlements: list[Settlement], held: list[bool]) -> None:
        for settlement, still in zip(settlements, held, strict=True):
            work = settlement.work
            if not still:
                self._observer.emit(LeaseLost(message_id=work.message_id, endpoint_id=work.endpoint.id))
            if settlement.attempt is not None:
                self._observer.emit(_attempt_finished(settlement))
            elif settlement.reason is not None:
                self._observer.emit(
                    DeliveryPostponed(
                        message_id=work.message_id,
                        endpoint_id=work.endpoint.id,
                        application_id=work.endpoint.application_id,
                        reason=settlement.reason,
                    )
                )
            if still and settlement.health is not None and settlement.health.disable is not None:
                disabled = msgspec.structs.replace(work.endpoint, state=EndpointState.DISABLED)
                self._observer.emit(EndpointDisabled(endpoint=disabled, reason=settlement.health.disable))


def _attempt_finished(settlement: Settlement) -> AttemptFinished:
    attempt, work = settlement.attempt, settlement.work
    assert attempt is not None  # noqa: S101 - the caller has looked
    return AttemptFinished(
        attempt=attempt,
        endpoint=work.endpoint,
        event_type=work.event_type,
        step=settlement.decision.step,
        due_at=settlement.decision.due_at,
        since_accepted=attempt.started_at + attempt.duration - work.accepted_at,
    )


def _new_pending() -> tuple[Any, asyncio.AbstractEventLoop | None]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _Blocking(), None
    return _Awaited(loop), loop


def _value_or_error(value: object) -> tuple[object, Exception | None]:
    return (None, value) if isinstance(value, Exception) else (value, None)


def _resolve(outcomes: list[tuple[asyncio.AbstractEventLoop | None, Any, Any, Exception | None]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop | None, list[tuple[Any, Any, Exception | None]]] = {}
    for loop, pending, value, error in outcomes:
        by_loop.setdefault(loop, []).append((pending, value, error))
    for loop, results in by_loop.items():
        if loop is None:
            _settle_all(results)
            continue
        try:
            # One wake-up per loop and batch: waking a loop costs a system call.
            loop.call_soon_threadsafe(_settle_all, results)
        except RuntimeError:
            continue  # the loop was closed while its callers' work was being committed


def _settle_all(results: list[tuple[Any, Any, Exception | None]]) -> None:
    for pending, value, error in results:
        if pending.done():
            continue
        if error is None:
            pending.set_result(value)
        else:
            pending.set_exception(error)
