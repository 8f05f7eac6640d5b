"""One delivery, several nodes, any interleaving: leases and fencing keep the law.

The store is modelled in its plainest form - one row, changed only under its rules - and every decision is the
real ``policy``'s. Nodes take, send, crash, settle late, and settle what another node has taken over.
"""
# ruff: noqa: D102 - rules and invariants are named for what they do

import itertools

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ringback import policy
from ringback.errors import IllegalTransition
from ringback.model import DeliveryState, Endpoint, EndpointState, Outcome, OutcomeKind
from ringback.policy import AT_REST, RetrySchedule, Step

DEADLINE = 15_000
DISABLE_AFTER = 60_000
START = 1_700_000_000_000

OUTCOMES = [
    Outcome(kind=OutcomeKind.SUCCESS, status=200),
    Outcome(kind=OutcomeKind.REFUSED, status=500),
    Outcome(kind=OutcomeKind.REFUSED, status=410),
    Outcome(kind=OutcomeKind.REFUSED, status=429, retry_after=90_000),
    Outcome(kind=OutcomeKind.TIMEOUT, detail="wait"),
]


class Row(msgspec.Struct, frozen=True):
    """The delivery as the store keeps it; ``token`` is that of the lease in force."""

    state: DeliveryState | None = None
    attempts: int = 0
    due_at: int | None = None
    token: int | None = None


class Grant(msgspec.Struct, frozen=True):
    """What a node holds in memory: its lease, and since when it has been sending (None: not yet)."""

    token: int
    until: int
    sending_since: int | None = None


class DeliveryMachine(RuleBasedStateMachine):
    """A delivery's life under every interleaving that Hypothesis can think of."""

    def __init__(self):
        super().__init__()
        self.now = START
        self.tokens = itertools.count(1)
        self.row = Row()
        self.previous = self.row
        self.schedule = RetrySchedule(())
        self.grants = []
        self.last_step = None
        self.sent = self.counted = self.evidence = self.crashed = 0
        self.counted_this_round = 0
        self.first_failure = None
        self.endpoint = Endpoint(
            id="ep_1",
            application_id="app_1",
            url="https://example.com",
            created_at=START,
            updated_at=START,
            secrets=(),
        )

    # The store's side: the only place where the row changes.

    def move(self, step, **changes):
        after = policy.next_state(self.row.state, step)
        self.row = msgspec.structs.replace(self.row, state=after, **changes)
        self.last_step = step

    def lease(self, step):
        token, until = next(self.tokens), policy.lease_until(self.now, DEADLINE)
        self.move(step, token=token, due_at=until)
        self.grants.append(Grant(token, until))
        assert policy.may_send(self.now, until, DEADLINE), "a fresh lease is too short for an attempt"

    def holds(self, grant):
        return self.row.state is DeliveryState.LEASED and self.row.token == grant.token

    def change_endpoint(self, **changes):
        self.endpoint = msgspec.structs.replace(self.endpoint, **changes)

    # How it begins.

    @initialize(
        step=st.sampled_from([Step.ACCEPT, Step.SPILL, Step.RESEND]),
        delays=st.lists(st.sampled_from([0, 1_000, 30_000]), max_size=3),
    )
    def create(self, step, delays):
        self.schedule = RetrySchedule(tuple(delays))
        if step is Step.ACCEPT:
            self.lease(step)
        else:
            self.move(step, due_at=self.now)

    # Time.

    @rule(milliseconds=st.sampled_from([1, 500, 1_000, 14_000, 15_000, 30_000, 3_600_000]))
    def time_passes(self, milliseconds):
        self.now += milliseconds

    @precondition(lambda self: self.row.due_at is not None)
    @rule(early=st.sampled_from([0, 1]))
    def time_reaches_the_due_instant(self, early):
        self.now = max(self.now, self.row.due_at - early)

    @precondition(lambda self: self.row.state is DeliveryState.LEASED)
    @rule(margin=st.sampled_from([0, 500, 1_000, 1_001]))
    def time_reaches_the_last_moment_to_send(self, margin):
        self.now = max(self.now, self.row.due_at - DEADLINE - margin)

    # Nodes.

    def due(self):
        return self.row.due_at is not None and self.row.due_at <= self.now

    @precondition(lambda self: self.due() and self.endpoint.state is not EndpointState.PAUSED)
    @rule()
    def a_node_takes(self):
        if self.endpoint.state is EndpointState.DISABLED:
            self.move(Step.CANCEL, due_at=None, token=None)
            return
        self.lease(Step.TAKE)  # a take-over does not count: whatever the last holder sent, it never told

    @precondition(lambda self: any(grant.sending_since is None for grant in self.grants))
    @rule(data=st.data())
    def a_node_sends_or_gives_back(self, data):
        grant = data.draw(st.sampled_from([one for one in self.grants if one.sending_since is None]))
        self.grants.remove(grant)
        if not policy.may_send(self.now, grant.until, DEADLINE):
            if self.holds(grant):
                self.move(Step.POSTPONE, token=None, due_at=self.now)
            return
        assert self.holds(grant), "a node may send although its lease has passed to another"
        assert not [one for one in self.grants if self.on_the_wire(one)], "two nodes send at the same time"
        self.sent += 1
        self.grants.append(msgspec.structs.replace(grant, sending_since=self.now))

    def on_the_wire(self, grant):
        return grant.sending_since is not None and self.now < grant.sending_since + DEADLINE

    @precondition(lambda self: any(grant.sending_since is not None for grant in self.grants))
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES), chance=st.sampled_from([0.0, 0.5, 0.99]))
    def a_node_settles(self, data, outcome, chance):
        grant = data.draw(st.sampled_from([one for one in self.grants if one.sending_since is not None]))
        self.grants.remove(grant)
        held = self.holds(grant)
        in_time = self.now < grant.sending_since + DEADLINE + policy.SETTLE_MARGIN
        assert held or not in_time, "an attempt that was settled in time had lost its lease"
        if held:
            self.settle(outcome, chance)
        else:
            self.evidence += 1  # a zombie's attempt is kept, and changes nothing
            self.last_step = None

    def settle(self, outcome, chance):
        attempts = self.row.attempts + 1
        decision = policy.decide(outcome, attempts, self.schedule, self.now, chance)
        health = policy.judge_endpoint(self.endpoint, outcome, decision, self.now, DISABLE_AFTER)
        self.counted += 1
        self.counted_this_round += 1
        self.move(decision.step, attempts=attempts, due_at=decision.due_at, token=None)
        self.note_success_or_failure(outcome)
        if decision.step is Step.EXHAUST:
            assert outcome.status == policy.GONE or attempts == self.schedule.attempts
        if outcome.status == policy.GONE:
            assert self.row.state in AT_REST
        if health is not None:
            self.apply(health, outcome)

    def note_success_or_failure(self, outcome):
        if outcome.ok:
            self.first_failure = None
        elif self.first_failure is None:
            self.first_failure = self.now

    def apply(self, health, outcome):
        self.change_endpoint(failing_since=health.failing_since)
        if health.disable is None:
            return
        long_enough = self.first_failure is not None and self.now - self.first_failure >= DISABLE_AFTER
        assert outcome.status == policy.GONE or long_enough, "an endpoint was disabled without cause"
        self.change_endpoint(state=EndpointState.DISABLED, disabled_reason=health.disable)

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def a_node_crashes(self, data):
        grant = data.draw(st.sampled_from(self.grants))
        self.grants.remove(grant)
        self.crashed += grant.sending_since is not None

    @precondition(lambda self: any(grant.sending_since is None for grant in self.grants))
    @rule(data=st.data(), later=st.sampled_from([0, 5_000]))
    def a_node_postpones(self, data, later):
        grant = data.draw(st.sampled_from([one for one in self.grants if one.sending_since is None]))
        self.grants.remove(grant)
        if not self.holds(grant):
            return
        if self.endpoint.state is EndpointState.DISABLED:
            self.move(Step.CANCEL, token=None, due_at=None)
        else:
            self.move(Step.POSTPONE, token=None, due_at=self.now + later)

    # People.

    @precondition(lambda self: self.endpoint.state is not EndpointState.DISABLED)
    @rule()
    def a_person_resends(self):
        if self.row.state is DeliveryState.LEASED:
            before = self.row
            try:
                self.move(Step.RESEND)
            except IllegalTransition:
                assert self.row == before
                return
            raise AssertionError("a delivery was resent while an attempt may be under way")
        self.move(Step.RESEND, attempts=0, due_at=self.now, token=None)
        self.counted_this_round = 0

    @rule(state=st.sampled_from(EndpointState))
    def a_person_changes_the_endpoint(self, state):
        if state is EndpointState.ENABLED and self.endpoint.state is EndpointState.DISABLED:
            self.change_endpoint(failing_since=None)
            self.first_failure = None
        self.change_endpoint(state=state, disabled_reason=None)

    @precondition(lambda self: self.row.state in AT_REST)
    @rule(step=st.sampled_from([step for step in Step if step is not Step.RESEND]))
    def whatever_else_happens_at_rest_is_refused(self, step):
        before = self.row
        try:
            self.move(step)
        except IllegalTransition:
            assert self.row == before
            return
        raise AssertionError(f"a delivery at rest was moved by {step}")

    # What always holds.

    @invariant()
    def nothing_at_rest_reopens_but_by_a_resend(self):
        if self.previous.state in AT_REST and self.row != self.previous:
            assert self.last_step is Step.RESEND
        self.previous = self.row

    @invariant()
    def no_round_makes_more_attempts_than_its_schedule(self):
        assert self.row.attempts == self.counted_this_round <= self.schedule.attempts

    @invariant()
    def only_a_delivery_at_rest_has_nothing_to_wait_for(self):
        if self.row.state is not None:
            assert (self.row.due_at is None) == (self.row.state in AT_REST)
            assert (self.row.token is not None) == (self.row.state is DeliveryState.LEASED)

    @invariant()
    def at_most_one_node_holds_the_lease(self):
        assert sum(self.holds(grant) for grant in self.grants) <= 1

    @invariant()
    def every_attempt_is_accounted_for(self):
        under_way = sum(grant.sending_since is not None for grant in self.grants)
        assert self.sent == self.counted + self.evidence + self.crashed + under_way

    @invariant()
    def the_endpoint_remembers_its_first_failure(self):
        assert self.endpoint.failing_since == self.first_failure


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = settings(deadline=None, max_examples=150, stateful_step_count=60)
