"""Installs Debian's packages for the tests, where that can be done."""  # noqa: INP001 - a module of scripts, not a package

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

SECONDS = 300


def can_install() -> bool:
    """Tell whether there is apt-get, and the right to use it."""
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install(packages: Sequence[str], what_for: str) -> None:
    """Install packages; what apt-get says goes to the terminal, and that it failed as well."""
    say(f"{what_for}: installing Debian's {' and '.join(packages)}")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        command = ["apt-get", "-q", "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=20", *arguments]
        try:
            done = subprocess.run(command, env=quiet, stdout=sys.stderr, check=False, timeout=SECONDS)  # noqa: S603 - said above, in full
        except subprocess.TimeoutExpired:
            say(f"{' '.join(command)} took longer than {SECONDS} s.")
            return
        if done.returncode:
            say(f"{' '.join(command)} failed with {done.returncode}; what it says is above.")


def say(line: str) -> None:
    """Tell whoever runs the tests."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress of a script
