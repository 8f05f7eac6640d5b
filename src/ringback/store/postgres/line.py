"""The line's verbs in PostgreSQL's own words: many rows as arrays, and born leases beside the queue."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

from ringback.errors import Raced, RingbackError
from ringback.model import Endpoint, EndpointState, Instant
from ringback.policy import MAX_BEGUN, SECOND, Step
from ringback.store import (
    Acceptance,
    Accepted,
    Admit,
    DueEndpoint,
    Lease,
    Quota,
    Work,
)
from ringback.store.postgres.connection import Both, array_literal
from ringback.store.postgres.database import Database, make_day
from ringback.store.postgres.days import SERIAL_BITS, SERIALS_AT_ONCE, Day, day_of, first_key, since
from ringback.store.postgres.floors import Floors
from ringback.store.sql.accepting import INSERT_MESSAGES
from ringback.store.sql.intake import LEASED
from ringback.store.sql.line import ENDED, INSERT_ATTEMPTS, taken
from ringback.store.sql.ordering import FREE, ROWS_IN_ORDER, oldest_in_order
from ringback.store.sql.past_pause import PastPause
from ringback.store.sql.records import ENDPOINT_COLUMNS, endpoint_of
from ringback.store.sql.tables import Many, Row

# Messages and their deliveries, with the one lease that those of them have which are born leased.
_INSERT = Both(
    f"""
    WITH message AS ({INSERT_MESSAGES.text}),
    new (message_key, endpoint_key, state, attempts, due_at, lease_token, trigger, ordering_key) AS ({{others}}),
    born AS (
        INSERT INTO ringback_lease (until, token, first_key, last_key)
        SELECT due_at, lease_token, min(message_key), max(message_key) FROM new
        WHERE lease_token IS NOT NULL GROUP BY due_at, lease_token
    )
    INSERT INTO ringback_delivery
    (message_key, endpoint_key, state, attempts, due_at, lease_token, trigger, ordering_key, born_token)
    SELECT *, CASE WHEN ordering_key IS NULL THEN lease_token END FROM new
    """,
    INSERT_MESSAGES.kinds,
    "iitiiitt",
)
_INSERT_EVENTS = Many("INSERT INTO ringback_event (application_key, event_id, message_key) {rows}", "iti")
# Not of the messages themselves, which may lie in any day.
_EVENTS = Many(
    """
    SELECT wanted.application_key, wanted.event_id FROM ({rows}) AS wanted (application_key, event_id)
    JOIN ringback_event e ON e.application_key = wanted.application_key AND e.event_id = wanted.event_id
    """,
    "it",
)
_INSERT_USES = Many(
    "INSERT INTO ringback_idempotency (scope, name, fingerprint, resource_id, created_at) {rows}", "ttbti"
)
_RENEW_USES = Many(
    """
    WITH renewed (scope, name, fingerprint, resource_id, created_at) AS ({rows})
    UPDATE ringback_idempotency AS use
    SET key = nextval(pg_get_serial_sequence('ringback_idempotency', 'key')), fingerprint = renewed.fingerprint,
        resource_id = renewed.resource_id, created_at = renewed.created_at
    FROM renewed WHERE use.scope = renewed.scope AND use.name = renewed.name
    """,
    "ttbti",
)
# See the migration "held name": who publishes in a transaction of the application holds the lock alone.
_HELD_OPEN = Many(
    """
    SELECT name FROM ({rows}) AS used (name)
    WHERE NOT pg_try_advisory_xact_lock_shared(hashtextextended('ringback.' || name, 0))
    """,
    "t",
)
_LOCK_SUBJECTS = Many(
    """
    SELECT pg_advisory_xact_lock(subject) FROM (
        SELECT DISTINCT hashtextextended(business_key, application_key) AS subject
        FROM ({rows}) AS wanted (application_key, business_key) ORDER BY subject
    ) AS sorted
    """,
    "it",
)
# With the attempts, whether the leases were held or not. Rows are locked in the order of their keys, so that two
# nodes never wait for each other.
_SETTLE = Both(
    f"""
    WITH ended (message_key, endpoint_key, token, state, attempts, due_at, reason, tried) AS ({{rows}}),
    attempt AS ({INSERT_ATTEMPTS.text.replace("{rows}", "{others}")}),
    held AS (
        SELECT d.message_key, d.endpoint_key FROM ringback_delivery d
        JOIN ended e ON d.message_key = e.message_key AND d.endpoint_key = e.endpoint_key
            AND d.lease_token = e.token
        WHERE d.message_key >= ?
        ORDER BY d.message_key, d.endpoint_key FOR UPDATE OF d
    )
    UPDATE ringback_delivery AS d
    SET state = e.state, attempts = e.attempts, due_at = e.due_at, reason = e.reason, lease_token = NULL,
        begun = CASE WHEN e.tried OR d.ordering_key IS NOT NULL THEN 0 ELSE d.begun END
    FROM ended e JOIN held h ON h.message_key = e.message_key AND h.endpoint_key = e.endpoint_key
    WHERE d.message_key = e.message_key AND d.endpoint_key = e.endpoint_key AND d.lease_token = e.token
        AND d.message_key >= ?
    RETURNING d.message_key, d.endpoint_key, e.token
    """,
    "iiitiito",
    INSERT_ATTEMPTS.kinds,
)
# What is left of born leases whose time is over goes to the queue. In three steps, of which mostly one is needed, and
# each by keys that are known: a plan made for all of them at once might read every delivery there is.
_OVER = "DELETE FROM ringback_lease WHERE until BETWEEN ? AND ? RETURNING first_key, last_key, token, until"
# With it comes what has gone from the queues, as far as PostgreSQL has counted, and whether any endpoint has an order.
_CLOCK = """
    SELECT least(?, (extract(epoch FROM clock_timestamp()) * 1000)::bigint), EXISTS (SELECT FROM ringback_in_order),
        pg_stat_get_dead_tuples('ringback_queue'::regclass) + pg_stat_get_dead_tuples('ringback_lease'::regclass)
"""
_LEFT = Many(
    """
    SELECT left_over.message_key, left_over.endpoint_key, over.token, over.until
    FROM ({rows}) AS over (first_key, last_key, token, until),
    LATERAL (
        SELECT d.message_key, d.endpoint_key FROM ringback_delivery d
        WHERE d.message_key BETWEEN over.first_key AND over.last_key AND d.lease_token = over.token
            AND d.born_token = over.token AND d.due_at IS NOT NULL AND d.message_key >= ?
        ORDER BY d.message_key, d.endpoint_key OFFSET 0
    ) AS left_over
    """,
    "iiii",
)
# Whoever is about to settle one may be slow to commit: nobody waits for that.
_REQUEUE = Many(
    """
    WITH kept (message_key, endpoint_key, token) AS ({rows}),
    free AS (
        SELECT d.message_key, d.endpoint_key FROM ringback_delivery d
        JOIN kept ON d.message_key = kept.message_key AND d.endpoint_key = kept.endpoint_key
            AND d.born_token = kept.token AND d.due_at IS NOT NULL
        WHERE d.message_key >= ?
        ORDER BY d.message_key, d.endpoint_key FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE ringback_delivery AS d SET born_token = NULL FROM free
    WHERE d.message_key = free.message_key AND d.endpoint_key = free.endpoint_key AND d.message_key >= ?
    RETURNING d.message_key, d.endpoint_key
    """,
    "iii",
)
_KEEP_LEASES = Many("INSERT INTO ringback_lease (first_key, last_key, token, until) {rows}", "iiii")
_ENDPOINTS = Many(
    f"""
    SELECT wanted.id, wanted.quota, e.key, e.deleted_at, {ENDPOINT_COLUMNS}
    FROM ({{rows}}) AS wanted (id, quota) JOIN ringback_endpoint e ON e.id = wanted.id
    """,
    "ti",
)
# In two steps, so that the second is planned for the days of what the first has found.
_HOLD = Many(
    """
    SELECT q.message_key, q.endpoint_key, q.due_at
    FROM ({rows}) AS wanted (endpoint_key, quota, floor, now)
    JOIN LATERAL (
        SELECT endpoint_key, message_key, due_at FROM ringback_queue
        WHERE endpoint_key = wanted.endpoint_key AND due_at BETWEEN wanted.floor AND wanted.now
        ORDER BY due_at, message_key LIMIT wanted.quota FOR UPDATE SKIP LOCKED
    ) AS q ON true
    """,
    "iiii",
)
# Whoever changes a delivery takes it from the queue after that, and so may wait for this transaction: this one must not
# wait for them.
_TAKE = Many(
    """
    SELECT d.message_key, d.state, d.attempts, d.trigger, m.id, m.event_type, m.payload, m.created_at, m.inbound,
        d.begun, d.due_at, d.endpoint_key
    FROM ({rows}) AS queued (message_key, endpoint_key, due_at)
    JOIN ringback_delivery d ON d.message_key = queued.message_key AND d.endpoint_key = queued.endpoint_key
        AND d.due_at = queued.due_at
    JOIN ringback_message m ON m.key = queued.message_key
    WHERE d.message_key >= ? AND m.key >= ?
    ORDER BY queued.due_at, queued.message_key FOR UPDATE OF d SKIP LOCKED
    """,
    "iii",
)
_CLAIM = "SELECT pg_try_advisory_xact_lock(hashtextextended('ringback.in_order', ?))"
_LEASE = Many(
    """
    WITH taken (message_key, endpoint_key, due_at, token) AS ({rows})
    UPDATE ringback_delivery AS d
    SET state = 'leased', due_at = taken.due_at, lease_token = taken.token, born_token = NULL, reason = NULL
    FROM taken WHERE d.message_key = taken.message_key AND d.endpoint_key = taken.endpoint_key
        AND d.message_key >= ?
    """,
    "iiii",
)
_PUT_TO_REST = Many(
    """
    WITH taken (message_key, endpoint_key, state, reason) AS ({rows})
    UPDATE ringback_delivery AS d
    SET state = taken.state, due_at = NULL, lease_token = NULL, begun = 0, reason = taken.reason
    FROM taken WHERE d.message_key = taken.message_key AND d.endpoint_key = taken.endpoint_key
        AND d.message_key >= ?
    """,
    "iitt",
)
# Steps from endpoint to endpoint through the index instead of reading all that is due. What waits for a deleted
# endpoint is for any worker to cancel, also where the endpoint stood for a handler.
_DUE = """
    WITH RECURSIVE busy (endpoint_key, floor) AS (SELECT * FROM unnest(?::bigint[], ?::bigint[])),
    active (endpoint_key) AS (
        SELECT 0::bigint
        UNION ALL
        SELECT coalesce((
            SELECT q.endpoint_key FROM ringback_queue q WHERE q.endpoint_key > active.endpoint_key
                AND q.endpoint_key < coalesce(next.endpoint_key, 9223372036854775807)
            ORDER BY q.endpoint_key LIMIT 1
        ), next.endpoint_key)
        FROM active, LATERAL (
            SELECT min(busy.endpoint_key) AS endpoint_key FROM busy
            WHERE busy.endpoint_key > active.endpoint_key
        ) AS next
        WHERE active.endpoint_key IS NOT NULL
    ), due (endpoint_key, oldest) AS (
        SELECT active.endpoint_key, (
            SELECT q.due_at FROM ringback_queue q WHERE q.endpoint_key = active.endpoint_key
                AND q.due_at >= coalesce(busy.floor, 0)
            ORDER BY q.due_at LIMIT 1
        ) FROM active LEFT JOIN busy ON busy.endpoint_key = active.endpoint_key WHERE active.endpoint_key > 0
        {born}
    )
    SELECT * FROM (
        SELECT e.key, e.id, {oldest} AS oldest, CASE WHEN e.deleted_at IS NULL THEN e.handler END
        FROM due JOIN ringback_endpoint e ON e.key = due.endpoint_key
        WHERE (e.state <> 'paused' OR e.deleted_at IS NOT NULL) AND due.oldest <= ?
        GROUP BY e.key
    ) AS found WHERE oldest <= ? ORDER BY oldest LIMIT ?
"""
# Leases that will be over at an instant that is still to come.
_BORN = """
        UNION ALL
        SELECT born.endpoint_key, min(born.due_at) FROM ringback_lease l, LATERAL (
            SELECT d.endpoint_key, d.due_at FROM ringback_delivery d
            WHERE d.message_key BETWEEN l.first_key AND l.last_key AND d.lease_token = l.token
                AND d.born_token = l.token AND d.due_at IS NOT NULL
            OFFSET 0
        ) AS born
        WHERE l.until BETWEEN ? AND ? GROUP BY born.endpoint_key
"""
_OLDEST_IN_TURN = f"CASE WHEN {FREE} THEN min(due.oldest) ELSE ({{in_order}}) END"


MILLISECOND = 1 << SERIAL_BITS  # as keys have it


class PostgresLine(PastPause, Database):
    """The verbs of the line that PostgreSQL has its own way of doing."""

    taken_events = _EVENTS
    rows_in_order = Many(f"{ROWS_IN_ORDER.text} FOR UPDATE OF d SKIP LOCKED", ROWS_IN_ORDER.kinds)
    _serial = _serials_end = 0
    _last_key = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._floors = Floors()

    def undone(self) -> None:
        """See ``Tables``."""
        super().undone()
        self._floors.clear()

    # --- Accepting ----------------------------------------------------------------------------------------

    def new_message_key(self, created_at: Instant) -> int:
        """See ``Line``."""
        self._ensure_day(day_of(created_at))
        if self._serial == self._serials_end:
            found = self.row("SELECT nextval('ringback_serial')")
            assert found is not None  # noqa: S101 - a sequence always answers
            self._serial, self._serials_end = found[0], found[0] + SERIALS_AT_ONCE
        key = first_key(created_at) + self._serial
        self._serial += 1
        if key < self._last_key and self._last_key - key < MILLISECOND:
            # A new range of numbers began within a millisecond: what comes later has the higher key.
            key += MILLISECOND
        self._last_key = key
        return key

    def _ensure_day(self, day: Day) -> None:
        if day not in self.days:
            make_day(self, day)
            self.days.add(day)

    def accept(
        self, acceptances: Sequence[Acceptance], lease: Lease, admit: Admit
    ) -> list[Accepted | RingbackError]:
        """See ``Store``."""
        if any(one.inbound is not None and one.inbound.business_key for one in acceptances):
            self._lock_subjects(acceptances)
        return super().accept(acceptances, lease, admit)

    def _lock_subjects(self, acceptances: Sequence[Acceptance]) -> None:
        # Two nodes may be told of one subject at once, under different ids: a lock stands in for an index.
        self.catch_up()
        subjects = [
            (route.key, acceptance.inbound.business_key)
            for acceptance in acceptances
            if acceptance.inbound is not None
            and acceptance.inbound.business_key is not None
            and (route := self.known_route(acceptance.application)) is not None
        ]
        if subjects:
            self.rows_for(_LOCK_SUBJECTS, subjects)

    def held_open(self, names: Sequence[str]) -> frozenset[str]:
        """See ``Accepting``."""
        return frozenset(name for (name,) in self.rows_for(_HELD_OPEN, [(name,) for name in names]))

    def insert(self, messages: Sequence[Row], deliveries: Sequence[Row], lease: Lease) -> None:
        """See ``Accepting``."""
        del lease  # the rows have it
        if messages or deliveries:
            self.rows_for_both(_INSERT, messages, deliveries)
        events = sorted((row[1], row[4], row[0]) for row in messages if row[4] is not None)
        if events:
            self.execute_rows(_INSERT_EVENTS, events)

    def insert_deliveries(self, rows: Sequence[Row], lease: Lease) -> None:
        """See ``Accepting``."""
        self.insert((), rows, lease)

    def remember_uses(self, new: Sequence[Row], renewed: Sequence[Row]) -> None:
        """See ``Catalog``."""
        self.execute_rows(_INSERT_USES, sorted(new))
        self.execute_rows(_RENEW_USES, sorted(renewed))

    def catch_up(self) -> None:
        """See ``Tables``."""
        self.routes.renew(self.catalog_version() if self._version is None else self._version)

    def bump_catalog(self) -> None:
        """See ``Catalog``."""
        super().bump_catalog()
        self._version = None

    # --- Settling -----------------------------------------------------------------------------------------

    def end_leases(self, ended: Sequence[Row], attempts: Sequence[Row]) -> list[bool]:
        """See ``Line``."""
        if len({row[:2] for row in ended}) == len(ended):
            return self._end_some(ended, attempts)
        self._end_some((), attempts)
        return [held for row in ended for held in self._end_some([row], ())]

    def _end_some(self, ended: Sequence[Row], attempts: Sequence[Row]) -> list[bool]:
        held = {tuple(row) for row in self.rows_for_both(_SETTLE, ended, attempts, [since(ended)] * 2)}
        return [row[:3] in held for row in ended]

    # --- Taking -------------------------------------------------------------------------------------------

    def due(self, now: Instant, limit: int) -> list[DueEndpoint]:
        """See ``Store``."""
        # What need not be asked is left out: a plan for all the days there are takes longer than the whole answer.
        ended, in_order = self._sweep(now)
        oldest = (
            _OLDEST_IN_TURN.format(in_order=oldest_in_order(self.dialect)) if in_order else "min(due.oldest)"
        )
        query = _DUE.format(oldest=oldest, born="" if ended else _BORN)
        return self._due(query, now, limit, () if ended else (self._floors.leases, now))

    def _sweep(self, now: Instant) -> tuple[bool, bool]:
        """Forget leases whose time is over: where all goes well, nobody ever takes, and there are some every second.

        Tell whether all are ended that are over at *now*, and whether any endpoint has an order.
        """
        with contextlib.suppress(Raced), self.apart():
            # Whoever asks what will be due some day ends no lease before its time.
            ((at, in_order, gone),) = self.rows(_CLOCK, (now,))
            self._floors.gone(gone)
            self._end_born_leases(at)
            return at == now, in_order
        return False, True

    def _end_born_leases(self, now: Instant) -> None:
        with self._floors.looking():
            over = self.rows(_OVER, (self._floors.leases, now))
        self._floors.ended(now)
        left = self.rows_for(_LEFT, over, [since(over)])
        requeued = set(self.rows_for(_REQUEUE, sorted(row[:3] for row in left), [since(left)] * 2))
        held = {row[2:] for row in left if row[:2] not in requeued}
        # Until a little later, as if they were a little longer.
        self.execute_rows(_KEEP_LEASES, [(*row[:3], now + SECOND) for row in over if row[2:] in held])

    def _due(self, query: str, now: Instant, limit: int, born: tuple[Instant, ...]) -> list[DueEndpoint]:
        with self._floors.looking():
            floors = self._floors.known()
            busy = array_literal("i", list(floors)), array_literal("i", list(floors.values()))
            found = self.rows(query, (*busy, *born, now, now, limit))
        if self._floors.due({row[0]: row[2] for row in found}, now):
            # Behind the floor nothing is due. Before it, something may have come in late.
            return self._due(query, now, limit, born)
        return [DueEndpoint(*row[1:]) for row in found]

    def take(self, quotas: Sequence[Quota], lease: Lease, now: Instant) -> list[Work]:
        """See ``Store``."""
        self._end_born_leases(now)
        targets = self._targets(quotas)
        works = self._take_in_order(targets, lease, now)
        with self._floors.looking():
            queued = self.rows_for(
                _HOLD, [(key, quota, self._floors.floor(key), now) for key, (_, _, quota) in targets.items()]
            )
        found = self.rows_for(_TAKE, queued, [since(queued)] * 2)
        by_endpoint = {
            key: list(rows)
            for key, rows in itertools.groupby(
                sorted(found, key=lambda row: row[-1]), key=lambda row: row[-1]
            )
        }
        for key, (endpoint, deleted, quota) in targets.items():
            self._floors.taken(key, quota, [row[-2] for row in by_endpoint.get(key, [])], now)
            works += self._judge(by_endpoint.get(key, []), key, endpoint, lease, now, deleted=deleted)
        self.lease(works, lease)
        return works

    def lease(self, works: Sequence[Work], lease: Lease) -> None:
        """See ``PastPause``."""
        rows = [(*work.key, lease.until, lease.token) for work in works]
        self.execute_rows(_LEASE, rows, [since(rows)])

    def _take_in_order(
        self, targets: dict[int, tuple[Endpoint, bool, int]], lease: Lease, now: Instant
    ) -> list[Work]:
        """Take for those of the targets that have an order, and leave the others."""
        ordered = [
            key
            for key, (endpoint, deleted, _) in targets.items()
            if endpoint.in_order and not deleted and endpoint.state is EndpointState.ENABLED
        ]
        works: list[Work] = []
        for key in ordered:
            endpoint, _, quota = targets.pop(key)
            works += self.take_in_order(key, endpoint, quota, lease, now)
        return works

    def claim(self, endpoint_key: int) -> bool:
        """See ``Ordering``."""
        return bool(self.rows(_CLAIM, (endpoint_key,))[0][0])

    def _targets(self, quotas: Sequence[Quota]) -> dict[int, tuple[Endpoint, bool, int]]:
        """Return the endpoints that may be taken for: each with whether it is deleted, and its quota."""
        targets = {}
        for _, quota, key, deleted_at, *columns in self.rows_for(
            _ENDPOINTS, [(quota.endpoint_id, quota.limit) for quota in quotas]
        ):
            endpoint = endpoint_of(tuple(columns), self._vault)
            if deleted_at is not None or endpoint.state is not EndpointState.PAUSED:
                targets[key] = (endpoint, deleted_at is not None, quota)
        return targets

    def _judge(
        self, found: list[Row], key: int, endpoint: Endpoint, lease: Lease, now: Instant, *, deleted: bool
    ) -> list[Work]:
        """Return what may be attempted of what was found for an endpoint; the rest comes to rest."""
        self.mark_vanished([row for row in found if row[1] == LEASED], key, endpoint, now)
        if deleted or endpoint.state is EndpointState.DISABLED:
            reason = "endpoint_deleted" if deleted else "endpoint_disabled"
            self._put_to_rest(found, key, ENDED[Step.CANCEL], reason)
            return []
        self._put_to_rest([row for row in found if row[9] >= MAX_BEGUN], key, ENDED[Step.EXHAUST], "crashed")
        return [taken(row[:-2], key, endpoint, lease) for row in found if row[9] < MAX_BEGUN]

    def _put_to_rest(self, rows: Sequence[Row], key: int, state: str, reason: str) -> None:
        self.execute_rows(_PUT_TO_REST, [(row[0], key, state, reason) for row in rows], [since(rows)])
