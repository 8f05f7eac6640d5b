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


def masked(text: str) -> str:
    """Return *text* with the passwords of all addresses in it masked."""
    return _NAMED.sub(rf"\g<1>{MASK}", _IN_URL.sub(rf"\g<1>{MASK}@", text))
