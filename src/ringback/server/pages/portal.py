"""The portal: where an application's own people look after their endpoints and see their messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from ringback import ids
from ringback.design.writing import sentence
from ringback.errors import Conflict, NotFound, Unavailable
from ringback.model import Application, Attempt, Endpoint
from ringback.server.pages.behind import Behind
from ringback.server.pages.endpoints import latest_at, pair, receiver_of, turned
from ringback.server.pages.fare import Turn
from ringback.server.pages.page import PORTAL, Answer, Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.server.pages.snippets import snippets
from ringback.server.pages.tenants import tenant
from ringback.server.pages.ways import Ways
from ringback.signing.standard import SYMMETRIC_PREFIX
from ringback.store import Store

STYLE = "text/css; charset=utf-8"


class Portal:
    """The portal's own pages; those about an endpoint are the same that operators have.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show the endpoints; where there are none yet, how to begin."""
        asked = part(visit)

        def look_up(store: Store) -> tuple[Application, list[Endpoint]]:
            application = tenant(store, visit.parts["app"])
            return application, store.endpoints(application.id, asked)

        application, found = await self._behind.outbox.read(look_up)
        rows: Slice[Endpoint] = sliced(visit, found, asked, lambda one: one.id)
        return page(visit, "portal.html", {"place": PORTAL, "application": application, "endpoints": rows})

    async def start(self, visit: Visit) -> Page:
        """Show how to make an endpoint work, step by step, until its first success; and whether it still does."""

        def look_up(store: Store) -> tuple[Application, Endpoint, Attempt | None, Turn | None]:
            application, endpoint = pair(store, visit)
            latest = latest_at(store, endpoint)
            turn = turned(store, endpoint, latest)
            return application, endpoint, latest[0] if latest else None, turn

        application, endpoint, newest, turn = await self._behind.outbox.read(look_up)
        works = turn is not None and turn.since is None
        given = {"application": application, "endpoint": endpoint, "newest": newest}
        is_shared = endpoint.secrets[0].key.startswith(SYMMETRIC_PREFIX)
        told = {
            "place": Ways(visit).place_of(application.id),
            "of_source": ids.is_id(ids.SOURCE, application.id),
            "snippets": snippets(endpoint.header_family) if is_shared else (),
            "turn": turn,
            "works": works,
        }
        return page(visit, "endpoint_start.html", {**told, **given})

    async def probe(self, visit: Visit) -> Page:
        """Send one signed request now, and show what came of it: of that nothing is kept."""
        application, endpoint = await receiver_of(self._behind, visit)
        try:
            probed = await self._behind.probe(endpoint)
        except (Conflict, Unavailable) as error:
            there = f"{Ways(visit).endpoint(endpoint)}/start"
            return see(visit, there, Said(sentence(error.detail), "wait"))
        given = {"application": application, "endpoint": endpoint, "probed": probed}
        return page(
            visit,
            "endpoint_probe.html",
            {"place": Ways(visit).place_of(application.id), **given},
        )

    async def style(self, _visit: Visit) -> Page:
        """Answer with the portal's colours."""
        return Page(body=self._behind.brand.style.encode(), content_type=STYLE)

    async def logo(self, _visit: Visit) -> Page:
        """Answer with the portal's logo."""
        logo = self._behind.brand.logo
        if logo is None:
            raise NotFound("there is no logo")
        # As a page of its own, a drawing could hold a script.
        sealed = ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        shown = Page(body=logo.content, content_type=logo.content_type)
        return msgspec.structs.replace(shown, headers=(*shown.headers, sealed))


def own(action: Callable[[Visit], Awaitable[Answer]]) -> Callable[[Visit], Awaitable[Answer]]:
    """Return an *action* that is about the application whose people look, whatever the address says."""

    async def act(visit: Visit) -> Answer:
        application_id = visit.who.application_id
        if application_id is None:
            raise NotFound("a portal is an application's; open one from the application's page")
        return await action(msgspec.structs.replace(visit, parts={**visit.parts, "app": application_id}))

    return act
