"""Signing in and out: with an API token, or with a link for one use; and how pages are to look."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from ringback.errors import Forbidden, NotAuthenticated, NotFound
from ringback.outbox import found
from ringback.server.pages.behind import Behind
from ringback.server.pages.cookies import THEMES
from ringback.server.pages.page import PORTAL, Page, Visit, see
from ringback.server.pages.rendering import page
from ringback.sessions import Begun

MAX_NEXT = 2_000


class SigningIn:
    """The pages with which a session begins and ends.

    Args:
        behind: Begins and ends sessions.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Ask for a token, or offer to use the link; whoever is signed in goes on."""
        if visit.session is not None and not visit.query.get("link"):
            return see(visit, _next(visit.query.get("next")))
        return self._shown(visit, code=visit.query.get("link"), goal=_next(visit.query.get("next")))

    async def begin(self, visit: Visit) -> Page:
        """Begin a session. A link is used up only by this, so that programs which look at links do not."""
        goal, code = _next(visit.form.get("next")), visit.form.get("link")
        if not self._may_keep(visit):
            return self._shown(visit, goal=goal, status=HTTPStatus.FORBIDDEN)
        try:
            begun = await self._begun(code, visit.form.get("token"))
        except (NotAuthenticated, Forbidden) as error:
            return self._shown(visit, goal=goal, fault=error.detail, status=error.status)
        return _welcome(visit, begun, goal)

    async def enter(self, visit: Visit) -> Page:
        """Offer to use a link to the portal, which the page's script does at once; or say how to get one.

        Whoever is signed in for another application is asked: a link that somebody sent takes nobody elsewhere.
        """
        code = visit.query.get("link")
        if visit.session is not None and not code:
            return see(visit, PORTAL)
        whose = await self._whose(visit, code)
        return page(
            visit,
            "enter.html",
            {"code": code, "whose": whose, "fault": "", "may_keep": self._may_keep(visit)},
        )

    async def begin_in_portal(self, visit: Visit) -> Page:
        """Begin a session in the portal with a link for one use."""
        code = visit.form.get("link")
        values = {"code": code, "whose": "", "fault": "", "may_keep": self._may_keep(visit)}
        if not values["may_keep"]:
            return page(visit, "enter.html", values, status=HTTPStatus.FORBIDDEN)
        try:
            begun = await self._behind.sessions.redeem(code)
        except NotAuthenticated as error:
            # Whoever opens a link twice is there already.
            if visit.session is not None:
                return see(visit, PORTAL)
            return page(
                visit, "enter.html", {**values, "code": "", "fault": error.detail}, status=error.status
            )
        return _welcome(visit, begun, PORTAL)

    async def kept(self, visit: Visit) -> Page:
        """Go on, if the browser has kept the session; otherwise say so, instead of asking for the token for ever."""
        if visit.session is None:
            return page(visit, "not_kept.html", status=HTTPStatus.BAD_REQUEST)
        return see(visit, _next(visit.query.get("next") or visit.home.removesuffix("/")))

    async def end(self, visit: Visit) -> Page:
        """End the session, on all nodes."""
        with contextlib.suppress(NotFound):  # it has ended in the meantime
            await self._behind.sessions.end(visit.who)
        return msgspec.structs.replace(
            see(visit, "login" if visit.brand is None else f"{PORTAL}/enter"), session=""
        )

    async def choices(self, visit: Visit) -> Page:
        """Show which keys are shortcuts, and how pages may look."""
        return page(visit, "look.html", {"back": _next(visit.query.get("next"))})

    async def choose(self, visit: Visit) -> Page:
        """Keep how pages are to look; what a form does not hold stays as it is."""
        form, look = visit.form, visit.look
        if "theme" in form.values:
            theme = form.get("theme")
            look = msgspec.structs.replace(look, theme=theme if theme in THEMES else "")
        if "shortcuts" in form.values:
            look = msgspec.structs.replace(look, shortcuts=form.get("shortcuts") == "on")
        return msgspec.structs.replace(see(visit, _next(form.get("next"))), look=look)

    async def _begun(self, code: str, token: str) -> Begun:
        sessions = self._behind.sessions
        return await (sessions.redeem(code) if code else sessions.login(token))

    async def _whose(self, visit: Visit, code: str) -> str:
        """Return the name of the application that somebody is signed in for, where a link leads to another."""
        own = None if visit.session is None else visit.session.application_id
        goal = await self._behind.sessions.goal(code)
        if own is None or goal in {None, own}:
            return ""
        owner = await self._behind.outbox.read(lambda store: found(lambda: store.application(own)))
        return own if owner is None else owner.name

    def _may_keep(self, visit: Visit) -> bool:
        return visit.safe or self._behind.plain_http

    def _shown(
        self, visit: Visit, *, goal: str, code: str = "", fault: str = "", status: int = HTTPStatus.OK
    ) -> Page:
        values = {"goal": goal, "code": code, "fault": fault, "may_keep": self._may_keep(visit)}
        return page(visit, "login.html", values, status=status)


def _welcome(visit: Visit, begun: Begun, goal: str) -> Page:
    """Have the browser keep the session; an application's own people go on in their portal."""
    portal = begun.grant.application_id is not None
    there = see(visit, f"{PORTAL}/kept") if portal else see(visit, "login/kept", next=goal)
    return msgspec.structs.replace(there, session=begun.cookie, portal=portal)


def _next(text: str) -> str:
    """Return where to go on, below the first page; the first page itself for what could lead elsewhere."""
    if len(text) > MAX_NEXT or not text.isprintable() or text.startswith(("/", "\\", ".")):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return "" if parts.scheme or parts.netloc or ":" in parts.path else text
