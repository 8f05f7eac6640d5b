"""Pages about event types: what there is to be told of, in which shape, with samples."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.changes import event_type_for
from ringback.design.contents import weight, within
from ringback.drafts import EventTypeDraft
from ringback.errors import InvalidInput, NoExample, NotFound, RingbackError
from ringback.examples import example_payload
from ringback.model import EventType
from ringback.schemas import MAX_SCHEMA_BYTES, newest_first, newest_version
from ringback.server.api.event_type import known
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.forms import REFUSED, faults, names, status_of
from ringback.server.pages.page import MAX_FIELD, Page, Said, Visit, download, see, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.server.pages.ways import EVENT_TYPES, Ways

PLACE = EVENT_TYPES
ROWS = 40
# How many bytes of a page the names of versions may take, each with what stands around it; and a schema in a form.
MAX_VERSIONS = 10_000
AROUND_VERSION = 40
MAX_SCHEMA = 40_000
FIELDS = ("name", "description", "groupName", "featureFlags", "schema")
FIRST_VERSION = "1"


class EventTypePages:
    """The event types.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show_all(self, visit: Visit) -> Page:
        """Show all, in the order of their names; archived ones where an operator asks for them."""
        asked, flags = part(visit, rows=ROWS, descending=False), visit.who.principal.feature_flags
        archived = visit.brand is None and visit.query.ticked("archived")
        found = await self._behind.outbox.read(lambda store: known(store, asked, flags, archived=archived))
        rows: Slice[EventType] = sliced(visit, found, asked, lambda one: one.name)
        place = Ways(visit).event_types
        return page(visit, "event_types.html", {"place": place, "kinds": rows, "archived": archived})

    async def show(self, visit: Visit) -> Page:
        """Show one, with one version of its schema: the newest, unless another one is asked for."""
        kind = await self._kind(visit)
        version = _version(visit, kind)
        values = {
            "place": Ways(visit).event_types,
            "kind": kind,
            "versions": within(newest_first(kind.schemas or {}), _weight, MAX_VERSIONS),
            "shown_version": version,
        }
        contents = (_sample(kind), _schema(kind, version))
        return page(visit, "event_type.html", values, contents=contents)

    async def schema(self, visit: Visit) -> Page:
        """Send a version of the schema as a file."""
        kind = await self._kind(visit)
        version = _version(visit, kind)
        if not version:
            raise NotFound("this event type has no schema")
        return download(_schema(kind, version), f"{kind.name}.{version}.json", "application/schema+json")

    async def draft(self, visit: Visit) -> Page:
        """Ask for a new one."""
        return _form(visit, None, {})

    async def create(self, visit: Visit) -> Page:
        """Make it."""
        try:
            kind = await self._behind.outbox.create_event_type(EventTypeDraft(**_typed(visit, None)))
        except REFUSED as error:
            return _form(visit, None, _written(visit), error)
        return see(visit, f"{PLACE}/{segment(kind.name)}", Said("The event type is there."))

    async def edit(self, visit: Visit) -> Page:
        """Ask for what it is."""
        kind = await self._kind(visit)
        schemas = kind.schemas or {}
        values = {
            "name": kind.name,
            "description": kind.description,
            "groupName": kind.group_name or "",
            "featureFlags": ", ".join(kind.flags),
            "schema": _indented(bytes(schemas[newest_version(schemas)])) if schemas else "",
            "deprecated": kind.deprecated,
        }
        return _form(visit, kind, values)

    async def change(self, visit: Visit) -> Page:
        """Change it."""
        kind = await self._kind(visit)
        try:
            changes = {name: value for name, value in _typed(visit, kind).items() if name != "name"}
            await self._behind.outbox.change_event_type(kind.name, changes)
        except REFUSED as error:
            return _form(visit, kind, _written(visit), error)
        return see(visit, f"{PLACE}/{segment(kind.name)}", Said("The event type is changed."))

    async def archive(self, visit: Visit) -> Page:
        """Archive it, when that is confirmed, or take it back from there."""
        kind = await self._kind(visit)
        there = f"{PLACE}/{segment(kind.name)}"
        if kind.archived:
            await self._behind.outbox.change_event_type(kind.name, {"archived": False})
            return see(visit, there, Said("It is offered again."))
        if visit.form.ticked("sure"):
            await self._behind.outbox.remove_event_type(kind.name)
            return see(visit, there, Said("It is archived."))
        return confirm(
            visit,
            Question(
                title="Archive the event type",
                question=f"Archive {kind.name}?",
                points=(
                    "It is offered to nobody any more.",
                    "Endpoints that listen to it go on doing so, and messages of it are delivered.",
                ),
                action=visit.link(f"{there}/archive"),
                button="Archive it",
                back=visit.link(there),
                hidden={"sure": "yes"},
            ),
        )

    async def _kind(self, visit: Visit) -> EventType:
        flags, name = visit.who.principal.feature_flags, visit.parts["name"]
        return await self._behind.outbox.read(lambda store: event_type_for(store, name, flags))


def _version(visit: Visit, kind: EventType) -> str:
    """Return the version of the schema that is asked for; empty where there is none at all.

    Raises:
        NotFound: There is no such version.
    """
    schemas, asked = kind.schemas or {}, visit.query.get("version")
    if asked and asked not in schemas:
        raise NotFound("this event type has no such version")
    return asked or (newest_version(schemas) if schemas else "")


def _schema(kind: EventType, version: str) -> bytes:
    return bytes((kind.schemas or {})[version]) if version else b""


def _weight(version: str) -> int:
    return AROUND_VERSION + 2 * weight(version)


def _typed(visit: Visit, kind: EventType | None) -> dict[str, Any]:
    form = visit.form
    return {
        "name": form.get("name"),
        "description": form.get("description"),
        "deprecated": form.ticked("deprecated"),
        "group_name": form.get("groupName") or None,
        "feature_flags": names(form.get("featureFlags")),
        "schemas": kind.schemas
        if kind is not None and form.ticked("keep")
        else _schemas(form.get("schema", MAX_SCHEMA_BYTES), kind),
    }


def _schemas(text: str, kind: EventType | None) -> dict[str, msgspec.Raw] | None:
    """Return the schemas with the newest as typed; without a text there are none."""
    if not text:
        return None
    try:
        msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput.at("schema", msg=f"is no JSON: {error}") from None
    before = (kind.schemas or {}) if kind is not None else {}
    newest = newest_version(before) if before else FIRST_VERSION
    return {**before, newest: msgspec.Raw(text.encode())}


def _indented(schema: bytes) -> str | None:
    """Return a schema as it is written for people, or as it is; None where a form cannot hold it."""
    ways = (text.decode("utf-8", "replace") for text in (msgspec.json.format(schema, indent=2), schema))
    return next((text for text in ways if len(text) <= MAX_FIELD and weight(text) <= MAX_SCHEMA), None)


def _sample(kind: EventType) -> bytes:
    try:
        return example_payload(kind, 0)
    except NoExample:
        return b""


def _written(visit: Visit) -> dict[str, Any]:
    written: dict[str, Any] = {name: visit.form.typed(name) for name in FIELDS}
    return {**written, "deprecated": visit.form.ticked("deprecated")}


def _form(
    visit: Visit, kind: EventType | None, values: dict[str, Any], error: RingbackError | None = None
) -> Page:
    given = {
        "place": PLACE,
        "kind": kind,
        "values": {**dict.fromkeys(FIELDS, ""), "deprecated": False, **values},
        "faults": {} if error is None else faults(error),
    }
    return page(visit, "event_type_form.html", given, status=200 if error is None else status_of(error))
