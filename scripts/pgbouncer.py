"""Finds the pooler that the tests put before PostgreSQL, and installs Debian's where there is none.

Where it cannot be installed, the one test that needs it is skipped and says so.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import os
import shutil

from scripts.debian import can_install, install, say

PACKAGE = "pgbouncer"


def found() -> str | None:
    """Return where the pooler is; None where there is none."""
    return shutil.which(PACKAGE, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def main() -> None:
    """Install the pooler unless it is there."""
    if found() is None and can_install():
        install([PACKAGE], "There is no pooler for the tests")
    if found() is None:
        say("There is no pgbouncer: the test of nodes behind a pooler is skipped.")


if __name__ == "__main__":
    main()
