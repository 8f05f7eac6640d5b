"""Which events have been received: the rows that make a repeated webhook one message."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.errors import NotFound
from ringback.model import Message
from ringback.store import Acceptance, Accepted
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.routes import Route
from ringback.store.sql.tables import Many, Row

_BY_EVENT = Many(
    """
    WITH wanted (application_key, dedupe_key) AS ({rows})
    SELECT r.application_key, r.dedupe_key, r.message_id, r.created_at
    FROM wanted CROSS JOIN ringback_receipt r
    ON r.application_key = wanted.application_key AND r.dedupe_key = wanted.dedupe_key
    """,
    "it",
)
# A webhook is a repetition of what polling found, and what polling finds is one of either.
_BY_BUSINESS = Many(
    """
    WITH wanted (application_key, business_key, polled) AS ({rows})
    SELECT r.application_key, r.business_key, r.message_id, r.created_at, r.polled
    FROM wanted CROSS JOIN ringback_receipt r INDEXED BY ringback_receipt_business
    ON r.application_key = wanted.application_key AND r.business_key = wanted.business_key
    WHERE r.polled >= wanted.polled ORDER BY r.key
    """,
    "iti",
)
_INSERT = Many(
    "INSERT INTO ringback_receipt"
    " (application_key, dedupe_key, business_key, polled, message_id, created_at) {rows}",
    "ittiti",
)

Known = dict[tuple[int, str | None], tuple[str, int]]


class Receipts:
    """The receipts that matter to one batch of acceptances: those there are, and those it adds."""

    def __init__(self, catalog: Catalog, acceptances: Sequence[Acceptance]) -> None:
        self._catalog = catalog
        self._rows: list[Row] = []
        inbound = [
            (route.key, acceptance.inbound)
            for acceptance in acceptances
            if acceptance.inbound is not None
            and (route := catalog.known_route(acceptance.application)) is not None
        ]
        events = [(key, one.dedupe_key) for key, one in inbound if one.dedupe_key]
        subjects = [(key, one.business_key, int(not one.polled)) for key, one in inbound if one.business_key]
        self._events = _first_of(self._rows_for(_BY_EVENT, events))
        found = self._rows_for(_BY_BUSINESS, subjects)
        self._subjects = _first_of(found)
        self._polled = _first_of([row for row in found if row[4]])

    def earlier(self, acceptance: Acceptance, route: Route) -> Accepted | None:
        """Return the first acceptance of the same event; raises ``NotFound`` where the door is not the right one."""
        inbound = acceptance.inbound
        if route.is_operator or (inbound is None) is route.is_source:
            raise NotFound(f"there is no {'source' if inbound else 'application'} {acceptance.application}")
        if inbound is None:
            return None
        subjects = self._subjects if inbound.polled else self._polled
        found = self._events.get((route.key, inbound.dedupe_key)) or subjects.get(
            (route.key, inbound.business_key)
        )
        if found is None:
            return None
        message_id, created_at = found
        message = Message(
            id=message_id,
            application_id=route.application_id,
            event_type=acceptance.event_type,
            payload=None,
            created_at=created_at,
        )
        return Accepted(message, replayed=True)

    def add(self, message: Message, route: Route) -> None:
        """Add the receipt of what is accepted now."""
        inbound = message.inbound
        if inbound is None or (inbound.dedupe_key is None and inbound.business_key is None):
            return
        first = message.id, message.created_at
        if inbound.dedupe_key is not None:
            self._events[route.key, inbound.dedupe_key] = first
        if inbound.business_key is not None:
            self._subjects.setdefault((route.key, inbound.business_key), first)
            if inbound.polled:
                self._polled.setdefault((route.key, inbound.business_key), first)
        # What has no key of its own still has a row, by its subject.
        dedupe_key = inbound.dedupe_key or f"message:{message.id}"
        polled = int(inbound.polled)
        self._rows.append(
            (route.key, dedupe_key, inbound.business_key, polled, message.id, message.created_at)
        )

    def keep(self) -> None:
        """Store what was added."""
        if self._rows:
            self._catalog.execute_rows(_INSERT, self._rows)

    def _rows_for(self, query: Many, wanted: list[Row]) -> list[Row]:
        return self._catalog.rows_for(query, wanted) if wanted else []


def _first_of(rows: list[Row]) -> Known:
    known: Known = {}
    for owner, key, message_id, created_at, *_ in rows:
        known.setdefault((owner, key), (message_id, created_at))
    return known
