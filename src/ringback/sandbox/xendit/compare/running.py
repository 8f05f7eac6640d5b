"""Runs a comparison beside the sandbox: in a process of its own, so that neither holds the other up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ringback.policy import SECOND
from ringback.sandbox.xendit.compare.plan import Plan
from ringback.sandbox.xendit.compare.results import Comparison, read

# How often the process says how far it is; so often, too, it notices that nobody listens any more.
EVERY_SECONDS = 0.5
FINISH_SECONDS = 10.0
NOTHING_SAID = "it ended without a word"
OURS = "RINGBACK_"


class Standing(msgspec.Struct, frozen=True):
    """How far the comparison under way is: in hundredths, and in words."""

    share: int = 0
    told: str = "It starts."


class Runner:
    """Runs one comparison at a time, and remembers the last result until the sandbox stops."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.comparison: Comparison | None = None
        self.standing: Standing | None = None
        self.failure: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def runs(self) -> bool:
        """Whether one is under way."""
        return self.standing is not None

    def start(self, plan: Plan) -> None:
        """Begin with a plan that has been checked, while no other runs."""
        self.plan = plan
        self.failure = None
        self.standing = Standing()
        self._task = asyncio.get_running_loop().create_task(self._run(plan))

    async def cancel(self) -> None:
        """End the one under way, and wait until it has ended; the result before it stays."""
        task = self._task
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, plan: Plan) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="ringback-compare-") as folder:
                self.comparison = await self._played(plan, Path(folder))
        except (_Failed, OSError) as error:
            self.failure = str(error)
        finally:
            self.standing = None

    async def _played(self, plan: Plan, folder: Path) -> Comparison:
        file = folder / "comparison.json"
        process = await asyncio.create_subprocess_exec(
            *_command(plan, file),
            # What is set for the sandbox is not meant for it.
            env=_without_settings(os.environ),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            last = await self._listen(process)
            if await process.wait():
                raise _Failed(last.removeprefix("error: ") or NOTHING_SAID)
            return read(file.read_bytes())
        finally:
            await _end(process)

    async def _listen(self, process: asyncio.subprocess.Process) -> str:
        """Take up what the process says until it says no more; return the last line."""
        assert process.stderr is not None  # noqa: S101 - it was asked for
        last = ""
        async for line in process.stderr:
            last = line.decode("utf-8", "replace").strip()
            share, _, told = last.partition("%")
            if share.isdigit() and told:
                self.standing = Standing(int(share), told.strip())
        return last


class _Failed(Exception):  # noqa: N818 - never leaves this module
    """The process said why it could not go on."""


def _command(plan: Plan, file: Path) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "ringback", "compare", "xendit"),
        *(
            "--invoices",
            str(plan.invoices),
            "--seed",
            str(plan.seed),
            "--outage",
            f"{plan.outage / SECOND:g}s",
        ),
        *("--json", str(file), "--progress", str(EVERY_SECONDS)),
    )


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(OURS)}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Have a process end, if it has not: it cleans up when it is told to, and is killed if that takes long."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), FINISH_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
