"""Where a delivery goes: the seam between the worker and the outside.

A destination makes exactly one attempt and reports what came of it as a value. It never raises for anything
the receiver or the network does and never outlives its deadline. It sends a request once; only where an idle
connection turns out to have been closed by the receiver may it send it again on a fresh one.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from ringback.credentials import ClientCertificate
from ringback.model import Duration, Outcome


class Request(msgspec.Struct, frozen=True, gc=False):
    """One signed attempt, ready to go.

    ``headers`` are complete but for ``Host``, ``Content-Length`` and ``Connection``, which the destination adds.
    ``deadline`` bounds the whole attempt, name resolution included. ``certificate`` is shown in TLS.
    """

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    deadline: Duration
    certificate: ClientCertificate | None = None


class Destination(Protocol):
    """What the worker needs of a place to deliver to."""

    async def send(self, request: Request) -> Outcome:
        """Make one attempt and return its outcome, within ``request.deadline``."""
        ...

    async def aclose(self) -> None:
        """Give up idle connections."""
        ...
