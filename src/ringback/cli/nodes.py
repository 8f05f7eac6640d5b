"""``ringback nodes``: the processes that share a store, and whether they live."""

from __future__ import annotations

import secrets
from contextlib import closing

import click

from ringback.cli.options import SERVER_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json, print_table
from ringback.cli.start import explained
from ringback.config import Settings
from ringback.model import Instant, Registration, iso
from ringback.outbox import system_clock
from ringback.policy import node_state
from ringback.store import open_store
from ringback.vault import KEY_BYTES, Vault

STORE_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name == "store")
COLUMNS = ("name", "roles", "state", "startedAt", "seenAt", "version", "id")
HEADING = ("NAME", "ROLES", "STATE", "STARTED", "SEEN", "VERSION", "ID")


@click.command("nodes", short_help="List the processes that share the store.")
@settings_options(STORE_SETTINGS)
@json_option
def command(*, settings: Settings, as_json: bool) -> None:
    """List the nodes by their starts: alive, silent for more than ten seconds, or stopped within the last day."""
    # Nothing that is read here is sealed, so any key does.
    vault = Vault(secrets.token_bytes(KEY_BYTES))
    with explained(settings), closing(open_store(settings.store, vault)) as store:
        now = store.now()
        rows = [_shown(node, system_clock() if now is None else now) for node in store.nodes()]
    if as_json:
        print_json(rows)
    else:
        cells = [{**row, "roles": " ".join(row["roles"])} for row in rows]
        print_table(HEADING, [[str(row[name]) for name in COLUMNS] for row in cells])


def _shown(node: Registration, now: Instant) -> dict[str, str | tuple[str, ...]]:
    return {
        "id": node.id,
        "name": node.name,
        "roles": node.roles,
        "version": node.version,
        "state": node_state(node, now),
        "startedAt": iso(node.started_at),
        "seenAt": iso(node.seen_at),
    }
