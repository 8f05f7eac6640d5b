"""The nodes that share a database, and the circuits that they have opened."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.model import Instant, Registration
from ringback.policy import FORGOTTEN_AFTER
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.tables import Many

_BEAT = """
    INSERT INTO ringback_node (id, name, roles, version, started_at, seen_at, stopped) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE
    SET started_at = excluded.started_at, seen_at = excluded.seen_at, stopped = excluded.stopped
"""
_OPENED = Many(
    """
    WITH opened (endpoint_id, reopens_at) AS ({rows})
    INSERT INTO ringback_circuit (endpoint_id, reopens_at) SELECT endpoint_id, reopens_at FROM opened WHERE true
    ON CONFLICT (endpoint_id) DO UPDATE SET reopens_at = excluded.reopens_at
    """,
    "ti",
)
_CLOSED = Many("DELETE FROM ringback_circuit WHERE endpoint_id IN ({rows})", "t")


class Nodes(Catalog):
    """The verbs about nodes."""

    def beat(self, node: Registration) -> None:
        """See ``Store``."""
        self.execute(
            _BEAT,
            (
                node.id,
                node.name,
                " ".join(node.roles),
                node.version,
                node.started_at,
                node.seen_at,
                int(node.stopped),
            ),
        )
        self.execute("DELETE FROM ringback_node WHERE seen_at < ?", (node.seen_at - FORGOTTEN_AFTER,))

    def nodes(self) -> list[Registration]:
        """See ``Store``."""
        rows = self.rows(
            "SELECT id, name, roles, version, started_at, seen_at, stopped FROM ringback_node"
            " ORDER BY started_at, id"
        )
        return [
            Registration(
                id=node_id,
                name=name,
                roles=tuple(roles.split()),
                version=version,
                started_at=started_at,
                seen_at=seen_at,
                stopped=bool(stopped),
            )
            for node_id, name, roles, version, started_at, seen_at, stopped in rows
        ]

    def keep_circuits(self, changed: Mapping[str, Instant | None], now: Instant) -> None:
        """See ``Store``."""
        opened = sorted((name, until) for name, until in changed.items() if until is not None)
        closed = sorted((name,) for name, until in changed.items() if until is None)
        if opened:
            self.execute_rows(_OPENED, opened)
        if closed:
            self.execute_rows(_CLOSED, closed)
        self.execute("DELETE FROM ringback_circuit WHERE reopens_at < ?", (now - FORGOTTEN_AFTER,))

    def circuits(self) -> dict[str, Instant]:
        """See ``Store``."""
        return dict(self.rows("SELECT endpoint_id, reopens_at FROM ringback_circuit"))
