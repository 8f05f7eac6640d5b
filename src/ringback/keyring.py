"""The secrets a node is given, or makes at its first start."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from pathlib import Path

from ringback import ids, tokens
from ringback.config import Settings
from ringback.errors import ConfigurationError
from ringback.model import Application, Instant
from ringback.signed_tokens import Signer
from ringback.store import Page, Store, Token, file_of, is_postgres, open_store
from ringback.vault import KEY_BYTES, Vault, parse_main_keys

KEY_SUFFIX = ".key"
FIRST_TOKEN = "first start"  # noqa: S105 - the name of a token, not a token
PAGE = 250


def open_vault(settings: Settings, *, shared: bool = False) -> Vault:
    """Return the vault for the store that *settings* name: its key is a setting, or kept beside the database.

    The key file, readable by its owner only, is made when it is not there and nothing has been sealed yet.

    Raises:
        ConfigurationError: The key cannot be read, or is missing beside an existing database.
        OSError: The key file cannot be written.
    """
    if settings.main_key is not None:
        return parse_main_keys(settings.main_key)
    if is_postgres(settings.store):
        raise ConfigurationError(
            "a PostgreSQL store needs the main key as a setting, the same one on every node: set RINGBACK_MAIN_KEY to"
            " what `openssl rand -base64 32` prints, and keep it apart from the database's backups"
        )
    database = Path(file_of(settings.store))
    file = key_file(settings.store)
    if not file.exists():
        _check_keyless(settings, database, file, shared=shared)
        _make_key(file)
    try:
        return parse_main_keys(file.read_text("ascii"))
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} does not hold a main key; put the right file back") from None


def key_file(store: str) -> Path:
    """Return where the key of a store is kept, unless it is a setting."""
    return Path(file_of(store) + KEY_SUFFIX)


def check_key(store: Store) -> None:
    """Try the vault on the first source and endpoint there are: with the wrong key, nothing could be signed.

    Raises:
        ConfigurationError: The key is not the one that the store's secrets were sealed with.
    """
    store.sources(Page(limit=1))
    page: list[Application] = store.applications(Page(limit=PAGE))
    while page and not any(store.endpoints(application.id, Page(limit=1)) for application in page):
        page = store.applications(Page(limit=PAGE, cursor=page[-1].id))


def _check_keyless(settings: Settings, database: Path, file: Path, *, shared: bool) -> None:
    """Refuse to make a key where secrets have been sealed with another."""
    if not database.exists():
        return
    store = open_store(settings.store, Vault(secrets.token_bytes(KEY_BYTES)), shared=shared)
    try:
        check_key(store)
    except ConfigurationError:
        raise ConfigurationError(
            f"{database} is there but its key {file} is not: put the key back, or set RINGBACK_MAIN_KEY to it"
        ) from None
    finally:
        store.close()


def first_token(store: Store, settings: Settings, now: Instant) -> str | None:
    """Make a token when nothing else would let anybody in, and return it; None when there is no need."""
    if settings.admin_token is not None or store.tokens():
        return None
    text = tokens.new_token(secrets.token_bytes(tokens.ENTROPY_BYTES))
    token_id = ids.new_id(ids.TOKEN, now, secrets.token_bytes(ids.ENTROPY_BYTES))
    store.add_token(Token(id=token_id, name=FIRST_TOKEN, digest=tokens.digest(text), created_at=now))
    return text


def signer_of(settings: Settings) -> Signer | None:
    """Return what makes and reads signed tokens; None where no secret is set for them."""
    if not settings.jwt_secret:
        return None
    return Signer(secrets=settings.jwt_secret, organisation=settings.organisation)


def _make_key(file: Path) -> None:
    """Write a new key, whole or not at all; where another process has been faster, its key stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES))
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
            written.write(key + b"\n")
            written.flush()
            # Secrets sealed with a key that a power cut takes away could never be opened again.
            os.fsync(written.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None
    finally:
        draft.unlink(missing_ok=True)
