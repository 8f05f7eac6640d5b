"""The store: everything Ringback remembers, behind one protocol of domain verbs.

A store is synchronous. Verbs that write run on one committer thread, inside ``transaction()``, many callers to
a commit (``store.commit``). Verbs that read may run on any thread, and inside a transaction see its changes.
Every verb raises ``StoreUnavailable`` when the database cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from ringback.errors import RingbackError
from ringback.model import (
    Application,
    Attempt,
    Delivery,
    Duration,
    Endpoint,
    EventType,
    Held,
    Instant,
    Message,
    Refusal,
    Registration,
    Source,
    Standing,
)
from ringback.store.places import absence, examine_store, file_of, is_postgres, open_store
from ringback.store.pollers import Polled, PollerVerbs
from ringback.store.survey import SurveyVerbs
from ringback.store.tasks import REPLAYING, Lane, Survey, Task, TaskFilter, TaskKind, TaskState, TaskVerbs
from ringback.store.tokens import TokenVerbs
from ringback.store.values import (
    BROWSER,
    CEILING,
    EVERY_APPLICATION,
    EXPIRING,
    NOBODY,
    Acceptance,
    Accepted,
    ApplicationFilter,
    AttemptFilter,
    Begun,
    Census,
    Condition,
    Document,
    DueEndpoint,
    Idempotency,
    Inspection,
    Lease,
    MessageFilter,
    Page,
    Pruned,
    Quota,
    Settlement,
    Spell,
    Statement,
    Statistics,
    Tally,
    Token,
    Work,
)

Admit = Callable[[Endpoint], bool]

T_co = TypeVar("T_co", covariant=True)


class Pending(Protocol[T_co]):
    """A result to come: ``await`` it in a coroutine, or call ``result()`` in a thread."""

    def __await__(self) -> Generator[Any, None, T_co]:
        """Wait without blocking the event loop."""
        ...

    def result(self) -> T_co:
        """Block until it is there."""
        ...


class Store(TaskVerbs, SurveyVerbs, PollerVerbs, TokenVerbs, Protocol):
    """What the line needs of a database. Arguments named *ref* are an id or a uid.

    ``grain`` is the step in which retention goes: with a day, what was accepted on one day goes at once. ``tells`` is
    whether nodes hint to each other that something is due.
    """

    grain: Duration
    tells: bool

    # The line.

    def accept(
        self, acceptances: Sequence[Acceptance], lease: Lease, admit: Admit
    ) -> list[Accepted | RingbackError]:
        """Store messages with one delivery per matching endpoint; answer each in order.

        *admit* is asked per delivery whether this node's worker has room; if so the delivery is born with
        *lease*, else it waits, due at once. Answers ``NotFound`` for an unknown application and ``Conflict``
        for an event id or an idempotency key that was used for another message.
        """
        ...

    def accept_within(self, tx: Any, acceptance: Acceptance) -> Pending[Accepted]:
        """Store a message with its deliveries in a transaction of the application, in a database that both share.

        *tx* is a connection, or what has one, as the libraries listed in ``store.callers`` have them. It is used at
        once, on this thread, unless it is asynchronous: then when the result is awaited. The deliveries wait, due at
        once.

        Raises:
            InvalidInput: It is no connection to this database, or is in no transaction.
            NotFound: As ``accept`` answers.
            Conflict: As ``accept`` answers; the transaction may go on.
            Exception: What the library raises.
        """
        ...

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End leases: record the attempts and move the deliveries; tell for each whether the lease still held.

        Where it did not, the attempt is kept as evidence and nothing else changes.
        """
        ...

    def due(self, now: Instant, limit: int) -> list[DueEndpoint]:
        """Return endpoints with deliveries to take now, longest due first; paused endpoints have none."""
        ...

    def take(self, quotas: Sequence[Quota], lease: Lease, now: Instant) -> list[Work]:
        """Lease what is due, oldest first per endpoint.

        A delivery whose previous lease ran out is taken over: the attempt that may have been made under it is
        recorded with the outcome "unknown" and does not count against the schedule. One that a handler has begun
        ``policy.MAX_BEGUN`` times without an end has killed its process each time: it fails, with the reason
        "crashed".
        """
        ...

    def take_past_pause(
        self, application_id: str, endpoint_id: str, lease: Lease, now: Instant
    ) -> Work | None:
        """Lease the oldest message that waits for a paused endpoint, as if it had been resent; None without any.

        One that is tried again later counts, one that is only to be delivered later does not. Where there is an order,
        it is the first in it or none.

        Raises:
            NotFound: There is no such endpoint.
            Conflict: The endpoint is not paused.
        """
        ...

    def name(self, keys: Sequence[tuple[Work, str]]) -> None:
        """Keep the ordering keys of leased deliveries, so that they stand in the way of no others."""
        ...

    def begin(self, work: Work, ordering_key: str | None, now: Instant) -> Begun:
        """Count a run of a handler before it happens, so that one that kills its process is noticed.

        With an *ordering_key*, the run must wait while a delivery of an earlier message to the same handler with
        that key, or with one not known yet, is not at rest; then nothing is counted.
        """
        ...

    def done_statements(self, settlement: Settlement) -> tuple[Statement, ...]:
        """Return what settles a success inside a transaction of the application, in a database that both share.

        The first statement is the fence: where it changes no row, the lease is lost and the transaction must not be
        committed.
        """
        ...

    def resend(self, application_id: str, message_id: str, endpoint_id: str, now: Instant) -> Delivery:
        """Make a delivery due now with a fresh count of attempts, creating it if the message skipped the endpoint.

        Raises:
            NotFound: There is no such message or endpoint.
            Conflict: An attempt is under way, or the endpoint is disabled.
            MissingPayload: The payload has been removed.
        """
        ...

    def replay(
        self,
        source_id: str,
        message_id: str,
        now: Instant,
        *,
        event_type: str | None,
        rematch: bool,
        done_too: bool,
    ) -> int:
        """Deliver a received message again; return to how many endpoints.

        To the same endpoints as before or, with *rematch*, to those that match it now; to those that it succeeded at
        only with *done_too*. *event_type* replaces the message's, where it is understood now and was not. Deliveries
        under way are left alone.

        Raises:
            NotFound: There is no such message.
            MissingPayload: The payload has been removed.
        """
        ...

    # What is delivered, and to whom. `add` raises Conflict when the uid or name is taken.

    def add(self, record: Application | Endpoint | EventType, idempotency: Idempotency | None = None) -> str:
        """Store a new record; return its id, or that of the record an earlier call with the same key made."""
        ...

    def once(self, idempotency: Idempotency, now: Instant, make: Callable[[], str]) -> str:
        """Return what *make* returns, or what it returned when this key was used before; then it is not called.

        Raises:
            Conflict: The key was used for another request.
        """
        ...

    def change_application(self, ref: str, change: Callable[[Application], Application]) -> Application:
        """Replace an application by what *change* makes of it."""
        ...

    def change_endpoint(
        self, application_id: str, ref: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        """Replace an endpoint by what *change* makes of it."""
        ...

    def change_event_type(self, name: str, change: Callable[[EventType], EventType]) -> EventType:
        """Replace an event type by what *change* makes of it."""
        ...

    def remove_application(self, ref: str, now: Instant) -> None:
        """Delete an application, its endpoints and tokens; what was sent stays on record, what waits is cancelled."""
        ...

    def remove_endpoint(self, application_id: str, ref: str, now: Instant) -> None:
        """Delete an endpoint; what was sent stays on record, what waits is cancelled when it becomes due."""
        ...

    def remove_event_type(self, name: str) -> None:
        """Delete an event type."""
        ...

    def application(self, ref: str) -> Application:
        """Return an application; raises ``NotFound``."""
        ...

    def applications(self, page: Page, where: ApplicationFilter = EVERY_APPLICATION) -> list[Application]:
        """Return a page of applications, in the order of their ids."""
        ...

    def endpoint(self, application_id: str, ref: str) -> Endpoint:
        """Return an endpoint; raises ``NotFound``."""
        ...

    def endpoints(self, application_id: str, page: Page) -> list[Endpoint]:
        """Return a page of an application's endpoints, in the order of their ids."""
        ...

    def endpoints_with_options(self, page: Page) -> list[Endpoint]:
        """Return a page of the endpoints, whoever owns them, that have credentials or a transformation."""
        ...

    def event_type(self, name: str) -> EventType:
        """Return an event type; raises ``NotFound``."""
        ...

    def event_types(self, page: Page, *, archived: bool) -> list[EventType]:
        """Return a page of event types, in the order of their names, archived ones if asked for."""
        ...

    def catalog_version(self) -> int:
        """Return a number that grows with every change to applications and endpoints, on any node."""
        ...

    def refresh(self, endpoint_ids: Sequence[str]) -> dict[str, Endpoint | None]:
        """Return endpoints as they stand; None for those that have been deleted."""
        ...

    def rates(self) -> dict[str, int]:
        """Return how many messages a second each application may get, by its id, of those that have a bound."""
        ...

    # Where messages come in.

    def add_source(self, source: Source, idempotency: Idempotency | None = None) -> str:
        """Store a new source, as ``add`` does; raises ``Conflict`` when the uid or the token is taken."""
        ...

    def change_source(self, ref: str, change: Callable[[Source], Source]) -> Source:
        """Replace a source by what *change* makes of it."""
        ...

    def remove_source(self, ref: str, now: Instant) -> None:
        """Delete a source and its endpoints; what was received stays on record."""
        ...

    def source(self, ref: str) -> Source:
        """Return a source; raises ``NotFound``."""
        ...

    def source_of_token(self, digest: bytes) -> Source | None:
        """Return the source whose address holds the token with this digest."""
        ...

    def sources(self, page: Page) -> list[Source]:
        """Return a page of sources, in the order of their ids."""
        ...

    def add_refusal(self, refusal: Refusal, keep: int) -> None:
        """Keep a refusal, and of its source's only the last *keep*."""
        ...

    def refusals(self, source_id: str, page: Page) -> list[Refusal]:
        """Return a page of a source's refusals, in the order of their ids."""
        ...

    # What happened.

    def held(self, source_id: str, held: Held, page: Page) -> list[Message]:
        """Return a page of the received messages that nothing handles, for one reason."""
        ...

    def dead_letters(self, source_id: str | None, page: Page) -> list[tuple[Delivery, Message]]:
        """Return a page of failed deliveries with their messages, in the order of ids, ``MESSAGE.ENDPOINT``.

        Those of one source, or (None) of all that there are.
        """
        ...

    def came(self, source_id: str, since: Instant, until: Instant) -> int:
        """Count what a source received from *since* to before *until*, to 10,000."""
        ...

    def found_by_polling(self, source_id: str, page: Page) -> list[Message]:
        """Return a page of the messages that asking the provider found before their webhooks came."""
        ...

    def census(self, source_id: str) -> Census:
        """Count what is left over at a source."""
        ...

    def received(self, source_id: str, dedupe_key: str) -> str | None:
        """Return the id of the message that was stored for an event, None when it has not been received."""
        ...

    def message(self, application_id: str, ref: str) -> Message:
        """Return a message by id or event id; raises ``NotFound``."""
        ...

    def messages(self, application_id: str, where: MessageFilter, page: Page) -> list[Message]:
        """Return a page of an application's messages."""
        ...

    def horizon(
        self,
        application_id: str,
        where: MessageFilter | AttemptFilter,
        page: Page,
        look: int,
        *,
        endpoint_id: str | None = None,
    ) -> str | None:
        """Return the id that lies *look* rows beyond a page's cursor, None where the list ends before that.

        The list is of an application's messages, of those of an endpoint, or of the attempts at it, in the time that
        *where* tells, whatever else it asks for. As a page's *end*, it bounds what looking for that comes to.
        """
        ...

    def messages_named(self, application_id: str, message_ids: Collection[str]) -> list[Message]:
        """Return those of an application's messages that have one of these ids, in no order."""
        ...

    def delivery(self, application_id: str, message_id: str, endpoint_id: str) -> Delivery:
        """Return a delivery as it stands; raises ``NotFound``."""
        ...

    def deliveries(self, application_id: str, message_id: str, page: Page) -> list[tuple[Delivery, Endpoint]]:
        """Return a message's deliveries with their endpoints, deleted ones included, in the endpoints' order."""
        ...

    def addressed(
        self,
        application_id: str,
        endpoint_id: str,
        where: MessageFilter,
        page: Page,
        standings: tuple[Standing, ...] | None = None,
    ) -> list[tuple[Delivery, Message]]:
        """Return a page of the messages that an endpoint gets or got, by their ids; only those that stand so."""
        ...

    def tally(self, application_id: str, endpoint_id: str, since: Instant, until: Instant) -> Tally:
        """Count attempts at an endpoint from *since* to before *until*, and deliveries of messages accepted then."""
        ...

    def attempts_by_time(
        self, application_id: str, endpoint_id: str, since: Instant, until: Instant, step: Duration
    ) -> list[Spell]:
        """Count attempts at an endpoint from *since* to before *until*, *step* by step; of none there is nothing."""
        ...

    def attempt(self, application_id: str, message_id: str, attempt_id: str) -> Attempt:
        """Return an attempt; raises ``NotFound``."""
        ...

    def attempts(self, application_id: str, where: AttemptFilter, page: Page) -> list[Attempt]:
        """Return a page of attempts of the message or the endpoint that *where* names."""
        ...

    def expunge_message(self, application_id: str, message_id: str) -> None:
        """Forget a message's payload; what still waits to be delivered of it is cancelled. Raises ``NotFound``."""
        ...

    def cancel_message(self, application_id: str, message_id: str) -> int:
        """Cancel what waits to be delivered of a message; return how many deliveries. Raises ``NotFound``."""
        ...

    def expunge_attempt(self, application_id: str, message_id: str, attempt_id: str, trace: bytes) -> None:
        """Keep *trace* in place of what the receiver answered. Raises ``NotFound``."""
        ...

    # What a program keeps beside its messages.

    def keep(self, documents: Sequence[Document]) -> None:
        """Keep documents in place of those with the same ids; remove those without a body."""
        ...

    def document(self, collection: str, document_id: str) -> bytes | None:
        """Return the body of one document, None where there is none with that id."""
        ...

    def documents(self, collection: str, page: Page) -> list[Document]:
        """Return a page of a collection's documents, in the order of their ids."""
        ...

    # Many nodes.

    def now(self) -> Instant | None:
        """Return the database's own time, None where that is the machine's, which everyone can ask."""
        ...

    def beat(self, node: Registration) -> None:
        """Keep a sign of life of a node; forget those that have been silent for a day."""
        ...

    def nodes(self) -> list[Registration]:
        """Return the nodes that have given signs of life, in the order of their starts."""
        ...

    def hint(self) -> None:
        """Hint to whoever listens that something may be due; where nobody can listen, nothing is done."""
        ...

    def listen(self, heard: Callable[[], object], stopped: Callable[[], bool]) -> None:
        """Call *heard* for each hint until *stopped*; return at once where none can come.

        Hints may be lost and may come for nothing: what is due is found by looking.
        """
        ...

    def keep_circuits(self, changed: Mapping[str, Instant | None], now: Instant) -> None:
        """Keep until when the circuits of endpoints are open, for all nodes; None closes one.

        Forgets those that should have been closed a day before *now*.
        """
        ...

    def circuits(self) -> dict[str, Instant]:
        """Return the endpoints whose circuits are open, each with the instant of its next probe."""
        ...

    # Keeping house.

    def prune(self, before: Instant, cursor: int, limit: int) -> Pruned:
        """Remove messages accepted before an instant whose deliveries are all at rest, with their attempts.

        Looks at *limit* messages from *cursor* on.
        """
        ...

    def prune_keys(self, before: Instant, cursor: int, limit: int) -> int | None:
        """Remove up to *limit* idempotency keys used before an instant, from *cursor* on.

        Return the cursor to go on from, None where there are no more, or others are in the way.
        """
        ...

    def prune_receipts(self, before: Instant, cursor: int, limit: int) -> int | None:
        """Remove what tells whether an event was received before an instant; otherwise as ``prune_keys``."""
        ...

    def free_space(self) -> int | None:
        """Return how many bytes there is room for, None where that cannot be told."""
        ...

    def inspect(self) -> Inspection:
        """Look at the database itself, which may take seconds where there is much in it."""
        ...

    def statistics(self, now: Instant) -> Statistics:
        """Return the queue at a glance."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Open a write transaction for the verbs called inside; nested, a part that can fail by itself."""
        ...

    def checkpoint(self) -> None:
        """Do the upkeep that must not run inside a transaction, if it is time for any."""
        ...

    def close(self) -> None:
        """Release files and connections; called once, after the last verb."""
        ...


__all__ = [
    "BROWSER",
    "CEILING",
    "EVERY_APPLICATION",
    "EXPIRING",
    "NOBODY",
    "REPLAYING",
    "Acceptance",
    "Accepted",
    "Admit",
    "ApplicationFilter",
    "AttemptFilter",
    "Begun",
    "Census",
    "Condition",
    "Document",
    "DueEndpoint",
    "Idempotency",
    "Inspection",
    "Lane",
    "Lease",
    "MessageFilter",
    "Page",
    "Pending",
    "Polled",
    "Pruned",
    "Quota",
    "Settlement",
    "Spell",
    "Statement",
    "Statistics",
    "Store",
    "Survey",
    "Tally",
    "Task",
    "TaskFilter",
    "TaskKind",
    "TaskState",
    "Token",
    "Work",
    "absence",
    "examine_store",
    "file_of",
    "is_postgres",
    "open_store",
]
