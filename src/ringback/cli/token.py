"""``ringback token``: make, list and revoke the tokens that may use the API, on the store itself."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import click

from ringback import ids, tokens
from ringback.access import Scope
from ringback.api_keys import ApiKeyDraft, add_key
from ringback.cli.options import SERVER_SETTINGS, json_option, settings_options
from ringback.cli.output import print_json, print_table
from ringback.cli.start import explained
from ringback.config import Settings
from ringback.errors import ConfigurationError, InvalidInput, NotFound
from ringback.keyring import open_vault, signer_of
from ringback.model import Duration, Instant, iso
from ringback.outbox import system_clock
from ringback.policy import parse_duration
from ringback.sessions import ALL, SESSION_KEY, Grant, link_path, new_link
from ringback.store import Store, Token, open_store
from ringback.vault import KEY_BYTES, Vault

STORE_SETTINGS = tuple(setting for setting in SERVER_SETTINGS if setting.name == "store")
SIGNING_SETTINGS = tuple(s for s in SERVER_SETTINGS if s.name in {"store", "jwt_secret", "organisation"})
LINK_SETTINGS = tuple(s for s in SERVER_SETTINGS if s.name in {"store", "main_key", "public_url", "listen"})
HEADING = ("ID", "CREATED", "LAST USED", "EXPIRES", "SCOPES", "APPLICATION", "NAME")
# Source: the Svix server.
LIFE_OF_ORGANISATION = 10 * 365 * 24 * 3_600_000
LIFE_OF_APPLICATION = 28 * 24 * 3_600_000


def _read_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> Duration | None:
    try:
        duration = None if value is None else parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if duration is not None and not 0 < duration <= LIFE_OF_ORGANISATION:
        raise click.BadParameter("it is between 1ms and 3650d", ctx, param)
    return duration


def _expires_option(without: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--expires",
        metavar="DURATION",
        callback=_read_duration,
        help=f"How long it is good, such as 30d. Without it, {without}.",
    )


@click.group("token")
def command() -> None:
    """Make, list and revoke the tokens that may use the API."""


@command.command("create", short_help="Make a token and print it.")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do: everything (admin), publish, read all but secrets, or with --app what an application's own "
    "people may do (portal). Can be given several times.  [default: admin]",
)
@click.option("--app", "application", metavar="APP", help="The only application it may see, by id or uid.")
@_expires_option("until it is revoked")
@settings_options(STORE_SETTINGS)
@json_option
def create(
    *,
    settings: Settings,
    name: str,
    scopes: tuple[str, ...],
    application: str | None,
    expires: Duration | None,
    as_json: bool,
) -> None:
    """Make a token, with a NAME that says who it is for, and print it: it cannot be shown again."""
    now = system_clock()
    draft = ApiKeyDraft(
        name=name,
        scopes=tuple(dict.fromkeys(map(Scope, scopes))) or (Scope.ADMIN,),
        application=application,
        expires_at=None if expires is None else now + expires,
    )
    try:
        draft.check(now)
    except InvalidInput as error:
        raise click.UsageError("; ".join(f"a token's {f.loc[-1]} {f.msg}" for f in error.fields)) from None
    text = tokens.new_token(secrets.token_bytes(tokens.ENTROPY_BYTES))
    token_id = ids.new_id(ids.TOKEN, now, secrets.token_bytes(ids.ENTROPY_BYTES))
    with _store(settings) as store:
        token = add_key(store, draft, token_id, text, now)
    if as_json:
        print_json({**_shown(token), "token": text})
    else:
        click.echo(
            f"Keep this token now; Ringback itself only keeps its digest. Its id is {token.id}.", err=True
        )
        click.echo(text)


@command.command("jwt", short_help="Sign a JSON Web Token and print it.")
@click.option("--app", "application", metavar="APP", help="The application it is for, by id or uid.")
@_expires_option("ten years, or 28 days with --app")
@settings_options(SIGNING_SETTINGS)
def jwt(*, settings: Settings, application: str | None, expires: Duration | None) -> None:
    """Sign a JSON Web Token with the jwt_secret and print it: the organisation's, or with --app an application's.

    Nothing is kept of it: it is good until it expires, or until the secret is no longer set.
    """
    signer = signer_of(settings)
    if signer is None:
        raise ConfigurationError(
            "there is no secret to sign with: set RINGBACK_JWT_SECRET to the one that the server has"
        )
    lifetime = expires or (LIFE_OF_ORGANISATION if application is None else LIFE_OF_APPLICATION)
    application_id = None
    if application is not None:
        with _store(settings) as store:
            application_id = store.application(application).id
    click.echo(signer.make(system_clock(), lifetime, application_id))


@command.command("link", short_help="Print a link that signs a browser in, once.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([Scope.ADMIN.value, Scope.READ.value]),
    help="What the browser may do: everything (admin), or only look (read).  [default: admin]",
)
@settings_options(LINK_SETTINGS)
def link(*, settings: Settings, scopes: tuple[str, ...]) -> None:
    """Print a link to the server's pages: whoever opens it first, within 15 minutes, is signed in for half a day."""
    grant = Grant(scopes=tuple(dict.fromkeys(map(Scope, scopes))) or ALL.scopes, origin=ALL.origin)
    with explained(settings):
        key = open_vault(settings).derived(SESSION_KEY)
    code, token = new_link(key, grant, system_clock())
    with _store(settings) as store:
        store.add_token(token)
    click.echo(settings.address_of(link_path(code)))


@command.command("list", short_help="List the tokens, by age.")
@settings_options(STORE_SETTINGS)
@json_option
def show(*, settings: Settings, as_json: bool) -> None:
    """List the tokens: what they are for and when they were last used, not the tokens themselves."""
    with _store(settings) as store:
        rows = [_shown(token) for token in store.tokens()]
    if as_json:
        print_json(rows)
    else:
        print_table(HEADING, [_cells(row) for row in rows])


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


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "createdAt": iso(token.created_at),
        "scopes": token.scopes,
        "appId": token.application_id,
        "expiresAt": _instant(token.expires_at),
        "lastUsedAt": _instant(token.last_used_at),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["id"],
        row["createdAt"],
        row["lastUsedAt"] or "never",
        row["expiresAt"] or "never",
        ",".join(row["scopes"]),
        row["appId"] or "all",
        row["name"],
    )


def _instant(instant: Instant | None) -> str | None:
    return None if instant is None else iso(instant)
