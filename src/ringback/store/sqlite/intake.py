"""Accepting in SQLite's own words: keys by counting."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.model import Instant
from ringback.store import Lease
from ringback.store.sql.accepting import Accepting
from ringback.store.sql.tables import Many, Row
from ringback.store.sqlite.rows import Rows

# Keys are never used twice, although the newest message may have been removed.
_POSITION = (
    "SELECT catalog.version, max(coalesce((SELECT max(key) FROM ringback_message), 0), removed.message_key)"
    " FROM ringback_catalog AS catalog, ringback_removed AS removed"
)
_INSERT_DELIVERIES = Many(
    "INSERT INTO ringback_delivery"
    " (message_key, endpoint_key, state, attempts, due_at, lease_token, trigger, ordering_key) {rows}",
    "iitiiitt",
)
_REMEMBER_USES = Many(
    "REPLACE INTO ringback_idempotency (scope, name, fingerprint, resource_id, created_at) {rows}", "ttbti"
)


class SQLiteIntake(Accepting, Rows):
    """What accepting needs of SQLite."""

    # The key given last, and whether others have given higher ones since that was last asked.
    last_key = 0
    met_others = False
    _seen = -1

    def new_message_key(self, created_at: Instant) -> int:
        """See ``Line``."""
        del created_at
        self.last_key += 1
        return self.last_key

    def insert_deliveries(self, rows: Sequence[Row], lease: Lease) -> None:
        """See ``Line``."""
        del lease
        self.execute_rows(_INSERT_DELIVERIES, rows)

    def remember_uses(self, new: Sequence[Row], renewed: Sequence[Row]) -> None:
        """See ``Catalog``."""
        self.execute_rows(_REMEMBER_USES, [*new, *renewed])

    def catch_up(self) -> None:
        """Learn what other connections have changed; asked inside a transaction, before routes are used."""
        # While nobody else writes, what was read last time still holds. A key skipped by a rollback is no loss.
        seen = self.data_version()
        if seen != self._seen or not self.routes.hold:
            found = self.row(_POSITION)
            assert found is not None  # noqa: S101 - both tables have their one row from the first migration on
            self.routes.renew(found[0])
            self.met_others |= found[1] > self.last_key
            self.last_key = max(self.last_key, found[1])
            self._seen = seen
