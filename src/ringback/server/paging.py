"""Query parameters, and the pages of lists.

An iterator is the id of the last row seen; with a hyphen in front it leads back from the first row seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from ringback import ids
from ringback.drafts import NAME, check_name
from ringback.errors import InvalidInput
from ringback.model import Instant
from ringback.server.bodies import fault
from ringback.server.unknown import Request
from ringback.server.wire import Listing, instant
from ringback.store import Page

Q = TypeVar("Q", bound="Query")
S = TypeVar("S")
T = TypeVar("T")

MAX_LIMIT = 250
INGEST = "/ingest/"
BACK = "-"
# A list by name may hold names that begin with a hyphen: a tilde, which no name holds, then says "forward".
FORWARD = "~"

# How channels and event types are named; sources have event types of other names, too.
Named = Annotated[str, msgspec.Meta(pattern=rf"^{NAME.pattern}$(?!\n)")]

_EVENT_TYPES = re.compile(r"event_types(\[\d*\])?")


class Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Base of what may follow the question mark."""


class ContentQuery(Query):
    """Whether to show contents."""

    with_content: bool = True


class PageQuery(Query):
    """Which part of a list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 50
    iterator: str | None = None


class OrderedQuery(PageQuery):
    """Which part of a list, and which way round."""

    order: Literal["ascending", "descending"] | None = None


class HistoryQuery(PageQuery):
    """Which part of what happened, newest first."""

    before: datetime | None = None
    after: datetime | None = None
    channel: Named | None = None
    tag: str | None = None
    event_types: tuple[str, ...] | None = None
    with_content: bool = True


def parse(req: Request, kind: type[Q]) -> Q:
    """Read the query parameters.

    Raises:
        InvalidInput: One is repeated or not what it should be, or is unknown and refused for that.
    """
    params = req.params
    unknown = [name for name in params if not _is_known(name, kind)]
    if unknown and not req.refuses_unknown():
        req.ignore(f"query.{name}" for name in unknown)
        params = {name: value for name, value in params.items() if name not in unknown}
    query = convert(params, kind)
    if isinstance(query, HistoryQuery) and not req.path.startswith(INGEST):
        for name in query.event_types or ():
            check_name(("query", "event_types"), name)
    return query


def _is_known(name: str, kind: type[Query]) -> bool:
    fields = kind.__struct_fields__
    return name in fields or (_EVENT_TYPES.fullmatch(name) is not None and "event_types" in fields)


def convert(params: Mapping[str, Any], kind: type[Q]) -> Q:
    """Read query parameters; ``event_types`` may be repeated, separated by commas, or written as an array."""
    plain = {name: value for name, value in params.items() if not _EVENT_TYPES.fullmatch(name)}
    names = [
        name
        for key, value in params.items()
        if _EVENT_TYPES.fullmatch(key)
        for text in ([value] if isinstance(value, str) else value)
        for name in text.split(",")
    ]
    if names:
        plain["event_types"] = tuple(dict.fromkeys(names))
    try:
        return msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError as error:
        raise fault("query", error) from None


def optional_instant(value: datetime | None) -> Instant | None:
    """Return a bound in time as an instant."""
    return None if value is None else instant(value)


def page_of(query: PageQuery, prefix: str, *, descending: bool) -> Page:
    """Return the page to ask the store for: one row more than wanted, to learn whether there are more.

    Args:
        query: What the caller asked for.
        prefix: The prefix of the ids in this list.
        descending: Which way round the list is.

    Raises:
        InvalidInput: The iterator is not one of this list.
    """
    text = query.iterator
    cursor = None if text is None else text.removeprefix(BACK)
    if cursor is not None and not ids.is_id(prefix, cursor):
        raise InvalidInput.at(
            "query", "iterator", msg=f"is not from this list, whose iterators are {prefix}_ ids"
        )
    backwards = text is not None and text.startswith(BACK)
    return Page(limit=query.limit + 1, cursor=cursor, backwards=backwards, descending=descending)


def page_of_names(query: PageQuery, *, descending: bool = False) -> Page:
    """Return the page of a list in the order of names, as ``page_of`` does."""
    text = query.iterator
    backwards = text is not None and text.startswith(BACK)
    cursor = None if text is None else text[1:] if text.startswith((BACK, FORWARD)) else text
    if cursor is not None and not NAME.fullmatch(cursor):
        raise InvalidInput.at(
            "query", "iterator", msg="is not from this list, whose iterators are names in it"
        )
    return Page(limit=query.limit + 1, cursor=cursor, backwards=backwards, descending=descending)


def descending(query: OrderedQuery, *, default: bool) -> bool:
    """Tell which way round a list was asked for."""
    return default if query.order is None else query.order == "descending"


def listing(rows: Sequence[T], page: Page, shape: Callable[[T], S], key: Callable[[T], str]) -> Listing[S]:
    """Make a page of the *rows* that the store found for *page*; *shape* shows a row, *key* identifies it."""
    wanted = page.limit - 1
    done = len(rows) <= wanted
    kept = rows if done else rows[1:] if page.backwards else rows[:wanted]
    return Listing(
        data=[shape(row) for row in kept],
        iterator=_forward(key(kept[-1])) if kept else None,
        prev_iterator=BACK + key(kept[0]) if kept else None,
        done=done,
    )


def _forward(key: str) -> str:
    return FORWARD + key if key.startswith(BACK) else key
