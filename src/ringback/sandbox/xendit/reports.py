"""Reports: a period of the books as a file.

Sources: docs.xendit.co on reports and their webhook. Which columns a file has is this sandbox's choice, and it shows
the books as they are when it is fetched. ``/sandbox/reports/{id}/simulate`` lets one fail.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.model import Duration, Instant, iso
from ringback.sandbox.xendit.books import OPENING, Books
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.fields import DAY, Draft, Name, invalid, moment
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for, missing
from ringback.sandbox.xendit.money import check_currency, plus
from ringback.sandbox.xendit.movements import CASH, Movement
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.transactions import shown

REPORT = "report"
MISSING = "DATA_NOT_FOUND"
PENDING, COMPLETED, FAILED = "PENDING", "COMPLETED", "FAILED"
MADE_AFTER: Duration = 5_000
KEPT: Duration = DAY
LONGEST: Duration = 92 * DAY
HISTORY, UPCOMING, DETAILED = "BALANCE_HISTORY", "UPCOMING_TRANSACTIONS", "DETAILED_TRANSACTIONS"
_COLUMNS = (
    "id",
    "created",
    "type",
    "status",
    "channel_category",
    "channel_code",
    "reference_id",
    "product_id",
    "currency",
    "amount",
    "cashflow",
)
_DETAILS = ("account_identifier", "net_amount", "settlement_status", "estimated_settlement_time", "updated")
_HISTORY = ("time", "transaction_id", "type", "reference_id", "currency", "change", "balance")


class FilterDraft(Draft, frozen=True, rename={"first": "from", "last": "to"}):
    """From when to when."""

    first: Name
    last: Name


class ReportDraft(Draft, frozen=True):
    """A report to be made."""

    type: Literal["BALANCE_HISTORY", "TRANSACTIONS", "UPCOMING_TRANSACTIONS", "DETAILED_TRANSACTIONS"]
    filter: FilterDraft
    format: Literal["CSV"] = "CSV"
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")] = "IDR"
    report_version: Literal["VERSION_0", "VERSION_1", "VERSION_2"] | None = None

    def period(self) -> tuple[Instant, Instant]:
        """Return from when to when.

        Raises:
            Refused: 400: one is no time, they are the wrong way round, or too far apart.
        """
        first, last = moment(self.filter.first, "filter.from"), moment(self.filter.last, "filter.to")
        if last < first:
            raise invalid("filter.to must not be before filter.from")
        if last - first >= LONGEST:
            raise Refused(400, "DATE_RANGE_TOO_BIG", "a report is about less than 92 days")
        return first, last


class OutcomeDraft(Draft, frozen=True):
    """What becomes of a report."""

    status: Literal["COMPLETED", "FAILED"] = "COMPLETED"


class Reports:
    """Reports.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(REPORT, self._complete)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/reports", self.create),
            Route("GET", "/reports/{id}", self.get),
            Route("GET", "/sandbox/reports/{id}.csv", self.file, open=True),
            Route("POST", "/sandbox/reports/{id}/simulate", self.simulate),
        )

    async def create(self, call: Call) -> Answer:
        """Order a report; that it is there is told a moment later."""
        draft = read(call, ReportDraft)
        if draft.type == HISTORY:
            check_currency(draft.currency, OPENING)
        first, last = draft.period()
        now = self._sandbox.stamp()
        body = {
            "id": f"report_{self._sandbox.new_uuid()}",
            "type": draft.type,
            "status": PENDING,
            "filter": {"from": iso(first), "to": iso(last)},
            "format": draft.format,
            "currency": draft.currency,
            "business_id": call.owner.business_id,
            "created": now,
            "updated": now,
        }
        hidden = {"period": (first, last), "url": f"{call.site}/sandbox/reports/{body['id']}.csv"}
        change = self._sandbox.change()
        due_at = self._sandbox.after(MADE_AFTER)
        change.add(REPORT, str(body["id"]), call.owner, body, hidden=hidden, due_at=due_at)
        await self._sandbox.commit(change)
        return Answer(body)

    async def get(self, call: Call) -> Answer:
        """Show a report, with where its file is."""
        return Answer(asked_for(self._sandbox.ledger, call, REPORT, MISSING).body)

    async def simulate(self, call: Call) -> Answer:
        """Let a pending report be made or fail now."""
        draft = read_own(call, OutcomeDraft)
        entry = asked_for(self._sandbox.ledger, call, REPORT, MISSING)
        if entry.body["status"] != PENDING:
            raise Refused(400, "INELIGIBLE_TRANSACTION", f"the report is {entry.body['status']} already")
        return Answer((await self._end(entry, draft.status)).body)

    async def file(self, call: Call) -> Answer:
        """Hand out a report's file to whoever knows where it is, for a day."""
        entry = self._sandbox.ledger.get(REPORT, call.path["id"])
        if entry is None or call.now >= entry.hidden.get("kept_until", 0):
            raise missing("file of a report", MISSING, call.path["id"])
        text = _written(self._rows(entry, call.now))
        name = ("content-disposition", f'attachment; filename="{entry.id}.csv"')
        return Answer(text.encode(), content_type="text/csv; charset=utf-8", headers=(name,))

    async def _complete(self, entry: Entry) -> None:
        await self._end(entry, COMPLETED)

    async def _end(self, entry: Entry, status: str) -> Entry:
        """Let a report be made or fail, and tell of it."""
        made = status == COMPLETED
        change = self._sandbox.change()
        ended = change.replace(
            entry,
            body=entry.body
            | {"status": status, "updated": self._sandbox.stamp()}
            | ({"url": entry.hidden["url"]} if made else {}),
            hidden=entry.hidden | ({"kept_until": self._sandbox.after(KEPT)} if made else {}),
            due_at=None,
        )
        event = "report.completed" if made else "report.failed"
        notice = Notice(event=event, product="Report", product_id=entry.id, body=ended.body)
        await self._sandbox.commit(change, (entry.owner, notice))
        return ended

    # --- Files --------------------------------------------------------------------------------------------

    def _rows(self, entry: Entry, now: Instant) -> Iterable[Sequence[Any]]:
        kind, currency = entry.body["type"], entry.body["currency"]
        first, last = entry.hidden["period"]
        own = [
            move for move in self._sandbox.product(Books).movements(entry.owner) if move.currency == currency
        ]
        own.reverse()
        if kind == HISTORY:
            return self._history(entry, own, first, min(last, now))
        columns = (*_COLUMNS, *_DETAILS) if kind == DETAILED else _COLUMNS
        wanted = [
            shown(move, now)
            for move in own
            if first <= move.created_at <= last
            and (kind != UPCOMING or (move.settles_at is not None and move.settles_at > now))
        ]
        return [columns, *([row[column] for column in columns] for row in wanted)]

    def _history(
        self, entry: Entry, movements: Sequence[Movement], first: Instant, last: Instant
    ) -> Iterable[Sequence[Any]]:
        changes = sorted(
            (
                (line.at, move.serial, line.amount, move)
                for move in movements
                for line in move.lines
                if line.account == CASH and first <= line.at <= last
            ),
            key=lambda change: change[:2],
        )
        currency = entry.body["currency"]
        balance = self._sandbox.product(Books).balance(entry.owner, currency, CASH, first - 1)
        yield _HISTORY
        for at, _, amount, move in changes:
            balance = plus(balance, amount)
            yield (iso(at), move.id, move.type, move.reference, currency, amount, balance)


def _written(rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()
