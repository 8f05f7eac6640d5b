"""Passwords in addresses: where one is told, logged or part of an error, it is masked."""

from __future__ import annotations

import re

MASK = "********"

# Source: the Svix server; the values of these headers are never shown again.
SENSITIVE_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authenticate",
        "proxy-authorization",
        "www-authenticate",
        "x-api-key",
        "x-auth-token",
    }
)

# Up to the last @ of the word, since people forget to escape one in a password.
_IN_URL = re.compile(r"(://[^:/@\s]*:)\S*@")
# As libpq takes them besides, in a query string or as words of their own; a quote may be one that was repeated.
_NAMED = re.compile(r"(?i)\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'\"]+)")
# In an address that is one by the rules (RFC 3986, 3.2), before its host alone.
_IN_AUTHORITY = re.compile(r"^([^:/?#]+://[^:/?#@]*:)([^/?#]*)@([^/?#]*)")
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def check_password(url: str) -> None:
    """Refuse a PostgreSQL URL whose password libpq would take for something else, and tell as that.

    Raises:
        ValueError: The password has to be written in another way.
    """
    before, _, query = url.partition("://")[2].partition("?")
    name_and_password, _, place = before.rpartition("@")
    cut = not name_and_password and ":" in place and "/" not in place and "@" in query
    if cut or "@" in name_and_password or "/" in name_and_password or _NO_ESCAPE.search(name_and_password):
        raise ValueError(
            "in its address the name or the password holds a character that stands for something else there;"
            " write %25 for %, %2F for /, %3A for :, %3F for ? and %40 for @"
        )


def masked(text: str) -> str:
    """Return *text* with the passwords of all addresses in it masked."""
    return _NAMED.sub(rf"\g<1>{MASK}", _IN_URL.sub(rf"\g<1>{MASK}@", text))


def masked_url(url: str) -> str:
    """Return a URL, such as an endpoint's, with its password masked. In its path an ``@`` is nothing but that."""
    return _IN_AUTHORITY.sub(rf"\g<1>{MASK}@\g<3>", url)


def unmasked_url(url: str, before: str = "") -> str:
    """Return a URL as somebody typed it who was shown *before* with its password masked.

    Raises:
        ValueError: The mask stands for no password that may go there: user and host are others than before.
    """
    typed, known = _IN_AUTHORITY.match(url), _IN_AUTHORITY.match(before)
    if typed is None or typed[2] != MASK:
        return url
    if known is None or typed.group(1, 3) != known.group(1, 3):
        raise ValueError("leads elsewhere than before: type the password again")
    return f"{typed[1]}{known[2]}@{typed[3]}{url[typed.end() :]}"
