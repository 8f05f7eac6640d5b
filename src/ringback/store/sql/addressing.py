"""The messages of an endpoint, walked from delivery to delivery: an application may have a thousand times as many."""

from __future__ import annotations

from typing import Any

from ringback import ids, policy
from ringback.model import Delivery, Instant, Message, Standing
from ringback.store import MessageFilter, Page
from ringback.store.sql.catalog import Catalog
from ringback.store.sql.filters import STANDING, Conditions, conditioned, message_conditions
from ringback.store.sql.records import DELIVERY_COLUMNS, MESSAGE_COLUMNS, delivery_of, message_of

# Messages are stored at most that much out of the order of their ids: where several processes share a database, one
# may have to wait for another between giving an id and storing.
DISORDER = policy.MINUTE
FEW = 10_000
_GIVEN_UP = {Standing.FAILED, Standing.CANCELLED}
_OPEN = {Standing.PENDING, Standing.SENDING}

_COLUMNS = f"SELECT {DELIVERY_COLUMNS}, {MESSAGE_COLUMNS} FROM"
_OF_MESSAGE = "CROSS JOIN ringback_message m ON m.key = d.message_key"
_ALL = (
    f"{_COLUMNS} ringback_delivery d INDEXED BY ringback_delivery_of_endpoint {_OF_MESSAGE}"
    " WHERE d.endpoint_key = ?"
)
_UNSENT = (
    f"{_COLUMNS} ringback_delivery d INDEXED BY ringback_delivery_unsent {_OF_MESSAGE}"
    " WHERE d.endpoint_key = ? AND {unsent}"
)
_UNFINISHED = (
    f"{_COLUMNS} (SELECT message_key FROM {{unfinished}}) AS u CROSS JOIN ringback_delivery d"
    f" ON d.message_key = u.message_key {_OF_MESSAGE} WHERE d.endpoint_key = ?"
)
_TAGGED = (
    f"{_COLUMNS} ringback_tag tagged CROSS JOIN ringback_delivery d ON d.message_key = tagged.message_key"
    f" {_OF_MESSAGE} WHERE d.endpoint_key = ? AND tagged.application_key = ? AND tagged.tag = ?"
)

_KEYS = (
    "SELECT d.message_key FROM ringback_delivery d INDEXED BY ringback_delivery_of_endpoint"
    " WHERE d.endpoint_key = ?"
)
_LAST = (
    "SELECT m.id FROM ({deliveries} ORDER BY d.message_key {order} LIMIT 1 OFFSET ?) AS last"
    " CROSS JOIN ringback_message m ON m.key = last.message_key"
)


class Addressing(Catalog):
    """The verb about an endpoint's messages."""

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
        query, values = self._walk(key, application_key, where, standings)
        downwards = page.descending != page.backwards
        conditions = message_conditions(where, self.dialect.in_channel)
        conditions += self._bounds(application_key, where)
        if page.cursor is not None:
            conditions.append(self._beyond(application_key, page.cursor, downwards=downwards))
        if page.end is not None:
            conditions.append(self._until(application_key, page.end, downwards=downwards))
        if standings is not None:
            conditions.append((f"({' OR '.join(STANDING[standing] for standing in standings)})", []))
        query, values = conditioned(query, values, conditions)
        order = "DESC" if downwards else "ASC"
        rows = self.rows(f"{query} ORDER BY d.message_key {order} LIMIT ?", [*values, page.limit])
        found = []
        for row in rows[::-1] if page.backwards else rows:
            message = message_of(row[5:], application_id)
            found.append((delivery_of(row[:5], message.id, endpoint.id), message))
        return found

    def addressed_horizon(
        self, application_id: str, endpoint_id: str, where: MessageFilter, page: Page, look: int
    ) -> str | None:
        """Return the id of the message *look* deliveries beyond a page's cursor; see ``Store.horizon``."""
        key, application_key, _ = self._endpoint_row(application_id, endpoint_id)
        downwards = page.descending != page.backwards
        conditions = self._bounds(application_key, where)
        if page.cursor is not None:
            conditions.append(self._beyond(application_key, page.cursor, downwards=downwards))
        deliveries, values = conditioned(_KEYS, [key], conditions)
        order = "DESC" if downwards else "ASC"
        found = self.row(_LAST.format(deliveries=deliveries, order=order), (*values, look - 1))
        return None if found is None else str(found[0])

    def _walk(
        self,
        endpoint_key: int,
        application_key: int,
        where: MessageFilter,
        standings: tuple[Standing, ...] | None,
    ) -> tuple[str, list[Any]]:
        """Return where to look: through the narrowest index that has all that is meant."""
        meant = set(standings or ())
        if where.tag is not None and self.has_few(application_key, where.tag):
            return _TAGGED, [endpoint_key, application_key, where.tag]
        if meant and meant <= _GIVEN_UP:
            return _UNSENT.format(unsent=self.dialect.unsent), [endpoint_key]
        unfinished = self.dialect.unfinished.replace("e.key", "?")
        if meant and meant <= _OPEN and self._are_few(unfinished, [endpoint_key]):
            return _UNFINISHED.format(unfinished=unfinished), [endpoint_key, endpoint_key]
        return _ALL, [endpoint_key]

    def has_few(self, application_key: int, tag: str) -> bool:
        """Tell whether an application has so few messages with a tag that they are looked at one by one."""
        return self._are_few("ringback_tag WHERE application_key = ? AND tag = ?", [application_key, tag])

    def _are_few(self, wanted: str, values: list[Any]) -> bool:
        found = self.rows(f"SELECT count(*) FROM (SELECT 1 FROM {wanted} LIMIT {FEW}) AS counted", values)
        return int(found[0][0]) < FEW

    def _bounds(self, application_key: int, where: MessageFilter) -> Conditions:
        """Return bounds on keys that follow from those on time; exact they need not be."""
        bounds: Conditions = []
        if where.after is not None:
            earlier = self._neighbour(application_key, where.after - DISORDER, "<", "DESC")
            bounds += [("d.message_key > ?", [earlier])] if earlier is not None else []
        if where.before is not None:
            later = self._neighbour(application_key, where.before + DISORDER, ">=", "ASC")
            bounds += [("d.message_key < ?", [later])] if later is not None else []
        return bounds

    def _neighbour(self, application_key: int, at: Instant, beyond: str, order: str) -> int | None:
        found = self.row(
            f"SELECT key FROM ringback_message WHERE application_key = ? AND id {beyond} ? ORDER BY id {order} LIMIT 1",
            (application_key, ids.earliest(ids.MESSAGE, at)),
        )
        return None if found is None else int(found[0])

    def _beyond(self, application_key: int, cursor: str, *, downwards: bool) -> tuple[str, list[Any]]:
        """Return the condition that a page begins behind a message, which may be gone."""
        found = self.row(
            "SELECT key, id FROM ringback_message WHERE application_key = ? AND id <= ? ORDER BY id DESC LIMIT 1",
            (application_key, cursor),
        )
        key, place = (0, "") if found is None else found
        if downwards:
            return f"d.message_key {'<' if place == cursor else '<='} ?", [key]
        return "d.message_key > ?", [key]

    def _until(self, application_key: int, end: str, *, downwards: bool) -> tuple[str, list[Any]]:
        """Return the condition that a page goes no further than a message."""
        found = self.row(
            "SELECT key FROM ringback_message WHERE application_key = ? AND id = ?", (application_key, end)
        )
        return f"d.message_key {'>=' if downwards else '<='} ?", [0 if found is None else found[0]]
