"""The page about this server itself: its settings and where each comes from."""

from __future__ import annotations

from ringback.server.pages.behind import Behind
from ringback.server.pages.page import Page, Visit
from ringback.server.pages.rendering import page

PLACE = "settings"


class SettingsPage:
    """The settings.

    Args:
        behind: Knows them.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show all."""
        return page(visit, "settings.html", {"place": PLACE, "settings": self._behind.settings})
