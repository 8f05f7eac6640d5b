"""What came of asking a provider for a source's events: kept beside them, for whoever looks from another process."""

from __future__ import annotations

import msgspec

from ringback.model import Instant
from ringback.store import Document, Store

_COLLECTION = "ringback.last-look"


class LastLook(msgspec.Struct, frozen=True, kw_only=True):
    """The last look that succeeded, and what has gone wrong since.

    Attributes:
        at: When the last look began that succeeded; None where none has yet.
        news: What it found whose webhook had not come.
        known: What it found that was there already.
        pending: Things that were no event yet.
        unusable: What could not be read, or told apart from other events.
        failed_at: When the last look failed that came after it; None where the latest succeeded.
        error: The name of the error that look ended in.
        failures: How many have failed since.
    """

    at: Instant | None = None
    news: int = 0
    known: int = 0
    pending: int = 0
    unusable: int = 0
    failed_at: Instant | None = None
    error: str = ""
    failures: int = 0

    def failed(self, at: Instant, error: str) -> LastLook:
        """Return how it is after another look that failed."""
        return msgspec.structs.replace(self, failed_at=at, error=error, failures=self.failures + 1)


def last_look(store: Store, source_id: str) -> LastLook | None:
    """Return what came of asking for a source's events; None where nobody has."""
    body = store.document(_COLLECTION, source_id)
    return None if body is None else msgspec.json.decode(body, type=LastLook)


def keep_look(store: Store, source_id: str, look: LastLook | None) -> None:
    """Keep what came of it, in place of what was kept before; None forgets that."""
    body = None if look is None else msgspec.json.encode(look)
    store.keep([Document(_COLLECTION, source_id, body)])
