"""Inboxes for tests: where they keep what they receive, and how time passes for them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ringback.testing.clock import FrozenClock

if TYPE_CHECKING:
    from ringback.inbox import Drained, Inbox

# Longer than any schedule of retries goes on.
LONGEST_WAIT = timedelta(days=30)


def inbox_at(folder: Path, **options: Any) -> Inbox:
    """Return an inbox whose store is the file ``inbox.db`` in *folder*; *options* are those of ``Inbox``."""
    from ringback.inbox import Inbox  # noqa: PLC0415 - who only wants requests does not wait for a store to be imported

    return Inbox(f"sqlite:///{folder / 'inbox.db'}", **options)


def drain(inbox: Inbox, clock: FrozenClock | None = None) -> Drained:
    """Handle everything that is due, and with the inbox's frozen *clock* all that is due later too.

    The clock is moved on from retry to retry until nothing waits. What is returned counts all attempts.

    Raises:
        AssertionError: Something still waits after thirty days, or is due and is not handled.
    """
    handled = inbox.drain()
    if clock is None:
        return handled
    started = clock.now
    while (due := inbox.next_due().result()) is not None:
        if due <= clock():
            raise AssertionError("a delivery is due and was not handled: does another process handle it?")
        clock.advance_to(due)
        if clock.now - started > LONGEST_WAIT:
            raise AssertionError("a delivery still waits after thirty days")
        handled = _together(handled, inbox.drain())
    return handled


def _together(before: Drained, after: Drained) -> Drained:
    return msgspec.structs.replace(
        after, succeeded=before.succeeded + after.succeeded, failed=before.failed + after.failed
    )
