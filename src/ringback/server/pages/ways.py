"""Where pages are, as seen by whoever looks: an operator, or an application's own people in their portal."""

from __future__ import annotations

from ringback import ids
from ringback.design.writing import named
from ringback.model import Application, Endpoint
from ringback.server.pages.page import PORTAL, Visit, segment

APPLICATIONS = "applications"
SOURCES = "sources"
MESSAGES = "messages"
REPLAYS = "replays"
EVENT_TYPES = "event-types"


class Ways:
    """The ways from the first page to others.

    Args:
        visit: Who looks.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    @property
    def place(self) -> str:
        """The entry of the menu under which endpoints are."""
        return PORTAL if self._in_portal else APPLICATIONS

    def place_of(self, owner_id: str) -> str:
        """Return the entry of the menu under which the endpoints of an application or a source are."""
        return SOURCES if ids.is_id(ids.SOURCE, owner_id) and not self._in_portal else self.place

    def application(self, application_id: str) -> str:
        """Return the way to the page with the endpoints of an application, or to that of a source."""
        above = SOURCES if ids.is_id(ids.SOURCE, application_id) else APPLICATIONS
        return PORTAL if self._in_portal else f"{above}/{segment(application_id)}"

    def endpoint(self, endpoint: Endpoint) -> str:
        """Return the way to an endpoint."""
        return self.endpoint_of(endpoint.application_id, endpoint.id)

    def endpoint_of(self, owner_id: str, endpoint_id: str) -> str:
        """Return the way to an endpoint or a handler of an application or a source."""
        above = PORTAL if self._in_portal else f"{APPLICATIONS}/{segment(owner_id)}"
        return f"{above}/endpoints/{segment(endpoint_id)}"

    @property
    def messages(self) -> str:
        """The way to messages, those of all applications or an application's own."""
        return f"{PORTAL}/{MESSAGES}" if self._in_portal else MESSAGES

    def message(self, application_id: str, message_id: str) -> str:
        """Return the way to a message."""
        owner = "" if self._in_portal else f"/{segment(application_id)}"
        return f"{self.messages}{owner}/{segment(message_id)}"

    @property
    def replays(self) -> str:
        """The way to all replays."""
        return f"{PORTAL}/{REPLAYS}" if self._in_portal else REPLAYS

    def replay(self, task_id: str) -> str:
        """Return the way to a replay."""
        return f"{self.replays}/{segment(task_id)}"

    @property
    def event_types(self) -> str:
        """The way to all event types."""
        return f"{PORTAL}/{EVENT_TYPES}" if self._in_portal else EVENT_TYPES

    def event_type(self, name: str) -> str:
        """Return the way to an event type."""
        return f"{self.event_types}/{segment(name)}"

    def crumbs(self, application: Application, *more: tuple[str, str | None]) -> list[tuple[str, str | None]]:
        """Return the links down to an application and further: a name and a way (None: here) for each step."""
        above: list[tuple[str, str | None]] = [("Endpoints", PORTAL)]
        if not self._in_portal:
            own = self.application(application.id)
            first = ("Sources", SOURCES) if own.startswith(SOURCES) else ("Applications", APPLICATIONS)
            above = [first, (named(application.name), own)]
        return [(name, None if way is None else self._visit.link(way)) for name, way in [*above, *more]]

    @property
    def _in_portal(self) -> bool:
        return self._visit.brand is not None
