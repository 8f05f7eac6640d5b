"""YAML read as the JSON it stands for: version 1.2 with its core schema, as OpenAPI wants it.

The text is read event by event, within bounds. What the library would make of it goes as deep as the text does, which
ends the process where that is deep enough; and it takes ``no`` for false and a date for a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ringback.errors import FieldError, InvalidInput

MAX_NESTING = 200
MAX_PARTS = 500_000
LETTERS = 64  # of a text count as a part
MERGE = "<<"

# YAML 1.2.2, 10.3.2.
_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_WHOLE = re.compile(r"[-+]?[0-9]{1,300}")
_OCTAL = re.compile(r"0o[0-7]{1,300}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,300}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MAPPING = "tag:yaml.org,2002:map"
_SEQUENCE = "tag:yaml.org,2002:seq"
_TEXT = "tag:yaml.org,2002:str"


class Unreadable(Exception):  # noqa: N818 - named for what it is
    """The text is no YAML that stands for JSON; the message says why and where."""


class _Open(msgspec.Struct):
    """A mapping or sequence whose end has not come."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    key: str | None = None
    size: int = 1

    def add(self, value: Any, size: int) -> None:
        """Take what comes next, which has *size* parts when written out."""
        self.size += size
        if self.size > MAX_PARTS:
            raise Unreadable(
                f"it has more than {MAX_PARTS:,} parts, those that are there twice counted twice"
            )
        if isinstance(self.value, list):
            self.value.append(value)
        elif self.key is None:
            self.key = self._name(value)
        else:
            self.value[self.key] = value
            self.key = None

    def _name(self, value: Any) -> str:
        if not isinstance(value, str | int | float | bool) and value is not None:
            raise Unreadable("a key is a text, not a list or an object")
        name = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if name == MERGE:
            raise Unreadable("merge keys (<<) are no part of YAML 1.2")
        if name in self.value:
            raise Unreadable(f"the key {name[:100]!r} is given twice")
        return name


def from_yaml(text: str, *loc: str) -> Any:
    """Return what *text*, which is at *loc* of a request, stands for.

    Raises:
        InvalidInput: It is not YAML 1.2, or stands for no JSON; or nothing is installed that reads YAML.
    """
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise InvalidInput.at(
            *loc, msg="is not JSON, and to read YAML PyYAML is needed: pip install 'ringback[yaml]'"
        ) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _built(yaml.parse(text, Loader=loader))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error)
        raise InvalidInput.at(*loc, msg=f"is no YAML: {problem}{_place(error)}") from None
    except Unreadable as error:
        raise InvalidInput(FieldError(loc, f"is no YAML that stands for JSON: {error}")) from None


def _built(events: Iterator[Any]) -> Any:
    """Return the one document that *events* tell of."""
    documents: list[Any] = []
    anchors: dict[str, tuple[Any, int]] = {}
    waiting = [_Open(documents, None)]
    for event in events:
        kind = type(event).__name__
        if kind in {"MappingStartEvent", "SequenceStartEvent"}:
            if len(waiting) > MAX_NESTING:
                raise Unreadable(f"it is nested more than {MAX_NESTING} deep")
            is_mapping = kind == "MappingStartEvent"
            _check_tag(event.tag, _MAPPING if is_mapping else _SEQUENCE)
            waiting.append(_Open({} if is_mapping else [], event.anchor))
        elif kind in {"MappingEndEvent", "SequenceEndEvent"}:
            done = waiting.pop()
            _take(waiting[-1], done.anchor, (done.value, done.size), anchors)
        elif kind == "ScalarEvent":
            _take(waiting[-1], event.anchor, (_scalar(event), 1 + len(event.value) // LETTERS), anchors)
        elif kind == "AliasEvent":
            if event.anchor not in anchors:
                raise Unreadable(f"nothing before *{event.anchor[:100]} is called so")
            waiting[-1].add(*anchors[event.anchor])
    if len(documents) != 1:
        raise Unreadable(f"it has {len(documents)} documents, and one is wanted")
    return documents[0]


def _take(
    into: _Open, anchor: str | None, sized: tuple[Any, int], anchors: dict[str, tuple[Any, int]]
) -> None:
    if anchor is not None:
        anchors[anchor] = sized
    into.add(*sized)


def _scalar(event: Any) -> Any:
    text: str = event.value
    _check_tag(event.tag, _TEXT)
    if event.style or event.tag is not None:
        return text  # quoted, in a block, or said to be one
    for pattern, value in ((_NULL, None), (_TRUE, True), (_FALSE, False)):
        if pattern.fullmatch(text):
            return value
    for pattern, base in ((_WHOLE, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return int(text, base)
    return _fraction(text) if _NUMBER.fullmatch(text) else text


def _check_tag(tag: str | None, fitting: str) -> None:
    if tag not in {None, "!", fitting}:
        raise Unreadable(f"the tag {tag[:100]} is none of JSON's")


def _fraction(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise Unreadable(f"the number {text[:30]} is too large")
    return number


def _place(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
