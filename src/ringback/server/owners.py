"""Whose rows an address is about: an application's, a source's or the operators', and never one in place of another."""

from __future__ import annotations

from typing import Any

from falcon.asgi import Request, Response

from ringback import ids
from ringback.errors import NotFound
from ringback.outbox import Outbox
from ringback.server.routes import OPERATIONAL
from ringback.sources import Sources

APPLICATION = "app"
SOURCE = "source"


class Owners:
    """Falcon middleware: sources and operators are no applications, and own endpoints and messages as one.

    Below an application's address there is nothing of a source or the operators, whose ids would lead to it. Below a
    source's address, responders are called with ``app``, as those of applications are: the source's id, whether it was
    given or its uid. Resources of sources themselves say so with ``of_sources``, and get what was given. Below the
    operators' address, ``app`` is the id of the application that is reserved for them.
    """

    def __init__(self, sources: Sources, outbox: Outbox) -> None:
        self._sources = sources
        self._outbox = outbox
        self._operators_are_there = False

    async def process_resource(
        self, req: Request, _resp: Response, resource: object, params: dict[str, Any]
    ) -> None:
        """Find the owner before a responder runs."""
        named = params.get(APPLICATION, "")
        if ids.is_id(ids.SOURCE, named) or named == ids.OPERATOR:
            raise NotFound(f"there is no application {named}")
        if SOURCE in params and not getattr(resource, "of_sources", False):
            ref = params.pop(SOURCE)
            params[APPLICATION] = (await self._sources.read(lambda store: store.source(ref))).id
        elif (req.uri_template or "").startswith(f"{OPERATIONAL}/"):
            params[APPLICATION] = await self._operators()

    async def _operators(self) -> str:
        if not self._operators_are_there:
            await self._outbox.ensure_operators()
            self._operators_are_there = True
        return ids.OPERATOR
