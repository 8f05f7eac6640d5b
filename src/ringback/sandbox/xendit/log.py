"""The provider's Webhooks tab: what was told, what became of it, and sending it again.

The list is that of the ledger's notices; what became of each is asked of Ringback, where it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from ringback import letters
from ringback.errors import Conflict, NotFound
from ringback.model import Instant
from ringback.outbox import Outbox
from ringback.sandbox.xendit.calls import INVALID, Owner, Refused
from ringback.sandbox.xendit.ledger import Entry, Ledger
from ringback.sandbox.xendit.log_rows import Detail, Filter, Listing, Resent, Row, Status, Try
from ringback.sandbox.xendit.notices import NOTICE, Publisher
from ringback.sandbox.xendit.slots import Slots
from ringback.sandbox.xendit.tracking import Tracker
from ringback.store import Store

MAX_RESENT = 500
PAGE = 10
MAX_PAGE = 100
BATCH = 250
AT_ONCE = 50

T = TypeVar("T")


class Log:
    """Every owner's log.

    Args:
        outbox: Knows what became of each webhook, and sends it again.
        ledger: Where the notices are kept.
        slots: Says where each goes.
        publisher: Publishes what has been held back.
        clock: Returns the present instant.
    """

    def __init__(
        self,
        outbox: Outbox,
        ledger: Ledger,
        slots: Slots,
        publisher: Publisher,
        *,
        clock: Callable[[], Instant],
    ) -> None:
        self._outbox = outbox
        self._ledger = ledger
        self._slots = slots
        self._publisher = publisher
        self._clock = clock
        self._message_ids: dict[str, str] = {}

    # --- Looking ------------------------------------------------------------------------------------------

    async def page(
        self, owner: Owner, where: Filter, *, limit: int = PAGE, after: str | None = None
    ) -> Listing:
        """Return up to *limit* webhooks that *where* means, newest first.

        Args:
            owner: Whose.
            where: Which.
            limit: From 1 to 100.
            after: The id of the webhook before the first one wanted; None: begin with the newest.

        Raises:
            Refused: 404: there is no webhook *after*; 400: *limit* is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise Refused(400, INVALID, f"limit is between 1 and {MAX_PAGE}")
        before = None if after is None else self._entry(owner, after).serial
        rows: list[Row] = []
        async for row in self._rows(self._meant(owner, where, before), where.statuses, limit + 1):
            rows.append(row)
            if len(rows) > limit:
                return Listing(tuple(rows[:limit]), rows[limit - 1].id)
        return Listing(tuple(rows), None)

    async def detail(self, owner: Owner, notice_id: str) -> Detail:
        """Return all that is known of a webhook.

        Raises:
            Refused: 404 ``WEBHOOK_NOT_FOUND_ERROR``.
        """
        entry, now = self._entry(owner, notice_id), self._clock()

        def look(store: Store) -> tuple[Row | None, str | None, tuple[Try, ...]]:
            tracker = Tracker(store, now, self._message_ids)
            row = tracker.row(entry)
            if row is None or not entry.hidden["published"]:
                return row, None, ()
            return row, letters.webhook_id(tracker.message_id(entry)), tracker.history(entry, row)

        row, webhook_id, history = await self._outbox.read(look)
        if row is None:
            raise _unknown(notice_id)
        return Detail(
            row=row,
            payload=entry.hidden["payload"],
            webhook_id=webhook_id,
            mishap=entry.hidden.get("mishap"),
            is_test=entry.hidden["test"],
            history=history,
        )

    async def count(self, owner: Owner, where: Filter) -> int:
        """Return how many webhooks *where* means: what a custom resend would send."""
        return len([row async for row in self._rows(self._meant(owner, where), where.statuses, BATCH)])

    def products(self, owner: Owner) -> list[str]:
        """Return the names of the products that the log tells of, for a menu."""
        return sorted({entry.body["product"] for entry in self._ledger.entries(NOTICE, owner)})

    def events(self, owner: Owner) -> list[str]:
        """Return the event types that the log tells of, for a menu."""
        return sorted({entry.body["event"] for entry in self._ledger.entries(NOTICE, owner)})

    # --- Sending again ------------------------------------------------------------------------------------

    async def resend(self, owner: Owner, notice_id: str, user: str) -> None:
        """Send a webhook again, whatever became of it, and write down that *user* had it sent.

        Raises:
            Refused: 404 where there is none; 400 ``URL_NOT_SET_ERROR`` where it has nowhere to go; 409 while an attempt
                is under way or when the payload has been removed.
        """
        entry, at = self._entry(owner, notice_id), self._clock()
        if not entry.hidden["published"]:
            await self._publisher.publish(_marked(entry, user, at))
            return
        await self._slots.open(owner)
        endpoint = await self._slots.channel(
            owner, entry.body["slot"], entry.hidden["url"], test=entry.hidden["test"]
        )
        try:
            await self._outbox.read(lambda store: store.endpoint(str(owner), endpoint))
        except NotFound:
            message = f"this webhook has nowhere to go: set a URL for {entry.body['slot']} and send it again"
            raise Refused(400, "URL_NOT_SET_ERROR", message) from None
        try:
            await self._outbox.resend(str(owner), entry.id, endpoint)
        except NotFound:
            raise _unknown(notice_id) from None
        except Conflict as error:
            raise Refused(409, "WEBHOOK_RESEND_ERROR", error.detail) from None
        await self._ledger.keep([_marked(self._entry(owner, notice_id), user, at)])

    async def resend_all(self, owner: Owner, where: Filter, user: str) -> Resent:
        """Send all webhooks again that *where* means, the oldest first.

        Raises:
            Refused: 400: they are more than 500.
        """
        found = [row.id async for row in self._rows(self._meant(owner, where), where.statuses, BATCH)]
        if len(found) > MAX_RESENT:
            message = f"{len(found)} webhooks are meant, and at most {MAX_RESENT} can be resent at a time"
            raise Refused(400, "TOO_MANY_WEBHOOKS_ERROR", message)
        sent = 0
        for some in _chunks(reversed(found), AT_ONCE):
            sent += sum(await asyncio.gather(*(self._resent(owner, one, user) for one in some)))
        return Resent(sent, len(found) - sent)

    async def _resent(self, owner: Owner, notice_id: str, user: str) -> bool:
        try:
            await self.resend(owner, notice_id, user)
        except Refused:
            return False
        return True

    # --- Finding ------------------------------------------------------------------------------------------

    def _entry(self, owner: Owner, notice_id: str) -> Entry:
        entry = self._ledger.get(NOTICE, notice_id, owner)
        if entry is None:
            raise _unknown(notice_id)
        return entry

    def _meant(self, owner: Owner, where: Filter, before: int | None = None) -> Iterator[Entry]:
        """Yield the notices that *where* means, whatever their status, newest first."""
        for entry in self._ledger.entries(NOTICE, owner):
            if (before is None or entry.serial < before) and _fits(entry, where):
                yield entry

    async def _rows(
        self, entries: Iterator[Entry], statuses: Sequence[Status], needed: int
    ) -> AsyncIterator[Row]:
        """Yield the rows of those of *entries* that have one of *statuses*, in their order."""
        size = max(needed, BATCH) if statuses else needed
        for some in _chunks(entries, size):
            for row in await self._looked_up(some):
                if not statuses or row.status in statuses:
                    yield row

    async def _looked_up(self, entries: Sequence[Entry]) -> list[Row]:
        now = self._clock()

        def look(store: Store) -> list[Row]:
            tracker = Tracker(store, now, self._message_ids)
            rows = [tracker.row(entry) for entry in entries]
            return [row for row in rows if row is not None]

        return await self._outbox.read(look)


def _fits(entry: Entry, where: Filter) -> bool:
    body = entry.body
    return (
        (where.product is None or body["product"].lower() == where.product.lower())
        and (where.event is None or body["event"] == where.event)
        and (where.since is None or entry.created_at >= where.since)
        and (where.until is None or entry.created_at < where.until)
        and (where.text is None or _holds(entry, where.text.lower()))
    )


def _holds(entry: Entry, text: str) -> bool:
    places = (entry.id, entry.body["product_id"], entry.body["event"], entry.hidden["payload"])
    return any(text in place.lower() for place in places)


def _marked(entry: Entry, user: str, at: Instant) -> Entry:
    resent = [*entry.hidden.get("resent", ()), [user, at]]
    return msgspec.structs.replace(entry, hidden=entry.hidden | {"resent": resent})


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some


def _unknown(notice_id: str) -> Refused:
    return Refused(404, "WEBHOOK_NOT_FOUND_ERROR", f"there is no webhook {notice_id[:100]}")
