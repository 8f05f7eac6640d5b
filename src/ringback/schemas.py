"""JSON Schemas of event types: what is fit to be one, and whether a payload obeys it.

Nothing is ever fetched: a schema refers to what it holds itself. The default is JSON Schema 2020-12, and ``$schema``
may name an earlier draft. Checking cannot be interrupted, so what could take long is refused beforehand.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ringback.errors import FieldError, InvalidInput
from ringback.schema_work import MAX_DEPTH, TooMuchWork, work_by_depth

MAX_SCHEMA_BYTES = 256 * 1024
# About half a second of checking.
MOST_STEPS = 50_000_000
MOST_STEPS_OF_ONE = 50_000
MAX_FAULTS = 50
MAX_SENTENCE = 300
# All faults of a payload are found at once, so in a large one only the first is looked for.
MANY_FAULTS_BYTES = 16 * 1024
BACKTRACKING = 20_000
PATTERN_BYTES = 1024 * 1024
MAX_CACHED = 128
MAX_DIGITS = 9


class Compiled(msgspec.Struct, frozen=True):
    """A schema made ready: what checks, and how much work that is by the depth of a payload."""

    validator: Any
    work: tuple[int, ...]


def newest_version(schemas: Mapping[str, Any]) -> str:
    """Return the newest version: of those that are numbers the highest, before all others, which go by name."""
    return newest_first(schemas)[0]


def newest_first(schemas: Mapping[str, Any]) -> list[str]:
    """Return the versions in the order of their age."""
    return sorted(schemas, key=_age, reverse=True)


def schema_problems(loc: tuple[str | int, ...], schema: bytes) -> Iterator[FieldError]:
    """Yield why *schema*, JSON at *loc* of a request, is not fit to be an event type's."""
    if not schema.lstrip().startswith(b"{"):
        yield FieldError(loc, "a JSON Schema is an object")
        return
    if len(schema) > MAX_SCHEMA_BYTES:
        yield FieldError(loc, f"has {len(schema):,} bytes; a schema has at most {MAX_SCHEMA_BYTES:,}")
        return
    try:
        compiled(schema)
    except InvalidInput as error:
        yield from (FieldError((*loc, *fault.loc), fault.msg) for fault in error.fields)


def check_payload(schemas: Mapping[str, msgspec.Raw], payload: bytes) -> None:
    """Hold a *payload*, which is JSON, to the newest of an event type's schemas.

    Raises:
        InvalidInput: It does not obey it; every place at fault is named, up to fifty of them.
    """
    version = newest_version(schemas)
    ready = compiled(bytes(schemas[version]))
    value = msgspec.json.decode(payload)
    _check_work(ready, value, payload)
    if ready.validator.is_valid(value):
        return
    every = len(payload) <= MANY_FAULTS_BYTES
    faults = list(ready.validator.iter_errors(value)) if every else [_first_fault(ready, value)]
    raise InvalidInput(*(_fault(fault, version) for fault in faults[:MAX_FAULTS]))


@functools.lru_cache(maxsize=MAX_CACHED)
def compiled(schema: bytes) -> Compiled:
    """Return a schema made ready to check.

    Raises:
        InvalidInput: It is no JSON Schema, refers to something outside of it, or could take too long.
    """
    import jsonschema_rs  # noqa: PLC0415 - it takes a while, and few processes need it

    try:
        decoded = msgspec.json.decode(schema)
        work = _bearable(work_by_depth(decoded))
        patterns = jsonschema_rs.FancyRegexOptions(
            backtrack_limit=BACKTRACKING, size_limit=PATTERN_BYTES, dfa_size_limit=PATTERN_BYTES
        )
        validator = jsonschema_rs.validator_for(decoded, offline=True, pattern_options=patterns)
    except TooMuchWork as error:
        raise InvalidInput.at(msg=str(error)) from None
    except jsonschema_rs.ValidationError as error:
        raise InvalidInput.at(*error.instance_path, msg=_shortened(_told(error.message))) from None
    except (jsonschema_rs.ReferencingError, RecursionError, ValueError) as error:
        raise InvalidInput.at(msg=_shortened(str(error))) from None
    return Compiled(validator, work)


def _bearable(work: tuple[int, ...]) -> tuple[int, ...]:
    if work[0] > MOST_STEPS_OF_ONE:
        raise TooMuchWork("has so many alternatives that it cannot be checked in a reasonable time")
    return work


def _check_work(ready: Compiled, value: Any, payload: bytes) -> None:
    depth = _depth(value)
    if len(ready.work) > MAX_DEPTH and depth > MAX_DEPTH:
        raise InvalidInput.at(
            "body", "payload", msg=f"is nested more than {MAX_DEPTH} deep, too deep to be checked"
        )
    # At least as many as there are values.
    values = payload.count(b",") + payload.count(b"{") + payload.count(b"[") + payload.count(b":") + 1
    if values * ready.work[min(depth, len(ready.work) - 1)] > MOST_STEPS:
        raise InvalidInput.at("body", "payload", msg="is too large to be checked against its schema in time")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while True:
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        if not inner:
            return depth
        depth, level = depth + 1, inner


def _first_fault(ready: Compiled, value: Any) -> Any:
    import jsonschema_rs  # noqa: PLC0415 - as above

    try:
        ready.validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return error
    raise AssertionError("what is not valid has a fault")


def _fault(error: Any, version: str) -> FieldError:
    sentence = f"{_shortened(error.message)} (version {version} of the event type's schema)"
    return FieldError(("body", "payload", *error.instance_path), sentence, "value_error.schema")


def _told(message: str) -> str:
    """Say in our own words what the library says of references that lead out of the schema."""
    if "retriev" in message.lower():
        return f"refers to something outside of it, which is never fetched: put it into $defs ({message})"
    return message


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= MAX_SENTENCE else f"{sentence[:MAX_SENTENCE]}…"


def _age(version: str) -> tuple[int, str]:
    is_number = version.isascii() and version.isdigit() and len(version) <= MAX_DIGITS
    return (int(version), "") if is_number else (-1, version)
