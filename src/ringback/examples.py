"""Example messages: what a receiver can be tried with before anything has happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.errors import NoExample
from ringback.model import EventType
from ringback.schemas import newest_version

# Source: the Svix server; an event type that is always there, to try an endpoint with.
PING = "svix.ping"
PING_PAYLOAD = b'{"success": true}'


def example_payload(event_type: EventType, index: int) -> bytes:
    """Return the example number *index* in the newest of an event type's schemas.

    JSON Schema has ``examples``, a list; OpenAPI's schemas have ``example``, a single one, which any index finds.

    Raises:
        NoExample: The event type has no schema, or that has no such example, or it is no object.
    """
    schemas = event_type.schemas or {}
    if not schemas:
        raise NoExample(f"the event type {event_type.name} has no schema that an example could be taken from")
    version = newest_version(schemas)
    found = _example(msgspec.json.decode(schemas[version]), index)
    if not isinstance(found, dict):
        raise NoExample(f"version {version} of the schema of {event_type.name} has no example {index}")
    return msgspec.json.encode(found)


def _example(schema: Mapping[str, Any], index: int) -> Any:
    examples = schema.get("examples")
    if isinstance(examples, list) and index < len(examples):
        return examples[index]
    return schema.get("example")
