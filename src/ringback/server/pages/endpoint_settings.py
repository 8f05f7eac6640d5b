"""The form of an endpoint's settings: where it is, what it gets, and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.drafts import EndpointDraft
from ringback.errors import InvalidInput, RingbackError
from ringback.model import Application, Duration, Endpoint, EventType
from ringback.policy import parse_duration
from ringback.secrecy import SENSITIVE_HEADERS, masked_url, unmasked_url
from ringback.server.api.event_type import known
from ringback.server.pages.behind import Behind
from ringback.server.pages.endpoints import pair
from ringback.server.pages.first_look import first_look
from ringback.server.pages.forms import REFUSED, faults, names, pairs, status_of, written_pairs
from ringback.server.pages.page import Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.tenants import tenant
from ringback.server.pages.ways import Ways
from ringback.store import Page as Part
from ringback.store import Store

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


class About(msgspec.Struct, frozen=True):
    """What a form is about: an application, its endpoint unless that is new, and the event types there are."""

    application: Application
    endpoint: Endpoint | None
    kinds: tuple[EventType, ...]


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
            draft = EndpointDraft(**typed(visit, None))
            flags = visit.who.principal.feature_flags
            endpoint = await self._behind.outbox.create_endpoint(about.application.id, draft, flags=flags)
        except REFUSED as error:
            return _form(visit, about, _written(visit), error)
        # It is stored by now: whatever comes of this, it stays.
        said = await first_look(self._behind, visit, endpoint)
        return see(visit, f"{Ways(visit).endpoint(endpoint)}/start", said)

    async def edit(self, visit: Visit) -> Page:
        """Ask for the settings."""
        about = await self._about(visit)
        assert about.endpoint is not None  # noqa: S101 - the address names one
        return _form(visit, about, _values(about.endpoint))

    async def change(self, visit: Visit) -> Page:
        """Change them."""
        about = await self._about(visit)
        assert about.endpoint is not None  # noqa: S101 - as above
        try:
            changes = typed(visit, about.endpoint)
            flags = visit.who.principal.feature_flags
            await self._behind.outbox.change_endpoint(about.application.id, about.endpoint.id, changes, flags)
        except REFUSED as error:
            return _form(visit, about, _written(visit), error)
        return see(visit, Ways(visit).endpoint(about.endpoint), Said("The settings are changed."))

    async def _about(self, visit: Visit) -> About:
        flags, few = visit.who.principal.feature_flags, Part(limit=MAX_BOXES + 1)

        def look_up(store: Store) -> About:
            application, endpoint = (
                pair(store, visit) if "ep" in visit.parts else (tenant(store, visit.parts["app"]), None)
            )
            return About(application, endpoint, tuple(known(store, few, flags, archived=False)))

        return await self._behind.outbox.read(look_up)


def typed(visit: Visit, before: Endpoint | None) -> dict[str, Any]:
    """Return what the form says, as a draft has it; what it does not show is as it was *before*.

    Raises:
        InvalidInput: A line of it cannot be read.
    """
    form = visit.form
    headers = pairs("headers", form.get("headers"))
    return {
        "url": _url(form.get("url"), "" if before is None else before.url),
        "description": form.get("description"),
        "uid": form.get("uid") or None,
        "event_types": names(" ".join(form.all("eventTypes"))),
        "channels": names(form.get("channels")),
        "headers": headers if before is None else _unmasked(headers, before.headers),
        "metadata": pairs("metadata", form.get("metadata"), None if before is None else before.metadata),
        # A number that is none is left to the draft's rules, which say what it may be.
        "throttle_rate": (form.number("throttleRate") or 0) if form.get("throttleRate") else None,
        "ordered": form.ticked("ordered"),
        "retry_schedule": _schedule(form.get("retrySchedule")),
    }


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


def _written(visit: Visit) -> dict[str, str]:
    written = {name: visit.form.typed(name) for name in TEXTS}
    return {**written, "eventTypes": "\n".join(visit.form.all("eventTypes"))}


def _form(visit: Visit, about: About, values: dict[str, Any], error: RingbackError | None = None) -> Page:
    wrong = {} if error is None else faults(error)
    chosen = names(values.get("eventTypes", "")) or ()
    # What is no longer there, but was chosen.
    others = [name for name in chosen if name not in {kind.name for kind in about.kinds}]
    is_ticked = len(about.kinds) + len(others) <= MAX_BOXES
    given = {
        "place": Ways(visit).place,
        "application": about.application,
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
