"""A site that runs, and the shop that its webhooks go to."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from running import Answer, Arrival

MEMORY = Path("/dev/shm")
SHOP = {
    "/shop": (200, '{"received": true}'),
    "/broken": (
        500,
        "<!doctype html><h1>Internal Server Error</h1><p>orders: row 4711 is locked</p>",
    ),
    "/stranger": (401, '{"error": "x-callback-token does not match"}'),
}
HANGS = "/hangs"


class Site(NamedTuple):
    """A running site.

    Args:
        url: Its address.
        places: What the names in a path of the page table stand for.
        sessions: The cookies of whoever may see its pages, by who it is.
    """

    url: str
    places: Mapping[str, str] = {}
    sessions: Mapping[str, tuple[Mapping[str, Any], ...]] = {}

    def cookies(self, who: str = "operator") -> tuple[Mapping[str, Any], ...]:
        """Return the cookies of somebody; none where there is nothing to sign in to."""
        return self.sessions.get(who, ())


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Give an empty folder for the length of the block, in memory where there is some."""
    with tempfile.TemporaryDirectory(
        prefix="ringback-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None
    ) as made:
        yield Path(made)


def shop(arrival: Arrival) -> Answer:
    """Answer a webhook as the path of its address says; what comes to an unknown one is taken without a word."""
    if arrival.path.startswith(HANGS):
        return Answer(0)
    status, body = SHOP.get(arrival.path.partition("?")[0], (204, ""))
    head = f"HTTP/1.1 {status} As told\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
    return Answer(status, raw=(head + body).encode())


def unhurried(arrival: Arrival) -> Answer:
    """Answer as the shop does, but after as long as a shop takes that is not on the same machine."""
    seconds = 0.06 + int(arrival.id[-2:], 36) % 100 / 1000
    return shop(arrival)._replace(seconds=seconds)
