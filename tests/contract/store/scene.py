"""A store with a clock, and short names for what the contract's tests do to it."""
# ruff: noqa: D102 - short verbs whose names are the verbs of the store

from __future__ import annotations

import contextlib
import itertools
import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import psycopg

from postgres_server import postgres_server
from ringback import ids
from ringback.errors import RingbackError
from ringback.model import (
    Application,
    Attempt,
    Delivery,
    Endpoint,
    EndpointSecret,
    EventType,
    Instant,
    Outcome,
    OutcomeKind,
)
from ringback.policy import Decision, Health, Step
from ringback.selection import RECOVERABLE, Selection
from ringback.store import (
    Acceptance,
    Accepted,
    AttemptFilter,
    Lane,
    Lease,
    Page,
    Pruned,
    Quota,
    Settlement,
    Store,
    Task,
    TaskKind,
    Work,
    open_store,
)
from ringback.vault import Vault

START = 1_760_000_000_000
LEASE = 30_000
MANY = 1_000
VAULT = Vault(bytes(range(32)))
SECRET = "whsec_UmluZ2JhY2sgdGVzdCBzZWNyZXQhIQ=="
OK = Outcome(kind=OutcomeKind.SUCCESS, status=200, body=b"thanks")
REFUSED = Outcome(kind=OutcomeKind.REFUSED, status=500, body=b"oops")


class Database(Protocol):
    """One database that can be opened any number of times, also at the same time."""

    # How a transaction that writes begins.
    begin: str

    def open(self, vault: Vault = VAULT, *, shared: bool = False) -> Store:
        """Open it; *shared*, as one that an application has open as well."""
        ...

    def application(self) -> AbstractContextManager[Any]:
        """Connect as an application does that shares it: ``execute`` takes a statement and values for its ``?``."""
        ...

    def at_rest(self) -> bytes:
        """Return everything it keeps on disk, as bytes."""
        ...


class SQLiteDatabase:
    """A file in *folder*."""

    begin = "BEGIN IMMEDIATE"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ringback.db"

    def open(self, vault: Vault = VAULT, *, shared: bool = False) -> Store:
        return open_store(f"sqlite:///{self.file}", vault, shared=shared)

    def application(self) -> AbstractContextManager[Any]:
        return contextlib.closing(sqlite3.connect(self.file, isolation_level=None))

    def at_rest(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.file.parent.glob(f"{self.file.name}*"))


class SharedSQLiteDatabase(SQLiteDatabase):
    """A file in *folder* that an application has its own tables in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        with contextlib.closing(sqlite3.connect(self.file)) as application:
            application.execute("CREATE TABLE message (text)")

    def open(self, vault: Vault = VAULT, *, shared: bool = True) -> Store:
        return super().open(vault, shared=shared)


class _Application:
    """A connection of psycopg that takes ``?``, as the store's statements have them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self._connection.execute(statement.replace("?", "%s"), values)

    def close(self) -> None:
        self._connection.close()


class PostgresDatabase:
    """A database of its own on the server that runs for the whole of the tests."""

    begin = "BEGIN"

    def __init__(self, folder: Path) -> None:
        del folder
        self.server = postgres_server()
        self.url = self.server.new_database()

    def open(self, vault: Vault = VAULT, *, shared: bool = False) -> Store:
        return open_store(self.url, vault, shared=shared)

    def application(self) -> AbstractContextManager[Any]:
        return contextlib.closing(_Application(psycopg.connect(self.url, autocommit=True)))

    def at_rest(self) -> bytes:
        dump = self.server.dump(self.url)
        # Bytes are written as their digits.
        return dump + b"".join(
            bytes.fromhex(found.decode()) for found in re.findall(rb"\\x((?:[0-9a-f]{2})+)", dump)
        )


# Another kind of store joins the contract by one entry here.
DATABASES: dict[str, Callable[[Path], Database]] = {
    "sqlite": SQLiteDatabase,
    "shared": SharedSQLiteDatabase,
    "postgres": PostgresDatabase,
}


class Scene:
    """Drives a store; every record gets an instant of its own, a second after the one before."""

    def __init__(self, store: Store, seed: int = 7) -> None:
        self.store = store
        self.now: Instant = START
        self._tokens = itertools.count(1)
        self._random = random.Random(seed)

    def tick(self, milliseconds: int = 1_000) -> Instant:
        """Let time pass; return the new instant."""
        self.now += milliseconds
        return self.now

    def id(self, prefix: str) -> str:
        return ids.new_id(prefix, self.now, self._random.randbytes(ids.ENTROPY_BYTES))

    def lease(self, duration: int = LEASE) -> Lease:
        return Lease(next(self._tokens), self.now + duration)

    def write(self, verb: Callable[..., Any], *arguments: Any) -> Any:
        """Call a verb in a transaction of its own."""
        with self.store.transaction():
            return verb(*arguments)

    def prune(
        self, before: Instant, cursor: int = 0, limit: int = MANY, receipts_before: Instant | None = None
    ) -> Pruned:
        """Take one step of each kind that retention has."""
        self.write(self.store.prune_keys, before, 0, limit)
        self.write(
            self.store.prune_receipts, before if receipts_before is None else receipts_before, 0, limit
        )
        return self.write(self.store.prune, before, cursor, limit)

    # Records.

    def new_application(self, **fields: Any) -> Application:
        now = self.tick()
        return Application(
            **{"id": self.id("app"), "name": "Acme", "created_at": now, "updated_at": now} | fields
        )

    def application(self, **fields: Any) -> Application:
        record = self.new_application(**fields)
        self.write(self.store.add, record)
        return record

    def new_endpoint(self, application: Application, **fields: Any) -> Endpoint:
        now = self.tick()
        usual = {
            "id": self.id("ep"),
            "application_id": application.id,
            "url": "https://example.com/hook",
            "created_at": now,
            "updated_at": now,
            "secrets": (EndpointSecret(SECRET),),
        }
        return Endpoint(**usual | fields)

    def endpoint(self, application: Application, **fields: Any) -> Endpoint:
        record = self.new_endpoint(application, **fields)
        self.write(self.store.add, record)
        return record

    def new_event_type(self, name: str, **fields: Any) -> EventType:
        now = self.tick()
        return EventType(**{"name": name, "description": "", "created_at": now, "updated_at": now} | fields)

    # The line.

    def acceptance(self, application: Application | str, **fields: Any) -> Acceptance:
        now = self.tick()
        usual = {
            "application": application if isinstance(application, str) else application.id,
            "id": self.id("msg"),
            "event_type": "invoice.paid",
            "payload": b'{"amount":1}',
            "created_at": now,
        }
        return Acceptance(**usual | fields)

    def accept(
        self, *acceptances: Acceptance, admit: Callable[[Endpoint], bool] = lambda _: True
    ) -> list[Accepted | RingbackError]:
        with self.store.transaction():
            return self.store.accept(acceptances, self.lease(), admit)

    def publish(self, application: Application, *, admit: bool = True, **fields: Any) -> Accepted:
        """Accept one message, which must succeed."""
        (accepted,) = self.accept(self.acceptance(application, **fields), admit=lambda _: admit)
        assert isinstance(accepted, Accepted), accepted
        return accepted

    def due(self) -> list[str]:
        return [one.endpoint_id for one in self.store.due(self.now, MANY)]

    def take(self, limit: int = MANY, endpoints: Sequence[str] | None = None) -> list[Work]:
        """Take what is due, as a worker does; *endpoints* limits it to some."""
        wanted = self.due() if endpoints is None else endpoints
        with self.store.transaction():
            return self.store.take([Quota(one, limit) for one in wanted], self.lease(), self.now)

    def attempt(self, work: Work, outcome: Outcome = OK, **fields: Any) -> Attempt:
        now = self.tick()
        usual = {
            "id": self.id("atmpt"),
            "message_id": work.message_id,
            "endpoint_id": work.endpoint.id,
            "number": work.attempts + 1,
            "trigger": work.trigger,
            "url": work.endpoint.url,
            "started_at": now,
            "duration": 12,
            "outcome": outcome,
        }
        return Attempt(**usual | fields)

    def settlement(self, work: Work, step: Step, due_at: Instant | None = None, **fields: Any) -> Settlement:
        if step is not Step.POSTPONE and "attempt" not in fields:
            fields["attempt"] = self.attempt(work, OK if step is Step.SUCCEED else REFUSED)
        return Settlement(work=work, decision=Decision(step, due_at), **fields)

    def settle(self, work: Work, step: Step, due_at: Instant | None = None, **fields: Any) -> bool:
        """End one lease; tell whether it still held."""
        settlement = self.settlement(work, step, due_at, **fields)
        with self.store.transaction():
            (held,) = self.store.settle([settlement])
        return held

    def fail(self, application: Application, **fields: Any) -> Accepted:
        """Publish a message whose deliveries all run out of attempts."""
        accepted = self.publish(application, **fields)
        for work in accepted.works:
            assert self.settle(work, Step.EXHAUST)
        return accepted

    def suffer(self, application: Application, health: Health) -> None:
        """Publish a message whose only attempt means *health* for its endpoint."""
        (work,) = self.publish(application).works
        assert self.settle(work, Step.EXHAUST, health=health)

    # Looking.

    def delivery(self, application_id: str, message_id: str, endpoint_id: str) -> Delivery:
        found = self.store.deliveries(application_id, message_id, Page(limit=MANY))
        return next(delivery for delivery, endpoint in found if endpoint.id == endpoint_id)

    def delivery_of(self, work: Work) -> Delivery:
        return self.delivery(work.endpoint.application_id, work.message_id, work.endpoint.id)

    def attempts_of(self, application: Application, message_id: str) -> list[Attempt]:
        return self.store.attempts(application.id, AttemptFilter(message_id=message_id), Page(limit=MANY))

    # Tasks.

    def recovery(self, endpoint: Endpoint, since: Instant, until: Instant) -> Task:
        return self.task(endpoint, since=since, until=until, standings=RECOVERABLE)

    def task(self, *endpoints: Endpoint, how: dict[str, Any] | None = None, **which: Any) -> Task:
        """Add a task about some endpoints of one application."""
        window = {"since": 0, "until": self.now + 1}
        task = Task(
            **{
                "id": self.id("qtask"),
                "application_id": endpoints[0].application_id,
                "kind": TaskKind.BULK_REPLAY,
                "selection": Selection(**window | which),
                "lanes": tuple(Lane(endpoint_id=endpoint.id) for endpoint in endpoints),
                "breadth": len(endpoints),
                "created_at": self.now,
                "updated_at": self.now,
            }
            | (how or {})
        )
        self.write(self.store.add_task, task)
        return task

    def advance(self, limit: int = MANY) -> Task | None:
        return self.write(self.store.advance_task, self.now, limit)

    def finish_task(self, limit: int = MANY) -> Task:
        """Advance the oldest open task until it is done; return it as it stood then."""
        for _ in range(MANY):
            task = self.advance(limit)
            assert task is not None
            if task.done:
                return task
        raise AssertionError("the task never ends")
