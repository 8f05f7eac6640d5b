"""What a worker leaves to others: endpoints whose rate another keeps, and circuits that another has opened."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.fleet import Fleet
from ringback.model import Endpoint, Instant
from ringback.store import DueEndpoint, Store
from ringback.store.commit import Committer

ELSEWHERE = "another_node_delivers"


class Duties:
    """Tells which endpoints this worker serves, and exchanges with the other nodes which circuits are open.

    Args:
        fleet: The nodes; None for a worker that shares its store with nobody.
        committer: Reads endpoints, and writes and reads what circuits are open.
    """

    def __init__(self, fleet: Fleet | None, committer: Committer) -> None:
        self._fleet = fleet
        self._committer = committer
        self._throttled: dict[str, bool] = {}
        self._open: dict[str, Instant] = {}
        self._news: dict[str, Instant | None] = {}

    @property
    def is_shared(self) -> bool:
        """Whether other nodes deliver from the same store."""
        return self._fleet is not None and self._fleet.is_shared

    @property
    def workers(self) -> int:
        """How many nodes deliver, this one included."""
        return 1 if self._fleet is None else self._fleet.workers

    # --- Which endpoints ----------------------------------------------------------------------------------

    def serves(self, endpoint: Endpoint) -> bool:
        """Tell whether this worker may deliver to an endpoint now; asked on any thread."""
        return self._may_serve(endpoint.id, throttled=_is_throttled(endpoint))

    async def served(self, due: Sequence[DueEndpoint]) -> list[DueEndpoint]:
        """Return those of the endpoints with something due that this worker may deliver to now."""
        if not self.is_shared:
            return list(due)
        unknown = [one.endpoint_id for one in due if one.endpoint_id not in self._throttled]
        if unknown:
            found = await self._committer.read(lambda store: store.refresh(unknown))
            self._throttled |= {name: _is_throttled(endpoint) for name, endpoint in found.items()}
        return [
            one
            for one in due
            if self._may_serve(one.endpoint_id, throttled=self._throttled.get(one.endpoint_id, False))
        ]

    def forget(self) -> None:
        """Endpoints have changed: ask for them again."""
        self._throttled.clear()

    def _may_serve(self, endpoint_id: str, *, throttled: bool) -> bool:
        if self._fleet is None or not (throttled or endpoint_id in self._open):
            return True
        return self._fleet.owns(endpoint_id)

    # --- Which circuits -----------------------------------------------------------------------------------

    def reopens_at(self, endpoint_id: str) -> Instant | None:
        """Return when an open circuit is probed next, None where it is closed."""
        return self._open.get(endpoint_id)

    def tell(self, endpoint_id: str, reopens_at: Instant | None) -> None:
        """Have all nodes know, with the next exchange, what has become of a circuit here."""
        self._news[endpoint_id] = reopens_at
        if reopens_at is None:
            self._open.pop(endpoint_id, None)
        else:
            self._open[endpoint_id] = reopens_at

    async def exchange(self, now: Instant) -> dict[str, Instant | None]:
        """Tell what has changed here; return what has changed elsewhere.

        Raises:
            RingbackError: The store failed; what was to be told is told the next time.
        """
        if self._fleet is None:
            return {}
        news = dict(self._news)
        if news:
            await self._committer.write(lambda store: store.keep_circuits(news, now))
            self._news = {name: told for name, told in self._news.items() if news.get(name, now) != told}
        found = await self._committer.read(_circuits)
        changed = {
            name: found.get(name)
            for name in found.keys() | self._open.keys()
            # What has changed here in the meantime is newer than what was found.
            if found.get(name) != self._open.get(name) and name not in self._news
        }
        for name, reopens_at in changed.items():
            if reopens_at is None:
                del self._open[name]
            else:
                self._open[name] = reopens_at
        return changed


def _circuits(store: Store) -> dict[str, Instant]:
    return store.circuits()


def _is_throttled(endpoint: Endpoint | None) -> bool:
    return endpoint is not None and endpoint.throttle_rate is not None and endpoint.handler is None
