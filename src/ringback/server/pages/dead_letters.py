"""Pages about dead letters: what sources' handlers and endpoints were given up for, and handling it again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from ringback.design.writing import brief, counted, sentence
from ringback.errors import InvalidInput, NotFound, RingbackError
from ringback.model import Delivery, Endpoint, Instant, Message, Source, Standing, iso
from ringback.replays import Plan, Preview
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.forms import moment, names
from ringback.server.pages.page import Page, Said, Visit, see, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.server.pages.ways import SOURCES, Ways
from ringback.store import Page as Part
from ringback.store import Store

ALL = "dead-letters"
ROWS = 30
# So many sources are looked at when all of them are meant.
MOST_SOURCES = 200
# They are in the order of their ids, which are exact to 4 ms.
ID_STEP = 4
# Of so many is said how much is meant.
TOLD = 10


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was given up: of which message, whose, and where; None for a handler that is gone."""

    delivery: Delivery
    message: Message
    source: Source
    endpoint: Endpoint | None

    @property
    def id(self) -> str:
        """Where it is in the list."""
        return f"{self.message.id}.{self.delivery.endpoint_id}"


class Pile(msgspec.Struct, frozen=True):
    """The dead letters of one source, and when the oldest of their messages came."""

    source: Source
    since: Instant


class DeadLetters:
    """The dead letters of one source, where the address names it, or of all.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show_all(self, visit: Visit) -> Page:
        """Show them, newest first."""
        asked, only = part(visit, rows=ROWS), visit.parts.get("source")

        def look_up(store: Store) -> tuple[Source | None, list[Letter]]:
            source = None if only is None else store.source(only)
            return source, _letters(store, source, asked)

        source, found = await self._behind.sources.read(look_up)
        rows: Slice[Letter] = sliced(visit, found, asked, lambda one: one.id)
        return page(
            visit, "dead_letters.html", {"place": SOURCES, "source": source, "rows": rows, "way": _way(visit)}
        )

    async def replay_all(self, visit: Visit) -> Page:
        """Have one handled again, where the form names it; else all, when that is confirmed."""
        if visit.form.get("message"):
            return await self._replay_one(visit)
        if visit.form.ticked("sure"):
            return await self._begin(visit)
        only = visit.parts.get("source")
        piles = await self._behind.sources.read(lambda store: _piles(store, only))
        if not piles:
            return see(visit, _way(visit), Said("There is none.", "wait"))
        return await self._ask(visit, piles)

    async def _replay_one(self, visit: Visit) -> Page:
        form = visit.form
        try:
            await self._behind.outbox.resend(form.get("owner"), form.get("message"), form.get("endpoint"))
        except RingbackError as error:
            return see(visit, _way(visit), Said(sentence(error.detail), "bad"))
        return see(visit, _way(visit), Said("It is queued again.", "wait"))

    async def _ask(self, visit: Visit, piles: Sequence[Pile]) -> Page:
        now = self._behind.clock()
        since, until = min(pile.since for pile in piles), now + 1
        replays = self._behind.outbox.replays
        plan = _plan(since, until)
        previews = await asyncio.gather(*(replays.preview(pile.source.id, plan) for pile in piles))
        told = [
            (pile.source, preview) for pile, preview in zip(piles, previews, strict=True) if preview.count
        ]
        if not told:
            said = "Their handlers and endpoints are gone or disabled. Have them back first."
            return see(visit, _way(visit), Said(said, "bad"))
        count = sum(preview.count for _, preview in told)
        return confirm(
            visit,
            Question(
                title="Handle dead letters again",
                question=f"Handle {counted(count, 'dead letter')} again?",
                points=(
                    *(_point(source, preview) for source, preview in told[:TOLD]),
                    "What was handled well elsewhere is not handled twice, and what has no handler any more stays.",
                    "How it goes shows on a page where it can be paused and ended.",
                ),
                action=visit.link(f"{_way(visit)}/replay"),
                button="Handle them again",
                back=visit.link(_way(visit)),
                # What was counted is what is begun, once, however often the button is pressed.
                hidden={
                    "sure": "yes",
                    "sources": " ".join(source.id for source, _ in told),
                    "since": iso(since),
                    "until": iso(until),
                    "once": f"page.{now}.{visit.who.id}",
                },
            ),
        )

    async def _begin(self, visit: Visit) -> Page:
        form, replays = visit.form, self._behind.outbox.replays
        since, until = moment("since", form.get("since")), moment("until", form.get("until"))
        sources = names(form.get("sources"))
        if since is None or until is None or sources is None:
            raise InvalidInput.at("since", msg="is missing; go back and press the button there")
        plan, key = _plan(since, until), form.get("once") or None
        try:
            tasks = [await replays.begin(source, plan, idempotency_key=key) for source in sources]
        except RingbackError as error:
            return see(visit, _way(visit), Said(sentence(error.detail), "bad"))
        ways = Ways(visit)
        there = ways.replay(tasks[0].id) if len(tasks) == 1 else ways.replays
        return see(visit, there, Said("It has begun. What comes of it shows here.", "wait"))


def _plan(since: Instant, until: Instant) -> Plan:
    return Plan(since=since, until=until, standings=(Standing.FAILED,))


def _point(source: Source, preview: Preview) -> str:
    assert preview.oldest is not None  # noqa: S101 - something was counted
    least = "" if preview.complete else "at least "
    return f"{brief(source.name)}: {least}{preview.count:,}, the oldest from {iso(preview.oldest)}"


def _way(visit: Visit) -> str:
    only = visit.parts.get("source")
    return ALL if only is None else f"{SOURCES}/{segment(only)}/dead"


def _letters(store: Store, source: Source | None, asked: Part) -> list[Letter]:
    rows = store.dead_letters(None if source is None else source.id, asked)
    sources = {name: store.source(name) for name in {message.application_id for _, message in rows}}
    endpoints = {
        key: _endpoint(store, *key)
        for key in {(message.application_id, delivery.endpoint_id) for delivery, message in rows}
    }
    return [
        Letter(
            delivery=delivery,
            message=message,
            source=sources[message.application_id],
            endpoint=endpoints[message.application_id, delivery.endpoint_id],
        )
        for delivery, message in rows
    ]


def _endpoint(store: Store, owner: str, endpoint_id: str) -> Endpoint | None:
    try:
        return store.endpoint(owner, endpoint_id)
    except NotFound:
        return None


def _piles(store: Store, only: str | None) -> list[Pile]:
    sources = store.sources(Part(limit=MOST_SOURCES)) if only is None else [store.source(only)]
    found = [(source, store.dead_letters(source.id, Part(limit=1))) for source in sources]
    return [Pile(source, letters[0][1].created_at - ID_STEP) for source, letters in found if letters]
