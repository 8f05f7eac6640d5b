"""What a comparison plays: an hour in which customers pay, and an outage in the middle of it.

The same seed gives the same orders, to the millisecond. Instants are milliseconds of the provider's time since the
hour began.
"""

from __future__ import annotations

import random

import msgspec

from ringback.model import Duration
from ringback.policy import HOUR, MINUTE, SECOND

MAX_INVOICES = 2_000
MAX_OUTAGE: Duration = 30 * MINUTE
# How often the pollers ask, and how often the reconciler looks: `Inbox.reconcile` does by default.
INTERVALS: tuple[Duration, ...] = (SECOND, 10 * SECOND, MINUTE, 5 * MINUTE)
LOOK_EVERY: Duration = 5 * MINUTE
WINDOW: Duration = HOUR
OUTAGE_FROM: Duration = 20 * MINUTE
# For this part of an outage what receives hangs, so that its sender waits in vain; then nothing listens at all.
HANGING_PART = 1 / 3
# How long customers take to pay: exponentially distributed, within bounds.
USUALLY: Duration = 90 * SECOND
QUICKEST: Duration = 5 * SECOND
SLOWEST: Duration = 20 * MINUTE


class Order(msgspec.Struct, frozen=True):
    """When an invoice is made, and when it is paid."""

    made_at: Duration
    paid_at: Duration


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare.

    Args:
        invoices: How many, from 1 to 2,000.
        seed: Decides when each is made and paid.
        outage: For how long the part of the shop that follows payments is down, up to half an hour; 0: never.
    """

    invoices: int = 500
    seed: int = 1
    outage: Duration = 6 * MINUTE

    def check(self) -> None:
        """Refuse what cannot be played.

        Raises:
            ValueError: A number is out of range; says which, and what is in it.
        """
        if not 1 <= self.invoices <= MAX_INVOICES:
            raise ValueError(f"a comparison has 1 to {MAX_INVOICES:,} invoices, not {self.invoices:,}")
        if not 0 <= self.outage <= MAX_OUTAGE:
            raise ValueError(f"an outage lasts {MAX_OUTAGE // MINUTE} minutes at most; 0 is for none")

    @property
    def hangs_until(self) -> Duration:
        """When what receives no longer hangs, but is gone."""
        return OUTAGE_FROM + round(self.outage * HANGING_PART)

    @property
    def outage_until(self) -> Duration:
        """When all is well again."""
        return OUTAGE_FROM + self.outage

    def in_outage(self, moment: Duration) -> bool:
        """Tell whether the shop is down then."""
        return OUTAGE_FROM <= moment < self.outage_until

    def is_ordinary(self, moment: Duration) -> bool:
        """Tell whether a payment made then is followed while all is well: by each poller before the outage."""
        return not OUTAGE_FROM - max(INTERVALS) <= moment < self.outage_until or not self.outage

    def orders(self) -> list[Order]:
        """Return the orders, in the order in which they are made."""
        chance = random.Random(f"orders {self.seed}")  # noqa: S311 - a scenario that can be repeated
        made = sorted(chance.randrange(WINDOW) for _ in range(self.invoices))
        return [Order(at, at + _time_to_pay(chance)) for at in made]

    def phase(self, interval: Duration) -> Duration:
        """Return when the poller of an interval asks first: no two keep the same beat."""
        return random.Random(f"phase {interval} {self.seed}").randrange(interval)  # noqa: S311 - as above


def _time_to_pay(chance: random.Random) -> Duration:
    return max(QUICKEST, min(SLOWEST, round(chance.expovariate(1 / USUALLY))))
