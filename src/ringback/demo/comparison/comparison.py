"""Makes a comparison: plays the hour once for all pollers and the webhook, and once more with the reconciler.

A provider has one URL for the webhooks of invoices, so the shop with the reconciler gets a run of its own: the same
orders, invoices with the same ids, the same outage.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ringback.demo.comparison.asking import Asker
from ringback.demo.comparison.clock import ProviderClock
from ringback.demo.comparison.course import Course, Standing
from ringback.demo.comparison.ear import Ear
from ringback.demo.comparison.poller import Poller
from ringback.demo.comparison.provider import NOBODY, SENDER_PATIENCE, Provider
from ringback.demo.comparison.shop import Shop
from ringback.model import Duration
from ringback.sandbox.xendit.compare.plan import INTERVALS, LOOK_EVERY, Order, Plan
from ringback.sandbox.xendit.compare.results import Comparison, Kind, Traffic, Way
from ringback.sandbox.xendit.sandbox import DEFAULT_KEY

Tell = Callable[[int, Standing], None]


async def compare(plan: Plan, tell: Tell) -> Comparison:
    """Play a plan, and return what was measured.

    Args:
        plan: What to play; it has been checked.
        tell: Told after every event which of the two runs it is, from 0 on, and how far that is.

    Raises:
        RingbackError: A part of it failed.
        TimeoutError: This machine is too busy to go on.
        OSError: There is no room for files, or no port.
    """
    began = time.perf_counter()
    orders = tuple(plan.orders())
    ways: list[Way] = []
    lasted = 0
    for number, intervals in enumerate((INTERVALS, ())):
        with tempfile.TemporaryDirectory(prefix="ringback-compare-") as folder:
            run = _Run(plan, orders, Path(folder), intervals, partial(tell, number))
            ways += await run.play()
            lasted = max(lasted, run.clock.elapsed)
    return Comparison(
        plan=plan,
        orders=orders,
        ways=tuple(ways),
        sender_patience=SENDER_PATIENCE,
        lasted=lasted,
        seconds=time.perf_counter() - began,
    )


class _Run:
    """The hour, played once: with pollers, or without any and with the reconciler."""

    def __init__(
        self,
        plan: Plan,
        orders: Sequence[Order],
        folder: Path,
        intervals: Sequence[Duration],
        tell: Callable[[Standing], None],
    ) -> None:
        self.clock = ProviderClock()
        self._plan = plan
        self._orders = orders
        self._intervals = intervals
        self._tell = tell
        self._provider = Provider(folder, self.clock, plan.seed)
        self._ear = Ear(self.clock)
        self._shop = Shop(folder, self.clock, self._ear)

    async def play(self) -> list[Way]:
        """Play it."""
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._provider.stop)
            await self._provider.start()
            undo.push_async_callback(self._shop.stop)
            await self._shop.start(self._provider.token)
            await self._provider.send_to(self._shop.url)
            if not self._intervals:
                await self._shop.reconcile_with(self._provider.address, DEFAULT_KEY)
            checkout = self._asker("checkout", undo)
            pollers = [self._poller(interval, undo) for interval in self._intervals]
            course = Course(
                self._plan,
                self._orders,
                clock=self.clock,
                provider=self._provider,
                shop=self._shop,
                checkout=checkout,
                pollers=pollers,
                tell=self._tell,
            )
            await course.run()
            return [*(self._polled(course, poller) for poller in pollers), self._told(course)]

    def _asker(self, name: str, undo: contextlib.AsyncExitStack) -> Asker:
        asker = Asker(self._provider.address, DEFAULT_KEY, name)
        undo.callback(asker.close)
        return asker

    def _poller(self, interval: Duration, undo: contextlib.AsyncExitStack) -> Poller:
        return Poller(self._asker(f"poller/{interval}", undo), interval, Ear(self.clock))

    def _polled(self, course: Course, poller: Poller) -> Way:
        return Way(
            kind=Kind.POLLING,
            interval=poller.interval,
            api=poller.asker.traffic,
            served=self._provider.served[poller.asker.name],
            webhooks=Traffic(),
            delays=course.delays(poller.ear),
        )

    def _told(self, course: Course) -> Way:
        reconciles = not self._intervals
        door = self._shop.door
        asked = self._provider.served[NOBODY]
        return Way(
            kind=Kind.RECONCILED if reconciles else Kind.WEBHOOK,
            interval=LOOK_EVERY if reconciles else None,
            api=self._shop.reconciling(asked),
            served=asked,
            webhooks=Traffic(self._provider.attempts.count, door.asked, door.answered),
            delays=course.delays(self._ear),
        )
