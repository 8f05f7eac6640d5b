"""``ringback publish``: publish a message through a running server."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import click
import msgspec

from ringback.cli.client import Client
from ringback.cli.moment import Moment
from ringback.cli.options import CLIENT_SETTINGS, idempotency_key_option, json_option, settings_options
from ringback.cli.output import print_json
from ringback.config import Settings
from ringback.drafts import checked_json
from ringback.errors import InvalidInput
from ringback.model import Instant
from ringback.publication import draft_of

NO_PAYLOAD = "there is no payload: give JSON, @FILE, or pipe it in"


@click.command("publish", short_help="Publish a message through a running server.")
@click.argument("application")
@click.argument("event_type", metavar="TYPE")
@click.argument("payload", metavar="[@FILE|-|JSON]", default="-")
@click.option("--event-id", metavar="ID", help="Your own id for the event, unique in the application.")
@click.option("--channel", "channels", metavar="NAME", multiple=True, help="A channel; may be repeated.")
@click.option(
    "--tag", "tags", metavar="NAME", multiple=True, help="A name to find the message by; may be repeated."
)
@click.option(
    "--deliver-at",
    type=Moment(ahead=True),
    metavar="TIME",
    help="Nothing is delivered before this time, such as 2026-12-24T09:00:00Z or 2h from now.",
)
@idempotency_key_option("Publishing again with the same key changes nothing.")
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
    tags: tuple[str, ...],
    deliver_at: Instant | None,
    idempotency_key: str | None,
    validate: bool,
    as_json: bool,
) -> None:
    """Publish a message of TYPE to APPLICATION (an id or uid) and print the message's id.

    The payload is a JSON object: given as it is, read from a FILE after @, or from standard input (-). It is
    delivered byte for byte.
    """
    draft = draft_of(
        event_type,
        _checked(_payload(payload)),
        event_id=event_id,
        channels=channels or None,
        tags=tags or None,
        deliver_at=None if deliver_at is None else datetime.fromtimestamp(deliver_at / 1000, UTC),
    )
    draft.check()
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
            raise click.UsageError(NO_PAYLOAD)
        return sys.stdin.buffer.read()
    if argument.startswith("@"):
        try:
            return Path(argument[1:]).read_bytes()
        except OSError as error:
            raise click.UsageError(
                f"the payload file {argument[1:]} cannot be read: {error.strerror}"
            ) from None
    return argument.encode()


def _checked(payload: bytes) -> bytes:
    if not payload.strip():
        raise click.UsageError(NO_PAYLOAD)
    try:
        return checked_json(payload)
    except InvalidInput as error:
        raise click.UsageError(f"the payload {error.fields[0].msg}") from None
