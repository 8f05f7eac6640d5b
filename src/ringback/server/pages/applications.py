"""Pages about applications: all of them, one with its endpoints, and its settings."""

from __future__ import annotations

from typing import Any

from ringback.drafts import ApplicationDraft
from ringback.errors import InvalidInput, NotFound, RingbackError
from ringback.model import Application, Endpoint
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.forms import REFUSED, faults, pairs, status_of, written_pairs
from ringback.server.pages.page import Page, Said, Visit, see, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.server.pages.tenants import tenant
from ringback.server.pages.ways import APPLICATIONS
from ringback.store import Store


class Applications:
    """The tenants.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show_all(self, visit: Visit) -> Page:
        """Show all of them, newest first, or go to the one that is looked for by its id or uid."""
        sought = visit.query.get("find")
        if sought:
            return await self._find(visit, sought)
        return await self._listed(visit)

    async def show(self, visit: Visit) -> Page:
        """Show one, with its endpoints."""
        asked = part(visit)

        def look_up(store: Store) -> tuple[Application, list[Endpoint]]:
            found = tenant(store, visit.parts["app"])
            return found, store.endpoints(found.id, asked)

        application, endpoints = await self._behind.outbox.read(look_up)
        rows: Slice[Endpoint] = sliced(visit, endpoints, asked, lambda one: one.id)
        return page(
            visit, "application.html", {"place": APPLICATIONS, "application": application, "endpoints": rows}
        )

    async def draft(self, visit: Visit) -> Page:
        """Ask for a new one."""
        return _form(visit, None, {"name": visit.query.get("name")})

    async def create(self, visit: Visit) -> Page:
        """Make it."""
        try:
            draft = ApplicationDraft(**_typed(visit, None))
            application, _ = await self._behind.outbox.create_application(draft)
        except REFUSED as error:
            return _form(visit, None, _written(visit), error)
        return see(visit, f"{APPLICATIONS}/{segment(application.id)}", Said("The application is there."))

    async def edit(self, visit: Visit) -> Page:
        """Ask for its settings."""
        application = await self._application(visit)
        return _form(
            visit,
            application,
            {
                "name": application.name,
                "uid": application.uid or "",
                "throttleRate": application.throttle_rate or "",
                "metadata": written_pairs(application.metadata),
            },
        )

    async def change(self, visit: Visit) -> Page:
        """Change them."""
        application = await self._application(visit)
        try:
            changes = _typed(visit, application)
            await self._behind.outbox.change_application(application.id, changes)
        except REFUSED as error:
            return _form(visit, application, _written(visit), error)
        return see(visit, f"{APPLICATIONS}/{segment(application.id)}", Said("The settings are changed."))

    async def remove(self, visit: Visit) -> Page:
        """Delete it, when that is confirmed."""
        application = await self._application(visit)
        if visit.form.ticked("sure"):
            await self._behind.outbox.remove_application(application.id)
            return see(visit, APPLICATIONS, Said(f"The application {application.name} is deleted."))
        return confirm(
            visit,
            Question(
                title="Delete the application",
                question=f"Delete {application.name} and its endpoints?",
                points=(
                    "Nothing more is delivered: what waits is cancelled.",
                    "What was sent stays on record until its retention ends.",
                    "Its tokens end.",
                ),
                action=visit.link(f"{APPLICATIONS}/{segment(application.id)}/delete"),
                button="Delete the application",
                back=visit.link(f"{APPLICATIONS}/{segment(application.id)}"),
                tone="bad",
                hidden={"sure": "yes"},
            ),
        )

    async def _application(self, visit: Visit) -> Application:
        return await self._behind.outbox.read(lambda store: tenant(store, visit.parts["app"]))

    async def _find(self, visit: Visit, sought: str) -> Page:
        try:
            found = await self._behind.outbox.read(lambda store: tenant(store, sought))
        except (NotFound, InvalidInput):
            return await self._listed(visit, sought)
        return see(visit, f"{APPLICATIONS}/{segment(found.id)}")

    async def _listed(self, visit: Visit, missed: str = "") -> Page:
        asked = part(visit)
        found = await self._behind.outbox.read(lambda store: store.applications(asked))
        rows: Slice[Application] = sliced(visit, found, asked, lambda one: one.id)
        return page(
            visit, "applications.html", {"place": APPLICATIONS, "applications": rows, "missed": missed}
        )


def _typed(visit: Visit, application: Application | None) -> dict[str, Any]:
    """Return what the form says, as a draft has it, about an *application* or a new one.

    A number that is none is left for the draft's rules to refuse.
    """
    form = visit.form
    rate = form.get("throttleRate")
    return {
        "name": form.get("name"),
        "uid": form.get("uid") or None,
        "throttle_rate": None if not rate else form.number("throttleRate") or 0,
        "metadata": pairs(
            "metadata", form.get("metadata"), None if application is None else application.metadata
        ),
    }


def _written(visit: Visit) -> dict[str, str]:
    return {name: visit.form.typed(name) for name in ("name", "uid", "throttleRate", "metadata")}


def _form(
    visit: Visit, application: Application | None, values: dict[str, Any], error: RingbackError | None = None
) -> Page:
    given = {
        "place": APPLICATIONS,
        "application": application,
        "values": {"name": "", "uid": "", "throttleRate": "", "metadata": "", **values},
        "faults": {} if error is None else faults(error),
    }
    return page(visit, "application_form.html", given, status=200 if error is None else status_of(error))
