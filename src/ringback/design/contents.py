"""Payloads and answers for reading: capped, as text, and where it is JSON also indented and coloured."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from markupsafe import Markup, escape

from ringback.design.highlighting import marked

T = TypeVar("T")

# What contents weigh at most as they are, and what indenting and colouring may add to that, in bytes of a page.
MAX_SHOWN = 16_000
MAX_PRETTY = 24_000
# Larger is not indented, as each token becomes an element.
MAX_COLOURED = 6_000
KILO, MEGA = 1_000, 1_000_000


class Shown(msgspec.Struct, frozen=True):
    """Contents as they are shown: ``raw`` and, where they are JSON of a readable size, ``pretty``.

    ``size`` is how many bytes there are, ``cut`` tells that ``raw`` is only the beginning, or nothing of them.
    """

    raw: str
    size: int
    pretty: Markup | None = None
    cut: bool = False

    @property
    def weight(self) -> int:
        """How many bytes of a page they take."""
        return weight(self.raw) + weight(self.pretty or "")


def shown(contents: bytes, room: int = MAX_SHOWN + MAX_PRETTY) -> Shown:
    """Return how contents are shown in so many bytes of a page; what is no UTF-8 shows replacement characters."""
    beginning = contents[:MAX_SHOWN].decode("utf-8", "replace")
    raw = _fitting(beginning, min(room, MAX_SHOWN))
    if len(contents) > MAX_SHOWN or raw != beginning:
        return Shown(raw, len(contents), cut=True)
    return Shown(raw, len(contents), _pretty(contents, raw, min(room - weight(raw), MAX_PRETTY)))


def fitted(several: Sequence[bytes], room: int | None = None) -> list[Shown]:
    """Return how several contents are shown on one page, all in so many bytes: what is short first of all."""
    whole = [shown(contents) for contents in several]
    if room is None:
        return whole
    shares = _shares([one.weight for one in whole], room)
    return [
        one if share >= one.weight else shown(contents, share)
        for contents, one, share in zip(several, whole, shares, strict=True)
    ]


def weight(text: str) -> int:
    """Return how many bytes of a page a text takes; in HTML a quotation mark is five of them."""
    return len(escape(text).encode("utf-8", "replace"))


def within(several: Sequence[T], weigh: Callable[[T], int], room: int) -> tuple[T, ...]:
    """Return the first of several, as many as there is room for."""
    return tuple(
        one
        for one, all_weigh in zip(several, itertools.accumulate(map(weigh, several)), strict=True)
        if all_weigh <= room
    )


def _shares(needs: Sequence[int], room: int) -> list[int]:
    """Share *room* out evenly; what one does not need is for those that need more."""
    shares = [0] * len(needs)
    for done, place in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        shares[place] = min(needs[place], room // (len(needs) - done))
        room -= shares[place]
    return shares


def _fitting(text: str, most: int) -> str:
    if weight(text) <= most:
        return text
    lengths = range(len(text) + 1)
    return text[: bisect.bisect_right(lengths, most, key=lambda length: weight(text[:length])) - 1]


def _pretty(contents: bytes, raw: str, most: int) -> Markup | None:
    """Return JSON for reading: coloured, or where that would be too much, indented; None where that would be, too."""
    if not contents or len(contents) > MAX_COLOURED:
        return None
    try:
        msgspec.json.decode(contents, type=msgspec.Raw)
        # A few brackets in each other become a page full of spaces, a list of numbers one of elements.
        text = msgspec.json.format(raw, indent=2)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    if len(text) > most:
        return None
    return next((way for way in (marked(text), escape(text)) if weight(way) <= most), None)


def weighed(size: int) -> str:
    """Write a number of bytes, such as ``12.3 kB``."""
    if size < KILO:
        return f"{size} byte{'' if size == 1 else 's'}"
    return f"{size / KILO:.1f} kB" if size < MEGA else f"{size / MEGA:.1f} MB"
