"""The order in which things happen by themselves."""

from __future__ import annotations

import heapq

from ringback.model import Instant

# So many appointments that no longer hold are kept, beside as many as hold, before they are cleared away.
ROOM = 64

_Place = tuple[str, str]
_Turn = tuple[Instant, int]


class Agenda:
    """Appointments, the first of which is found without looking at the others.

    An appointment that is put off or called off stays in the queue until it comes to the front or the queue is
    mostly made of such; ``_turns`` says which ones hold.
    """

    def __init__(self) -> None:
        self._turns: dict[_Place, _Turn] = {}
        self._queue: list[tuple[_Turn, _Place]] = []

    @property
    def length(self) -> int:
        """How many appointments are in the queue, with those that do not hold any more."""
        return len(self._queue)

    def put(self, place: _Place, due_at: Instant | None, serial: int) -> None:
        """Put an appointment in place of the one that *place* has.

        Args:
            place: Whose it is.
            due_at: When; None: it has none any more.
            serial: Of several at one instant, those with the lower come first.
        """
        if due_at is None:
            self._turns.pop(place, None)
        elif self._turns.get(place) != (due_at, serial):
            self._turns[place] = due_at, serial
            heapq.heappush(self._queue, (self._turns[place], place))
        if len(self._queue) > 2 * len(self._turns) + ROOM:
            self._queue = [(turn, place) for place, turn in self._turns.items()]
            heapq.heapify(self._queue)

    def first(self) -> _Place | None:
        """Return whose turn it is first; None where there is no appointment."""
        while self._queue:
            turn, place = self._queue[0]
            if self._turns.get(place) == turn:
                return place
            heapq.heappop(self._queue)
        return None
