"""Lists, newest first, a slice at a time: the address says after or before which row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from ringback.search import LOOK
from ringback.server.pages.page import Visit
from ringback.store import Page as Part

T = TypeVar("T")

ROWS = 50
MAX_CURSOR = 300


class Slice(msgspec.Struct, Generic[T], frozen=True):
    """Rows of a list, and the addresses of the slices beside it, where there are any.

    ``looked`` is how many were looked through for them, where that ended before the list did; otherwise 0.
    """

    rows: Sequence[T]
    newer: str | None
    older: str | None
    looked: int = 0


def part(visit: Visit, *, rows: int = ROWS, descending: bool = True) -> Part:
    """Return what to ask the store for: one row more than is shown, to learn whether there are more.

    The address has ``after`` (the last row of the slice before) or ``before`` (the first row of the slice after).
    """
    after, before = (visit.query.get(name)[:MAX_CURSOR] for name in ("after", "before"))
    return Part(
        limit=rows + 1,
        cursor=after or before or None,
        backwards=bool(before and not after),
        descending=descending,
    )


def sliced(visit: Visit, found: Sequence[T], asked: Part, key: Callable[[T], str]) -> Slice[T]:
    """Return the slice of what the store *found* for what was *asked*; *key* gives a row's cursor."""
    wanted = asked.limit - 1
    more = len(found) > wanted
    rows = found if not more else found[1:] if asked.backwards else found[:wanted]
    if asked.end is not None and not more:
        return _cut_off(visit, rows, asked, key)
    if not rows:
        return Slice((), None, None)
    is_first = not more if asked.backwards else asked.cursor is None
    is_last = False if asked.backwards else not more
    newer, older = key(rows[0]), key(rows[-1])
    return Slice(
        rows,
        None if is_first else visit.here(before=newer, after=None),
        None if is_last else visit.here(after=older, before=None),
    )


def _cut_off(visit: Visit, rows: Sequence[T], asked: Part, key: Callable[[T], str]) -> Slice[T]:
    """Return the slice of a look that had an end: from there it goes on."""
    ends = (key(rows[0]), key(rows[-1])) if rows else (asked.cursor, asked.cursor)
    newer, older = (asked.end, ends[1]) if asked.backwards else (asked.cursor and ends[0], asked.end)
    return Slice(
        rows,
        newer and visit.here(before=newer, after=None),
        older and visit.here(after=older, before=None),
        LOOK,
    )
