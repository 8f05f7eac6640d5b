"""What became of notices: asked of Ringback's store, told in the provider's words."""

from __future__ import annotations

import msgspec

from ringback.errors import NotFound
from ringback.model import Attempt, Delivery, DeliveryState, Endpoint, Instant, OutcomeKind, Trigger
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.log_rows import AUTOMATIC, Row, Status, Try, tried
from ringback.sandbox.xendit.slots import channel_of
from ringback.store import AttemptFilter, Page, Store

MAX_ATTEMPTS = 200
MAX_DELIVERIES = 50
_UNDER_WAY = frozenset({DeliveryState.WAITING, DeliveryState.LEASED})


class Standing(msgspec.Struct, frozen=True):
    """Where a webhook stands, and when it is tried again by itself."""

    status: Status
    next_redelivery: Instant | None = None


class Tracker:
    """Looks up notices; made for one reading of the store, on the thread that reads.

    Args:
        store: Ringback's.
        now: The present instant.
        message_ids: The ids of messages by those of the notices they were published for; kept from one to the next.
    """

    def __init__(self, store: Store, now: Instant, message_ids: dict[str, str]) -> None:
        self._store = store
        self._now = now
        self._message_ids = message_ids
        self._endpoints: dict[tuple[str, str], str | None] = {}

    def row(self, entry: Entry) -> Row | None:
        """Return a notice as the list shows it; None where it is past Ringback's retention."""
        try:
            standing = self._standing(entry) if entry.hidden["published"] else Standing(Status.PENDING)
        except NotFound:
            return None
        return Row(
            id=entry.id,
            status=standing.status,
            created_at=entry.created_at,
            product_id=entry.body["product_id"],
            product=entry.body["product"],
            event=entry.body["event"],
            slot=entry.body["slot"],
            next_redelivery=standing.next_redelivery,
        )

    def message_id(self, entry: Entry) -> str:
        """Return the id of the message that a notice was published as; raises ``NotFound`` without one."""
        message_id = self._message_ids.get(entry.id)
        if message_id is None:
            message_id = self._store.message(str(entry.owner), entry.id).id
            self._message_ids[entry.id] = message_id
        return message_id

    def history(self, entry: Entry, row: Row) -> tuple[Try, ...]:
        """Return what was tried for a published notice, newest first."""
        attempts = self._attempts(entry, MAX_ATTEMPTS)
        lines: list[Try] = []
        for position, attempt in enumerate(attempts):
            later = attempts[position - 1] if position else None
            following = row.next_redelivery if later is None else _retried_at(attempt, later)
            lines.append(tried(attempt, _source(entry, attempt), following))
        return tuple(lines)

    def _standing(self, entry: Entry) -> Standing:
        found = self._current(entry)
        if found is None:
            return Standing(Status.URL_NOT_SET)
        delivery, endpoint = found
        if delivery.state is DeliveryState.SUCCEEDED:
            return Standing(Status.COMPLETED)
        goes_on = delivery.state in _UNDER_WAY and endpoint.id == self._endpoint_id(entry)
        if goes_on and not delivery.attempts:
            return Standing(Status.PENDING)
        return self._failed(entry, self._due(delivery) if goes_on else None)

    def _failed(self, entry: Entry, due_at: Instant | None) -> Standing:
        last = next(iter(self._attempts(entry, 1)), None)
        if last is None:
            return Standing(Status.URL_NOT_SET)
        if last.outcome.ok:
            return Standing(Status.COMPLETED)
        silent = last.outcome.kind is OutcomeKind.TIMEOUT
        return Standing(Status.TIMEOUT if silent else Status.FAILED, due_at)

    def _due(self, delivery: Delivery) -> Instant | None:
        # While it is leased, the attempt is being made.
        return delivery.due_at if delivery.state is DeliveryState.WAITING else self._now

    def _current(self, entry: Entry) -> tuple[Delivery, Endpoint] | None:
        """Return the delivery to the endpoint that is there now, or else the last that was."""
        page = Page(limit=MAX_DELIVERIES)
        pairs = self._store.deliveries(str(entry.owner), self.message_id(entry), page)
        here = self._endpoint_id(entry)
        return next((pair for pair in pairs if pair[1].id == here), pairs[-1] if pairs else None)

    def _endpoint_id(self, entry: Entry) -> str | None:
        channel = channel_of(entry.body["slot"], entry.hidden["url"], test=entry.hidden["test"])
        place = (str(entry.owner), channel)
        if place not in self._endpoints:
            try:
                self._endpoints[place] = self._store.endpoint(*place).id
            except NotFound:
                self._endpoints[place] = None
        return self._endpoints[place]

    def _attempts(self, entry: Entry, limit: int) -> list[Attempt]:
        where = AttemptFilter(message_id=self.message_id(entry))
        return self._store.attempts(str(entry.owner), where, Page(limit=limit, descending=True))


def _retried_at(attempt: Attempt, later: Attempt) -> Instant | None:
    by_itself = later.number == attempt.number + 1 and later.endpoint_id == attempt.endpoint_id
    return later.started_at if by_itself else None


def _source(entry: Entry, attempt: Attempt) -> str:
    """Return who had an attempt made: whoever resent last before it, where it is the first since then."""
    asked_for = attempt.trigger is Trigger.MANUAL or entry.hidden.get("mishap")
    if attempt.number > 1 or not asked_for:
        return AUTOMATIC
    names = [by for by, at in entry.hidden.get("resent", ()) if at <= attempt.started_at]
    return names[-1] if names else AUTOMATIC
