"""The course of events: invoices are made and paid, the shop fails and recovers, pollers ask and the reconciler looks.

The clock steps from one event to the next, and waits at each until all that the event set going is done. The one
exception are webhooks that a hanging receiver keeps waiting: these run on beside further events, for as long as the
sender's lease on them allows.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from ringback.demo.comparison.asking import Asker
from ringback.demo.comparison.clock import BEGAN, ProviderClock
from ringback.demo.comparison.door import Condition
from ringback.demo.comparison.ear import Ear
from ringback.demo.comparison.poller import Poller
from ringback.demo.comparison.provider import Provider
from ringback.demo.comparison.shop import Shop
from ringback.model import Duration
from ringback.policy import LEASE_MARGIN
from ringback.sandbox.xendit.compare.plan import LOOK_EVERY, OUTAGE_FROM, Order, Plan

AMOUNT = 75_000
# How far the clock may go on while a webhook waits for its answer: its lease has to last.
FURTHEST: Duration = LEASE_MARGIN - 5_000

Action = Callable[[], Awaitable[None]]


class Standing(msgspec.Struct, frozen=True):
    """How far a course is: of the orders, and of the provider's time."""

    paid: int
    elapsed: Duration


class Course:
    """One run of the hour.

    Args:
        plan: What happens.
        orders: When customers come and pay.
        clock: The provider's.
        provider: Answers and sends.
        shop: Hears of it by webhook.
        checkout: Makes the invoices, and plays the customers.
        pollers: Hear of it by asking.
        tell: Told after every event how far the course is.
    """

    def __init__(
        self,
        plan: Plan,
        orders: Sequence[Order],
        *,
        clock: ProviderClock,
        provider: Provider,
        shop: Shop,
        checkout: Asker,
        pollers: Sequence[Poller],
        tell: Callable[[Standing], None],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._provider = provider
        self._shop = shop
        self._checkout = checkout
        self._pollers = pollers
        self._tell = tell
        self._orders = orders
        # By the order's number: the id of its invoice, and when that was paid.
        self._ids: dict[int, str] = {}
        self._paid_at: dict[int, float] = {}
        self._sent = 0
        self._hung_since: Duration | None = None
        self._serials = itertools.count()
        self._events: list[tuple[Duration, int, Action]] = []
        # Events other than those that repeat themselves: when they are over, so is the course.
        self._left = 0
        self._plan_ahead()

    async def run(self) -> None:
        """Let everything happen."""
        while self._events:
            at, _, action = heapq.heappop(self._events)
            if self._hung_since is not None and at > self._hung_since + FURTHEST:
                await self._wait_for_hanging()
            self._clock.step_to(at)
            await self._provider.pass_time()
            await action()
            self._tell(Standing(len(self._paid_at), self._clock.elapsed))

    def delays(self, ear: Ear) -> tuple[float | None, ...]:
        """Return for each order, in milliseconds, how long after its payment an ear heard of it; None: it did not."""
        heard = {number: ear.heard.get(self._ids[number]) for number in range(len(self._orders))}
        return tuple(None if at is None else at - self._paid_at[number] for number, at in heard.items())

    # --- What is to happen --------------------------------------------------------------------------------

    def _plan_ahead(self) -> None:
        for number, order in enumerate(self._orders):
            self._at(order.made_at, partial(self._make, number))
            self._at(order.paid_at, partial(self._pay, number))
        if self._plan.outage:
            self._at(OUTAGE_FROM, partial(self._turn, Condition.HANGING))
            self._at(self._plan.hangs_until, partial(self._turn, Condition.GONE))
            self._at(self._plan.outage_until, partial(self._turn, Condition.WELL))
        for poller in self._pollers:
            self._repeat(self._plan.phase(poller.interval), partial(self._poll, poller))
        if self._shop.reconciles:
            self._repeat(self._plan.phase(LOOK_EVERY), self._look)

    def _at(self, moment: Duration, action: Action) -> None:
        async def counted() -> None:
            await action()
            self._left -= 1

        self._left += 1
        heapq.heappush(self._events, (moment, next(self._serials), counted))

    def _repeat(self, moment: Duration, action: Action) -> None:
        heapq.heappush(self._events, (moment, next(self._serials), action))

    # --- What happens -------------------------------------------------------------------------------------

    async def _make(self, number: int) -> None:
        draft = {"external_id": f"order-{number + 1}", "amount": AMOUNT}
        invoice = msgspec.json.decode(await self._checkout.ask("POST", "/v2/invoices", draft))
        self._ids[number] = invoice["id"]
        for poller in self._pollers:
            poller.follow(invoice["id"])

    async def _pay(self, number: int) -> None:
        invoice_id = self._ids[number]
        self._paid_at[number] = self._clock.reading()
        self._sent += 1
        await self._checkout.ask("POST", f"/sandbox/invoices/{invoice_id}/pay", {})
        if self._hangs:
            self._hung_since = self._clock.elapsed if self._hung_since is None else self._hung_since
        else:
            await self._webhooks_done()

    async def _turn(self, condition: Condition) -> None:
        await self._wait_for_hanging()
        await self._shop.door.turn(condition)

    async def _poll(self, poller: Poller) -> None:
        if not self._plan.in_outage(self._clock.elapsed):
            await poller.ask()
        if poller.waits or len(self._paid_at) < len(self._orders):
            self._repeat(self._clock.elapsed + poller.interval, partial(self._poll, poller))

    async def _look(self) -> None:
        over = self._left == 0
        if not self._plan.in_outage(self._clock.elapsed):
            await self._shop.look()
        if not over:
            self._repeat(self._clock.elapsed + LOOK_EVERY, self._look)

    async def _retry(self) -> None:
        self._sent += 1
        await self._webhooks_done()

    # --- Webhooks -----------------------------------------------------------------------------------------

    @property
    def _hangs(self) -> bool:
        return OUTAGE_FROM <= self._clock.elapsed < self._plan.hangs_until

    async def _wait_for_hanging(self) -> None:
        if self._hung_since is not None:
            self._hung_since = None
            await self._webhooks_done()

    async def _webhooks_done(self) -> None:
        """Wait until every webhook that was sent is over, handled too where it was taken in, and plan its retry."""
        await self._provider.attempts.reach(self._sent)
        await self._shop.settled()
        retries, self._provider.retries = self._provider.retries, []
        for due_at in retries:
            self._at(due_at - BEGAN, self._retry)
