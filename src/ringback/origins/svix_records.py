"""Records of a Svix server as Ringback keeps them, whichever way they were read; and what of them cannot come along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from ringback import ids
from ringback.drafts import (
    ApplicationDraft,
    EndpointDraft,
    EventTypeDraft,
    application_draft,
    endpoint_draft,
    event_type_draft,
)
from ringback.errors import InvalidInput
from ringback.model import Application, Endpoint, EventType, Instant
from ringback.origins import Found
from ringback.target import check_header

Drafted = ApplicationDraft | EndpointDraft | EventTypeDraft


def found_application(record: Application) -> Found[Application]:
    """Return an application, with the obstacle to it if there is one."""
    return Found(record=record, obstacle=_obstacle(ids.APPLICATION, record.id, application_draft(record)))


def found_endpoint(
    record: Endpoint, left_out: Iterable[str] = (), obstacle: str | None = None
) -> Found[Endpoint]:
    """Return an endpoint without the headers that nobody may set here, and with the obstacle to it if there is one."""
    headers, refused = _headers(record.headers)
    kept = msgspec.structs.replace(record, headers=headers)
    secret = kept.secrets[0].key if kept.secrets else None
    draft = msgspec.structs.replace(endpoint_draft(kept), secret=secret)
    return Found(
        record=kept,
        left_out=(*left_out, *refused),
        obstacle=obstacle or _obstacle(ids.ENDPOINT, record.id, draft),
    )


def found_event_type(record: EventType) -> Found[EventType]:
    """Return an event type without the schemas that are not fit to be kept here."""
    schemas, left_out = dict(record.schemas or {}), []
    for version, schema in (record.schemas or {}).items():
        alone = msgspec.structs.replace(record, schemas={version: schema})
        why = _problem(event_type_draft(alone))
        if why is not None and why.startswith("schemas"):
            del schemas[version]
            left_out.append(f"its schema: {why}")
    kept = msgspec.structs.replace(record, schemas=schemas or None)
    return Found(record=kept, left_out=tuple(left_out), obstacle=_problem(event_type_draft(kept)))


def names(given: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names of a filter in one order, whatever order they are kept in; None and none mean all."""
    return tuple(sorted(given)) or None if given is not None else None


def instant(moment: datetime) -> Instant:
    """Return a moment, which has an offset, as an instant."""
    return round(moment.timestamp() * 1000)


def _headers(headers: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    kept: dict[str, str] = {}
    refused: list[str] = []
    for name, value in headers.items():
        try:
            check_header(name, value)
            kept[name] = value
        except InvalidInput as error:
            refused.append(f"the header {name}: {_told(error)}")
    return kept, refused


def _obstacle(prefix: str, identity: str, draft: Drafted) -> str | None:
    if not ids.is_id(prefix, identity):
        return f"its id is none of the form {prefix}_ and {ids.LENGTH} letters and digits"
    return _problem(draft)


def _problem(draft: Drafted) -> str | None:
    try:
        draft.check()
    except InvalidInput as error:
        return _told(error)
    return None


def _told(error: InvalidInput) -> str:
    return "; ".join(f"{'.'.join(map(str, fault.loc[1:]))}: {fault.msg}" for fault in error.fields)


def raw(value: Any) -> msgspec.Raw:
    """Return a value as the JSON it is kept as."""
    return msgspec.Raw(msgspec.json.encode(value))
