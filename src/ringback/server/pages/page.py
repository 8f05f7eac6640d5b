"""What a page is made from and what it is: the values that come in and go out, without any framework."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode

import msgspec

from ringback.access import Right
from ringback.design.rendering import HEADERS, HTML
from ringback.errors import InvalidInput
from ringback.server.pages.brand import Brand
from ringback.sessions import Session

# What all addresses of the portal begin with.
PORTAL = "portal"
MAX_FIELD = 20_000
MAX_DIGITS = 9
# Of a name that a file is saved under, what every system takes.
_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

Header = tuple[str, str]


class Fields(msgspec.Struct, frozen=True):
    """What was sent by name: in an address after the question mark, or by a form."""

    values: Mapping[str, tuple[str, ...]] = {}

    def get(self, name: str, most: int = MAX_FIELD) -> str:
        """Return a field without space around it, of several the last; empty without it.

        Raises:
            InvalidInput: It has more than so many characters.
        """
        text = self.typed(name)
        if len(text) > most:
            raise InvalidInput.at(name, msg=f"has more than {most:,} characters")
        return text

    def typed(self, name: str) -> str:
        """Return a field as ``get`` does, however long it is: to be shown again where something is wrong with it."""
        # Browsers end the lines of a field with CR and LF (HTML, 4.10.21.4).
        return self.values.get(name, ("",))[-1].strip().replace("\r\n", "\n")

    def all(self, name: str) -> tuple[str, ...]:
        """Return the fields of a name, such as the boxes that are ticked."""
        return self.values.get(name, ())

    def number(self, name: str) -> int | None:
        """Return a whole number; None for what is none."""
        text = self.get(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None

    def ticked(self, name: str) -> bool:
        """Tell whether a box was ticked."""
        return self.typed(name) != ""


NOTHING = Fields()


class Look(msgspec.Struct, frozen=True):
    """How somebody wants pages to look: the theme, empty for that of their system, and whether keys are shortcuts."""

    theme: str = ""
    shortcuts: bool = True


class Said(msgspec.Struct, frozen=True):
    """What came of a form, told on the page after it; ``tone`` is ``good``, ``wait`` or ``bad``."""

    text: str
    tone: str = "good"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a page.

    Args:
        path: The address, below the first page and without its first slash, decoded.
        root: The way from that address to the first page, such as ``../``: what all links begin with.
        parts: What stands for the parts of the route in braces.
        query: What follows the question mark.
        form: What a form sent.
        session: Whose it is; None only where the route is open to everybody.
        look: How pages are to look.
        said: What came of the form before.
        partial: Whether a script asks, to renew a part of a page.
        origin: The scheme and host that the browser asked for, as far as it tells.
        base: Where the first page is, without the slash at its end, to be told to others.
        is_settled: Whether a setting says so; otherwise it is what can be told of the request.
        safe: Whether nobody can listen between the browser and this server, as far as the browser knows.
        headers: The headers of the request, for what is seldom asked.
        brand: How the portal looks, where the page is one of it.
    """

    path: str
    root: str
    parts: Mapping[str, str] = {}
    query: Fields = NOTHING
    form: Fields = NOTHING
    session: Session | None = None
    look: Look = Look()
    said: Said | None = None
    partial: bool = False
    origin: str = ""
    base: str = ""
    is_settled: bool = False
    safe: bool = True
    headers: Mapping[str, str] = {}
    brand: Brand | None = None

    @property
    def home(self) -> str:
        """The way from the first page to the one where whoever asks begins; it ends with a slash or is empty."""
        return "" if self.brand is None else f"{PORTAL}/"

    @property
    def who(self) -> Session:
        """The session, on routes that need one."""
        assert self.session is not None  # noqa: S101 - the site lets nobody past without one
        return self.session

    def may(self, right: Right) -> bool:
        """Tell whether whoever asks may do something."""
        return self.session is not None and self.session.may(right)

    def link(self, path: str, **query: object) -> str:
        """Return the address of another page, seen from this one; parts of the query that are None or empty go.

        *path* is relative to the first page. What comes from outside is to be quoted: see ``segment``.
        """
        given = {
            name: value for name, value in query.items() if value is not None and value not in ("", (), [])
        }
        tail = f"?{urlencode(given, doseq=True, errors='replace')}" if given else ""
        return f"{self.root}{path}{tail}"

    def here(self, **query: object) -> str:
        """Return this page's own address, with some of its query replaced; what is None or empty goes."""
        return self.link(segments(self.path), **{**self.query.values, **query})


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a visit."""

    body: bytes = b""
    status: int = HTTPStatus.OK
    content_type: str = HTML
    headers: tuple[Header, ...] = HEADERS
    # Told on the page after this one.
    said: Said | None = None
    # The browser's session from now on: a cookie to keep, or an empty one to forget; and whether it is for the portal.
    session: str | None = None
    portal: bool = False
    look: Look | None = None


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that goes on until the browser leaves or the server stops."""

    parts: AsyncIterator[bytes]
    content_type: str
    headers: tuple[Header, ...] = HEADERS


Answer = Page | Stream
Action = Callable[[Visit], Awaitable[Answer]]


def segment(text: str) -> str:
    """Return a text as one part of an address."""
    return quote(text, safe="", errors="replace")


def segments(path: str) -> str:
    """Return a decoded path as it is written in an address."""
    return quote(path, safe="/", errors="replace")


def see(visit: Visit, path: str, said: Said | None = None, **query: object) -> Page:
    """Send the browser to another page after a form (RFC 9110, 15.4.4), where *said* is told."""
    return Page(
        status=HTTPStatus.SEE_OTHER, headers=(*HEADERS, ("location", visit.link(path, **query))), said=said
    )


def download(content: bytes, name: str, content_type: str = "application/octet-stream") -> Page:
    """Return a file to be saved, never shown: nothing in it can act as a page of ours."""
    plain = "".join(letter if letter in _PLAIN_NAME else "_" for letter in name)[:100]
    kept = ("content-disposition", f'attachment; filename="{plain}"')
    sealed = ("content-security-policy", "default-src 'none'; sandbox")
    return Page(body=content, content_type=content_type, headers=(*HEADERS, kept, sealed))
