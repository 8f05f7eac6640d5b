"""References within an OpenAPI document, resolved: schemas that stand on their own.

What a ``$ref`` leads to takes its place. Schemas that come back to themselves cannot be written out; those are kept
once, in ``$defs``. Documents before 3.1 have a dialect of their own, which becomes JSON Schema on the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ringback.errors import InvalidInput
from ringback.schema_work import pointed, unescaped

MAX_NESTING = 60
# All that one document's schemas may come to, written out; a text is as many parts as it has so many letters.
MAX_PARTS = 100_000
LETTERS = 64

# Keywords that hold a schema, a list of schemas, or schemas by name. What is under any other is left as it is.
_ONE = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_NAMED = frozenset({"dependentSchemas", "patternProperties", "properties"})
# Nothing refers to these any more once every reference is resolved; and twice in one schema they would clash.
_DROPPED = frozenset({"$anchor", "$defs", "$dynamicAnchor", "$id", "definitions", "id"})
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}

_UNUSUAL = re.compile(r"[^A-Za-z0-9_.-]")

Location = tuple[str | int, ...]


class References:
    """Resolves the references of one *document*, which is at *loc* of a request.

    ``earlier`` documents are those before OpenAPI 3.1.
    """

    def __init__(self, document: Mapping[str, Any], *loc: str, earlier: bool = False) -> None:
        self._document = document
        self._loc = loc
        self._earlier = earlier
        self._parts = 0
        self._recursive: dict[str, bool] = {}

    def followed(self, value: Any, *at: str | int) -> tuple[Any, Location]:
        """Return what *value*, at a place in the document, is or refers to, and where that is.

        Raises:
            InvalidInput: It refers to what is not in the document, or to itself.
        """
        seen: set[str] = set()
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            pointer = value["$ref"]
            if pointer in seen:
                raise self.fault(f"{pointer[:100]} refers to itself and nothing else", *at, "$ref")
            seen.add(pointer)
            value = self._target(pointer, at)
            at = tuple(unescaped(pointer))
        return value, at

    def schema(self, value: Any, *at: str | int) -> dict[str, Any]:
        """Return the schema at a place of the document so that it stands on its own.

        Raises:
            InvalidInput: It is no schema, refers to what is not in the document, or is too large when written out.
        """
        if not isinstance(value, dict):
            raise self.fault("a schema is an object", *at)
        kept = _Kept()
        written = self._written(value, at, kept, 0)
        definitions: dict[str, Any] = {}
        while kept.waiting:
            pointer = kept.waiting.pop()
            target = self._target(pointer, at)
            definitions[kept.name_of(pointer)] = self._written(target, tuple(unescaped(pointer)), kept, 0)
        return {**written, "$defs": definitions} if definitions else written

    def counted(self, value: Any, *at: str | int) -> Any:
        """Return *value*, which becomes part of what is written as it is.

        Raises:
            InvalidInput: That is too much by now.
        """
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, dict):
                waiting += (*one, *one.values())
            elif isinstance(one, list):
                waiting += one
            self._count(1 + (len(one) // LETTERS if isinstance(one, str) else 0), at)
        return value

    def fault(self, msg: str, *at: str | int) -> InvalidInput:
        """Return the error for a place in the document."""
        return InvalidInput.at(*self._loc, *at, msg=msg)

    def _count(self, parts: int, at: Location) -> None:
        self._parts += parts
        if self._parts > MAX_PARTS:
            raise self.fault(f"the schemas come to more than {MAX_PARTS:,} parts when written out", *at)

    def _written(self, value: Any, at: Location, kept: _Kept, depth: int) -> Any:
        self._count(1, at)
        if depth > MAX_NESTING:
            raise self.fault(f"schemas are nested more than {MAX_NESTING} deep", *at)
        if not isinstance(value, dict):
            return value
        pointer = value.get("$ref")
        if isinstance(pointer, str):
            return self._in_place_of(pointer, value, at, kept, depth)
        written = {
            keyword: self._under(keyword, inner, (*at, keyword), kept, depth + 1)
            for keyword, inner in value.items()
            if keyword not in _DROPPED
        }
        return _of_now(written) if self._earlier else written

    def _in_place_of(
        self, pointer: str, value: Mapping[str, Any], at: Location, kept: _Kept, depth: int
    ) -> Any:
        target = self._target(pointer, at)
        if self._is_recursive(pointer):
            meant: Any = {"$ref": f"#/$defs/{kept.name_of(pointer)}"}
        else:
            meant = self._written(target, tuple(unescaped(pointer)), kept, depth + 1)
        # Before 3.1, what stands beside a reference does not count.
        others = {} if self._earlier else {key: inner for key, inner in value.items() if key != "$ref"}
        if not others:
            return meant
        beside = self._written(others, at, kept, depth + 1)
        return {**beside, "allOf": [meant, *beside.get("allOf", ())]}

    def _under(self, keyword: str, value: Any, at: Location, kept: _Kept, depth: int) -> Any:
        if keyword in _LISTED and isinstance(value, list):
            return [self._written(one, (*at, index), kept, depth) for index, one in enumerate(value)]
        if keyword in _NAMED and isinstance(value, dict):
            return {name: self._written(one, (*at, name), kept, depth) for name, one in value.items()}
        return self._written(value, at, kept, depth) if keyword in _ONE else self.counted(value, *at)

    def _target(self, pointer: str, at: Location) -> Any:
        if not pointer.startswith("#/"):
            raise self.fault(
                f"{pointer[:200]!r} leads out of the document, and nothing is fetched: references begin with #/",
                *at,
                "$ref",
            )
        found = self._found(pointer)
        if found is None:
            raise self.fault(f"there is nothing at {pointer[:200]}", *at, "$ref")
        return found

    def _found(self, pointer: str) -> Any:
        return pointed(self._document, pointer[1:]) if pointer.startswith("#/") else None

    def _is_recursive(self, pointer: str) -> bool:
        """Tell whether what is at *pointer* comes back to itself, or lies between two that do."""
        if pointer not in self._recursive:
            graph: dict[str, set[str]] = {}
            waiting = [pointer]
            while waiting:
                one = waiting.pop()
                if one not in graph:
                    # What was looked at before is whole with all it refers to: it leads to nothing new.
                    graph[one] = {
                        other for other in _referred(self._found(one)) if other not in self._recursive
                    }
                    waiting += graph[one]
            self._recursive |= dict.fromkeys(graph, False) | dict.fromkeys(_between_cycles(graph), True)
        return self._recursive[pointer]


class _Kept:
    """The schemas that stay in ``$defs``: how each is called there, and which are still to be written."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self._names: dict[str, str] = {}
        self._taken: dict[str, int] = {}

    def name_of(self, pointer: str) -> str:
        """Return the name of the schema at *pointer*, a new one at the first call."""
        if pointer not in self._names:
            self.waiting.append(pointer)
            plain = _UNUSUAL.sub("_", unescaped(pointer)[-1])
            number = self._taken[plain] = self._taken.get(plain, 0) + 1
            # No name has a colon of its own.
            self._names[pointer] = plain if number == 1 else f"{plain}:{number}"
        return self._names[pointer]


def _between_cycles(graph: Mapping[str, set[str]]) -> set[str]:
    """Return what remains of *graph* when what leads nowhere and what nothing leads to is taken away, over and over."""
    left = set(graph)
    backwards: dict[str, set[str]] = {name: set() for name in graph}
    for name, others in graph.items():
        for other in others:
            backwards[other].add(name)
    for ahead, behind in ((graph, backwards), (backwards, graph)):
        count = {name: len(left.intersection(ahead[name])) for name in left}
        ends = [name for name in left if not count[name]]
        while ends:
            end = ends.pop()
            left.discard(end)
            for name in left.intersection(behind[end]):
                count[name] -= 1
                if not count[name]:
                    ends.append(name)
    return left


def _referred(value: Any) -> Iterator[str]:
    """Yield what a schema refers to itself, without following that."""
    waiting, looked_at = [value], 0
    while waiting and looked_at <= MAX_PARTS:
        one, looked_at = waiting.pop(), looked_at + 1
        if not isinstance(one, dict):
            continue
        if isinstance(one.get("$ref"), str):
            yield one["$ref"]
        for keyword, inner in one.items():
            if keyword in _ONE:
                waiting.append(inner)
            if keyword in _LISTED and isinstance(inner, list):
                waiting += inner
            if keyword in _NAMED and isinstance(inner, dict):
                waiting += inner.values()


def _of_now(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema as OpenAPI had them before 3.1 as JSON Schema."""
    changed = {key: value for key, value in schema.items() if key != "nullable"}
    for exclusive, bound in _BOUNDS.items():
        if isinstance(changed.get(exclusive), bool) and changed.pop(exclusive) and bound in changed:
            changed[exclusive] = changed.pop(bound)
    if schema.get("nullable") is not True:
        return changed
    kind = changed.get("type")
    if isinstance(kind, str):
        changed["type"] = [kind, "null"]
        if isinstance(changed.get("enum"), list) and None not in changed["enum"]:
            changed["enum"] = [*changed["enum"], None]
        return changed
    return {"anyOf": [changed, {"type": "null"}]} if changed else {}
