"""Finds the browser that the tests drive, and installs Debian's where there is none.

``CHROME`` names another one. Where none can be installed, the tests that need it are skipped and say why, unless
``REQUIRE_BROWSER`` is set, as ``.ci/run`` does: then its absence is a failure.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import os
import shutil
import sys

from scripts.debian import can_install, install, say

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# A font besides, for machines that have none.
PACKAGES = ("chromium", "fonts-dejavu-core")
HINT = "Install Chromium or Google Chrome, or name one: CHROME=/path/to/chrome"


def found() -> str | None:
    """Return where the browser is; None where there is none."""
    named = os.environ.get("CHROME")
    places = (named,) if named else (*NAMES, *ELSEWHERE)
    return next((path for place in places if (path := shutil.which(place))), None)


def absence() -> str:
    """Say that there is no browser, and what to do."""
    named = os.environ.get("CHROME")
    what = f"CHROME names {named}, which cannot be run." if named else "There is no Chromium or Chrome here."
    return f"{what} {HINT}"


def is_required() -> bool:
    """Tell whether the tests fail without a browser."""
    return bool(os.environ.get("REQUIRE_BROWSER"))


def options() -> list[str]:
    """Return what the browser must be started with here: as root it cannot make the sandbox for its pages."""
    return ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


def main() -> int:
    """Install the browser unless it is there; return 1 where it must be there and cannot be."""
    if found():
        return 0
    if not os.environ.get("CHROME") and can_install():
        install(PACKAGES, "There is no browser for the tests")
    if found():
        return 0
    say(absence())
    if not is_required():
        say("Without it, the tests in tests/browser are skipped.")
    return int(is_required())


if __name__ == "__main__":
    sys.exit(main())
