"""``ringback source``: the sources of a running server."""

from __future__ import annotations

from typing import Any, TypedDict
from urllib.parse import quote

import click
import msgspec

from ringback.cli.client import Client
from ringback.cli.options import CLIENT_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json, print_table, printable
from ringback.config import Settings, value_here
from ringback.policy import parse_duration

SOURCES = "/ingest/api/v1/source"
PAGE = 250


class _Config(TypedDict):
    secretCount: int


class _Rotated(TypedDict):
    ingestUrl: str


class _Source(TypedDict):
    id: str
    uid: str | None
    name: str
    type: str
    ingestUrl: str | None
    config: _Config


class _Endpoint(TypedDict):
    url: str
    state: str
    eventTypes: list[str] | None


class _Sources(TypedDict):
    data: list[_Source]
    iterator: str | None
    done: bool


class _Endpoints(TypedDict):
    data: list[_Endpoint]


client_options = settings_options(CLIENT_SETTINGS)
ref_argument = click.argument("ref", metavar="SOURCE")


@click.group("source")
def command() -> None:
    """Manage where webhooks come in, on a running server. SOURCE is an id or uid."""


@command.command("list", short_help="List the sources.")
@client_options
@json_option
def show_all(*, settings: Settings, as_json: bool) -> None:
    """List the sources, oldest first."""
    client, rows, cursor = _client(settings), list[dict[str, Any]](), ""
    while True:
        page = client.call("GET", f"{SOURCES}?limit={PAGE}{cursor}", _Sources)
        rows += page["data"]
        if page["done"]:
            break
        cursor = f"&iterator={page['iterator']}"
    if as_json:
        print_json(rows)
    else:
        cells = [(row["id"], row["uid"] or "-", row["type"], row["name"]) for row in rows]
        print_table(("ID", "UID", "TYPE", "NAME"), cells)


@command.command("create", short_help="Make a source and print its address.")
@click.argument("uid", metavar="UID")
@click.option("--type", "kind", metavar="PROVIDER", help="Who sends; by default the provider called UID.")
@click.option(
    "--secret",
    "secrets",
    metavar="SECRET",
    multiple=True,
    required=True,
    help="A secret to accept; may be repeated. Better env:NAME, the variable to read: flags are visible to others.",
)
@click.option("--name", metavar="TEXT", help="What people call it; by default UID.")
@click.option("--forward", "urls", metavar="URL", multiple=True, help="Where to forward to; may be repeated.")
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="A parameter of the provider's scheme, such as header=x-signature; may be repeated.",
)
@client_options
@json_option
def create(
    *,
    settings: Settings,
    uid: str,
    kind: str | None,
    secrets: tuple[str, ...],
    name: str | None,
    urls: tuple[str, ...],
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a source called UID and print the address to give to its provider."""
    client = _client(settings)
    body = {
        "uid": uid,
        "name": name or uid,
        "type": kind or uid,
        "config": {"secrets": [value_here(text) for text in secrets], "options": dict(map(_pair, options))},
    }
    source = client.create(SOURCES, msgspec.json.encode(body), {})
    _tell(source, str(source.get("ingestUrl")), as_json=as_json)
    for url in urls:
        client.create(f"{_path(source['id'])}/endpoint", msgspec.json.encode({"url": url}), {})


@command.command("show", short_help="Show a source, its address and where it forwards to.")
@ref_argument
@client_options
@json_option
def show(*, settings: Settings, ref: str, as_json: bool) -> None:
    """Show a source, its address and where it forwards to. Its secrets are never shown."""
    client = _client(settings)
    source = client.call("GET", _path(ref), _Source)
    endpoints = client.call("GET", f"{_path(ref)}/endpoint?limit={PAGE}", _Endpoints)["data"]
    if as_json:
        print_json({**source, "endpoints": endpoints})
        return
    rows = [
        ("id", source["id"]),
        ("uid", source["uid"] or "-"),
        ("name", source["name"]),
        ("type", source["type"]),
        ("address", source["ingestUrl"] or "none: a program's own inbox receives for it"),
        ("secrets", str(source["config"]["secretCount"])),
        *(("endpoint", _endpoint_told(endpoint)) for endpoint in endpoints),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:{width}}  {printable(value)}")


@command.command("remove", short_help="Remove a source.")
@ref_argument
@client_options
def remove(*, settings: Settings, ref: str) -> None:
    """Remove a source and its endpoints.

    What it received is kept until retention removes it, but is not shown any more.
    """
    _client(settings).call("DELETE", _path(ref), None)
    click.echo(f"{ref} is removed.", err=True)


def _read_grace(ctx: click.Context, param: click.Parameter, value: str) -> int:
    try:
        return parse_duration(value) // 1000
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@command.command("rotate", short_help="Give a source another address and print it.")
@ref_argument
@click.option(
    "--grace",
    metavar="DURATION",
    default="48h",
    show_default=True,
    callback=_read_grace,
    help="For how long the address before stays good; with 0s it and all former ones end within seconds.",
)
@client_options
@json_option
def rotate(*, settings: Settings, ref: str, grace: int, as_json: bool) -> None:
    """Give a source another address and print it. The one before stays good until the grace period ends."""
    body = msgspec.json.encode({"gracePeriodSeconds": grace})
    rotated = _client(settings).send("POST", f"{_path(ref)}/token/rotate", body, _Rotated)
    _tell(rotated, rotated["ingestUrl"], as_json=as_json)


def _client(settings: Settings) -> Client:
    return Client(settings.url, settings.token)


def _path(ref: str) -> str:
    return f"{SOURCES}/{quote(ref, safe='')}"


def _tell(answer: dict[str, Any], address: str, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        click.echo(printable(address))


def _endpoint_told(endpoint: dict[str, Any]) -> str:
    types = endpoint["eventTypes"]
    wanted = "everything" if types is None else ", ".join(types)
    return f"{endpoint['url']} ({endpoint['state']}; {wanted})"


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.UsageError(f"an option is NAME=VALUE, not {text!r}")
    return name, value
