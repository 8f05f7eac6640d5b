"""``ringback token``: make, list and revoke the tokens that may use the API, on the store itself."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

import click

from ringback import ids, tokens
from ringback.cli.options import SERVER_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json, print_table
from ringback.cli.start import explained
from ringback.config import Settings
from ringback.errors import NotFound
from ringback.model import iso
from ringback.outbox import system_clock
from ringback.store import Store, Token, open_store
from ringback.vault import KEY_BYTES, Vault

MAX_NAME = 256
STORE_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name == "store")


@click.group("token")
def command() -> None:
    """Make, list and revoke the tokens that may use the API."""


@command.command("create", short_help="Make a token and print it.")
@click.argument("name")
@settings_options(STORE_SETTINGS)
@json_option
def create(*, settings: Settings, name: str, as_json: bool) -> None:
    """Make a token, with a NAME that says who it is for, and print it: it cannot be shown again."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise click.UsageError(f"a token's name has 1 to {MAX_NAME} printable characters")
    text = tokens.new_token(secrets.token_bytes(tokens.ENTROPY_BYTES))
    now = system_clock()
    token = Token(
        id=ids.new_id(ids.TOKEN, now, secrets.token_bytes(ids.ENTROPY_BYTES)),
        name=name,
        digest=tokens.digest(text),
        created_at=now,
    )
    with _store(settings) as store:
        store.add_token(token)
    if as_json:
        print_json({**_shown(token), "token": text})
    else:
        click.echo(
            f"Keep this token now; Ringback itself only keeps its digest. Its id is {token.id}.", err=True
        )
        click.echo(text)


@command.command("list", short_help="List the tokens, by name.")
@settings_options(STORE_SETTINGS)
@json_option
def show(*, settings: Settings, as_json: bool) -> None:
    """List the tokens: their ids, names and ages, not the tokens themselves."""
    with _store(settings) as store:
        rows = [_shown(token) for token in store.tokens()]
    if as_json:
        print_json(rows)
    else:
        print_table(("ID", "CREATED", "NAME"), [(row["id"], row["createdAt"], row["name"]) for row in rows])


@command.command("revoke", short_help="Revoke a token.")
@click.argument("token_id", metavar="ID")
@settings_options(STORE_SETTINGS)
def revoke(*, settings: Settings, token_id: str) -> None:
    """Revoke a token by its ID; running servers refuse it within five seconds."""
    with _store(settings) as store:
        try:
            store.remove_token(token_id)
        except NotFound:
            raise NotFound(
                f"there is no token {token_id}. `ringback token list` shows those there are"
            ) from None
    click.echo(f"{token_id} is revoked.", err=True)


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    # Only digests of tokens are kept, so nothing is sealed or opened here and any key does.
    vault = Vault(secrets.token_bytes(KEY_BYTES))
    with explained(settings):
        store = open_store(settings.store, vault)
        try:
            with store.transaction():
                yield store
        finally:
            store.close()


def _shown(token: Token) -> dict[str, str]:
    return {"id": token.id, "name": token.name, "createdAt": iso(token.created_at)}
