"""Accepting: messages with their deliveries, many at once; on either database, and on connections of either."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from ringback import ids
from ringback.errors import Conflict, InProgress, RingbackError, StoreUnavailable
from ringback.model import Endpoint, Instant, Message
from ringback.operational import Event, Owner
from ringback.store import EXPIRING, Acceptance, Accepted, Admit, Document, Idempotency, Lease
from ringback.store.sql.catalog import Use
from ringback.store.sql.documents import Documents
from ringback.store.sql.intake import Intake
from ringback.store.sql.receipts import Receipts
from ringback.store.sql.records import MESSAGE_COLUMNS, message_of
from ringback.store.sql.routes import Route
from ringback.store.sql.tables import Many, Row

INSERT_MESSAGES = Many(
    "INSERT INTO ringback_message"
    " (key, application_key, id, event_type, event_id, channels, created_at, skipped, payload, inbound, held) {rows}",
    "iittttitbbt",
)
_INSERT_TERMS = Many("INSERT INTO ringback_terms (message_key, record) {rows}", "ib")
_INSERT_TAGS = Many("INSERT INTO ringback_tag (message_key, tag, application_key, message_id) {rows}", "itit")
_EVENTS = Many(
    """
    WITH wanted (application_key, event_id) AS ({rows})
    SELECT m.application_key, m.event_id FROM wanted CROSS JOIN ringback_message m
    ON m.application_key = wanted.application_key AND m.event_id = wanted.event_id
    """,
    "it",
)


# What operators are told waits in the store for a worker.
_NO_LEASE = Lease(0, 0)


def _no_room(_: Endpoint) -> bool:
    return False


class Accepting(Documents):
    """The verb by which messages come in."""

    # Which of some event ids are taken, each with its application's key.
    taken_events: Many = _EVENTS

    @abstractmethod
    def new_message_key(self, created_at: Instant) -> int:
        """Return the key of a message that is accepted now: never used before, and above those of this node so far."""

    @abstractmethod
    def insert_deliveries(self, rows: Sequence[Row], lease: Lease) -> None:
        """Store deliveries, as ``Intake.deliveries`` has them; those that are leased have *lease*."""

    def accept(
        self, acceptances: Sequence[Acceptance], lease: Lease, admit: Admit
    ) -> list[Accepted | RingbackError]:
        """See ``Store``."""
        self.catch_up()
        intake = Intake(self.new_message_key, lease, admit)
        receipts = Receipts(self, acceptances)
        earlier = self._earlier(acceptances)
        answers = [self._accept_one(acceptance, intake, receipts, earlier) for acceptance in acceptances]
        self.insert(intake.messages, intake.deliveries, lease)
        receipts.keep()
        if earlier.new or earlier.renewed:
            self.remember_uses(earlier.new, earlier.renewed)
        if intake.documents:
            self.keep(intake.documents)
        if intake.terms:
            self.execute_rows(_INSERT_TERMS, intake.terms)
        if intake.tags:
            self.execute_rows(_INSERT_TAGS, intake.tags)
        return answers

    def held_open(self, names: Sequence[str]) -> frozenset[str]:  # noqa: ARG002 - the answer is the same for all
        """Return which of these names an open transaction of an application holds.

        None, where such a transaction keeps every other from writing anything at all.
        """
        return frozenset()

    def insert(self, messages: Sequence[Row], deliveries: Sequence[Row], lease: Lease) -> None:
        """Store messages with their deliveries, as ``Intake`` has them; those that are leased have *lease*."""
        if messages:
            self.insert_messages(messages)
        if deliveries:
            self.insert_deliveries(deliveries, lease)

    def insert_messages(self, rows: Sequence[Row]) -> None:
        """Store messages, as ``Intake.messages`` has them."""
        self.execute_rows(INSERT_MESSAGES, rows)

    def announce(self, owner_id: str, at: Instant, compose: Callable[[Owner], Iterable[Event]]) -> None:
        """See ``Catalog``."""
        if owner_id == ids.OPERATOR:
            return
        route = self.operators()
        if route is not None:
            self.tell(route, at, compose(self.owner(owner_id)))

    def operators(self) -> Route | None:
        """Return the route of what operators are told, None where none of them has an endpoint."""
        self.catch_up()
        route = self.known_route(ids.OPERATOR)
        return None if route is None or route.is_empty else route

    def tell(self, route: Route, at: Instant, events: Iterable[Event]) -> None:
        """Accept what operators are told, due at once for any worker."""
        intake = Intake(self.new_message_key, _NO_LEASE, _no_room)
        for event in events:
            message_id = ids.new_id(ids.MESSAGE, at, self._entropy(ids.ENTROPY_BYTES))
            payload = msgspec.json.encode(event)
            intake.add(
                Acceptance(
                    application=ids.OPERATOR,
                    id=message_id,
                    event_type=event.type,
                    payload=payload,
                    created_at=at,
                ),
                route,
            )
        self.insert(intake.messages, intake.deliveries, _NO_LEASE)

    def _earlier(self, acceptances: Sequence[Acceptance]) -> _Earlier:
        routed = [
            (acceptance, route)
            for acceptance in acceptances
            if (acceptance.idempotency or acceptance.event_id)
            and (route := self.known_route(acceptance.application))
        ]
        uses = [use for acceptance, route in routed if (use := _use_in(route, acceptance)) is not None]
        events = [(route.key, acceptance.event_id) for acceptance, route in routed if acceptance.event_id]
        held = self.held_open([name for acceptance, route in routed for name in _names(acceptance, route)])
        found = self.rows_for(self.taken_events, events) if events else []
        return _Earlier(self.earlier_uses(uses), {(row[0], row[1]) for row in found}, held)

    def _accept_one(
        self, acceptance: Acceptance, intake: Intake, receipts: Receipts, earlier: _Earlier
    ) -> Accepted | RingbackError:
        try:
            route = self.route(acceptance.application)
            if (repeated := receipts.earlier(acceptance, route)) is not None:
                return repeated
            use = _use_in(route, acceptance)
            if use is not None and (replayed := self._replayed(use, route, intake, earlier)) is not None:
                return replayed
            if earlier.held:
                earlier.refuse_held(_names(acceptance, route))
            if acceptance.event_id is not None:
                earlier.take_event(route.key, acceptance.event_id)
            accepted = intake.add(acceptance, route)
        except StoreUnavailable:
            raise
        except RingbackError as error:
            return error
        intake.documents += acceptance.documents
        if acceptance.payload_until is not None:
            name = f"{acceptance.payload_until:013d}.{route.application_id}.{acceptance.id}"
            intake.documents.append(Document(EXPIRING, name, b""))
        receipts.add(accepted.message, route)
        if use is not None:
            earlier.use(use, acceptance)
        return accepted

    def _replayed(self, use: Idempotency, route: Route, intake: Intake, earlier: _Earlier) -> Accepted | None:
        known = earlier.uses.get((use.scope, use.key))
        if known is None:
            return None
        message = intake.accepted.get(known.resource_id) or self._message_by_id(route, known.resource_id)
        if message is None:
            return None
        known.repeated_by(use)
        return Accepted(message, replayed=True)

    def _message_by_id(self, route: Route, message_id: str) -> Message | None:
        row = self.row(
            f"SELECT {MESSAGE_COLUMNS} FROM ringback_message m WHERE m.application_key = ? AND m.id = ?",
            (route.key, message_id),
        )
        return None if row is None else message_of(row, route.application_id)


def _use_in(route: Route, acceptance: Acceptance) -> Idempotency | None:
    # Applications and endpoints may be called by their ids or uids, and a uid may pass to another.
    use = acceptance.idempotency
    if use is None:
        return None
    scope = f"{use.scope}:{route.application_id}"
    if acceptance.only is not None:
        scope += f":{route.name(acceptance.only)}"
    return msgspec.structs.replace(use, scope=scope)


def _names(acceptance: Acceptance, route: Route) -> Iterator[str]:
    """Yield what an acceptance uses that one message alone can have, as PostgreSQL's locks name it."""
    if acceptance.inbound is not None:
        return  # nothing is published to a source
    if (use := _use_in(route, acceptance)) is not None:
        yield f"key:{use.scope}:{use.key}"
    if acceptance.event_id is not None:
        yield f"event:{route.application_id}:{acceptance.event_id}"


class _Earlier(msgspec.Struct):
    """The uses of idempotency keys and event ids that matter to one batch: those there were, and those it adds.

    *held* names those that an open transaction of an application has: what becomes of them, its end will tell.
    """

    uses: dict[tuple[str, str], Use]
    events: set[tuple[int, str]]
    held: frozenset[str]
    new: list[Row] = []
    renewed: list[Row] = []

    def refuse_held(self, names: Iterable[str]) -> None:
        """Raise ``InProgress`` where one of the names is held."""
        for name in self.held.intersection(names):
            what = "idempotency key" if name.startswith("key:") else "event id"
            raise InProgress(
                f"a transaction that is still open uses this {what}; repeat the request when it has ended"
            )

    def take_event(self, application_key: int, event_id: str) -> None:
        """Take an event id; raises ``Conflict`` where it is taken."""
        if (application_key, event_id) in self.events:
            raise Conflict(f"the event id {event_id} was used for another message of this application")
        self.events.add((application_key, event_id))

    def use(self, idempotency: Idempotency, acceptance: Acceptance) -> None:
        """Use an idempotency key for what is accepted now."""
        place = idempotency.scope, idempotency.key
        rows = self.renewed if place in self.uses else self.new
        self.uses[place] = Use(acceptance.id, idempotency.fingerprint)
        rows.append((*place, idempotency.fingerprint, acceptance.id, acceptance.created_at))
