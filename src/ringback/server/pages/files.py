"""Serves the files that pages are made with."""

from __future__ import annotations

from ringback.design.assets import ASSETS, FOREVER
from ringback.errors import NotFound
from ringback.server.pages.page import Page, Visit


class Files:
    """The files."""

    async def show(self, visit: Visit) -> Page:
        """Answer with a file, compressed where the browser takes that.

        Raises:
            NotFound: It is not there, or no longer with this content.
        """
        asset = ASSETS.named(visit.parts["name"])
        if asset is None:
            raise NotFound("there is no such file; load the page again that named it")
        packs = "gzip" in visit.headers.get("accept-encoding", "")
        packed = (("content-encoding", "gzip"),) if packs else ()
        headers = (FOREVER, ("vary", "accept-encoding"), ("x-content-type-options", "nosniff"), *packed)
        return Page(
            body=asset.packed if packs else asset.content, content_type=asset.content_type, headers=headers
        )
