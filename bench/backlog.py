"""A queue of any length, made through the store's own verbs, and how long taking from it takes."""

from __future__ import annotations

import base64
import itertools
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bench.figures import percentile
from bench.processes import BenchError, Installation
from ringback import ids
from ringback.errors import RingbackError
from ringback.model import Application, Attempt, Endpoint, EndpointSecret, Outcome, OutcomeKind
from ringback.policy import Decision, Step
from ringback.quotas import TAKE_PER_ENDPOINT
from ringback.store import Acceptance, Lease, Quota, Settlement, Store, Work, open_store
from ringback.vault import parse_main_keys

TAKEN = 100
BATCH = 1_000
REPETITIONS = 300
LEASE_MS = 35_000
SECRET_BYTES = 32
DUE_LIMIT = 64


class Taking(msgspec.Struct, frozen=True):
    """How long it takes to find what is due, and to lease 100 of it durably."""

    due_p99_ms: float
    take_p99_ms: float


class Queue:
    """A store with one application and one endpoint, and deliveries that wait."""

    def __init__(self, store: Store, url: str, event_type: str, payload: bytes) -> None:
        self._store = store
        self._event_type = event_type
        self._payload = payload
        self._tokens = itertools.count(1)
        now = _now()
        application = Application(id=_id(ids.APPLICATION), name="Backlog", created_at=now, updated_at=now)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        endpoint = Endpoint(
            id=_id(ids.ENDPOINT),
            application_id=application.id,
            url=url,
            created_at=now,
            updated_at=now,
            secrets=(EndpointSecret(secret),),
        )
        with store.transaction():
            store.add(application)
            store.add(endpoint)
        self._application, self._endpoint = application.id, endpoint.id

    def add(self, count: int) -> None:
        """Accept *count* messages that no worker has room for."""
        for begin in range(0, count, BATCH):
            now = _now()
            acceptances = [self._acceptance(now) for _ in range(min(BATCH, count - begin))]
            with self._store.transaction():
                answers = self._store.accept(acceptances, self._lease(now), lambda _: False)
            for answer in answers:
                if isinstance(answer, RingbackError):
                    raise BenchError(f"the store refused a message of the backlog: {answer}")
            self._store.checkpoint()

    def measure(self) -> Taking:
        """Take 100 again and again, adding as many before each time; only looking and taking is timed."""
        due, take = [], []
        for _ in range(REPETITIONS):
            self.add(TAKEN)
            due.append(_milliseconds(lambda: self._store.due(_now(), DUE_LIMIT)))
            take.append(_milliseconds(self._take))
        return Taking(percentile(due, 0.99), percentile(take, 0.99))

    def pass_on(self) -> float:
        """Accept 100 and settle them, taken as a worker does that keeps up; return how many milliseconds that took.

        It looks what is due, and asks for more than there is. One message more is delivered by who accepted it.
        """
        self.add(TAKEN)
        now = _now()
        with self._store.transaction():
            (born,) = self._store.accept([self._acceptance(now)], self._lease(now), lambda _: True)
        begin = time.perf_counter()
        self._store.due(_now(), DUE_LIMIT)
        works = self._take(TAKE_PER_ENDPOINT)
        taken = time.perf_counter() - begin
        if isinstance(born, RingbackError):
            raise BenchError(f"the store refused a message: {born}")
        with self._store.transaction():
            self._store.settle([_succeeded(work) for work in (*works, *born.works)])
        return taken * 1000

    def _take(self, quota: int = TAKEN) -> list[Work]:
        now = _now()
        with self._store.transaction():
            works = self._store.take([Quota(self._endpoint, quota)], self._lease(now), now)
        if len(works) != TAKEN:
            raise BenchError(f"the store gave {len(works)} deliveries where {TAKEN} were due")
        return works

    def _lease(self, now: int) -> Lease:
        return Lease(next(self._tokens), now + LEASE_MS)

    def _acceptance(self, now: int) -> Acceptance:
        return Acceptance(
            application=self._application,
            id=_id(ids.MESSAGE),
            event_type=self._event_type,
            payload=self._payload,
            created_at=now,
        )


def measure(place: Installation, url: str, event_type: str, payload: bytes, waiting: int) -> Taking:
    """Make a store at *place* in which *waiting* deliveries to *url* wait; return how long taking takes."""
    store = open_store(place.store, parse_main_keys(place.main_key))
    try:
        queue = Queue(store, url, event_type, payload)
        queue.add(waiting - TAKEN)  # each measurement adds what it takes
        return queue.measure()
    finally:
        store.close()


def _succeeded(work: Work) -> Settlement:
    now = _now()
    attempt = Attempt(
        id=_id(ids.ATTEMPT),
        message_id=work.message_id,
        endpoint_id=work.endpoint.id,
        number=work.attempts + 1,
        trigger=work.trigger,
        url=work.endpoint.url,
        started_at=now,
        duration=1,
        outcome=Outcome(kind=OutcomeKind.SUCCESS, status=204),
    )
    return Settlement(work=work, decision=Decision(Step.SUCCEED), attempt=attempt)


def _milliseconds(act: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    act()
    return (time.perf_counter() - begin) * 1000


def _id(prefix: str) -> str:
    return ids.new_id(prefix, _now(), secrets.token_bytes(ids.ENTROPY_BYTES))


def _now() -> int:
    return time.time_ns() // 1_000_000
