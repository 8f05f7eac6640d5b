"""``ringback worker``: a process that only delivers, or that runs the handlers of an application's inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ringback import __version__
from ringback.cli.application import inbox_option, load_inbox, refuse_other_flags
from ringback.cli.options import SERVER_SETTINGS, settings_options
from ringback.cli.start import explained
from ringback.config import Settings

if TYPE_CHECKING:
    from ringback.inbox import Inbox

WORKER_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name != "listen")


@click.command("worker", short_help="Only deliver, from the same store.")
@inbox_option
@settings_options(WORKER_SETTINGS)
@click.pass_context
def command(ctx: click.Context, *, settings: Settings, inbox_name: tuple[str, str] | None) -> None:
    """Deliver what others accepted into the same store, until told to stop (SIGTERM or Ctrl-C).

    With --inbox, run the handlers of an application's inbox, on the store and with the settings that it names.
    """
    if inbox_name is not None:
        refuse_other_flags(ctx)
        _run(load_inbox(inbox_name))
        return
    from ringback.server.node import serve  # noqa: PLC0415 - a server's imports would slow every other command

    health = settings.health_listen
    with explained(settings, flags={} if health is None else {health: "--health-listen"}):
        serve(settings, api=False)


def _run(inbox: Inbox) -> None:
    settings = inbox.settings()
    with explained(settings, place="the inbox's store"):
        inbox.run_worker(begun=lambda: _announce(inbox, settings.place))


def _announce(inbox: Inbox, store: str) -> None:
    lines = [f"Ringback {__version__} handles what is kept in {store}"]
    for source, _ in inbox.declared.sources:
        names = [one.name for one in inbox.declared.handlers if one.source == source.name]
        lines.append(f"  {source.name} ({source.provider}): {', '.join(names) or 'no handlers'}")
    click.echo("\n".join(lines), err=True)
