"""``ringback inbox``: what was received and what became of it, on the store itself, beside whatever runs on it."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import msgspec

from ringback.cli import DONE, PARTLY_FAILED
from ringback.cli.moment import Moment
from ringback.cli.options import STORE_SETTINGS, Command, json_option, settings_options
from ringback.cli.output import print_json, print_table
from ringback.cli.received import (
    Case,
    case_shown,
    delivery_shown,
    message_shown,
    outcome_of,
    place_of,
    print_case,
    print_messages,
    print_refusals,
    refusal_shown,
)
from ringback.cli.rehandling import BATCH, Replayed, Selection, replay
from ringback.cli.start import explained
from ringback.config import Settings
from ringback.diagnosis import counted, name_of
from ringback.engine import open_checked_store
from ringback.errors import ConfigurationError, NotFound
from ringback.model import Attempt, Endpoint, Held, Instant, Message, Source, iso
from ringback.outbox import system_clock
from ringback.store import AttemptFilter, Lease, Page, Quota, Store, examine_store

MANY = 10_000
ATTEMPTS = Page(limit=100, descending=True)
CANCELLED_AT_ONCE = 500


source_argument = click.argument("source_ref", metavar="SOURCE")
store_options = settings_options(STORE_SETTINGS)
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, MANY),
    default=100,
    show_default=True,
    metavar="NUMBER",
    help="How many at most, newest first.",
)
types_option = click.option(
    "--event-type",
    "event_types",
    multiple=True,
    metavar="PATTERN",
    help="Only of this type, in which * stands for any characters; may be repeated.",
)


def _time_option(name: str, words: str) -> Callable[[Command], Command]:
    told = f"Only what was received {words}: a time (RFC 3339), or how long ago, such as 2h."
    return click.option(name, type=Moment(), metavar="TIME", help=told)


since_option = _time_option("--since", "since then")
until_option = _time_option("--until", "before then")


@click.group("inbox")
def command() -> None:
    """Look at what was received, and handle it again."""


# --- Looking -----------------------------------------------------------------------------------------------


@command.command("refusals", short_help="Show the requests that were refused, and why.")
@source_argument
@limit_option
@store_options
@json_option
def show_refusals(*, settings: Settings, source_ref: str, limit: int, as_json: bool) -> None:
    """Show the requests to SOURCE that were refused, newest first, with why and what to do about it.

    The last 200 are kept, without their bodies and secrets.
    """
    with _opened(settings) as store:
        found = store.refusals(_source(store, source_ref).id, Page(limit=limit, descending=True))
    if as_json:
        print_json([refusal_shown(one) for one in found])
    else:
        print_refusals(found)
        _say_if_none(found)


@command.command("dead", short_help="Show the deliveries that were given up.")
@source_argument
@limit_option
@store_options
@json_option
def show_dead(*, settings: Settings, source_ref: str, limit: int, as_json: bool) -> None:
    """Show the deliveries of messages to SOURCE that were given up, newest first."""
    with _opened(settings) as store:
        source = _source(store, source_ref)
        rows = _dead_letters(store, source, limit)
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "RECEIVED", "TYPE", "TO", "ATTEMPTS", "LAST"),
        [
            (row["id"], row["receivedAt"], row["eventType"], row["to"], str(row["attempts"]), row["last"])
            for row in rows
        ],
    )
    _say_if_none(rows)


@command.command("held", short_help="Show the messages that nothing handles.")
@source_argument
@click.option("--quarantined", "only", flag_value="quarantined", help="Only those that are not understood.")
@click.option(
    "--unhandled", "only", flag_value="unhandled", help="Only those of types that no handler wants."
)
@limit_option
@store_options
@json_option
def show_held(*, settings: Settings, source_ref: str, only: str | None, limit: int, as_json: bool) -> None:
    """Show the messages to SOURCE that nothing handles, newest first."""
    kinds = tuple(Held) if only is None else (Held(only),)
    with _opened(settings) as store:
        source = _source(store, source_ref)
        found = [
            message_shown(message)
            for held in kinds
            for message in store.held(source.id, held, Page(limit=limit, descending=True))
        ]
    _print_messages(sorted(found, key=lambda row: str(row["id"]), reverse=True)[:limit], as_json=as_json)


@command.command("messages", short_help="Show what was received.")
@source_argument
@types_option
@since_option
@until_option
@limit_option
@store_options
@json_option
def show_messages(
    *,
    settings: Settings,
    source_ref: str,
    event_types: tuple[str, ...],
    since: Instant | None,
    until: Instant | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the messages that SOURCE received, newest first."""
    with _opened(settings) as store:
        selection = Selection(
            source=_source(store, source_ref), since=since, until=until, patterns=event_types
        )
        found = map(message_shown, selection.messages(store, newest_first=True))
        rows = list(itertools.islice(found, limit))
    _print_messages(rows, as_json=as_json)


@command.command("show", short_help="Show a message and what became of it.")
@source_argument
@click.argument("message_id", metavar="MESSAGE")
@store_options
@json_option
def show_message(*, settings: Settings, source_ref: str, message_id: str, as_json: bool) -> None:
    """Show a MESSAGE of SOURCE: its headers, its payload, its deliveries, and the last traceback of each.

    What is not printable is shown as an escape; --json has the payload exactly.
    """
    with _opened(settings) as store:
        source = _source(store, source_ref)
        message = store.message(source.id, message_id)
        case = Case(
            message,
            store.deliveries(source.id, message.id, Page(limit=MANY)),
            store.attempts(source.id, AttemptFilter(message_id=message.id), ATTEMPTS),
        )
    if as_json:
        print_json(case_shown(case))
    else:
        print_case(case)


# --- Handling again ----------------------------------------------------------------------------------------


@command.command("replay", short_help="Handle received messages again.")
@source_argument
@click.argument("message_id", metavar="[MESSAGE]", required=False)
@since_option
@until_option
@types_option
@click.option(
    "--rematch", is_flag=True, help="By what matches them now, rather than by the handlers they were for."
)
@click.option(
    "--done-too", is_flag=True, help="Also by handlers that are done with them, which then act a second time."
)
@click.option("--dry-run", is_flag=True, help="Only say how many messages it would be.")
@store_options
@json_option
def replay_command(
    *,
    settings: Settings,
    source_ref: str,
    message_id: str | None,
    since: Instant | None,
    until: Instant | None,
    event_types: tuple[str, ...],
    rematch: bool,
    done_too: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Handle one MESSAGE of SOURCE again, or all that were received in a span of time.

    By the same handlers as before; with --rematch, by those that match it now. A handler that is done with a message
    is left alone, unless the message is named without --rematch, or --done-too is given. Workers that run begin at
    once. Leaves with 9 if a message cannot be handled again, as when its payload has been removed.
    """
    if (message_id is None) is (since is None):
        raise click.UsageError("give either a MESSAGE or --since TIME")
    if message_id is not None and (until is not None or event_types):
        raise click.UsageError("--until and --event-type go with --since, not with a MESSAGE")
    with _opened(settings) as store:
        source = _source(store, source_ref)
        selection = Selection(source=source, since=since, until=until, patterns=event_types)
        wanted = _wanted(store, selection, message_id)
        click.echo(f"{counted(len(wanted), 'message matches', 'messages match')}.", err=True)
        done = (
            Replayed()
            if dry_run
            else _replay(
                store,
                source,
                wanted,
                rematch=rematch,
                done_too=done_too or (message_id is not None and not rematch),
            )
        )
    if as_json:
        print_json({"matching": len(wanted), **msgspec.to_builtins(done)})
    elif not dry_run:
        click.echo(_told(done))
    return PARTLY_FAILED if done.failed else DONE


def _wanted(store: Store, selection: Selection, message_id: str | None) -> list[str]:
    if message_id is not None:
        return [store.message(selection.source.id, message_id).id]
    return [message.id for message in selection.messages(store, newest_first=False)]


def _replay(
    store: Store, source: Source, wanted: Sequence[str], *, rematch: bool, done_too: bool
) -> Replayed:
    hidden = len(wanted) <= BATCH
    with click.progressbar(length=len(wanted), label="Handling again", file=sys.stderr, hidden=hidden) as bar:
        return replay(
            store,
            source,
            wanted,
            system_clock(),
            rematch=rematch,
            done_too=done_too,
            progress=bar.update,
        )


def _told(done: Replayed) -> str:
    deliveries = counted(done.deliveries, "delivery", "deliveries")
    parts = [f"{counted(done.messages, 'message')} handled again, in {deliveries}"]
    if done.idle:
        parts.append(
            f"{done.idle:,} that nobody handles, that all are done with, or that are being handled now"
        )
    if done.failed:
        parts.append(f"{done.failed:,} that cannot be: the payload has been removed")
    return "; ".join(parts)


@command.command("forget", short_help="Remove a handler that no longer exists from the store.")
@source_argument
@click.argument("handler")
@store_options
@json_option
def forget(*, settings: Settings, source_ref: str, handler: str, as_json: bool) -> None:
    """Remove a HANDLER of SOURCE that the application no longer has; what waits for it is cancelled.

    Messages stay. A handler that the application still has comes back when it starts next.
    """
    with _opened(settings) as store:
        source = _source(store, source_ref)
        endpoint = _handler(store, source, handler)
        with store.transaction():
            waiting = store.census(source.id).waiting.get(endpoint.id, 0)
            store.remove_endpoint(source.id, endpoint.id, system_clock())
            _cancel_due(store, endpoint)
    if as_json:
        print_json({"handler": endpoint.handler, "cancelled": waiting})
    else:
        cancelled = counted(waiting, "delivery that waited for it is", "deliveries that waited for it are")
        click.echo(f"{endpoint.handler} is forgotten; {cancelled} cancelled.")


def _cancel_due(store: Store, endpoint: Endpoint) -> None:
    # What is due for a deleted endpoint is cancelled by taking it. What is due later, a worker cancels then.
    now = system_clock()
    while any(one.endpoint_id == endpoint.id for one in store.due(now, MANY)):
        store.take([Quota(endpoint.id, CANCELLED_AT_ONCE)], Lease(0, now), now)


# --- What the commands share -------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    """Open the store, which must be there: to make an empty one would answer nothing."""
    condition = examine_store(settings.store)
    if condition.schema is None:
        what = "belongs to another program" if condition.foreign else "holds nothing of Ringback's"
        raise ConfigurationError(
            f"{condition.path} {what if condition.exists else 'is not there'}. Name the inbox's store with --store"
        )
    with explained(settings), contextlib.closing(open_checked_store(settings)) as store:
        yield store


def _source(store: Store, ref: str) -> Source:
    try:
        return store.source(ref)
    except NotFound:
        known = ", ".join(name_of(one) for one in store.sources(Page(limit=100))) or "none yet"
        raise NotFound(f"there is no source {ref}; in this store there are: {known}") from None


def _handler(store: Store, source: Source, name: str) -> Endpoint:
    handlers = {
        endpoint.handler: endpoint
        for endpoint in store.endpoints(source.id, Page(limit=MANY))
        if endpoint.handler is not None
    }
    found = handlers.get(name) or handlers.get(f"{name_of(source)}/{name}")
    if found is None:
        known = ", ".join(sorted(handlers)) or "none"
        raise NotFound(f"there is no handler {name} of {name_of(source)}; in this store there are: {known}")
    return found


def _dead_letters(store: Store, source: Source, limit: int) -> list[dict[str, Any]]:
    names = {one.id: place_of(one) for one in store.endpoints(source.id, Page(limit=MANY))}
    return [
        {
            **message_shown(message),
            **delivery_shown(delivery, names),
            "last": _last_attempt(store, source, message, delivery.endpoint_id),
        }
        for delivery, message in store.dead_letters(source.id, Page(limit=limit, descending=True))
    ]


def _last_attempt(store: Store, source: Source, message: Message, endpoint_id: str) -> str:
    found: list[Attempt] = store.attempts(source.id, AttemptFilter(message_id=message.id), ATTEMPTS)
    last = next((one for one in found if one.endpoint_id == endpoint_id), None)
    return "-" if last is None else f"{outcome_of(last)}, {iso(last.started_at)}"


def _print_messages(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_messages(rows)
        _say_if_none(rows)


def _say_if_none(found: Sequence[object]) -> None:
    if not found:
        click.echo("There are none.", err=True)
