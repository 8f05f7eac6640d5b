"""What the catalogue's field tables say of a field, such as ``string|null`` or ``array? [{name!,price!}]``, read.

A kind begins with JSON types joined by ``|``, or with the words that are the only values; ``!`` is always there,
``?`` may be missing or null. Braces name the fields inside. What else it says is for people.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ringback.sandbox.xendit.exact_json import is_whole

NULL, TEXT, NUMBER, WHOLE, OBJECT, ARRAY = "null", "string", "number", "integer", "object", "array"
_SPOKEN = {
    TEXT: "a string",
    NUMBER: "a number",
    WHOLE: "a whole number",
    "boolean": "true or false",
    OBJECT: "an object",
    ARRAY: "an array",
    NULL: "null",
}
_MORE = "..."
_HEAD = re.compile(r"[^\s(\[{]*")
_INSIDE = re.compile(r"\{([^{}]*)\}")
_WORD = re.compile(r"\w+")


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What a field may be.

    Args:
        types: Its JSON types; none: any.
        choices: The only values of a string; none: any.
        members: The names of what is inside; none: any.
        required: Whether it is always there.
        remark: What else is known of it, for people.
    """

    types: frozenset[str] = frozenset()
    choices: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    required: bool = False
    remark: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it is a string if it is anything."""
        return bool(self.types) and self.types <= {TEXT, NULL}

    def fits(self, value: Any) -> bool:
        """Tell whether a value, as ``exact_json`` reads it, is of this kind."""
        if self.types and not type_names(value) & self.types:
            return False
        return not (self.choices and isinstance(value, str)) or value in self.choices

    def __str__(self) -> str:
        spoken = [name for word, name in _SPOKEN.items() if word in self.types]
        if self.choices:
            spoken[0] = f"one of {', '.join(self.choices)}" if len(self.choices) > 1 else self.choices[0]
        return " or ".join(spoken) or "any JSON"


@functools.cache
def kind_of(written: str) -> Kind:
    """Read a kind as a field table has it."""
    head = _HEAD.match(written)[0]  # type: ignore[index]  # it matches anything, if only nothing
    words = head.rstrip("!?").split("|")
    types = {word for word in words if word in _SPOKEN}
    inside = _INSIDE.search(written)
    return Kind(
        types=frozenset((types or {TEXT}) | ({NULL} if head.endswith("?") else set())),
        choices=() if types or _MORE in words else tuple(words),
        members=() if inside is None or _MORE in inside[1] else _names(inside[1].split(",")),
        required=head.endswith("!"),
        remark=written[len(head) :].strip(),
    )


def kind_like(value: Any) -> Kind:
    """Return the kind of a field of which only a value is known: of the same type, or null."""
    if value is None:
        return Kind()
    return Kind(types=(type_names(value) - {WHOLE}) | {NULL})


def type_names(value: Any) -> frozenset[str]:
    """Return the JSON types of a value as ``exact_json`` reads it."""
    match value:
        case None:
            return frozenset({NULL})
        case bool():
            return frozenset({"boolean"})
        case str():
            return frozenset({TEXT})
        case dict():
            return frozenset({OBJECT})
        case list():
            return frozenset({ARRAY})
    return frozenset({NUMBER, WHOLE} if is_whole(value) else {NUMBER})


def _names(members: Iterable[str]) -> tuple[str, ...]:
    return tuple(found[0] for member in members if (found := _WORD.search(member)))
