"""How people get through pages: with a mouse, with the keyboard alone, and with a finger on a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from playwright.sync_api import Locator, expect
from visits import DESKTOP, PHONE, Screen, Visit

# How often somebody presses Tab before giving up; the longest page has some two hundred controls.
MOST_TABS = 400
IS_FOCUSED = "element => element === document.activeElement"
# Whoever uses the keyboard sees where they are: a ring around it, on the part of the page that shows.
IS_SEEN = """element => {
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  return ring && box.bottom > 0 && box.top < innerHeight && element.matches(":focus-visible");
}"""


class Mouse:
    """Points and clicks."""

    screen: Screen = DESKTOP
    scripts = True

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page

    def open(self, path: str) -> None:
        """Open a page of the site."""
        self.visit.open(path)

    def reads(self, text: str | re.Pattern[str]) -> None:
        """Wait until a heading or a line says *text*, and see that it is in sight of whoever scrolls."""
        expect(self.page.get_by_text(text).first).to_be_visible()

    def arrives(self, heading: str | re.Pattern[str]) -> None:
        """Wait for the page with that heading."""
        expect(self.page.get_by_role("heading", name=heading).first).to_be_visible()
        self.visit.settle()

    def press(self, role: str, name: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Press the button, follow the link, or tick the box with that name."""
        self._press(self._find(role, name, within))

    def type(self, label: str | re.Pattern[str], text: str, *, within: Locator | None = None) -> None:
        """Write *text* into the field with that label, instead of what is there."""
        field = (within or self.page).get_by_label(label, exact=isinstance(label, str))
        expect(field).to_have_count(1)
        self._type(field, text)

    def choose(self, label: str | re.Pattern[str], option: str) -> None:
        """Choose *option* in the field with that label."""
        field = self.page.get_by_label(label, exact=isinstance(label, str))
        expect(field).to_have_count(1)
        self._choose(field, option)
        expect(field.locator("option:checked")).to_have_text(option)

    def unfold(self, text: str | re.Pattern[str], *, within: Locator | None = None) -> None:
        """Open what is folded away under *text*."""
        self._press((within or self.page).locator("summary").filter(has_text=text).first)

    def _find(self, role: str, name: str | re.Pattern[str], within: Locator | None) -> Locator:
        found = (within or self.page).get_by_role(role, name=name, exact=isinstance(name, str))
        expect(found.first).to_be_visible()
        return found.first

    def _press(self, target: Locator) -> None:
        target.click()

    def _type(self, field: Locator, text: str) -> None:
        field.fill(text)

    def _choose(self, field: Locator, option: str) -> None:
        field.select_option(label=option)


class Plain(Mouse):
    """Points and clicks in a browser that runs no scripts."""

    scripts = False


class Finger(Mouse):
    """Taps on a phone."""

    screen = PHONE

    def _press(self, target: Locator) -> None:
        target.tap()


class Keyboard(Mouse):
    """Uses the keyboard alone: Tab, Enter, Space and letters. Wherever it is must be seen."""

    def _press(self, target: Locator) -> None:
        self._reach(target)
        is_box = target.get_attribute("type") in {"checkbox", "radio"}
        self.page.keyboard.press("Space" if is_box else "Enter")

    def _type(self, field: Locator, text: str) -> None:
        self._reach(field)
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(text)

    def _choose(self, field: Locator, option: str) -> None:
        self._reach(field)
        options = [text.strip() for text in field.locator("option").all_text_contents()]
        for key in ("Home", *["ArrowDown"] * options.index(option)):
            self.page.keyboard.press(key)

    def _reach(self, target: Locator) -> None:
        element = target.element_handle()
        for _ in range(MOST_TABS):
            if element.evaluate(IS_FOCUSED):
                break
            self.page.keyboard.press("Tab")
        assert element.evaluate(IS_FOCUSED), f"Tab never came to {target}"
        assert element.evaluate(IS_SEEN), f"nobody sees that the focus is on {target}"


PAYERS = {"no scripts": Plain, "phone": Finger, "keyboard": Keyboard}
DEVELOPERS = {"phone": Finger, "keyboard": Keyboard}


def by(name: str, kinds: Mapping[str, type[Mouse]] = DEVELOPERS) -> pytest.MarkDecorator:
    """Let each kind of visitor, as the fixture *name*, walk."""
    return pytest.mark.parametrize(name, kinds.values(), ids=kinds.keys(), indirect=True)
