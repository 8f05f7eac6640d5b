"""Serves the files that the pages are made with."""

from __future__ import annotations

from ringback.design.assets import ASSETS, FOREVER, PLACE
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route


def url(file: str) -> str:
    """Return where a file is served."""
    return f"/{ASSETS.path(file)}"


def route() -> Route:
    """Return what serves them."""
    return Route("GET", f"/{PLACE}/{{name}}", _get, open=True)


async def _get(call: Call) -> Answer:
    """Serve a file of the pages, for good: its name changes with its content."""
    asset = ASSETS.named(call.path["name"])
    if asset is None:
        raise Refused(404, "NOT_FOUND", "there is no such file; reload the page that named it")
    headers = (FOREVER, ("x-content-type-options", "nosniff"))
    return Answer(asset.content, content_type=asset.content_type, headers=headers)
