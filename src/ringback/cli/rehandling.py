"""Handling received messages again, many of them in portions that do not hold up whoever else writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from ringback import policy
from ringback.entrance import Entrance
from ringback.errors import Conflict, InvalidInput, NotFound
from ringback.model import Instant, Message, Source
from ringback.store import MessageFilter, Page, Store

BATCH = 50


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages of a source: received in a span of time, of types that match one of *patterns* (none: all)."""

    source: Source
    since: Instant | None = None
    until: Instant | None = None
    patterns: tuple[str, ...] = ()

    def messages(self, store: Store, *, newest_first: bool) -> Iterator[Message]:
        """Yield the messages, a page at a time."""
        named = self.patterns if self.patterns and not any("*" in one for one in self.patterns) else None
        where = MessageFilter(after=self.since, before=self.until, event_types=named)
        page = Page(limit=BATCH, descending=newest_first)
        while found := store.messages(self.source.id, where, page):
            yield from (
                one for one in found if not self.patterns or policy.matches(self.patterns, one.event_type)
            )
            page = msgspec.structs.replace(page, cursor=found[-1].id)


class Replayed(msgspec.Struct, frozen=True):
    """What became of messages to be handled again: how many are, by how many deliveries, and how many cannot be.

    ``idle`` are those that nobody handles, or that are being handled just now.
    """

    messages: int = 0
    deliveries: int = 0
    idle: int = 0
    failed: int = 0


def replay(
    store: Store,
    source: Source,
    message_ids: Sequence[str],
    now: Instant,
    *,
    rematch: bool,
    done_too: bool,
    progress: Callable[[int], None],
) -> Replayed:
    """Have messages handled again, oldest first.

    Args:
        store: Where they are.
        source: Theirs.
        message_ids: Which, in the order of their age.
        now: The present instant.
        rematch: By what matches them now, rather than by those that they were for.
        done_too: Also by those that are done with them.
        progress: Called with how many more are done.
    """
    entrance = _entrance(source) if rematch else None

    def replay_one(message_id: str) -> int | None:
        try:
            message = store.message(source.id, message_id)
            event_type = None if entrance is None else entrance.event_type_of(message)
            return store.replay(
                source.id, message_id, now, event_type=event_type, rematch=rematch, done_too=done_too
            )
        except (Conflict, NotFound):  # it cannot be handled any more
            return None

    done = Replayed()
    for start in range(0, len(message_ids), BATCH):
        some = message_ids[start : start + BATCH]
        with store.transaction():
            for message_id in some:
                done = _add(done, replay_one(message_id))
        progress(len(some))
    return done


def _entrance(source: Source) -> Entrance | None:
    try:
        return Entrance(source)
    except InvalidInput:
        # The application has a profile of its own for it; what the message was taken for stays.
        return None


def _add(done: Replayed, deliveries: int | None) -> Replayed:
    if deliveries is None:
        return msgspec.structs.replace(done, failed=done.failed + 1)
    if deliveries == 0:
        return msgspec.structs.replace(done, idle=done.idle + 1)
    return msgspec.structs.replace(done, messages=done.messages + 1, deliveries=done.deliveries + deliveries)
