"""``ringback import``: moving in from another server."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from ringback.cli import DONE, PARTLY_FAILED
from ringback.cli.options import SERVER_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json, print_table, printable
from ringback.cli.start import explained
from ringback.config import Settings, variable_here
from ringback.engine import open_checked_store
from ringback.errors import ConfigurationError
from ringback.migration import Migration
from ringback.model import Duration, HeaderFamily
from ringback.moving import Event, Fate, Kind, Wish
from ringback.origins import Origin
from ringback.origins.svix_secrets import SvixSecrets
from ringback.outbox import system_clock
from ringback.policy import DAY, parse_duration
from ringback.store import Store, examine_store, is_postgres, open_store
from ringback.vault import KEY_BYTES, Vault

IMPORT_SETTINGS = tuple(
    setting for setting in SERVER_SETTINGS if setting.name in {"store", "main_key", "organisation"}
)
# The names that the Svix server and its clients have for them.
DSN, MAIN_SECRET, TOKEN = "SVIX_DB_DSN", "SVIX_MAIN_SECRET", "SVIX_TOKEN"
OLDEST = 90 * DAY
SHOWN = 20
TELL_SECONDS = 2.0


def _read_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> Duration | None:
    try:
        duration = None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if duration is not None and not 0 < duration <= OLDEST:
        raise click.BadParameter("it is between 1ms and 90d", ctx, param)
    return duration


@click.group("import")
def command() -> None:
    """Move in from another server."""


@command.command("svix", short_help="Move in from a Svix server, or from another Ringback.")
@click.option(
    "--dsn",
    metavar="URL",
    help=f"The Svix server's PostgreSQL database. Better given as {DSN}: flags are visible to other users.",
)
@click.option("--api", metavar="URL", help="A server that speaks the Svix API, to be read over HTTP instead.")
@click.option(
    "--token",
    metavar="TOKEN",
    help=f"An organisation's token for --api. Better given as {TOKEN}.",
)
@click.option(
    "--messages",
    metavar="DURATION",
    callback=_read_duration,
    help="Bring the messages of that long along, such as 7d, as a record: nothing is delivered again.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, and tell what would be.")
@click.option(
    "--restart", is_flag=True, help="Begin anew, rather than go on where an earlier run was stopped."
)
@click.option(
    "--remove-gone", is_flag=True, help="Delete here what was brought over and has been deleted there since."
)
@click.option(
    "--signature-headers",
    "family",
    type=click.Choice([family.value for family in HeaderFamily]),
    default=HeaderFamily.SVIX.value,
    show_default=True,
    help="The signature headers that receivers are used to: svix-id and so on, or webhook-id.",
)
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what became of each record that is not unchanged to FILE, a line of JSON each.",
)
@settings_options(IMPORT_SETTINGS)
@json_option
def svix(
    *,
    settings: Settings,
    dsn: str | None,
    api: str | None,
    token: str | None,
    messages: Duration | None,
    dry_run: bool,
    restart: bool,
    remove_gone: bool,
    family: str,
    report: Path | None,
    as_json: bool,
) -> int:
    """Bring applications, endpoints with their secrets and headers, and event types into the store.

    From the database that a Svix server has, or over the API of one. Ids, uids and secrets stay, so that links lead
    on and receivers' signatures verify. Run it as often as you like: what is unchanged there is left alone here, and a
    run that was stopped goes on where it was. A server may run on the store meanwhile. Leaves with 9 if something was
    skipped.
    """
    now = system_clock()
    wish = Wish(
        since=None if messages is None else now - messages,
        rehearse=dry_run,
        restart=restart,
        remove_gone=remove_gone,
    )
    with (
        _origin(settings, dsn, api, token, HeaderFamily(family)) as origin,
        _store(settings, dry_run=dry_run) as store,
        _Report.to(report) as told,
    ):
        try:
            Migration(store, origin, wish, now=now, tell=told.note).run()
        finally:
            # Also of a run that is stopped: what it did stays.
            told.show(as_json=as_json, dry_run=dry_run)
    return PARTLY_FAILED if told.count(Fate.SKIPPED) else DONE


@contextlib.contextmanager
def _origin(
    settings: Settings, dsn: str | None, api: str | None, token: str | None, family: HeaderFamily
) -> Iterator[Origin]:
    origin = _opened(settings, dsn, api, token, family)
    try:
        yield origin
    finally:
        origin.close()


def _opened(
    settings: Settings, dsn: str | None, api: str | None, token: str | None, family: HeaderFamily
) -> Origin:
    dsn = None if api is not None and dsn is None else dsn or variable_here(DSN)
    if (dsn is None) is (api is None):
        raise click.UsageError("say where from: --dsn postgresql://… or --api https://…, one of the two")
    if api is not None:
        from ringback.origins.svix_api import SvixApi  # noqa: PLC0415 - only what is used is loaded

        token = token or variable_here(TOKEN)
        if token is None:
            raise click.UsageError(f"--api needs a token: set {TOKEN} or give --token")
        return SvixApi(api, token, family)
    try:
        from ringback.origins.svix_database import SvixDatabase  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        raise ConfigurationError(
            "reading a PostgreSQL database needs psycopg, which is not installed: pip install 'ringback[postgres]'"
        ) from None
    return SvixDatabase(dsn or "", settings.organisation, SvixSecrets(variable_here(MAIN_SECRET)), family)


@contextlib.contextmanager
def _store(settings: Settings, *, dry_run: bool) -> Iterator[Store]:
    """Yield the store; for a dry run on a file that is not there, an empty one that is thrown away."""
    with contextlib.ExitStack() as undo, explained(settings):
        if dry_run and not is_postgres(settings.store) and not examine_store(settings.store).exists:
            folder = undo.enter_context(tempfile.TemporaryDirectory())
            store = open_store(f"sqlite:///{folder}/rehearsal.db", Vault(secrets.token_bytes(KEY_BYTES)))
        else:
            store = open_checked_store(settings)
        undo.callback(store.close)
        yield store


class _Report:
    """Counts what becomes of records, keeps the first few that want attention, and writes all to a file."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._counts: Counter[tuple[Kind, Fate]] = Counter()
        self._attention: list[Event] = []
        self._more = 0
        self._told_at = time.monotonic()

    @classmethod
    @contextlib.contextmanager
    def to(cls, file: Path | None) -> Iterator[_Report]:
        """Yield a report that is written to *file*, if any."""
        if file is None:
            yield cls(None)
            return
        try:
            opened = file.open("w", encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"the report cannot be written to {file}: {error.strerror}") from None
        with opened:
            yield cls(opened)

    def note(self, event: Event) -> None:
        """Take note of one record."""
        self._counts[event.kind, event.fate] += 1
        if event.fate is not Fate.UNCHANGED and self._file is not None:
            self._file.write(msgspec.json.encode(event).decode() + "\n")
        if event.why or event.left_out or event.kept_as or event.fate is Fate.GONE:
            if len(self._attention) < SHOWN:
                self._attention.append(event)
            else:
                self._more += 1
        if time.monotonic() - self._told_at > TELL_SECONDS:
            self._told_at = time.monotonic()
            click.echo(self._so_far(), err=True)

    def count(self, fate: Fate) -> int:
        """Return how many records met that *fate*."""
        return sum(count for (_, one), count in self._counts.items() if one is fate)

    def show(self, *, as_json: bool, dry_run: bool) -> None:
        """Print what became of all of them."""
        if as_json:
            print_json(
                {"dryRun": dry_run, "counts": self._table(), "attention": self._attention, "more": self._more}
            )
            return
        rows = [(f"{kind}s", *(f"{self._counts[kind, fate]:,}" for fate in Fate)) for kind in Kind]
        print_table(("", *(fate.upper() for fate in Fate)), rows)
        for event in self._attention:
            click.echo(printable(f"{event.kind} {event.name}: {_told(event)}"), err=True)
        if self._more:
            click.echo(f"{self._more:,} more of that kind: --report FILE has them all", err=True)
        if dry_run:
            click.echo("nothing is changed: this was a dry run", err=True)

    def _table(self) -> dict[str, Any]:
        return {kind: {fate: self._counts[kind, fate] for fate in Fate} for kind in Kind}

    def _so_far(self) -> str:
        seen = ", ".join(f"{sum(self._counts[kind, fate] for fate in Fate):,} {kind}s" for kind in Kind)
        return f"so far {seen}"


def _told(event: Event) -> str:
    if event.why is not None:
        return f"skipped: {event.why}"
    if event.fate is Fate.GONE:
        return "is no longer there; --remove-gone deletes it here"
    parts = [f"kept as {event.kept_as}"] if event.kept_as else []
    return "; ".join([*parts, *(f"left out: {part}" for part in event.left_out)])
