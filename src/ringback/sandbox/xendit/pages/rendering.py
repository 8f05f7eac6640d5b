"""Makes pages of templates: everything from outside shown as text, nothing loaded from elsewhere."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ringback.design.rendering import HTML, PAGE_HEADERS, encoded, environment
from ringback.errors import RingbackError
from ringback.sandbox.xendit.calls import Action, Answer, Call, Owner, Refused
from ringback.sandbox.xendit.pages import assets
from ringback.sandbox.xendit.pages.advice import advice
from ringback.sandbox.xendit.pages.ways import channel_name

# From that size on a page is sent compressed to who takes that.
LARGE = 20_000
TEMPLATES = Path(__file__).parent / "templates"
LIVE = "live"
PROBLEMS: dict[int, str] = {
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.SERVICE_UNAVAILABLE: "This does not work now",
}


ENVIRONMENT = environment(TEMPLATES, {"channel": channel_name, "advice": advice})
ENVIRONMENT.globals["asset"] = assets.url


def page(call: Call, template: str, values: Mapping[str, Any], *, status: int = 200) -> Answer:
    """Return a page.

    Args:
        call: What it answers: gives the address and the mode.
        template: The name of a template.
        values: What the template names.
        status: The HTTP status.
    """
    given = {"call": call, "link": link_of(call), "live": viewed(call).live, **values}
    content = encoded(ENVIRONMENT.get_template(template).render(given))
    if len(content) < LARGE or "gzip" not in call.headers.get("accept-encoding", ""):
        return Answer(content, status, HTML, PAGE_HEADERS)
    packed = (("content-encoding", "gzip"), ("vary", "accept-encoding"))
    return Answer(gzip.compress(content, mtime=0), status, HTML, (*PAGE_HEADERS, *packed))


def see(path: str) -> Answer:
    """Send the browser to another page of the sandbox, after a form (RFC 9110, 15.4.4)."""
    return Answer(b"", HTTPStatus.SEE_OTHER, HTML, (*PAGE_HEADERS, ("location", path)))


def viewed(call: Call) -> Owner:
    """Return whose objects a page is about: the sandbox's business, in the mode that the address names."""
    return Owner(call.owner.business_id, call.query.get("mode", ())[-1:] == (LIVE,))


def link_of(call: Call) -> Callable[..., str]:
    """Return what makes addresses of pages that stay in the mode of the page shown."""
    live = viewed(call).live

    def link(path: str, **query: Any) -> str:
        """Return the address of a page; parts of the query that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None and value != ""}
        if live:
            given.setdefault("mode", LIVE)
        return f"{path}?{urlencode(given, doseq=True, errors='replace')}" if given else path

    return link


def told(action: Action) -> Action:
    """Make an action's refusals a page that says what is wrong and where to go."""

    @functools.wraps(action)
    async def answered(call: Call) -> Answer:
        try:
            return await action(call)
        except Refused as refused:
            return problem(call, refused.status, refused.message)
        except RingbackError as error:
            return problem(call, HTTPStatus.SERVICE_UNAVAILABLE, error.detail)

    return answered


def problem(call: Call, status: int, message: str) -> Answer:
    """Return a page that says what went wrong."""
    heading = PROBLEMS.get(status, "This did not work")
    values = {"status": status, "heading": heading, "message": message}
    return page(call, "problem.html", values, status=status)
