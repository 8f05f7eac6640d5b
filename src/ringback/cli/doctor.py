"""``ringback doctor``: what is wrong with an installation, or will be, and what to do about it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import click

from ringback.certificates import certified, examine_certificates
from ringback.cli import DONE, FOUND_BROKEN
from ringback.cli.application import inbox_option, load_inbox, refuse_other_flags
from ringback.cli.options import STORE_SETTINGS, Load, json_option, settings_flags
from ringback.cli.output import coloured, print_json, printable
from ringback.cli.start import explained
from ringback.config import DEFAULT, Settings
from ringback.diagnosis import (
    Account,
    Door,
    Finding,
    Survey,
    Verdict,
    examine_absent_sources,
    examine_condition,
    examine_door,
    examine_free_space,
    examine_handlers,
    examine_leftovers,
    examine_untaken,
    survey,
)
from ringback.engine import open_checked_store
from ringback.errors import ConfigurationError, StoreUnavailable
from ringback.inspection import examine_inspection, examine_queue
from ringback.keyring import key_file
from ringback.model import Endpoint
from ringback.outbox import system_clock
from ringback.recipients import Troubles, examine_recipients, look_up
from ringback.store import Condition, Store, examine_store, is_postgres, open_store
from ringback.vault import KEY_BYTES, Vault

if TYPE_CHECKING:
    from ringback.inbox import Inbox

COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.BROKEN: "red"}
WIDTH = max(map(len, Verdict))
INDENT = " " * (WIDTH + 2)
LINE_WIDTH = 100


@click.command("doctor", short_help="Find what is wrong, and what to do about it.")
@inbox_option
@settings_flags(STORE_SETTINGS)
@json_option
@click.pass_context
def command(ctx: click.Context, *, load: Load, inbox_name: tuple[str, str] | None, as_json: bool) -> int:
    """Check settings, store, sources, handlers, endpoints and what is left over; leave with 10 if something is broken.

    With --inbox, the sources and handlers that the application declares are checked against the store as well, which
    is then the inbox's. Nothing is changed, and nothing is asked over the network.
    """
    if inbox_name is not None:
        refuse_other_flags(ctx)
    found = list(_examine(load, inbox_name))
    if as_json:
        print_json(found)
    else:
        print_findings(found)
    return FOUND_BROKEN if any(one.verdict is Verdict.BROKEN for one in found) else DONE


# --- Finding -----------------------------------------------------------------------------------------------


def _examine(load: Load, inbox_name: tuple[str, str] | None) -> Iterator[Finding]:
    about = "settings" if inbox_name is None else "application"
    try:
        inbox = None if inbox_name is None else load_inbox(inbox_name)
        settings = load() if inbox is None else inbox.settings()
    except ConfigurationError as error:
        yield Finding(
            Verdict.BROKEN, about, str(error), "nothing can start like this", "correct it, and run this again"
        )
        return
    yield _told_settings(settings, inbox)
    yield from _examine_declared(settings)
    yield from _examine_store(settings, inbox)


def _told_settings(settings: Settings, inbox: Inbox | None) -> Finding:
    origins = {one.where for one in settings.origins.values()} - {DEFAULT}
    if inbox is not None:
        origins = {"the application" if where.startswith("--") else where for where in origins}
    return Finding(Verdict.OK, "settings", f"from {', '.join(sorted(origins)) or 'their defaults'}")


def _examine_declared(settings: Settings) -> Iterator[Finding]:
    for one in settings.sources:
        if one.missing:
            yield Finding(
                Verdict.BROKEN,
                f"source {one.draft.uid}",
                f"{one.where}: the environment has no {' and no '.join(one.missing)}",
                "the server does not start without it",
                "set it where the server is started, or give another value",
            )


def _examine_store(settings: Settings, inbox: Inbox | None) -> Iterator[Finding]:
    found: Survey | None = None
    troubles: Troubles | None = None
    endpoints: tuple[Endpoint, ...] = ()
    shared = inbox is not None and inbox.shared
    condition: Condition | None = None
    try:
        condition = examine_store(settings.store, shared=shared)
        yield examine_condition(condition, shared=shared)
        if condition.schema == condition.newest:
            with explained(settings), closing(_opened(settings, shared=shared)) as store:
                yield from _examine_writing(settings, store)
                found = survey(store, system_clock())
                troubles = look_up(store, found.due)
                endpoints = certified(store)
            yield _told_key(settings)
    except ConfigurationError as error:
        told = _told_unusable(error) if condition is None else _told_failure(settings, error)
        yield Finding(Verdict.BROKEN, "store", *told)
    except StoreUnavailable as error:
        why = "the file is damaged, locked for long, or its disk fails"
        yield Finding(
            Verdict.BROKEN, "store", str(error), why, "check the disk; restore the file from a backup"
        )
    accounts = () if found is None else found.accounts
    yield from _examine_doors(accounts, inbox)
    if found is not None:
        yield from _examine_accounts(found, inbox)
    if troubles is not None:
        yield from examine_recipients(troubles)
    yield from examine_certificates(endpoints, system_clock())


def _examine_writing(settings: Settings, store: Store) -> Iterator[Finding]:
    if is_postgres(settings.store):
        yield Finding(Verdict.OK, "store", "it can be written (synchronous_commit=on)")
        yield from examine_inspection(store.inspect())
        now = store.now() or system_clock()
        yield examine_queue(store.statistics(now), now)
        return
    yield Finding(
        Verdict.OK, "store", "it can be written, and commits survive a power cut (WAL, synchronous=FULL)"
    )
    yield examine_free_space(store.free_space())


def _opened(settings: Settings, *, shared: bool) -> Store:
    if _key_is_there(settings):
        return open_checked_store(settings, shared=shared)
    # A key is not made here: if anything has been sealed, another one is missing.
    return open_store(settings.store, Vault(secrets.token_bytes(KEY_BYTES)), shared=shared)


def _key_is_there(settings: Settings) -> bool:
    if settings.main_key is not None:
        return True
    return not is_postgres(settings.store) and key_file(settings.store).exists()


def _told_key(settings: Settings) -> Finding:
    if is_postgres(settings.store) and settings.main_key is None:
        return Finding(
            Verdict.BROKEN,
            "key",
            "main_key is not set",
            "no node starts without it: it opens what is sealed in the store",
            "set RINGBACK_MAIN_KEY to the key, the same one on every node",
        )
    if _key_is_there(settings):
        return Finding(Verdict.OK, "key", "it opens what is sealed in the store")
    return Finding(Verdict.OK, "key", "there is none yet and nothing is sealed; the next start makes one")


def _told_unusable(error: ConfigurationError) -> tuple[str, str, str]:
    return str(error), "nothing that uses the store can start", "correct it, and run this again"


def _told_failure(settings: Settings, error: ConfigurationError) -> tuple[str, str, str]:
    if _key_is_there(settings) or is_postgres(settings.store):
        return _told_unusable(error)
    return (
        f"its key is missing: {key_file(settings.store)} is not there, and main_key is not set",
        "what is sealed in the store cannot be opened",
        "put the file back from a backup, or set RINGBACK_MAIN_KEY to the key",
    )


def _examine_doors(accounts: tuple[Account, ...], inbox: Inbox | None) -> Iterator[Finding]:
    now = system_clock()
    stored = [one.source for one in accounts if inbox is None or one.source.token is not None]
    doors = [Door(source, None, source.secrets if source.token is not None else None) for source in stored]
    if inbox is not None:
        doors += [Door(source, profile, source.secrets) for source, profile in inbox.declared.sources]
        declared = {source.name for source, _ in inbox.declared.sources}
        yield from examine_absent_sources(accounts, declared)
    for door in doors:
        yield from examine_door(door, now)


def _examine_accounts(found: Survey, inbox: Inbox | None) -> Iterator[Finding]:
    names = frozenset() if inbox is None else inbox.declared.names
    due = [one for one in found.due if inbox is None or one.handler in names]
    for account in found.accounts:
        if inbox is not None:
            yield from examine_handlers(account, names)
        yield from examine_untaken(account, due)
        yield from examine_leftovers(account)


# --- Telling -----------------------------------------------------------------------------------------------


def print_findings(found: list[Finding]) -> None:
    """Print findings for people, and how many there are of each kind."""
    width = max(len(one.about) for one in found)
    for one in found:
        verdict = coloured(one.verdict.value, COLOURS[one.verdict]) + " " * (WIDTH - len(one.verdict))
        what = printable(one.what, lines=True).replace("\n", f"\n{INDENT}")
        click.echo(f"{verdict}  {printable(one.about):<{width}}  {what}")
        for text, mark in ((one.why, INDENT), (one.advice, f"{INDENT}-> ")):
            if text:
                click.echo(click.wrap_text(printable(text), LINE_WIDTH, mark, " " * len(mark)))
    counts = Counter(one.verdict for one in found)
    warnings = "1 warning" if counts[Verdict.WARNING] == 1 else f"{counts[Verdict.WARNING]} warnings"
    click.echo(f"\n{counts[Verdict.OK]} ok, {warnings}, {counts[Verdict.BROKEN]} broken")
