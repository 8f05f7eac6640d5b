"""What the store promises about pollers: endpoints without an address, whose messages are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from ringback.model import Endpoint, Instant, Message
from ringback.store.values import MessageFilter, Page


class Polled(msgspec.Struct, frozen=True):
    """Messages that lie behind a position, and the position to go on from.

    ``ended`` is whether that is the end of what has a position; ``more``, whether anything waits to be given one.
    """

    messages: Sequence[Message]
    position: int
    ended: bool
    more: bool


class PollerVerbs(Protocol):
    """The verbs about pollers. All of them but ``add_poller`` raise ``NotFound`` where there is no such poller."""

    def add_poller(self, record: Endpoint) -> None:
        """Store a new poller: an endpoint whose address is ``model.POLLED``; raises ``NotFound``."""
        ...

    def change_poller(
        self, application_id: str, poller_id: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        """Replace a poller by what *change* makes of it."""
        ...

    def remove_poller(self, application_id: str, poller_id: str, now: Instant) -> None:
        """Delete a poller, with its tokens and what is known of its consumers."""
        ...

    def poller(self, application_id: str, poller_id: str) -> Endpoint:
        """Return a poller."""
        ...

    def pollers(self, application_id: str, page: Page) -> list[Endpoint]:
        """Return a page of an application's pollers, in the order of their ids."""
        ...

    def poll(
        self,
        application_id: str,
        poller_id: str,
        position: int,
        where: MessageFilter,
        *,
        limit: int,
        now: Instant,
    ) -> Polled:
        """Return up to *limit* messages behind a *position* of the feed, of those that are meant.

        However few are meant, only so many positions are looked at; however large they are, there is an end.
        """
        ...

    def give_positions(self, application_id: str, poller_id: str, limit: int, now: Instant) -> None:
        """Give positions to up to *limit* messages that are due and have none yet."""
        ...

    def position_after(self, application_id: str, poller_id: str, instant: Instant, now: Instant) -> int:
        """Return a position behind which everything lies that was accepted after an instant, and little else."""
        ...

    def consumer(self, application_id: str, poller_id: str, name: str) -> int:
        """Return up to which position a consumer has seen everything; 0 for one that is not known."""
        ...

    def keep_consumer(self, application_id: str, poller_id: str, name: str, position: int) -> int:
        """Keep up to which position a consumer has seen everything; return it.

        That is no further than there is anything. Raises ``LimitReached``.
        """
        ...

    def forget_poller_tokens(self, poller_id: str) -> None:
        """Forget the tokens of a poller."""
        ...
