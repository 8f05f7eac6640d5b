"""How much work a JSON Schema can make of a payload: an upper bound, found before anything is checked.

A schema can ask for exponentially much: alternatives of alternatives, each of them looked at, or one that refers to
itself twice at every step down. Whoever checks holds up everybody else, so such schemas are counted first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

import msgspec

MAX_SUBSCHEMAS = 5_000
MAX_NESTING = 100
MAX_DEPTH = 64
# No bound that is told of: where counting stops.
MOST_WORK = 10**12

# Keywords by what they hold and what that is applied to: the same value, or what lies in it.
_SAME_ONE = ("not", "if", "then", "else")
_SAME_LIST = ("allOf", "anyOf", "oneOf")
_SAME_NAMED = ("dependentSchemas", "dependencies")
_WITHIN_ONE = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "items",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_WITHIN_NAMED = ("patternProperties",)
# Of these only one is applied to any value.
_EITHER_NAMED = ("properties",)
_EITHER_LIST = ("prefixItems", "items")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# They look at the others again, to see what is left over.
_AGAIN = frozenset({"unevaluatedItems", "unevaluatedProperties"})

Schema = Mapping[str, Any]


class TooMuchWork(Exception):  # noqa: N818 - named for what is found
    """The schema asks for more than can be bounded; the message says why."""


class _Place(msgspec.Struct):
    """A schema within the schema: what else is applied to the same value, and what to the values in it."""

    same: list[int] = []
    within: list[int] = []
    either: list[int] = []
    again: int = 1


def work_by_depth(schema: Schema) -> tuple[int, ...]:
    """Return how many steps a value takes at most, by the depth of what is in it; the last holds for all beyond.

    Multiplied by how many values there are, that bounds the steps for all of them. Beyond ``MAX_DEPTH`` nothing is
    known: then there is one more entry than that.

    Raises:
        TooMuchWork: The schema is nested too deeply, has too many parts, or refers to itself without end.
    """
    places = _Places(schema)
    order = places.in_order()
    levels: list[dict[int, int]] = [dict.fromkeys(order, 0)]
    while len(levels) <= MAX_DEPTH + 1:
        levels.append(_level(places, order, levels[-1]))
        if levels[-1] == levels[-2]:
            levels.pop()
            break
    return tuple(level[places.root] for level in levels[1:])


def _level(places: _Places, order: Iterable[int], below: Mapping[int, int]) -> dict[int, int]:
    steps: dict[int, int] = {}
    for name in order:
        place = places.found[name]
        count = 1 + sum(steps[other] for other in place.same)
        count += sum(below[other] for other in place.within)
        count += max((below[other] for other in place.either), default=0)
        steps[name] = min(count * place.again, MOST_WORK)
    return steps


class _Places:
    """Every schema that can be reached from the whole one, by its identity."""

    def __init__(self, schema: Schema) -> None:
        self.root = id(schema)
        self.found: dict[int, _Place] = {}
        self._names = _Names(schema)
        waiting: list[tuple[Schema, str]] = [(schema, "")]
        while waiting:
            one, base = waiting.pop()
            if id(one) not in self.found:
                waiting += self._look_at(one, base)
            if len(self.found) > MAX_SUBSCHEMAS:
                raise TooMuchWork(f"has more than {MAX_SUBSCHEMAS:,} schemas in it")

    def in_order(self) -> list[int]:
        """Return them so that what is applied to the same value as another comes before that."""
        graph = {name: set(place.same) for name, place in self.found.items()}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError:
            raise TooMuchWork("refers to itself without ever going into the payload") from None

    def _look_at(self, one: Schema, base: str) -> Iterator[tuple[Schema, str]]:
        base = self._names.base_of(one, base)
        same = [(part, base) for part in _parts(one, _SAME_ONE, _SAME_LIST, _SAME_NAMED)]
        same += self._names.referred(one, base)
        within = [(part, base) for part in _parts(one, _WITHIN_ONE, (), _WITHIN_NAMED)]
        either = [(part, base) for part in _parts(one, (), _EITHER_LIST, _EITHER_NAMED)]
        self.found[id(one)] = _Place(
            same=[id(part) for part, _ in same],
            within=[id(part) for part, _ in within],
            either=[id(part) for part, _ in either],
            again=1 if _AGAIN.isdisjoint(one) else 2,
        )
        yield from (*same, *within, *either)


class _Names:
    """What the parts of a schema can be referred to by: addresses, anchors and pointers."""

    def __init__(self, schema: Schema) -> None:
        self._by_address: dict[str, Schema] = {"": schema}
        self._by_anchor: dict[tuple[str, str], list[Schema]] = {}
        self._dynamic: dict[str, list[Schema]] = {}
        waiting: list[tuple[Any, str, int]] = [(schema, "", 0)]
        while waiting:
            value, base, depth = waiting.pop()
            if depth > MAX_NESTING:
                raise TooMuchWork(f"is nested more than {MAX_NESTING} deep")
            if isinstance(value, dict):
                base = self._name(value, base)
                waiting += [(inner, base, depth + 1) for inner in value.values()]
            elif isinstance(value, list):
                waiting += [(inner, base, depth + 1) for inner in value]

    def base_of(self, one: Schema, base: str) -> str:
        """Return the address that references in *one* are relative to."""
        name = one.get("$id", one.get("id"))
        return urldefrag(_joined(base, name)).url if isinstance(name, str) else base

    def referred(self, one: Schema, base: str) -> Iterator[tuple[Schema, str]]:
        """Yield what *one* refers to; what is not here is none of it, and the check of the schema says so."""
        for keyword in _REFERENCES:
            reference = one.get(keyword)
            if not isinstance(reference, str):
                continue
            address, fragment = urldefrag(_joined(base, reference))
            yield from ((target, address) for target in self._targets(address, fragment))
            if keyword == "$dynamicRef":
                yield from ((target, address) for target in self._dynamic.get(fragment, ()))

    def _name(self, value: dict[str, Any], base: str) -> str:
        base = self.base_of(value, base)
        if isinstance(value.get("$id", value.get("id")), str):
            self._by_address.setdefault(base, value)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(value.get(keyword), str):
                self._by_anchor.setdefault((base, value[keyword]), []).append(value)
        if isinstance(value.get("$dynamicAnchor"), str):
            self._dynamic.setdefault(value["$dynamicAnchor"], []).append(value)
        return base

    def _targets(self, address: str, fragment: str) -> Iterator[Schema]:
        if fragment and not fragment.startswith("/"):
            yield from self._by_anchor.get((address, fragment), ())
            return
        found = pointed(self._by_address.get(address), fragment)
        if isinstance(found, dict):
            yield found


def pointed(value: Any, pointer: str) -> Any:
    """Return what a JSON Pointer (RFC 6901), as it is written in a fragment, leads to; None where that is nothing."""
    for step in unescaped(pointer):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    return value


def unescaped(pointer: str) -> list[str]:
    """Return the steps of a JSON Pointer in a fragment."""
    return [unquote(step).replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference  # no address at all: nothing is found at it


def _parts(
    one: Schema, single: Iterable[str], listed: Iterable[str], named: Iterable[str]
) -> Iterator[Schema]:
    for keyword in single:
        if isinstance(one.get(keyword), dict):
            yield one[keyword]
    for keyword in listed:
        if isinstance(one.get(keyword), list):
            yield from (part for part in one[keyword] if isinstance(part, dict))
    for keyword in named:
        if isinstance(one.get(keyword), dict):
            yield from (part for part in one[keyword].values() if isinstance(part, dict))
