"""What lets people into an application's portal now, links, tokens and sessions; and ending it early."""

from __future__ import annotations

import contextlib

import msgspec

from ringback import ids
from ringback.access import Scope
from ringback.design.writing import named
from ringback.errors import NotFound
from ringback.model import Application
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.page import Page, Said, Visit, see, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.server.pages.tenants import tenant
from ringback.server.pages.ways import APPLICATIONS
from ringback.server.pages.wording import Badge
from ringback.sessions import LINK, SIGNED
from ringback.store import BROWSER, Store, Token

# What lets somebody in, by the name of its token; any other is for the API.
KINDS = {
    LINK: Badge("Link, not opened", "wait", "wait"),
    BROWSER: Badge("Signed in", "good", "good"),
}
FOR_API = Badge("Token for the API")
# What whoever was let in may do.
MAY = {
    Scope.ADMIN: "everything",
    Scope.PORTAL: "everything",
    Scope.READ: "look",
    Scope.PUBLISH: "publish",
    Scope.VIEW_SECRETS: "see secrets",
    Scope.ROTATE_SECRETS: "make new secrets",
    Scope.MANAGE_ENDPOINTS: "manage endpoints",
    Scope.MANAGE_TRANSFORMATIONS: "change transformations",
    Scope.REDELIVER: "send again",
}
API_FOLLOWS = "Tokens for the API stop working within five seconds."


class Visitor(msgspec.Struct, frozen=True):
    """One token that lets somebody in."""

    token: Token

    @property
    def name(self) -> str:
        """What its session is named; empty where nobody has named it."""
        session = self.token.session or ""
        return "" if session == SIGNED else session

    @property
    def is_of_key(self) -> bool:
        """Whether it is the session of somebody who signed in with an API key: that is its name then."""
        return self.token.name == BROWSER and ids.is_id(ids.TOKEN, self.name)

    @property
    def is_link(self) -> bool:
        """Whether it waits to be opened, once."""
        return self.token.name == LINK

    @property
    def kind(self) -> Badge:
        """What it is."""
        return KINDS.get(self.token.name, FOR_API)

    @property
    def may(self) -> str:
        """What it lets somebody do."""
        return ", ".join(MAY.get(scope, scope.value) for scope in self.token.scopes)


class PortalSessions:
    """What lets people into the portal of an application.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show_all(self, visit: Visit) -> Page:
        """Show what has not ended, newest first."""
        asked, now = part(visit), self._behind.clock()

        def look_up(store: Store) -> tuple[Application, list[Token]]:
            application = tenant(store, visit.parts["app"])
            return application, store.portal_tokens(application.id, now, asked)

        application, tokens = await self._behind.outbox.read(look_up)
        found = [Visitor(token) for token in tokens]
        rows: Slice[Visitor] = sliced(visit, found, asked, lambda one: one.token.id)
        values = {"place": APPLICATIONS, "application": application, "visitors": rows}
        return page(visit, "portal_sessions.html", values)

    async def end(self, visit: Visit) -> Page:
        """End one, and what goes by the same name, when that is confirmed."""
        application, visitor = await self._found(visit)
        if not visit.form.ticked("sure"):
            return confirm(visit, _whether_to_end(visit, application, visitor))
        keys = self._behind.keys
        if visitor.name:
            await keys.expire(application.id, [visitor.name])
        else:
            with contextlib.suppress(NotFound):  # it has ended in the meantime
                await keys.remove(visitor.token.id)
        self._behind.audit.of_portal_end(visit.who.caller, application.id, visitor.token.id)
        return see(visit, _way(application), Said(f"Ended. {API_FOLLOWS}"))

    async def end_all(self, visit: Visit) -> Page:
        """End all of them, when that is confirmed."""
        application = await self._behind.outbox.read(lambda store: tenant(store, visit.parts["app"]))
        if not visit.form.ticked("sure"):
            return confirm(visit, _whether_to_end_all(visit, application))
        await self._behind.keys.expire(application.id)
        self._behind.audit.of_portal_end(visit.who.caller, application.id)
        return see(visit, _way(application), Said(f"All are ended. {API_FOLLOWS}"))

    async def _found(self, visit: Visit) -> tuple[Application, Visitor]:
        now = self._behind.clock()

        def look_up(store: Store) -> tuple[Application, Visitor]:
            application = tenant(store, visit.parts["app"])
            return application, Visitor(store.portal_token(application.id, visit.parts["token"], now))

        return await self._behind.outbox.read(look_up)


def _way(application: Application) -> str:
    return f"{APPLICATIONS}/{segment(application.id)}/sessions"


def _whether_to_end(visit: Visit, application: Application, visitor: Visitor) -> Question:
    name, token_id = visitor.name, visitor.token.id
    if visitor.is_of_key:
        question = f"End every session that began with the key {name}?"
        points: tuple[str, ...] = ("Whoever has the key can sign in with it again: revoke it, too.",)
    elif name:
        question = f"End everything that goes by the name {named(name)}?"
        points = (
            "Sessions in the portal end at once, and links that nobody has opened are good for nothing.",
            API_FOLLOWS,
            "Tokens of pollers that were made with them end, too.",
        )
    else:
        question = f"End {token_id}, which has no name?"
        points = ("It alone ends: what else was let in goes on.",)
    return Question(
        title="End a session in the portal",
        question=question,
        points=points,
        action=visit.link(f"{_way(application)}/{segment(token_id)}/end"),
        button="End it",
        back=visit.link(_way(application)),
        tone="bad",
        hidden={"sure": "yes"},
    )


def _whether_to_end_all(visit: Visit, application: Application) -> Question:
    return Question(
        title="End all sessions in the portal",
        question=f"End whatever lets people into the portal of {named(application.name)}?",
        points=(
            "Sessions end at once, and links that nobody has opened are good for nothing.",
            f"{API_FOLLOWS} Those of pollers that were made with them end, too.",
            "Links and tokens that are made from then on are good, and so are the application's API keys.",
        ),
        action=visit.link(f"{_way(application)}/end"),
        button="End all of them",
        back=visit.link(_way(application)),
        tone="bad",
        hidden={"sure": "yes"},
    )
