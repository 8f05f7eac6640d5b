"""Makes pages of the server's templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup

from ringback import __version__
from ringback.access import Right
from ringback.design.assets import ASSETS
from ringback.design.contents import fitted
from ringback.design.rendering import HEADERS, PAGE_HEADERS, encoded, environment, policy
from ringback.server.pages.page import PORTAL, Header, Page, Visit, segment
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import FILTERS

# What a page weighs at most, in bytes: contents on it get what all else leaves of that.
MAX_PAGE = 57_000
TEMPLATES = Path(__file__).parent / "templates"


class Item(msgspec.Struct, frozen=True):
    """An entry of the menu, for those who have a *right*."""

    path: str
    name: str
    right: Right = Right.READ


# What the menu of operators offers, in its order.
MENU = (
    Item("", "Overview"),
    Item("watch", "Live"),
    Item("messages", "Messages"),
    Item("applications", "Applications"),
    Item("sources", "Sources"),
    Item("event-types", "Event types"),
    Item("replays", "Replays"),
    Item("keys", "API keys", Right.OPERATE),
    Item("settings", "Server", Right.OPERATE),
)
# And what that of the portal offers.
PORTAL_MENU = (
    Item(PORTAL, "Endpoints"),
    Item(f"{PORTAL}/messages", "Messages"),
    Item(f"{PORTAL}/replays", "Replays"),
    Item(f"{PORTAL}/event-types", "Event types"),
)

_ENVIRONMENT = environment(TEMPLATES, {**FILTERS, "segment": segment})
_ENVIRONMENT.globals["version"] = __version__


def page(
    visit: Visit,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    contents: Sequence[bytes] = (),
) -> Page:
    """Return a page.

    Args:
        visit: What it answers.
        template: The name of a template in ``templates``.
        values: What the template names besides what every page has: ``visit``, ``link``, ``here``, ``asset``, ``csrf``
            (the field that every form that posts must hold), ``may`` (asked with the name of a right), ``menu`` and
            ``ways``.
        status: The HTTP status.
        contents: Payloads and answers, which the template names ``contents``, in this order: cut where the page would
            be too heavy.
    """
    given = {
        "visit": visit,
        "link": visit.link,
        "here": visit.here,
        "asset": lambda file: visit.link(ASSETS.path(file)),
        "csrf": _csrf(visit),
        "may": lambda right: visit.may(Right(right)),
        "menu": _menu(visit),
        "ways": Ways(visit),
        "place": None,
        **(values or {}),
    }
    return Page(body=_body(template, given, contents), status=status, headers=_headers(visit))


def _body(template: str, given: Mapping[str, Any], contents: Sequence[bytes]) -> bytes:
    made, shown = _ENVIRONMENT.get_template(template), fitted(contents)
    body = encoded(made.render({**given, "contents": shown}))
    if not contents or len(body) <= MAX_PAGE:
        return body
    room = sum(one.weight for one in shown) - (len(body) - MAX_PAGE)
    return encoded(made.render({**given, "contents": fitted(contents, max(0, room))}))


def _headers(visit: Visit) -> tuple[Header, ...]:
    if visit.brand is None or not visit.brand.is_embedded:
        return PAGE_HEADERS
    return (("content-security-policy", policy(" ".join(visit.brand.ancestors))), *HEADERS)


def _csrf(visit: Visit) -> Markup:
    session = visit.session
    field = Markup('<input type="hidden" name="csrf" value="{}">')
    return Markup() if session is None else field.format(session.csrf)


def _menu(visit: Visit) -> tuple[Item, ...]:
    session = visit.session
    if session is None:
        return ()
    offered = MENU if visit.brand is None else PORTAL_MENU
    return tuple(item for item in offered if session.may(item.right))
