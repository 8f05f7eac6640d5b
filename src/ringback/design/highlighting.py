"""JSON for reading: a line for each member, keys, strings and numbers told apart; every character shown as text."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from markupsafe import Markup, escape

_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=:))|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<figure>-?\d[\d.eE+-]*)|(?P<word>true|false|null)"
)


def highlighted(value: Any) -> Markup:
    """Return a value as indented JSON; each token is an element of the class ``key``, ``text``, ``figure`` or ``word``.

    Numbers keep the form they have; see ``exact_json``.
    """
    return coloured(msgspec.json.encode(value).decode())


def coloured(payload: str) -> Markup:
    """Return JSON as ``highlighted`` does."""
    return marked(msgspec.json.format(payload, indent=2))


def marked(text: str) -> Markup:
    """Return JSON as it is written, with its tokens as ``highlighted`` has them."""
    parts, end = [], 0
    for token in _TOKEN.finditer(text):
        parts.append(escape(text[end : token.start()]))
        parts.append(Markup('<span class="{}">{}</span>').format(token.lastgroup, token[0]))
        end = token.end()
    return Markup().join([*parts, escape(text[end:])])
