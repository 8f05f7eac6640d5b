"""The tokens that let callers use the API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from ringback.access import Scope
from ringback.errors import NotFound
from ringback.model import Instant
from ringback.store import BROWSER, Page, Token
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.tables import Many, Row

_COLUMNS = (
    "id, name, digest, created_at, scopes, application_id, feature_flags, session, expires_at, last_used_at,"
    " poller_id"
)
_INSERT = f"INSERT INTO ringback_token ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(', ')))})"
_BY_DIGEST = Many(
    f"""
    WITH wanted (digest) AS ({{rows}})
    SELECT {_COLUMNS} FROM ringback_token WHERE digest IN (SELECT digest FROM wanted)
    """,
    "b",
)
_IN_PORTAL = f"""
    SELECT {_COLUMNS} FROM ringback_token
    WHERE application_id = ? AND session IS NOT NULL AND poller_id IS NULL AND (expires_at > ? OR expires_at IS NULL)
"""
_encode = msgspec.json.encode
_scopes = msgspec.json.Decoder(tuple[Scope, ...])
_names = msgspec.json.Decoder(tuple[str, ...])


class Tokens(Catalog):
    """The verbs about tokens."""

    def add_token(self, token: Token) -> None:
        """See ``Store``."""
        self.execute(_INSERT, _values(token))

    def tokens(self, page: Page | None = None) -> list[Token]:
        """See ``Store``."""
        query = f"SELECT {_COLUMNS} FROM ringback_token WHERE (session IS NULL OR poller_id IS NOT NULL)"
        rows = self.rows(f"{query} ORDER BY id") if page is None else self.page(query, [], "id", page)
        return [_token(row) for row in rows]

    def tokens_of(self, digests: Collection[bytes]) -> list[Token]:
        """See ``Store``."""
        return [_token(row) for row in self.rows_for(_BY_DIGEST, [(digest,) for digest in digests])]

    def portal_tokens(self, application_id: str, now: Instant, page: Page) -> list[Token]:
        """See ``Store``."""
        return [_token(row) for row in self.page(_IN_PORTAL, [application_id, now], "id", page)]

    def portal_token(self, application_id: str, token_id: str, now: Instant) -> Token:
        """See ``Store``."""
        found = self.row(f"{_IN_PORTAL} AND id = ?", (application_id, now, token_id))
        if found is None:
            raise NotFound(f"there is no token {token_id}")
        return _token(found)

    def use_token(self, token_id: str, now: Instant) -> None:
        """See ``Store``."""
        self.execute("UPDATE ringback_token SET last_used_at = ? WHERE id = ?", (now, token_id))

    def expire_tokens(self, application_id: str, sessions: Collection[str] | None, at: Instant) -> None:
        """See ``Store``."""
        statement = (
            "UPDATE ringback_token SET expires_at = ?"
            " WHERE application_id = ? AND session IS NOT NULL AND (expires_at > ? OR expires_at IS NULL)"
        )
        if sessions is not None:
            statement += f" AND session IN ({', '.join('?' * len(sessions))})"
        self.execute(statement, (at, application_id, at, *(sessions or ())))

    def forget_tokens(self, application_id: str | None, now: Instant) -> None:
        """See ``Store``."""
        of_whom, values = ("IS NULL", []) if application_id is None else ("= ?", [application_id])
        self.execute(
            f"DELETE FROM ringback_token WHERE application_id {of_whom} AND session IS NOT NULL AND expires_at <= ?",
            (*values, now),
        )

    def remove_token(self, token_id: str) -> None:
        """See ``Store``."""
        self.execute("DELETE FROM ringback_token WHERE id = ?", (token_id,))
        if not self.changes():
            raise NotFound(f"there is no token {token_id}")
        # The sessions of browsers that were let in with it.
        self.execute("DELETE FROM ringback_token WHERE session = ? AND name = ?", (token_id, BROWSER))


def _values(token: Token) -> tuple[Any, ...]:
    flags = token.feature_flags
    return (
        token.id,
        token.name,
        token.digest,
        token.created_at,
        _encode(token.scopes).decode(),
        token.application_id,
        None if flags is None else _encode(flags).decode(),
        token.session,
        token.expires_at,
        token.last_used_at,
        token.poller_id,
    )


def _token(row: Row) -> Token:
    token_id, name, digest, created_at, scopes, application_id, flags, session, expires_at, *others = row
    last_used_at, poller_id = others
    return Token(
        id=token_id,
        name=name,
        digest=digest,
        created_at=created_at,
        scopes=_scopes.decode(scopes),
        application_id=application_id,
        feature_flags=None if flags is None else _names.decode(flags),
        session=session,
        expires_at=expires_at,
        last_used_at=last_used_at,
        poller_id=poller_id,
    )
