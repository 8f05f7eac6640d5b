"""Who may run beside whom when pytest-xdist runs tests in several processes.

Everyone may, but for a test that is marked ``alone``: it measures how soon something happens, so it waits until the
others are done with theirs, and they wait for it. The locks are those of two files that are there anyway.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

GATE = Path(__file__)
FLOOR = Path(__file__).with_name("conftest.py")


@contextlib.contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Have the floor for the length of the block: to oneself, or with all others who do not need that."""
    with FLOOR.open() as floor:
        # Whoever waits for the floor to be empty holds the gate, so that nobody else comes in meanwhile.
        with GATE.open() as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        try:
            yield
        finally:
            # Said, not left to closing: a process that a test has forked has the file open as well.
            fcntl.flock(floor, fcntl.LOCK_UN)
