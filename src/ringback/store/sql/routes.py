"""What accepting needs to know of an application: its live endpoints, and which of them get what."""

from __future__ import annotations

from ringback import ids, policy
from ringback.errors import Conflict, NotFound
from ringback.model import Endpoint, EndpointState, SkipReason

MAX_ROUTES = 20_000
MAX_FANS = 1_000
UNKNOWN = -1

Fan = tuple[tuple[tuple[int, Endpoint], ...], dict[str, SkipReason]]


class Route:
    """An application with its live endpoints, ready for fan-out; the answer per event type is remembered."""

    def __init__(self, key: int, application_id: str, endpoints: dict[str, tuple[int, Endpoint]]) -> None:
        self.key = key
        self.application_id = application_id
        self.is_source = ids.is_id(ids.SOURCE, application_id)
        self.is_operator = application_id == ids.OPERATOR
        self._endpoints = endpoints
        self._fans: dict[tuple[str, tuple[str, ...] | None], Fan] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there are no endpoints at all."""
        return not self._endpoints

    def fan(self, event_type: str, channels: tuple[str, ...] | None) -> Fan:
        """Return the endpoints (with their keys) that get such a message, and why the others do not."""
        fan = self._fans.get((event_type, channels))
        if fan is None:
            everyone = (endpoint for _, endpoint in self._endpoints.values())
            targets, skipped = policy.fan_out(everyone, event_type, channels)
            fan = tuple(self._endpoints[target.id] for target in targets), skipped
            if len(self._fans) >= MAX_FANS:
                self._fans.clear()
            self._fans[event_type, channels] = fan
        return fan

    def name(self, ref: str) -> str:
        """Return the id of the endpoint that is called by its id or uid; *ref* itself where there is none."""
        found = self._found(ref)
        return ref if found is None else found[1].id

    def endpoint(self, ref: str) -> tuple[int, Endpoint]:
        """Return an endpoint by id or uid, with its key.

        Raises:
            NotFound: There is none.
            Conflict: It is disabled.
        """
        found = self._found(ref)
        if found is None:
            raise NotFound(f"there is no endpoint {ref}")
        if found[1].state is EndpointState.DISABLED:
            raise Conflict("the endpoint is disabled; enable it before sending an example")
        return found

    def _found(self, ref: str) -> tuple[int, Endpoint] | None:
        return self._endpoints.get(ref) or next(
            (pair for pair in self._endpoints.values() if pair[1].uid == ref), None
        )


class Routes:
    """Those that have been loaded, for as long as the catalog stays as it is.

    ``hold`` is false when they may be out of date: ``renew`` has to be told the version that there is now.
    """

    def __init__(self) -> None:
        self.hold = False
        self._routes: dict[str, Route] = {}
        self._version = 0

    def get(self, ref: str) -> Route | None:
        """Return the route of an application by id or uid, if it has been loaded."""
        return self._routes.get(ref)

    def put(self, ref: str, route: Route) -> Route:
        """Keep a route; return it."""
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        self._routes[ref] = route
        return route

    def renew(self, version: int) -> None:
        """Forget the routes if the catalog is at another *version* than when they were loaded."""
        if version != self._version:
            self._routes = {}
            self._version = version
        self.hold = True

    def forget(self) -> None:
        """Have them loaded again: they may be of changes that are being rolled back."""
        self.hold = False
        # The next change gets the version that was undone, and what was loaded under it never came to be.
        self._version = UNKNOWN
