"""Event types taken over from elsewhere, all at once: what becomes of each, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ringback.drafts import EventTypeDraft
from ringback.errors import NotFound
from ringback.model import EventType, Instant
from ringback.schemas import newest_version
from ringback.store import Page, Store

LOOKED_AT = 250
# What stays where a draft does not say it.
_OPEN = frozenset({"feature_flags", "group_name"})


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """What an import makes of the event types there are: new ones, changed ones, and the names of the others.

    Those in ``archived`` are not in what was imported; they are the changed ones that come last.
    """

    created: tuple[EventType, ...]
    updated: tuple[EventType, ...]
    archived: tuple[EventType, ...]
    unchanged: tuple[str, ...]


def plan(store: Store, wanted: Sequence[EventTypeDraft], now: Instant, *, replace_all: bool) -> Import:
    """Tell what *wanted* makes of the event types in the store, and with *replace_all* what of the others.

    What a draft leaves open stays: its group, its feature flags, its schema. A schema takes the place of the newest
    version.
    """
    created, updated, unchanged = [], [], []
    for draft in wanted:
        old = _existing(store, draft.name)
        new = _record(draft, now) if old is None else _changed(old, draft, now)
        if old is None:
            created.append(new)
        elif msgspec.structs.replace(new, updated_at=old.updated_at) == old:
            unchanged.append(old.name)
        else:
            updated.append(new)
    names = {draft.name for draft in wanted}
    others = (one for one in _live(store) if one.name not in names) if replace_all else ()
    archived = [msgspec.structs.replace(one, archived=True, updated_at=now) for one in others]
    return Import(
        created=tuple(created), updated=tuple(updated), archived=tuple(archived), unchanged=tuple(unchanged)
    )


def importing(
    wanted: Sequence[EventTypeDraft], now: Instant, *, replace_all: bool
) -> Callable[[Store], Import]:
    """Return the change that ``plan`` tells of: all of it or, where anything fails, none."""

    def change(store: Store) -> Import:
        planned = plan(store, wanted, now, replace_all=replace_all)
        for record in planned.created:
            store.add(record)
        for record in (*planned.updated, *planned.archived):
            store.change_event_type(record.name, _becomes(record))
        return planned

    return change


def _becomes(record: EventType) -> Callable[[EventType], EventType]:
    return lambda _: record


def _existing(store: Store, name: str) -> EventType | None:
    try:
        return store.event_type(name)
    except NotFound:
        return None


def _live(store: Store) -> Iterator[EventType]:
    page = Page(limit=LOOKED_AT)
    while rows := store.event_types(page, archived=False):
        yield from rows
        page = Page(limit=LOOKED_AT, cursor=rows[-1].name)


def _record(draft: EventTypeDraft, now: Instant) -> EventType:
    return EventType(**_fields(draft), created_at=now, updated_at=now)


def _changed(old: EventType, draft: EventTypeDraft, now: Instant) -> EventType:
    fields = {name: value for name, value in _fields(draft).items() if value is not None or name not in _OPEN}
    if draft.feature_flags is None:
        del fields["feature_flag"]  # both ways of saying it stay
    return msgspec.structs.replace(
        old, **(fields | {"schemas": _schemas(old.schemas, draft.schemas)}), updated_at=now
    )


def _schemas(
    old: Mapping[str, msgspec.Raw] | None, new: Mapping[str, msgspec.Raw] | None
) -> dict[str, msgspec.Raw] | None:
    if not old or not new:
        return dict(new or old or {}) or None
    kept, newest, (schema,) = dict(old), newest_version(old), new.values()
    if _meaning(kept[newest]) != _meaning(schema):
        kept[newest] = schema
    return kept


def _meaning(schema: msgspec.Raw) -> Any:
    return msgspec.json.decode(schema)


def _fields(draft: EventTypeDraft) -> dict[str, Any]:
    return msgspec.structs.asdict(draft)
