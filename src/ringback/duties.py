"""What a worker leaves to others: endpoints whose rate another keeps, and circuits that another has opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        self._keepers: dict[str, str | None] = {}
        self._rates: Mapping[str, int] = {}
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
        return self._may_serve(endpoint.id, self._keeper(endpoint))

    async def served(self, due: Sequence[DueEndpoint]) -> list[DueEndpoint]:
        """Return those of the endpoints with something due that this worker may deliver to now."""
        if not self.is_shared:
            return list(due)
        unknown = [one.endpoint_id for one in due if one.endpoint_id not in self._keepers]
        if unknown:
            found = await self._committer.read(lambda store: store.refresh(unknown))
            self._keepers |= {name: self._keeper(endpoint) for name, endpoint in found.items()}
        return [one for one in due if self._may_serve(one.endpoint_id, self._keepers.get(one.endpoint_id))]

    def heed(self, rates: Mapping[str, int]) -> None:
        """Heed that applications and endpoints have changed, and which applications have a rate now."""
        self._rates = rates
        self._keepers.clear()

    def _keeper(self, endpoint: Endpoint | None) -> str | None:
        """Return whose rate it is that one worker has to keep alone: an application's, an endpoint's, or nobody's."""
        if endpoint is None:
            return None
        if self._rates and endpoint.application_id in self._rates:
            keeper = endpoint.application_id
        elif endpoint.throttle_rate is not None:
            keeper = endpoint.id
        else:
            return None
        return keeper if endpoint.handler is None else None

    def _may_serve(self, endpoint_id: str, keeper: str | None) -> bool:
        if self._fleet is None or not (keeper is not None or endpoint_id in self._open):
            return True
        return self._fleet.owns(keeper or endpoint_id)

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
