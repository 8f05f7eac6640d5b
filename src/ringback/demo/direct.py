"""Sends events of the Xendit catalogue straight to a URL, through a node that lives only as long as that takes.

The node is a whole one, on a store that is removed afterwards: what arrives is what the sandbox would send.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ringback.config import load_here
from ringback.outbox import system_clock
from ringback.providers import CatalogueEntry
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.log_rows import Detail
from ringback.sandbox.xendit.outcomes import outcome
from ringback.sandbox.xendit.sandbox import BUSINESS, Sandbox
from ringback.sandbox.xendit.slots import Sending
from ringback.sandbox.xendit.trigger import Triggers
from ringback.server.node import Node

# Whoever names a URL on the command line may reach it anyhow.
EVERYWHERE = "0.0.0.0/0,::/0"
TIMEOUT = "30s"  # how long Xendit waits for an answer


class Direct:
    """Sends events to one URL, each once.

    Args:
        sandbox: Has ``Triggers`` and nothing else.
        url: Where to.
    """

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self._sandbox = sandbox
        self._triggers = sandbox.product(Triggers)
        self._owner = Owner(BUSINESS)
        self._url = url

    @property
    def token(self) -> str:
        """The verification token that webhooks carry."""
        return self._sandbox.slots.token(self._owner).current

    def fresh(self, entry: CatalogueEntry) -> dict[str, Any]:
        """Return a body like an entry's sample, of an event that happens now."""
        return self._triggers.fresh(self._owner, entry)

    async def open(self, token: str | None) -> None:
        """Get ready to send with a *token*, or with a new one.

        Raises:
            Refused: The token or the URL cannot be used.
        """
        await self._sandbox.start()
        self._sandbox.slots.check_url(self._owner, self._url)
        await self._sandbox.slots.open(self._owner)
        if token is not None:
            await self._sandbox.slots.put_token(self._owner, token)

    async def send(self, entry: CatalogueEntry, body: dict[str, Any]) -> Detail:
        """Send a body as an event, and wait for the receiver's answer.

        Raises:
            Refused: The body is too large.
        """
        webhook = await self._triggers.send(self._owner, entry, body, url=self._url, test=True)
        return await outcome(self._sandbox.log, self._owner, webhook)


@asynccontextmanager
async def direct(url: str, token: str | None) -> AsyncIterator[Direct]:
    """Run what sends to *url* for the length of the block.

    Raises:
        Refused: The token or the URL cannot be used.
        ConfigurationError: A setting cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="ringback-") as folder:
        flags = {
            "store": f"sqlite:///{Path(folder) / 'trigger.db'}",
            "allow_subnets": EVERYWHERE,
            "delivery_timeout": TIMEOUT,
        }
        node = Node(load_here(flags), api=False)
        await node.start()
        try:
            sandbox = Sandbox(
                node.outbox, (Triggers,), clock=system_clock, chance=random.SystemRandom(), sending=Sending()
            )
            sender = Direct(sandbox, url)
            await sender.open(token)
            yield sender
        finally:
            await node.stop()
