"""What the API answers to an import of event types: the shapes of Svix, with Ringback's additions."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from ringback.event_type_import import Import
from ringback.model import EventType
from ringback.server.wire import Shape


class EventTypeFromOpenApi(Shape):
    """An event type as an import would leave it."""

    name: str
    description: str
    schemas: dict[str, Raw] | None
    deprecated: bool
    group_name: str | None
    feature_flags: tuple[str, ...] | None


class ImportData(Shape):
    """What an import did or, when asked for a dry run, would do; the last four are Ringback's own."""

    modified: tuple[str, ...]
    to_modify: tuple[EventTypeFromOpenApi, ...] | None = msgspec.field(name="to_modify")
    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    archived: tuple[str, ...]


class ImportOut(Shape):
    """The answer to an import of event types."""

    data: ImportData


def import_out(done: Import, *, dry_run: bool) -> ImportOut:
    """Show what an import did; of a *dry_run*, the event types that it would leave."""
    changed = (*done.created, *done.updated, *done.archived)
    return ImportOut(
        data=ImportData(
            modified=() if dry_run else _names(changed),
            to_modify=tuple(map(_from_openapi, (*done.created, *done.updated))) if dry_run else None,
            created=_names(done.created),
            updated=_names(done.updated),
            unchanged=done.unchanged,
            archived=_names(done.archived),
        )
    )


def _names(event_types: Iterable[EventType]) -> tuple[str, ...]:
    return tuple(one.name for one in event_types)


def _from_openapi(record: EventType) -> EventTypeFromOpenApi:
    return EventTypeFromOpenApi(
        name=record.name,
        description=record.description,
        schemas=record.schemas,
        deprecated=record.deprecated,
        group_name=record.group_name,
        feature_flags=record.flags or None,
    )
