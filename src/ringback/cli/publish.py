"""``ringback publish``: publish a message through a running server."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

import click
import msgspec

from ringback.cli.client import Client
from ringback.cli.options import CLIENT_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json
from ringback.config import Settings
from ringback.drafts import MessageDraft


@click.command("publish", short_help="Publish a message through a running server.")
@click.argument("application")
@click.argument("event_type", metavar="TYPE")
@click.argument("payload", metavar="[@FILE|-|JSON]", default="-")
@click.option("--event-id", metavar="ID", help="Your own id for the event, unique in the application.")
@click.option("--channel", "channels", metavar="NAME", multiple=True, help="A channel; may be repeated.")
@click.option("--idempotency-key", metavar="KEY", help="Publishing again with the same key changes nothing.")
@click.option("--validate", is_flag=True, help="Publish only what obeys the newest schema of its event type.")
@settings_options(CLIENT_SETTINGS)
@json_option
def command(
    *,
    settings: Settings,
    application: str,
    event_type: str,
    payload: str,
    event_id: str | None,
    channels: tuple[str, ...],
    idempotency_key: str | None,
    validate: bool,
    as_json: bool,
) -> None:
    """Publish a message of TYPE to APPLICATION (an id or uid) and print the message's id.

    The payload is a JSON object: given as it is, read from a FILE after @, or from standard input (-). It is
    delivered byte for byte.
    """
    draft = _draft(event_type, _payload(payload), event_id, channels or None)
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    client = Client(settings.url, settings.token)
    query = "?validate=true" if validate else ""
    message = client.create(
        f"/api/v1/app/{quote(application, safe='')}/msg{query}", msgspec.json.encode(draft), headers
    )
    if as_json:
        print_json(message)
    else:
        click.echo(message["id"])


def _payload(argument: str) -> bytes:
    if argument == "-":
        if sys.stdin.isatty():
            raise click.UsageError("there is no payload: give JSON, @FILE, or pipe it in")
        return sys.stdin.buffer.read()
    if argument.startswith("@"):
        try:
            return Path(argument[1:]).read_bytes()
        except OSError as error:
            raise click.UsageError(
                f"the payload file {argument[1:]} cannot be read: {error.strerror}"
            ) from None
    return argument.encode()


def _draft(
    event_type: str, payload: bytes, event_id: str | None, channels: tuple[str, ...] | None
) -> MessageDraft:
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise click.UsageError(f"the payload is not JSON: {error}") from None
    draft = MessageDraft(
        event_type=event_type, payload=msgspec.Raw(payload), event_id=event_id, channels=channels
    )
    draft.check()
    return draft
