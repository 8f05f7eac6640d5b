"""``ringback event-type``: the event types of a running server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypedDict

import click
import msgspec

from ringback.cli.client import Client
from ringback.cli.options import CLIENT_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json, print_table
from ringback.config import Settings
from ringback.errors import InvalidInput
from ringback.specification import READ, event_types_of
from ringback.yaml_text import from_yaml

FATES = ("created", "updated", "unchanged", "archived")


class _Data(TypedDict):
    created: list[str]
    updated: list[str]
    unchanged: list[str]
    archived: list[str]


class _Imported(TypedDict):
    data: _Data


@click.group("event-type")
def command() -> None:
    """Manage event types, on a running server."""


@command.command("import", short_help="Take event types over from an OpenAPI document.")
@click.argument("file", metavar="FILE|-")
@click.option("--dry-run", is_flag=True, help="Change nothing, and tell what would be.")
@click.option("--replace-all", is_flag=True, help="Archive all event types that are not in the document.")
@settings_options(CLIENT_SETTINGS)
@json_option
def import_(*, settings: Settings, file: str, dry_run: bool, replace_all: bool, as_json: bool) -> None:
    """Create and update event types after the webhooks of an OpenAPI document, JSON or YAML: all or none.

    Read from FILE or from standard input (-). Doing it again changes nothing.
    """
    document = _document(file)
    body = {"spec": document, "dryRun": dry_run, "replaceAll": replace_all}
    answer: dict[str, Any] = Client(settings.url, settings.token).send(
        "POST", "/api/v1/event-type/import/openapi", msgspec.json.encode(body), _Imported
    )
    data = answer["data"]
    if as_json:
        print_json(data)
        return
    rows = [(fate, name) for fate in FATES for name in sorted(data[fate])]
    print_table(("WHAT", "EVENT TYPE"), rows)
    counts = ", ".join(f"{len(data[fate])} {fate}" for fate in FATES)
    click.echo(f"{counts}{'; nothing is changed: this was a dry run' if dry_run else ''}", err=True)


def _document(file: str) -> dict[str, Any]:
    """Return what of a document is of use, checked here already: whole, it may be more than a server takes."""
    text = _text(file)
    try:
        try:
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            document = from_yaml(text, file)
        event_types_of(document, file)
    except InvalidInput as error:
        faults = (f"{'.'.join(map(str, fault.loc))}: {fault.msg}" for fault in error.fields)
        raise click.UsageError("\n".join(faults)) from None
    return {name: document[name] for name in READ if name in document}


def _text(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode()
    except OSError as error:
        raise click.UsageError(f"the file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not text in UTF-8") from None
