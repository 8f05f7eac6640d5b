"""The line's verbs: accept, settle, due, take, resend, and the tasks that move many deliveries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback import ids, policy
from ringback.errors import Conflict, NotFound, RingbackError
from ringback.model import (
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointState,
    Instant,
    Message,
    Outcome,
    OutcomeKind,
    Trigger,
)
from ringback.policy import BEHIND_ANOTHER, MAX_BEGUN, Step, next_state
from ringback.store import (
    Acceptance,
    Accepted,
    Admit,
    Document,
    DueEndpoint,
    Idempotency,
    Lease,
    Quota,
    Settlement,
    Task,
    Work,
)
from ringback.store.sqlite.catalog import UNNAMED, Route
from ringback.store.sqlite.database import Row, chunks
from ringback.store.sqlite.documents import Documents
from ringback.store.sqlite.receipts import Receipts
from ringback.store.sqlite.records import (
    DELIVERY_COLUMNS,
    ENDPOINT_COLUMNS,
    MESSAGE_COLUMNS,
    UNSENT,
    attempt_row,
    delivery_of,
    endpoint_of,
    inbound_of,
    inbound_record,
    message_of,
    names_text,
    skipped_text,
)

ENDED = {
    step: next_state(DeliveryState.LEASED, step).value
    for step in (Step.SUCCEED, Step.RETRY, Step.POSTPONE, Step.EXHAUST, Step.CANCEL)
}
_CANCELLED = ENDED[Step.CANCEL]
_FAILED = ENDED[Step.EXHAUST]
LEASED = next_state(None, Step.ACCEPT).value
_WAITING = next_state(None, Step.SPILL).value
_SCHEDULED = Trigger.SCHEDULED.value

ORDERED = "json_extract(CAST(record AS TEXT), '$.ordered')"

# Keys are never used twice, although the newest message may have been removed.
_POSITION = (
    "SELECT catalog.version, max(coalesce((SELECT max(key) FROM ringback_message), 0), removed.message_key)"
    " FROM ringback_catalog AS catalog, ringback_removed AS removed"
)
_INSERT_MESSAGES = (
    "INSERT INTO ringback_message"
    " (key, application_key, id, event_type, event_id, channels, created_at, skipped, payload, inbound, held)"
    " VALUES {rows}"
)
_INSERT_DELIVERIES = (
    "INSERT INTO ringback_delivery"
    " (message_key, endpoint_key, state, attempts, due_at, lease_token, trigger, ordering_key) VALUES {rows}"
)
INSERT_ATTEMPTS = (
    "INSERT INTO ringback_attempt (message_key, id, endpoint_key, number, trigger, url, started_at, duration,"
    " kind, detail, status, phases, body) VALUES {rows}"
)
# Ends all of these leases or, if one of them is no longer held, none.
_SETTLE = """
    WITH ended (message_key, endpoint_key, token, state, attempts, due_at, reason, tried) AS (VALUES {rows}),
    lost (count) AS MATERIALIZED (
        SELECT count(*) FROM ended LEFT JOIN ringback_delivery AS delivery
        ON delivery.message_key = ended.message_key AND delivery.endpoint_key = ended.endpoint_key
        AND delivery.lease_token = ended.token
        WHERE delivery.message_key IS NULL
    )
    UPDATE ringback_delivery AS delivery
    SET state = ended.state, attempts = ended.attempts, due_at = ended.due_at, reason = ended.reason,
        lease_token = NULL, begun = iif(ended.tried OR delivery.ordering_key IS NOT NULL, 0, delivery.begun)
    FROM ended
    WHERE delivery.message_key = ended.message_key
    AND delivery.endpoint_key = ended.endpoint_key
    AND delivery.lease_token = ended.token
    AND (SELECT count FROM lost) = 0
"""
_LEASE = """
    WITH taken (message_key, endpoint_key, due_at, token) AS (VALUES {rows})
    UPDATE ringback_delivery AS delivery
    SET state = 'leased', due_at = taken.due_at, lease_token = taken.token, reason = NULL
    FROM taken
    WHERE delivery.message_key = taken.message_key AND delivery.endpoint_key = taken.endpoint_key
"""
_PUT_TO_REST = """
    WITH taken (message_key, endpoint_key, state, reason) AS (VALUES {rows})
    UPDATE ringback_delivery AS delivery
    SET state = taken.state, due_at = NULL, lease_token = NULL, begun = 0, reason = taken.reason
    FROM taken
    WHERE delivery.message_key = taken.message_key AND delivery.endpoint_key = taken.endpoint_key
"""
# Steps from endpoint to endpoint through the index instead of reading every row that is due. What waits for a
# deleted endpoint is for any worker to cancel, also where the endpoint stood for a handler.
_DUE = """
    WITH RECURSIVE active (endpoint_key) AS (
        SELECT (
            SELECT min(endpoint_key) FROM ringback_delivery INDEXED BY ringback_delivery_due
            WHERE due_at IS NOT NULL
        )
        UNION ALL
        SELECT (
            SELECT min(endpoint_key) FROM ringback_delivery INDEXED BY ringback_delivery_due
            WHERE endpoint_key > active.endpoint_key AND due_at IS NOT NULL
        )
        FROM active WHERE active.endpoint_key IS NOT NULL
    )
    SELECT e.id, (
        SELECT min(due_at) FROM ringback_delivery INDEXED BY ringback_delivery_due
        WHERE endpoint_key = e.key AND due_at IS NOT NULL
    ) AS oldest, iif(e.deleted_at IS NULL, e.handler, NULL)
    FROM active CROSS JOIN ringback_endpoint e ON e.key = active.endpoint_key
    WHERE (e.state <> 'paused' OR e.deleted_at IS NOT NULL) AND oldest <= ?
    ORDER BY oldest LIMIT ?
"""
_TAKE = """
    SELECT d.message_key, d.state, d.attempts, d.trigger, m.id, m.event_type, m.payload, m.created_at,
        m.inbound, d.begun
    FROM ringback_delivery d INDEXED BY ringback_delivery_due
    CROSS JOIN ringback_message m ON m.key = d.message_key
    WHERE d.endpoint_key = ? AND d.due_at <= ?
    ORDER BY d.due_at LIMIT ?
"""
# What waits behind a delivery that is brought forward need not wait for the time when that would have been tried.
_FOLLOW = f"""
    UPDATE ringback_delivery AS behind SET due_at = ?1
    WHERE endpoint_key = ?2 AND message_key > ?3 AND due_at > ?1 AND state = 'waiting' AND reason = '{BEHIND_ANOTHER}'
    AND ordering_key = (
        SELECT ordering_key FROM ringback_delivery WHERE endpoint_key = ?2 AND message_key = ?3
    )
"""
_RECOVERABLE = f"""
    SELECT d.message_key, m.created_at, d.state, d.attempts
    FROM ringback_delivery d INDEXED BY ringback_delivery_unsent
    CROSS JOIN ringback_message m ON m.key = d.message_key
    WHERE d.endpoint_key = ? AND d.message_key > ? AND {UNSENT}
    ORDER BY d.message_key LIMIT ?
"""


class Line(Documents):
    """The verbs that messages pass through."""

    _last_key = 0
    _seen = -1

    # --- Accepting ----------------------------------------------------------------------------------------

    def accept(
        self, acceptances: Sequence[Acceptance], lease: Lease, admit: Admit
    ) -> list[Accepted | RingbackError]:
        """See ``Store``."""
        intake = _Intake(self._next_message_key(), lease, admit)
        receipts = Receipts(self, acceptances)
        answers = [self._accept_one(acceptance, intake, receipts) for acceptance in acceptances]
        self._last_key += len(intake.messages)
        if intake.messages:
            self.execute_rows(_INSERT_MESSAGES, intake.messages)
        if intake.deliveries:
            self.execute_rows(_INSERT_DELIVERIES, intake.deliveries)
        receipts.keep()
        if intake.documents:
            self.keep(intake.documents)
        return answers

    def _accept_one(
        self, acceptance: Acceptance, intake: _Intake, receipts: Receipts
    ) -> Accepted | RingbackError:
        try:
            route = self.route(acceptance.application)
            if (earlier := receipts.earlier(acceptance, route)) is not None:
                return earlier
            use = _use_in(route, acceptance.idempotency)
            if use is not None and (replayed := self._replayed(use, route, intake)) is not None:
                return replayed
            if acceptance.event_id is not None:
                self._check_event_id(acceptance.event_id, route, intake)
        except RingbackError as error:
            return error
        accepted = intake.add(acceptance, route)
        intake.documents += acceptance.documents
        receipts.add(accepted.message, route)
        if use is not None:
            self.remember_use(use, acceptance.id, acceptance.created_at)
        return accepted

    def _replayed(self, use: Idempotency, route: Route, intake: _Intake) -> Accepted | None:
        earlier = self.earlier_use(use)
        if earlier is None:
            return None
        message = intake.accepted.get(earlier.resource_id) or self._message_by_id(route, earlier.resource_id)
        if message is None:
            return None
        earlier.repeated_by(use)
        return Accepted(message, replayed=True)

    def _check_event_id(self, event_id: str, route: Route, intake: _Intake) -> None:
        if (route.key, event_id) in intake.event_ids or self.row(
            "SELECT 1 FROM ringback_message WHERE application_key = ? AND event_id = ?", (route.key, event_id)
        ):
            raise Conflict(f"the event id {event_id} was used for another message of this application")

    def _message_by_id(self, route: Route, message_id: str) -> Message | None:
        row = self.row(
            f"SELECT {MESSAGE_COLUMNS} FROM ringback_message m WHERE m.application_key = ? AND m.id = ?",
            (route.key, message_id),
        )
        return None if row is None else message_of(row, route.application_id)

    def _next_message_key(self) -> int:
        self.catch_up()
        return self._last_key + 1

    def catch_up(self) -> None:
        """Learn what other connections have changed; asked inside a transaction, before routes are used."""
        # While nobody else writes, what was read last time still holds. A key skipped by a rollback is no loss.
        seen = self.data_version()
        if seen != self._seen or not self.routes_hold:
            found = self.row(_POSITION)
            assert found is not None  # noqa: S101 - both tables have their one row from the first migration on
            self.renew_routes(found[0])
            self._last_key = max(self._last_key, found[1])
            self._seen = seen

    # --- Settling -----------------------------------------------------------------------------------------

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See ``Store``."""
        ended = [_ended_row(settlement) for settlement in settlements]
        held = self._end_leases(ended)
        attempts = [
            attempt_row(settlement.work.key, settlement.attempt)
            for settlement in settlements
            if settlement.attempt is not None
        ]
        if attempts:
            self.execute_rows(INSERT_ATTEMPTS, attempts)
        for settlement, still in zip(settlements, held, strict=True):
            if still and settlement.health is not None:
                self._change_health(settlement)
        return held

    def _end_leases(self, ended: list[Row]) -> list[bool]:
        if len({row[:2] for row in ended}) < len(ended):
            return [self._end_one(row) for row in ended]
        return [held for some in chunks(ended) for held in self._end_some(some)]

    def _end_some(self, ended: Sequence[Row]) -> list[bool]:
        # Almost always every lease is still held; only where one is not is each looked at alone.
        if self.execute_rows(_SETTLE, ended) == len(ended):
            return [True] * len(ended)
        return [self._end_one(row) for row in ended]

    def _end_one(self, ended: Row) -> bool:
        return self.execute_rows(_SETTLE, [ended]) == 1

    def _change_health(self, settlement: Settlement) -> None:
        health, key = settlement.health, settlement.work.key[1]
        assert health is not None  # noqa: S101 - the caller has looked
        if health.failing_since is None:
            statement = "UPDATE ringback_endpoint SET failing_since = NULL WHERE key = ? AND failing_since IS NOT NULL"
            self.execute(statement, (key,))
        elif health.disable is None:
            statement = (
                "UPDATE ringback_endpoint SET failing_since = ? WHERE key = ? AND failing_since IS NULL"
            )
            self.execute(statement, (health.failing_since, key))
        else:
            self.execute(
                "UPDATE ringback_endpoint SET state = 'disabled', disabled_reason = ?,"
                " failing_since = coalesce(failing_since, ?) WHERE key = ? AND state <> 'disabled'",
                (health.disable, health.failing_since, key),
            )
        if self.changes():
            self.bump_catalog()

    # --- Taking -------------------------------------------------------------------------------------------

    def due(self, now: Instant, limit: int) -> list[DueEndpoint]:
        """See ``Store``."""
        return [DueEndpoint(*row) for row in self.rows(_DUE, (now, limit))]

    def take(self, quotas: Sequence[Quota], lease: Lease, now: Instant) -> list[Work]:
        """See ``Store``."""
        return [work for quota in quotas for work in self._take_for(quota, lease, now)]

    def _take_for(self, quota: Quota, lease: Lease, now: Instant) -> list[Work]:
        target = self.row(
            f"SELECT e.key, e.deleted_at, {ENDPOINT_COLUMNS} FROM ringback_endpoint e WHERE e.id = ?",
            (quota.endpoint_id,),
        )
        if target is None:
            return []
        key, deleted_at, *columns = target
        endpoint = endpoint_of(tuple(columns), self._vault)
        if deleted_at is None and endpoint.state is EndpointState.PAUSED:
            return []
        found = self.rows(_TAKE, (key, now, quota.limit))
        if not found:
            return []
        self._mark_vanished([row for row in found if row[1] == LEASED], key, endpoint, now)
        if deleted_at is not None or endpoint.state is EndpointState.DISABLED:
            reason = "endpoint_deleted" if deleted_at is not None else "endpoint_disabled"
            self._put_to_rest(found, key, _CANCELLED, reason)
            return []
        deadly = [row for row in found if row[9] >= MAX_BEGUN]
        self._put_to_rest(deadly, key, _FAILED, "crashed")
        living = [row for row in found if row[9] < MAX_BEGUN]
        self.execute_rows(_LEASE, [(row[0], key, lease.until, lease.token) for row in living])
        return [_taken(row, key, endpoint, lease) for row in living]

    def _put_to_rest(self, rows: Sequence[Row], key: int, state: str, reason: str) -> None:
        self.execute_rows(_PUT_TO_REST, [(row[0], key, state, reason) for row in rows])

    def _mark_vanished(self, rows: Sequence[Row], key: int, endpoint: Endpoint, now: Instant) -> None:
        if not rows:
            return
        marks = [
            attempt_row(
                (row[0], key),
                Attempt(
                    id=ids.new_id(ids.ATTEMPT, now, self._entropy(ids.ENTROPY_BYTES)),
                    message_id=row[4],
                    endpoint_id=endpoint.id,
                    number=row[2] + 1,
                    trigger=Trigger(row[3]),
                    url=endpoint.url,
                    started_at=now,
                    duration=0,
                    outcome=Outcome(kind=OutcomeKind.UNKNOWN, detail="lease_expired"),
                ),
            )
            for row in rows
        ]
        self.execute_rows(INSERT_ATTEMPTS, marks)

    # --- Again --------------------------------------------------------------------------------------------

    def resend(self, application_id: str, message_id: str, endpoint_id: str, now: Instant) -> Delivery:
        """See ``Store``."""
        endpoint_key, application_key, endpoint = self._endpoint_row(application_id, endpoint_id)
        message = self.row(
            "SELECT key, payload IS NULL FROM ringback_message WHERE application_key = ? AND id = ?",
            (application_key, message_id),
        )
        if message is None:
            raise NotFound(f"there is no message {message_id}")
        if message[1]:
            raise Conflict("the message's payload has been removed, so it cannot be sent again")
        if endpoint.state is EndpointState.DISABLED:
            raise Conflict("the endpoint is disabled; enable it before resending")
        self.make_due(message[0], endpoint_key, now)
        row = self.row(
            f"SELECT {DELIVERY_COLUMNS} FROM ringback_delivery d WHERE d.message_key = ? AND d.endpoint_key = ?",
            (message[0], endpoint_key),
        )
        assert row is not None  # noqa: S101 - it was written just now
        return delivery_of(row, message_id, endpoint.id)

    def make_due(self, message_key: int, endpoint_key: int, now: Instant) -> None:
        """Have a delivery attempted now, whatever became of it; raises ``Conflict`` while an attempt is under way."""
        key = (message_key, endpoint_key)
        current = self.row(
            "SELECT state FROM ringback_delivery WHERE message_key = ? AND endpoint_key = ?", key
        )
        state = None if current is None else DeliveryState(current[0])
        if state is DeliveryState.LEASED:
            raise Conflict("an attempt is under way; wait for its outcome")
        after = next_state(state, Step.RESEND).value
        self.execute(
            "INSERT INTO ringback_delivery"
            " (message_key, endpoint_key, state, attempts, due_at, trigger, ordering_key)"
            f" SELECT ?, key, ?, 0, ?, 'manual', iif({ORDERED}, '{UNNAMED}', NULL)"
            " FROM ringback_endpoint WHERE key = ?"
            " ON CONFLICT DO UPDATE SET state = excluded.state, attempts = 0, due_at = excluded.due_at,"
            " trigger = excluded.trigger, reason = NULL, lease_token = NULL, begun = 0,"
            " ordering_key = coalesce(ordering_key, excluded.ordering_key)",
            (message_key, after, now, endpoint_key),
        )
        self.execute(_FOLLOW, (now, endpoint_key, message_key))

    def add_task(self, task: Task) -> None:
        """See ``Store``."""
        self.execute(
            "INSERT INTO ringback_task VALUES (?, ?, 0, ?)", (task.id, task.done, msgspec.json.encode(task))
        )

    def advance_task(self, now: Instant, limit: int) -> Task | None:
        """See ``Store``."""
        found = self.row("SELECT record, position FROM ringback_task WHERE NOT done ORDER BY id LIMIT 1")
        if found is None:
            return None
        task, position = msgspec.json.decode(found[0], type=Task), found[1]
        endpoint = self.row("SELECT key FROM ringback_endpoint WHERE id = ?", (task.endpoint_id,))
        rows = self.rows(_RECOVERABLE, (endpoint[0], position, limit)) if endpoint else []
        moved = [row for row in rows if _recoverable(row, task)]
        for row in moved:
            self.make_due(row[0], endpoint[0] if endpoint else 0, now)
        task = msgspec.structs.replace(
            task, moved=task.moved + len(moved), done=len(rows) < limit, updated_at=now
        )
        self.execute(
            "UPDATE ringback_task SET done = ?, position = ?, record = ? WHERE id = ?",
            (task.done, rows[-1][0] if rows else position, msgspec.json.encode(task), task.id),
        )
        return task


class _Intake:
    """The rows of one batch of acceptances, as they gather."""

    def __init__(self, first_key: int, lease: Lease, admit: Admit) -> None:
        self.messages: list[Row] = []
        self.deliveries: list[Row] = []
        self.documents: list[Document] = []
        self.accepted: dict[str, Message] = {}
        self.event_ids: set[tuple[int, str]] = set()
        self._key = first_key
        self._lease = lease
        self._admit = admit

    def add(self, acceptance: Acceptance, route: Route) -> Accepted:
        """Gather the rows of one message and its deliveries."""
        targets, skipped = route.fan(acceptance.event_type, acceptance.channels)
        held = None if acceptance.inbound is None else policy.held(acceptance.inbound, matched=bool(targets))
        if held is not None:
            targets = ()
        message = Message(
            id=acceptance.id,
            application_id=route.application_id,
            event_type=acceptance.event_type,
            payload=acceptance.payload,
            created_at=acceptance.created_at,
            event_id=acceptance.event_id,
            channels=acceptance.channels,
            skipped=skipped,
            inbound=acceptance.inbound,
            held=held,
        )
        key, self._key = self._key, self._key + 1
        self.messages.append(
            (
                key,
                route.key,
                message.id,
                message.event_type,
                message.event_id,
                names_text(message.channels),
                message.created_at,
                skipped_text(skipped),
                message.payload,
                inbound_record(message.inbound),
                held,
            )
        )
        self.accepted[message.id] = message
        if message.event_id is not None:
            self.event_ids.add((route.key, message.event_id))
        return self._deliver(message, acceptance.payload, key, targets)

    def _deliver(
        self, message: Message, payload: bytes, key: int, targets: Sequence[tuple[int, Endpoint]]
    ) -> Accepted:
        works: list[Work] = []
        spilled: list[Endpoint] = []
        for endpoint_key, endpoint in targets:
            if self._admit(endpoint):
                self.deliveries.append(
                    (
                        key,
                        endpoint_key,
                        LEASED,
                        0,
                        self._lease.until,
                        self._lease.token,
                        _SCHEDULED,
                        _unnamed(endpoint),
                    )
                )
                works.append(
                    Work(
                        key=(key, endpoint_key),
                        message_id=message.id,
                        event_type=message.event_type,
                        payload=payload,
                        accepted_at=message.created_at,
                        endpoint=endpoint,
                        attempts=0,
                        trigger=Trigger.SCHEDULED,
                        lease=self._lease,
                        inbound=message.inbound,
                    )
                )
            else:
                self.deliveries.append(
                    (
                        key,
                        endpoint_key,
                        _WAITING,
                        0,
                        message.created_at,
                        None,
                        _SCHEDULED,
                        _unnamed(endpoint),
                    )
                )
                spilled.append(endpoint)
        return Accepted(message, tuple(works), tuple(spilled))


def _unnamed(endpoint: Endpoint) -> str | None:
    return UNNAMED if endpoint.ordered else None


def _use_in(route: Route, idempotency: Idempotency | None) -> Idempotency | None:
    # An application may be called by its id or its uid, and a uid may pass to another application.
    if idempotency is None:
        return None
    return msgspec.structs.replace(idempotency, scope=f"{idempotency.scope}:{route.application_id}")


def _ended_row(settlement: Settlement) -> Row:
    work, decision = settlement.work, settlement.decision
    return (
        *work.key,
        work.lease.token,
        ENDED[decision.step],
        work.attempts + (settlement.attempt is not None and decision.step is not Step.POSTPONE),
        decision.due_at,
        settlement.reason,
        # What is given back untried is no less suspect than before; where there is an order, `begun` says what runs.
        settlement.attempt is not None,
    )


def _taken(row: Row, endpoint_key: int, endpoint: Endpoint, lease: Lease) -> Work:
    message_key, _, attempts, trigger, message_id, event_type, payload, created_at, inbound, begun = row
    return Work(
        key=(message_key, endpoint_key),
        message_id=message_id,
        event_type=event_type,
        payload=payload,
        accepted_at=created_at,
        endpoint=endpoint,
        attempts=attempts,
        trigger=Trigger(trigger),
        lease=lease,
        inbound=inbound_of(inbound),
        begun=begun,
    )


def _recoverable(row: Row, task: Task) -> bool:
    _, created_at, state, attempts = row
    untried = state == _WAITING and attempts == 0
    return task.since <= created_at < task.until and not untried
