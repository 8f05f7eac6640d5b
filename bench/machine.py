"""What the figures were measured on, without which they say nothing."""

from __future__ import annotations

import os
import platform
from pathlib import Path

# Of the columns of /proc/stat, the one for what a virtual machine wanted and did not get (proc(5)).
STOLEN = 7
MEMORY_FILESYSTEMS = {"tmpfs", "ramfs"}


def describe(folder: Path) -> str:
    """Return lines about the processor, the kernel, Python and the filesystem that holds *folder*."""
    filesystem = _filesystem(folder)
    machine = (
        f"Machine: {len(os.sched_getaffinity(0))} cores ({_processor()}), Linux {platform.release()}, "
        f"Python {platform.python_version()}, data on {filesystem}"
    )
    lines = [
        machine,
        "Server, receiver and publisher share these cores. Every message is fsynced before its 202.",
    ]
    if filesystem in MEMORY_FILESYSTEMS:
        lines.append(f"BUT {filesystem} IS MEMORY, WHERE FSYNC COSTS NOTHING: choose a disk with --folder.")
    return "\n".join(lines)


def processor_ticks() -> tuple[int, int]:
    """Return how many ticks of all processors this machine's host gave to others, and how many there were."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[STOLEN], sum(ticks)


def stolen_percent(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return how much of the processors' time went to others between two readings of ``processor_ticks``."""
    passed = after[1] - before[1]
    return 100 * (after[0] - before[0]) / passed if passed else 0.0


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(folder: Path) -> str:
    """Return the type of the filesystem whose mount point is the longest that leads to *folder*."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding)[1]
