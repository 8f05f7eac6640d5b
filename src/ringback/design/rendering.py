"""Makes pages of templates: everything from outside shown as text, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from ringback.design.contents import shown, weighed
from ringback.design.highlighting import coloured
from ringback.design.writing import FILTERS

HTML = "text/html; charset=utf-8"
SHARED = Path(__file__).parent / "templates"


def policy(ancestors: str = "'none'") -> str:
    """Return the Content-Security-Policy of a page that only *ancestors* may embed.

    Scripts and styles are files of ours, never in the page; connect-src is for what the script asks the server.
    """
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    )


# Of every page: not kept by anyone on the way, not taken for anything but what it is, not told of to others.
HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
)
PAGE_HEADERS = (("content-security-policy", policy()), *HEADERS)


def environment(folder: Path, filters: Mapping[str, Callable[..., Any]]) -> jinja2.Environment:
    """Return what makes pages of the templates in *folder*, which may use those of ``design/templates``."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS, coloured=coloured, shown=shown, weighed=weighed, **filters)
    return made


def encoded(page: str) -> bytes:
    """Return a page's bytes; a surrogate that stands alone cannot be sent, and does not show either."""
    return page.encode("utf-8", "replace")
