"""How a receiver verifies what it gets, in several languages, with the very headers that an endpoint is sent."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ringback.model import HeaderFamily

# The code, with {id}, {timestamp} and {signature} where the names of those headers go.
FOLDER = Path(__file__).parent / "receivers"
LANGUAGES = {
    "Python": "python",
    "Node.js": "node",
    "PHP": "php",
    "Java": "java",
    "C#": "csharp",
    "Ruby": "ruby",
    "Go": "go",
}


class Snippet(msgspec.Struct, frozen=True):
    """Code in a language, and the name of that in addresses."""

    language: str
    name: str
    code: str


_WRITTEN = {name: (FOLDER / f"{name}.txt").read_text("utf-8") for name in LANGUAGES.values()}


def snippets(family: HeaderFamily) -> tuple[Snippet, ...]:
    """Return the code for an endpoint that is sent headers of a *family*."""
    return tuple(
        Snippet(language, name, _with_headers(_WRITTEN[name], family)) for language, name in LANGUAGES.items()
    )


def _with_headers(code: str, family: HeaderFamily) -> str:
    for part in ("id", "timestamp", "signature"):
        for quote in "\"'":
            code = code.replace(f"{quote}{{{part}}}{quote}", f"{quote}{family}-{part}{quote}")
    return code
