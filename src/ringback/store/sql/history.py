"""What happened: messages, deliveries, attempts; and forgetting it in time."""

from __future__ import annotations

from typing import Any

from ringback import ids
from ringback.errors import NotFound
from ringback.model import Attempt, Delivery, DeliveryState, Endpoint, Instant, Message, Standing
from ringback.store import AttemptFilter, MessageFilter, Page
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.records import (
    ATTEMPT_COLUMNS,
    DELIVERY_COLUMNS,
    ENDPOINT_COLUMNS,
    MESSAGE_COLUMNS,
    attempt_of,
    delivery_of,
    endpoint_of,
    message_of,
)
from ringback.store.sql.tables import Row

STATUS_CLASS = 100
ID_STEP = 4

_STANDING = {
    Standing.SUCCEEDED: "d.state = 'succeeded'",
    Standing.PENDING: "d.state = 'waiting' AND d.attempts = 0",
    Standing.SENDING: "d.state = 'leased' OR (d.state = 'waiting' AND d.attempts > 0)",
    Standing.FAILED: "d.state = 'failed'",
    Standing.CANCELLED: "d.state = 'cancelled'",
}

_ATTEMPTS = (
    f"SELECT {ATTEMPT_COLUMNS} FROM ringback_attempt a"
    " JOIN ringback_message m ON m.key = a.message_key JOIN ringback_endpoint e ON e.key = a.endpoint_key"
)


class History(Catalog):
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
        query, values = f"SELECT {MESSAGE_COLUMNS} FROM ringback_message m WHERE m.application_key = ?", [key]
        for condition, arguments in _message_conditions(where, self.dialect.in_channel):
            query += f" AND {condition}"
            values += arguments
        return [message_of(row, application_id) for row in self.page(query, values, "m.id", page)]

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

    def addressed(
        self,
        application_id: str,
        endpoint_id: str,
        where: MessageFilter,
        page: Page,
        standings: tuple[Standing, ...] | None = None,
    ) -> list[tuple[Delivery, Message]]:
        """See ``Store``."""
        key, application_key, endpoint = self._endpoint_row(application_id, endpoint_id)
        query = (
            f"SELECT {DELIVERY_COLUMNS}, {MESSAGE_COLUMNS} FROM ringback_message m"
            " CROSS JOIN ringback_delivery d ON d.message_key = m.key AND d.endpoint_key = ?"
            " WHERE m.application_key = ?"
        )
        values: list[Any] = [key, application_key]
        for condition, arguments in _message_conditions(where, self.dialect.in_channel):
            query += f" AND {condition}"
            values += arguments
        if standings is not None:
            query += f" AND ({' OR '.join(_STANDING[standing] for standing in standings)})"
        found = []
        for row in self.page(query, values, "m.id", page):
            message = message_of(row[5:], application_id)
            found.append((delivery_of(row[:5], message.id, endpoint.id), message))
        return found

    def expunge_message(self, application_id: str, message_id: str) -> None:
        """See ``Store``."""
        key = self._message_key(application_id, message_id)
        self.execute("UPDATE ringback_message SET payload = NULL WHERE key = ?", (key,))
        self.execute(
            "UPDATE ringback_delivery SET state = ?, due_at = NULL, lease_token = NULL, begun = 0, reason = ?"
            " WHERE message_key = ? AND due_at IS NOT NULL",
            (DeliveryState.CANCELLED.value, "expunged", key),
        )

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
        query, values = f"{_ATTEMPTS} WHERE true", []
        if where.message_id is not None:
            query += " AND a.message_key = ?"
            values.append(self._message_key(application_id, where.message_id))
        if where.endpoint_id is not None:
            query += " AND a.endpoint_key = ?"
            values.append(self._endpoint_row(application_id, where.endpoint_id)[0])
        if not values:
            raise NotFound("attempts are listed by message or by endpoint")
        for condition, arguments in _attempt_conditions(where, self.dialect.in_channel):
            query += f" AND {condition}"
            values += arguments
        return [attempt_of(row) for row in self.page(query, values, "a.id", page)]

    def prune_by_age(self, table: str, before: Instant, limit: int) -> None:
        """Remove the rows of a table that are older than an instant, up to *limit*."""
        # Keys are in the order of their age, so the first young one ends the search.
        oldest: list[Row] = self.rows(f"SELECT key, created_at FROM {table} ORDER BY key LIMIT ?", (limit,))
        old = [row[0] for row in oldest if row[1] < before]
        if old:
            self.execute(f"DELETE FROM {table} WHERE key <= ? AND created_at < ?", (old[-1], before))

    def _message_key(self, application_id: str, message_id: str) -> int:
        key, _ = self._application_row(application_id)
        found = self.row(
            "SELECT key FROM ringback_message WHERE application_key = ? AND id = ?", (key, message_id)
        )
        if found is None:
            raise NotFound(f"there is no message {message_id}")
        return int(found[0])


def _message_conditions(where: MessageFilter, in_channel: str) -> list[tuple[str, list[Any]]]:
    conditions: list[tuple[str, list[Any]]] = []
    if where.before is not None:
        # The id bound uses the index, the instant decides: ids are only exact to 4 ms.
        bound = ids.earliest(ids.MESSAGE, where.before + ID_STEP)
        conditions.append(("m.id < ? AND m.created_at < ?", [bound, where.before]))
    if where.after is not None:
        bound = ids.earliest(ids.MESSAGE, where.after)
        conditions.append(("m.id >= ? AND m.created_at >= ?", [bound, where.after]))
    return conditions + _kind_conditions(where.event_types, where.channel, in_channel)


def _attempt_conditions(where: AttemptFilter, in_channel: str) -> list[tuple[str, list[Any]]]:
    conditions: list[tuple[str, list[Any]]] = []
    if where.before is not None:
        conditions.append(("a.started_at < ?", [where.before]))
    if where.after is not None:
        conditions.append(("a.started_at >= ?", [where.after]))
    if where.ok is not None:
        conditions.append((f"a.kind {'=' if where.ok else '<>'} 'success'", []))
    if where.status_class is not None:
        least = where.status_class
        conditions.append(("a.status BETWEEN ? AND ?", [least, least + STATUS_CLASS - 1 if least else 0]))
    return conditions + _kind_conditions(where.event_types, where.channel, in_channel)


def _kind_conditions(
    event_types: tuple[str, ...] | None, channel: str | None, in_channel: str
) -> list[tuple[str, list[Any]]]:
    conditions: list[tuple[str, list[Any]]] = []
    if event_types is not None:
        conditions.append((f"m.event_type IN ({', '.join('?' * len(event_types))})", list(event_types)))
    if channel is not None:
        conditions.append((in_channel, [channel]))
    return conditions
