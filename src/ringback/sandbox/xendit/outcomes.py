"""Waits for what comes of a webhook that was just sent."""

from __future__ import annotations

import asyncio

from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.log import Log
from ringback.sandbox.xendit.log_rows import Detail, Status

# In real time: the receiver has 30 seconds, and the worker needs a moment.
PATIENCE = 45.0
LOOK_SECONDS = 0.02
SLOWER = 1.5


async def outcome(log: Log, owner: Owner, webhook: str, *, patience: float = PATIENCE) -> Detail:
    """Return what is known of a webhook after its first attempt.

    Returns at once where none will be made soon: no URL is set, or it is held back on purpose. Without any after
    *patience* seconds, what is returned says so.

    Raises:
        Refused: 404 ``WEBHOOK_NOT_FOUND_ERROR``.
    """
    loop = asyncio.get_running_loop()
    until, seconds = loop.time() + patience, LOOK_SECONDS
    while True:
        detail = await log.detail(owner, webhook)
        held = detail.webhook_id is None and detail.mishap is not None
        # The history is read after the status: where it knows of an answer and that does not, look once more.
        if held or detail.row.status is not Status.PENDING or loop.time() > until:
            return detail
        await asyncio.sleep(seconds)
        seconds = min(seconds * SLOWER, 1.0)
