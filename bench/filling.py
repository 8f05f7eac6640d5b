"""Fills an empty store with what pages are measured on: a day's messages of a dozen applications and a source.

Most deliveries succeeded, some failed, some wait. One endpoint fails half of the time, another one has failed for half
of the day.
"""

from __future__ import annotations

import itertools
import random
import time

import msgspec

from ringback import ids
from ringback.model import (
    Application,
    Attempt,
    Endpoint,
    EndpointSecret,
    EventType,
    Inbound,
    Outcome,
    OutcomeKind,
    Phases,
    Refusal,
    Source,
)
from ringback.policy import DAY, HOUR, Decision, Health, Step
from ringback.store import Acceptance, Accepted, Lease, MessageFilter, Settlement, Store, Work
from ringback.store import Page as Part

APPLICATIONS = 12
ENDPOINTS = 2
BATCH = 1_000
LEASE_MS = 60_000
SECRET = "whsec_" + "QUJD" * 8
KINDS = ("invoice.paid", "invoice.expired", "user.created", "order.shipped")
MORE_KINDS = 60
PROPERTIES = 40
REFUSALS = 300
# Every endpoint fails now and then, one of them half of the time.
FAILS, FAILS_MOSTLY = 0.005, 0.5


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of what there is: the latest messages of an application, and its endpoints that fail, and a source."""

    application: str
    message: str
    earlier: str
    troubled: str
    broken: str
    source: str


class Filling:
    """What fills it.

    Args:
        store: It.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chance = random.Random(7)
        self._tokens = itertools.count(1)
        self._now = time.time_ns() // 1_000_000
        self._applications = [self._application(number) for number in range(APPLICATIONS)]
        self._source = self._made_source()
        self._owners = [*(one.id for one in self._applications), self._source.id]
        with store.transaction():
            self._add()
        first = self._applications[0].id
        self._troubled, self._broken = (one.id for one in store.endpoints(first, Part(limit=ENDPOINTS)))

    def fill(self, count: int) -> Filled:
        """Store *count* messages, evenly over the last day."""
        for begin in range(0, count, BATCH):
            wanted = [self._acceptance(begin + at, count) for at in range(min(BATCH, count - begin))]
            with self._store.transaction():
                lease = Lease(next(self._tokens), self._now + LEASE_MS)
                answers = self._store.accept(wanted, lease, lambda _: True)
                accepted = [answer for answer in answers if isinstance(answer, Accepted)]
                self._store.settle([self._settled(work) for one in accepted for work in one.works])
            self._store.checkpoint()
        first = self._applications[0].id
        latest = self._store.messages(first, MessageFilter(), Part(limit=2, descending=True))
        return Filled(
            application=first,
            message=latest[0].id,
            earlier=latest[1].id,
            troubled=self._troubled,
            broken=self._broken,
            source=self._source.id,
        )

    def _add(self) -> None:
        for application in self._applications:
            self._store.add(application)
        self._store.add_source(self._source)
        for owner in self._owners:
            for number in range(ENDPOINTS):
                self._store.add(self._endpoint(owner, number))
        for name in (*KINDS, *(f"kind.{number}" for number in range(MORE_KINDS))):
            self._store.add(self._event_type(name))
        for number in range(REFUSALS):
            self._store.add_refusal(self._refusal(self._now - number * HOUR), REFUSALS)

    def _application(self, number: int) -> Application:
        name = f"Application {number}"
        return Application(
            id=self._id(ids.APPLICATION), name=name, created_at=self._now, updated_at=self._now
        )

    def _made_source(self) -> Source:
        return Source(
            id=self._id(ids.SOURCE),
            name="Payments",
            provider="xendit",
            created_at=self._now,
            updated_at=self._now,
            secrets=(SECRET,),
        )

    def _event_type(self, name: str) -> EventType:
        properties = {f"property_{number}": {"type": "string"} for number in range(PROPERTIES)}
        schema = {"type": "object", "properties": properties, "examples": [{"property_0": name}]}
        return EventType(
            name=name,
            description=f"Tells of {name}.",
            created_at=self._now,
            updated_at=self._now,
            schemas={"1": msgspec.Raw(msgspec.json.encode(schema))},
        )

    def _refusal(self, at: int) -> Refusal:
        return Refusal(
            id=self._id(ids.REFUSAL, at),
            source_id=self._source.id,
            at=at,
            reason="wrong_token",
            detail="the request's x-callback-token is none of the source's",
            hints=("Copy the token from the provider's settings.",),
            header_names=("content-type", "user-agent", "x-callback-token"),
            size=2_000,
        )

    def _endpoint(self, owner: str, number: int) -> Endpoint:
        return Endpoint(
            id=self._id(ids.ENDPOINT),
            application_id=owner,
            url=f"https://receiver.example/{number}",
            created_at=self._now,
            updated_at=self._now,
            secrets=(EndpointSecret(SECRET),),
        )

    def _acceptance(self, number: int, count: int) -> Acceptance:
        at = self._now - DAY + DAY * number // count
        payload = {
            "id": number,
            "amount": self._chance.randrange(10**6),
            "note": "x" * self._chance.randrange(400),
        }
        owner = self._chance.choice(self._owners)
        headers = {"content-type": "application/json", "user-agent": "provider"}
        return Acceptance(
            application=owner,
            id=self._id(ids.MESSAGE, at),
            event_type=self._chance.choice(KINDS),
            payload=msgspec.json.encode(payload),
            created_at=at,
            event_id=f"event-{number}",
            inbound=Inbound(headers=headers, dedupe_key=f"{number}") if owner == self._source.id else None,
        )

    def _settled(self, work: Work) -> Settlement:
        is_broken = work.endpoint.id == self._broken and work.accepted_at > self._now - DAY // 2
        mostly = FAILS_MOSTLY if work.endpoint.id == self._troubled else FAILS
        fails = is_broken or self._chance.random() < mostly
        kind, status = (OutcomeKind.REFUSED, 503) if fails else (OutcomeKind.SUCCESS, 200)
        attempt = Attempt(
            id=self._id(ids.ATTEMPT, work.accepted_at),
            message_id=work.message_id,
            endpoint_id=work.endpoint.id,
            number=1,
            trigger=work.trigger,
            url=work.endpoint.url,
            started_at=work.accepted_at,
            duration=self._chance.randrange(20, 400),
            outcome=Outcome(
                kind=kind, status=status, body=b"busy", phases=Phases(900, 2_000, 6_000, 50, 40_000, 200)
            ),
        )
        if not fails:
            decision = Decision(Step.SUCCEED)
        elif self._chance.random() < FAILS_MOSTLY:
            decision = Decision(Step.EXHAUST)
        else:
            decision = Decision(Step.RETRY, self._now + HOUR)
        # Whatever succeeds ends what had failed: only the one that is broken has failed for long.
        health = Health(work.accepted_at) if is_broken else None
        return Settlement(work=work, decision=decision, attempt=attempt, health=health)

    def _id(self, prefix: str, at: int | None = None) -> str:
        return ids.new_id(prefix, at or self._now, self._chance.randbytes(ids.ENTROPY_BYTES))
