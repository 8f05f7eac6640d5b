"""A comparison in words and columns: for a terminal, a page, and Markdown."""

from __future__ import annotations

import msgspec

from ringback.model import Duration
from ringback.policy import HOUR, MINUTE, SECOND
from ringback.sandbox.xendit.compare.plan import LOOK_EVERY, OUTAGE_FROM
from ringback.sandbox.xendit.compare.results import PROMPTLY, Comparison, Kind, Way

NOTHING = "-"
KIBIBYTE = 1_024


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A way, written."""

    name: str
    requests: str
    sent: str
    received: str
    median: str
    late: str
    promptly: str
    later: str
    never: str

    def cells(self) -> tuple[str, ...]:
        """Return what it says, column by column; see ``HEADING``."""
        return msgspec.structs.astuple(self)


HEADING = (
    "Way",
    "Requests",
    "Shop sent",
    "Shop received",
    "Delay p50",
    "Delay p99",
    f"Outage: in {PROMPTLY // MINUTE} min",
    "Outage: later",
    "Outage: never",
)


def rows(comparison: Comparison) -> list[Row]:
    """Return a row for each way."""
    return [_row(comparison, way) for way in comparison.ways]


def story(comparison: Comparison) -> str:
    """Say in a sentence or two what was played."""
    plan = comparison.plan
    told = (
        f"{counted(plan.invoices, 'invoice')} made and paid within {span(_last(comparison))} of the provider's time "
        f"(seed {plan.seed})"
    )
    if not plan.outage:
        return f"{told}, without an outage."
    paid = comparison.outage(comparison.ways[0]).paid
    return (
        f"{told}. From minute {OUTAGE_FROM // MINUTE} on, what follows payments is down for {span(plan.outage)}: it "
        f"hangs until {_minute(plan.hangs_until)} and refuses connections until {_minute(plan.outage_until)}. "
        f"{counted(paid, 'payment falls', 'payments fall')} into that time."
    )


def notes(comparison: Comparison) -> list[str]:
    """Say how the numbers came about: what was measured, and what was shortened."""
    return [
        _how_counted(comparison),
        HOW_TIMED,
        NOT_INCLUDED,
        WHICH,
        *([_in_outage(comparison)] if comparison.plan.outage else []),
    ]


def _how_counted(comparison: Comparison) -> str:
    return (
        "Nothing is worked out in advance: each request went over HTTP to a running sandbox, or from it to "
        f"Ringback's inbox, and was counted. That took {comparison.seconds:.0f} s."
    )


def _in_outage(comparison: Comparison) -> str:
    patience = comparison.sender_patience / SECOND
    return (
        "During the outage nothing of the shop runs but its checkout: no inbox, no poller, no reconciler. The sender "
        f"gave up on an answer after {patience:g} s in place of the provider's 30 s. As at the provider, a webhook "
        "that timed out is not sent again, and one that was refused is, after 15 minutes."
    )


def markdown(comparison: Comparison) -> str:
    """Return the table as Markdown, with what was played above it."""
    lines = [HEADING, ("---", *("---:" for _ in HEADING[1:])), *(row.cells() for row in rows(comparison))]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{story(comparison)}\n\n{table}\n"


# --- Numbers, written --------------------------------------------------------------------------------------


def counted(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(milliseconds: float) -> str:
    """Write a time to three digits or so, with its unit, such as ``4.2 ms``, ``0.51 s`` or ``2 min 20 s``."""
    if milliseconds < SECOND / 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 10 * SECOND:
        return f"{milliseconds / SECOND:.2f}".rstrip("0").rstrip(".") + " s"
    seconds = round(milliseconds / SECOND)
    if seconds < MINUTE // SECOND:
        return f"{seconds} s"
    if seconds < HOUR // SECOND:
        return " ".join(
            part for part in (f"{seconds // 60} min", f"{seconds % 60} s") if not part.startswith("0 ")
        )
    return " ".join(
        part for part in (f"{seconds // 3600} h", f"{seconds % 3600 // 60} min") if not part.startswith("0 ")
    )


def size(count: int) -> str:
    """Write a number of bytes."""
    if count < KIBIBYTE:
        return f"{count} B"
    value, unit = count / KIBIBYTE, "KiB"
    if value >= KIBIBYTE:
        value, unit = value / KIBIBYTE, "MiB"
    return f"{value:.3g} {unit}" if value < 1_000 else f"{value:,.0f} {unit}"  # noqa: PLR2004 - where digits would turn to exponents


def _row(comparison: Comparison, way: Way) -> Row:
    delays, outage = comparison.ordinary(way), comparison.outage(way)
    seen = {"promptly": outage.promptly, "later": outage.later, "never": outage.never}
    counts = {name: f"{count:,}" if comparison.plan.outage else NOTHING for name, count in seen.items()}
    return Row(
        name=way.name,
        requests=f"{way.requests:,}",
        sent=size(way.sent),
        received=size(way.received),
        median=_delay(way, delays.median),
        late=_delay(way, delays.late),
        **counts,
    )


def _delay(way: Way, milliseconds: float | None) -> str:
    if milliseconds is None:
        return NOTHING
    real = way.kind is not Kind.POLLING and milliseconds < MINUTE
    return f"{span(milliseconds)} real" if real else span(milliseconds)


def _last(comparison: Comparison) -> Duration:
    return max(order.paid_at for order in comparison.orders)


def _minute(moment: Duration) -> str:
    return f"{moment // MINUTE}:{moment % MINUTE // SECOND:02}"


# --- What is always so --------------------------------------------------------------------------------------

HOW_TIMED = (
    "The provider's clock was not real: it jumped from one event to the next, and stood still while requests were "
    "under way. A delay is what passed on that clock between payment and detection, plus the real time that the "
    "requests took. So a poller's delays are nearly all the provider's time, and a webhook's are real milliseconds."
)
NOT_INCLUDED = (
    "All of it ran on one machine, with no network in between. How long the provider itself takes until it sends a "
    "webhook, or until its API shows a payment, is not known and not included."
)
WHICH = (
    "Delays are of payments made while all was well: outside the outage and the five minutes before it. Bytes are "
    "those of HTTP. Pollers ask for each pending invoice; the reconciler lists what was paid every "
    f"{span(LOOK_EVERY)}. Every invoice here is paid in the end: one that is not costs a poller requests until it "
    "expires."
)
