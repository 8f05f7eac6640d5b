"""A whole line on a virtual clock: real store, committer, desk, worker and outbox, and receivers with a script."""

import asyncio
import collections
import contextlib
import functools
import re
import secrets
import threading
from typing import NamedTuple

from ringback import ids
from ringback.desk import Desk
from ringback.destinations import Request
from ringback.drafts import ApplicationDraft, EndpointDraft
from ringback.errors import StoreUnavailable
from ringback.fleet import Fleet
from ringback.model import Outcome, OutcomeKind, Registration
from ringback.observe import CATALOGUE, AttemptFinished, BatchTaken, DeliveryPostponed, Observer
from ringback.outbox import Outbox
from ringback.policy import Step
from ringback.store import AttemptFilter, Page, open_store
from ringback.store.commit import Committer
from ringback.vault import Vault
from ringback.worker import Worker, WorkerSettings

START = 1_760_000_000_000
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
POLL = 10
PATIENCE = 10
MANY = 5_000
VAULT = Vault(bytes(range(32)))

OK = Outcome(kind=OutcomeKind.SUCCESS, status=200, body=b"thanks")
TIMEOUT = Outcome(kind=OutcomeKind.TIMEOUT, detail="wait")


def refused(status, **more):
    """Return the outcome of an answer that is not 2xx."""
    return Outcome(kind=OutcomeKind.REFUSED, status=status, **more)


def played(story):
    """Make a test of a coroutine: run it on an event loop of its own."""

    @functools.wraps(story)
    def test(*arguments, **named):
        asyncio.run(story(*arguments, **named))

    return test


class Clock:
    """The present instant, which moves only when told to."""

    def __init__(self):
        self.now = START

    def __call__(self):
        """Return the present instant."""
        return self.now

    def monotonic(self):
        """Return the same time in seconds."""
        return self.now / SECOND

    def advance(self, milliseconds):
        """Let time pass."""
        self.now += milliseconds


class Arrival(NamedTuple):
    """A request as it came in: to whom, when, and what."""

    name: str
    at: int
    request: Request

    @property
    def headers(self):
        """The headers, with names in lower case."""
        return {name.lower(): value for name, value in self.request.headers}

    @property
    def message_id(self):
        """The message that it carries."""
        return self.headers.get("webhook-id") or self.headers["svix-id"]


class Receivers:
    """Everyone who receives, as one destination: each notes what comes and answers by its script, at first with 200."""

    def __init__(self, clock):
        self.arrivals = []
        self.under_way = collections.Counter()
        self.closed = False
        self._clock = clock
        self._script = collections.defaultdict(collections.deque)
        self._held = {}

    def answers(self, name, *outcomes):
        """Have *name* answer with these from now on, the last of them ever after.

        An exception is raised, and a function is called for the outcome.
        """
        self._script[name] = collections.deque(outcomes)

    def hold(self, name):
        """Have *name* answer nothing until it is told to."""
        self._held[name] = collections.deque()

    def let(self, name, outcome=OK, count=1):
        """Have *name* answer the *count* oldest requests that it holds."""
        for _ in range(count):
            self._held[name].popleft().set_result(outcome)

    def holding(self):
        """Return the names of those that hold requests, once for each."""
        return [name for name, held in self._held.items() for _ in held]

    def let_go(self, name, outcome=OK):
        """Have *name* answer all that it holds, and hold no more."""
        held = self._held.pop(name)
        for answer in held:
            if not answer.done():
                answer.set_result(outcome)

    def at(self, name):
        """Return what came in at *name*."""
        return [arrival for arrival in self.arrivals if arrival.name == name]

    async def send(self, request):
        """See ``Destination``."""
        name = re.match(r"https://([\w-]+)\.example/", request.url)[1]
        self.arrivals.append(Arrival(name, self._clock(), request))
        self.under_way[name] += 1
        try:
            return await self._answer(name)
        finally:
            self.under_way[name] -= 1

    async def _answer(self, name):
        if name in self._held:
            answer = asyncio.get_running_loop().create_future()
            self._held[name].append(answer)
            return await answer
        script = self._script[name]
        if not script:
            return OK
        outcome = script.popleft() if len(script) > 1 else script[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome() if callable(outcome) else outcome

    async def aclose(self):
        """See ``Destination``."""
        self.closed = True


class Tap:
    """The store inside, but for faults that a test orders and a count of the looks at what is due."""

    def __init__(self, store):
        self.broken = False
        self.blind = False
        self.surprises = []
        self.looks = 0
        self.taking = threading.Event()
        self.take_may_return = threading.Event()
        self.take_may_return.set()
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def transaction(self):
        """Open a transaction, unless broken."""
        self._refuse_when_broken()
        return self._store.transaction()

    def due(self, now, limit):
        """Return what is due, unless broken; nothing when blind. A surprise is raised first, once."""
        self._refuse_when_broken()
        if self.surprises:
            raise self.surprises.pop()
        found = [] if self.blind else self._store.due(now, limit)
        self.looks += 1
        return found

    def take(self, quotas, lease, now):
        """Take what is due, and return it when allowed to."""
        taken = self._store.take(quotas, lease, now)
        if taken:
            self.taking.set()
            assert self.take_may_return.wait(PATIENCE)
        return taken

    def _refuse_when_broken(self):
        if self.broken:
            raise StoreUnavailable("the disk has gone")


def registration(now, **fields):
    """Return a worker that starts now."""
    node_id = ids.new_id(ids.NODE, now, secrets.token_bytes(ids.ENTROPY_BYTES))
    facts = {"id": node_id, "name": "here", "roles": ("worker",), "version": "1"}
    return Registration(**facts | {"started_at": now, "seen_at": now} | fields)


class Line:
    """One node's line over the store at *url*, running inside ``async with``.

    Several lines over one store are nodes that share a store; give them one clock. With *vanished*, it accepts and
    leases like any other, but its worker is never seen. With *joined* it knows of the others, when it is told to beat.
    """

    def __init__(self, url, *, clock=None, vanished=False, joined=False, **settings):
        self.clock = clock or Clock()
        self.receivers = Receivers(self.clock)
        self.events = []
        self.settings = WorkerSettings(**{"poll_interval": POLL, "memory": 10_000} | settings)
        self.store = Tap(open_store(url, VAULT))
        self.observer = Observer()
        self.desk = Desk(self.settings.memory)
        self.committer = Committer(
            self.store,
            clock=self.clock,
            observer=self.observer,
            handover=self.desk,
            deadline=self.settings.deadline,
        )
        self.fleet = Fleet(registration(self.clock()), self.committer, self.clock) if joined else None
        self.outbox = Outbox(self.committer, clock=self.clock)
        self.worker = Worker(
            self.desk,
            self.committer,
            self.receivers,
            observer=self.observer,
            settings=self.settings,
            clock=self.clock,
            monotonic=self.clock.monotonic,
            chance=lambda: 0.5,
            fleet=self.fleet,
        )
        self._vanished = vanished
        self._stopped = vanished
        self._pulse = asyncio.Event()

    async def __aenter__(self):
        loop = asyncio.get_running_loop()

        def note(event):
            self.events.append(event)
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._pulse.set)

        for kind in CATALOGUE:
            self.observer.subscribe(kind, note)
        self.committer.start()
        if self._vanished:
            self.desk.attach(lambda accepted: None, lambda: None)
        else:
            self.worker.start()
        return self

    async def __aexit__(self, *failure):
        self.store.broken = False
        self.store.take_may_return.set()
        await self.stop()
        await asyncio.to_thread(self.committer.close)

    async def stop(self, patience=0.0):
        """Stop the worker, once."""
        if not self._stopped:
            self._stopped = True
            await self.worker.stop(patience)

    # Waiting for what happens.

    async def until(self, condition):
        """Wait until *condition* holds, looking whenever something has happened."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self._pulse.clear()
                    await self._pulse.wait()
        except TimeoutError:
            told = collections.Counter(type(event).__name__ for event in self.events)
            came = collections.Counter(arrival.name for arrival in self.receivers.arrivals)
            raise AssertionError(f"it never came to that: {dict(told)}, {dict(came)}") from None

    async def finished(self, count):
        """Wait until *count* attempts have been recorded in all; return them."""
        await self.until(lambda: len(self.seen(AttemptFinished)) >= count)
        return [event.attempt for event in self.seen(AttemptFinished)]

    async def arrived(self, name, count):
        """Wait until *count* requests have come in at *name* in all."""
        await self.until(lambda: len(self.receivers.at(name)) >= count)

    async def postponed(self, reason, count):
        """Wait until *count* deliveries have been given back for that *reason* in all."""
        await self.until(lambda: len(self.reasons(reason)) >= count)

    async def rounds(self, count=2):
        """Wait until the worker has looked for what is due *count* times from now on, and taken it."""
        # The look under way may have begun before, and the last one may not have been acted upon.
        wanted = self.store.looks + count + 2
        await self.until(lambda: self.store.looks >= wanted)

    async def written(self):
        """Wait until all that has been handed to the committer is in the store."""
        await self.committer.write(lambda store: None)

    # Looking back.

    def seen(self, kind):
        """Return the events of *kind* so far."""
        return [event for event in self.events if type(event) is kind]

    def reasons(self, reason):
        """Return the deliveries given back for that *reason* so far."""
        return [event for event in self.seen(DeliveryPostponed) if event.reason == reason]

    @property
    def taken(self):
        """How many deliveries have been taken from the store so far."""
        return sum(event.count for event in self.seen(BatchTaken))

    # Doing.

    async def application(self, **fields):
        """Create an application; return its id."""
        record, _ = await self.outbox.create_application(ApplicationDraft(**{"name": "Acme"} | fields))
        return record.id

    async def endpoint(self, application, name="hook", **fields):
        """Create an endpoint with a receiver called *name*; return it."""
        draft = EndpointDraft(url=f"https://{name}.example/", **fields)
        return await self.outbox.create_endpoint(application, draft)

    async def stage(self, name="hook", **fields):
        """Create an application with one endpoint; return its id and the endpoint."""
        application = await self.application()
        return application, await self.endpoint(application, name, **fields)

    async def publish(self, application, count=1):
        """Publish *count* messages; return their ids."""
        pendings = [self.outbox.publish(application, "invoice.paid", b'{"n": 1}') for _ in range(count)]
        return [accepted.message.id for accepted in await asyncio.gather(*pendings)]

    async def delivery(self, application, message_id):
        """Return the one delivery of a message."""
        ((delivery, _),) = await self.outbox.read(
            lambda store: store.deliveries(application, message_id, Page(limit=MANY))
        )
        return delivery

    async def state(self, application, message_id):
        """Return the state of the one delivery of a message."""
        return (await self.delivery(application, message_id)).state

    async def state_at(self, application, message_id, endpoint_id):
        """Return the state of a message's delivery to one of several endpoints."""
        found = await self.outbox.read(lambda store: store.delivery(application, message_id, endpoint_id))
        return found.state

    async def attempts(self, application, message_id):
        """Return a message's attempts."""
        return await self.outbox.read(
            lambda store: store.attempts(application, AttemptFilter(message_id=message_id), Page(limit=MANY))
        )

    async def in_state(self, application, message_ids, state):
        """Wait until the one delivery of each of these messages is in *state*."""
        wrong = set(message_ids)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while wrong := {one for one in wrong if await self.state(application, one) != state}:
                    await self.rounds(1)
        assert not wrong, f"{len(wrong)} deliveries never were {state}"

    def steps(self):
        """Return what followed each attempt so far."""
        return [Step(event.step) for event in self.seen(AttemptFinished)]
