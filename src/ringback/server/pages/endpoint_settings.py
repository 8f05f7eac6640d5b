"""The form of an endpoint's settings: where it is, what it gets, and how fast; of an application's or a source's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback import ids
from ringback.drafts import EndpointDraft, ForwardDraft
from ringback.errors import InvalidInput, RingbackError
from ringback.model import Application, Duration, Endpoint, EventType
from ringback.observe import Deed
from ringback.policy import parse_duration
from ringback.secrecy import SENSITIVE_HEADERS, masked_url, unmasked_url
from ringback.server.api.event_type import known
from ringback.server.pages.behind import Behind
from ringback.server.pages.endpoints import pair
from ringback.server.pages.first_look import first_look
from ringback.server.pages.forms import (
    REFUSED,
    faults,
    fitting,
    lines,
    names,
    pairs,
    status_of,
    written_pairs,
)
from ringback.server.pages.page import Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.tenants import tenant
from ringback.server.pages.ways import Ways
from ringback.store import MessageFilter, Store
from ringback.store import Page as Part

# What most people fill in; the rest of the form is folded away.
FIRST = ("url", "description", "eventTypes")
TEXTS = (
    *FIRST,
    "uid",
    "channels",
    "headers",
    "throttleRate",
    "ordered",
    "retrySchedule",
    "metadata",
)
SECOND = 1000
NO_RETRIES = "none"
# More event types than that are typed rather than ticked.
MAX_BOXES = 60
# Stands for the value of a header that is secret.
DOTS = "\u2022" * 8
# Of the event types that came to a source lately, how many are named, among how many messages.
MAX_LATELY = 8
LATELY = 50
# How many bytes of a page the patterns of a forward may take; more are not changed here.
MAX_PATTERNS = 16_000


class About(msgspec.Struct, frozen=True):
    """What a form is about: an application or a source, its endpoint unless that is new, and the event types there are.

    Those of a source are its provider's, which nobody registers: ``lately`` names some that came.
    """

    application: Application
    endpoint: Endpoint | None
    kinds: tuple[EventType, ...] = ()
    lately: tuple[str, ...] = ()

    @property
    def is_forward(self) -> bool:
        """Whether it is about where a source's messages are forwarded to."""
        return ids.is_id(ids.SOURCE, self.application.id)


class EndpointSettings:
    """What an endpoint is told to be.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def draft(self, visit: Visit) -> Page:
        """Ask for a new one."""
        return _form(visit, await self._about(visit), {})

    async def create(self, visit: Visit) -> Page:
        """Make it, try it out, and lead to what is left to do until it works."""
        about = await self._about(visit)
        try:
            draft = (ForwardDraft if about.is_forward else EndpointDraft)(**typed(visit, about))
            flags = visit.who.principal.feature_flags
            endpoint = await self._behind.outbox.create_endpoint(about.application.id, draft, flags=flags)
        except REFUSED as error:
            return _form(visit, about, _written(visit, about), error)
        self._behind.audit.of_forward(visit.who.caller, Deed.FORWARD_MADE, endpoint)
        # It is stored by now: whatever comes of this, it stays.
        said = await first_look(self._behind, visit, endpoint)
        return see(visit, f"{Ways(visit).endpoint(endpoint)}/start", said)

    async def edit(self, visit: Visit) -> Page:
        """Ask for the settings."""
        about = await self._about(visit)
        assert about.endpoint is not None  # noqa: S101 - the address names one
        values = _values(about.endpoint)
        if about.is_forward:
            values["eventTypes"] = fitting(values["eventTypes"], MAX_PATTERNS)
        return _form(visit, about, values)

    async def change(self, visit: Visit) -> Page:
        """Change them."""
        about = await self._about(visit)
        assert about.endpoint is not None  # noqa: S101 - as above
        try:
            changes = typed(visit, about)
            flags = visit.who.principal.feature_flags
            await self._behind.outbox.change_endpoint(about.application.id, about.endpoint.id, changes, flags)
        except REFUSED as error:
            return _form(visit, about, _written(visit, about), error)
        self._behind.audit.of_forward(visit.who.caller, Deed.FORWARD_CHANGED, about.endpoint)
        return see(visit, Ways(visit).endpoint(about.endpoint), Said("The settings are changed."))

    async def _about(self, visit: Visit) -> About:
        flags, few = visit.who.principal.feature_flags, Part(limit=MAX_BOXES + 1)

        def look_up(store: Store) -> About:
            about = About(*_owner_and_endpoint(store, visit))
            if about.is_forward:
                return msgspec.structs.replace(about, lately=_lately(store, about.application.id))
            kinds = known(store, few, flags, archived=False)
            return msgspec.structs.replace(about, kinds=tuple(kinds))

        return await self._behind.outbox.read(look_up)


def _owner_and_endpoint(store: Store, visit: Visit) -> tuple[Application, Endpoint | None]:
    if "ep" in visit.parts:
        return pair(store, visit)
    if "source" in visit.parts:
        return store.application(store.source(visit.parts["source"]).id), None
    return tenant(store, visit.parts["app"]), None


def _lately(store: Store, source_id: str) -> tuple[str, ...]:
    latest = store.messages(source_id, MessageFilter(), Part(limit=LATELY, descending=True))
    return tuple(dict.fromkeys(message.event_type for message in latest))[:MAX_LATELY]


def typed(visit: Visit, about: About) -> dict[str, Any]:
    """Return what the form says, as a draft has it; what it does not show is as it was.

    Raises:
        InvalidInput: A line of it cannot be read.
    """
    form, before = visit.form, about.endpoint
    headers = pairs("headers", form.get("headers"))
    return {
        "url": _url(form.get("url"), "" if before is None else before.url),
        "description": form.get("description"),
        "uid": form.get("uid") or None,
        "event_types": _event_types(visit, about),
        "channels": names(form.get("channels")),
        "headers": headers if before is None else _unmasked(headers, before.headers),
        "metadata": pairs("metadata", form.get("metadata"), None if before is None else before.metadata),
        # A number that is none is left to the draft's rules, which say what it may be.
        "throttle_rate": (form.number("throttleRate") or 0) if form.get("throttleRate") else None,
        "ordered": form.ticked("ordered"),
        "retry_schedule": _schedule(form.get("retrySchedule")),
    }


def _event_types(visit: Visit, about: About) -> tuple[str, ...] | None:
    if about.is_forward:
        before = None if about.endpoint is None else about.endpoint.event_types
        return lines(visit.form.typed("eventTypes"), before) if visit.form.all("eventTypes") else before
    return names(" ".join(visit.form.all("eventTypes")))


def _schedule(text: str) -> tuple[float, ...] | None:
    if text.lower() == NO_RETRIES:
        return ()
    try:
        found = tuple(parse_duration(part) / SECOND for part in names(text) or ())
    except ValueError as error:
        raise InvalidInput.at("retrySchedule", msg=str(error)) from None
    return found or None


def _url(text: str, before: str) -> str:
    try:
        return unmasked_url(text, before)
    except ValueError as error:
        raise InvalidInput.at("url", msg=str(error)) from None


def _unmasked(headers: dict[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Return headers as typed, with what they were where dots still stand for it."""
    return {name: before.get(name, value) if value == DOTS else value for name, value in headers.items()}


def _values(endpoint: Endpoint) -> dict[str, Any]:
    delays = endpoint.retry_schedule
    return {
        "url": masked_url(endpoint.url),
        "description": endpoint.description,
        "uid": endpoint.uid or "",
        "eventTypes": "\n".join(endpoint.event_types or ()),
        "channels": "\n".join(endpoint.channels or ()),
        "headers": written_pairs(
            {
                name: DOTS if name.lower() in SENSITIVE_HEADERS else value
                for name, value in endpoint.headers.items()
            }
        ),
        "throttleRate": endpoint.throttle_rate or "",
        "retrySchedule": "" if delays is None else ", ".join(map(_written_delay, delays)) or NO_RETRIES,
        "ordered": "yes" if endpoint.ordered else "",
        "metadata": written_pairs(endpoint.metadata),
    }


def _written_delay(delay: Duration) -> str:
    return f"{delay / SECOND:.10g}s"


def _written(visit: Visit, about: About) -> dict[str, Any]:
    """Return what was typed; None for what the form did not show."""
    written: dict[str, Any] = {name: visit.form.typed(name) for name in TEXTS}
    if about.is_forward and not visit.form.all("eventTypes"):
        return {**written, "eventTypes": None}
    # Boxes that are ticked, or a field of several lines.
    return {**written, "eventTypes": "\n".join(visit.form.all("eventTypes")).replace("\r\n", "\n")}


def _form(visit: Visit, about: About, values: dict[str, Any], error: RingbackError | None = None) -> Page:
    wrong = {} if error is None else faults(error)
    chosen = names(values.get("eventTypes") or "") or ()
    # What is no longer there, but was chosen.
    others = [name for name in chosen if name not in {kind.name for kind in about.kinds}]
    is_ticked = len(about.kinds) + len(others) <= MAX_BOXES
    given = {
        "place": Ways(visit).place_of(about.application.id),
        "application": about.application,
        "is_forward": about.is_forward,
        "lately": about.lately,
        "endpoint": about.endpoint,
        "kinds": about.kinds if is_ticked else (),
        "chosen": chosen,
        "others": others,
        "has_more": len(about.kinds) > MAX_BOXES,
        "values": {**dict.fromkeys(TEXTS, ""), **values},
        "faults": wrong,
        "more": not wrong.keys() <= {"", *FIRST},
    }
    return page(visit, "endpoint_form.html", given, status=200 if error is None else status_of(error))
