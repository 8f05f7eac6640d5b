"""What the address of a store names: a file or a database on a server; opened, looked at, or found absent."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ringback.errors import ConfigurationError
from ringback.secrecy import check_password, masked
from ringback.store.values import Condition
from ringback.vault import Vault

if TYPE_CHECKING:
    from ringback.store import Store

SQLITE = "sqlite:///"


def open_store(
    url: str, vault: Vault, entropy: Callable[[int], bytes] = secrets.token_bytes, *, shared: bool = False
) -> Store:
    """Open the store that *url* names, creating or migrating it as needed.

    Args:
        url: ``sqlite:///relative/or/absolute/path``, four slashes make the path absolute; or
            ``postgresql://user:password@host/database``.
        vault: Seals the secrets that the store keeps.
        entropy: Returns that many random bytes.
        shared: The database may be an application's own, with tables of that.

    Raises:
        ConfigurationError: The URL names no known kind of store.
        StoreIncompatible: The database belongs to a newer Ringback or to something else.
    """
    if is_postgres(url):
        # Its tables have names of their own, so that any database may be an application's, too.
        _check_written(url)
        store: Store = _postgres().PostgresStore(url, vault, entropy)
        return store
    from ringback.store.sqlite import SQLiteStore  # noqa: PLC0415 - a store is only imported when used

    return SQLiteStore(file_of(url), vault, entropy, shared=shared)


def examine_store(url: str, *, shared: bool = False) -> Condition:
    """Tell what the database is that *url* names, changing nothing; for *shared*, see ``open_store``.

    Raises:
        ConfigurationError: The URL names no known kind of store, or the database cannot be read.
    """
    if is_postgres(url):
        _check_written(url)
        found: Condition = _postgres("condition").examine(url)
        return found
    from ringback.store.sqlite.condition import examine  # noqa: PLC0415 - as above

    return examine(file_of(url), shared=shared)


def absence(url: str) -> str | None:
    """Say why no server takes connections at *url* now, which may change by itself; None where one does.

    A file is never absent. An address that cannot be read is none either: opening says what is wrong with it.

    Raises:
        ConfigurationError: What this kind of store needs is not installed.
    """
    if not is_postgres(url):
        return None
    _check_written(url)
    told: str | None = _postgres("connection").absence(url)
    return told


def is_postgres(url: str) -> bool:
    """Tell whether a URL names a PostgreSQL database."""
    return url.startswith(("postgresql://", "postgres://"))


def _check_written(url: str) -> None:
    """Refuse a PostgreSQL URL whose password libpq would take for something else, and tell as that.

    Raises:
        ConfigurationError: The password has to be written in another way.
    """
    try:
        check_password(url)
    except ValueError as error:
        raise ConfigurationError(f"cannot use the PostgreSQL store: {error}") from None


def file_of(url: str) -> str:
    """Return the file that the URL of a store on SQLite names.

    Raises:
        ConfigurationError: It names none.
    """
    path = url.removeprefix(SQLITE)
    if not path or path == url:
        raise ConfigurationError(
            f"cannot use the store {masked(url)!r}: write sqlite:///FILE, such as sqlite:///ringback.db, or postgresql://..."
        )
    return path


def _postgres(part: str = "") -> Any:
    try:
        return importlib.import_module(f"ringback.store.postgres.{part}".rstrip("."))
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"a PostgreSQL store needs {error.name}, which is not installed: pip install 'ringback[postgres]'"
        ) from None
