"""Example messages: what a receiver can be tried with before anything has happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.errors import NoExample
from ringback.model import EventType

# Source: the Svix server; an event type that is always there, to try an endpoint with.
PING = "svix.ping"
PING_PAYLOAD = b'{"success": true}'
MAX_DIGITS = 9


def example_payload(event_type: EventType, index: int) -> bytes:
    """Return the example number *index* in the newest of an event type's schemas.

    JSON Schema has ``examples``, a list; OpenAPI's schemas have ``example``, a single one, which any index finds.

    Raises:
        NoExample: The event type has no schema, or that has no such example, or it is no object.
    """
    schemas = event_type.schemas or {}
    if not schemas:
        raise NoExample(f"the event type {event_type.name} has no schema that an example could be taken from")
    version = max(schemas, key=_age)
    found = _example(msgspec.json.decode(schemas[version]), index)
    if not isinstance(found, dict):
        raise NoExample(f"version {version} of the schema of {event_type.name} has no example {index}")
    return msgspec.json.encode(found)


def _example(schema: Mapping[str, Any], index: int) -> Any:
    examples = schema.get("examples")
    if isinstance(examples, list) and index < len(examples):
        return examples[index]
    return schema.get("example")


def _age(version: str) -> tuple[int, str]:
    """Order versions that are numbers by those, and all others by name, before them."""
    is_number = version.isascii() and version.isdigit() and len(version) <= MAX_DIGITS
    return (int(version), "") if is_number else (-1, version)
