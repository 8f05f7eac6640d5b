"""Where the queue of a busy endpoint begins, so that what has gone from it need not be passed again.

PostgreSQL cannot remove what has gone from a table, nor from its indexes, while a transaction is open anywhere that is
older: an idle console, a backup, a long report. A queue is always read from its front, which is where all that has
gone would have to be passed, again and again. Whoever took all that it asked for need not: what is left lies behind
what it got. Now and then, and whenever there was less than that, it looks from the very front, for what has come in
with an instant that had passed already.
"""

from __future__ import annotations

from collections.abc import Collection

from ringback.model import Instant

FRONT: Instant = 0
TURNS = 256


class Floors:
    """The floors of those endpoints of which at the last look there was more than was taken."""

    def __init__(self) -> None:
        self._floors: dict[int, tuple[Instant, int]] = {}

    def floor(self, endpoint_key: int) -> Instant:
        """Return from where an endpoint's queue has to be read."""
        return self._floors.get(endpoint_key, (FRONT, 0))[0]

    def known(self) -> dict[int, Instant]:
        """Return every floor that is not the front, by the endpoint's key."""
        return {key: floor for key, (floor, _) in self._floors.copy().items()}

    def taken(self, endpoint_key: int, quota: int, due: Collection[Instant]) -> None:
        """Heed that of *quota* asked for those that were *due* at these instants were taken."""
        turns = self._floors.get(endpoint_key, (FRONT, 0))[1] + 1
        if len(due) < quota or turns >= TURNS:
            self._floors.pop(endpoint_key, None)
        else:
            self._floors[endpoint_key] = max(due), turns

    def forget(self, endpoint_keys: Collection[int]) -> None:
        """Look from the front next time."""
        for key in endpoint_keys:
            self._floors.pop(key, None)

    def clear(self) -> None:
        """Look from the front everywhere."""
        self._floors.clear()
