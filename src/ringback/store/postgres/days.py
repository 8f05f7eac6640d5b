"""Days as PostgreSQL keeps them: a partition of messages, deliveries and attempts for each, and keys that tell it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ringback.model import Instant
from ringback.policy import DAY

# Keys count milliseconds since 1 January 2020, and have 22 bits more for what comes within one.
EPOCH: Instant = 1_577_836_800_000
SERIAL_BITS = 22
SERIALS_AT_ONCE = 4_096

PARTED = (
    ("ringback_message", ""),
    # Room on each page lets the update of a delivery stay on it.
    ("ringback_delivery", "WITH (fillfactor = 60)"),
    ("ringback_attempt", ""),
)
# Not an index of the whole table: to make that, once there are deliveries, would have everyone wait.
_BY_ENDPOINT = (
    "CREATE INDEX ringback_delivery_{0}_of_endpoint ON ringback_delivery_{0} (endpoint_key, message_key)"
)


class Day(msgspec.Struct, frozen=True, order=True):
    """A day in UTC, by its number since ``EPOCH``."""

    number: int

    @property
    def name(self) -> str:
        """Its date, such as ``20260302``."""
        return datetime.fromtimestamp((EPOCH + self.number * DAY) / 1000, UTC).strftime("%Y%m%d")

    @property
    def keys(self) -> tuple[int, int]:
        """The first key of the day, and the first after it."""
        return first_key(EPOCH + self.number * DAY), first_key(EPOCH + (self.number + 1) * DAY)

    def make(self) -> str:
        """Return the statements that make its partitions."""
        first, end = self.keys
        tables = (
            f"CREATE TABLE IF NOT EXISTS {table}_{self.name} (LIKE {table}"
            f" INCLUDING DEFAULTS INCLUDING GENERATED) {options};"
            f"ALTER TABLE {table} ATTACH PARTITION {table}_{self.name} FOR VALUES FROM ({first}) TO ({end})"
            for table, options in PARTED
        )
        return ";".join([*tables, _BY_ENDPOINT.format(self.name)])

    def drop(self) -> str:
        """Return the statement that removes its partitions with all that is in them."""
        return "DROP TABLE " + ", ".join(f"{table}_{self.name}" for table, _ in PARTED)


def day_of(instant: Instant) -> Day:
    """Return the day of an instant."""
    return Day((max(instant, EPOCH) - EPOCH) // DAY)


def day_named(name: str) -> Day:
    """Return the day of a date such as ``20260302``."""
    midnight = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)
    return day_of(round(midnight.timestamp() * 1000))


def first_key(instant: Instant) -> int:
    """Return the lowest key that a message accepted at an instant can have."""
    return (max(instant, EPOCH) - EPOCH) << SERIAL_BITS


def since(rows: Sequence[Sequence[Any]]) -> int:
    """Return the first key of the earliest day of rows that begin with messages' keys.

    A statement about them that says to look from there on is planned for a few days instead of all that are kept. A
    closer bound would say too much: where PostgreSQL has no figures yet, or old ones, it would take what lies within
    for next to nothing, and read all of it.
    """
    return Day((min((row[0] for row in rows), default=0) >> SERIAL_BITS) // DAY).keys[0]
