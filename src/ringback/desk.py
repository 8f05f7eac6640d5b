"""Where commits hand deliveries to this node's worker, and the room there is for them in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

from ringback.model import Endpoint, EndpointState
from ringback.store import Accepted

DEFAULT_BUFFER = 256


class Desk:
    """Where commits hand deliveries to the worker, and where room for them is reserved.

    ``admit``, ``receive``, ``withdraw`` and ``catalog_changed`` are called on the committer thread, the rest
    on the worker's.
    """

    def __init__(self, memory: int, handlers: Collection[str] = frozenset()) -> None:
        """Hold up to *memory* deliveries; of those to handlers, only to the ones named."""
        self._memory = memory
        self._handlers = handlers
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._total = 0
        self._released = 0
        self._buffers: dict[str, int] = {}
        self._batch: list[str] = []
        self._open = False
        self._wake: Callable[[Sequence[Accepted]], None] = lambda _: None
        self._changed: Callable[[], None] = lambda: None
        self._serves: Callable[[Endpoint], bool] = lambda _: True

    def attach(
        self,
        wake: Callable[[Sequence[Accepted]], None],
        changed: Callable[[], None],
        serves: Callable[[Endpoint], bool] = lambda _: True,
    ) -> None:
        """Begin to admit: a worker is there to *wake* with what was accepted and when the catalog *changed*.

        It takes only what it *serves*, and leaves the rest to other nodes.
        """
        self._wake, self._changed, self._serves, self._open = wake, changed, serves, True

    def shut(self) -> None:
        """Admit no more; what is accepted from now on is left to others."""
        self._open = False

    def admit(self, endpoint: Endpoint) -> bool:
        """See ``Handover``."""
        if not self._open or endpoint.state is not EndpointState.ENABLED:
            return False
        # Where order matters, deliveries are taken from the store, which knows it.
        if endpoint.ordered or (endpoint.handler is not None and endpoint.handler not in self._handlers):
            return False
        if not self._serves(endpoint):
            return False
        if not self.reserve(endpoint.id, 1):
            return False
        self._batch.append(endpoint.id)
        return True

    def receive(self, accepted: Sequence[Accepted]) -> None:
        """See ``Handover``."""
        self._batch.clear()
        if accepted:
            self._wake(accepted)

    def withdraw(self) -> None:
        """See ``Handover``."""
        for endpoint_id in self._batch:
            self.release(endpoint_id, 1)
        self._batch.clear()

    def catalog_changed(self) -> None:
        """See ``Handover``."""
        self._changed()

    def reserve(self, endpoint_id: str, wanted: int) -> int:
        """Reserve room for up to *wanted* deliveries of an endpoint; return for how many there is."""
        with self._lock:
            held = self._held.get(endpoint_id, 0)
            # Nobody holds more than is free, so that silent receivers leave room for the others.
            fair = (self.room - held + 1) // 2
            room = min(self._buffers.get(endpoint_id, DEFAULT_BUFFER) - held, fair)
            granted = max(0, min(wanted, room))
            if granted:
                self._held[endpoint_id] = held + granted
                self._total += granted
            return granted

    def release(self, endpoint_id: str, count: int) -> None:
        """Give back room."""
        with self._lock:
            left = self._held.get(endpoint_id, 0) - count
            self._total -= count
            self._released += count
            if left:
                self._held[endpoint_id] = left
            else:
                self._held.pop(endpoint_id, None)

    def set_buffer(self, endpoint_id: str, size: int | None) -> None:
        """Say how many deliveries of an endpoint may be held; None for the default."""
        if size is None:
            self._buffers.pop(endpoint_id, None)
        else:
            self._buffers[endpoint_id] = size

    def held(self, endpoint_id: str) -> int:
        """How many deliveries of an endpoint are held."""
        return self._held.get(endpoint_id, 0)

    @property
    def room(self) -> int:
        """How many more deliveries may be held."""
        return self._memory - self._total

    @property
    def total(self) -> int:
        """How many deliveries are held."""
        return self._total

    @property
    def released(self) -> int:
        """How much room has been given back so far."""
        return self._released
