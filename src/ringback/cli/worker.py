"""``ringback worker``: a process that only delivers."""

from __future__ import annotations

import click

from ringback.cli.options import SERVER_SETTINGS, settings_options
from ringback.cli.start import explained
from ringback.config import Settings

WORKER_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name != "listen")


@click.command("worker", short_help="Only deliver, from the same store.")
@settings_options(WORKER_SETTINGS)
def command(settings: Settings) -> None:
    """Deliver what others accepted into the same store, until told to stop (SIGTERM or Ctrl-C)."""
    from ringback.server.node import serve  # noqa: PLC0415 - a server's imports would slow every other command

    with explained(settings):
        serve(settings, api=False)
