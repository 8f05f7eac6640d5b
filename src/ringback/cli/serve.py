"""``ringback serve``: the API and the worker in one process."""

from __future__ import annotations

import click

from ringback.cli.options import SERVER_SETTINGS, settings_options
from ringback.cli.start import explained
from ringback.config import Settings

API_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name != "health_listen")


@click.command("serve", short_help="Accept messages and deliver them.")
@settings_options(API_SETTINGS)
@click.option("--no-worker", is_flag=True, help="Only accept; `ringback worker` elsewhere delivers.")
def command(settings: Settings, *, no_worker: bool) -> None:
    """Accept messages over the API and deliver them, until told to stop (SIGTERM or Ctrl-C)."""
    from ringback.server.node import serve  # noqa: PLC0415 - a server's imports would slow every other command

    with explained(settings):
        serve(settings, worker=not no_worker)
