"""What is asked of a store to look at all of it: every application's messages, and how things go over time.

No question here takes longer where more is stored: what cannot be found through an index is looked for among so many
messages at most, and what would have to be counted one by one is told from a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringback.model import Application, Attempt, Duration, Endpoint, Instant, Message, Standing

# How many messages one look goes through for what no index finds.
LOOKED_THROUGH = 5_000
# How many messages of a stretch of time are looked at for how it went.
SAMPLED = 160
# How many handlers are looked at for how they fare, and of how many sources.
HANDLERS = 500
# Up to how many messages of a stretch are counted, where counting is needed.
COUNTED = 10_000


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """What was accepted from an instant to before another, and how a sample of it went.

    ``messages`` is how many were accepted, ``more`` that there are more than could be counted. Of the *sampled* ones,
    ``standings`` counts the deliveries, ``durations`` are those of all attempts in milliseconds, of which ``good``
    succeeded.
    """

    since: Instant
    until: Instant
    messages: int
    more: bool = False
    sampled: int = 0
    standings: dict[Standing, int] = {}
    durations: tuple[Duration, ...] = ()
    good: int = 0


class Trouble(msgspec.Struct, frozen=True):
    """An endpoint that fails or was disabled for that, whose it is, and how many deliveries wait there (to 10,000)."""

    endpoint: Endpoint
    application: Application
    waiting: int


class HandlerTrouble(msgspec.Struct, frozen=True):
    """A handler whose latest attempt failed, its source, that attempt, and how many deliveries wait (to 10,000).

    The attempt is without what the handler said.
    """

    endpoint: Endpoint
    source: Application
    latest: Attempt
    waiting: int


class JournalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages of all applications.

    Args:
        application_id: Only those of this application or source.
        before: Accepted before.
        after: Accepted at or after.
        event_types: Of these types.
        standing: With a delivery that stands so.
        unsent: With no delivery at all.
        tag: With this tag.
        text: Whose id or event id is *text*, whose event type or payload contains it, or with a channel or tag of it.
    """

    application_id: str | None = None
    before: Instant | None = None
    after: Instant | None = None
    event_types: tuple[str, ...] | None = None
    standing: Standing | None = None
    unsent: bool = False
    tag: str | None = None
    text: str | None = None


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A message without its payload, whose it is, and how its deliveries stand, counted."""

    message: Message
    owner: Application
    standings: dict[Standing, int]

    @property
    def cursor(self) -> str:
        """Where it is in the journal."""
        return f"{self.owner.id}.{self.message.id}"


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Messages, newest first.

    ``cursor`` leads on from where the look ended, the same way, None where nothing is left. ``looked_to`` is set where
    a look went through as many messages as it may before it had found enough: the time of the last one.
    """

    entries: tuple[JournalEntry, ...]
    cursor: str | None = None
    looked_to: Instant | None = None


class SurveyVerbs(Protocol):
    """The verbs that look at all of a store."""

    def course(self, edges: Sequence[Instant]) -> list[Stretch]:
        """Return how things went between each of the *edges*, which come in order, and the next."""
        ...

    def troubles(self, limit: int) -> list[Trouble]:
        """Return the endpoints that have failed since their last success, those first that have for longest.

        Those that were disabled for it are among them, those that somebody disabled are not.
        """
        ...

    def handler_troubles(self, limit: int) -> list[HandlerTrouble]:
        """Return the handlers of sources whose latest attempt failed, those first where that was last.

        A handler that asked to be called again has not failed. So many handlers are looked at, however many there are.
        """
        ...

    def journal(
        self, where: JournalFilter, limit: int, cursor: str | None = None, *, backwards: bool = False
    ) -> Journal:
        """Return up to *limit* messages, newest first: those before the one at *cursor*, or *backwards* after it.

        Raises:
            NotFound: There is no such application; or the message at *cursor* is gone.
        """
        ...
