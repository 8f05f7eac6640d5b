"""The law of deliveries: states, schedules, decisions, health, leases, fan-out."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import policy
from ringback.errors import IllegalTransition, InvalidInput
from ringback.model import (
    DeliveryState,
    Endpoint,
    EndpointState,
    Held,
    Inbound,
    Manner,
    Outcome,
    OutcomeKind,
    SkipReason,
)
from ringback.policy import (
    AT_REST,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    TRANSITIONS,
    Decision,
    Health,
    RetrySchedule,
    Step,
)

PROPERTY = settings(deadline=None, max_examples=200)
NOW = 1_700_000_000_000
DISABLE_AFTER = 5 * DAY

OK = Outcome(kind=OutcomeKind.SUCCESS, status=200)
GONE = Outcome(kind=OutcomeKind.REFUSED, status=410)
ERROR = Outcome(kind=OutcomeKind.REFUSED, status=500)
UNKNOWN = Outcome(kind=OutcomeKind.UNKNOWN)
# What a receiver or a handler wants, rather than what went wrong.
ASKED_FOR = {OutcomeKind.SUCCESS, OutcomeKind.AGAIN, OutcomeKind.DISCARDED}
ENDPOINT = Endpoint(
    id="ep_1", application_id="app_1", url="https://example.com", created_at=0, updated_at=0, secrets=()
)


def an_endpoint(**changes):
    return msgspec.structs.replace(ENDPOINT, **changes)


retry_afters = st.none() | st.integers(-HOUR, 30 * DAY)
failures = st.builds(
    lambda kind, status, retry_after: Outcome(kind=kind, status=status, retry_after=retry_after),
    st.sampled_from([kind for kind in OutcomeKind if kind not in ASKED_FOR]),
    st.just(0) | st.integers(300, 599).filter(lambda status: status != policy.GONE),
    retry_afters,
)
schedules = st.builds(
    RetrySchedule,
    st.lists(st.integers(0, policy.MAX_DELAY), max_size=policy.MAX_DELAYS).map(tuple),
    st.floats(0, 1),
)
chances = st.floats(0, 1, exclude_max=True)

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


# --- Retry schedules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0),
        ("250ms", 250),
        ("1.5s", 1_500),
        ("0.001s", 1),
        ("5m", 5 * MINUTE),
        ("2h", 2 * HOUR),
        ("7d", 7 * DAY),
        (" 30s ", 30 * SECOND),
    ],
)
def test_durations_are_read(text, milliseconds):
    """A number and a unit are milliseconds."""
    assert policy.parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "-1s", "+1s", "1 s", "1S", "1e3s", "1.s", ".5s", "1,5s", "1h30m", "∞s", "1.2345s", "nan"],
)
def test_text_that_is_no_duration_is_refused(text):
    """Anything else is refused, and the message shows how to write one."""
    with pytest.raises(ValueError, match="such as 30s"):
        policy.parse_duration(text)


@given(st.text())
@PROPERTY
def test_any_text_is_a_schedule_or_a_value_error(text):
    """Whatever is written, the answer is a schedule within bounds or a ValueError."""
    try:
        schedule = policy.parse_schedule(text)
    except ValueError:
        return
    assert len(schedule.delays) <= policy.MAX_DELAYS


@given(st.lists(st.integers(0, policy.MAX_DELAY), min_size=1, max_size=policy.MAX_DELAYS))
@PROPERTY
def test_schedules_are_read_as_written(delays):
    """Delays separated by commas become the schedule's delays, in order, with the usual jitter."""
    assert policy.parse_schedule(", ".join(f"{delay}ms" for delay in delays)) == RetrySchedule(
        tuple(delays), 0.2
    )


def test_schedules_have_names():
    """``default``, ``xendit`` and ``none`` name schedules; ``none`` is a single attempt."""
    assert policy.parse_schedule("default") is policy.DEFAULT_SCHEDULE
    assert policy.parse_schedule(" xendit ") is policy.XENDIT_SCHEDULE
    assert policy.parse_schedule("none").attempts == policy.parse_schedule("").attempts == 1


@pytest.mark.parametrize(
    ("schedule", "attempts", "total"),
    [
        (policy.DEFAULT_SCHEDULE, 10, 75 * HOUR + 35 * MINUTE + 5 * SECOND),
        (policy.XENDIT_SCHEDULE, 7, 24 * HOUR),
    ],
)
def test_the_named_schedules_last_as_long_as_documented(schedule, attempts, total):
    """The default schedule makes ten attempts over three days, Xendit's seven over one."""
    assert schedule.attempts == attempts
    assert sum(schedule.delays) == total


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8d", "between 0 and 7 days"),
        ("168.001h", "between 0 and 7 days"),
        (",".join(["1s"] * 51), "at most 50 delays, not 51"),
        ("1s,,2s", "not a duration"),
        ("1s,", "not a duration"),
        ("defaults", "not a duration"),
    ],
)
def test_schedules_out_of_bounds_are_refused(text, message):
    """Too many, too long or malformed delays are refused with what is allowed."""
    with pytest.raises(ValueError, match=message):
        policy.parse_schedule(text)


def test_negative_delays_are_refused():
    """A schedule given as numbers is held to the same bounds."""
    with pytest.raises(ValueError, match="between 0 and 7 days"):
        policy.custom_schedule((-1,))
    assert policy.custom_schedule((0, policy.MAX_DELAY)).attempts == 3


def test_fifty_delays_are_the_most():
    """A schedule of exactly 50 delays is accepted: 51 attempts."""
    assert policy.custom_schedule((SECOND,) * 50).attempts == 51


# --- After an attempt --------------------------------------------------------------------------------------


@given(st.integers(1, 60), schedules, chances)
@PROPERTY
def test_success_ends_a_delivery(attempts, schedule, chance):
    """2xx ends the delivery well, whichever attempt it was."""
    assert policy.decide(OK, attempts, schedule, NOW, chance) == Decision(Step.SUCCEED)


@given(st.integers(1, 60), failures, schedules, chances)
@PROPERTY
def test_nothing_but_success_succeeds(attempts, outcome, schedule, chance):
    """Redirects, errors, silence and network trouble are never a success."""
    assert policy.decide(outcome, attempts, schedule, NOW, chance).step in {Step.RETRY, Step.EXHAUST}


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_failure(status):
    """A redirect is retried like any failure, and never followed."""
    redirect = Outcome(kind=OutcomeKind.REFUSED, status=status)
    assert policy.decide(redirect, 1, policy.DEFAULT_SCHEDULE, NOW, 0.5).step is Step.RETRY


@given(st.integers(1, 60), schedules, chances, retry_afters)
@PROPERTY
def test_gone_ends_a_delivery_at_once(attempts, schedule, chance, retry_after):
    """410 is never retried, whatever the schedule still allows."""
    gone = msgspec.structs.replace(GONE, retry_after=retry_after)
    assert policy.decide(gone, attempts, schedule, NOW, chance) == Decision(Step.EXHAUST)


@given(failures, schedules, st.lists(chances, min_size=51, max_size=51))
@PROPERTY
def test_a_failing_delivery_gets_exactly_its_attempts(outcome, schedule, dice):
    """One that always fails is retried until the schedule's attempts are made, and then ends."""
    made = 1
    while policy.decide(outcome, made, schedule, NOW, dice[made - 1]).step is Step.RETRY:
        made += 1
    assert made == schedule.attempts


@given(schedules.filter(lambda schedule: schedule.delays), failures, chances, st.data())
@PROPERTY
def test_retries_are_due_within_the_jitter(schedule, outcome, chance, data):
    """Without Retry-After, the next attempt is due within the jitter's share of the scheduled delay."""
    attempts = data.draw(st.integers(1, len(schedule.delays)))
    plain = msgspec.structs.replace(outcome, retry_after=None)
    decision = policy.decide(plain, attempts, schedule, NOW, chance)
    scheduled = schedule.delays[attempts - 1]
    assert decision.step is Step.RETRY
    assert abs(decision.due_at - NOW - scheduled) <= scheduled * schedule.jitter + 1
    assert decision.due_at >= NOW


def test_jitter_spreads_over_its_whole_range():
    """The random number moves the delay from 80 % to 120 % of the schedule, 100 % in the middle."""
    schedule = RetrySchedule((100 * SECOND,))
    delays = [policy.retry_delay(ERROR, 1, schedule, chance) for chance in (0.0, 0.5, 1.0)]
    assert delays == [80 * SECOND, 100 * SECOND, 120 * SECOND]


def test_xendit_retries_are_on_the_minute():
    """The provider's schedule has no jitter."""
    assert policy.retry_delay(ERROR, 1, policy.XENDIT_SCHEDULE, 0.0) == 15 * MINUTE


@given(schedules.filter(lambda schedule: schedule.delays), failures, chances, st.data())
@PROPERTY
def test_retry_after_only_ever_lengthens_and_only_so_far(schedule, outcome, chance, data):
    """Retry-After never brings an attempt forward, and never defers past an hour or twice the delay."""
    attempts = data.draw(st.integers(1, len(schedule.delays)))
    plain = msgspec.structs.replace(outcome, retry_after=None)
    without = policy.retry_delay(plain, attempts, schedule, chance)
    delay = policy.retry_delay(outcome, attempts, schedule, chance)
    ceiling = max(HOUR, 2 * schedule.delays[attempts - 1])
    assert without <= delay <= max(without, ceiling)
    if outcome.retry_after is not None and outcome.retry_after <= ceiling:
        assert delay == max(without, outcome.retry_after)


@pytest.mark.parametrize(
    ("delay", "asked", "waited"),
    [
        (5 * SECOND, 60 * SECOND, 60 * SECOND),
        (5 * SECOND, 1 * SECOND, 5 * SECOND),
        (5 * SECOND, 2 * HOUR, HOUR),
        (10 * HOUR, 30 * HOUR, 20 * HOUR),
        (5 * SECOND, 0, 5 * SECOND),
        (5 * SECOND, -1, 5 * SECOND),
    ],
)
def test_retry_after_examples(delay, asked, waited):
    """A receiver may slow us down but not make us forget."""
    outcome = Outcome(kind=OutcomeKind.REFUSED, status=429, retry_after=asked)
    assert policy.retry_delay(outcome, 1, RetrySchedule((delay,)), 0.5) == waited


@pytest.mark.parametrize("kind", OutcomeKind)
def test_what_speaks_against_an_endpoint(kind):
    """Every end but success, the unknown and what was called off counts as the endpoint's failure."""
    expected = kind not in {OutcomeKind.SUCCESS, OutcomeKind.UNKNOWN, OutcomeKind.DISCARDED}
    assert policy.counts_as_failure(kind) is expected


# --- Health ------------------------------------------------------------------------------------------------

EXHAUSTED = Decision(Step.EXHAUST)
RETRIED = Decision(Step.RETRY, NOW + SECOND)


def judged(outcome, decision, since=None, disable_after=DISABLE_AFTER):
    return policy.judge_endpoint(an_endpoint(failing_since=since), outcome, decision, NOW, disable_after)


def test_success_clears_a_failing_record():
    """A success forgets earlier failures, and writes nothing where there were none."""
    assert judged(OK, Decision(Step.SUCCEED), since=NOW - DAY) == Health()
    assert judged(OK, Decision(Step.SUCCEED)) is None


def test_the_first_failure_is_remembered():
    """The first failure since a success is recorded; later ones change nothing, so rows are not rewritten."""
    assert judged(ERROR, RETRIED) == Health(failing_since=NOW)
    assert judged(ERROR, RETRIED, since=NOW - DAY) is None
    assert judged(ERROR, RETRIED, since=0) is None


def test_gone_disables_at_once():
    """410 says the endpoint wants nothing more, so it is disabled at the first."""
    assert judged(GONE, EXHAUSTED) == Health(NOW, disable="gone")
    assert judged(GONE, EXHAUSTED, since=NOW - DAY) == Health(NOW - DAY, disable="gone")


def test_an_endpoint_is_disabled_once_it_failed_for_long_enough():
    """It takes an exhausted delivery and the whole of ``disable_after`` without success, not less."""
    assert judged(ERROR, EXHAUSTED, since=NOW - DISABLE_AFTER) == Health(
        NOW - DISABLE_AFTER, disable="failing"
    )
    assert judged(ERROR, EXHAUSTED, since=NOW - DISABLE_AFTER + 1) is None
    assert judged(ERROR, RETRIED, since=NOW - 2 * DISABLE_AFTER) is None


# --- Senders that a sandbox plays --------------------------------------------------------------------------

PLAYED = an_endpoint(manner=Manner(user_agent="axios/1"))
SILENT = Outcome(kind=OutcomeKind.TIMEOUT, retry_after=DAY)


@given(schedules.filter(lambda schedule: schedule.delays), failures, chances, st.data())
@PROPERTY
def test_a_played_sender_keeps_its_delays_to_the_letter(schedule, outcome, chance, data):
    """Neither chance nor what the receiver asks for moves a retry, 410 is a failure like any other."""
    played = policy.schedule_of(PLAYED, schedule)
    attempts = data.draw(st.integers(1, len(schedule.delays)))
    if outcome.kind is OutcomeKind.TIMEOUT:
        outcome = ERROR
    for one in (outcome, GONE):
        expected = Decision(Step.RETRY, NOW + schedule.delays[attempts - 1])
        assert policy.decide(one, attempts, played, NOW, chance) == expected
    assert policy.decide(ERROR, len(schedule.delays) + 1, played, NOW, chance) == Decision(Step.EXHAUST)


def test_silence_ends_a_played_delivery_unless_it_is_retried():
    """A receiver that did not answer in time is not tried again, but where that is what the sender does."""
    own = an_endpoint(manner=Manner(user_agent="axios/1", retries_silence=True), retry_schedule=(SECOND,))
    tried = policy.decide(SILENT, 1, policy.schedule_of(own, policy.XENDIT_SCHEDULE), NOW, 0.5)
    assert tried == Decision(Step.RETRY, NOW + SECOND)
    left = policy.decide(SILENT, 1, policy.schedule_of(PLAYED, policy.XENDIT_SCHEDULE), NOW, 0.5)
    assert left == Decision(Step.EXHAUST)


def test_other_endpoints_have_the_usual_schedule_or_their_own():
    """Without a manner an endpoint's own delays replace the usual ones, with the usual jitter."""
    assert policy.schedule_of(ENDPOINT, policy.XENDIT_SCHEDULE) is policy.XENDIT_SCHEDULE
    own = an_endpoint(retry_schedule=(SECOND,))
    assert policy.schedule_of(own, policy.XENDIT_SCHEDULE) == RetrySchedule((SECOND,))


@given(failures | st.just(OK) | st.just(GONE), st.integers(1, 12), st.none() | st.integers(0, NOW))
@PROPERTY
def test_a_played_senders_endpoint_is_never_disabled(outcome, attempts, since):
    """However long it has failed, whatever it answers: the provider goes on, and so does who plays it."""
    endpoint = msgspec.structs.replace(PLAYED, failing_since=since)
    decision = policy.decide(
        outcome, attempts, policy.schedule_of(endpoint, policy.XENDIT_SCHEDULE), NOW, 0.5
    )
    health = policy.judge_endpoint(endpoint, outcome, decision, NOW, 0)
    assert health is None or health.disable is None


def test_an_unknown_outcome_says_nothing_about_the_endpoint():
    """An attempt nobody saw the end of neither marks nor disables its endpoint, and clears nothing."""
    assert judged(UNKNOWN, RETRIED) is None
    assert judged(UNKNOWN, EXHAUSTED, since=NOW - 2 * DISABLE_AFTER) is None


@given(
    failures | st.just(OK) | st.just(GONE),
    st.integers(1, 12),
    st.none() | st.integers(0, NOW),
    st.integers(0, DAY),
)
@PROPERTY
def test_an_endpoint_is_only_disabled_for_cause(outcome, attempts, since, disable_after):
    """Disabling takes a 410, or an exhausted delivery after ``disable_after`` without success."""
    decision = policy.decide(outcome, attempts, policy.DEFAULT_SCHEDULE, NOW, 0.5)
    health = judged(outcome, decision, since, disable_after)
    if health is None or health.disable is None:
        return
    gone = outcome.status == policy.GONE
    failing = decision.step is Step.EXHAUST and NOW - (NOW if since is None else since) >= disable_after
    assert not outcome.ok
    assert (health.disable == "gone") == gone
    assert gone or failing


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


# --- Fan-out -----------------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "c"])
some_names = st.none() | st.lists(names, unique=True).map(tuple)
endpoints = st.builds(
    lambda state, event_types, channels: an_endpoint(state=state, event_types=event_types, channels=channels),
    st.sampled_from(EndpointState),
    some_names,
    some_names,
)


@given(st.lists(endpoints, max_size=8), names, some_names)
@PROPERTY
def test_fan_out_divides_the_endpoints(candidates, event_type, channels):
    """Every endpoint either gets the message or has the reason why not on record; none both, none neither."""
    numbered = [msgspec.structs.replace(one, id=f"ep_{index}") for index, one in enumerate(candidates)]
    targets, skipped = policy.fan_out(numbered, event_type, channels)
    assert sorted([*(one.id for one in targets), *skipped]) == [one.id for one in numbered]
    assert targets == [one for one in numbered if one.id not in skipped]
    for one in numbered:
        assert policy.skip_reason(one, event_type, channels) == skipped.get(one.id)


@given(endpoints, names, some_names)
@PROPERTY
def test_a_message_reaches_exactly_those_who_asked(endpoint, event_type, channels):
    """An endpoint gets a message unless it is disabled, or listens to other event types or other channels."""
    wanted = (
        endpoint.state is not EndpointState.DISABLED
        and (endpoint.event_types is None or event_type in endpoint.event_types)
        and (endpoint.channels is None or bool({*endpoint.channels} & {*(channels or ())}))
    )
    assert (policy.skip_reason(endpoint, event_type, channels) is None) == wanted


@pytest.mark.parametrize(
    ("changes", "channels", "reason"),
    [
        ({}, None, None),
        ({"state": EndpointState.PAUSED}, None, None),
        ({"state": EndpointState.DISABLED}, None, SkipReason.DISABLED),
        ({"event_types": ("paid",)}, None, None),
        ({"event_types": ("expired",)}, None, SkipReason.EVENT_TYPE),
        ({"event_types": ()}, None, SkipReason.EVENT_TYPE),
        ({"channels": ("jakarta",)}, None, SkipReason.CHANNEL),
        ({"channels": ("jakarta",)}, ("bandung", "jakarta"), None),
        ({"channels": ("jakarta",)}, ("bandung",), SkipReason.CHANNEL),
        ({}, ("bandung",), None),
        ({"state": EndpointState.DISABLED, "event_types": ()}, None, SkipReason.DISABLED),
    ],
)
def test_skip_reasons(changes, channels, reason):
    """The first reason that applies is on record; a paused endpoint is not skipped, deliveries wait."""
    assert policy.skip_reason(an_endpoint(**changes), "paid", channels) == reason


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
