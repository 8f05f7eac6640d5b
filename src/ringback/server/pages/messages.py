"""Messages, of all applications or of one: found by what the address says, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ringback.design.contents import weight, within
from ringback.design.writing import brief
from ringback.errors import InvalidInput, NotFound
from ringback.model import Application, EventType, Standing
from ringback.server.api.event_type import known
from ringback.server.pages.behind import Behind
from ringback.server.pages.forms import moment
from ringback.server.pages.page import Page, Visit
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import STANDINGS, UNSENT, Badge, badge
from ringback.store import Page as Part
from ringback.store import Store
from ringback.store.survey import LOOKED_THROUGH, Journal, JournalEntry, JournalFilter

ROWS = 40
MAX_CHOICES = 100
# How many bytes of a page a list of suggestions may take, each with what stands around it.
MAX_SUGGESTED = 5_000
AROUND_SUGGESTED = 60
MAX_CURSOR = 400
STATUSES: dict[str, Standing | None] = {
    "delivered": Standing.SUCCEEDED,
    "waiting": Standing.PENDING,
    "underway": Standing.SENDING,
    "failed": Standing.FAILED,
    "cancelled": Standing.CANCELLED,
    "unsent": None,
}
# What a message is said to be that is many things at several endpoints: the worst of them.
_WORST = (Standing.FAILED, Standing.SENDING, Standing.PENDING, Standing.CANCELLED, Standing.SUCCEEDED)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for: as typed, to be shown again and passed on. Times are in UTC."""

    application: str = ""
    status: str = ""
    type: str = ""
    tag: str = ""
    since: str = ""
    until: str = ""
    text: str = ""

    @property
    def is_anything(self) -> bool:
        """Whether anything is asked for at all."""
        return any(msgspec.structs.astuple(self))

    def meaning(self, own: str | None) -> JournalFilter:
        """Return what it means to whoever sees all applications, or their *own* alone.

        Raises:
            InvalidInput: A time is none, or there is no such status.
        """
        if self.status and self.status not in STATUSES:
            raise InvalidInput.at("status", msg=f"is one of {', '.join(STATUSES)}")
        return JournalFilter(
            application_id=own or self.application or None,
            standing=STATUSES.get(self.status),
            unsent=self.status == "unsent",
            event_types=(self.type,) if self.type else None,
            tag=self.tag or None,
            after=moment("since", self.since),
            before=moment("until", self.until),
            text=self.text or None,
        )


_FIELDS = Asked.__struct_fields__


class Row(msgspec.Struct, frozen=True):
    """A message as a row: how it is, and at how many of how many endpoints."""

    entry: JournalEntry
    badge: Badge
    note: str


class Choices(msgspec.Struct, frozen=True):
    """What a filter suggests: a few applications, and names of event types."""

    applications: Sequence[Application]
    event_types: Sequence[str]


class Messages:
    """The list.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """List the messages that the address asks for, in a portal only those of its application."""
        own = visit.parts.get("app")
        asked = Asked(
            **{name: visit.query.get(name) for name in _FIELDS if not (own and name == "application")}
        )
        after, before = (visit.query.get(name)[:MAX_CURSOR] for name in ("after", "before"))
        fault, journal = "", Journal(entries=())
        flags = visit.who.principal.feature_flags
        choices = await self._behind.outbox.read(
            lambda store: _choices(store) if own is None else _own_choices(store, flags)
        )
        try:
            where = asked.meaning(own)
            journal = await self._behind.outbox.read(
                lambda store: store.journal(
                    where, ROWS, after or before or None, backwards=bool(before and not after)
                )
            )
        except InvalidInput as error:
            fault = "; ".join(f"{one.loc[0]} {one.msg}" for one in error.fields)
        except NotFound as error:
            fault = error.detail
        values = {
            "place": Ways(visit).messages,
            "asked": asked,
            "statuses": [(name, badge(standing or UNSENT).word) for name, standing in STATUSES.items()],
            "choices": choices,
            "rows": [row_of(entry) for entry in journal.entries],
            "fault": fault,
            "looked_through": LOOKED_THROUGH,
            **_ways(visit, journal, backwards=bool(before and not after), is_first=not (after or before)),
        }
        return page(visit, "messages.html", values)


def _ways(visit: Visit, journal: Journal, *, backwards: bool, is_first: bool) -> dict[str, Any]:
    """Return where to go on from here, and what to say where a look did not come to the end."""
    entries = journal.entries
    first, last = (entries[0].cursor, entries[-1].cursor) if entries else (None, None)
    newer, older = (journal.cursor, last) if backwards else (None if is_first else first, journal.cursor)
    return {
        "newer": newer and visit.here(before=newer, after=None),
        "older": older and visit.here(after=older, before=None),
        "newest": None if is_first else visit.here(after=None, before=None),
        "looked_to": journal.looked_to,
        "is_first": is_first,
    }


def row_of(entry: JournalEntry) -> Row:
    """Return how a message is shown in a list."""
    standings = entry.standings
    if not standings:
        held = entry.message.held
        return Row(entry, badge(held) if held else UNSENT, "")
    worst = next(standing for standing in _WORST if standings.get(standing))
    total = sum(standings.values())
    note = f"{standings[worst]} of {total} endpoints" if total > 1 else ""
    return Row(entry, STANDINGS[worst], note)


def _choices(store: Store) -> Choices:
    few = Part(limit=MAX_CHOICES)
    applications = within(store.applications(few), lambda one: _weight(brief(one.name, 40)), MAX_SUGGESTED)
    return Choices(applications, _suggested(store.event_types(few, archived=True)))


def _own_choices(store: Store, flags: frozenset[str] | None) -> Choices:
    few = Part(limit=MAX_CHOICES)
    return Choices((), _suggested(known(store, few, flags, archived=False)))


def _suggested(kinds: Sequence[EventType]) -> Sequence[str]:
    return within([kind.name for kind in kinds], _weight, MAX_SUGGESTED)


def _weight(suggested: str) -> int:
    return AROUND_SUGGESTED + weight(suggested)
