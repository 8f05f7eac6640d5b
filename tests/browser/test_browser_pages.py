"""Every page there is, on a desktop and on a phone, light and dark: within the rules of WCAG 2.2 AA, and in shape."""

import contextlib

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from page_table import PAGES
from visits import PHONE, SCREENS, visiting

# Everything that axe knows of WCAG 2.2, levels A and AA; the size of targets it leaves out by itself.
EVERY_RULE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
    "preload": False,
}
# What can be otherwise where only the colours are.
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast"]},
    "resultTypes": ["violations"],
    "preload": False,
}
UNFOLD = "document.querySelectorAll('details').forEach(one => { one.open = true; })"
# What is wider than the window, but for what can be scrolled by itself.
WIDER = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const isFrame = one => getComputedStyle(one).overflowX !== "visible";
  const scrolls = one => one !== document.body && (isFrame(one) || scrolls(one.parentElement));
  return [...document.body.querySelectorAll("*")]
    .filter(one => one.getBoundingClientRect().right > width + 0.5 && !scrolls(one))
    .map(one => one.outerHTML.slice(0, 150));
}"""
# What was sent for a page, but for the files that browsers keep: bytes, as the server packed them.
# A page that renews itself meanwhile is sent again from the same address: that is another opening of it.
SENT = """() => {
  const sizes = new Map();
  for (const one of ["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind)))
    if (!new URL(one.name).pathname.includes("/assets/"))
      sizes.set(one.name, Math.max(sizes.get(one.name) ?? 0, one.transferSize));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}"""
MOST_SENT = 60_000
# The whole API as one document, which browsers keep.
TOO_HEAVY = {"docs"}
# The narrowest that a page must fit, without loss (WCAG 2.2, 1.4.10).
NARROWEST = 320


def violations(page, rules):
    """Return what axe finds wrong, each with where it is."""
    found = page.evaluate("rules => axe.run(rules)", rules)["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def wider(page):
    """Return what makes a page wider than its window."""
    return page.evaluate(WIDER)


@pytest.fixture(scope="module")
def visitor(browser, site):
    """Return what gives somebody on a screen: they look at page after page, with what their browser has kept."""
    there = {}
    with contextlib.ExitStack() as stack:

        def one(shown, screen):
            key = shown.site, shown.who, screen
            if key not in there:
                at = site(shown.site)
                how = {"screen": SCREENS[screen], "cookies": at.cookies(shown.who)}
                there[key] = stack.enter_context(visiting(browser, at.url, **how))
            there[key].begin()
            return there[key]

        yield one


LOOKS = [(shown, screen) for shown in PAGES for screen in SCREENS if screen == "phone" or not shown.seldom]


@pytest.mark.parametrize(("shown", "screen"), LOOKS, ids=lambda one: getattr(one, "name", one))
def test_page(site, visitor, shown, screen):
    """It answers as the table says, is light, fits its window, moves and logs nothing, and axe finds nothing in it."""
    visit, there = visitor(shown, screen), site(shown.site)
    if shown.status >= 400:
        visit.expect_fault(rf"status of {shown.status} ")
    page, size = visit.page, SCREENS[screen]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": size.width, "height": size.height})
    assert shown.open(page, there).status == shown.status
    assert shown.press or page.url == there.url + shown.path.format(**there.places)
    visit.settle()
    assert shown.name in TOO_HEAVY or page.evaluate(SENT) < MOST_SENT
    assert wider(page) == []
    page.evaluate(UNFOLD)
    assert wider(page) == []
    if shown.more:
        page.locator(shown.more).evaluate_all("all => all.forEach(one => one.remove())")
    page.evaluate(AXE_SCRIPT)
    assert violations(page, EVERY_RULE) == []
    if not shown.seldom:
        page.emulate_media(color_scheme="dark")
        visit.settle()
        assert violations(page, COLOURS) == []
    if size is PHONE:
        page.set_viewport_size({"width": NARROWEST, "height": PHONE.height})
        assert wider(page) == []
    assert visit.unexpected() == []
