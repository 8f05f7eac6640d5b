"""The door for delivering many messages again: previewed, paced, watched, paused, cancelled.

Each replay is a task that the workers advance together: it survives the node that does it, and goes on where it was.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ringback import ids, policy
from ringback.errors import Conflict, InvalidInput
from ringback.model import Application, Endpoint, EndpointState, Instant, OutcomeKind, Standing
from ringback.repetition import idempotency, once
from ringback.selection import AT_REST, RECOVERABLE, Selection
from ringback.store import (
    Idempotency,
    Lane,
    Page,
    Pending,
    Store,
    Survey,
    Task,
    TaskFilter,
    TaskKind,
    TaskState,
)
from ringback.store.commit import Committer

MAX_ENDPOINTS = 1_000
MAX_NAMES = 1_000
MAX_RATE = 10_000
MAX_LIMIT = 10_000_000
# How many messages a preview looks at, so many in one go.
PREVIEW_LOOKS = 1_000_000
LOOK = 5_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries to make again, and how; for the rest see ``Selection``.

    Args:
        since: Of messages accepted from then on.
        until: Of those accepted before; None: before now.
        endpoints: At the endpoints named by id or uid; None: at all of them.
        standings: Those that stand so.
        missing: Those that were never attempted, instead.
        event_types: Of messages of these types; None: of all.
        channel: Of messages in this channel.
        tag: Of messages with this tag.
        status_class: Those whose last attempt was answered with such an HTTP status: 0, 100 … 500.
        outcomes: Those whose last attempt came to one of these.
        rate: How many per second, for all endpoints together; None: as fast as they are taken.
        limit: How many at most.
    """

    since: Instant
    until: Instant | None = None
    endpoints: tuple[str, ...] | None = None
    standings: tuple[Standing, ...] = AT_REST
    missing: bool = False
    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    tag: str | None = None
    status_class: int | None = None
    outcomes: tuple[OutcomeKind, ...] | None = None
    rate: int | None = None
    limit: int | None = None

    def selection(self, now: Instant) -> Selection:
        """Return which deliveries it is about.

        Raises:
            InvalidInput: It does not obey the rules.
        """
        until = (
            now + 1 if self.until is None else self.until
        )  # what was accepted this very millisecond counts
        if self.since >= until:
            raise InvalidInput.at("body", "since", msg="since must be before until")
        for name, value, most in (("rate", self.rate, MAX_RATE), ("limit", self.limit, MAX_LIMIT)):
            if value is not None and not 1 <= value <= most:
                raise InvalidInput.at("body", name, msg=f"is between 1 and {most}")
        for name, values in (
            ("endpointIds", self.endpoints),
            ("statuses", self.standings),
            ("eventTypes", self.event_types),
            ("outcomes", self.outcomes),
        ):
            if values is not None and not 1 <= len(values) <= MAX_NAMES:
                raise InvalidInput.at("body", name, msg=f"has 1 to {MAX_NAMES} entries; leave it out for all")
        if self.missing and (self.status_class is not None or self.outcomes is not None):
            raise InvalidInput.at("body", "missing", msg="goes with nothing that is said of attempts")
        return Selection(
            since=self.since,
            until=until,
            standings=self.standings,
            missing=self.missing,
            event_types=self.event_types,
            channel=self.channel,
            tag=self.tag,
            status_class=self.status_class,
            outcomes=self.outcomes,
        )


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay would send now: how many messages, and when the oldest and the newest of them were accepted.

    *seconds* is how long that takes at the lowest of the rates that there are: the one asked for, the application's, an
    endpoint's; None where there is none.
    Without *complete* there may be more: it is not looked for any further.
    """

    count: int
    oldest: Instant | None
    newest: Instant | None
    seconds: float | None
    complete: bool


class Replays:
    """Begins replays and turns them; made by ``Outbox.replays``.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
    """

    def __init__(
        self, committer: Committer, clock: Callable[[], Instant], entropy: Callable[[int], bytes]
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._entropy = entropy

    # --- Beginning ----------------------------------------------------------------------------------------

    def recover(
        self,
        application: str,
        endpoint: str,
        since: Instant,
        until: Instant | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Pending[Task]:
        """Deliver again what failed at an endpoint, of messages accepted from *since* to *until* (None: now).

        Raises:
            InvalidInput: The window is empty, or longer than 14 days.
            NotFound: There is no such endpoint.
            Conflict: The endpoint is disabled, or the key was used for another recovery.
        """
        policy.check_recover_window(since, self._clock() if until is None else until)
        plan = Plan(since=since, until=until, endpoints=(endpoint,), standings=RECOVERABLE)
        use = idempotency("recover", idempotency_key, (since, until))
        return self._begin(application, TaskKind.RECOVER, plan, use, at=endpoint)

    def missing(
        self,
        application: str,
        endpoint: str,
        since: Instant,
        until: Instant | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Pending[Task]:
        """Deliver what was never attempted at an endpoint and that it wants as it is now.

        Such as what was published before it was made, or while it was disabled. For the rest, see ``recover``; the
        window may be of any length.
        """
        plan = Plan(since=since, until=until, endpoints=(endpoint,), missing=True)
        use = idempotency("replay", idempotency_key, (since, until))
        return self._begin(application, TaskKind.REPLAY_MISSING, plan, use, at=endpoint)

    def begin(
        self, application: str, plan: Plan, *, at: str | None = None, idempotency_key: str | None = None
    ) -> Pending[Task]:
        """Deliver again what *plan* says, or of that only what is for the endpoint *at*; nothing goes out twice.

        Raises:
            InvalidInput: The plan does not obey the rules.
            NotFound: There is no such application or endpoint.
            Conflict: An endpoint that is named is disabled, or the key was used for another replay.
        """
        use = idempotency("bulk-replay", idempotency_key, plan)
        return self._begin(application, TaskKind.BULK_REPLAY, _aimed(plan, at), use, at=at)

    async def preview(
        self, application: str, plan: Plan, *, at: str | None = None, looks: int = PREVIEW_LOOKS
    ) -> Preview:
        """Tell what *plan* would send now, in short reads of so many messages in all; for its errors see ``begin``."""
        plan = _aimed(plan, at)
        selection = plan.selection(self._clock())

        def aim(store: Store) -> tuple[Application, list[Endpoint]]:
            record = store.application(application)
            return record, _targets(store, record.id, plan)

        record, targets = await self._committer.read(aim)
        count = _Counting([Lane(endpoint_id=target.id) for target in targets], plan.limit or MAX_LIMIT, looks)
        while not count.is_over:
            count.add(await self._committer.read(functools.partial(count.look, record.id, selection)))
        return count.preview((plan.rate, record.throttle_rate), targets)

    def _begin(
        self, application: str, kind: TaskKind, plan: Plan, use: Idempotency | None, *, at: str | None
    ) -> Pending[Task]:
        now = self._clock()
        selection = plan.selection(now)
        task_id = ids.new_id(ids.TASK, now, self._entropy(ids.ENTROPY_BYTES))

        def change(store: Store) -> Task:
            owner = store.application(application).id
            targets = _targets(store, owner, plan)
            place = (owner,) if at is None else (owner, targets[0].id)
            task = Task(
                id=task_id,
                application_id=owner,
                kind=kind,
                selection=selection,
                lanes=tuple(Lane(endpoint_id=target.id) for target in targets),
                breadth=len(targets),
                limit=plan.limit,
                rate=plan.rate,
                created_at=now,
                updated_at=now,
            )
            return store.task(once(store, use, place, now, lambda: added(store, task)))

        return self._committer.write(change)

    # --- Watching and turning -----------------------------------------------------------------------------

    def tasks(self, where: TaskFilter, page: Page) -> Pending[list[Task]]:
        """Return a page of tasks, in the order of their ids."""
        return self._committer.read(lambda store: store.tasks(where, page))

    def task(self, task_id: str) -> Pending[Task]:
        """Return a task as it stands; raises ``NotFound``."""
        return self._committer.read(lambda store: store.task(task_id))

    def pause(self, task_id: str) -> Pending[Task]:
        """Have a task wait. What it has made due and nobody has begun to deliver waits with it.

        Raises:
            NotFound: There is no such task.
            Conflict: It is over.
        """
        return self._turn(task_id, TaskState.PAUSED)

    def resume(self, task_id: str) -> Pending[Task]:
        """Have a task that waits go on; for its errors see ``pause``."""
        return self._turn(task_id, TaskState.RUNNING)

    def cancel(self, task_id: str) -> Pending[Task]:
        """End a task. What it has made due and nobody has begun to deliver stands as it did before.

        Raises:
            NotFound: There is no such task.
        """
        return self._turn(task_id, TaskState.CANCELLED)

    def _turn(self, task_id: str, state: TaskState) -> Pending[Task]:
        now = self._clock()
        return self._committer.write(lambda store: store.turn_task(task_id, state, now))


def _aimed(plan: Plan, at: str | None) -> Plan:
    return plan if at is None else msgspec.structs.replace(plan, endpoints=(at,))


def _targets(store: Store, owner: str, plan: Plan) -> list[Endpoint]:
    """Return the endpoints of a plan: of those that are named none may be disabled, others are left out."""
    if plan.endpoints is None:
        found = store.endpoints(owner, Page(limit=MAX_ENDPOINTS))
        return [one for one in found if one.state is not EndpointState.DISABLED]
    named = {target.id: target for target in (store.endpoint(owner, ref) for ref in plan.endpoints)}
    for target in named.values():
        if target.state is EndpointState.DISABLED:
            raise Conflict(f"the endpoint {target.id} is disabled; enable it before anything is sent to it")
    return list(named.values())


class _Counting:
    """How far a preview has come."""

    def __init__(self, lanes: list[Lane], most: int, looks: int) -> None:
        self._lanes = lanes
        self._most = most
        self._left = looks
        self._counts: Counter[str] = Counter()
        self._times: list[Instant] = []

    @property
    def is_over(self) -> bool:
        """Whether there is no more to look at, or no need to."""
        return not self._lanes or self._left <= 0 or self._counts.total() >= self._most

    def look(self, owner: str, selection: Selection, store: Store) -> Survey:
        """Look at what comes next."""
        return store.survey(owner, self._lanes[-1], selection, min(LOOK, self._left))

    def add(self, survey: Survey) -> None:
        """Count what was found."""
        lane = self._lanes.pop()
        self._counts[lane.endpoint_id] += survey.count
        self._times += [at for at in (survey.oldest, survey.newest) if at is not None]
        self._left -= max(1, survey.looked)
        if survey.lane is not None:
            self._lanes.append(survey.lane)

    def preview(self, rates: Iterable[int | None], targets: Sequence[Endpoint]) -> Preview:
        """Return what all of it comes to."""
        count = min(self._counts.total(), self._most)
        return Preview(
            count=count,
            oldest=min(self._times, default=None),
            newest=max(self._times, default=None),
            seconds=_seconds(count, self._counts, rates, targets),
            complete=not self._lanes or count == self._most,
        )


def _seconds(
    count: int, counts: Counter[str], rates: Iterable[int | None], targets: Sequence[Endpoint]
) -> float | None:
    """Return how long a replay takes at the lowest rate: of all together, or of one endpoint; None without any."""
    spans = [count / rate for rate in rates if rate is not None]
    spans += [
        min(count, counts[target.id]) / target.throttle_rate
        for target in targets
        if target.throttle_rate is not None
    ]
    return max(spans, default=None)


def added(store: Store, task: Task) -> str:
    """Add a task; return its id."""
    store.add_task(task)
    return task.id
