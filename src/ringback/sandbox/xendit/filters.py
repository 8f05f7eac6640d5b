"""The parameters that choose what is on a list.

Source: those that xendit-python 7 sends: filters that may be given several times, and bounds such as ``created[gte]``.
How many entries the provider shows at most is not documented for most lists; here it is 100.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from ringback.model import Instant
from ringback.sandbox.xendit.calls import INVALID, Call, Refused
from ringback.sandbox.xendit.fields import invalid, moment
from ringback.sandbox.xendit.ledger import Entry

LARGEST_LIMIT = 100
# How xendit-python 7 writes the two ends of a period into one parameter: as Python writes a dict.
_ENDS = re.compile(r"""['"](gte|lte)['"]:\s*['"]([^'"]+)['"]""")


class Period(msgspec.Struct, frozen=True):
    """From one instant to another, both included; None: open."""

    first: Instant | None = None
    last: Instant | None = None

    def holds(self, instant: Instant) -> bool:
        """Tell whether an instant lies in it."""
        return (self.first is None or instant >= self.first) and (self.last is None or instant <= self.last)


def some_of(call: Call, name: str, known: Collection[str], code: str = INVALID) -> tuple[str, ...]:
    """Return the values of a parameter that may be given several times, each one of those *known*.

    Raises:
        Refused: 400 with the *code*: one is none of them.
    """
    values = call.query.get(name, ())
    strange = next((value for value in values if value not in known), None)
    if strange is not None:
        wrong = f"{name} is one of {', '.join(known)}, not {strange[:100]}"
        raise Refused(400, code, wrong, [wrong])
    return values


def chosen(call: Call, entries: Sequence[Entry], values: Mapping[str, Callable[[Entry], Any]]) -> list[Entry]:
    """Return those of *entries* that a call's filters want.

    Args:
        call: The call.
        entries: What there is.
        values: For each filter, what an entry must have one of the given values of.
    """
    given = {name: set(call.query[name]) for name in values if name in call.query}
    return [
        entry for entry in entries if all(values[name](entry) in wanted for name, wanted in given.items())
    ]


def fields(*names: str) -> dict[str, Callable[[Entry], Any]]:
    """Return filters by fields of an entry's body, for ``chosen``."""

    def of(name: str) -> Callable[[Entry], Any]:
        return lambda entry: entry.body[name]

    return {name: of(name) for name in names}


def period(call: Call, name: str) -> Period:
    """Return the period between a call's ``name[gte]`` and ``name[lte]``, of which either may be missing.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``: one of them is no date.
    """
    ends = {end: call.one(f"{name}[{end}]") for end in ("gte", "lte")}
    text = call.one(name)
    if text is not None:
        ends |= _ends(text, name)
    first, last = (None if end is None else moment(end, name) for end in (ends["gte"], ends["lte"]))
    return Period(first, last)


def entry_id(entry: Entry) -> str:
    """Return an entry's id, by which pages of lists are asked for."""
    return entry.id


def _ends(text: str, name: str) -> dict[str, str]:
    found = dict(_ENDS.findall(text))
    if not found:
        raise invalid(f"{name} is given as {name}[gte] and {name}[lte]")
    return found
