"""Pages about sources: what came in, what was refused and why, what nothing handles, what was given up."""

from __future__ import annotations

import msgspec

from ringback.access import Right
from ringback.design.writing import sentence
from ringback.errors import NotFound, RingbackError
from ringback.last_look import LastLook, last_look
from ringback.model import Endpoint, Held, Message, Refusal, Source
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.page import Page, Said, Visit, see, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.sources import Fare
from ringback.store import CEILING, MessageFilter, Store
from ringback.store import Page as Part

PLACE = "sources"
# Refused requests on a page: each tells much.
REFUSALS = 20
LATEST = 10
# What of a source's messages is listed on a page of its own.
KINDS = {
    "refused": "Refused requests",
    "quarantined": "Not understood",
    "unhandled": "Handled by nothing",
    "polled": "Found by asking",
}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A source with what there is about it."""

    source: Source
    fare: Fare
    endpoints: list[Endpoint]
    latest: list[Message]
    look: LastLook | None


class SourcePages:
    """The sources.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show_all(self, visit: Visit) -> Page:
        """Show all, newest first."""
        asked = part(visit)
        found = await self._behind.sources.read(lambda store: store.sources(asked))
        rows: Slice[Source] = sliced(visit, found, asked, lambda one: one.id)
        return page(visit, "sources.html", {"place": PLACE, "sources": rows})

    async def show(self, visit: Visit) -> Page:
        """Show one."""
        source = await self._source(visit)
        fare, asked = await self._behind.sources.fare(source.id), part(visit, descending=False)

        def look_up(store: Store) -> Found:
            endpoints = store.endpoints(source.id, asked)
            latest = store.messages(source.id, MessageFilter(), Part(limit=LATEST, descending=True))
            look = last_look(store, source.id)
            return Found(source=source, fare=fare, endpoints=endpoints, latest=latest, look=look)

        found = await self._behind.sources.read(look_up)
        # Whoever knows the address may knock: it is shown to those who could change it.
        shown = visit.may(Right.OPERATE)
        endpoints: Slice[Endpoint] = sliced(visit, found.endpoints, asked, lambda one: one.id)
        given = {
            "place": PLACE,
            "found": found,
            "endpoints": endpoints,
            "ceiling": CEILING,
            "address": f"{visit.base}/in/{source.token}" if shown else "",
            "has_address": source.token is not None,
        }
        return page(visit, "source.html", given)

    async def listed(self, visit: Visit) -> Page:
        """Show what was refused, or what is left over, newest first."""
        kind = visit.parts["kind"]
        if kind not in KINDS:
            raise NotFound("there is no such list")
        source = await self._source(visit)
        asked = part(visit, rows=REFUSALS) if kind == "refused" else part(visit)
        values = {"place": PLACE, "source": source, "kind": kind, "title": KINDS[kind]}
        if kind == "refused":
            refusals = await self._behind.sources.read(lambda store: store.refusals(source.id, asked))
            rows: Slice[Refusal] = sliced(visit, refusals, asked, lambda one: one.id)
            return page(visit, "source_refusals.html", {**values, "rows": rows})
        held = await self._behind.sources.read(lambda store: _messages(store, source.id, kind, asked))
        kept: Slice[Message] = sliced(visit, held, asked, lambda one: one.id)
        return page(visit, "source_messages.html", {**values, "rows": kept})

    async def replay(self, visit: Visit) -> Page:
        """Deliver a message again to what wants it now."""
        source, message_id = await self._source(visit), visit.form.get("message")
        back = f"{PLACE}/{segment(source.id)}/{segment(visit.parts['kind'])}"
        try:
            count = await self._behind.sources.replay(source.id, message_id, rematch=True, done_too=False)
        except RingbackError as error:
            return see(visit, back, Said(sentence(error.detail), "bad"))
        if not count:
            return see(visit, back, Said("Still nothing wants it, so nothing was queued.", "wait"))
        return see(visit, back, Said(f"Queued again, for {count} of its endpoints.", "wait"))

    async def remove(self, visit: Visit) -> Page:
        """Delete it, when that is confirmed."""
        source = await self._source(visit)
        if visit.form.ticked("sure"):
            await self._behind.sources.remove(source.id)
            return see(visit, PLACE, Said(f"The source {source.name} is deleted."))
        return confirm(
            visit,
            Question(
                title="Delete the source",
                question=f"Delete {source.name}?",
                points=(
                    "Its address answers no more: the provider will report failures.",
                    "What was received stays on record until its retention ends.",
                ),
                action=visit.link(f"{PLACE}/{segment(source.id)}/delete"),
                button="Delete the source",
                back=visit.link(f"{PLACE}/{segment(source.id)}"),
                tone="bad",
                hidden={"sure": "yes"},
            ),
        )

    async def _source(self, visit: Visit) -> Source:
        return await self._behind.sources.read(lambda store: store.source(visit.parts["source"]))


def _messages(store: Store, source_id: str, kind: str, asked: Part) -> list[Message]:
    if kind == "polled":
        return store.found_by_polling(source_id, asked)
    return store.held(source_id, Held(kind), asked)
