"""What forms of settings have in common: several names in one field, and what is wrong with which field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from ringback.design.contents import weight
from ringback.errors import Conflict, InvalidInput, LimitReached, RingbackError
from ringback.model import Instant

# What a page says again, beside what was typed, when a form cannot be done as it stands.
REFUSED = (InvalidInput, Conflict, LimitReached)
_SEPARATORS = re.compile(r"[\s,]+")


def names(text: str) -> tuple[str, ...] | None:
    """Return the names in a field, written with commas, spaces or on lines of their own; None for an empty one."""
    found = tuple(dict.fromkeys(name for name in _SEPARATORS.split(text) if name))
    return found or None


def lines(text: str, before: Sequence[str] | None = None) -> tuple[str, ...] | None:
    """Return what stands in a field, one on each line, where *before* was written; None for an empty one."""
    if before and text == "\n".join(before).strip():
        # Nobody has touched it, and a program may begin what it writes with a space.
        return tuple(before)
    found = tuple(dict.fromkeys(line for line in map(str.strip, text.splitlines()) if line))
    return found or None


def pairs(field: str, text: str, before: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the pairs in a *field*, ``NAME: VALUE`` on a line each, where *before* was written.

    Raises:
        InvalidInput: A line has no colon.
    """
    if before is not None and text == written_pairs(before).strip():
        # Nobody has touched it, and not everything that a program writes can be read from lines.
        return dict(before)
    found = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise InvalidInput.at(field, msg=f"write NAME: VALUE on each line, not {line[:60]!r}")
        found[name.strip()] = value.strip()
    return found


def moment(name: str, text: str) -> Instant | None:
    """Return the instant in a field, in UTC where it does not say otherwise; None for an empty one.

    Raises:
        InvalidInput: It is none.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise InvalidInput.at(name, msg="is a time such as 2026-03-02T04:05") from None


def fitting(text: str, room: int) -> str | None:
    """Return what a form shows to be changed; None for a text that takes more than so many bytes of a page."""
    return text if weight(text) <= room else None


def written_pairs(values: Mapping[str, str]) -> str:
    """Write pairs as ``pairs`` reads them."""
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def faults(error: RingbackError) -> dict[str, str]:
    """Return what is wrong by the name of the field; what is wrong with none of them stands under an empty name."""
    if not isinstance(error, InvalidInput):
        return {"": error.detail}
    found: dict[str, str] = {}
    for fault in error.fields:
        name, *below = [part for part in fault.loc if part not in {"body", "query"}] or [""]
        told = " ".join([*map(_spoken, below), fault.msg])
        name = str(name)
        found[name] = f"{found[name]}; {told}" if name in found else told
    return found


def _spoken(part: str | int) -> str:
    """Return what people call a part of a field: its entries count from 1."""
    return part if isinstance(part, str) else f"entry {part + 1}:"


def status_of(error: RingbackError) -> int:
    """Return the status of a page that says what is wrong with its form."""
    return HTTPStatus.BAD_REQUEST if isinstance(error, InvalidInput) else error.status
