"""What is said of a field: its meaning, an example, and the rules that its type does not tell."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from ringback import ids

NAME = r"^[a-zA-Z0-9_.\-]{1,256}$"
NOW = "2026-03-01T12:00:00Z"
THEN = "2026-03-02T12:00:00Z"
LATER = "2099-03-01T12:00:00Z"

_MOMENT = 1_772_366_400_000  # the instant of NOW
_KINDS = frozenset({"type", "format"})


class Word(msgspec.Struct, frozen=True):
    """What a field means, an example of it, and what of JSON Schema its type does not tell."""

    meaning: str
    example: Any = UNSET
    schema: dict[str, Any] = {}

    def add_to(self, schema: dict[str, Any], *, sent: bool) -> dict[str, Any]:
        """Return *schema* with this said in it; rules only where it is *sent*, as they are kept there and then."""
        told: dict[str, Any] = {"description": self.meaning}
        if self.example is not UNSET:
            told["examples"] = [self.example]
        return schema | {name: rule for name, rule in self.schema.items() if sent or name in _KINDS} | told


def plain(meaning: str, example: Any = UNSET, **schema: Any) -> Word:
    """Return a word; *schema* are its rules."""
    return Word(meaning, example, schema)


def identifier(meaning: str, prefix: str, *, seed: int = 7) -> Word:
    """Return a word for an id; the *seed* makes the example."""
    return Word(meaning, ids.new_id(prefix, _MOMENT, bytes(range(seed, seed + ids.ENTROPY_BYTES))))


def moment(meaning: str, example: str = NOW) -> Word:
    """Return a word for a time."""
    return plain(meaning, example, format="date-time")


def text(meaning: str, example: Any, shortest: int, longest: int) -> Word:
    """Return a word for a text for people, of so many characters."""
    return plain(meaning, example, minLength=shortest, maxLength=longest, pattern=r"^[^\x00-\x08]*$")


def names(meaning: str, example: Any, most: int, pattern: str = NAME) -> Word:
    """Return a word for a list of up to so many different names."""
    items = {"type": "string", "pattern": pattern}
    return plain(meaning, example, minItems=1, maxItems=most, uniqueItems=True, items=items)


def uid(meaning: str, example: str, prefix: str) -> Word:
    """Return a word for a uid of what has ids that begin with *prefix*."""
    return plain(meaning, example, pattern=rf"^(?!{prefix}_|\.{{1,2}}$)[a-zA-Z0-9_.\-]{{1,256}}$")
