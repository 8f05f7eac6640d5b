"""``ringback compare``: polling an API and receiving webhooks, measured side by side."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringback import policy
from ringback.cli.output import print_table

if TYPE_CHECKING:
    from ringback.demo.comparison.course import Standing
    from ringback.sandbox.xendit.compare.plan import Plan
    from ringback.sandbox.xendit.compare.results import Comparison

RUNS = 2
EVERY_SECONDS = 10.0
CHARTS = frozenset({".svg", ".png"})


class _Span(click.ParamType):  # type: ignore[type-arg] # generic in later versions of click only
    """A duration, such as 6m."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the milliseconds that *value* means."""
        if isinstance(value, int):
            return value
        try:
            return policy.parse_duration(str(value)) if str(value) != "0" else 0
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Chart(click.Path):
    """A file to draw a chart to; its ending says how."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the file."""
        file = Path(os.fsdecode(super().convert(value, param, ctx)))
        if file.suffix.lower() not in CHARTS:
            self.fail(f"{str(value)!r} ends in neither .svg nor .png", param, ctx)
        return file


@click.group("compare", short_help="Measure polling an API against receiving webhooks.")
def command() -> None:
    """Measure what it takes to hear of payments by polling an API, and by webhook."""


@command.command("xendit", short_help="Follow the payments of invoices, by polling and by webhook.")
@click.option(
    "--invoices", metavar="N", type=int, default=500, show_default=True, help="How many, up to 2,000."
)
@click.option(
    "--seed", metavar="N", type=int, default=1, show_default=True, help="Decides when each is paid."
)
@click.option(
    "--outage",
    metavar="DURATION",
    type=_Span(),
    default="6m",
    show_default=True,
    help="For how long the shop is down, up to 30m; 0 for not at all.",
)
@click.option(
    "--chart",
    "charts",
    metavar="FILE",
    type=_Chart(dir_okay=False),
    multiple=True,
    help="Draw a chart: FILE.svg or FILE.png; may be repeated.",
)
@click.option(
    "--json", "document", metavar="FILE", type=click.Path(dir_okay=False), help="Write all numbers as JSON."
)
@click.option(
    "--markdown", "page", metavar="FILE", type=click.Path(dir_okay=False), help="Write the table as Markdown."
)
@click.option(
    "--progress",
    "every",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    help="Tell how far it is so often.  [default: every 10 s on a terminal]",
)
def xendit(
    *,
    invoices: int,
    seed: int,
    outage: int,
    charts: tuple[Path, ...],
    document: str | None,
    page: str | None,
    every: float | None,
) -> None:
    """Play an hour in which invoices are paid, and follow them by polling and by webhook.

    A sandbox plays Xendit. Pollers ask its API for each pending invoice, every second, 10 seconds, minute and 5
    minutes; its webhooks go to Ringback's inbox, once alone and once with the reconciler. In between the shop is down
    for a while. All requests are real, and counted; only the provider's clock is not. Takes about a minute.
    """
    from ringback.sandbox.xendit.compare import table  # noqa: PLC0415 - with what it imports, it would slow `--help`
    from ringback.sandbox.xendit.compare.plan import Plan  # noqa: PLC0415 - as above

    plan = Plan(invoices=invoices, seed=seed, outage=outage)
    try:
        plan.check()
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _check_writable([*charts, *(Path(file) for file in (document, page) if file is not None)], charts)
    comparison = _played(plan, every)
    click.echo(table.story(comparison) + "\n")
    print_table([name.upper() for name in table.HEADING], [row.cells() for row in table.rows(comparison)])
    click.echo(
        "\n"
        + "\n".join(
            textwrap.fill(note, 110, initial_indent="- ", subsequent_indent="  ")
            for note in table.notes(comparison)
        )
    )
    _write(comparison, charts, document, page)


def _check_writable(files: list[Path], charts: tuple[Path, ...]) -> None:
    """Refuse before the work what could not be written after it."""
    for file in files:
        if not file.parent.is_dir():
            raise click.UsageError(f"{file} cannot be written: there is no folder {file.parent}")
        _try_writing(file)
    if any(file.suffix.lower() == ".png" for file in charts):
        from ringback.sandbox.xendit.compare.picture import check_drawable  # noqa: PLC0415 - needed for PNG only

        check_drawable()


def _try_writing(file: Path) -> None:
    there = file.exists()
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {os.strerror(error.errno or 0).lower()}") from None
    if not there:
        file.unlink()


def _played(plan: Plan, every: float | None) -> Comparison:
    import uvloop  # noqa: PLC0415 - not for `--help`

    from ringback.demo.comparison.comparison import compare  # noqa: PLC0415 - a server's imports, as above

    tell = _Teller(plan.invoices, every).tell

    async def interruptible() -> Comparison:
        playing = asyncio.ensure_future(compare(plan, tell))
        # What is under way is cleaned up, however this is ended.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
        try:
            return await playing
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(interruptible())


class _Teller:
    """Tells on standard error how far the comparison is: on a terminal, or as often as was asked for."""

    def __init__(self, invoices: int, every: float | None) -> None:
        self._invoices = invoices
        self._every = every or EVERY_SECONDS
        self._silent = every is None and not sys.stderr.isatty()
        self._told = time.monotonic()

    def tell(self, run: int, standing: Standing) -> None:
        if self._silent or time.monotonic() - self._told < self._every:
            return
        self._told = time.monotonic()
        share = (run + standing.paid / self._invoices) / RUNS
        minutes, seconds = divmod(standing.elapsed // 1000, 60)
        how = "with the reconciler" if run else "pollers and webhook"
        click.echo(
            f"{share:4.0%}  run {run + 1} of {RUNS}, {how}: the provider's clock says {minutes:02}:{seconds:02}, "
            f"{standing.paid:,} of {self._invoices:,} paid",
            err=True,
        )


def _write(comparison: Comparison, charts: tuple[Path, ...], document: str | None, page: str | None) -> None:
    from ringback.sandbox.xendit.compare import results, table  # noqa: PLC0415 - as in `xendit`
    from ringback.sandbox.xendit.compare.chart import chart  # noqa: PLC0415 - as above
    from ringback.sandbox.xendit.compare.picture import picture  # noqa: PLC0415 - as above

    for file in charts:
        svg = chart(comparison)
        file.write_bytes(picture(svg) if file.suffix.lower() == ".png" else svg.encode())
    if document is not None:
        Path(document).write_bytes(results.written(comparison))
    if page is not None:
        Path(page).write_text(table.markdown(comparison), "utf-8")
