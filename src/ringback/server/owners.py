"""Whose rows an address is about: an application's, or a source's, and never one in place of the other."""

from __future__ import annotations

from typing import Any

from falcon.asgi import Request, Response

from ringback import ids
from ringback.errors import NotFound
from ringback.sources import Sources

APPLICATION = "app"
SOURCE = "source"


class Owners:
    """Falcon middleware: a source is no application, and owns endpoints and messages as one.

    Below an application's address there is nothing of a source, whose id would lead to it. Below a source's address,
    responders are called with ``app``, as those of applications are: the source's id, whether it was given or its uid.
    Resources of sources themselves say so with ``of_sources``, and get what was given.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def process_resource(
        self, _req: Request, _resp: Response, resource: object, params: dict[str, Any]
    ) -> None:
        """Find the owner before a responder runs."""
        if ids.is_id(ids.SOURCE, params.get(APPLICATION, "")):
            raise NotFound(f"there is no application {params[APPLICATION]}")
        if SOURCE in params and not getattr(resource, "of_sources", False):
            ref = params.pop(SOURCE)
            params[APPLICATION] = (await self._sources.read(lambda store: store.source(ref))).id
