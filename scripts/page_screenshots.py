"""Takes a picture of every page of the page table, light and dark, on a desktop and on a phone, with data in it.

Run it with ``make screenshots``; names, or beginnings of names, take those pages alone. The pictures are in
``screenshots/``, which is not committed.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
sys.path[:0] = [str(ROOT), str(TESTS), str(TESTS / "acceptance"), str(TESTS / "browser")]

from page_table import PAGES, Shown  # noqa: E402 - what tests look at, too
from playwright.sync_api import Browser  # noqa: E402 - as above
from running_site import Site  # noqa: E402 - as above
from scripts.chromium import absence, found  # noqa: E402 - as above
from sites import PICTURED  # noqa: E402 - as above
from visits import SCHEMES, SCREENS, started, visiting  # noqa: E402 - as above

FOLDER = ROOT / "screenshots"


def main() -> None:
    """Take the pictures; exit with 1 where a page did what a page must never do, or none has such a name."""
    if not found():
        sys.exit(absence())
    begins = tuple(sys.argv[1:])
    pages = [shown for shown in PAGES if not begins or shown.name.startswith(begins)]
    if not pages:
        sys.exit(f"no page is called so; there are: {' '.join(shown.name for shown in PAGES)}")
    FOLDER.mkdir(exist_ok=True)
    with started() as browser:
        faults = [fault for name in PICTURED for fault in _taken(browser, name, pages)]
    _say(f"Pictures of {len(pages)} pages are in {FOLDER.name}/")
    if faults:
        sys.exit("\n".join(faults))


def _taken(browser: Browser, name: str, pages: list[Shown]) -> list[str]:
    """Take the pictures of the pages on one site; return what went wrong."""
    there = [shown for shown in pages if shown.site == name]
    if not there:
        return []
    faults = []
    with PICTURED[name]() as site:
        for shown in there:
            try:
                _take(browser, site, shown)
            except AssertionError as error:
                faults.append(f"{shown.name}: {error}")
            _say(shown.name)
    return faults


def _take(browser: Browser, site: Site, shown: Shown) -> None:
    with contextlib.ExitStack() as stack:
        for screen, size in SCREENS.items():
            cookies = site.cookies(shown.who)
            visit = stack.enter_context(visiting(browser, site.url, screen=size, cookies=cookies))
            visit.expect_fault(rf"status of {shown.status} ")
            shown.open(visit.page, site)
            page = visit.settle()
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                visit.settle()
                page.screenshot(path=FOLDER / f"{shown.name}-{screen}-{scheme}.png", full_page=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress of a script


if __name__ == "__main__":
    main()
