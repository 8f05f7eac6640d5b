"""The journal: the messages of all applications, newest first, found through indexes and looked through only so far."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from ringback import ids
from ringback.errors import NotFound
from ringback.model import Application, DeliveryState, Instant, Standing
from ringback.store.sql.counts import Counts
from ringback.store.sql.records import MESSAGE_COLUMNS, application_of, message_of
from ringback.store.sql.tables import Many, Row
from ringback.store.survey import LOOKED_THROUGH, Journal, JournalEntry, JournalFilter

KeyAt = Callable[[Instant], int]

# Messages may be that much older than those with the keys before theirs: clocks, and waiting for the one writer.
SLACK = 60_000
# Ids are exact to 4 ms: the instants decide, the ids make use of the index.
ID_STEP = 4

_COLUMNS = tuple(MESSAGE_COLUMNS.split(", "))
_LIGHT = ", ".join(column for column in _COLUMNS if column.startswith("m.") and column != "m.payload")
# The columns of a message, in their order, without the payload.
_SHOWN = ", ".join("NULL" if column == "m.payload" else column for column in _COLUMNS)
_OWNERS = Many("SELECT key, record FROM ringback_application WHERE key IN ({rows})", "i")
_STANDINGS = Many(
    """
    SELECT message_key, state, CASE WHEN attempts > 0 THEN 1 ELSE 0 END, count(*) FROM ringback_delivery
    WHERE message_key IN ({rows}) GROUP BY 1, 2, 3
    """,
    "i",
)
_NAMED = f"""
    SELECT m.key, m.application_key, {_SHOWN}
    FROM ringback_application a CROSS JOIN ringback_message m ON m.application_key = a.key AND m.{{column}} = ?
    WHERE {{whose}} ORDER BY m.key DESC LIMIT ?
"""
_PLACE = """
    SELECT m.key, m.id, a.key FROM ringback_application a
    JOIN ringback_message m ON m.application_key = a.key AND m.id = ? WHERE a.id = ?
"""
# The newest messages with a delivery that failed for good or was cancelled.
_LOST = f"""
    SELECT d.message_key FROM {{deliveries}} AND {{bounds}} ORDER BY d.message_key {{way}} LIMIT {LOOKED_THROUGH}
"""
_OF_OWNER = """
    ringback_endpoint e CROSS JOIN ringback_delivery d INDEXED BY ringback_delivery_unsent ON d.endpoint_key = e.key
    WHERE e.application_key = ?
"""
# The newest messages with a tag.
_TAGGED = f"""
    SELECT tagged.message_key FROM ringback_application a
    CROSS JOIN ringback_tag tagged ON tagged.application_key = a.key AND tagged.tag = ?
    WHERE {{whose}} AND {{bounds}} ORDER BY tagged.message_key {{way}} LIMIT {LOOKED_THROUGH}
"""
_TAG = "SELECT 1 FROM ringback_tag tagged WHERE tagged.message_key = m.key AND tagged.tag = ?"
_STATES = {
    Standing.SUCCEEDED: "d.state = 'succeeded'",
    Standing.PENDING: "d.state = 'waiting' AND d.attempts = 0",
    Standing.SENDING: "(d.state = 'leased' OR (d.state = 'waiting' AND d.attempts > 0))",
    Standing.FAILED: "d.state = 'failed'",
    Standing.CANCELLED: "d.state = 'cancelled'",
}
_LOST_STATES = frozenset({Standing.FAILED, Standing.CANCELLED})
_DELIVERIES = "SELECT 1 FROM ringback_delivery d WHERE d.message_key = m.key"


class _Terms(msgspec.Struct, frozen=True):
    """Conditions that all must hold, with the values that go into them."""

    terms: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def also(self, term: str, *values: Any) -> _Terms:
        return _Terms((*self.terms, term), (*self.values, *values))

    @property
    def text(self) -> str:
        return " AND ".join(self.terms) or "true"


class _Road(msgspec.Struct, frozen=True):
    """The messages to look through: what stands after FROM, and by which column they come, and which way round."""

    terms: _Terms
    order: str

    @property
    def text(self) -> str:
        return f"FROM ringback_message m WHERE {self.terms.text} ORDER BY {self.order} LIMIT {LOOKED_THROUGH}"


class _Spot(msgspec.Struct, frozen=True):
    """Where a look begins: beside a message, if it is not at the end, and whether it goes towards newer ones."""

    message: tuple[int, str] | None
    backwards: bool

    @property
    def way(self) -> str:
        return "ASC" if self.backwards else "DESC"

    def bound(self, terms: _Terms, column: str, *, by_id: bool = False) -> _Terms:
        if self.message is None:
            return terms
        return terms.also(f"{column} {'>' if self.backwards else '<'} ?", self.message[int(by_id)])


class Journals(Counts):
    """The verb that lists messages of all applications."""

    @abstractmethod
    def key_at(self, instant: Instant, least: int = 0) -> int:
        """Return the lowest key, not below *least*, that a message accepted at an instant or later has."""

    def journal(
        self, where: JournalFilter, limit: int, cursor: str | None = None, *, backwards: bool = False
    ) -> Journal:
        """See ``SurveyVerbs``."""
        owner = None if where.application_id is None else self._application_row(where.application_id)[0]
        if where.text is not None and cursor is None:
            named = self._named(where.text, owner, limit)
            if named:
                return Journal(entries=self._entries(named))
        spot = _Spot(None if cursor is None else self._message_at(cursor, owner), backwards)
        if where.tag is not None:
            road = self._tagged_road(where, where.tag, owner, spot)
        elif where.standing is not None and where.standing in _LOST_STATES:
            road = self._lost_road(where, where.standing, owner, spot)
        else:
            road = _road(where, owner, spot, self.key_at)
        found, looked_to = self._looked(where, road, limit)
        entries = found[:limit]
        # Where the look ended is beyond the last one that was found.
        end = looked_to[0] if looked_to else entries[-1].cursor if len(found) > limit else None
        return Journal(
            entries=entries[::-1] if backwards else entries,
            cursor=end,
            looked_to=looked_to[1] if looked_to else None,
        )

    def _looked(
        self, where: JournalFilter, road: _Road, limit: int
    ) -> tuple[tuple[JournalEntry, ...], tuple[str, Instant] | None]:
        """Return one more than *limit*; or what there is, and how far the look went where it ended too early."""
        wanted = self._wanted(where)
        payload = ", m.payload" if where.text is not None else ""
        found = self.rows(
            f"SELECT m.key, m.application_key, {_SHOWN} FROM"
            f" (SELECT m.key, m.application_key, {_LIGHT}{payload} {road.text}) AS m"
            f" WHERE {wanted.text} ORDER BY {road.order} LIMIT ?",
            (*road.terms.values, *wanted.values, limit + 1),
        )
        if len(found) > limit:
            return self._entries(found), None
        last = self.row(
            f"SELECT m.application_key, m.id, m.created_at {road.text} OFFSET {LOOKED_THROUGH - 1}",
            road.terms.values,
        )
        if last is None:
            return self._entries(found), None
        owner = self._owners({last[0]})[last[0]]
        return self._entries(found), (f"{owner.id}.{last[1]}", last[2])

    def _named(self, text: str, owner: int | None, limit: int) -> list[Row]:
        """Return the messages that have an id or event id."""
        column = "id" if ids.is_id(ids.MESSAGE, text) else "event_id"
        whose, values = ("true", ()) if owner is None else ("a.key = ?", (owner,))
        return self.rows(_NAMED.format(column=column, whose=whose), (text, *values, limit))

    def _message_at(self, cursor: str, owner: int | None) -> tuple[int, str]:
        """Return the key and the id of the message at a cursor; to whoever asks for one *owner*'s there is no other."""
        name, _, message = cursor.rpartition(".")
        found = self.row(_PLACE, (message, name))
        if found is None or owner not in {None, found[2]}:
            raise NotFound(
                "this place in the list is gone with the message that was there; begin with the newest"
            )
        return found[0], found[1]

    def _lost_road(self, where: JournalFilter, state: Standing, owner: int | None, spot: _Spot) -> _Road:
        deliveries = self.dialect.lost.format(state=state.value)
        bounds = _bounds(where, spot, self.key_at, "d.message_key")
        if owner is not None:
            deliveries = f"{_OF_OWNER} AND {self.dialect.unsent} AND d.state = '{state.value}'"
            bounds = _Terms((), (owner,)).also(bounds.text, *bounds.values)
        keys = _LOST.format(deliveries=deliveries, bounds=bounds.text, way=spot.way)
        return _Road(_Terms((f"m.key IN ({keys})",), bounds.values), f"m.key {spot.way}")

    def _tagged_road(self, where: JournalFilter, tag: str, owner: int | None, spot: _Spot) -> _Road:
        bounds = _bounds(where, spot, self.key_at, "tagged.message_key")
        whose = _Terms() if owner is None else _Terms().also("a.key = ?", owner)
        keys = _TAGGED.format(whose=whose.text, bounds=bounds.text, way=spot.way)
        return _Road(
            _Terms((f"m.key IN ({keys})",), (tag, *whose.values, *bounds.values)), f"m.key {spot.way}"
        )

    def _wanted(self, where: JournalFilter) -> _Terms:
        """Return what is asked of each message that is looked at."""
        wanted = _Terms()
        if where.before is not None:
            wanted = wanted.also("m.created_at < ?", where.before)
        if where.after is not None:
            wanted = wanted.also("m.created_at >= ?", where.after)
        if where.event_types is not None:
            wanted = wanted.also(
                f"m.event_type IN ({', '.join('?' * len(where.event_types))})", *where.event_types
            )
        if where.standing is not None:
            wanted = wanted.also(f"EXISTS ({_DELIVERIES} AND {_STATES[where.standing]})")
        if where.unsent:
            wanted = wanted.also(f"NOT EXISTS ({_DELIVERIES})")
        if where.text is not None:
            wanted = wanted.also(*self._text(where.text))
        return wanted

    def _text(self, text: str) -> tuple[str, *tuple[Any, ...]]:
        """Return the condition that a message has a text, and what goes into it."""
        of_type, of_tags = "m.event_type LIKE ? ESCAPE '!'", f"EXISTS ({_TAG})"
        ways = (of_type, self.dialect.in_channel, of_tags, self.dialect.in_payload)
        return f"({' OR '.join(ways)})", _containing(text), text, text, text.encode(errors="replace")

    def _entries(self, rows: Sequence[Row]) -> tuple[JournalEntry, ...]:
        owners = self._owners({row[1] for row in rows})
        standings: dict[int, dict[Standing, int]] = {row[0]: {} for row in rows}
        for key, state, tried, count in self.rows_for(_STANDINGS, [(row[0],) for row in rows]):
            standing = standing_of(state, tried=bool(tried))
            standings[key][standing] = standings[key].get(standing, 0) + count
        return tuple(
            JournalEntry(
                message=message_of(row[2:], owners[row[1]].id),
                owner=owners[row[1]],
                standings=standings[row[0]],
            )
            for row in rows
        )

    def _owners(self, keys: Collection[int]) -> dict[int, Application]:
        return {row[0]: application_of(row[1]) for row in self.rows_for(_OWNERS, [(key,) for key in keys])}


def standing_of(state: str, *, tried: bool) -> Standing:
    """Return how a delivery goes that is in a state; see ``Delivery.standing``."""
    if state == DeliveryState.LEASED:
        return Standing.SENDING
    if state == DeliveryState.WAITING:
        return Standing.SENDING if tried else Standing.PENDING
    return Standing(state)


def _road(where: JournalFilter, owner: int | None, spot: _Spot, key_at: KeyAt) -> _Road:
    if owner is None:
        return _Road(_bounds(where, spot, key_at, "m.key"), f"m.key {spot.way}")
    bounds = _Terms().also("m.application_key = ?", owner)
    if where.after is not None:
        bounds = bounds.also("m.id >= ?", ids.earliest(ids.MESSAGE, where.after))
    if where.before is not None:
        bounds = bounds.also("m.id < ?", ids.earliest(ids.MESSAGE, where.before + ID_STEP))
    return _Road(spot.bound(bounds, "m.id", by_id=True), f"m.id {spot.way}")


def _bounds(where: JournalFilter, spot: _Spot, key_at: KeyAt, column: str) -> _Terms:
    bounds = _Terms()
    if where.after is not None:
        bounds = bounds.also(f"{column} >= ?", key_at(where.after - SLACK))
    if where.before is not None:
        bounds = bounds.also(f"{column} < ?", key_at(where.before + SLACK))
    return spot.bound(bounds, column)


def _containing(text: str) -> str:
    escaped = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"
