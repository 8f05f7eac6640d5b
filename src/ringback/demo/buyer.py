"""A buyer with a browser: opens pages, presses buttons of their forms, and goes where a page leads."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec

PATIENCE_SECONDS = 30
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
FORM = "application/x-www-form-urlencoded"
LEADS = re.compile(r"\d+;\s*url=(.*)", re.IGNORECASE)


class Unanswered(Exception):  # noqa: N818 - named for what is the matter
    """A request got no answer; the message says which and why."""


class Answer(msgspec.Struct, frozen=True):
    """What a server answered, and after how many seconds.

    Args:
        url: What was asked for.
        status: The HTTP status.
        headers: Names in lower case.
        body: As it came.
        seconds: From the request to the end of the answer.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Button(msgspec.Struct, frozen=True):
    """A button of a form: where pressing it leads, and what it sends."""

    action: str
    fields: tuple[tuple[str, str], ...]


class Page(HTMLParser):
    """What a browser sees of a page: its buttons, and where it leads by itself."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__()
        self.url = url
        self.leads_to: str | None = None
        self.buttons: list[Button] = []
        self._action = ""
        self._hidden: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See ``HTMLParser``."""
        given = {name: value or "" for name, value in attrs}
        if tag == "meta" and given.get("http-equiv") == "refresh":
            found = LEADS.fullmatch(given["content"])
            self.leads_to = found and urljoin(self.url, found[1])
        elif tag == "form":
            self._action, self._hidden = given.get("action", self.url), []
        elif tag == "input" and given.get("type") == "hidden":
            self._hidden.append((given["name"], given.get("value", "")))
        elif tag == "button":
            own = [(given["name"], given.get("value", ""))] if "name" in given else []
            action = urljoin(self.url, given.get("formaction", self._action))
            self.buttons.append(Button(action, (*self._hidden, *own)))

    def button(self, name: str, value: str) -> Button:
        """Return the button that sends a field with a value.

        Raises:
            LookupError: There is none.
        """
        return _first([one for one in self.buttons if (name, value) in one.fields], f"{name}={value}")

    def leading_to(self, end: str) -> Button:
        """Return the button whose address ends so.

        Raises:
            LookupError: There is none.
        """
        return _first([one for one in self.buttons if one.action.endswith(end)], end)


def browse(url: str) -> tuple[Page, Answer]:
    """Open a page, by way of redirects."""
    return _followed(ask("GET", url))


def press(button: Button) -> tuple[Page, Answer]:
    """Press a button; return the page that it leads to and the server's answer to the form itself."""
    answer = ask("POST", button.action, urlencode(button.fields).encode(), {"content-type": FORM})
    return _followed(answer)[0], answer


def ask(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a request and return the answer, whatever its status.

    Raises:
        Unanswered: Nobody answers, or not in HTTP.
    """
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=PATIENCE_SECONDS)
    since = time.perf_counter()
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{method} {url}: {error}") from None
    finally:
        connection.close()
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(url, response.status, named, content, time.perf_counter() - since)


def _followed(answer: Answer) -> tuple[Page, Answer]:
    for _ in range(MAX_REDIRECTS):
        if answer.status not in REDIRECTS:
            break
        answer = ask("GET", urljoin(answer.url, answer.headers["location"]))
    if answer.status != http.HTTPStatus.OK:
        raise LookupError(f"{answer.url} answered {answer.status}")
    return Page(answer.url, answer.body.decode()), answer


def _first(buttons: list[Button], what: str) -> Button:
    if not buttons:
        raise LookupError(f"the page has no button for {what}")
    return buttons[0]
