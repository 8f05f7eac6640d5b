"""The line's verbs that both databases share: settle and resend."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from ringback import ids
from ringback.errors import Conflict, MissingPayload, NotFound
from ringback.model import (
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointState,
    Instant,
    Outcome,
    OutcomeKind,
    Trigger,
)
from ringback.policy import BEHIND_ANOTHER, Step, next_state
from ringback.store import Lease, Settlement, Work
from ringback.store.sql.announcing import Announcing
from ringback.store.sql.catalog import UNNAMED
from ringback.store.sql.records import (
    DELIVERY_COLUMNS,
    attempt_row,
    delivery_of,
    inbound_of,
)
from ringback.store.sql.tables import Many, Row

ENDED = {
    step: next_state(DeliveryState.LEASED, step).value
    for step in (Step.SUCCEED, Step.RETRY, Step.POSTPONE, Step.EXHAUST, Step.CANCEL)
}
# What a commit may have stored although it failed is stored again when it is tried again.
INSERT_ATTEMPTS = Many(
    "INSERT INTO ringback_attempt (message_key, id, endpoint_key, number, trigger, url, started_at, duration,"
    " kind, detail, status, phases, body) {rows} ON CONFLICT DO NOTHING",
    "itiittiittitb",
)
# What waits behind a delivery that is brought forward need not wait for the time when that would have been tried.
FOLLOW = f"""
    UPDATE ringback_delivery AS behind SET due_at = ?
    WHERE endpoint_key = ? AND message_key > ? AND due_at > ? AND state = 'waiting' AND reason = '{BEHIND_ANOTHER}'
    AND ordering_key = (
        SELECT ordering_key FROM ringback_delivery WHERE endpoint_key = ? AND message_key = ?
    )
"""
_MAKE_DUE = """
    INSERT INTO ringback_delivery (message_key, endpoint_key, state, attempts, due_at, trigger, ordering_key)
    SELECT ?, key, ?, 0, ?, 'manual', CASE WHEN {ordered} THEN '{unnamed}' END FROM ringback_endpoint WHERE key = ?
    ON CONFLICT (message_key, endpoint_key) DO UPDATE SET state = excluded.state, attempts = 0,
    due_at = excluded.due_at, trigger = excluded.trigger, reason = NULL, lease_token = NULL, begun = 0,
    ordering_key = coalesce(ringback_delivery.ordering_key, excluded.ordering_key)
"""


class Line(Announcing):
    """The verbs that messages pass through."""

    # --- Settling -----------------------------------------------------------------------------------------

    @abstractmethod
    def end_leases(self, ended: Sequence[Row], attempts: Sequence[Row]) -> list[bool]:
        """End leases, given message key, endpoint key, token, new state, attempts, due_at, reason, whether tried.

        Tell for each whether it was still held; where it was not, nothing has changed. The *attempts*, as
        ``attempt_row`` has them, are stored whatever came of the leases.
        """

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See ``Store``."""
        attempts = [
            attempt_row(settlement.work.key, settlement.attempt)
            for settlement in settlements
            if settlement.attempt is not None
        ]
        held = self.end_leases([_ended_row(settlement) for settlement in settlements], attempts)
        for settlement, still in zip(settlements, held, strict=True):
            if still and settlement.health is not None:
                self._change_health(settlement)
        self.announce_turns([one for one, still in zip(settlements, held, strict=True) if still])
        return held

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
            self.announce_disabled(settlement)

    # --- What vanished ------------------------------------------------------------------------------------

    def mark_vanished(self, rows: Sequence[Row], key: int, endpoint: Endpoint, now: Instant) -> None:
        """Record the attempts that may have been made under leases that ran out; *rows* are as ``taken`` has them."""
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
            raise MissingPayload
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
            f"SELECT state FROM ringback_delivery WHERE message_key = ? AND endpoint_key = ? {self.dialect.lock}",
            key,
        )
        state = None if current is None else DeliveryState(current[0])
        if state is DeliveryState.LEASED:
            raise Conflict("an attempt is under way; wait for its outcome")
        if state is DeliveryState.WAITING:
            # It is a person's from now on: no task that had made it due takes it back.
            self.execute("DELETE FROM ringback_replayed WHERE message_key = ? AND endpoint_key = ?", key)
        after = next_state(state, Step.RESEND).value
        make_due = _MAKE_DUE.format(ordered=self.dialect.ordered, unnamed=UNNAMED)
        self.execute(make_due, (message_key, after, now, endpoint_key))
        self.execute(FOLLOW, (now, endpoint_key, message_key, now, endpoint_key, message_key))


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


def taken(row: Row, endpoint_key: int, endpoint: Endpoint, lease: Lease) -> Work:
    """Return the work of a row: message's key, state, attempts, trigger, id, type, payload, instant, inbound, begun."""
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
