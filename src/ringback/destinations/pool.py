"""Idle connections, ready for the next request to the same door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback.destinations.connection import Connection
from ringback.destinations.routes import Door, Route


class Pool:
    """Keeps connections alive between requests, at most so many for each door and in total.

    The one used last is taken first, so that the others may grow old and close. A connection leaves when the
    receiver closes it, when it has been idle too long, or, if the pool is full, when it has been idle
    longest.
    """

    def __init__(
        self, *, per_door: int, total: int, idle_timeout: float, monotonic: Callable[[], float]
    ) -> None:
        """Keep *per_door* connections for each door and *total* in all, each for *idle_timeout* seconds."""
        self._per_door = per_door
        self._total = total
        self._idle_timeout = idle_timeout
        self._monotonic = monotonic
        self._doors: dict[Door, list[Connection]] = {}
        self._by_age: dict[Connection, None] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_age)

    def take(self, route: Route) -> Connection | None:
        """Take an idle connection through one of the route's doors, None when there is none."""
        for door in route.doors:
            idle = self._doors.get(door)
            if idle:
                connection = idle.pop()
                del self._by_age[connection]
                return connection
        return None

    def give(self, connection: Connection) -> None:
        """Keep *connection* for later if it can be used again; close it otherwise."""
        idle = self._doors.setdefault(connection.door, [])
        if not connection.reusable or len(idle) >= self._per_door or not self._total:
            connection.close()
            return
        if len(self._by_age) >= self._total:
            self._close(next(iter(self._by_age)))
        connection.idle_since = self._monotonic()
        idle.append(connection)
        self._by_age[connection] = None
        if self._sweeper is None:
            self._schedule_sweep(self._idle_timeout)

    def discard(self, connection: Connection) -> None:
        """Forget *connection*, if it is here."""
        if connection not in self._by_age:
            return
        del self._by_age[connection]
        self._doors[connection.door].remove(connection)

    def close(self) -> None:
        """Close every idle connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._by_age):
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self.discard(connection)
        connection.close()

    def _schedule_sweep(self, delay: float) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle too long, and come back when the next one will have been."""
        self._sweeper = None
        now = self._monotonic()
        for connection in list(self._by_age):
            left = connection.idle_since + self._idle_timeout - now
            if left > 0:
                self._schedule_sweep(left)
                break
            self._close(connection)
        self._doors = {door: idle for door, idle in self._doors.items() if idle}
