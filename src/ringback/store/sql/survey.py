"""Looking at all of a store: how things go over time, and what fails."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from ringback.model import Instant, OutcomeKind, Standing
from ringback.policy import counts_as_failure
from ringback.store.sql.journal import Journals, standing_of
from ringback.store.sql.records import (
    ENDPOINT_COLUMNS,
    UNANSWERED_ATTEMPT_COLUMNS,
    application_of,
    attempt_of,
    endpoint_of,
)
from ringback.store.sql.tables import Many, Row
from ringback.store.survey import HANDLERS, SAMPLED, HandlerTrouble, Stretch, Trouble

# Where in a stretch messages are looked at: evenly, so many in a row.
PLACES = 8

_SAMPLE = "SELECT key FROM ringback_message WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_STANDINGS = Many(
    """
    SELECT state, CASE WHEN attempts > 0 THEN 1 ELSE 0 END, count(*) FROM ringback_delivery
    WHERE message_key IN ({rows}) GROUP BY 1, 2
    """,
    "i",
)
_ATTEMPTS = Many(
    "SELECT CASE WHEN kind = 'success' THEN 1 ELSE 0 END, duration FROM ringback_attempt WHERE message_key IN ({rows})",
    "i",
)
_TROUBLED = f"""
    SELECT a.record, e.key, {ENDPOINT_COLUMNS} FROM ringback_endpoint e
    JOIN ringback_application a ON a.key = e.application_key
    WHERE e.deleted_at IS NULL
    AND (e.failing_since IS NOT NULL OR (e.state = 'disabled' AND e.disabled_reason <> 'manual'))
    ORDER BY coalesce(e.failing_since, 0), e.id LIMIT ?
"""
# What speaks against a handler: that it asks to be called again does not.
_FAILURES = ", ".join(
    f"'{kind.value}'" for kind in OutcomeKind if counts_as_failure(kind) and kind is not OutcomeKind.AGAIN
)
_TROUBLED_HANDLERS = f"""
    SELECT o.record, e.key, {ENDPOINT_COLUMNS}, {UNANSWERED_ATTEMPT_COLUMNS} FROM (
        SELECT known.key, t.message_key, t.id FROM (
            SELECT h.key, (SELECT max(id) FROM ringback_attempt WHERE endpoint_key = h.key) AS newest
            FROM (
                SELECT application_key FROM ringback_source WHERE deleted_at IS NULL
                ORDER BY application_key DESC LIMIT {HANDLERS}
            ) AS s
            CROSS JOIN ringback_endpoint h ON h.application_key = s.application_key
            WHERE h.deleted_at IS NULL AND h.handler IS NOT NULL LIMIT {HANDLERS}
        ) AS known
        CROSS JOIN ringback_attempt t ON t.endpoint_key = known.key AND t.id = known.newest
        WHERE t.kind IN ({_FAILURES}) ORDER BY t.id DESC LIMIT ?
    ) AS failed
    CROSS JOIN ringback_attempt a ON a.message_key = failed.message_key AND a.id = failed.id
    CROSS JOIN ringback_endpoint e ON e.key = failed.key
    CROSS JOIN ringback_application o ON o.key = e.application_key
    CROSS JOIN ringback_message m ON m.key = a.message_key
    ORDER BY a.id DESC
"""


class Survey(Journals):
    """The verbs that look at all of it."""

    @abstractmethod
    def counted_between(self, first: int, end: int) -> tuple[int, bool]:
        """Return how many messages have keys from *first* to before *end*, and whether there are more than that."""

    # --- Over time ------------------------------------------------------------------------------------------

    def course(self, edges: Sequence[Instant]) -> list[Stretch]:
        """See ``SurveyVerbs``."""
        stretches, first = [], self.key_at(edges[0])
        for since, until in pairwise(edges):
            end = self.key_at(until, first)
            stretches.append(self._stretch(since, until, first, end))
            first = end
        return stretches

    def _stretch(self, since: Instant, until: Instant, first: int, end: int) -> Stretch:
        messages, more = self.counted_between(first, end)
        looked_at = self._sampled(first, end) if messages else []
        standings: Counter[Standing] = Counter()
        for row in self.rows_for(_STANDINGS, looked_at):
            standings[standing_of(row[0], tried=bool(row[1]))] += row[2]
        attempts = self.rows_for(_ATTEMPTS, looked_at)
        return Stretch(
            since=since,
            until=until,
            messages=messages,
            more=more,
            sampled=len(looked_at),
            standings=dict(standings),
            durations=tuple(sorted(int(row[1]) for row in attempts)),
            good=sum(int(row[0]) for row in attempts),
        )

    def _sampled(self, first: int, end: int) -> list[Row]:
        starts = [first + (end - first) * place // PLACES for place in range(PLACES + 1)]
        return [row for pair in pairwise(starts) for row in self.rows(_SAMPLE, (*pair, SAMPLED // PLACES))]

    # --- What fails -----------------------------------------------------------------------------------------

    def troubles(self, limit: int) -> list[Trouble]:
        """See ``SurveyVerbs``."""
        return [
            Trouble(endpoint_of(row[2:], self._vault), application_of(row[0]), self._waiting_at(row[1]))
            for row in self.rows(_TROUBLED, (limit,))
        ]

    def handler_troubles(self, limit: int) -> list[HandlerTrouble]:
        """See ``SurveyVerbs``."""
        return [
            HandlerTrouble(
                endpoint_of(row[2:8], self._vault),
                application_of(row[0]),
                attempt_of(row[8:]),
                self._waiting_at(row[1]),
            )
            for row in self.rows(_TROUBLED_HANDLERS, (limit,))
        ]

    def _waiting_at(self, endpoint_key: int) -> int:
        """Return how many deliveries wait at an endpoint, as far as that is counted."""
        waiting = self.dialect.unfinished.replace("e.key", "?")
        return self._counted(f"SELECT 1 FROM {waiting}", (endpoint_key,))
