"""Visits to pages with a real browser, in which nothing may happen that a page must never do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, expect, sync_playwright
from scripts.chromium import found, options

# Of everything a page waits for, in milliseconds; the machines of tests are busy.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)
# Says what only the page itself knows, before any script of the page runs. `canary` is what hostile texts call.
WATCHMAN = """
window.canary = what => window.told("a hostile text ran", String(what));
document.addEventListener("securitypolicyviolation", event =>
  window.told("against the policy", `${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
window.shifts = new PerformanceObserver(list => list.getEntries().forEach(tellShift));
const tellShift = shift => {
  if (shift.hadRecentInput) return;
  const moved = shift.sources.map(one => one.node && (one.node.outerHTML || one.node.textContent).slice(0, 120));
  window.told("the layout shifted", `by ${shift.value.toFixed(4)}: ${moved.join(" | ")}`);
};
window.shifts.observe({ type: "layout-shift", buffered: true });
// What comes later may take room: this is about pages as they open.
window.settled = async () => {
  await document.fonts.ready;
  const ends = document.getAnimations().filter(one => one.effect.getComputedTiming().endTime < Infinity);
  await Promise.allSettled(ends.map(one => one.finished));
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  window.shifts.takeRecords().forEach(tellShift);
  window.shifts.disconnect();
};
addEventListener("load", window.settled);
"""


class Screen(NamedTuple):
    """What pages are looked at on."""

    width: int
    height: int
    is_phone: bool = False


DESKTOP = Screen(1280, 900)
PHONE = Screen(390, 844, is_phone=True)
SCREENS = {"desktop": DESKTOP, "phone": PHONE}
SCHEMES = ("light", "dark")
NOWHERE = "about:blank"


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Run the browser for the length of the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=options())
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One visitor's look at one site. ``page`` is their tab; ``faults`` is what must not have happened.

    Args:
        context: The visitor's part of the browser.
        site: The site's address; nothing is loaded from anywhere else.
        scripts: Whether pages run any, and what watches them in there.
    """

    def __init__(self, context: BrowserContext, site: str, *, scripts: bool = True) -> None:
        self.site = site
        self._scripts = scripts
        self.faults: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        self._elsewhere: list[str] = []
        if scripts:
            context.expose_function("told", lambda what, more: self._tell(f"{what}: {more}"))
            context.add_init_script(WATCHMAN)
        context.on("weberror", lambda error: self._tell(f"an error of a script: {error.error}"))
        context.on("dialog", lambda dialog: (self._tell(f"a dialog: {dialog.message}"), dialog.dismiss()))
        context.on("console", self._hear)
        context.on("request", self._follow)
        self.page: Page = context.new_page()

    def open(self, path: str) -> Page:
        """Open a page of the site, and wait until it is drawn."""
        self.page.goto(self.site + path)
        return self.settle()

    def settle(self) -> Page:
        """Wait until the page is drawn as it stays, so that whatever moves has moved."""
        if self._scripts:
            self.page.evaluate("window.settled()")
        return self.page

    def begin(self) -> None:
        """Forget what has happened so far, and what was expected."""
        self.faults.clear()
        self._expected.clear()

    def expect_fault(self, pattern: str) -> None:
        """Let what *pattern* is found in happen: a test has provoked it."""
        self._expected.append(re.compile(pattern))

    def may_leave_for(self, site: str) -> None:
        """Let pages lead to another site."""
        self._elsewhere.append(site)

    def _tell(self, fault: str) -> None:
        self.faults.append(fault[:1_000])

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self._tell(f"on the console: {message.text} {message.location.get('url', '')}")

    def _follow(self, request: Request) -> None:
        own = (self.site, *self._elsewhere, "data:", "about:")
        if not request.url.startswith(own):
            self._tell(f"asked elsewhere: {request.url}")

    def unexpected(self) -> list[str]:
        """Return the faults that no test has provoked, each with the page that was open at the end."""
        return [fault for fault in self.faults if not any(one.search(fault) for one in self._expected)]


@contextlib.contextmanager
def visiting(
    browser: Browser,
    site: str,
    *,
    screen: Screen = DESKTOP,
    scheme: str = "light",
    cookies: Sequence[Mapping[str, Any]] = (),
    scripts: bool = True,
) -> Iterator[Visit]:
    """Visit *site* for the length of the block; whatever a page must never do fails it at the end.

    Args:
        browser: What with.
        site: Its address, without a path.
        screen: What on.
        scheme: Whether the visitor likes pages ``light`` or ``dark``.
        cookies: What an earlier visit has left.
        scripts: Whether the browser runs any.
    """
    context = browser.new_context(
        viewport={"width": screen.width, "height": screen.height},
        is_mobile=screen.is_phone,
        has_touch=screen.is_phone,
        color_scheme=scheme,
        java_script_enabled=scripts,
        locale="en-GB",
        timezone_id="Asia/Jakarta",
    )
    context.set_default_timeout(PATIENCE)
    context.add_cookies(list(cookies))
    visit = Visit(context, site, scripts=scripts)
    try:
        yield visit
    finally:
        _leave(visit.page)
        context.close()
    assert not visit.unexpected(), "\n".join(visit.unexpected())


def _leave(page: Page) -> None:
    """Be nowhere: asked to close a page that is just on its way elsewhere, Chromium may never answer."""
    # That way can end before this one begins, and then takes its place once.
    for _ in range(3):
        if page.is_closed() or page.url == NOWHERE:
            return
        with contextlib.suppress(Error):
            page.goto(NOWHERE)
