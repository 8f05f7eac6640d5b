"""Statements about many rows, as SQLite takes them: so many to a statement."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from ringback.store.sql.tables import Dialect, Many, Row, Tables

ROWS_PER_STATEMENT = 64

DIALECT = Dialect(
    ordered="json_extract(CAST(record AS TEXT), '$.ordered')",
    in_channel="EXISTS (SELECT 1 FROM json_each(coalesce(m.channels, '[]')) WHERE value = ?)",
    in_payload="instr(m.payload, ?) > 0",
    unsent="(d.state IN ('failed', 'cancelled') OR (d.state = 'waiting' AND d.attempts > 0))",
    lost="ringback_delivery d INDEXED BY ringback_delivery_lost WHERE d.state = '{state}'",
    unfinished=(
        "ringback_delivery INDEXED BY ringback_delivery_due WHERE endpoint_key = e.key AND due_at IS NOT NULL"
    ),
    queue=(
        "ringback_delivery u INDEXED BY ringback_delivery_due WHERE u.endpoint_key = e.key AND u.due_at IS NOT NULL"
    ),
    live="due_at IS NOT NULL AND ordering_key IS NOT NULL",
    live_key="ordering_key",
)


class Rows(Tables):
    """Tables of SQLite's."""

    dialect = DIALECT

    @abstractmethod
    def data_version(self) -> int:
        """Return a number that changes when another connection has written; asked inside a transaction."""

    def execute_rows(self, statement: Many, rows: Sequence[Row]) -> int:
        """See ``Tables``.

        Many rows go into one step of SQLite: each step gives up the interpreter lock and has to win it back.
        """
        return sum(self._execute_some(statement.text, some) for some in chunks(rows))

    def rows_for(self, query: Many, wanted: Sequence[Row]) -> list[Row]:
        """See ``Tables``."""
        return [
            row
            for some in chunks(wanted)
            for row in self.rows(
                _with_rows(query.text, len(some), len(some[0])), [v for want in some for v in want]
            )
        ]

    def _execute_some(self, statement: str, rows: Sequence[Row]) -> int:
        values = [value for row in rows for value in row]
        self.execute(_with_rows(statement, len(rows), len(rows[0])), values)
        return self.changes()


def chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield *rows* in the portions that one statement takes."""
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        yield rows[start : start + ROWS_PER_STATEMENT]


_statements: dict[tuple[str, int], str] = {}


def _with_rows(statement: str, count: int, width: int) -> str:
    cached = _statements.get((statement, count))
    if cached is None:
        row = "(" + ", ".join("?" * width) + ")"
        cached = _statements[statement, count] = statement.replace(
            "{rows}", "VALUES " + ", ".join([row] * count)
        )
    return cached
