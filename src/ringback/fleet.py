"""The nodes that share a store, as one of them knows them, and that one's own signs of life.

What may only be done by one worker at a time - keeping to an endpoint's rate, probing one whose circuit is open - is
done by the owner of the endpoint, which every node finds by itself: all go by the same rows and the same clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec

from ringback import pacing, policy
from ringback.errors import RingbackError
from ringback.model import Instant, Registration
from ringback.store import Store
from ringback.store.commit import Committer

# Of two that start at the same moment, each hears of the other soon.
SECOND_BEAT_SECONDS = 0.5
LOOK_EVERY = 100
REMEMBERED = 50_000


class Fleet:
    """Tells a node which endpoints are its own; until it is started, that is all of them.

    ``owns`` and ``workers`` may be asked on any thread.

    Args:
        me: This node, as it was when it started.
        committer: Writes signs of life, and reads those of others.
        clock: Returns the present instant, the same on all nodes.
    """

    def __init__(self, me: Registration, committer: Committer, clock: Callable[[], Instant]) -> None:
        self._me = me
        self._seen_at = me.started_at
        self._committer = committer
        self._clock = clock
        self._nodes: tuple[Registration, ...] = ()
        self._view = _View(0, 1, (), {})
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Give the first sign of life, and more of them on the running event loop.

        Raises:
            RingbackError: It could not be written.
        """
        await self.beat()
        self._beating = asyncio.get_running_loop().create_task(self._keep_beating())

    async def stop(self) -> None:
        """Say that this was the last sign of life, if that can be said."""
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        self._beating = None
        with contextlib.suppress(RingbackError):
            await self.beat(stopped=True)

    @property
    def is_shared(self) -> bool:
        """Whether other nodes deliver from the same store, or did a while ago."""
        return any(
            node.id != self._me.id and not node.stopped and policy.WORKER in node.roles
            for node in self._nodes
        )

    @property
    def workers(self) -> int:
        """How many nodes deliver, this one included."""
        return self._look().workers

    @property
    def is_silent(self) -> bool:
        """Whether others take this node for dead; one that has not been started is not among them."""
        return self._beating is not None and self._clock() - self._seen_at >= policy.SILENT_AFTER

    def owns(self, endpoint_id: str) -> bool:
        """Tell whether what only one node may do for an endpoint is this one's to do, now."""
        if not self.is_shared:
            return True
        view = self._look()
        owned = view.owned.get(endpoint_id)
        if owned is None:
            owned = pacing.owner_of(endpoint_id, view.owners) == self._me.id
            if len(view.owned) < REMEMBERED:
                view.owned[endpoint_id] = owned
        return owned

    def _look(self) -> _View:
        now, view = self._clock(), self._view
        if abs(now - view.at) < LOOK_EVERY:
            return view
        live = policy.live_workers(self._nodes, now)
        owners = policy.owners(live, now)
        owned = view.owned if owners == view.owners else {}
        self._view = _View(now, max(1, len(live)), owners, owned)
        return self._view

    async def _keep_beating(self) -> None:
        seconds = SECOND_BEAT_SECONDS
        while True:
            await asyncio.sleep(seconds)
            # While the store cannot be written, this node grows silent, in its own eyes too.
            with contextlib.suppress(RingbackError):
                await self.beat()
            seconds = policy.HEARTBEAT / 1000

    async def beat(self, *, stopped: bool = False) -> None:
        """Give a sign of life, and learn of those of others.

        Raises:
            RingbackError: It could not be written.
        """
        now = self._clock()
        if now - self._seen_at >= policy.DOUBTED_AFTER:
            # Others may have what is this one's by now, until they hear of it: it begins anew.
            self._me = msgspec.structs.replace(self._me, started_at=now)
        me = msgspec.structs.replace(self._me, seen_at=now, stopped=stopped)
        self._nodes = tuple(await self._committer.write(lambda store: _exchange(store, me)))
        self._seen_at = now
        self._view = _View(0, self._view.workers, self._view.owners, self._view.owned)


class _View(msgspec.Struct, frozen=True):
    """What follows from the rows at an instant; swapped as a whole, since several threads look."""

    at: Instant
    workers: int
    owners: tuple[str, ...]
    owned: dict[str, bool]


def _exchange(store: Store, me: Registration) -> Sequence[Registration]:
    store.beat(me)
    return store.nodes()
