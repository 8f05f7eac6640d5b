"""The door in front of applications in any language: webhooks come in at an address with a secret token in it.

``/in/TOKEN`` is a source's address. What it is for is asked of the store once a second at most, so a changed or
rotated source is in effect a second later, on every node.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any

import msgspec

from ringback import tokens
from ringback.entrance import Entrance, Reply, error_reply
from ringback.errors import NotFound, PayloadTooLarge, RingbackError, StoreUnavailable, Unavailable
from ringback.former_addresses import source_of_former
from ringback.intake import After, Intake, Ready
from ringback.model import Duration, Instant
from ringback.signing import Request
from ringback.store import Pending, Store
from ringback.store.commit import Committer

FRESH_FOR: Duration = 1_000
# While the store is asked again, what was known is used for so long at most.
KNOWN_FOR: Duration = 3_000
MAX_KNOWN = 10_000
MAX_TOKEN = 256
NOWHERE = error_reply(NotFound("no source has this address; was its token rotated?"))

logger = logging.getLogger("ringback.gateway")


class _Known(msgspec.Struct):
    """A source as it was when the store was asked."""

    entrance: Entrance
    asked_at: Instant
    asking: bool = False


class Gateway:
    """Accepts webhooks for the sources in the store, by their tokens. For use on one event loop.

    Args:
        committer: Asks the store.
        intake: Accepts.
        clock: Returns the present instant.
        max_body: The largest request body, in bytes.
    """

    def __init__(
        self, committer: Committer, intake: Intake, *, clock: Callable[[], Instant], max_body: int
    ) -> None:
        self.max_body = max_body
        self._committer = committer
        self._intake = intake
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def known(self, token: str) -> Entrance | None:
        """Return the source that a token is for, if that can be told without asking the store."""
        known = self._known.get(token)
        if known is None:
            return None
        # A clock that is set back must not keep a source known that has been rotated since.
        age = abs(self._clock() - known.asked_at)
        if age < FRESH_FOR:
            return known.entrance
        if not known.asking:
            known.asking = True
            self._ask(token)
        return known.entrance if age < KNOWN_FOR else None

    def accept(self, source: str, request: Request) -> Pending[Reply]:
        """Take a request in for the source whose token is *source*; nothing a request holds ever raises."""
        entrance = self.known(source)
        if entrance is not None:
            return self.receive(entrance, request)
        if len(source) > MAX_TOKEN:
            return Ready(NOWHERE)
        return _Looked(self, self._committer, source, request, self._clock)

    def receive(self, entrance: Entrance, request: Request) -> Ready | After:
        """Take a request in for a source that is known."""
        return self._intake.accept(entrance, request)

    def too_large(self) -> Reply:
        """Return the reply to a request whose body is larger than ``max_body``."""
        return error_reply(PayloadTooLarge(f"the request body may have {self.max_body} bytes at most"))

    def learn(self, token: str, entrance: Entrance | None) -> None:
        """Remember what the store says a token is for."""
        if entrance is None:
            self._known.pop(token, None)
            return
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[token] = _Known(entrance, self._clock())

    def _ask(self, token: str) -> None:
        pending: Any = self._committer.read(lambda store: look_up(store, token, self._clock()))

        def learn(done: Any) -> None:
            if done.exception() is not None:
                self._known.pop(token, None)
            else:
                self.learn(token, done.result())

        pending.add_done_callback(learn)


def look_up(store: Store, token: str, now: Instant) -> Entrance | None:
    """Return the source that a token is for, ready to receive; None where there is none."""
    digest = tokens.digest(token)
    source = store.source_of_token(digest) or source_of_former(store, digest, now)
    return None if source is None else Entrance(source)


class _Looked(Pending[Reply]):
    """The reply to a request whose source has to be looked up first."""

    def __init__(
        self,
        gateway: Gateway,
        committer: Committer,
        token: str,
        request: Request,
        clock: Callable[[], Instant],
    ) -> None:
        self._clock = clock
        self._gateway = gateway
        self._committer = committer
        self._token = token
        self._request = request

    def __await__(self) -> Generator[Any, None, Reply]:
        try:
            found = yield from self._look().__await__()
        except RingbackError as error:
            return _unusable(error)
        return (yield from self._receive(found).__await__())

    def result(self) -> Reply:
        """Block until it is there."""
        try:
            found = self._look().result()
        except RingbackError as error:
            return _unusable(error)
        return self._receive(found).result()

    def _look(self) -> Pending[Entrance | None]:
        return self._committer.read(lambda store: look_up(store, self._token, self._clock()))

    def _receive(self, entrance: Entrance | None) -> Pending[Reply]:
        self._gateway.learn(self._token, entrance)
        return Ready(NOWHERE) if entrance is None else self._gateway.receive(entrance, self._request)


def _unusable(error: RingbackError) -> Reply:
    if isinstance(error, Unavailable):
        return error_reply(error)
    # Such as a source whose provider this version does not know: ours to mend, so it must be sent again.
    logger.error("a source cannot be used", exc_info=error)
    return error_reply(
        StoreUnavailable("this source cannot be used now; send this again later", retry_after=30)
    )
