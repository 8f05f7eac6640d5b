"""What came of a comparison: what was counted and timed, and what follows from that."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import msgspec

from ringback.model import Duration
from ringback.policy import MINUTE, SECOND
from ringback.sandbox.xendit.compare.plan import Order, Plan

# What is known so long after the end of an outage counts as known in time.
PROMPTLY: Duration = 10 * MINUTE
MEDIAN, LATE = 0.5, 0.99


class Kind(enum.StrEnum):
    """How the shop hears of payments."""

    POLLING = "polling"
    WEBHOOK = "webhook"
    RECONCILED = "webhook+reconciler"


class Traffic(msgspec.Struct, frozen=True):
    """Requests, and the bytes of HTTP that went over the connections: of requests, and of their answers."""

    requests: int = 0
    asked: int = 0
    answered: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        """Return both together."""
        return Traffic(
            self.requests + other.requests, self.asked + other.asked, self.answered + other.answered
        )


class Delays(msgspec.Struct, frozen=True):
    """How long payments went unnoticed, in milliseconds; None where there were none."""

    median: float | None
    late: float | None
    longest: float | None


class Outage(msgspec.Struct, frozen=True):
    """What became of the payments made during the outage: known promptly after it, known later, never known."""

    promptly: int
    later: int
    never: int

    @property
    def paid(self) -> int:
        """How many there were."""
        return self.promptly + self.later + self.never


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to follow the payments.

    Args:
        kind: What it does.
        interval: How often a poller asks, or a reconciler looks; None for webhooks alone.
        api: What it asked the provider's API.
        served: How many of those requests the API itself counted.
        webhooks: What the provider sent.
        delays: From each payment to its being known, in milliseconds; None: it never was.
    """

    kind: Kind
    interval: Duration | None
    api: Traffic
    served: int
    webhooks: Traffic
    delays: tuple[float | None, ...]

    @property
    def name(self) -> str:
        """What it is called, such as ``poll every 10 s``."""
        if self.kind is Kind.POLLING:
            return f"poll every {_interval(self.interval or 0)}"
        return "webhook" if self.kind is Kind.WEBHOOK else "webhook + reconciler"

    @property
    def requests(self) -> int:
        """How many requests there were, either way."""
        return self.api.requests + self.webhooks.requests

    @property
    def sent(self) -> int:
        """How many bytes the shop sent: its requests, and its answers to webhooks."""
        return self.api.asked + self.webhooks.answered

    @property
    def received(self) -> int:
        """How many bytes the shop received: answers of the API, and webhooks."""
        return self.api.answered + self.webhooks.asked


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured.

    Args:
        plan: What was compared.
        orders: When each invoice was made and paid.
        ways: What came of each way.
        sender_patience: How long a webhook's sender waited for an answer, in real milliseconds.
        lasted: For how long the provider's clock ran, in milliseconds of its time.
        seconds: How long all of it really took.
    """

    plan: Plan
    orders: tuple[Order, ...]
    ways: tuple[Way, ...]
    sender_patience: Duration
    lasted: Duration
    seconds: float

    def ordinary(self, way: Way) -> Delays:
        """Return the delays of what was paid while all was well; see ``Plan.is_ordinary``."""
        known = sorted(
            delay
            for order, delay in zip(self.orders, way.delays, strict=True)
            if delay is not None and self.plan.is_ordinary(order.paid_at)
        )
        return Delays(_quantile(known, MEDIAN), _quantile(known, LATE), known[-1] if known else None)

    def outage(self, way: Way) -> Outage:
        """Return what became of what was paid during the outage."""
        until = self.plan.outage_until
        paid = [
            None if delay is None else order.paid_at + delay - until
            for order, delay in zip(self.orders, way.delays, strict=True)
            if self.plan.in_outage(order.paid_at)
        ]
        known = [after for after in paid if after is not None]
        promptly = sum(after <= PROMPTLY for after in known)
        return Outage(promptly, len(known) - promptly, len(paid) - len(known))

    def missed(self, way: Way) -> int:
        """Return how many payments were never known, whenever they were made."""
        return sum(delay is None for delay in way.delays)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A way as it is written to a file: what was measured, and what is worked out of it."""

    name: str
    measured: Way
    ordinary: Delays
    outage: Outage
    missed: int


def written(comparison: Comparison) -> bytes:
    """Return a comparison as JSON; ``read`` reads it. What is worked out is written beside what was measured."""
    shown = [
        Shown(
            name=way.name,
            measured=way,
            ordinary=comparison.ordinary(way),
            outage=comparison.outage(way),
            missed=comparison.missed(way),
        )
        for way in comparison.ways
    ]
    document = msgspec.to_builtins(comparison) | {"units": UNITS, "ways": msgspec.to_builtins(shown)}
    return msgspec.json.encode(document)


def read(document: bytes) -> Comparison:
    """Return the comparison that ``written`` wrote.

    Raises:
        msgspec.DecodeError: It is none.
    """
    content = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    ways = msgspec.json.decode(content["ways"], type=list[Shown])
    rest = {name: msgspec.json.decode(raw) for name, raw in content.items() if name != "ways"}
    return msgspec.convert(rest | {"ways": tuple(shown.measured for shown in ways)}, Comparison)


UNITS = {
    "plan": "milliseconds of the provider's time, as are made_at, paid_at, interval and lasted",
    "delays": (
        "milliseconds: the provider's time from payment to detection, plus the real time that the requests took; "
        "null where a payment was never known"
    ),
    "sender_patience": "real milliseconds",
    "seconds": "real seconds",
    "asked": "bytes of HTTP in requests, without TCP/IP; refused connections carry none",
    "answered": "bytes of HTTP in answers",
}


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank quantile: a delay that occurred."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def _interval(interval: Duration) -> str:
    if interval % MINUTE == 0:
        return f"{interval // MINUTE} min"
    return f"{interval // SECOND} s"
