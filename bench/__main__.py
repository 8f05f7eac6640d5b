"""``python -m bench``: run the scenarios, print a table, and exit with 1 if anything went missing."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import click
import msgspec

from bench.clustered import CLUSTERED, LONG
from bench.figures import Cost, Figures
from bench.machine import describe, processor_ticks, stolen_percent
from bench.processes import BenchError
from bench.scenarios import PAYLOAD, SCENARIOS, Bench, Options, Result

EVERY = {**SCENARIOS, **CLUSTERED}
COLUMNS = (
    ("accept/s", "accept_per_s", 0),
    ("delivered/s", "delivered_per_s", 0),
    ("accept p50 ms", "accept_p50_ms", 2),
    ("p99 ms", "accept_p99_ms", 2),
    ("end-to-end p50 ms", "e2e_p50_ms", 2),
    ("p99 ms", "e2e_p99_ms", 2),
    ("CPU us/message", "cpu_us_per_message", 0),
    ("RSS MB", "rss_mb", 0),
    ("limit/s", "limit_per_s", 0),
)


@click.command()
@click.option(
    "--scenario",
    "names",
    multiple=True,
    type=click.Choice(list(EVERY)),
    help="Repeatable; default all but the longest.",
)
@click.option(
    "--seconds", default=30.0, show_default=True, type=click.FloatRange(0.1, 3600), help="Of publishing."
)
@click.option(
    "--connections", default=64, show_default=True, type=click.IntRange(1, 10_000), help="Of the publisher."
)
@click.option(
    "--rate",
    default=300.0,
    show_default=True,
    type=click.FloatRange(1, 100_000),
    help="Messages/s where paced.",
)
@click.option(
    "--messages",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(1_000, 10_000_000),
    help="In the backlog.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where temporary files go.",
)
@click.option(
    "--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here too."
)
def main(names: tuple[str, ...], folder: Path | None, file: Path | None, **options: float) -> None:
    """Measure Ringback on this machine. Takes some minutes; everything stays on loopback."""
    signal.signal(signal.SIGTERM, _interrupt)
    chosen = [name for name in EVERY if name in names or (not names and name not in LONG)]
    with tempfile.TemporaryDirectory(prefix="ringback-bench-", dir=folder) as data:
        print(describe(Path(data)))
        print(f"Payload: {len(PAYLOAD)} bytes. Explained in docs/reference/benchmarks.md\n", flush=True)
        before = processor_ticks()
        bench = Bench(msgspec.convert(options, Options), Path(data))
        try:
            results = measure(bench, chosen)
        except BenchError as error:
            sys.exit(f"bench: {error}")
        stolen = stolen_percent(before, processor_ticks())
    report(results, file)
    if stolen >= 1:
        print(f"Slower than it could be: {stolen:.0f} % of the processors' time went to other machines.")


def measure(bench: Bench, chosen: list[str]) -> dict[str, Result]:
    """Run the scenarios *chosen*, and the limit that all are held against; print each as it ends."""
    print(header(), flush=True)
    limit = bench.limit()
    results = {}
    for name in chosen:
        result = limit if name == "limit" else EVERY[name](bench)
        known = msgspec.structs.replace(result.figures, limit_per_s=limit.figures.limit_per_s)
        results[name] = msgspec.structs.replace(result, figures=known)
        print(row(name, known), flush=True)
    return results


def report(results: dict[str, Result], file: Path | None) -> None:
    """Print what belongs to single scenarios and every fault; write *file*; exit with 1 if there is one."""
    print()
    costs = {name: cost for name, result in results.items() if (cost := result.figures.cost) is not None}
    if costs:
        print("\n".join(cost_table(costs)) + "\n")
    for result in results.values():
        for line in remarks(result.figures):
            print(line)
    if file:
        shown = {name: rounded(result.figures) for name, result in results.items()}
        file.write_bytes(msgspec.json.format(msgspec.json.encode(shown)) + b"\n")
    faults = [f"WRONG: {name}: {result.fault}" for name, result in results.items() if result.fault]
    if faults:
        sys.exit("\n".join(faults))
    print("Everything expected was delivered, once.")


def rounded(figures: Figures) -> dict[str, float]:
    """Return figures by name, without the digits that mean nothing."""
    plain = msgspec.to_builtins(figures)
    cost = plain.pop("cost", {})
    return {name: round(value, 3) for name, value in (plain | cost).items()}


def header() -> str:
    """Return the table's first line."""
    return "  ".join(["scenario", *(title for title, _, _ in COLUMNS), "delivered/limit"])


def row(name: str, figures: Figures) -> str:
    """Return a scenario's line, aligned with ``header``."""
    cells = [f"{getattr(figures, field):>{len(title)},.{digits}f}" for title, field, digits in COLUMNS]
    ratio = figures.delivered_per_s / figures.limit_per_s if figures.limit_per_s else 0.0
    return "  ".join([f"{name:<8}", *cells, f"{ratio:>{len('delivered/limit')}.2f}"])


COST_COLUMNS = (
    ("statements", "statements", 3),
    ("messages/commit", "messages_per_commit", 1),
    ("log bytes", "wal_bytes", 0),
    ("rows written", "rows", 2),
    ("index entries", "index_entries", 2),
    ("heap-only share", "heap_only", 2),
    ("PostgreSQL CPU us", "cpu_us", 0),
)


def cost_table(costs: Mapping[str, Cost]) -> list[str]:
    """Return what a message costs PostgreSQL, as lines."""
    lines = ["  ".join(["per message", *(title for title, _, _ in COST_COLUMNS)])]
    for name, cost in costs.items():
        cells = [f"{getattr(cost, field):>{len(title)},.{digits}f}" for title, field, digits in COST_COLUMNS]
        lines.append("  ".join([f"{name:<11}", *cells]))
    return lines


def remarks(figures: Figures) -> list[str]:
    """Return the sentences about what only one scenario measures."""
    lines = []
    if figures.p99_ratio is not None:
        lines.append(
            f"hanging: end-to-end p99 of the other endpoints is {figures.e2e_p99_ms:.2f} ms, "
            f"{figures.p99_ratio:.2f} times the {figures.baseline_e2e_p99_ms:.2f} ms without one that hangs"
        )
    if figures.transactions_per_s is not None:
        lines.append(
            f"pgbench -N: {figures.transactions_per_s:,.0f} transactions/s, each a commit of its own,"
            f" at {figures.cpu_us_per_message:.0f} us of PostgreSQL's processor time"
        )
    if figures.drain_seconds is not None:
        lines.append(
            f"pg-drain: {figures.backlog_deliveries:,} deliveries in {figures.drain_seconds:,.0f} s;"
            f" the first tenth at {figures.drain_first_per_s:,.0f}/s, the last at {figures.drain_last_per_s:,.0f}/s"
        )
    if figures.held_messages is not None:
        lines.append(
            f"pg-held: while {figures.held_messages:,} messages passed, p99 of taking 100 became"
            f" {figures.held_take_p99_ms:.2f} ms with a snapshot held, {figures.take_p99_ms:.2f} ms without"
        )
    if figures.due_p99_ms is not None:
        lines.append(
            f"backlog: with {figures.backlog_deliveries:,} deliveries waiting, against 100: "
            f"p99 of taking 100 is {figures.take_p99_ms:.2f} ms, against {figures.take_p99_ms_small:.2f} ms; "
            f"of finding what is due {figures.due_p99_ms:.2f} ms, against {figures.due_p99_ms_small:.2f} ms"
        )
    return lines


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
