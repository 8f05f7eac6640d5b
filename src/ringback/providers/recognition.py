"""Finding an event's id, type and key in a request: small values that each read one place, and combinations.

Nothing here raises, whatever the bytes: what is not there, or is of another kind, is None.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ringback.signing import Request

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1_000
MIXED = "batch"
LONGEST = 255


class Content(msgspec.Struct, frozen=True, gc=False):
    """A request and its body read once: JSON, the fields of a form, or None for what is neither."""

    request: Request
    body: Any


class Recognised(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a request is about, as far as it can be told; ``providers.Received`` explains the fields."""

    event_id: str | None = None
    event_type: str | None = None
    dedupe_key: str | None = None
    business_key: str | None = None
    is_test: bool = False


def read(request: Request) -> Content:
    """Read the body of *request*."""
    try:
        return Content(request, msgspec.json.decode(request.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Content(request, _form(request))


def text_of(value: Any) -> str | None:
    """Return a text, number or truth value as text; None for everything else and for the empty text."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) and abs(value) < 10**20 else None


def inside(value: Any, path: str) -> Any:
    """Follow a dotted *path* through objects, and through lists by number; None where it leads nowhere."""
    if isinstance(value, dict) and "." not in path:
        return value.get(path)
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


class Lookup(Protocol):
    """Reads one text from a request."""

    def find(self, content: Content) -> str | None:
        """Return the text, None where there is none."""
        ...


class Header(msgspec.Struct, frozen=True):
    """A header's value."""

    name: str

    def find(self, content: Content) -> str | None:
        """Return the header's value."""
        return content.request.headers.get(self.name) or None


class Field(msgspec.Struct, frozen=True):
    """A field of the body, by its dotted path."""

    path: str

    def find(self, content: Content) -> str | None:
        """Return the field's value as text."""
        return text_of(inside(content.body, self.path))


class UrlPath(msgspec.Struct, frozen=True):
    """The path of the URL."""

    def find(self, content: Content) -> str | None:
        """Return the path."""
        try:
            return urlsplit(content.request.url).path or None
        except ValueError:
            return None


class BodyHash(msgspec.Struct, frozen=True):
    """A hash of the body: the key of last resort, where a provider repeats a message byte for byte."""

    def find(self, content: Content) -> str | None:
        """Return the hash."""
        return "sha256:" + hashlib.sha256(content.request.body).hexdigest()


class Either(msgspec.Struct, frozen=True):
    """The first that is there."""

    lookups: tuple[Lookup, ...]

    def find(self, content: Content) -> str | None:
        """Return the first text found."""
        found = (lookup.find(content) for lookup in self.lookups)
        return next((text for text in found if text is not None), None)


class Joined(msgspec.Struct, frozen=True):
    """Several texts with *by* between them; the first must be there, the others only if ``strict``."""

    lookups: tuple[Lookup, ...]
    by: str = "."
    strict: bool = False

    def find(self, content: Content) -> str | None:
        """Return the texts joined."""
        found = [lookup.find(content) for lookup in self.lookups]
        if found[0] is None or (self.strict and None in found):
            return None
        return self.by.join(text for text in found if text is not None)


class EachId(msgspec.Struct, frozen=True):
    """The ids of all items of a batch, which together name the batch; every item must have one."""

    items: str
    of: Lookup

    def find(self, content: Content) -> str | None:
        """Return the ids, sorted."""
        found = [self.of.find(item) for item in _items(content, self.items)]
        if not found or None in found:
            return None
        return ",".join(sorted(text for text in found if text is not None))


class EachType(msgspec.Struct, frozen=True):
    """The event type of a batch: that of its items if it is one and the same, or else ``batch``."""

    items: str
    of: Lookup

    def find(self, content: Content) -> str | None:
        """Return the type."""
        found = {self.of.find(item) for item in _items(content, self.items)}
        if not found or None in found:
            return None
        return found.pop() if len(found) == 1 else MIXED


class Recogniser(msgspec.Struct, frozen=True, kw_only=True):
    """Recognition by lookups. Without a ``dedupe_key``, the event's id is the key."""

    event_type: Lookup
    event_id: Lookup | None = None
    dedupe_key: Lookup | None = None
    is_test: Callable[[Content], bool] | None = None

    def __call__(self, content: Content) -> Recognised:
        """Recognise a request."""
        event_id = self.event_id.find(content) if self.event_id else None
        return Recognised(
            event_id=event_id,
            event_type=self.event_type.find(content),
            dedupe_key=self.dedupe_key.find(content) if self.dedupe_key else event_id,
            is_test=self.is_test is not None and self.is_test(content),
        )


def equals(lookup: Lookup, *texts: str) -> Callable[[Content], bool]:
    """Build the test whether what *lookup* finds is one of *texts*."""
    return lambda content: lookup.find(content) in texts


def _items(content: Content, path: str) -> Iterator[Content]:
    value = inside(content.body, path) if path else content.body
    items: Sequence[Any] = value if isinstance(value, list) else ()
    return (Content(content.request, item) for item in items)


def _form(request: Request) -> dict[str, str] | None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return None
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return None
    return dict(pairs)
