"""What handlers say when they do not succeed, in place of a receiver's answer: mostly a traceback."""

from __future__ import annotations

from ringback.model import Attempt, OutcomeKind
from ringback.store import Store

# Of a traceback, the end tells most.
MAX_TRACE = 5_000
# So much of them stands on one page, so that it stays light.
MAX_TOLD = 15_000
_TOLD = (OutcomeKind.RAISED, OutcomeKind.AGAIN, OutcomeKind.DISCARDED)


def told(store: Store, owner: str, attempt: Attempt) -> str:
    """Return what a handler said at an attempt; empty where it said nothing, or is none."""
    if attempt.outcome.kind not in _TOLD:
        return ""
    body = store.attempt(owner, attempt.message_id, attempt.id).outcome.body
    return body.decode("utf-8", "replace")[-MAX_TRACE:]
