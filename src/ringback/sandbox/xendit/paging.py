"""Pages of a list: how many, and from which one on.

Source: xendit-python 7 sends ``limit`` as a number that may have a decimal point, and ``after_id`` or ``before_id``,
the id of the item next to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from ringback.sandbox.xendit.calls import Call
from ringback.sandbox.xendit.fields import invalid

T = TypeVar("T")

DEFAULT_LIMIT = 10


class Part(msgspec.Struct, Generic[T], frozen=True):
    """A page: its *items* in the order of the list, and whether the list goes on after them."""

    items: tuple[T, ...]
    has_more: bool


def limit_of(call: Call, *, most: int) -> int:
    """Return how many items a call asks for.

    Args:
        call: Its parameter ``limit`` says so; without it, there are 10.
        most: How many it may ask for.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``: it is no whole number, or none of these.
    """
    text = call.one("limit")
    if text is None:
        return DEFAULT_LIMIT
    try:
        limit = float(text)
    except ValueError:
        limit = 0
    if not (1 <= limit <= most and limit.is_integer()):
        raise invalid(f"limit is a whole number from 1 to {most}")
    return int(limit)


def part_of(call: Call, items: Sequence[T], id_of: Callable[[T], str], *, most: int) -> Part[T]:
    """Return the page that a call asks for.

    Args:
        call: Its parameters ``limit``, ``after_id`` and ``before_id`` say which.
        items: The whole list, in its order.
        id_of: Returns the id of an item.
        most: How many it may ask for.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``: a limit that cannot be, or an id that is not in the list.
    """
    limit = limit_of(call, most=most)
    after, before = call.one("after_id"), call.one("before_id")
    ids = [id_of(item) for item in items]
    start = 0 if after is None else _position(ids, after, "after_id") + 1
    end = len(ids) if before is None else _position(ids, before, "before_id")
    if before is not None and after is None:
        start = max(0, end - limit)
    stop = min(start + limit, end)
    return Part(tuple(items[start:stop]), has_more=stop < len(ids))


def next_page(call: Call, path: str, last_id: str) -> dict[str, str]:
    """Return the link to the page after the one that a call at *path* got, which ends with *last_id*."""
    query = {name: values for name, values in call.query.items() if name not in {"after_id", "before_id"}}
    href = f"{path}?{urlencode([*query.items(), ('after_id', last_id)], doseq=True)}"
    return {"href": href, "rel": "next", "method": "GET"}


def _position(ids: list[str], wanted: str, name: str) -> int:
    try:
        return ids.index(wanted)
    except ValueError:
        raise invalid(f"{name}: there is no {wanted[:100]} in this list") from None
