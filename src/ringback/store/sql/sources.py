"""Sources, and the requests they refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ringback import ids, operational, tokens
from ringback.errors import Conflict, NotFound
from ringback.model import Application, Instant, Refusal, Source
from ringback.operational import SourceChange
from ringback.store import Idempotency, Page
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.tables import Row
from ringback.vault import NONCE_BYTES

_COLUMNS = "s.id, s.record, s.secrets"


class _Sealed(msgspec.Struct, frozen=True):
    """What of a source must not be readable at rest."""

    secrets: tuple[str, ...]
    token: str | None


_source = msgspec.json.Decoder(Source)
_sealed = msgspec.json.Decoder(_Sealed)
_refusal = msgspec.json.Decoder(Refusal)


class Sources(Catalog):
    """The verbs about where messages come in."""

    def add_source(self, source: Source, idempotency: Idempotency | None = None) -> str:
        """See ``Store``."""
        if idempotency is not None:
            earlier = self.earlier_use(idempotency)
            if earlier is not None and self._source_where("s.id = ?", earlier.resource_id):
                return earlier.repeated_by(idempotency)
            self.remember_use(idempotency, source.id, source.created_at, earlier)
        self._check_free(source)
        self.execute(
            "INSERT INTO ringback_application (id, uid, record) VALUES (?, NULL, ?)",
            (source.id, _owner_record(source)),
        )
        key, _ = self._application_row(source.id)
        self.execute(
            "INSERT INTO ringback_source (application_key, id, uid, token_digest, secrets, record)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key, source.id, *self._source_values(source)),
        )
        self.bump_catalog()
        self._announce_source(SourceChange.CREATED, source.id, source.created_at)
        return source.id

    def change_source(self, ref: str, change: Callable[[Source], Source]) -> Source:
        """See ``Store``."""
        self.hold("ringback_source", f"{_column(ref)} = ? AND deleted_at IS NULL", (ref,))
        old = self.source(ref)
        new = change(old)
        if (new.uid, new.token) != (old.uid, old.token):
            self._check_free(new, but=old)
        self.execute(
            "UPDATE ringback_source SET uid = ?, token_digest = ?, secrets = ?, record = ? WHERE id = ?",
            (*self._source_values(new), old.id),
        )
        self.execute("UPDATE ringback_application SET record = ? WHERE id = ?", (_owner_record(new), old.id))
        self.bump_catalog()
        if new != old:
            self._announce_source(SourceChange.UPDATED, new.id, new.updated_at)
        return new

    def remove_source(self, ref: str, now: Instant) -> None:
        """See ``Store``."""
        source = self.source(ref)
        key, _ = self._application_row(source.id)
        self.retire(key, now)
        self.execute("DELETE FROM ringback_refusal WHERE application_key = ?", (key,))
        self.execute(
            "UPDATE ringback_source SET deleted_at = ?, uid = NULL, token_digest = NULL WHERE id = ?",
            (now, source.id),
        )
        self._announce_source(SourceChange.DELETED, source.id, now)

    def source(self, ref: str) -> Source:
        """See ``Store``."""
        found = self._source_where(f"s.{_column(ref)} = ?", ref)
        if found is None:
            raise NotFound(f"there is no source {ref}")
        return found

    def source_of_token(self, digest: bytes) -> Source | None:
        """See ``Store``."""
        return self._source_where("s.token_digest = ?", digest)

    def sources(self, page: Page) -> list[Source]:
        """See ``Store``."""
        query = f"SELECT {_COLUMNS} FROM ringback_source s WHERE s.deleted_at IS NULL"
        return [self._source_of(row) for row in self.page(query, [], "s.id", page)]

    def add_refusal(self, refusal: Refusal, keep: int) -> None:
        """See ``Store``."""
        key, _ = self._application_row(refusal.source_id)
        self.execute(
            "INSERT INTO ringback_refusal (application_key, id, record) VALUES (?, ?, ?)",
            (key, refusal.id, msgspec.json.encode(refusal)),
        )
        self.execute(
            "DELETE FROM ringback_refusal WHERE application_key = ? AND key <="
            " (SELECT key FROM ringback_refusal WHERE application_key = ? ORDER BY key DESC LIMIT 1 OFFSET ?)",
            (key, key, keep),
        )

    def refusals(self, source_id: str, page: Page) -> list[Refusal]:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        query = "SELECT record FROM ringback_refusal WHERE application_key = ?"
        return [_refusal.decode(row[0]) for row in self.page(query, [key], "id", page)]

    def _announce_source(self, kind: SourceChange, source_id: str, at: Instant) -> None:
        self.announce(source_id, at, lambda owner: [operational.source_changed(kind, owner.id)])

    def _source_where(self, condition: str, value: str | bytes) -> Source | None:
        found = self.row(
            f"SELECT {_COLUMNS} FROM ringback_source s WHERE {condition} AND s.deleted_at IS NULL", (value,)
        )
        return None if found is None else self._source_of(found)

    def _source_of(self, row: Row) -> Source:
        source_id, record, secrets = row
        sealed = _sealed.decode(self._vault.open(secrets, source_id))
        return msgspec.structs.replace(_source.decode(record), secrets=sealed.secrets, token=sealed.token)

    def _source_values(self, source: Source) -> tuple[Any, ...]:
        sealed = msgspec.json.encode(_Sealed(source.secrets, source.token)).decode()
        return (
            source.uid,
            None if source.token is None else tokens.digest(source.token),
            self._vault.seal(sealed, self._entropy(NONCE_BYTES), source.id),
            msgspec.json.encode(msgspec.structs.replace(source, secrets=(), token=None)),
        )

    def _check_free(self, source: Source, but: Source | None = None) -> None:
        mine = None if but is None else but.id
        if source.uid is not None:
            holder = self._source_where("s.uid = ?", source.uid)
            if holder is not None and holder.id != mine:
                raise Conflict(f"there is a source with the uid {source.uid}")
        if source.token is not None:
            holder = self.source_of_token(tokens.digest(source.token))
            if holder is not None and holder.id != mine:
                raise Conflict("another source has this token")


def _owner_record(source: Source) -> bytes:
    """Return the application that owns what belongs to a source, as it is kept."""
    return msgspec.json.encode(
        Application(
            id=source.id, name=source.name, created_at=source.created_at, updated_at=source.updated_at
        )
    )


def _column(ref: str) -> str:
    return "id" if ids.is_id(ids.SOURCE, ref) else "uid"
