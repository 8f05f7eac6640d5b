"""How much is left over, counted through indexes and only so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.model import Held
from ringback.store import Census
from ringback.store.sqlite.catalog import Catalog
from ringback.store.sqlite.records import UNSENT

CEILING = 10_000

_WAITING = f"""
    SELECT e.id, (
        SELECT count(*) FROM (
            SELECT 1 FROM ringback_delivery INDEXED BY ringback_delivery_due
            WHERE endpoint_key = e.key AND due_at IS NOT NULL LIMIT {CEILING}
        )
    ) AS waiting
    FROM ringback_endpoint e WHERE e.application_key = ? AND e.deleted_at IS NULL AND waiting > 0
"""
_RETRYING = f"""
    SELECT e.id, (
        SELECT count(*) FROM (
            SELECT 1 FROM ringback_delivery d INDEXED BY ringback_delivery_unsent
            WHERE d.endpoint_key = e.key AND {UNSENT} AND d.state = 'waiting' LIMIT {CEILING}
        )
    ) AS retrying
    FROM ringback_endpoint e WHERE e.application_key = ? AND e.deleted_at IS NULL AND retrying > 0
"""
_HELD = "SELECT 1 FROM ringback_message WHERE application_key = ? AND held = ?"
_DEAD = f"""
    SELECT 1 FROM ringback_endpoint e CROSS JOIN ringback_delivery d INDEXED BY ringback_delivery_unsent
    ON d.endpoint_key = e.key AND {UNSENT} AND d.state = 'failed'
    WHERE e.application_key = ?
"""


class Counts(Catalog):
    """The verb that counts."""

    def census(self, source_id: str) -> Census:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        return Census(
            waiting=dict(self.rows(_WAITING, (key,))),
            retrying=dict(self.rows(_RETRYING, (key,))),
            quarantined=self._counted(_HELD, (key, Held.QUARANTINED)),
            unhandled=self._counted(_HELD, (key, Held.UNHANDLED)),
            dead=self._counted(_DEAD, (key,)),
        )

    def _counted(self, query: str, values: Sequence[Any]) -> int:
        found = self.row(f"SELECT count(*) FROM ({query} LIMIT {CEILING})", values)
        return int(found[0]) if found else 0
