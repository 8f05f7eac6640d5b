"""``ringback db``: the database itself: its schema, how it fares, and what is past retention."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TypeVar

import click

from ringback.cli import DONE, FOUND_BROKEN
from ringback.cli.doctor import print_findings
from ringback.cli.options import SERVER_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json
from ringback.cli.start import explained
from ringback.config import Settings
from ringback.diagnosis import Finding, Verdict, examine_condition
from ringback.errors import Raced
from ringback.inspection import examine_inspection, examine_queue
from ringback.model import Instant
from ringback.outbox import system_clock
from ringback.policy import RECEIPT_RETENTION
from ringback.store import Pruned, Store, examine_store, open_store
from ringback.vault import KEY_BYTES, Vault

T = TypeVar("T")

STEP = 500
MAX_RACES = 5
STORE_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name == "store")
PRUNE_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name in {"store", "retention"})


@click.group("db")
def command() -> None:
    """Look after the database: migrate, check and prune it."""


@command.command("migrate", short_help="Bring the database to the schema of this version.")
@settings_options(STORE_SETTINGS)
def migrate(*, settings: Settings) -> None:
    """Bring the database to the schema of this version, as the next start would; nodes may go on running."""
    before = examine_store(settings.store).schema or 0
    with _opened(settings):
        after = examine_store(settings.store).schema
    if before == after:
        click.echo(f"{settings.place} has the current schema ({after}).", err=True)
    else:
        click.echo(f"{settings.place} is migrated from schema {before} to {after}.", err=True)


@command.command("check", short_help="See whether the database is whole and keeps up.")
@settings_options(STORE_SETTINGS)
@json_option
def check(*, settings: Settings, as_json: bool) -> int:
    """Check the schema, the tables and what may slow them down; leave with 10 if something is broken.

    A database with another schema is not opened: `ringback db migrate` does that.
    """
    found = list(_examine(settings))
    if as_json:
        print_json(found)
    else:
        print_findings(found)
    return FOUND_BROKEN if any(one.verdict is Verdict.BROKEN for one in found) else DONE


@command.command("prune", short_help="Remove now what is past retention.")
@settings_options(PRUNE_SETTINGS)
def prune(*, settings: Settings) -> None:
    """Remove now what is past retention, as workers do by themselves every minute; and make days ahead.

    Goes in small steps, beside whatever runs.
    """
    with _opened(settings) as store:
        now = _now(store)
        before = now - settings.retention
        before -= before % store.grain
        removed = 0
        _prune_aged(store, store.prune_keys, before)
        _prune_aged(store, store.prune_receipts, min(before, now - RECEIPT_RETENTION))
        for pruned in _pruned(store, before):
            removed += pruned.messages
            if pruned.messages:
                click.echo(f"{removed:,} messages removed so far", err=True)
            if pruned.hindrance is not None:
                click.echo(f"{pruned.hindrance}; the rest is for later, workers try every minute", err=True)
    click.echo(f"{removed:,} messages removed in all.", err=True)


def _pruned(store: Store, before: Instant) -> Iterator[Pruned]:
    cursor: int | None = 0
    while cursor is not None:
        pruned = _written(store, partial(store.prune, before, cursor, STEP))
        yield pruned
        cursor = pruned.cursor


def _prune_aged(store: Store, prune: Callable[[Instant, int, int], int | None], before: Instant) -> None:
    cursor: int | None = 0
    while cursor is not None:
        cursor = _written(store, partial(prune, before, cursor, STEP))


def _written(store: Store, step: Callable[[], T]) -> T:
    for _ in range(MAX_RACES):
        with suppress(Raced), store.transaction():
            return step()
    with store.transaction():
        return step()


def _examine(settings: Settings) -> Iterator[Finding]:
    condition = examine_store(settings.store)
    yield examine_condition(condition, shared=False)
    if condition.schema == condition.newest:
        with _opened(settings) as store:
            yield from examine_inspection(store.inspect())
            now = _now(store)
            yield examine_queue(store.statistics(now), now)


def _now(store: Store) -> Instant:
    now = store.now()
    return system_clock() if now is None else now


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    # Nothing is sealed or opened here, so any key does.
    vault = Vault(secrets.token_bytes(KEY_BYTES))
    with explained(settings), closing(open_store(settings.store, vault)) as store:
        yield store
