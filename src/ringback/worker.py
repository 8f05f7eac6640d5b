"""The loop: take what is due, send it, judge the outcome, settle.

A delivery reaches the worker in memory from the commit that accepted it, or from the store when it is due.
One ``Job`` passes through the steps of ``Worker._deliver``; everything that decides is in ``policy``,
``pacing`` and ``lanes``.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import msgspec

from ringback import pacing, policy
from ringback.alarms import Alarms
from ringback.courier import Courier
from ringback.desk import Desk
from ringback.destinations import Destination
from ringback.duties import ELSEWHERE, Duties
from ringback.entropy import entropy
from ringback.errors import RingbackError
from ringback.fleet import Fleet
from ringback.handlers import Handlers
from ringback.housekeeping import Housekeeping
from ringback.job import Job
from ringback.lanes import Lane, Lanes
from ringback.model import Duration, Endpoint, EndpointState, Instant, Outcome, OutcomeKind
from ringback.observe import BatchTaken, CircuitChanged, LeaseLost, Observer, StepFailed
from ringback.policy import Decision, RetrySchedule, Step
from ringback.quotas import Quotas
from ringback.store import Accepted, Lease, Pending, Quota, Settlement, Store, Work
from ringback.store.commit import TOKEN_BITS, Committer

DUE_ENDPOINTS = 5_000
MAX_LANES = 20_000
MIN_DRAIN = 0.1
AFTER_SURPRISE = 1.0
MAX_REASON = 1_000


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker behaves.

    ``deadline`` bounds one attempt, ``slots`` the attempts under way, ``memory`` the deliveries held in
    memory. Messages older than ``retention`` are removed.
    """

    deadline: Duration = 20 * policy.SECOND
    slots: int = 512
    memory: int = 10_000
    schedule: RetrySchedule = policy.DEFAULT_SCHEDULE
    disable_after: Duration = 5 * policy.DAY
    breaker_rest: Duration = pacing.BREAKER_REST
    retention: Duration = 30 * policy.DAY
    poll_interval: Duration = 500
    user_agent: str = "Ringback"


class Worker:
    """Delivers until told to stop.

    Args:
        desk: Where commits hand deliveries over.
        committer: Settles, takes and reads.
        destination: Makes the attempts at places on the network.
        handlers: Makes the attempts at handlers, where this process has any.
        observer: Told of what is not told by commits.
        settings: How to behave.
        clock: Returns the present instant.
        monotonic: Returns seconds that only grow, for durations.
        chance: Returns a random number from 0 up to 1.
        entropy: Returns that many random bytes.
        fleet: The nodes that deliver from the same store, where there may be others.
    """

    def __init__(
        self,
        desk: Desk,
        committer: Committer,
        destination: Destination,
        *,
        observer: Observer,
        settings: WorkerSettings,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
        chance: Callable[[], float],
        entropy: Callable[[int], bytes] = entropy,
        handlers: Handlers | None = None,
        fleet: Fleet | None = None,
    ) -> None:
        self._desk = desk
        self._committer = committer
        self._courier = Courier(destination, settings.user_agent, settings.deadline, monotonic)
        self._handlers = handlers
        self._observer = observer
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._entropy = entropy
        self._lanes = Lanes(settings.slots, settings.breaker_rest)
        self._duties = Duties(fleet, committer)
        self._quotas = Quotas(desk, self._lanes, self._duties, clock)
        self._housekeeping = Housekeeping(committer, observer, settings.retention)
        self._attempts: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._feed_wanted = asyncio.Event()
        self._refresh_wanted = asyncio.Event()
        self._alarms = Alarms(self._feed_wanted.set, self._pump)
        self._starved = False
        self._stopping = False
        self._catalog_version = 0
        # Endpoints whose health this worker has changed, where the store may not have it yet.
        self._unsettled: set[str] = set()

    # --- Life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to deliver, on the running event loop."""
        loop = asyncio.get_running_loop()

        def from_commit(callback: Callable[..., None], *arguments: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it this worker
                loop.call_soon_threadsafe(callback, *arguments)

        self._desk.attach(
            lambda accepted: from_commit(self._receive, accepted),
            lambda: from_commit(self._refresh_wanted.set),
            self._duties.serves,
        )
        self._loops = [
            loop.create_task(self._repeatedly(step)) for step in (self._feed, self._refresh, self._keep_house)
        ]

    def look(self) -> None:
        """Look now for what is due, as a clock that is moved by hand asks for; by itself it looks now and then."""
        self._feed_wanted.set()

    async def stop(self, patience: float) -> None:
        """Start nothing new, give back what has not started, wait up to *patience* seconds for the rest."""
        seconds = asyncio.get_running_loop().time
        end = seconds() + patience
        self._stopping = True
        self._desk.shut()
        feeding, *others = self._loops
        for task in others:
            task.cancel()
        self._feed_wanted.set()
        await asyncio.wait([feeding], timeout=max(end - seconds(), MIN_DRAIN))
        feeding.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for lane in self._lanes:
            self._give_back(lane, "draining")
        if self._attempts:
            _, late = await asyncio.wait(self._attempts, timeout=max(end - seconds(), MIN_DRAIN))
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._courier.aclose()
        if self._handlers is not None:
            self._handlers.close()

    @property
    def in_memory(self) -> int:
        """How many deliveries this worker holds, queued or under way."""
        return self._desk.total

    @property
    def let_go(self) -> int:
        """How many deliveries this worker has held and settled or given back so far."""
        return self._desk.released

    @property
    def in_flight(self) -> int:
        """How many attempts are under way."""
        return self._lanes.in_flight

    async def _repeatedly(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not self._stopping:
            try:
                await step()
            except RingbackError:
                # The committer has told the observer. What was taken comes back when its lease ends.
                await asyncio.sleep(self._settings.poll_interval / 1000)
            except Exception as error:  # noqa: BLE001 - deliveries must go on whatever one step runs into
                self._observer.emit(StepFailed(step=step.__name__.strip("_"), error=error))
                await asyncio.sleep(AFTER_SURPRISE)

    # --- Deliveries come in -------------------------------------------------------------------------------

    def _receive(self, accepted: Sequence[Accepted]) -> None:
        now = self._clock()
        for one in accepted:
            for work in one.works:
                self._queue(work, now)
            if any(self._serves(endpoint.handler) for endpoint in one.spilled):
                self._starved = True
        if self._starved and self._desk.total < self._settings.memory // 2:
            self._feed_wanted.set()
        self._pump()

    def _queue(self, work: Work, now: Instant) -> None:
        if self._stopping:
            self._postpone(work, now, "draining")
            return
        lane = self._lane(work.endpoint)
        if work.endpoint.updated_at > lane.endpoint.updated_at:
            self._adopt(lane, work.endpoint)
        if not pacing.admits(lane.breaker, now):
            self._postpone(work, lane.breaker.reopens_at or 0, "circuit_open")
            return
        self._lanes.add(work)

    def _lane(self, endpoint: Endpoint) -> Lane:
        lane = self._lanes.get(endpoint.id)
        if lane is None:
            lane = self._lanes.lane(endpoint)
            lane.breaker = pacing.heard(lane.breaker, self._duties.reopens_at(endpoint.id), self._clock())
            if lane.is_throttled:
                self._desk.set_buffer(endpoint.id, lane.buffer)
        if lane.is_throttled and self._duties.is_shared:
            # Another node may just have spent all that a full one holds.
            lane.begin_empty(self._clock())
        return lane

    async def _feed(self) -> None:
        """Take what is due, as far as there is room; then wait until there may be more."""
        now = self._clock()
        due = await self._committer.read(lambda store: store.due(now, DUE_ENDPOINTS))
        due = await self._duties.served([one for one in due if self._serves(one.handler)])
        quotas = self._quotas.reserve(endpoint.endpoint_id for endpoint in due)
        taken = await self._take(quotas) if quotas else 0
        self._starved = bool(due)
        if taken == 0 or self._desk.total >= self._settings.memory:
            jitter = 0.8 + 0.4 * self._chance()
            await _wait(self._feed_wanted, self._settings.poll_interval / 1000 * jitter)

    async def _take(self, quotas: Sequence[Quota]) -> int:
        started = self._monotonic()
        works: list[Work] = []
        try:
            works = await self._committer.write(lambda store: self._take_from(store, quotas))
        finally:
            spare = {quota.endpoint_id: quota.limit for quota in quotas}
            for work in works:
                spare[work.endpoint.id] -= 1
            for endpoint_id, count in spare.items():
                if count:
                    self._desk.release(endpoint_id, count)
        self._observer.emit(BatchTaken(count=len(works), seconds=self._monotonic() - started))
        now = self._clock()
        for work in works:
            # At one instant for all, so that none of them is put off and the next is not.
            self._queue(work, now)
        self._pump()
        return len(works)

    def _take_from(self, store: Store, quotas: Sequence[Quota]) -> list[Work]:
        # Begun when it is its turn: a lease that has waited for that may be over before anything is sent.
        now = self._clock()
        lease = Lease(secrets.randbits(TOKEN_BITS), policy.lease_until(now, self._settings.deadline))
        works = store.take(quotas, lease, now)
        if self._handlers is not None:
            # In the same transaction: one whose key is not known stands in the way of all that came later, and so
            # would what a killed process has taken.
            store.name(self._handlers.keys_of(works))
        return works

    # --- One delivery -------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Start whatever may start."""
        # Until it is known what rates there are, nothing starts.
        if self._lanes.idle or not self._catalog_version:
            return
        now = self._clock()
        loop = asyncio.get_running_loop()
        while not self._stopping and (picked := self._lanes.pick(now)) is not None:
            lane, work = picked
            task = loop.create_task(self._deliver(Job(lane, work, now, self._monotonic())))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)
        self._alarms.wake_at(None if self._stopping else self._lanes.next_wake(), now)

    async def _deliver(self, job: Job) -> None:
        """Take one delivery through its steps."""
        if not policy.may_send(job.started_at, job.work.lease.until, self._settings.deadline):
            self._return(job, "lease_too_short")
            if len(job.lane):
                self._give_back_stale(job.lane)
            return
        if not self._duties.serves(job.lane.endpoint):
            self._return(job, ELSEWHERE)
            return
        try:
            if job.work.endpoint.handler is None:
                await self._send(job)
            elif not await self._handle(job):
                return
        except asyncio.CancelledError:
            self._interrupt(job)
            return
        except Exception as error:  # noqa: BLE001 - one delivery must not cost the others their slot
            self._observer.emit(StepFailed(step="deliver", error=error))
            job.outcome = Outcome(kind=OutcomeKind.UNKNOWN, detail="internal_error")
        self._settle(job)
        try:
            if job.kept is not None:
                await self._keep_order(job, job.kept)
        finally:
            self._free_slot(job)
        self._pump()

    async def _send(self, job: Job) -> None:
        job.outcome = await self._courier.send(job.work, job.lane.endpoint, job.started_at)
        job.seconds = self._monotonic() - job.started

    async def _handle(self, job: Job) -> bool:
        """Run a handler; tell whether there is an outcome to settle."""
        assert self._handlers is not None  # noqa: S101 - only what these serve is taken
        work = job.work
        ran = await self._handlers.run(work, partial(self._success_of, job))
        job.seconds = self._monotonic() - job.started
        job.outcome, job.settled = ran.outcome, ran.settled
        if ran.outcome is not None:
            return True
        self._lanes.abandoned(job.lane, work)
        if ran.postponed_until is None:
            self._observer.emit(LeaseLost(message_id=work.message_id, endpoint_id=work.endpoint.id))
            self._desk.release(work.endpoint.id, 1)
        else:
            self._postpone(work, ran.postponed_until, ran.reason)
            self._alarms.at(ran.postponed_until, self._clock())
        self._pump()
        return False

    def _success_of(self, job: Job, outcome: Outcome) -> Settlement:
        # Called on the handler's thread, perhaps after the job has timed out: so nothing of the job is changed.
        attempt = job.attempt(outcome, self._monotonic() - job.started, self._entropy)
        return Settlement(work=job.work, decision=Decision(Step.SUCCEED), attempt=attempt)

    def _settle(self, job: Job) -> None:
        outcome, work, lane = job.outcome, job.work, job.lane
        assert outcome is not None  # noqa: S101 - the step before made it
        if job.settled is not None:
            self._committer.tell_settled(job.settled)
            return
        now = self._clock()
        attempts = work.attempts + 1
        schedule = policy.schedule_of(lane.endpoint, self._settings.schedule)
        decision = policy.decide(outcome, attempts, schedule, now, self._chance())
        health = policy.judge_endpoint(lane.endpoint, outcome, decision, now, self._settings.disable_after)
        settlement = Settlement(
            work=work,
            decision=decision,
            attempt=job.attempt(outcome, job.seconds, self._entropy) if policy.is_try(outcome) else None,
            health=health,
            reason=outcome.body.decode(errors="replace")[:MAX_REASON]
            if decision.step is Step.CANCEL
            else None,
        )
        if work.endpoint.in_order:
            job.decision, job.kept = decision, self._committer.settle_surely(settlement)
        else:
            self._committer.settle(settlement)
        if decision.due_at is not None:
            self._alarms.at(decision.due_at, now)
        if health is not None:
            self._adopt(lane, _with_health(lane.endpoint, health))
            self._unsettled.add(lane.endpoint.id)
            if health.disable is not None:
                self._refresh_wanted.set()

    async def _keep_order(self, job: Job, kept: Pending[bool]) -> None:
        """Let the next of an ordered endpoint go when the end of this one is durable, and is its end."""
        assert job.decision is not None  # noqa: S101 - it came with what is waited for
        if policy.holds(job.decision.step):
            self._give_back(job.lane, policy.BEHIND_ANOTHER, job.decision.due_at)
        try:
            is_over = await kept
        except Exception:  # noqa: BLE001 - the committer has told the observer, whatever it ran into
            is_over = False
        if not is_over:
            # What became of it in the store is not known here, so what comes next is for the store to say.
            self._give_back(job.lane, policy.BEHIND_ANOTHER)

    def _interrupt(self, job: Job) -> None:
        # Stopping took too long to wait for its end. Another worker need not wait for the lease's.
        now = self._clock()
        outcome = Outcome(kind=OutcomeKind.UNKNOWN, detail="interrupted")
        attempt = job.attempt(outcome, self._monotonic() - job.started, self._entropy)
        decision = Decision(Step.POSTPONE, now)
        self._committer.settle(
            Settlement(work=job.work, decision=decision, attempt=attempt, reason="draining")
        )
        # The desk outlives this worker.
        self._desk.release(job.work.endpoint.id, 1)

    def _free_slot(self, job: Job) -> None:
        lane, outcome = job.lane, job.outcome
        assert outcome is not None  # noqa: S101 - as above
        now, reopened_at = self._clock(), lane.breaker.reopens_at
        changed = self._lanes.finished(lane, job.work, outcome, job.seconds, now)
        self._desk.release(lane.endpoint.id, 1)
        if lane.breaker.reopens_at != reopened_at:
            self._duties.tell(lane.endpoint.id, lane.breaker.reopens_at)
            self._refresh_wanted.set()
        if changed:
            self._heed_circuit(lane, now)
        if lane.endpoint.in_order and not len(lane):
            # Until now, nothing more could be taken.
            self._feed_wanted.set()
        if self._starved and len(lane) <= lane.buffer // 2:
            self._desk.set_buffer(lane.endpoint.id, self._quotas.buffer_of(lane))
            self._feed_wanted.set()

    def _return(self, job: Job, reason: str) -> None:
        # It waited too long in memory for its lease to cover an attempt, which a fresh lease will; or for this node.
        self._lanes.abandoned(job.lane, job.work)
        self._postpone(job.work, job.started_at, reason)
        if job.work.endpoint.in_order:
            self._give_back(job.lane, reason)
        self._feed_wanted.set()
        self._pump()

    def _serves(self, handler: str | None) -> bool:
        return handler is None or (self._handlers is not None and self._handlers.serves(handler))

    # --- Giving back --------------------------------------------------------------------------------------

    def _postpone(self, work: Work, due_at: Instant, reason: str) -> None:
        self._committer.settle(Settlement(work=work, decision=Decision(Step.POSTPONE, due_at), reason=reason))
        self._desk.release(work.endpoint.id, 1)

    def _give_back(self, lane: Lane, reason: str, due_at: Instant | None = None) -> None:
        now = self._clock()
        for work in self._lanes.drain(lane):
            self._postpone(work, now if due_at is None else due_at, reason)

    def _cancel(self, lane: Lane, reason: str) -> None:
        for work in self._lanes.drain(lane):
            self._committer.settle(Settlement(work=work, decision=Decision(Step.CANCEL), reason=reason))
            self._desk.release(work.endpoint.id, 1)

    def _heed_circuit(self, lane: Lane, now: Instant) -> None:
        reopens_at = lane.breaker.reopens_at
        self._desk.set_buffer(lane.endpoint.id, lane.buffer)
        if reopens_at is None:
            self._feed_wanted.set()
        else:
            self._give_back(lane, "circuit_open", reopens_at)
            self._alarms.at(reopens_at, now)
        self._observer.emit(CircuitChanged(endpoint=lane.endpoint, open=reopens_at is not None))

    # --- Endpoints change ---------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Bring the lanes' endpoints up to date if the catalog has changed; then wait until it may again."""
        doubtful = set(self._unsettled)
        if doubtful:
            # Once this is through, what was settled before it either is in the store or was lost.
            await self._committer.write(lambda _: None)
            self._unsettled -= doubtful
        version = await self._committer.read(lambda store: store.catalog_version())
        if doubtful or version != self._catalog_version:
            names = [lane.endpoint.id for lane in self._lanes]
            rates, fresh = await self._committer.read(lambda store: (store.rates(), store.refresh(names)))
            self._catalog_version = version
            self._duties.heed(rates)
            self._lanes.heed(rates)
            for endpoint_id, endpoint in fresh.items():
                lane = self._lanes.get(endpoint_id)
                if lane is not None and endpoint_id not in self._unsettled:
                    self._adopt_or_close(lane, endpoint)
            self._feed_wanted.set()
            self._pump()
        await self._heed_others()
        self._forget_idle_lanes()
        await _wait(self._refresh_wanted, 2 * self._settings.poll_interval / 1000)

    async def _heed_others(self) -> None:
        """Heed which circuits other nodes have opened or closed, and give back what has become theirs to deliver."""
        for endpoint_id, reopens_at in (await self._duties.exchange(self._clock())).items():
            lane = self._lanes.get(endpoint_id)
            if lane is not None:
                now = self._clock()
                lane.breaker = pacing.heard(lane.breaker, reopens_at, now)
                self._heed_circuit(lane, now)
        self._lanes.workers = self._duties.workers
        for lane in self._lanes:
            if not self._duties.serves(lane.endpoint):
                lane.bucket = lane.share.bucket = None
                self._give_back(lane, ELSEWHERE)
            elif lane.is_throttled and len(lane):
                self._give_back_stale(lane)

    def _give_back_stale(self, lane: Lane) -> None:
        """Give back what a rate has held up for so long that its lease does not cover an attempt any more."""
        now = self._clock()
        if policy.may_send(now, lane.shortest_lease, self._settings.deadline):
            return
        for work in self._lanes.drain(lane):
            if policy.may_send(now, work.lease.until, self._settings.deadline):
                self._lanes.add(work)
            else:
                self._postpone(work, now, "lease_too_short")

    def _adopt_or_close(self, lane: Lane, endpoint: Endpoint | None) -> None:
        if endpoint is not None:
            self._adopt(lane, endpoint)
            return
        self._cancel(lane, "endpoint_deleted")
        lane.endpoint = msgspec.structs.replace(lane.endpoint, state=EndpointState.DISABLED)
        self._desk.set_buffer(lane.endpoint.id, 0)

    def _adopt(self, lane: Lane, endpoint: Endpoint) -> None:
        if endpoint.throttle_rate != lane.endpoint.throttle_rate:
            lane.bucket = None
        if endpoint.in_order and not lane.endpoint.in_order:
            self._give_back(lane, policy.BEHIND_ANOTHER)
        lane.endpoint = endpoint
        self._desk.set_buffer(endpoint.id, lane.buffer)
        if endpoint.state is EndpointState.PAUSED:
            self._give_back(lane, "endpoint_paused")
        elif endpoint.state is EndpointState.DISABLED:
            self._cancel(lane, "endpoint_disabled")
        else:
            self._lanes.wake(lane)

    def _forget_idle_lanes(self) -> None:
        if len(self._lanes) <= MAX_LANES:
            return
        for lane in self._lanes:
            if not len(lane) and not lane.in_flight:
                self._lanes.close(lane)
                self._desk.set_buffer(lane.endpoint.id, None)

    # --- Keeping house ------------------------------------------------------------------------------------

    async def _keep_house(self) -> None:
        """Advance the open tasks and remove what is past retention; then wait until there may be more."""
        await self._housekeeping.keep(self._clock, self._feed_wanted.set)
        await asyncio.sleep(self._settings.poll_interval / 1000)


def _with_health(endpoint: Endpoint, health: policy.Health) -> Endpoint:
    changed = msgspec.structs.replace(endpoint, failing_since=health.failing_since)
    if health.disable is None:
        return changed
    return msgspec.structs.replace(changed, state=EndpointState.DISABLED, disabled_reason=health.disable)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
