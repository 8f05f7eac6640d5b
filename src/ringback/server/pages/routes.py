"""The table of pages: which answers at which address, and what it asks of whoever comes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.access import Need, Place, Right
from ringback.server.pages.behind import Behind
from ringback.server.pages.files import Files
from ringback.server.pages.overview import Overview
from ringback.server.pages.page import Action
from ringback.server.pages.signing_in import SigningIn
from ringback.server.pages.stream import Streams

LOOK = Need(Right.READ, Place.ORGANISATION)
OPERATE = Need(Right.OPERATE, Place.ORGANISATION)
# Whoever has a session, for whichever place.
ANYBODY = Need(None, Place.SHARED)
OPEN = None


class Entry(msgspec.Struct, frozen=True):
    """One method of one address, relative to the first page; without a *need* it asks for no session."""

    method: str
    template: str
    action: Action
    need: Need | None

    def match(self, parts: Sequence[str]) -> dict[str, str] | None:
        """Return what stands for the parts in braces; None for another address."""
        wanted = self.template.split("/")
        if len(wanted) != len(parts):
            return None
        named = {}
        for want, part in zip(wanted, parts, strict=True):
            if want.startswith("{") and part:
                named[want[1:-1]] = part
            elif want != part:
                return None
        return named


def entries(behind: Behind) -> tuple[Entry, ...]:
    """Return the table."""
    return (*_everybody(behind), *_operators(behind))


def _everybody(behind: Behind) -> tuple[Entry, ...]:
    files, signing_in, streams = Files(), SigningIn(behind), Streams(behind)
    return (
        Entry("GET", "assets/{name}", files.show, OPEN),
        Entry("GET", "login", signing_in.show, OPEN),
        Entry("POST", "login", signing_in.begin, OPEN),
        Entry("GET", "login/kept", signing_in.kept, OPEN),
        Entry("POST", "logout", signing_in.end, ANYBODY),
        Entry("GET", "look", signing_in.choices, ANYBODY),
        Entry("POST", "look", signing_in.choose, ANYBODY),
        Entry("GET", "live", streams.open, ANYBODY),
    )


def _operators(behind: Behind) -> tuple[Entry, ...]:
    return (Entry("GET", "", Overview(behind).show, LOOK),)
