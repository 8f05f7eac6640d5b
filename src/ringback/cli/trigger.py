"""``ringback trigger``: events of a provider's catalogue, sent on request."""

from __future__ import annotations

import asyncio
import difflib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import click
import msgspec
from click.shell_completion import CompletionItem

from ringback.cli.options import json_option, read_as
from ringback.cli.output import json_printable, print_json, print_table, printable
from ringback.cli.triggering import Order, Told, send_all, straight, through_sandbox
from ringback.config import value_here
from ringback.errors import NotFound
from ringback.outbox import system_clock
from ringback.providers import CATALOGUES, CatalogueEntry
from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.catalog import (
    PRODUCTS,
    details_body,
    entries,
    entry_body,
    entry_of,
    read_body,
    sample_of,
)
from ringback.sandbox.xendit.overrides import read_changes
from ringback.sandbox.xendit.renewal import renewed
from ringback.sandbox.xendit.sandbox import BUSINESS, DEFAULT_KEY
from ringback.sandbox.xendit.slot_names import SLOTS, slot_of

SANDBOX = "http://127.0.0.1:8700"
MAX_COUNT = 100_000
MAX_RATE = 10_000


def _names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in entries() if name.startswith(incomplete)]


@click.command("trigger", short_help="Send an event of a provider's catalogue, as the provider would.")
@click.argument("provider")
@click.argument("event", required=False, shell_complete=_names)
@click.option("--list", "lists", is_flag=True, help="List all events instead.")
@click.option("--show", "shows", is_flag=True, help="Show the event's fields and sample instead.")
@click.option("--print", "prints", is_flag=True, help="Print the body instead of sending it.")
@click.option(
    "--set",
    "changes",
    metavar="PATH=VALUE",
    multiple=True,
    help="Another value for a field, such as amount=75000 or data.captures.0.capture_amount=1; may be repeated.",
)
@click.option(
    "--from",
    "file",
    metavar="FILE",
    type=click.File("rb"),
    help="Send this JSON instead of the sample; - is standard input.",
)
@click.option("--as-is", is_flag=True, help="Keep the sample's ids and times: each is the same event again.")
@click.option("--to", "url", metavar="URL", help="Send straight to this URL, once, without a sandbox.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="With --to: the verification token to send; env:NAME is that variable's value.",
)
@click.option(
    "--sandbox",
    metavar="URL",
    callback=read_as("url"),
    help=f"The sandbox that sends it.  [default: {SANDBOX}]",
)
@click.option("--key", metavar="KEY", help=f"The sandbox's API key.  [default: {DEFAULT_KEY}]")
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(1, MAX_COUNT),
    default=1,
    help="Send N of them, each with ids of its own.",
)
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(0, MAX_RATE, min_open=True),
    help="Send N a second; by default each waits for the answer to the one before.",
)
@json_option
def command(
    *,
    provider: str,
    event: str | None,
    lists: bool,
    shows: bool,
    prints: bool,
    changes: tuple[str, ...],
    file: BinaryIO | None,
    as_is: bool,
    url: str | None,
    token: str | None,
    sandbox: str | None,
    key: str | None,
    count: int,
    rate: float | None,
    as_json: bool,
) -> int:
    """Send EVENT of PROVIDER's catalogue, such as `xendit invoice.paid`, and print what the receiver answered.

    A running sandbox sends it, to the URL that its settings have for such events and with its verification token. The
    body is the catalogue's sample with new ids and times, and with what --set says.
    """
    _check_provider(provider)
    if lists:
        return _list(as_json=as_json)
    if event is None:
        raise click.UsageError(f"name an event; `ringback trigger {provider} --list` lists them")
    _check_options(url, token, sandbox, key)
    with _explained():
        entry = entry_of(event)
        if shows:
            return _show(entry, as_json=as_json)
        body = None if file is None else read_body(file.read())
        read = read_changes(entry, sample_of(entry) if body is None else body, changes)
        order = Order(entry=entry, changes=read, body=body, fresh=not as_is)
        if prints:
            return _print(order)
        secret = None if token is None else value_here(token)
        way = (
            through_sandbox(order, sandbox or SANDBOX, key or DEFAULT_KEY)
            if url is None
            else straight(order, url, secret)
        )
        return asyncio.run(_send(way, Told(count, as_json=as_json), count, rate))


async def _send(way: Any, told: Told, count: int, rate: float | None) -> int:
    async with way as send:
        return await send_all(send, told, count, rate)


def _check_provider(provider: str) -> None:
    if provider not in CATALOGUES:
        near = difflib.get_close_matches(provider, CATALOGUES) or CATALOGUES
        raise NotFound(
            f"there is no catalogue of {printable(provider)[:100]}'s events; there is one of {', '.join(near)}"
        )


def _check_options(url: str | None, token: str | None, sandbox: str | None, key: str | None) -> None:
    if url is None and token is not None:
        raise click.UsageError("--token goes with --to: a sandbox sends its own token")
    if url is not None and (sandbox or key):
        raise click.UsageError("--to does without a sandbox: leave out --sandbox and --key")


@contextmanager
def _explained() -> Iterator[None]:
    """Raise what the command line has exit codes for in place of the sandbox's refusals."""
    try:
        yield
    except Refused as refused:
        message = printable(refused.message)
        if refused.status == 404:  # noqa: PLR2004 - an HTTP status
            raise NotFound(f"{message}; `--list` lists them all") from None
        raise click.UsageError(message) from None


def _list(*, as_json: bool) -> int:
    if as_json:
        print_json([entry_body(entry) for entry in entries().values()])
        return 0
    rows = [
        (entry.name, PRODUCTS[entry.product], entry.certainty, slot_of(entry.event_type))
        for entry in entries().values()
    ]
    print_table(("EVENT", "PRODUCT", "CERTAINTY", "SETTING"), rows)
    return 0


def _show(entry: CatalogueEntry, *, as_json: bool) -> int:
    details = details_body(entry)
    if as_json:
        print_json(entry_body(entry) | details)
        return 0
    slot = slot_of(entry.event_type)
    facts = {
        "event": entry.event_type,
        "product": PRODUCTS[entry.product],
        "setting": f"{slot} ({SLOTS[slot]})",
        "certainty": entry.certainty,
        "known from": entry.source,
        "note": entry.note,
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name:10}  {value}")
    click.echo()
    rows = [
        (
            field["path"],
            field["type"] + (", always there" if field["required"] else ""),
            field["remark"] or "",
        )
        for field in details["fields"]
    ]
    print_table(("FIELD", "TYPE", "WHAT IS KNOWN"), rows)
    click.echo()
    print_json(details["sample"])
    return 0


def _print(order: Order) -> int:
    def fresh(entry: CatalogueEntry) -> dict[str, Any]:
        return renewed(sample_of(entry), system_clock(), BUSINESS, random.SystemRandom())

    click.echo(json_printable(msgspec.json.encode(order.composed(fresh)).decode()))
    return 0
