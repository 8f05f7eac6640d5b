"""Links to an application's portal that operators make: what they allow, and for how long they are good."""

from __future__ import annotations

import msgspec

from ringback.errors import InvalidInput, RingbackError
from ringback.model import Application
from ringback.server.pages.behind import Behind
from ringback.server.pages.forms import faults, names
from ringback.server.pages.page import Page, Visit
from ringback.server.pages.rendering import page
from ringback.server.pages.tenants import tenant
from ringback.server.pages.ways import APPLICATIONS
from ringback.server.portal_access import HOUR, WEEK, Capability, Flags, link_to_portal, scopes_of
from ringback.sessions import LINK_LIFETIME, Grant

SECOND = 1_000
# What may be allowed besides looking, as the form offers it.
OFFERED = {
    Capability.MANAGE_ENDPOINT: "Add, change and delete endpoints, and see their secrets",
    Capability.CREATE_ATTEMPTS: "Send: tests, messages again, replays",
    Capability.VIEW_ENDPOINT_SECRET: "See secrets",
    Capability.MANAGE_ENDPOINT_SECRET: "See secrets and make new ones",
}
# For how long a link is good, in milliseconds.
LIFETIMES = {
    LINK_LIFETIME: "15 minutes",
    HOUR * SECOND: "1 hour",
    24 * HOUR * SECOND: "1 day",
    WEEK * SECOND: "7 days",
}


class PortalLinks:
    """Links to portals, each for one use.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def ask(self, visit: Visit) -> Page:
        """Ask what is to be allowed, and for how long it is good."""
        return _form(visit, await self._application(visit), tuple(OFFERED))

    async def make(self, visit: Visit) -> Page:
        """Make one."""
        application, form = await self._application(visit), visit.form
        allowed = tuple(one for one in OFFERED if one.value in form.all("capabilities"))
        lifetime = next((one for one in LIFETIMES if one == form.number("lifetime")), LINK_LIFETIME)
        try:
            flags = _flags(form.get("featureFlags"))
        except InvalidInput as error:
            return _form(visit, application, allowed, error)
        everything = len(allowed) == len(OFFERED)
        grant = Grant(
            scopes=scopes_of(None if everything else (Capability.VIEW_BASE, *allowed)),
            origin="",
            application_id=application.id,
            feature_flags=flags,
        )
        code = await self._behind.sessions.link(grant, lifetime)
        self._behind.audit.of_portal(visit.who.caller, application.id)
        values = {
            "application": application,
            "url": f"{visit.base}{link_to_portal(code)}",
            "way": link_to_portal(code).removeprefix("/"),
            "lifetime": lifetime,
            "allowed": [OFFERED[one] for one in allowed],
            "everything": everything,
            "flags": flags,
        }
        return page(visit, "portal_link.html", {"place": APPLICATIONS, **values})

    async def _application(self, visit: Visit) -> Application:
        return await self._behind.outbox.read(lambda store: tenant(store, visit.parts["app"]))


def _flags(text: str) -> tuple[str, ...]:
    """Return the feature flags in a field; raises ``InvalidInput`` where one is none."""
    try:
        return msgspec.convert(names(text) or (), Flags)
    except msgspec.ValidationError:
        raise InvalidInput.at(
            "featureFlags", msg="are letters, digits, - _ and . each, 100 at most"
        ) from None


def _form(
    visit: Visit,
    application: Application,
    allowed: tuple[Capability, ...],
    error: RingbackError | None = None,
) -> Page:
    given = {
        "place": APPLICATIONS,
        "application": application,
        "offered": OFFERED,
        "allowed": allowed,
        "lifetimes": [(str(lifetime), text) for lifetime, text in LIFETIMES.items()],
        "lifetime": visit.form.get("lifetime") or str(LINK_LIFETIME),
        "flags": visit.form.get("featureFlags"),
        "faults": {} if error is None else faults(error),
    }
    return page(visit, "portal_link_form.html", given, status=200 if error is None else 400)
