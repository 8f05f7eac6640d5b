"""How much a worker takes at a time, and for whom: room in memory, shared fairly among endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ringback import pacing
from ringback.desk import DEFAULT_BUFFER, Desk
from ringback.duties import Duties
from ringback.lanes import Lane, Lanes
from ringback.model import EndpointState, Instant
from ringback.store import Quota

TAKE_AT_ONCE = 500
TAKE_PER_ENDPOINT = 128


class Quotas:
    """Reserves room for what is to be taken.

    Args:
        desk: Where the room is.
        lanes: What is in memory, and how fast it may go.
        duties: What this worker serves.
        clock: Returns the present instant.
    """

    def __init__(self, desk: Desk, lanes: Lanes, duties: Duties, clock: Callable[[], Instant]) -> None:
        self._desk = desk
        self._lanes = lanes
        self._duties = duties
        self._clock = clock

    def reserve(self, endpoint_ids: Iterable[str]) -> list[Quota]:
        """Reserve room for deliveries of endpoints that have some due: most for those of which least is held."""
        quotas: list[Quota] = []
        left = TAKE_AT_ONCE
        hungry = sorted(endpoint_ids, key=self._desk.held)
        for position, endpoint_id in enumerate(hungry):
            lane = self._lanes.get(endpoint_id)
            if lane is not None:
                self._desk.set_buffer(endpoint_id, self._room_for(lane))
            share = max(1, min(left, self._desk.room) // (len(hungry) - position))
            granted = self._desk.reserve(endpoint_id, min(share, TAKE_PER_ENDPOINT))
            if granted:
                quotas.append(Quota(endpoint_id, granted))
                left -= granted
            if not left:
                break
        return quotas

    def _room_for(self, lane: Lane) -> int:
        # What is taken for an endpoint that is disabled or gone is cancelled, and takes no room.
        if lane.endpoint.state is EndpointState.DISABLED:
            return DEFAULT_BUFFER
        return self.buffer_of(lane)

    def buffer_of(self, lane: Lane) -> int:
        """Return how many deliveries of a lane may be held."""
        return max(lane.buffer, self._probe_room(lane))

    def _probe_room(self, lane: Lane) -> int:
        # A circuit that may be probed needs one delivery to probe with.
        if lane.endpoint.state is not EndpointState.ENABLED or not pacing.probing(lane.breaker):
            return 0
        return 1 if pacing.admits(lane.breaker, self._clock()) and self._duties.serves(lane.endpoint) else 0
