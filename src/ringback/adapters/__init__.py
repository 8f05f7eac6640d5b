"""Adapters: each turns one framework's request into ``signing.Request``, and ``Reply`` into its response.

``asgi``, ``wsgi``, ``django``, ``flask``, ``aws_lambda``, ``azure_functions`` and ``google_cloud``. They decide
nothing: the inbox does. A framework is imported by its own adapter only. What they have in common is here.

The URL handed on is the one that reached the application. Where something in front of it changes the scheme, host
or path, tell the source its public address: ``inbox.source(..., url=...)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote

import msgspec

from ringback.entrance import Reply, error_reply
from ringback.errors import MalformedRequest, PayloadTooLarge, RingbackError
from ringback.inbox import Drained
from ringback.signing import Request
from ringback.store import Pending

# What may stand in a path as it is (RFC 3986, section 3.3).
PATH_SAFE = "/:@!$&'()*+,;=~"


class Door(Protocol):
    """What an adapter needs of an inbox; ``ringback.Inbox`` is one."""

    @property
    def max_body(self) -> int:
        """The largest body taken, in bytes."""
        ...

    def accept(self, source: str, request: Request) -> Pending[Reply]:
        """Verify and store; the reply is there after the commit. Raises for nothing a request holds."""
        ...

    def too_large(self) -> Reply:
        """Return the answer to a body above ``max_body``."""
        ...


class Drain(Protocol):
    """What a scheduled worker needs of an inbox; ``ringback.Inbox`` is one."""

    def drain(self, seconds: float | None = None) -> Drained:
        """Handle what is due, for at most that many seconds."""
        ...


def source_name(path: str) -> str:
    """Return the source a path is for: its last segment, empty if it has none."""
    return path.rstrip("/").rpartition("/")[2]


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers under their names in lower case; one that came twice is joined by a comma and a space."""
    whole: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        whole[lowered] = f"{whole[lowered]}, {value}" if lowered in whole else value
    return whole


def with_query(path: str, query: str) -> str:
    """Return what a request line asks for; both are undecoded, and *query* is without its question mark."""
    return f"{path}?{query}" if query else path


def escaped(path: str | bytes) -> str:
    """Return a path that arrives decoded as most senders would write it."""
    return quote(path, safe=PATH_SAFE)


def declared_length(text: str | None) -> int | None:
    """Read a Content-Length; None if there is none.

    Raises:
        MalformedRequest: It is not a number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise MalformedRequest(f"Content-Length is not a number: {text[:40]!r}")
    return int(text.lstrip("0")[:19] or "0")  # nineteen digits are more than any body has


def refused(inbox: Door, error: RingbackError) -> Reply:
    """Return the answer to a request whose body did not arrive whole; nothing of it is stored."""
    if isinstance(error, PayloadTooLarge):
        return inbox.too_large()
    return error_reply(error)


def counts(drained: Drained) -> dict[str, int | bool]:
    """Return what a drain did as plain data, for a platform's log."""
    return msgspec.structs.asdict(drained)


def missing(framework: str, extra: str) -> ImportError:
    """Build the error of an adapter whose framework is not installed."""
    return ImportError(
        f"this adapter needs {framework}, which is not installed: pip install 'ringback[{extra}]'"
    )
