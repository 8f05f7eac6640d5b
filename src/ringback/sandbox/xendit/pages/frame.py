"""Dashboard pages: what they share is the menu and whose objects they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.sandbox.xendit.calls import Answer, Call
from ringback.sandbox.xendit.pages.rendering import page
from ringback.sandbox.xendit.sandbox import Sandbox

MENU = {
    "/dashboard": "Home",
    "/dashboard/invoices": "Invoices",
    "/dashboard/webhooks": "Webhooks",
    "/dashboard/events": "Events",
    "/dashboard/settings": "Settings",
    "/dashboard/compare": "Compare",
}


class Frame:
    """Puts what a page of the dashboard shows into the dashboard's frame.

    Args:
        sandbox: Which products it has decides what the menu offers.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def page(self, call: Call, template: str, values: Mapping[str, Any], *, status: int = 200) -> Answer:
        """Return a page of the dashboard; *values* names its ``place`` in the menu."""
        there = {route.template for route in self._sandbox.routes()}
        menu = [(path, name) for path, name in MENU.items() if path in there]
        return page(call, template, {"menu": menu, "place": "", **values}, status=status)
