"""A browser without scripts: it reads pages, follows links, fills in forms and presses buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
BLOCK = {
    "h1",
    "h2",
    "h3",
    "p",
    "div",
    "li",
    "dt",
    "dd",
    "td",
    "th",
    "pre",
    "legend",
    "button",
    "section",
    "label",
}
OWN = {"sec-fetch-site": "same-origin"}
SITE = "http://127.0.0.1:8700"


@dataclass
class Form:
    """A form: what it would send as it stands, and its buttons by what is written on them."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    boxes: dict[tuple[str, str], bool] = field(default_factory=dict)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)

    def sent(self, button: dict[str, str], typed: dict[str, Any]) -> list[tuple[str, str]]:
        """Return what is sent when *button* is pressed; of *typed*, True and False tick boxes."""
        # Lines end with CR and LF there (HTML, 4.10.21.4).
        pairs = [
            (name, re.sub("\r\n|\r|\n", "\r\n", str(typed.get(name, value)))) for name, value in self.fields
        ]
        for (name, value), ticked in self.boxes.items():
            if typed.get(name, ticked) is True or typed.get(name) == value:
                pairs.append((name, value))
        unknown = set(typed) - {name for name, _ in [*self.boxes, *self.fields]}
        assert not unknown, f"the form has no field {unknown}"
        if "name" in button:
            pairs.append((button["name"], button.get("value", "")))
        return pairs


class Page(HTMLParser):
    """A page as it came."""

    def __init__(self, url: str, answer: Any) -> None:
        super().__init__(convert_charrefs=True)
        self.url, self.status = url, answer.status
        self.headers = dict(answer.headers)
        self.source = answer.body.decode("utf-8")
        self.title, self.refresh = "", None
        self.links: list[tuple[str, str]] = []
        self.forms: list[Form] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self._written: list[str] = []
        self._label: list[str] | None = None
        self._select = ""
        self.headings: list[str] = []
        self._cells: list[list[str]] = []
        self.feed(self.source)
        self.close()

    @property
    def text(self) -> str:
        """All text of the page, with single spaces."""
        return " ".join("".join(self._written).split())

    @property
    def rows(self) -> list[list[str]]:
        """The texts of the cells of all tables, row by row."""
        return [[" ".join(cell.split()) for cell in row] for row in self._cells]

    def link(self, label: str) -> str:
        """Return where the link leads whose text begins with *label*."""
        found = [href for text, href in self.links if text.startswith(label)]
        assert found, (label, self.links)
        return found[0]

    def button(self, label: str) -> tuple[Form, dict[str, str]]:
        """Return the button on which *label* is written, and its form."""
        for form in self.forms:
            for written, attrs in form.buttons.items():
                if written == label or written.startswith(f"{label} "):
                    return form, attrs
        labels = [list(form.buttons) for form in self.forms]
        raise AssertionError(f"no button {label}: {labels}")

    @property
    def csrf(self) -> str:
        """What proves that a form comes from this page."""
        return next(value for form in self.forms for name, value in form.fields if name == "csrf")

    def data(self, name: str) -> str | None:
        """Return the value of the attribute ``data-name`` of the first element that has it."""
        return next((attrs[f"data-{name}"] for _, attrs in self.elements if f"data-{name}" in attrs), None)

    # --- Reading ------------------------------------------------------------------------------------------

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take up an element."""
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag not in VOID:
            self._open.append(tag)
        self._part(tag)
        if tag == "meta" and given.get("http-equiv") == "refresh":
            self.refresh = given["content"]
        elif tag == "form":
            self.forms.append(Form(given.get("method", "get").upper(), given.get("action", "")))
        elif tag == "tr":
            self._cells.append([])
        elif tag in {"td", "th"} and self._cells:
            self._cells[-1].append("")
        if tag in {"a", "button", "h1", "h2"}:
            self._label = []
        self._take_field(tag, given)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take up an element that is closed at once, as drawings have."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def _take_field(self, tag: str, given: dict[str, str]) -> None:
        form = self.forms[-1] if self.forms else None
        if form is None or (tag == "input" and "name" not in given):  # without a name nothing is sent
            return
        if tag == "input" and given.get("type") == "checkbox":
            form.boxes[given["name"], given.get("value", "on")] = "checked" in given
        elif tag == "input":
            value = given.get("value", "")
            # What is shown on one line has no other.
            kept = value if given.get("type") == "hidden" else re.sub("[\r\n]", "", value)
            form.fields.append((given["name"], kept))
        elif tag == "textarea":
            form.fields.append((given["name"], ""))
        elif tag == "select":
            self._select = given["name"]
            form.fields.append((given["name"], ""))
        elif tag == "option" and "selected" in given:
            form.fields[-1] = (self._select, given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Close an element; they must be nested well."""
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()
        self._part(tag)
        if tag in {"a", "button", "h1", "h2"}:
            label = " ".join("".join(self._label or ()).split())
            attrs = next(given for name, given in reversed(self.elements) if name == tag)
            if tag == "a":
                self.links.append((label, attrs.get("href", "")))
            elif tag == "button" and self.forms:
                self.forms[-1].buttons.setdefault(label, attrs)
            elif tag in {"h1", "h2"}:
                self.headings.append(label)

    def _part(self, tag: str) -> None:
        if tag in BLOCK:
            self._written.append(" ")

    def handle_data(self, data: str) -> None:
        """Take up text."""
        if "title" in self._open:
            self.title += data
        if "textarea" in self._open:
            name, before = self.forms[-1].fields[-1]
            self.forms[-1].fields[-1] = name, before + data
        if not {"script", "style", "head"} & set(self._open):
            self._written.append(data)
            if self._label is not None:
                self._label.append(data)
            if self._cells and {"td", "th"} & set(self._open):
                self._cells[-1][-1] += data

    def close(self) -> None:
        """End; every element must have been closed."""
        super().close()
        assert self._open == [], f"never closed: {self._open}"


class Browser:
    """Opens the pages of a play."""

    def __init__(self, play: Any) -> None:
        self._play = play

    def open(self, path: str, *, expect: int = 200) -> Page:
        """Open a page, with its query; it must answer with *expect*."""
        return self._read(path, self._ask("GET", path), expect)

    def press(self, page: Page, label: str, *, expect: int = 200, **typed: Any) -> Page:
        """Press the button on which *label* is written, with fields as *typed*; return the page that comes then."""
        form, button = page.button(label)
        target = urljoin(page.url, button.get("formaction", form.action) or page.url)
        sent = form.sent(button, typed)
        if form.method == "GET":
            return self.open(f"{urlsplit(target).path}?{urlencode(sent)}", expect=expect)
        return self._read(target, self._ask("POST", target, dict(sent)), expect)

    def _ask(self, method: str, target: str, form: dict[str, str] | None = None) -> Any:
        parts = urlsplit(target)
        query = parse_qsl(parts.query, keep_blank_values=True)
        return self._play.call(method, unquote(parts.path), query=query, headers=OWN, key=None, form=form)

    def _read(self, target: str, answer: Any, expect: int) -> Page:
        if answer.status == 303:
            location = dict(answer.headers)["location"]
            assert location.startswith("/"), location
            return self.open(location, expect=expect)
        page = Page(target.removeprefix(SITE), answer)
        assert answer.status == expect, (answer.status, page.text)
        return page
