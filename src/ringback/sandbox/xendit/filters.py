"""The parameters that choose what is on a list.

Source: those that xendit-python 7 sends: filters that may be given several times, and bounds such as ``created[gte]``.
How many entries the provider shows at most is not documented for most lists; here it is 100.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ringback.model import Instant
from ringback.sandbox.xendit.calls import INVALID, Call, Refused
from ringback.sandbox.xendit.fields import moment
from ringback.sandbox.xendit.ledger import Entry

LARGEST_LIMIT = 100


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


def between(call: Call, name: str, instant: Callable[[Entry], Instant]) -> Callable[[Entry], bool]:
    """Return what tells whether an entry's *instant* lies between a call's ``name[gte]`` and ``name[lte]``.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``: one of them is no date.
    """
    bounds = {side: call.one(f"{name}[{side}]") for side in ("gte", "lte")}
    found = {side: moment(text, f"{name}[{side}]") for side, text in bounds.items() if text is not None}
    return lambda entry: found.get("gte", 0) <= instant(entry) <= found.get("lte", instant(entry))


def entry_id(entry: Entry) -> str:
    """Return an entry's id, by which pages of lists are asked for."""
    return entry.id
