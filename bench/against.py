"""``python -m bench.against REVISION``: this tree's throughput against that of another revision, in turns.

A machine is not as fast at one minute as at the next. So both are measured again and again, one after the other, and
what is told is the median of the ratios of each pair. It exits with 1 where that is more than 3 % below one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from bench.processes import ROOT, BenchError

LEAST = 0.97


class Measured(msgspec.Struct, frozen=True):
    """What one run of the scenario came to, of all that the bench writes."""

    accept_per_s: float
    delivered_per_s: float
    cpu_us_per_message: float


class Pair(msgspec.Struct, frozen=True):
    """Two runs that followed each other: the other revision's and this tree's."""

    other: Measured
    this: Measured

    def ratios(self) -> tuple[float, float]:
        """Return how this compares to the other: accepted, delivered."""
        return (
            self.this.accept_per_s / self.other.accept_per_s,
            self.this.delivered_per_s / self.other.delivered_per_s,
        )


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """Have another revision's files in a folder for the length of the block."""
    tree = folder / "other"
    done = _git("worktree", "add", "--detach", "--quiet", str(tree), revision)
    if done.returncode:
        raise BenchError(f"there is no revision {revision}: {done.stderr.strip()}")
    try:
        yield tree
    finally:
        _git("worktree", "remove", "--force", str(tree))


def measured(tree: Path, scenario: str, seconds: float, file: Path) -> Measured:
    """Run a scenario with the files of a tree, bench and all."""
    command = [
        sys.executable,
        "-m",
        "bench",
        "--scenario",
        scenario,
        "--seconds",
        str(seconds),
        "--json",
        str(file),
    ]
    done = subprocess.run(
        command,
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the bench of {tree} failed:\n{done.stdout}{done.stderr}")
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Measured])[scenario]


def compared(tree: Path, folder: Path, scenario: str, seconds: float, rounds: int) -> list[Pair]:
    """Measure both in turns and print each pair; which of them comes first changes with every round."""
    print(
        f"{'round':>5}  {'accept/s':>17}  {'delivered/s':>17}  {'CPU us/message':>14}   other against this",
        flush=True,
    )
    pairs = []
    for number in range(rounds):
        trees = [tree, ROOT] if number % 2 == 0 else [ROOT, tree]
        found = {one: measured(one, scenario, seconds, folder / "figures.json") for one in trees}
        pairs.append(Pair(found[tree], found[ROOT]))
        other, this = found[tree], found[ROOT]
        print(
            f"{number + 1:>5}  {other.accept_per_s:>8,.0f} {this.accept_per_s:>8,.0f}"
            f"  {other.delivered_per_s:>8,.0f} {this.delivered_per_s:>8,.0f}"
            f"  {other.cpu_us_per_message:>7,.0f} {this.cpu_us_per_message:>6,.0f}",
            flush=True,
        )
    return pairs


def verdict(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Return the medians of the ratios: accepted, delivered."""
    accepted, delivered = zip(*(pair.ratios() for pair in pairs), strict=True)
    return statistics.median(accepted), statistics.median(delivered)


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@click.command()
@click.argument("revision")
@click.option("--scenario", default="steady", show_default=True, help="One that accepts and delivers.")
@click.option(
    "--seconds", default=10.0, show_default=True, type=click.FloatRange(1, 3600), help="Of each run."
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="Pairs of runs.")
def main(revision: str, scenario: str, seconds: float, rounds: int) -> None:
    """Measure this tree against another REVISION of it."""
    with tempfile.TemporaryDirectory(prefix="ringback-against-") as data:
        try:
            with checked_out(revision, Path(data)) as tree:
                pairs = compared(tree, Path(data), scenario, seconds, rounds)
        except BenchError as error:
            sys.exit(f"bench: {error}")
    accepted, delivered = verdict(pairs)
    print(
        f"\n{revision}: now {accepted:.2f} times as much is accepted, {delivered:.2f} times as much delivered (median)."
    )
    if min(accepted, delivered) < LEAST:
        sys.exit(1)


if __name__ == "__main__":
    main()
