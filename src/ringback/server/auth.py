"""Who may use the API: bearer tokens, known by their digests only."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Any

from falcon.asgi import Request, Response

from ringback import tokens
from ringback.errors import NotAuthenticated
from ringback.outbox import Outbox

SCHEME = "bearer "
# A revoked token works no longer than this, plus the time one read takes: less than five seconds in all.
TRUST_SECONDS = 4.0
# An unknown token has the list read again, so that a new one works at once; a flood of them costs little.
DOUBT_SECONDS = 0.1


class Tokens:
    """The tokens that may use the API: the administrator's, and those in the store.

    Args:
        outbox: Reads the store.
        admin: The administrator's token; None when there is none.
        monotonic: Returns seconds on a clock that never goes back.
    """

    def __init__(
        self, outbox: Outbox, admin: str | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbox = outbox
        self._admin = None if admin is None else tokens.digest(admin)
        self._monotonic = monotonic
        self._known: frozenset[bytes] = frozenset()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def verify(self, authorization: str | None) -> None:
        """Accept the value of an ``Authorization`` header.

        Raises:
            NotAuthenticated: There is none, it is not a bearer token, or the token is unknown or revoked.
            Unavailable: The store cannot be asked.
        """
        if authorization is None or authorization[: len(SCHEME)].lower() != SCHEME:
            raise NotAuthenticated("send the header Authorization: Bearer TOKEN")
        # Only digests are compared: what the time taken betrays of a digest tells nothing of its token.
        digest = tokens.digest(authorization[len(SCHEME) :].strip())
        if self._knows(digest):
            return
        if self._age() >= DOUBT_SECONDS:
            await self._read()
        if digest not in self._known:
            raise NotAuthenticated

    def trusts(self, authorization: str) -> bool:
        """Tell whether the value of an ``Authorization`` header is good, as far as can be told at once."""
        if authorization[: len(SCHEME)].lower() != SCHEME:
            return False
        return self._knows(tokens.digest(authorization[len(SCHEME) :].strip()))

    def _knows(self, digest: bytes) -> bool:
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return True
        return digest in self._known and self._age() < TRUST_SECONDS

    def _age(self) -> float:
        return self._monotonic() - self._read_at

    async def _read(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_once())
        # Shielded: one caller who goes away must not fail the others who wait for the same reading.
        await asyncio.shield(self._reading)

    async def _read_once(self) -> None:
        began = self._monotonic()
        held = await self._outbox.read(lambda store: store.tokens())
        self._known = frozenset(token.digest for token in held)
        self._read_at = began


class Guard:
    """Falcon middleware: lets nobody past without a token, except to resources that say they are ``open``."""

    def __init__(self, tokens: Tokens) -> None:
        self._verify = tokens.verify

    async def process_resource(
        self, req: Request, _resp: Response, resource: object, _params: dict[str, Any]
    ) -> None:
        """Verify the token before a responder runs."""
        if not getattr(resource, "open", False):
            await self._verify(req.get_header("Authorization"))
