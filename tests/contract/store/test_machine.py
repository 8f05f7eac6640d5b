"""Deliveries under any order of events: the store against a model of a few dictionaries.

Two endpoints, messages for now and for later, a worker that forgets, leases that run out, zombies that settle late,
people who resend and who cancel.
"""
# ruff: noqa: D102 - rules and invariants are named for what they do

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from machines import Machine, drive
from scene import DATABASES, LEASE, MANY

from ringback.errors import Conflict
from ringback.model import DeliveryState, OutcomeKind, Trigger
from ringback.policy import AT_REST, Step, next_state
from ringback.store import AttemptFilter, MessageFilter, Page


class Row(msgspec.Struct):
    """A delivery as the model knows it; ``token`` is that of the lease in force."""

    state: DeliveryState
    due_at: int | None
    token: int | None = None
    attempts: int = 0
    trigger: Trigger = Trigger.SCHEDULED
    kinds: list[OutcomeKind] = []

    def due(self, now):
        return self.due_at is not None and self.due_at <= now

    def take(self, lease):
        if self.state is DeliveryState.LEASED:
            self.kinds = [*self.kinds, OutcomeKind.UNKNOWN]
        self.state, self.due_at, self.token = next_state(self.state, Step.TAKE), lease.until, lease.token

    def settle(self, work, step, due_at, attempt):
        if attempt is not None:
            self.kinds = [*self.kinds, attempt.outcome.kind]
        if self.token != work.lease.token:
            return False
        self.state, self.due_at, self.token = next_state(self.state, step), due_at, None
        self.attempts += attempt is not None
        return True

    def resend(self, now):
        self.state, self.due_at, self.attempts = next_state(self.state, Step.RESEND), now, 0
        self.trigger = Trigger.MANUAL


class StoreMachine(Machine):
    """Drives the store and the model alike, and compares them after every step."""

    def __init__(self, kind, folder):
        super().__init__(kind, folder)
        self.rows = {}
        self.works = []

    @initialize()
    def begin(self):
        self.application = self.scene.application()
        self.endpoints = [self.scene.endpoint(self.application) for _ in range(2)]

    # The line.

    @rule(room=st.lists(st.booleans(), min_size=2, max_size=2))
    def accept(self, room):
        admitted = {endpoint.id for endpoint, has in zip(self.endpoints, room, strict=True) if has}
        acceptance = self.scene.acceptance(self.application)
        (accepted,) = self.scene.accept(acceptance, admit=lambda endpoint: endpoint.id in admitted)
        assert {work.endpoint.id for work in accepted.works} == admitted
        for endpoint in accepted.spilled:
            self.rows[acceptance.id, endpoint.id] = Row(DeliveryState.WAITING, acceptance.created_at)
        for work in accepted.works:
            row = Row(DeliveryState.LEASED, work.lease.until, work.lease.token)
            self.rows[acceptance.id, work.endpoint.id] = row
            self.works.append(work)

    @rule(after=st.sampled_from([1, 5_000, LEASE]))
    def accept_for_later(self, after):
        acceptance = self.scene.acceptance(self.application)
        later = msgspec.structs.replace(acceptance, deliver_at=self.scene.now + after)
        (accepted,) = self.scene.accept(later)
        assert (accepted.works, accepted.scheduled) == ((), len(self.endpoints))
        for endpoint in self.endpoints:
            self.rows[later.id, endpoint.id] = Row(DeliveryState.WAITING, later.deliver_at)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def cancel(self, data):
        message, _ = data.draw(st.sampled_from(sorted(self.rows)))
        waiting = [
            row
            for (owner, _), row in self.rows.items()
            if owner == message and row.state is DeliveryState.WAITING
        ]
        count = self.scene.write(self.scene.store.cancel_message, self.application.id, message)
        assert count == len(waiting)
        for row in waiting:
            row.state, row.due_at = next_state(row.state, Step.CANCEL), None

    @rule(limit=st.integers(1, 3))
    def take(self, limit):
        due = {key: row.due_at for key, row in self.rows.items() if row.due(self.scene.now)}
        taken = self.scene.take(limit=limit)
        for endpoint in self.endpoints:
            expected = sorted(at for (_, owner), at in due.items() if owner == endpoint.id)[:limit]
            got = [
                due[work.message_id, work.endpoint.id] for work in taken if work.endpoint.id == endpoint.id
            ]
            assert got == expected
        for work in taken:
            row = self.rows[work.message_id, work.endpoint.id]
            assert (work.attempts, work.trigger) == (row.attempts, row.trigger)
            row.take(work.lease)
        self.works += taken

    @precondition(lambda self: self.works)
    @rule(data=st.data(), step=st.sampled_from([Step.SUCCEED, Step.RETRY, Step.POSTPONE, Step.EXHAUST]))
    def settle(self, data, step):
        """Any work ever handed out is settled: in time, late, twice, or after another took over."""
        work = data.draw(st.sampled_from(self.works))
        due_at = self.scene.now + 5_000 if step in {Step.RETRY, Step.POSTPONE} else None
        settlement = self.scene.settlement(work, step, due_at)
        with self.scene.store.transaction():
            (held,) = self.scene.store.settle([settlement])
        row = self.rows[work.message_id, work.endpoint.id]
        assert held == row.settle(work, step, due_at, settlement.attempt)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def resend(self, data):
        key = data.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows[key]
        try:
            self.scene.write(self.scene.store.resend, self.application.id, *key, self.scene.now)
        except Conflict:
            assert row.state is DeliveryState.LEASED
        else:
            row.resend(self.scene.now)

    @rule(milliseconds=st.sampled_from([1, 5_000, LEASE, 10 * LEASE]))
    def time_passes(self, milliseconds):
        self.scene.tick(milliseconds)

    @rule()
    def reopen(self):
        self.scene.store.close()
        self.scene.store = self.database.open()

    # What always holds.

    @invariant()
    def the_store_is_the_model(self):
        store, page = self.scene.store, Page(limit=MANY)
        seen = {}
        for endpoint in self.endpoints:
            kinds = {}
            for attempt in store.attempts(self.application.id, AttemptFilter(endpoint_id=endpoint.id), page):
                kinds.setdefault(attempt.message_id, []).append(attempt.outcome.kind)
            for delivery, message in store.addressed(self.application.id, endpoint.id, MessageFilter(), page):
                told = (delivery.state, delivery.due_at, delivery.attempts, delivery.trigger)
                seen[message.id, endpoint.id] = (*told, sorted(kinds.pop(message.id, [])))
            assert not kinds
        assert seen == {
            key: (row.state, row.due_at, row.attempts, row.trigger, sorted(row.kinds))
            for key, row in self.rows.items()
        }

    @invariant()
    def what_is_due_is_listed(self):
        due = {key: row.due_at for key, row in self.rows.items() if row.due(self.scene.now)}
        listed = {one.endpoint_id: one.oldest_due_at for one in self.scene.store.due(self.scene.now, MANY)}
        assert set(listed) == {endpoint_id for _, endpoint_id in due}
        for endpoint_id, oldest in listed.items():
            assert oldest == min(at for (_, owner), at in due.items() if owner == endpoint_id)

    @invariant()
    def the_count_is_right(self):
        waiting = sum(row.state not in AT_REST for row in self.rows.values())
        assert self.scene.store.statistics(self.scene.now).waiting == waiting


@pytest.mark.parametrize("kind", DATABASES)
def test_the_store_is_its_model(kind, tmp_path):
    """Whatever happens in whatever order, the store says what the model says."""
    drive(StoreMachine, kind, tmp_path, examples=40, steps=40)
