"""What handlers need: beginning a run, ending one in the application's transaction, replay, and what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ringback.errors import Conflict, MissingPayload, NotFound
from ringback.model import Delivery, Held, Instant, Message, Trigger
from ringback.store import Begun, Page, Settlement, Statement, Work
from ringback.store.sql.intake import LEASED
from ringback.store.sql.line import ENDED, INSERT_ATTEMPTS, Line
from ringback.store.sql.records import (
    DELIVERY_COLUMNS,
    MESSAGE_COLUMNS,
    attempt_row,
    delivery_of,
    message_of,
)
from ringback.store.sql.tables import Many

LOOK_AGAIN = 50
# Of longer ones a digest is kept: indexes have an end, and what does not fit would keep all that is taken with it back.
LONGEST_KEY = 512
BEHIND = 10
_FENCE = "message_key = ? AND endpoint_key = ? AND lease_token = ?"
# The nearest delivery in front of this one with its key, or with one not known yet.
_AHEAD = """
    SELECT state, due_at FROM (
        SELECT * FROM (
            SELECT message_key, state, due_at FROM ringback_delivery INDEXED BY ringback_delivery_ordered
            WHERE endpoint_key = ? AND {live_key} = ? AND message_key < ? AND {live}
            ORDER BY message_key DESC LIMIT 1
        ) AS keyed UNION ALL SELECT * FROM (
            SELECT message_key, state, due_at FROM ringback_delivery INDEXED BY ringback_delivery_ordered
            WHERE endpoint_key = ? AND {live_key} = '' AND message_key < ? AND {live}
            ORDER BY message_key DESC LIMIT 1
        ) AS unnamed
    ) AS ahead ORDER BY message_key DESC LIMIT 1
"""
# A later delivery that runs, under the lease it has now, with the key of one that somebody asked for again.
_RUNNING = "running"
_BESIDE = """
    SELECT 1 FROM ringback_delivery INDEXED BY ringback_delivery_ordered
    WHERE endpoint_key = ? AND {live_key} = ? AND message_key > ? AND {live}
    AND state = 'leased' AND reason = 'running'
"""
# Those that it was for and that are still there.
_WAS_FOR = """
    SELECT d.endpoint_key FROM ringback_delivery d JOIN ringback_endpoint e ON e.key = d.endpoint_key
    WHERE d.message_key = ? AND e.deleted_at IS NULL AND e.state <> 'disabled'
"""
_SUCCEEDED_AT = "SELECT endpoint_key FROM ringback_delivery WHERE message_key = ? AND state = 'succeeded'"
_NAME = Many(
    """
    WITH named (message_key, endpoint_key, token, ordering_key) AS ({rows})
    UPDATE ringback_delivery AS delivery SET ordering_key = named.ordering_key
    FROM named
    WHERE delivery.message_key = named.message_key AND delivery.endpoint_key = named.endpoint_key
    AND delivery.lease_token = named.token
    """,
    "iiit",
)
_POLLED = f"""
    SELECT {MESSAGE_COLUMNS} FROM ringback_receipt r INDEXED BY ringback_receipt_polled
    CROSS JOIN ringback_message m ON m.application_key = r.application_key AND m.id = r.message_id
    WHERE r.application_key = ? AND r.polled = 1
"""
_DEAD = f"""
    SELECT {DELIVERY_COLUMNS}, e.id, s.id, {MESSAGE_COLUMNS}
    FROM ringback_source s CROSS JOIN ringback_endpoint e ON e.application_key = s.application_key
    CROSS JOIN ringback_delivery d INDEXED BY ringback_delivery_unsent
    ON d.endpoint_key = e.key AND {{unsent}} AND d.state = 'failed'
    JOIN ringback_message m ON m.key = d.message_key
    WHERE {{whose}}
"""


class Handling(Line):
    """The verbs about handlers and about what they leave."""

    def name(self, keys: Sequence[tuple[Work, str]]) -> None:
        """See ``Store``."""
        rows = [(*work.key, work.lease.token, _named(ordering_key)) for work, ordering_key in keys]
        self.execute_rows(_NAME, rows)

    def begin(self, work: Work, ordering_key: str | None, now: Instant) -> Begun:
        """See ``Store``."""
        fence = (*work.key, work.lease.token)
        if not self.row(f"SELECT 1 FROM ringback_delivery WHERE {_FENCE}", fence):
            return Begun(held=False)
        named = None if ordering_key is None else _named(ordering_key)
        ahead = None if named is None else self._ahead(work, named, now)
        begun = int(ahead is None)
        self.execute(
            f"UPDATE ringback_delivery SET begun = begun + ?, ordering_key = ?, reason = ? WHERE {_FENCE}",
            (begun, named, _RUNNING if begun else None, *fence),
        )
        # Another may have taken it since it was looked at.
        return Begun(held=True, blocked_until=ahead) if self.changes() else Begun(held=False)

    def _ahead(self, work: Work, named: str, now: Instant) -> Instant | None:
        """Return when to look again, None where nothing is in front."""
        message_key, endpoint_key = work.key
        if work.trigger is Trigger.MANUAL and self.row(
            self._live(_BESIDE), (endpoint_key, named, message_key)
        ):
            return now + LOOK_AGAIN
        place = (endpoint_key, named, message_key, endpoint_key, message_key)
        found = self.row(self._live(_AHEAD), place)
        if found is None:
            return None
        state, due_at = found
        # One that is under way may end at any moment; another is looked for when it will have been tried.
        return now + LOOK_AGAIN if state == LEASED else max(due_at, now) + BEHIND

    def _live(self, query: str) -> str:
        return query.format(live=self.dialect.live, live_key=self.dialect.live_key)

    def done_statements(self, settlement: Settlement) -> tuple[Statement, ...]:
        """See ``Store``."""
        attempt, work = settlement.attempt, settlement.work
        assert attempt is not None  # noqa: S101 - a success is that of an attempt
        row = attempt_row(work.key, attempt)
        fence = Statement(
            "UPDATE ringback_delivery SET state = ?, attempts = ?, due_at = NULL, lease_token = NULL, begun = 0,"
            # A process that freezes now must not keep the row from others for ever.
            f" reason = NULL WHERE {_FENCE}{self.dialect.in_haste}",
            (ENDED[settlement.decision.step], work.attempts + 1, *work.key, work.lease.token),
            changes=1,
        )
        marks = ", ".join("?" * len(row))
        return fence, Statement(INSERT_ATTEMPTS.text.replace("{rows}", f"VALUES ({marks})"), row)

    def replay(
        self,
        source_id: str,
        message_id: str,
        now: Instant,
        *,
        event_type: str | None,
        rematch: bool,
        done_too: bool,
    ) -> int:
        """See ``Store``."""
        self.catch_up()
        route = self.route(source_id)
        message = self.row(
            f"SELECT m.key, {MESSAGE_COLUMNS} FROM ringback_message m WHERE m.application_key = ? AND m.id = ?",
            (route.key, message_id),
        )
        if message is None:
            raise NotFound(f"there is no message {message_id}")
        key, stored = message[0], message_of(message[1:], source_id)
        if stored.payload is None:
            raise MissingPayload
        if rematch:
            targets = [target for target, _ in route.fan(event_type or stored.event_type, stored.channels)[0]]
        else:
            targets = [row[0] for row in self.rows(_WAS_FOR, (key,))]
        if targets:
            self.execute(
                "UPDATE ringback_message SET held = NULL, event_type = coalesce(?, event_type) WHERE key = ?",
                (event_type, key),
            )
        done = () if done_too else self.rows(_SUCCEEDED_AT, (key,))
        return sum(self._replay_at(key, target, now) for target in targets if (target,) not in done)

    def _replay_at(self, message_key: int, endpoint_key: int, now: Instant) -> bool:
        try:
            self.make_due(message_key, endpoint_key, now)
        except Conflict:
            return False
        return True

    def held(self, source_id: str, held: Held, page: Page) -> list[Message]:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        query = f"SELECT {MESSAGE_COLUMNS} FROM ringback_message m WHERE m.application_key = ? AND m.held = ?"
        return [message_of(row, source_id) for row in self.page(query, [key, Held(held).value], "m.id", page)]

    def dead_letters(self, source_id: str | None, page: Page) -> list[tuple[Delivery, Message]]:
        """See ``Store``."""
        values = [] if source_id is None else [self._application_row(source_id)[0]]
        whose = "s.deleted_at IS NULL" if source_id is None else "s.application_key = ?"
        query = _DEAD.format(unsent=self.dialect.unsent, whose=whose)
        return [
            (delivery_of(row[:5], row[7], row[5]), message_of(row[7:], row[6]))
            for row in self.page(query, values, "m.id || '.' || e.id", page)
        ]

    def found_by_polling(self, source_id: str, page: Page) -> list[Message]:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        return [message_of(row, source_id) for row in self.page(_POLLED, [key], "r.message_id", page)]

    def received(self, source_id: str, dedupe_key: str) -> str | None:
        """See ``Store``."""
        key, _ = self._application_row(source_id)
        found = self.row(
            "SELECT message_id FROM ringback_receipt WHERE application_key = ? AND dedupe_key = ?",
            (key, dedupe_key),
        )
        return None if found is None else str(found[0])


def _named(ordering_key: str) -> str:
    if len(ordering_key) > LONGEST_KEY:
        return "#" + sha256(ordering_key.encode()).hexdigest()
    return f"={ordering_key}"
