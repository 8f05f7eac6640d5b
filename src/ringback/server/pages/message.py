"""One message: what it says, where it goes and why not, and every attempt at delivering it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ringback import ids
from ringback.design.charts import Phase, waterfall
from ringback.design.writing import sentence
from ringback.errors import Conflict, MissingPayload, NotFound
from ringback.model import (
    Application,
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    Message,
    SkipReason,
)
from ringback.outbox import found
from ringback.selection import OTHERS
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.messages import row_of
from ringback.server.pages.page import Page, Said, Visit, download, see
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import UNSENT
from ringback.store import AttemptFilter, Store
from ringback.store import Page as Part
from ringback.store.survey import JournalEntry

MAX_DELIVERIES = 200
MAX_SKIPPED = 50
ATTEMPTS = 25
JSON = "application/json"


class Destination(msgspec.Struct, frozen=True):
    """An endpoint, and the message's delivery to it; None where it gets nothing, for a reason.

    Its id is ``OTHERS`` where it stands for all endpoints that the message was not for.
    """

    endpoint: Endpoint | None
    endpoint_id: str
    delivery: Delivery | None = None
    skipped: SkipReason | None = None

    @property
    def is_others(self) -> bool:
        """Whether it stands for all endpoints but the one that the message was for."""
        return self.endpoint_id == OTHERS

    @property
    def can_resend(self) -> bool:
        """Whether it may be delivered there again: not while it is being sent, and not to what is gone."""
        sending = self.delivery is not None and self.delivery.state is DeliveryState.LEASED
        return self.endpoint is not None and not sending


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A message with all that is known of it."""

    owner: Application
    message: Message
    destinations: Sequence[Destination]
    attempts: Sequence[Attempt]
    more_attempts: bool

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints by their ids."""
        return {one.endpoint_id: one.endpoint for one in self.destinations if one.endpoint is not None}

    @property
    def entry(self) -> JournalEntry:
        """The message as it is in lists."""
        standings = [one.delivery.standing for one in self.destinations if one.delivery is not None]
        counted = {standing: standings.count(standing) for standing in dict.fromkeys(standings)}
        return JournalEntry(message=self.message, owner=self.owner, standings=counted)

    @property
    def waits(self) -> bool:
        """Whether anything of it waits to be delivered."""
        waiting = (one.delivery for one in self.destinations if one.delivery is not None)
        return any(delivery.state is DeliveryState.WAITING for delivery in waiting)


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
        values = {
            "place": Ways(visit).messages,
            "found": known,
            "row": row_of(known.entry),
            "way": Ways(visit).message(known.owner.id, known.message.id),
            "phases": phases,
            "unsent": UNSENT,
            "now": self._behind.clock(),
            "is_first": before is None,
        }
        return page(visit, "message.html", values)

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
        """Cancel what waits of it."""
        owner, message = await self._behind.outbox.read(lambda store: pair(store, visit))
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


def _found(store: Store, visit: Visit, before: str | None) -> Found:
    owner, message = pair(store, visit)
    deliveries = store.deliveries(owner.id, message.id, Part(limit=MAX_DELIVERIES))
    cursor = before if before is not None and ids.is_id(ids.ATTEMPT, before) else None
    asked = Part(limit=ATTEMPTS + 1, cursor=cursor, descending=True)
    attempts = store.attempts(owner.id, AttemptFilter(message_id=message.id), asked)
    return Found(
        owner=owner,
        message=message,
        destinations=[
            *(Destination(endpoint, endpoint.id, delivery) for delivery, endpoint in deliveries),
            *_skipped(store, owner.id, message, {endpoint.id for _, endpoint in deliveries}),
        ],
        attempts=attempts[:ATTEMPTS],
        more_attempts=len(attempts) > ATTEMPTS,
    )


def _skipped(store: Store, owner: str, message: Message, sent: set[str]) -> list[Destination]:
    def at(endpoint_id: str) -> Endpoint | None:
        return None if endpoint_id == OTHERS else found(lambda: store.endpoint(owner, endpoint_id))

    left_out = [(name, reason) for name, reason in message.skipped.items() if name not in sent][:MAX_SKIPPED]
    return [Destination(at(name), name, None, reason) for name, reason in left_out]
