"""Pollers: the feeds of endpoints without an address, and how far those who ask have come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ringback import ids, operational
from ringback.errors import LimitReached, NotFound
from ringback.model import DeliveryState, Endpoint, Instant
from ringback.policy import Step, next_state
from ringback.store import MessageFilter, Page
from ringback.store.pollers import Polled
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.filters import conditioned, message_conditions
from ringback.store.sql.records import (
    ENDPOINT_COLUMNS,
    MESSAGE_COLUMNS,
    endpoint_of,
    endpoint_record,
    message_of,
)
from ringback.store.sql.tables import Many, Row

# So many positions are looked at for one answer, however few messages are meant.
LOOKED_AT = 2_000
# An answer ends where its payloads have that many bytes; so many messages are read at once.
MAX_BYTES, AT_ONCE = 8 * 1024 * 1024, 16
MAX_CONSUMERS = 1_000
# What waits is given positions in such portions, so many times, before somebody goes to a time.
PORTION, PORTIONS = 1_000, 10
_PREFIX = f"{ids.POLLER}_"
_BEYOND = f"{ids.POLLER}`"  # what comes after all that begin with the prefix
_POLLERS = (
    f"SELECT e.key, {ENDPOINT_COLUMNS} FROM ringback_endpoint e"
    " WHERE e.application_key = ? AND e.deleted_at IS NULL"
)
_HANDED_OUT = next_state(DeliveryState.WAITING, Step.HAND_OUT).value
_CANCELLED = next_state(DeliveryState.WAITING, Step.CANCEL).value
_FEED = Many(
    "INSERT INTO ringback_feed (endpoint_key, position, message_key, reached) {rows}",
    "iiii",
)
_HAND_OUT = Many(
    f"""
    WITH given (message_key, endpoint_key) AS ({{rows}})
    UPDATE ringback_delivery AS delivery
    SET state = '{_HANDED_OUT}', due_at = NULL, lease_token = NULL, reason = NULL
    FROM given
    WHERE delivery.message_key = given.message_key AND delivery.endpoint_key = given.endpoint_key
    """,
    "ii",
)
_BEHIND = f"""
    SELECT f.position, {MESSAGE_COLUMNS} FROM ringback_feed f CROSS JOIN ringback_message m ON m.key = f.message_key
    WHERE f.endpoint_key = ? AND f.position > ? AND f.position <= ?
"""
_PAYLOAD = 7  # its place in such a row
_CREATED = Many(
    """
    WITH wanted (key) AS ({rows})
    SELECT m.key, m.created_at FROM wanted CROSS JOIN ringback_message m ON m.key = wanted.key
    """,
    "i",
)
_UNASKED = f"""
    UPDATE ringback_delivery SET state = '{_CANCELLED}', due_at = NULL, reason = 'not_polled'
    WHERE endpoint_key = ? AND message_key IN (
        SELECT u.message_key FROM {{queue}} AND u.due_at < ? ORDER BY u.due_at LIMIT ?
    )
"""


class Polling(Catalog):
    """The verbs about pollers."""

    # --- Pollers ------------------------------------------------------------------------------------------

    def add_poller(self, record: Endpoint) -> None:
        """See ``PollerVerbs``."""
        self.add(record)
        self.execute(
            "INSERT INTO ringback_poller SELECT key, 0 FROM ringback_endpoint WHERE id = ?", (record.id,)
        )

    def change_poller(
        self, application_id: str, poller_id: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        """See ``PollerVerbs``."""
        self.hold("ringback_endpoint", "id = ?", (poller_id,))
        key, old = self._poller_row(application_id, poller_id)
        new = change(old)
        self.execute("UPDATE ringback_endpoint SET record = ? WHERE key = ?", (endpoint_record(new), key))
        self.bump_catalog()
        self.announce(old.application_id, new.updated_at, lambda owner: operational.changed(owner, old, new))
        return new

    def remove_poller(self, application_id: str, poller_id: str, now: Instant) -> None:
        """See ``PollerVerbs``."""
        key, old = self._poller_row(application_id, poller_id)
        self.forget_poller_tokens(poller_id)
        for table in ("consumer", "feed", "poller"):
            self.execute(f"DELETE FROM ringback_{table} WHERE endpoint_key = ?", (key,))
        self.execute("UPDATE ringback_endpoint SET deleted_at = ? WHERE key = ?", (now, key))
        self.bump_catalog()
        self.announce(old.application_id, now, lambda owner: [operational.deleted(owner, old)])

    def poller(self, application_id: str, poller_id: str) -> Endpoint:
        """See ``PollerVerbs``."""
        return self._poller_row(application_id, poller_id)[1]

    def pollers(self, application_id: str, page: Page) -> list[Endpoint]:
        """See ``PollerVerbs``."""
        key, _ = self._application_row(application_id)
        query = f"{_POLLERS} AND e.id > ? AND e.id < ?"
        found = self.page(query, [key, _PREFIX, _BEYOND], "e.id", page)
        return [endpoint_of(row[1:], self._vault) for row in found]

    def _poller_row(self, application_id: str, poller_id: str) -> tuple[int, Endpoint]:
        application_key, _ = self._application_row(application_id)
        found = None
        if ids.is_id(ids.POLLER, poller_id):
            found = self.row(f"{_POLLERS} AND e.id = ?", (application_key, poller_id))
        if found is None:
            raise NotFound(f"there is no poller {poller_id}")
        return found[0], endpoint_of(found[1:], self._vault)

    def forget_poller_tokens(self, poller_id: str) -> None:
        """See ``PollerVerbs``."""
        self.execute("DELETE FROM ringback_token WHERE poller_id = ?", (poller_id,))

    # --- Feeds --------------------------------------------------------------------------------------------

    def poll(
        self,
        application_id: str,
        poller_id: str,
        position: int,
        where: MessageFilter,
        *,
        limit: int,
        now: Instant,
    ) -> Polled:
        """See ``PollerVerbs``."""
        key, poller = self._poller_row(application_id, poller_id)
        last = self._last_position(key)
        position = min(position, last)
        found, reached = self._behind(key, position, min(last, position + LOOKED_AT), where, limit)
        messages = [message_of(row[1:], poller.application_id) for row in found]
        return Polled(messages, reached, ended=reached >= last, more=bool(self._waiting(key, 1, now)))

    def _behind(
        self, key: int, position: int, end: int, where: MessageFilter, limit: int
    ) -> tuple[list[Row], int]:
        """Return messages between two positions, and how far that is: to the end, unless they are too many."""
        conditions = message_conditions(where, self.dialect.in_channel)
        found: list[Row] = []
        room = MAX_BYTES
        while limit > len(found) and room > 0:
            wanted = min(AT_ONCE, limit - len(found))
            query, values = conditioned(_BEHIND, [key, position, end], conditions)
            rows = self.rows(f"{query} ORDER BY f.position LIMIT ?", [*values, wanted])
            found += rows
            if len(rows) < wanted:
                return found, end
            position = rows[-1][0]
            room -= sum(len(row[_PAYLOAD] or b"") for row in rows)
        return found, position

    def give_positions(self, application_id: str, poller_id: str, limit: int, now: Instant) -> None:
        """See ``PollerVerbs``."""
        self._give_positions(self._poller_row(application_id, poller_id)[0], limit, now)

    def _waiting(self, key: int, limit: int, now: Instant) -> list[Row]:
        queue = self.dialect.queue.replace("e.key", "?")
        return self.rows(
            f"SELECT u.message_key FROM {queue} AND u.due_at <= ? ORDER BY u.due_at, u.message_key LIMIT ?",
            (key, now, limit),
        )

    def _last_position(self, key: int) -> int:
        found = self.row("SELECT position FROM ringback_poller WHERE endpoint_key = ?", (key,))
        return 0 if found is None else int(found[0])

    def _give_positions(self, key: int, limit: int, now: Instant) -> tuple[int, bool]:
        """Give positions to what is due; return the last one, and whether there may be more to be given one."""
        # Of several that ask at once, one does it and the others wait.
        self.execute("UPDATE ringback_poller SET position = position WHERE endpoint_key = ?", (key,))
        last = self._last_position(key)
        waiting = self._waiting(key, limit, now)
        if waiting:
            self._feed(key, last, sorted(waiting))
            last += len(waiting)
            self.execute("UPDATE ringback_poller SET position = ? WHERE endpoint_key = ?", (last, key))
        return last, len(waiting) == limit

    def _feed(self, key: int, last: int, waiting: Sequence[Row]) -> None:
        created: dict[int, int] = dict(self.rows_for(_CREATED, waiting))
        found = self.row(
            "SELECT reached FROM ringback_feed WHERE endpoint_key = ? ORDER BY position DESC LIMIT 1", (key,)
        )
        reached, rows = 0 if found is None else found[0], []
        for place, (message_key,) in enumerate(waiting, last + 1):
            reached = max(reached, created[message_key])
            rows.append((key, place, message_key, reached))
        self.execute_rows(_FEED, rows)
        self.execute_rows(_HAND_OUT, [(message_key, key) for (message_key,) in waiting])

    def position_after(self, application_id: str, poller_id: str, instant: Instant, now: Instant) -> int:
        """See ``PollerVerbs``."""
        key, _ = self._poller_row(application_id, poller_id)
        for _ in range(PORTIONS):
            last, more = self._give_positions(key, PORTION, now)
            if not more:
                break
        found = self.row(
            "SELECT position FROM ringback_feed WHERE endpoint_key = ? AND reached > ?"
            " ORDER BY reached, position LIMIT 1",
            (key, instant),
        )
        return last if found is None else int(found[0]) - 1

    def forget_unasked(self, before: Instant, limit: int) -> None:
        """Cancel what has waited at pollers since before an instant, for nobody asked for it."""
        statement = _UNASKED.format(queue=self.dialect.queue.replace("e.key", "?"))
        for (key,) in self.rows("SELECT endpoint_key FROM ringback_poller"):
            self.execute(statement, (key, key, before, limit))

    # --- Consumers ----------------------------------------------------------------------------------------

    def consumer(self, application_id: str, poller_id: str, name: str) -> int:
        """See ``PollerVerbs``."""
        key, _ = self._poller_row(application_id, poller_id)
        found = self.row(
            "SELECT position FROM ringback_consumer WHERE endpoint_key = ? AND name = ?", (key, name)
        )
        return 0 if found is None else int(found[0])

    def keep_consumer(self, application_id: str, poller_id: str, name: str, position: int) -> int:
        """See ``PollerVerbs``."""
        key, _ = self._poller_row(application_id, poller_id)
        position = min(position, self._last_position(key))
        self.execute(
            "UPDATE ringback_consumer SET position = ? WHERE endpoint_key = ? AND name = ?",
            (position, key, name),
        )
        if not self.changes():
            self._add_consumer(key, name, position)
        return position

    def _add_consumer(self, key: int, name: str, position: int) -> None:
        others = self.rows(
            "SELECT 1 FROM ringback_consumer WHERE endpoint_key = ? LIMIT ?", (key, MAX_CONSUMERS)
        )
        if len(others) == MAX_CONSUMERS:
            raise LimitReached(f"a poller has at most {MAX_CONSUMERS} consumers")
        self.execute(
            "INSERT INTO ringback_consumer (endpoint_key, name, position) VALUES (?, ?, ?)"
            " ON CONFLICT (endpoint_key, name) DO UPDATE SET position = excluded.position",
            (key, name, position),
        )
