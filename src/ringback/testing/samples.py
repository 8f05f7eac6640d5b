"""An ordinary request of each provider, before it is signed, and where its event type and id stand in it.

A place is a dotted path into the body, such as ``data.object.id`` or ``0.event``, or ``header:`` and a header's name.
"""

from __future__ import annotations

import difflib
import functools
import importlib.resources
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from ringback.errors import InvalidInput
from ringback.providers import catalogue
from ringback.providers.recognition import FORM, inside
from ringback.providers.xendit import SHAPES, key_fields, subject_of

JSON = "application/json"
CONTENT_TYPE = "content-type"
HEADER = "header:"
XENDIT = "xendit"
# What a sender without a profile of its own is taken to send.
GENERIC = "hmac"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's ordinary request.

    Attributes:
        event_type: What happened in it.
        type_at: Where the event type stands; of several places, each holds what lies between two full stops.
        id_at: Where the event's id stands, beside those places where the scheme puts it.
        id_prefix: What an id in the body must start with.
        headers: Its headers; the content type is JSON if they do not say.
        body: Its body as JSON, whatever form it is sent in.
    """

    event_type: str
    type_at: tuple[str, ...] = ()
    id_at: tuple[str, ...] = ()
    id_prefix: str = ""
    headers: Mapping[str, str] = {}
    body: msgspec.Raw

    def draft(self) -> Draft:
        """Return a copy to write into."""
        headers = {CONTENT_TYPE: JSON, **self.headers}
        return Draft(headers=headers, body=msgspec.json.decode(self.body))


class Draft(msgspec.Struct, kw_only=True):
    """Headers and body of a request being made: the body as JSON's values, or bytes to be sent as they are."""

    headers: dict[str, str]
    body: Any

    def write(self, place: str, value: Any) -> None:
        """Put *value* in a place.

        Raises:
            InvalidInput: The way to that place leads through nothing.
        """
        if place.startswith(HEADER):
            self.headers[place.removeprefix(HEADER)] = str(value)
            return
        holder, name = self._holder(place)
        if isinstance(holder, list):
            holder[int(name)] = value
        else:
            holder[name] = value

    def write_id(self, place: str, event_id: str) -> None:
        """Put an event's id in a place, as a number where numbers stand.

        Raises:
            InvalidInput: As ``write``, or a number stands there and *event_id* is none.
        """
        numbered = isinstance(inside(self.body, place), int)
        if numbered and not (event_id.isascii() and event_id.isdigit()):
            raise InvalidInput.at("event_id", msg="this provider's ids are whole numbers: use digits")
        self.write(place, int(event_id) if numbered else event_id)

    def remove(self, place: str) -> None:
        """Leave out what is in a place."""
        if place.startswith(HEADER):
            self.headers.pop(place.removeprefix(HEADER), None)
            return
        holder, name = self._holder(place)
        if isinstance(holder, dict):
            holder.pop(name, None)

    def raw(self) -> bytes:
        """Return the body's bytes: JSON without spaces, or a form where the content type says so."""
        if isinstance(self.body, bytes):
            return self.body
        if self.headers.get(CONTENT_TYPE) == FORM:
            return urlencode(self.body).encode()
        return msgspec.json.encode(self.body)

    def _holder(self, place: str) -> tuple[MutableMapping[str, Any] | list[Any], str]:
        way, _, name = place.rpartition(".")
        holder = inside(self.body, way) if way else self.body
        fits = isinstance(holder, dict) or (
            isinstance(holder, list) and name.isdigit() and int(name) < len(holder)
        )
        if not fits:
            raise InvalidInput.at("fields", place, msg=f"the sample's body has no place {place}")
        return holder, name


def sample_of(provider: str, event_type: str | None = None) -> Sample:
    """Return a provider's sample: Xendit's for *event_type*, any other's for whatever it is.

    Raises:
        InvalidInput: Xendit's catalogue has no such event type; the message names similar ones.
    """
    if provider == XENDIT:
        return _xendit(event_type or "invoice.paid")
    samples = _samples()
    return samples.get(provider, samples[GENERIC])


def xendit_event_types() -> tuple[str, ...]:
    """Return the event types of Xendit that there are samples of, 77 of them, sorted."""
    return tuple(sorted(_xendit_bodies()))


def _xendit(event_type: str) -> Sample:
    bodies = _xendit_bodies()
    if event_type not in bodies:
        similar = difflib.get_close_matches(event_type, bodies, cutoff=0.5) or xendit_event_types()
        raise InvalidInput.at(
            "event_type", msg=f"Xendit's catalogue has no {event_type!r}; it has {', '.join(similar)}"
        )
    raw = bodies[event_type]
    body = msgspec.json.decode(raw)
    prefix = next((shape.id_prefix for shape in SHAPES if shape.fits(body)), "")
    return Sample(event_type=event_type, id_at=(_identity(event_type, body),), id_prefix=prefix, body=raw)


def _identity(event_type: str, body: dict[str, Any]) -> str:
    """Find where the id of the thing stands that the event is about: an invoice's, a payment's."""
    subject = subject_of(body)
    name = next(name for name in key_fields(event_type)[0].split("|") if name in subject)
    way = (
        next(way for way in ("data", "data.data") if inside(body, way) is subject)
        if subject is not body
        else ""
    )
    return f"{way}.{name}" if way else name


class _Entry(Sample, frozen=True, kw_only=True):
    providers: tuple[str, ...]


@functools.cache
def _samples() -> Mapping[str, Sample]:
    data = importlib.resources.files("ringback.testing").joinpath("samples.json").read_bytes()
    entries = msgspec.json.decode(data, type=list[_Entry])
    return {provider: entry for entry in entries for provider in entry.providers}


@functools.cache
def _xendit_bodies() -> Mapping[str, msgspec.Raw]:
    return {entry.event_type: entry.sample for entry in catalogue(XENDIT) if not entry.variant}
