"""What happened: messages, deliveries, attempts; and forgetting it in time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from ringback import ids
from ringback.errors import NotFound
from ringback.model import Attempt, Delivery, DeliveryState, Endpoint, Instant, Message
from ringback.policy import ON_REQUEST, Step, next_state
from ringback.store import AttemptFilter, MessageFilter, Page
from ringback.store.sql.addressing import Addressing
from ringback.store.sql.filters import (
    attempt_conditions,
    conditioned,
    message_conditions,
    span_conditions,
)
from ringback.store.sql.records import (
    ATTEMPT_COLUMNS,
    DELIVERY_COLUMNS,
    ENDPOINT_COLUMNS,
    MESSAGE_COLUMNS,
    UNANSWERED_ATTEMPT_COLUMNS,
    attempt_of,
    delivery_of,
    endpoint_of,
    message_of,
)
from ringback.store.sql.tables import Many, Row

# What forgets payloads, by the keys of messages.
EXPUNGE = (
    Many("UPDATE ringback_message SET payload = NULL WHERE key IN ({rows})", "i"),
    Many(
        f"UPDATE ringback_delivery SET state = '{DeliveryState.CANCELLED.value}', due_at = NULL, lease_token = NULL,"
        " begun = 0, reason = 'expunged' WHERE message_key IN ({rows}) AND due_at IS NOT NULL",
        "i",
    ),
)
_ALL = f"SELECT {MESSAGE_COLUMNS} FROM ringback_message m WHERE m.application_key = ?"
# Through the index of tags: what has one may lie far apart.
_TAGGED = (
    f"SELECT {MESSAGE_COLUMNS} FROM ringback_tag tagged CROSS JOIN ringback_message m"
    " ON m.key = tagged.message_key WHERE tagged.application_key = ? AND tagged.tag = ?"
)
_OF_ATTEMPTS = (
    "JOIN ringback_message m ON m.key = a.message_key JOIN ringback_endpoint e ON e.key = a.endpoint_key"
)
_ATTEMPTS = f"SELECT {ATTEMPT_COLUMNS} FROM ringback_attempt a {_OF_ATTEMPTS}"
_TAGGED_ATTEMPTS = (
    f"SELECT {ATTEMPT_COLUMNS} FROM ringback_tag tagged CROSS JOIN ringback_attempt a"
    f" ON a.message_key = tagged.message_key {_OF_ATTEMPTS} WHERE tagged.application_key = ? AND tagged.tag = ?"
)


class History(Addressing):
    """The verbs that look back."""

    def message(self, application_id: str, ref: str) -> Message:
        """See ``Store``."""
        key, _ = self._application_row(application_id)
        column = "id" if ids.is_id(ids.MESSAGE, ref) else "event_id"
        found = self.row(
            f"SELECT {MESSAGE_COLUMNS} FROM ringback_message m WHERE m.application_key = ? AND m.{column} = ?",
            (key, ref),
        )
        if found is None:
            raise NotFound(f"there is no message {ref}")
        return message_of(found, application_id)

    def messages(self, application_id: str, where: MessageFilter, page: Page) -> list[Message]:
        """See ``Store``."""
        key, _ = self._application_row(application_id)
        order, query = "m.id", _ALL
        place: list[Any] = [key]
        if where.tag is not None:
            order, query, place = "tagged.message_id", _TAGGED, [key, where.tag]
            where = msgspec.structs.replace(where, tag=None)
        query, values = conditioned(query, place, message_conditions(where, self.dialect.in_channel))
        return [message_of(row, application_id) for row in self.page(query, values, order, page)]

    def horizon(
        self,
        application_id: str,
        where: MessageFilter | AttemptFilter,
        page: Page,
        look: int,
        *,
        endpoint_id: str | None = None,
    ) -> str | None:
        """See ``Store``."""
        if isinstance(where, MessageFilter) and endpoint_id is not None:
            return self.addressed_horizon(application_id, endpoint_id, where, page, look)
        if endpoint_id is not None:
            order, query = "a.id", "SELECT a.id FROM ringback_attempt a WHERE a.endpoint_key = ?"
            kind, key = ids.ATTEMPT, self._endpoint_row(application_id, endpoint_id)[0]
        else:
            order, query = "m.id", "SELECT m.id FROM ringback_message m WHERE m.application_key = ?"
            kind, key = ids.MESSAGE, self._application_row(application_id)[0]
        query, values = conditioned(query, [key], span_conditions(where, order, kind))
        # The last of the rows in question alone: those before it are passed over in the index.
        found = self.page(query, values, order, msgspec.structs.replace(page, limit=1), offset=look - 1)
        return found[0][0] if found else None

    def messages_named(self, application_id: str, message_ids: Collection[str]) -> list[Message]:
        """See ``Store``."""
        key, _ = self._application_row(application_id)
        marks = ", ".join("?" * len(message_ids))
        found = self.rows(f"{_ALL} AND m.id IN ({marks})", (key, *message_ids)) if message_ids else []
        return [message_of(row, application_id) for row in found]

    def delivery(self, application_id: str, message_id: str, endpoint_id: str) -> Delivery:
        """See ``Store``."""
        row = self.row(
            f"SELECT {DELIVERY_COLUMNS} FROM ringback_delivery d WHERE d.message_key = ? AND d.endpoint_key = ?",
            (
                self._message_key(application_id, message_id),
                self._endpoint_row(application_id, endpoint_id)[0],
            ),
        )
        if row is None:
            raise NotFound(f"the message {message_id} is not for the endpoint {endpoint_id}")
        return delivery_of(row, message_id, endpoint_id)

    def deliveries(self, application_id: str, message_id: str, page: Page) -> list[tuple[Delivery, Endpoint]]:
        """See ``Store``."""
        found = self.page(
            f"SELECT {DELIVERY_COLUMNS}, {ENDPOINT_COLUMNS} FROM ringback_delivery d"
            " JOIN ringback_endpoint e ON e.key = d.endpoint_key WHERE d.message_key = ?",
            [self._message_key(application_id, message_id)],
            "e.id",
            page,
        )
        pairs = []
        for row in found:
            endpoint = endpoint_of(row[5:], self._vault)
            pairs.append((delivery_of(row[:5], message_id, endpoint.id), endpoint))
        return pairs

    def expunge_message(self, application_id: str, message_id: str) -> None:
        """See ``Store``."""
        key = self._message_key(application_id, message_id)
        for part in EXPUNGE:
            self.execute_rows(part, [(key,)])

    def cancel_message(self, application_id: str, message_id: str) -> int:
        """See ``Store``."""
        self.execute(
            "UPDATE ringback_delivery SET state = ?, due_at = NULL, begun = 0, reason = ?"
            " WHERE message_key = ? AND state = ?",
            (
                next_state(DeliveryState.WAITING, Step.CANCEL).value,
                ON_REQUEST,
                self._message_key(application_id, message_id),
                DeliveryState.WAITING.value,
            ),
        )
        return self.changes()

    def expunge_attempt(self, application_id: str, message_id: str, attempt_id: str, trace: bytes) -> None:
        """See ``Store``."""
        self.execute(
            "UPDATE ringback_attempt SET body = ? WHERE message_key = ? AND id = ?",
            (trace, self._message_key(application_id, message_id), attempt_id),
        )
        if not self.changes():
            raise NotFound(f"there is no attempt {attempt_id}")

    def attempt(self, application_id: str, message_id: str, attempt_id: str) -> Attempt:
        """See ``Store``."""
        found = self.row(
            f"{_ATTEMPTS} WHERE a.message_key = ? AND a.id = ?",
            (self._message_key(application_id, message_id), attempt_id),
        )
        if found is None:
            raise NotFound(f"there is no attempt {attempt_id}")
        return attempt_of(found)

    def attempts(self, application_id: str, where: AttemptFilter, page: Page) -> list[Attempt]:
        """See ``Store``."""
        if where.message_id is None and where.endpoint_id is None:
            raise NotFound("attempts are listed by message or by endpoint")
        query, values = self._attempts_to_look_at(application_id, where)
        if where.endpoint_id is not None:
            query += " AND a.endpoint_key = ?"
            values = [*values, self._endpoint_row(application_id, where.endpoint_id)[0]]
        query, values = conditioned(query, values, attempt_conditions(where, self.dialect.in_channel))
        if not where.answers:
            query = query.replace(ATTEMPT_COLUMNS, UNANSWERED_ATTEMPT_COLUMNS)
        return [attempt_of(row) for row in self.page(query, values, "a.id", page)]

    def _attempts_to_look_at(self, application_id: str, where: AttemptFilter) -> tuple[str, list[Any]]:
        if where.message_id is not None:
            key = self._message_key(application_id, where.message_id)
            return f"{_ATTEMPTS} WHERE a.message_key = ?", [key]
        application_key, _ = self._application_row(application_id)
        if where.tag is not None and self.has_few(application_key, where.tag):
            return _TAGGED_ATTEMPTS, [application_key, where.tag]
        return f"{_ATTEMPTS} WHERE true", []

    def prune_keys(self, before: Instant, cursor: int, limit: int) -> int | None:
        """See ``Store``."""
        return self.prune_by_age("ringback_idempotency", before, cursor, limit)

    def prune_receipts(self, before: Instant, cursor: int, limit: int) -> int | None:
        """See ``Store``."""
        return self.prune_by_age("ringback_receipt", before, cursor, limit)

    def prune_by_age(self, table: str, before: Instant, cursor: int, limit: int) -> int | None:
        """Remove those of *limit* rows of a table, from *cursor* on, that are older than an instant.

        Return the cursor to go on from, None where there are no more of that age.
        """
        # Keys are in the order of their age, so the first young one ends the search.
        oldest: list[Row] = self.rows(
            f"SELECT key, created_at FROM {table} WHERE key > ? ORDER BY key LIMIT ?", (cursor, limit)
        )
        old: list[int] = [row[0] for row in oldest if row[1] < before]
        if old:
            self.execute(
                f"DELETE FROM {table} WHERE key > ? AND key <= ? AND created_at < ?",
                (cursor, old[-1], before),
            )
        return old[-1] if len(old) == limit else None

    def _message_key(self, application_id: str, message_id: str) -> int:
        key, _ = self._application_row(application_id)
        found = self.row(
            "SELECT key FROM ringback_message WHERE application_key = ? AND id = ?", (key, message_id)
        )
        if found is None:
            raise NotFound(f"there is no message {message_id}")
        return int(found[0])
