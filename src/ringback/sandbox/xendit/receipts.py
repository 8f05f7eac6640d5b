"""Idempotency keys: which request was done with each, and what was answered.

A receipt is kept in the commit of what the request did, and completed with the answer. Where the sandbox ends in
between, the request is not done again: whoever repeats it is told what it made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from ringback.sandbox.xendit.calls import Answer, Owner
from ringback.sandbox.xendit.ledger import Change, Entry

RECEIPT = "idempotent"


class Receipt:
    """The receipt of a request that is being done.

    Args:
        place: The key, with whose it is and what it was used for.
        owner: Whose request.
        fingerprint: Tells its body from others.
    """

    def __init__(self, place: str, owner: Owner, fingerprint: str) -> None:
        self._place = place
        self._owner = owner
        self._fingerprint = fingerprint
        self._is_kept = False

    @contextlib.contextmanager
    def wanted(self) -> Iterator[None]:
        """Let the first commit within the block keep the receipt, too."""
        token = _WANTED.set(self)
        try:
            yield
        finally:
            _WANTED.reset(token)

    def begin(self, change: Change) -> None:
        """Make the receipt, still without the answer, a part of a change; only the first one has it."""
        if not self._is_kept:
            self._is_kept = True
            self._add(change, {"made": [entry.place for entry in change.entries]})

    def complete(self, change: Change, answer: Answer) -> None:
        """Make the receipt with the *answer* a part of a change."""
        self._add(change, {"body": answer.body, "status": answer.status})

    def _add(self, change: Change, fields: dict[str, Any]) -> None:
        hidden = {"fingerprint": self._fingerprint, **fields}
        change.add(RECEIPT, self._place, self._owner, {}, hidden=hidden)


_WANTED: ContextVar[Receipt | None] = ContextVar("receipt", default=None)


def begin_receipt(change: Change) -> None:
    """Make the receipt of the request that is being done a part of its first change."""
    receipt = _WANTED.get()
    if receipt is not None:
        receipt.begin(change)


def answered(receipt: Entry) -> Answer | None:
    """Return what a kept receipt says was answered; None: the sandbox ended before that."""
    hidden = receipt.hidden
    return Answer(hidden["body"], hidden["status"]) if "status" in hidden else None
