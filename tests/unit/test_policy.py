"""The law of deliveries: states, leases, recovery, handlers, order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdicts import NOW, PROPERTY, an_endpoint

from ringback import policy
from ringback.errors import IllegalTransition, InvalidInput
from ringback.model import (
    DeliveryState,
    Held,
    Inbound,
    Outcome,
    OutcomeKind,
)
from ringback.policy import (
    AT_REST,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    TRANSITIONS,
    Step,
)

# --- Delivery states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("state", [None, *DeliveryState])
def test_the_table_is_the_whole_law(state, step):
    """Each row of the table is legal, and every other pair of a state and a step is refused by name."""
    if (state, step) in TRANSITIONS:
        assert policy.next_state(state, step) is TRANSITIONS[state, step]
        return
    with pytest.raises(IllegalTransition, match=f"{state or 'new'} cannot {step}"):
        policy.next_state(state, step)


def test_only_a_resend_reopens_a_delivery_at_rest():
    """A delivery that succeeded, failed or was cancelled changes state by a resend and nothing else."""
    assert {DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.CANCELLED} == AT_REST
    assert {step for (state, step) in TRANSITIONS if state in AT_REST} == {Step.RESEND}
    assert all((state, Step.RESEND) in TRANSITIONS for state in AT_REST)


def test_an_attempt_under_way_is_not_resent():
    """A leased delivery cannot be resent: the node that holds it may be sending at this very moment."""
    assert (DeliveryState.LEASED, Step.RESEND) not in TRANSITIONS


def test_only_a_lease_holder_records_the_end_of_an_attempt():
    """Success, retry, exhaustion and postponement follow from a lease only."""
    ends = {Step.SUCCEED, Step.RETRY, Step.EXHAUST, Step.POSTPONE}
    assert {state for (state, step) in TRANSITIONS if step in ends} == {DeliveryState.LEASED}


def test_every_state_can_be_reached_and_left():
    """No state is unreachable, and none is a trap: from each there is a way to any other."""
    for start in [None, *DeliveryState]:
        reached, frontier = set(), {start}
        while frontier:
            frontier = {after for (before, _), after in TRANSITIONS.items() if before in frontier} - reached
            reached |= frontier
        assert reached == set(DeliveryState)


# --- Leases ------------------------------------------------------------------------------------------------


@given(st.integers(0, NOW), st.integers(1, 10 * MINUTE), st.integers(0, HOUR))
@PROPERTY
def test_an_attempt_that_may_start_is_settled_before_its_lease_ends(now, deadline, later):
    """If an attempt may be sent, its deadline and the margin to settle it end within the lease."""
    until = policy.lease_until(now, deadline)
    start = now + later
    allowed = policy.may_send(start, until, deadline)
    assert allowed == (start + deadline + policy.SETTLE_MARGIN <= until)
    if allowed:
        assert later <= policy.LEASE_MARGIN - policy.SETTLE_MARGIN


@given(st.integers(0, NOW), st.integers(1, 10 * MINUTE))
@PROPERTY
def test_a_fresh_lease_lasts_for_an_attempt(now, deadline):
    """Whatever the deadline, a lease just taken is long enough, and one that ran out is not."""
    until = policy.lease_until(now, deadline)
    assert policy.may_send(now, until, deadline)
    assert not policy.may_send(until, until, deadline)


def test_the_last_moment_to_send_leaves_a_second_to_settle():
    """With a 15 s deadline an attempt may start 16 s before the lease ends, and not a millisecond later."""
    assert policy.may_send(NOW - 16 * SECOND, NOW, 15 * SECOND)
    assert not policy.may_send(NOW - 16 * SECOND + 1, NOW, 15 * SECOND)


# --- Recovery ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, DAY, 14 * DAY, 14 * DAY + 5 * MINUTE])
def test_windows_to_recover_up_to_14_days_are_allowed(length):
    """Up to 14 days, and five minutes for the time it takes to ask."""
    policy.check_recover_window(NOW - length, NOW)


@pytest.mark.parametrize(
    ("length", "message"), [(0, "before until"), (-1, "before until"), (14 * DAY + 5 * MINUTE + 1, "14 days")]
)
def test_other_windows_to_recover_are_refused(length, message):
    """An empty or longer window is invalid input at ``since``."""
    with pytest.raises(InvalidInput, match=message) as refused:
        policy.check_recover_window(NOW - length, NOW)
    assert refused.value.fields[0].loc == ("body", "since")


# --- Handlers ----------------------------------------------------------------------------------------------


@given(
    schedule=st.lists(st.integers(0, policy.DAY), max_size=9),
    after=st.integers(0, 30 * policy.DAY),
    data=st.data(),
)
def test_a_handler_is_called_again_exactly_when_it_asks(schedule, after, data):
    """A handler that asks to be called again gets that, to the millisecond, as long as its attempts last."""
    law = policy.RetrySchedule(tuple(schedule))
    attempts = data.draw(st.integers(1, law.attempts))
    asked = Outcome(kind=OutcomeKind.AGAIN, retry_after=after)
    decision = policy.decide(asked, attempts, law, NOW, data.draw(st.floats(0, 1, exclude_max=True)))
    if attempts == law.attempts:
        assert decision == policy.Decision(policy.Step.EXHAUST)
    else:
        assert decision == policy.Decision(policy.Step.RETRY, NOW + min(after, policy.MAX_DELAY))


def test_what_a_handler_discards_is_not_tried_again():
    """A handler that wants nothing more of a message ends its delivery, and no fault is found with the handler."""
    decision = policy.decide(Outcome(kind=OutcomeKind.DISCARDED), 1, policy.DEFAULT_SCHEDULE, NOW, 0.5)
    assert decision == policy.Decision(policy.Step.CANCEL)


def test_a_message_that_does_not_fit_its_type_is_not_tried_again():
    """Trying again would change nothing about a body that a handler's type cannot hold: it waits for a replay."""
    misfit = Outcome(kind=OutcomeKind.RAISED, detail=policy.MISFIT)
    assert policy.decide(misfit, 1, policy.DEFAULT_SCHEDULE, NOW, 0.5) == policy.Decision(policy.Step.EXHAUST)


@pytest.mark.parametrize("kind", [OutcomeKind.RAISED, OutcomeKind.TIMEOUT, OutcomeKind.AGAIN])
def test_a_handler_is_never_disabled(kind):
    """However long a handler fails, messages go on being kept for it."""
    handler = an_endpoint(url="handler:xendit/fulfil", failing_since=0)
    exhausted = policy.Decision(policy.Step.EXHAUST)
    assert policy.judge_endpoint(handler, Outcome(kind=kind), exhausted, NOW, policy.DAY) is None


@pytest.mark.parametrize(
    ("patterns", "event_type", "fits"),
    [
        (("invoice.paid",), "invoice.paid", True),
        (("invoice.paid",), "invoice.paid.twice", False),
        (("invoice.*",), "invoice.paid", True),
        (("invoice.*",), "invoice.paid.twice", True),
        (("invoice.*",), "invoice", False),
        (("*.paid",), "fva.paid", True),
        (("*",), "anything at all", True),
        (("a.c",), "abc", False),
        (("[a]*",), "a", False),
        (("payment.*", "fva.*"), "fva.created", True),
    ],
)
def test_a_star_stands_for_any_characters(patterns, event_type, fits):
    """In an event type's pattern only ``*`` means something else than itself."""
    assert policy.matches(patterns, event_type) is fits


@given(
    parts=st.lists(st.text(max_size=4), min_size=1, max_size=4),
    between=st.lists(st.text(max_size=4), min_size=3),
)
def test_whatever_a_pattern_was_made_of_fits_it(parts, between):
    """Text put where the stars are always gives an event type that the pattern matches."""
    plain = [part.replace("*", "") for part in parts]
    made = "".join(
        part + middle for part, middle in zip(plain, [*between[: len(plain) - 1], ""], strict=True)
    )
    assert policy.matches(("*".join(plain),), made)


def test_why_nothing_handles_a_received_message():
    """What is not understood is quarantined, even where a handler takes everything; the rest may be unhandled."""
    understood, puzzling = Inbound(headers={}), Inbound(headers={}, understood=False)
    assert policy.held(puzzling, matched=True) is Held.QUARANTINED
    assert policy.held(understood, matched=False) is Held.UNHANDLED
    assert policy.held(understood, matched=True) is None


# --- Order ---------------------------------------------------------------------------------------------------

instants = st.lists(st.integers(NOW - HOUR, NOW + HOUR), max_size=20)


@PROPERTY
@given(instants)
def test_in_order_nobody_overtakes(due):
    """What may be taken is the longest beginning of which all is due."""
    count = policy.in_turn(due, NOW, under_way=False)
    assert all(due_at <= NOW for due_at in due[:count])
    assert count == len(due) or due[count] > NOW


@PROPERTY
@given(instants)
def test_in_order_nothing_goes_beside_another(due):
    """While one is under way, nothing may be taken, whatever is due."""
    assert policy.in_turn(due, NOW, under_way=True) == 0


@PROPERTY
@given(instants, st.integers(0, HOUR))
def test_in_order_time_only_adds(due, later):
    """What may be taken now may be taken later, unless somebody has taken it."""
    assert policy.in_turn(due, NOW, under_way=False) <= policy.in_turn(due, NOW + later, under_way=False)


@pytest.mark.parametrize(
    ("step", "holds"),
    [
        (Step.SUCCEED, False),
        (Step.EXHAUST, False),
        (Step.CANCEL, False),
        (Step.RETRY, True),
        (Step.POSTPONE, True),
    ],
)
def test_what_is_not_at_rest_holds_up_those_behind_it(step, holds):
    """Whatever its end was, what has ended stands in nobody's way."""
    assert policy.holds(step) is holds
