"""One message: what it says, where it goes and why not, and every attempt at delivering it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback import ids
from ringback.design.charts import Phase, waterfall
from ringback.design.contents import weight, within
from ringback.design.writing import brief, sentence
from ringback.errors import Conflict, MissingPayload, NotFound
from ringback.model import (
    Application,
    Attempt,
    Message,
    Standing,
)
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.destinations import Destinations, destinations
from ringback.server.pages.messages import row_of
from ringback.server.pages.page import Page, Said, Visit, download, see
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import UNSENT
from ringback.store import AttemptFilter, Store
from ringback.store import Page as Part
from ringback.store.survey import JournalEntry, JournalFilter

ATTEMPTS = 10
# How many bytes of a page headers may take, each with what stands around it.
MAX_HEADERS = 12_000
AROUND_HEADER = 80
MAX_VALUE = 300
JSON = "application/json"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A message with what is known of it: it is as ``entry`` says, of its destinations those *after* one."""

    owner: Application
    message: Message
    entry: JournalEntry
    destinations: Destinations
    attempts: Sequence[Attempt]
    more_attempts: bool
    after: str

    @property
    def total(self) -> int:
        """How many endpoints it is for."""
        return sum(self.entry.standings.values())

    @property
    def waits(self) -> bool:
        """Whether anything of it waits to be delivered, as far as is known."""
        standings = self.entry.standings
        retried = Standing.SENDING in standings and self.is_part
        return Standing.PENDING in standings or retried or any(one.waits for one in self.destinations.rows)

    @property
    def is_part(self) -> bool:
        """Whether there are more destinations than these."""
        return bool(self.after or self.destinations.last)


class MessagePages:
    """The pages of one message.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show it."""
        before = visit.query.get("after") or None
        known = await self._behind.outbox.read(lambda store: _found(store, visit, before))
        inbound = known.message.inbound
        headers = () if inbound is None else tuple(inbound.headers.items())
        values = {
            "place": Ways(visit).messages,
            "found": known,
            "row": row_of(known.entry),
            "way": Ways(visit).message(known.owner.id, known.message.id),
            "phases": phases,
            "couple": couple(known.attempts),
            "headers": headers,
            "shown_headers": within(headers, _weight, MAX_HEADERS),
            "longest": MAX_VALUE,
            "unsent": UNSENT,
            "now": self._behind.clock(),
            "is_first": before is None and not known.after,
        }
        contents = [known.message.payload or b"", *(one.outcome.body for one in known.attempts)]
        return page(visit, "message.html", values, contents=contents)

    async def payload(self, visit: Visit) -> Page:
        """Send the payload as a file."""
        message = await self._behind.outbox.read(lambda store: pair(store, visit)[1])
        if message.payload is None:
            raise NotFound("the payload of this message has been removed")
        return download(message.payload, f"{message.id}.json", JSON)

    async def answer(self, visit: Visit) -> Page:
        """Send what a receiver answered as a file; whatever it is, nothing shows it as a page."""

        def look_up(store: Store) -> Attempt:
            owner, message = pair(store, visit)
            return store.attempt(owner.id, message.id, visit.parts["att"])

        attempt = await self._behind.outbox.read(look_up)
        return download(attempt.outcome.body, f"{attempt.id}.txt")

    async def resend(self, visit: Visit) -> Page:
        """Deliver it to an endpoint again."""
        owner, message = await self._behind.outbox.read(lambda store: pair(store, visit))
        there = Ways(visit).message(owner.id, message.id)
        try:
            await self._behind.outbox.resend(owner.id, message.id, visit.form.get("endpoint"))
        except (Conflict, MissingPayload) as error:
            return see(visit, there, Said(sentence(error.detail), "bad"))
        return see(
            visit, there, Said("Queued to be sent again: what comes of it shows below by itself.", "wait")
        )

    async def cancel(self, visit: Visit) -> Page:
        """Cancel what waits of it, when that is confirmed."""
        owner, message = await self._behind.outbox.read(lambda store: pair(store, visit))
        if not visit.form.ticked("sure"):
            return confirm(visit, _whether_to_cancel(visit, Ways(visit).message(owner.id, message.id)))
        count = await self._behind.outbox.archive.cancel_message(owner.id, message.id)
        said = Said(f"{count} deliveries were cancelled." if count != 1 else "One delivery was cancelled.")
        return see(
            visit,
            Ways(visit).message(owner.id, message.id),
            said if count else Said("Nothing was waiting.", "wait"),
        )

    async def ask_to_forget(self, visit: Visit) -> Page:
        """Ask whether the payload is to be forgotten."""
        owner, message = await self._behind.outbox.read(lambda store: pair(store, visit))
        there = Ways(visit).message(owner.id, message.id)
        question = Question(
            title="Forget the payload",
            question=f"Forget the payload of {message.id}?",
            points=(
                "It cannot be shown, downloaded or sent again.",
                "What still waits to be delivered of it is cancelled.",
                "That it was accepted, and every attempt, stays on record.",
            ),
            action=visit.link(f"{there}/forget"),
            button="Forget the payload",
            back=visit.link(there),
            tone="bad",
        )
        return confirm(visit, question)

    async def forget(self, visit: Visit) -> Page:
        """Forget the payload."""
        owner, message = await self._behind.outbox.read(lambda store: pair(store, visit))
        await self._behind.outbox.archive.expunge_message(owner.id, message.id)
        return see(visit, Ways(visit).message(owner.id, message.id), Said("The payload is forgotten."))


def _whether_to_cancel(visit: Visit, there: str) -> Question:
    return Question(
        title="Cancel what waits",
        question="Cancel what waits to be delivered of this message?",
        points=(
            "No endpoint that it waits for gets it, unless it is sent again from its page.",
            "What is being sent just now is not stopped.",
        ),
        action=visit.link(f"{there}/cancel"),
        button="Cancel what waits",
        back=visit.link(there),
        tone="bad",
        hidden={"sure": "yes"},
    )


def pair(store: Store, visit: Visit) -> tuple[Application, Message]:
    """Return the application or source, and its message, that an address names."""
    owner = store.application(visit.parts["app"])
    return owner, store.message(owner.id, visit.parts["msg"])


def phases(attempt: Attempt) -> str:
    """Return the drawing of an attempt's phases; empty where nothing is known of them."""
    took = attempt.outcome.phases
    known = (
        ("DNS", took.dns),
        ("Connect", took.connect),
        ("TLS", took.tls),
        ("Send", took.write),
        ("Wait", took.wait),
        ("Body", took.read),
    )
    if not any(microseconds for _, microseconds in known):
        return ""
    return waterfall(f"Phases of attempt {attempt.number}", [Phase(*phase) for phase in known])


def couple(attempts: Sequence[Attempt]) -> tuple[Attempt, Attempt] | None:
    """Return the two of some attempts, newest first, to compare: at the same endpoint, where one was tried twice."""
    later: dict[str, Attempt] = {}
    for one in attempts:
        if one.endpoint_id in later:
            return one, later[one.endpoint_id]
        later[one.endpoint_id] = one
    return (attempts[1], attempts[0]) if len(attempts) > 1 else None


def _weight(header: tuple[str, str]) -> int:
    return AROUND_HEADER + sum(weight(brief(part, MAX_VALUE)) for part in header)


def _found(store: Store, visit: Visit, before: str | None) -> Found:
    owner, message = pair(store, visit)
    cursor = before if before is not None and ids.is_id(ids.ATTEMPT, before) else None
    asked = Part(limit=ATTEMPTS + 1, cursor=cursor, descending=True)
    attempts = store.attempts(owner.id, AttemptFilter(message_id=message.id), asked)
    after = visit.query.get("at")
    # How all its deliveries stand, however many there are.
    (entry,) = store.journal(JournalFilter(application_id=owner.id, text=message.id), 1).entries
    return Found(
        owner=owner,
        message=message,
        entry=entry,
        destinations=destinations(store, message, after),
        attempts=attempts[:ATTEMPTS],
        more_attempts=len(attempts) > ATTEMPTS,
        after=after,
    )
