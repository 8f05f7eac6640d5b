"""The two ways in which ``ringback trigger`` sends events, how fast, and what it says of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import click
import msgspec

from ringback.cli import DONE, FAILED, PARTLY_FAILED
from ringback.cli.output import print_json, printable
from ringback.cli.sandbox_client import SandboxClient, sent_of
from ringback.providers import CatalogueEntry
from ringback.sandbox.xendit.catalog import sample_of
from ringback.sandbox.xendit.overrides import overridden

# How many may be under way at once where a rate is asked for and the receiver is slow.
AT_ONCE = 64
COMPLETED, NOT_SET = "Completed", "URL Not Set"

Send = Callable[[], Awaitable[dict[str, Any]]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to send.

    Args:
        entry: Which event.
        changes: Other values for some fields, by path.
        body: What to send instead of the sample; None: the sample.
        fresh: Whether the sample gets new ids and times.
    """

    entry: CatalogueEntry
    changes: dict[str, Any]
    body: dict[str, Any] | None = None
    fresh: bool = True

    def draft(self) -> bytes:
        """Return it as the sandbox's API takes it."""
        draft: dict[str, Any] = {"set": self.changes, "fresh": self.fresh, "wait": True}
        return msgspec.json.encode(draft if self.body is None else draft | {"body": self.body})

    def composed(self, fresh: Callable[[CatalogueEntry], dict[str, Any]]) -> dict[str, Any]:
        """Return the body, by a function that makes fresh samples."""
        sample = fresh(self.entry) if self.fresh else sample_of(self.entry)
        return overridden(self.entry, sample if self.body is None else self.body, self.changes)


class Told:
    """Says what came of each event, and counts.

    Args:
        count: How many there will be.
        as_json: Whether to print JSON when all have been sent, instead of a line each.
    """

    def __init__(self, count: int, *, as_json: bool) -> None:
        self._count = count
        self._as_json = as_json
        self._sent: list[dict[str, Any]] = []

    def tell(self, sent: dict[str, Any]) -> None:
        """Take note of one, and say what came of it; where it is the only one, what was sent, too."""
        self._sent.append(sent)
        if self._as_json:
            return
        if self._count == 1:
            print_json(sent["payload"])
        row = sent["transaction"]
        identity = f"{row['event']} {row['product_id']}".rstrip()
        click.echo(printable(f"{identity}: {outcome_of(sent)}"))

    def finish(self) -> int:
        """Say how it went as a whole; return the exit code."""
        if self._as_json:
            print_json(self._sent[0] if self._count == 1 else self._sent)
        good = sum(map(_is_good, self._sent))
        if self._count > 1:
            click.echo(f"{len(self._sent)} sent, {good} answered with success.", err=True)
        if good == len(self._sent):
            return DONE
        return PARTLY_FAILED if good else FAILED


def outcome_of(sent: dict[str, Any]) -> str:
    """Return what came of an event, such as ``200 in 4 ms``."""
    row, history = sent["transaction"], sent["history"]
    if history:
        last = history[0]
        answer = f"no answer, {last['error']} ({last['detail']})" if last["error"] else str(last["status"])
        return f"{answer} in {last['response_time']} ms"
    if row["status"] == NOT_SET:
        return f"not sent, for no URL is set for {row['slot']}. Set one on the sandbox's settings page, or give --to"
    if sent["mishap"]:
        return f"held back, as the settings of {row['slot']} want it: {sent['mishap']}"
    return "no answer yet"


async def send_all(send: Send, told: Told, count: int, rate: float | None) -> int:
    """Send *count* events and return the exit code.

    Without a *rate* each waits for the answer to the one before; with one, that many begin each second, however long
    the receiver takes for each.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(AT_ONCE))
    slots = asyncio.Semaphore(1 if rate is None else AT_ONCE)
    started = asyncio.get_running_loop().time()

    async def one() -> None:
        try:
            told.tell(await send())
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await slots.acquire()
                if rate is not None:
                    await asyncio.sleep(started + number / rate - asyncio.get_running_loop().time())
                group.create_task(one())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return told.finish()


@asynccontextmanager
async def through_sandbox(order: Order, url: str, key: str) -> AsyncIterator[Send]:
    """Send by a running sandbox."""
    client, draft = SandboxClient(url, key), order.draft()

    async def send() -> dict[str, Any]:
        return await asyncio.to_thread(client.trigger, order.entry.name, draft)

    yield send


@asynccontextmanager
async def straight(order: Order, url: str, token: str | None) -> AsyncIterator[Send]:
    """Send without a sandbox, to *url*."""
    from ringback.demo.direct import direct  # noqa: PLC0415 - a server's imports would slow `--help`
    from ringback.sandbox.xendit.log_api import detail_body  # noqa: PLC0415 - as above

    async with direct(url, token) as sender:
        if token is None:
            click.echo(f"x-callback-token is {sender.token}; --token gives another.", err=True)

        async def send() -> dict[str, Any]:
            detail = await sender.send(order.entry, order.composed(sender.fresh))
            return sent_of(msgspec.json.encode(detail_body(detail)))

        yield send


def _is_good(sent: dict[str, Any]) -> bool:
    held = sent["mishap"] and not sent["history"]
    return bool(sent["transaction"]["status"] == COMPLETED or held)
