"""What a program keeps beside its messages: bodies of its own, by collection and id."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.store import Document, Page
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.tables import Many

# `WHERE true` tells SQLite that ON is not a join's.
_KEEP = Many(
    """
    WITH kept (collection, id, body) AS ({rows})
    INSERT INTO ringback_document (collection, id, body) SELECT collection, id, body FROM kept WHERE true
    ON CONFLICT (collection, id) DO UPDATE SET body = excluded.body
    """,
    "ttb",
)
_REMOVE = Many("DELETE FROM ringback_document WHERE (collection, id) IN ({rows})", "tt")


class Documents(Catalog):
    """The verbs about documents."""

    def keep(self, documents: Sequence[Document]) -> None:
        """See ``Store``."""
        last = {(document.collection, document.id): document.body for document in documents}
        kept = [(*key, body) for key, body in last.items() if body is not None]
        removed = [key for key, body in last.items() if body is None]
        if kept:
            self.execute_rows(_KEEP, kept)
        if removed:
            self.execute_rows(_REMOVE, removed)

    def document(self, collection: str, document_id: str) -> bytes | None:
        """See ``Store``."""
        found = self.row(
            "SELECT body FROM ringback_document WHERE collection = ? AND id = ?", (collection, document_id)
        )
        return None if found is None else bytes(found[0])

    def documents(self, collection: str, page: Page) -> list[Document]:
        """See ``Store``."""
        rising = page.backwards == page.descending
        beyond, order = (">", "") if rising else ("<", " DESC")
        bound = "" if page.cursor is None else f" AND id {beyond} ?"
        rows = self.rows(
            f"SELECT id, body FROM ringback_document WHERE collection = ?{bound} ORDER BY id{order} LIMIT ?",
            (collection, *(() if page.cursor is None else (page.cursor,)), page.limit),
        )
        return [Document(collection, *row) for row in rows]
