"""The page of an endpoint's transformation: an expression, which can be tried on a sample before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.design.contents import weight, within
from ringback.drafts import checked_json
from ringback.errors import RingbackError
from ringback.examples import PING
from ringback.model import Application, Endpoint, Transformation
from ringback.option_drafts import TransformationDraft
from ringback.rehearsal import DryRunDraft, Rehearsal, rehearse
from ringback.server.pages.behind import Behind
from ringback.server.pages.endpoints import receiver
from ringback.server.pages.forms import REFUSED, faults, fitting, pairs, status_of, written_pairs
from ringback.server.pages.page import Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.store import MessageFilter, Store
from ringback.store import Page as Part

TEXTS = ("code", "variables", "enabled", "eventType", "payload")
# How many bytes of a page each of these may take; what takes more is not changed here.
MAX_CODE, MAX_VARIABLES = 20_000, 8_000
MAX_SAMPLE, MAX_HEADERS = 6_000, 5_000
AROUND_HEADER = 40
# Among how many of the latest messages a sample is looked for: rather one that is no ping.
LATEST = 5
LONGEST_HEADER = 200
SAMPLE_TYPE = "invoice.paid"
SAMPLE = '{\n  "id": "inv_1",\n  "amount": 75000\n}'


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, and a message that it may be tried with."""

    application: Application
    endpoint: Endpoint
    event_type: str = SAMPLE_TYPE
    payload: str = SAMPLE

    @property
    def held(self) -> Transformation:
        """Its transformation; where it has none, one that does nothing."""
        return self.endpoint.transformation or Transformation()


class EndpointTransformation:
    """What an endpoint is sent in place of payloads.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show it, with a message to try it on: the latest that the endpoint was for."""
        found = await self._found(visit)
        return _page(visit, found, _values(found))

    async def change(self, visit: Visit) -> Page:
        """Keep what is typed, or only try it on the sample."""
        found = await self._found(visit)
        try:
            draft = _typed(visit, found.held)
            draft.check()
            if visit.form.get("step") == "try":
                rehearsal = rehearse(_tried(found.endpoint, draft), _sample(visit), self._behind.clock())
                return _page(visit, found, _written(visit), rehearsal=rehearsal)
            changes = {"code": draft.code, "enabled": draft.enabled, "variables": draft.variables}
            await self._behind.outbox.options.change_transformation(
                found.application.id, found.endpoint.id, changes
            )
        except REFUSED as error:
            return _page(visit, found, _written(visit), error)
        return see(visit, f"{Ways(visit).endpoint(found.endpoint)}/transformation", _said(draft))

    async def _found(self, visit: Visit) -> Found:
        return await self._behind.outbox.read(lambda store: _found(store, visit))


def _found(store: Store, visit: Visit) -> Found:
    application, endpoint = receiver(store, visit)
    latest = store.addressed(
        application.id, endpoint.id, MessageFilter(), Part(limit=LATEST, descending=True)
    )
    for _, message in sorted(latest, key=lambda row: row[1].event_type == PING):
        written = _legible(message.payload or b"")
        if written is not None:
            return Found(
                application=application,
                endpoint=endpoint,
                event_type=message.event_type,
                payload=written,
            )
    kind = endpoint.event_types[0] if endpoint.event_types else SAMPLE_TYPE
    return Found(application=application, endpoint=endpoint, event_type=kind)


def _legible(payload: bytes) -> str | None:
    """Return a payload as people write JSON; None for what is none, or too long for a form."""
    if len(payload) > MAX_SAMPLE:
        return None
    try:
        plain = checked_json(payload).decode()
        written = msgspec.json.format(plain)
    except (RingbackError, UnicodeDecodeError, msgspec.DecodeError, RecursionError):
        return None
    return next((text for text in (written, plain) if weight(text) <= MAX_SAMPLE), None)


def _values(found: Found) -> dict[str, Any]:
    """Return what the form shows; None for what is too long for it."""
    return {
        "code": fitting(found.held.code or "", MAX_CODE),
        "variables": fitting(written_pairs(found.held.variables), MAX_VARIABLES),
        "enabled": found.held.enabled,
        "eventType": found.event_type,
        "payload": found.payload,
    }


def _written(visit: Visit) -> dict[str, Any]:
    """Return what was typed; None for what the form did not show."""
    form = visit.form
    return {name: form.typed(name) if form.all(name) or name == "enabled" else None for name in TEXTS}


def _typed(visit: Visit, held: Transformation) -> TransformationDraft:
    """Return what the form says; what it does not show is as it was. Raises ``InvalidInput``."""
    form = visit.form
    code = form.get("code") or None if form.all("code") else held.code
    variables = held.variables
    if form.all("variables"):
        variables = pairs("variables", form.get("variables"), held.variables)
    return TransformationDraft(code=code, enabled=form.ticked("enabled"), variables=variables)


def _sample(visit: Visit) -> DryRunDraft:
    payload = checked_json(visit.form.get("payload").encode(errors="replace"))
    return DryRunDraft(event_type=visit.form.get("eventType"), payload=msgspec.Raw(payload))


def _tried(endpoint: Endpoint, draft: TransformationDraft) -> Endpoint:
    """Return an endpoint as it would be with what is typed, in use."""
    made = Transformation(code=draft.code, enabled=True, variables=draft.variables or {})
    return msgspec.structs.replace(endpoint, transformation=made)


def _said(draft: TransformationDraft) -> Said:
    if draft.code is None:
        return Said("There is no transformation: payloads are sent as they are.")
    if not draft.enabled:
        return Said("The transformation is kept, but not in use.", "wait")
    return Said("The transformation is in use from now on.")


def _page(
    visit: Visit,
    found: Found,
    values: Mapping[str, Any],
    error: RingbackError | None = None,
    rehearsal: Rehearsal | None = None,
) -> Page:
    letter = None if rehearsal is None else rehearsal.letter
    given = {
        "place": Ways(visit).place_of(found.application.id),
        "application": found.application,
        "endpoint": found.endpoint,
        "values": values,
        "faults": {} if error is None else faults(error),
        "tried": rehearsal,
        "headers": () if letter is None else within(tuple(letter.headers.items()), _weight, MAX_HEADERS),
    }
    status = 200 if error is None else status_of(error)
    contents = () if letter is None else (letter.body,)
    return page(visit, "endpoint_transformation.html", given, status=status, contents=contents)


def _weight(header: tuple[str, str]) -> int:
    name, value = header
    return AROUND_HEADER + weight(name) + weight(value[:LONGEST_HEADER])
