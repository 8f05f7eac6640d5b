"""The law of attempts: schedules, and what follows from how an attempt ended."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdicts import (
    ERROR,
    GONE,
    NOW,
    OK,
    PROPERTY,
    chances,
    failures,
    retry_afters,
    schedules,
)

from ringback import policy
from ringback.model import (
    Outcome,
    OutcomeKind,
)
from ringback.policy import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Decision,
    RetrySchedule,
    Step,
)

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
