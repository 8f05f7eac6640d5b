"""How much is left over, counted through indexes and only so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.model import Held
from ringback.store import Census
from ringback.store.sql.catalog import Catalog

CEILING = 10_000

# How many of some deliveries each endpoint of an application has, where it has any.
_BY_ENDPOINT = """
    SELECT id, amount FROM (
        SELECT e.id, (SELECT count(*) FROM (SELECT 1 FROM {deliveries} LIMIT {ceiling}) AS counted) AS amount
        FROM ringback_endpoint e WHERE e.application_key = ? AND e.deleted_at IS NULL
    ) AS of_each WHERE amount > 0
"""
_HELD = "SELECT 1 FROM ringback_message WHERE application_key = ? AND held = ?"
_DEAD = """
    SELECT 1 FROM ringback_endpoint e CROSS JOIN ringback_delivery d INDEXED BY ringback_delivery_unsent
    ON d.endpoint_key = e.key AND {unsent} AND d.state = 'failed'
    WHERE e.application_key = ?
"""


class Counts(Catalog):
    """The verb that counts."""

    def census(self, source_id: str) -> Census:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        return Census(
            waiting=self._by_endpoint(self.dialect.unfinished, key),
            retrying=self._by_endpoint(
                "ringback_delivery d INDEXED BY ringback_delivery_unsent"
                f" WHERE d.endpoint_key = e.key AND {self.dialect.unsent} AND d.state = 'waiting'",
                key,
            ),
            quarantined=self._counted(_HELD, (key, Held.QUARANTINED.value)),
            unhandled=self._counted(_HELD, (key, Held.UNHANDLED.value)),
            dead=self._counted(_DEAD.format(unsent=self.dialect.unsent), (key,)),
        )

    def _by_endpoint(self, deliveries: str, application_key: int) -> dict[str, int]:
        query = _BY_ENDPOINT.format(deliveries=deliveries, ceiling=CEILING)
        return dict(self.rows(query, (application_key,)))

    def _counted(self, query: str, values: Sequence[Any]) -> int:
        found = self.row(f"SELECT count(*) FROM ({query} LIMIT {CEILING}) AS counted", values)
        return int(found[0]) if found else 0
