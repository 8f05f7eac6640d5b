"""Reads what forms send: fields that are text, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.sandbox.xendit.calls import INVALID, Call, Refused

MAX_FIELD = 20_000
MAX_DIGITS = 9


def field(call: Call, name: str) -> str:
    """Return a field of a form, without space around it; empty without it.

    Raises:
        Refused: 400: it is too long.
    """
    value = call.body.get(name) if isinstance(call.body, Mapping) else None
    if not isinstance(value, str):
        return ""
    if len(value) > MAX_FIELD:
        raise Refused(400, INVALID, f"{name} has more than {MAX_FIELD} characters")
    return value.strip()


def is_ticked(call: Call, name: str) -> bool:
    """Tell whether a box of a form was ticked."""
    return field(call, name) != ""


def fields(call: Call, *names: str) -> dict[str, str]:
    """Return fields of a form by name."""
    return {name: field(call, name) for name in names}


def asked(call: Call, name: str) -> str:
    """Return a parameter of the address, of several the last; empty without it."""
    return call.query.get(name, ("",))[-1].strip()


def number_asked(call: Call, name: str) -> int:
    """Return a whole number of the address; 0 for what is none."""
    text = asked(call, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else 0
