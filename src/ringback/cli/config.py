"""``ringback config``: every setting, its value and where it came from."""

from __future__ import annotations

import click

from ringback.cli.options import json_option, settings_options
from ringback.cli.output import print_json, print_table
from ringback.config import SETTINGS, Settings


@click.command("config", short_help="Show every setting and where it came from.")
@settings_options(SETTINGS)
@json_option
def command(settings: Settings, *, as_json: bool) -> None:
    """Show every setting, its value and where the value came from; secrets are masked."""
    rows = [
        (setting.name, settings.shown(setting), settings.origins[setting.name].where) for setting in SETTINGS
    ]
    if as_json:
        print_json([{"name": name, "value": value, "origin": origin} for name, value, origin in rows])
    else:
        print_table(
            ("SETTING", "VALUE", "FROM"), [(name, value or "-", origin) for name, value, origin in rows]
        )
