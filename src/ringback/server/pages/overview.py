"""The first page of operators."""

from __future__ import annotations

from ringback.server.pages.behind import Behind
from ringback.server.pages.page import Page, Visit
from ringback.server.pages.rendering import page


class Overview:
    """How everything is.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show it."""
        statistics = await self._behind.outbox.read(lambda store: store.statistics(self._behind.clock()))
        return page(visit, "overview.html", {"statistics": statistics, "reason": self._behind.readiness()})
