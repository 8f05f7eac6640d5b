"""The live view: what comes in, as it comes, with what became of it; and the first steps where nothing came yet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from ringback.design.contents import weight
from ringback.design.writing import sentence
from ringback.errors import Conflict, MissingPayload, NotFound
from ringback.intake import NOT_STORED
from ringback.model import (
    HANDLER_SCHEME,
    Attempt,
    DeliveryState,
    Instant,
    Refusal,
    Source,
    Standing,
)
from ringback.secrecy import masked_url
from ringback.server.pages.behind import Behind
from ringback.server.pages.checklist import Checklist
from ringback.server.pages.message import pair
from ringback.server.pages.messages import row_of
from ringback.server.pages.page import Page, Said, Visit, see, segment
from ringback.server.pages.recent import Answered
from ringback.server.pages.rendering import page
from ringback.server.pages.tracebacks import MAX_TOLD, told
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import (
    CAME_AGAIN,
    LOST,
    REFUSED,
    RETRYING,
    Badge,
    failure,
)
from ringback.store import AttemptFilter, Store
from ringback.store import Page as Part
from ringback.store.survey import JournalEntry, JournalFilter

PLACE = "watch"
FAILED = "failed"
ROWS = 20
MAX_SOURCES = 50
MAX_REFUSALS = 10
MAX_ATTEMPTS = 20
MAX_DELIVERIES = 250


class Run(msgspec.Struct, frozen=True):
    """The latest attempt at one endpoint or handler; ``told`` is what a handler that failed said, or its traceback."""

    attempt: Attempt
    told: str = ""

    @property
    def place(self) -> str:
        """Where it was made: the handler's name, or the endpoint's URL without its scheme."""
        url = masked_url(self.attempt.url)
        return url.removeprefix(HANDLER_SCHEME).removeprefix("https://").removeprefix("http://")

    @property
    def said(self) -> str:
        """What went wrong; empty where nothing did."""
        outcome = self.attempt.outcome
        return "" if outcome.ok else failure(outcome.kind, outcome.status, outcome.detail)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A request: what it was, how long its acknowledgement took (seconds), and what came of it.

    ``way`` leads to its page, ``owner_way`` to what else came to its source or application, whose id is ``owner_id``;
    ``resend`` is where a form sends it again, empty where it cannot be. ``reasons`` say why it was refused.
    """

    id: str
    at: Instant
    what: str
    way: str
    badge: Badge
    owner: str
    owner_way: str
    owner_id: str = ""
    note: str = ""
    inbound: bool = True
    ack: float | None = None
    runs: Sequence[Run] = ()
    reasons: Sequence[str] = ()
    resend: str = ""

    @property
    def failures(self) -> Sequence[Run]:
        """The runs that failed."""
        return [run for run in self.runs if not run.attempt.outcome.ok]

    @property
    def longest(self) -> Run | None:
        """The run that took longest; None where there is none."""
        return max(self.runs, key=lambda run: run.attempt.duration, default=None)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the store has of it: messages with their latest runs, refusals, and the types of events that came again."""

    messages: Sequence[tuple[JournalEntry, Sequence[Run]]]
    refusals: Sequence[tuple[Source, Refusal]]
    types: Mapping[str, str]


class Watch:
    """The live view.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._checklist = Checklist(behind)

    async def show(self, visit: Visit) -> Page:
        """Show what came last, all of it or what failed."""
        failed = visit.query.get("show") == FAILED
        answered = [one for one in self._behind.recent.answered if not failed or one.outcome == NOT_STORED]
        seen = await self._behind.outbox.read(lambda store: _look_up(store, answered, failed=failed))
        acks = self._behind.recent.acknowledgements
        rows = sorted(
            [
                *(_message_row(*one, acks, Ways(visit)) for one in seen.messages),
                *(_refusal_row(*one) for one in seen.refusals),
                *(_answered_row(one, seen.types, Ways(visit)) for one in answered),
            ],
            key=lambda row: row.at,
            reverse=True,
        )
        values = {
            "place": PLACE,
            "rows": list(_light(rows[:ROWS])),
            "failed": failed,
            "most": ROWS,
            "focused": "" if visit.partial else visit.query.get("at"),
            **await self._checklist.show(visit),
        }
        return page(visit, "watch.html", values)

    async def resend(self, visit: Visit) -> Page:
        """Send a message again: to where it failed, or where it did nowhere, to all that it was for."""
        show, outbox = FAILED if visit.form.get("show") == FAILED else "", self._behind.outbox
        owner, message = await outbox.read(lambda store: pair(store, visit))
        deliveries = await outbox.read(
            lambda store: store.deliveries(owner.id, message.id, Part(limit=MAX_DELIVERIES))
        )
        states = {endpoint.id: delivery.state for delivery, endpoint in deliveries}
        idle = [name for name, state in states.items() if state is not DeliveryState.LEASED]
        lost = [
            endpoint.id
            for delivery, endpoint in deliveries
            if endpoint.id in idle
            and (delivery.state is DeliveryState.FAILED or _is_retried(delivery.state, delivery.attempts))
        ]
        try:
            if not deliveries and message.inbound is not None:
                count = await self._behind.sources.replay(owner.id, message.id, rematch=True, done_too=False)
            else:
                for endpoint in lost or idle:
                    await outbox.resend(owner.id, message.id, endpoint)
                count = len(lost or idle)
            said = _queued(message.event_type, count)
        except (Conflict, MissingPayload) as error:
            said = Said(sentence(error.detail), "bad")
        return see(visit, PLACE, said, show=show, at=message.id)


def _is_retried(state: DeliveryState, attempts: int) -> bool:
    return state is DeliveryState.WAITING and attempts > 0


def _queued(event_type: str, count: int) -> Said:
    what = event_type[:80]
    if not count:
        return Said(f"{what} was not sent: nothing wants it, or it is being sent now.", "wait")
    places = "one place" if count == 1 else f"{count} places"
    return Said(f"{what} is queued again, for {places}: what comes of it shows below by itself.", "wait")


# --- Looking up --------------------------------------------------------------------------------------------


def _look_up(store: Store, answered: Sequence[Answered], *, failed: bool) -> Seen:
    entries = {one.message.id: one for one in store.journal(JournalFilter(), ROWS).entries}
    if failed:
        lost = store.journal(JournalFilter(standing=Standing.FAILED), ROWS).entries
        entries |= {one.message.id: one for one in lost}
    pairs = [(entry, _runs(store, entry)) for entry in entries.values()]
    sources = store.sources(Part(limit=MAX_SOURCES, descending=True))
    few = Part(limit=MAX_REFUSALS, descending=True)
    return Seen(
        messages=[one for one in pairs if not failed or _has_failed(*one)],
        refusals=[(source, refusal) for source in sources for refusal in store.refusals(source.id, few)],
        types=_types(store, answered),
    )


def _has_failed(entry: JournalEntry, runs: Sequence[Run]) -> bool:
    return Standing.FAILED in entry.standings or any(run.said for run in runs)


def _runs(store: Store, entry: JournalEntry) -> Sequence[Run]:
    """Return the latest run at each endpoint, and of those that failed in a handler what that told."""
    owner, message = entry.owner.id, entry.message.id
    if not entry.standings:
        return ()
    where = AttemptFilter(message_id=message, answers=False)
    latest: dict[str, Attempt] = {}
    for attempt in store.attempts(owner, where, Part(limit=MAX_ATTEMPTS, descending=True)):
        latest.setdefault(attempt.endpoint_id, attempt)
    return [Run(one, told(store, owner, one)) for one in latest.values()]


def _types(store: Store, answered: Iterable[Answered]) -> Mapping[str, str]:
    named: dict[str, str] = {}
    for one in answered:
        if one.message_id is not None and one.message_id not in named:
            with contextlib.suppress(NotFound):  # it has been removed since
                named[one.message_id] = store.message(one.source.id, one.message_id).event_type
    return named


def _light(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows without the tracebacks that would make a page heavy; they are on the pages of their messages."""
    left = MAX_TOLD
    for row in rows:
        runs = []
        for run in row.runs:
            kept = run if weight(run.told) <= left else Run(run.attempt)
            left -= weight(kept.told)
            runs.append(kept)
        yield msgspec.structs.replace(row, runs=runs)


# --- Rows --------------------------------------------------------------------------------------------------


def _message_row(entry: JournalEntry, runs: Sequence[Run], acks: Mapping[str, float], ways: Ways) -> Row:
    message, shown = entry.message, row_of(entry)
    way = ways.message(entry.owner.id, message.id)
    waits = Standing.PENDING in entry.standings or Standing.SENDING in entry.standings
    retried = waits and any(run.said for run in runs)
    can_resend = bool(entry.standings) or message.inbound is not None
    return Row(
        id=message.id,
        at=message.created_at,
        what=message.event_type,
        way=way,
        badge=RETRYING if retried and Standing.FAILED not in entry.standings else shown.badge,
        note=shown.note,
        inbound=message.inbound is not None,
        owner=entry.owner.name,
        owner_id=entry.owner.id,
        owner_way=_owner_way(entry.owner.id, inbound=message.inbound is not None),
        ack=acks.get(message.id),
        runs=runs,
        resend=f"{PLACE}/{segment(entry.owner.id)}/{segment(message.id)}/resend" if can_resend else "",
    )


def _refusal_row(source: Source, refusal: Refusal) -> Row:
    more = f"and {refusal.more:,} more like it" if refusal.more else ""
    return Row(
        id=refusal.id,
        at=refusal.at,
        what="Refused request",
        way=f"{_owner_way(source.id, inbound=True)}/refused",
        badge=REFUSED,
        note=more,
        owner=source.name,
        owner_way=_owner_way(source.id, inbound=True),
        reasons=(refusal.detail, *refusal.hints),
    )


def _answered_row(one: Answered, types: Mapping[str, str], ways: Ways) -> Row:
    owner = _owner_way(one.source.id, inbound=True)
    again = one.message_id is not None
    reason = (
        "" if again else "It could not be stored: the provider was told to send it again. See the node's log."
    )
    return Row(
        id=f"answered-{one.at}-{one.message_id or one.source.id}",
        at=one.at,
        what=types.get(one.message_id or "", "Webhook"),
        way=ways.message(one.source.id, one.message_id) if one.message_id is not None else owner,
        badge=CAME_AGAIN if again else LOST,
        owner=one.source.name,
        owner_way=owner,
        ack=one.seconds,
        reasons=(reason,) if reason else (),
    )


def _owner_way(owner: str, *, inbound: bool) -> str:
    return f"{'sources' if inbound else 'applications'}/{segment(owner)}"
