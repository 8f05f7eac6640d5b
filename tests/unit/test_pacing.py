"""Pacing: adaptive concurrency, the circuit breaker and the rate limit keep their bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import pacing
from ringback.model import Outcome, OutcomeKind
from ringback.pacing import Breaker, Concurrency

PROPERTY = settings(deadline=None, max_examples=200)
NOW = 1_700_000_000_000

OK = Outcome(kind=OutcomeKind.SUCCESS, status=200)
TIMEOUT = Outcome(kind=OutcomeKind.TIMEOUT, detail="wait")


def refused(status):
    return Outcome(kind=OutcomeKind.REFUSED, status=status)


outcomes = st.one_of(
    st.just(OK),
    st.just(TIMEOUT),
    st.integers(300, 599).map(refused),
    st.sampled_from([kind for kind in OutcomeKind if kind is not OutcomeKind.SUCCESS]).map(
        lambda k: Outcome(kind=k)
    ),
)

# --- Concurrency -------------------------------------------------------------------------------------------


@given(st.lists(outcomes, max_size=300))
@PROPERTY
def test_concurrency_stays_within_its_bounds(history):
    """Whatever happens, the limit stays from 1 to 64 and rises by at most one per attempt."""
    current = Concurrency()
    for outcome in history:
        after = pacing.adapt(current, outcome)
        assert pacing.MIN_CONCURRENCY <= after.limit <= pacing.MAX_CONCURRENCY
        assert after.limit <= current.limit + 1
        current = after


@pytest.mark.parametrize("outcome", [*map(refused, (429, 502, 503, 504)), TIMEOUT], ids=str)
@pytest.mark.parametrize(("limit", "halved"), [(64, 32), (33, 16), (4, 2), (2, 1), (1, 1)])
def test_overload_halves_the_concurrency(outcome, limit, halved):
    """429, 502, 503, 504 and silence halve the limit, down to one, and the count of successes starts anew."""
    assert pacing.overloaded(outcome)
    assert pacing.adapt(Concurrency(limit, streak=limit - 1), outcome) == Concurrency(halved)


@pytest.mark.parametrize(
    "outcome", [refused(400), refused(410), refused(500), Outcome(kind=OutcomeKind.CONNECT)], ids=str
)
def test_other_failures_leave_the_concurrency(outcome):
    """A failure that says nothing about load changes nothing."""
    assert not pacing.overloaded(outcome)
    assert pacing.adapt(Concurrency(8, 3), outcome) == Concurrency(8, 3)


@given(st.integers(pacing.MIN_CONCURRENCY, pacing.MAX_CONCURRENCY - 1))
@PROPERTY
def test_a_window_of_successes_adds_one(limit):
    """As many successes as the limit raise it by exactly one, not sooner."""
    current = Concurrency(limit)
    for _ in range(limit - 1):
        current = pacing.adapt(current, OK)
        assert current.limit == limit
    assert pacing.adapt(current, OK) == Concurrency(limit + 1)


def test_success_never_passes_the_ceiling():
    """At 64 further successes change nothing."""
    assert pacing.adapt(Concurrency(64), OK) == Concurrency(64)


# --- Circuit breaker ---------------------------------------------------------------------------------------


def recorded(results, now=NOW, breaker=None):
    breaker = breaker or Breaker(since=now)
    for ok in results:
        breaker = pacing.record(breaker, ok=ok, now=now)
    return breaker


@given(st.lists(st.booleans(), max_size=60))
@PROPERTY
def test_the_circuit_opens_exactly_at_its_threshold(results):
    """Within one window it opens at the first failure that makes 70 % of at least ten, and only then."""
    breaker = Breaker(since=NOW)
    for made, ok in enumerate(results, start=1):
        breaker = pacing.record(breaker, ok=ok, now=NOW)
        failures = results[:made].count(False)
        if not ok and made >= 10 and failures * 10 >= made * 7:
            assert pacing.probing(breaker)
            return
        assert not pacing.probing(breaker)
        assert pacing.admits(breaker, NOW)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20 * 60_000)), max_size=9))
@PROPERTY
def test_the_circuit_never_opens_under_ten_attempts(steps):
    """Nine attempts, however spread over time, are too few to judge an endpoint."""
    breaker, now = Breaker(), NOW
    for ok, pause in steps:
        now += pause
        breaker = pacing.record(breaker, ok=ok, now=now)
        assert not pacing.probing(breaker)


@given(st.integers(1, 40), st.integers(0, 6))
@PROPERTY
def test_an_endpoint_that_mostly_works_is_never_cut_off(rounds, failures):
    """With failures under 70 % of every ten attempts, successes first, the circuit stays closed."""
    assert not pacing.probing(recorded(([True] * (10 - failures) + [False] * failures) * rounds))


def test_ten_failures_open_the_circuit_for_its_rest():
    """An open circuit lets nothing through until its rest is over, then a single probe."""
    breaker = recorded([False] * 10)
    assert pacing.probing(breaker)
    assert not pacing.admits(breaker, NOW)
    assert not pacing.admits(breaker, NOW + pacing.BREAKER_REST - 1)
    assert pacing.admits(breaker, NOW + pacing.BREAKER_REST)
    assert pacing.probing(breaker)


def test_a_probe_that_succeeds_closes_the_circuit():
    """After a good probe the record starts anew: ten more attempts are needed to open again."""
    now = NOW + pacing.BREAKER_REST
    breaker = pacing.record(recorded([False] * 10), ok=True, now=now)
    assert breaker == Breaker(since=now)
    assert not pacing.probing(recorded([False] * 9, now, breaker))
    assert pacing.probing(recorded([False] * 10, now, breaker))


@given(st.integers(1, 10**6))
@PROPERTY
def test_a_probe_that_fails_keeps_the_circuit_open(rest):
    """After a bad probe the circuit rests again, for as long as the caller says."""
    now = NOW + pacing.BREAKER_REST
    breaker = pacing.record(recorded([False] * 10), ok=False, now=now, rest=rest)
    assert pacing.probing(breaker)
    assert not pacing.admits(breaker, now + rest - 1)
    assert pacing.admits(breaker, now + rest)


def test_a_new_window_remembers_half_of_the_old():
    """Failures across a window's edge still add up, but weigh half."""
    old = recorded([False] * 8)
    later = NOW + pacing.BREAKER_WINDOW + 1
    assert not pacing.probing(recorded([False] * 5, later, old))
    assert pacing.probing(recorded([False] * 6, later, old))


# --- Rate limit --------------------------------------------------------------------------------------------


@given(st.integers(1, 2000), st.lists(st.integers(0, 3000), min_size=1, max_size=60))
@PROPERTY
def test_the_bucket_keeps_the_rate_over_every_interval(rate, pauses):
    """A caller that sends whenever it may sends at most rate * t + rate messages in any t seconds."""
    bucket, now, sent = pacing.full_bucket(rate, NOW), NOW, []
    for pause in pauses:
        now += pause
        bucket = pacing.refill(bucket, rate, now)
        assert 0 <= bucket.tokens <= rate
        count = 0
        while pacing.wait_for_token(bucket, rate) == 0:
            bucket = pacing.spend(bucket)
            count += 1
        sent.append((now, count))
    for first, (start, _) in enumerate(sent):
        total = 0
        for moment, count in sent[first:]:
            total += count
            assert total <= rate * (moment - start) / 1000 + rate + 1e-6


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
@PROPERTY
def test_waiting_as_told_yields_a_token(rate, tokens):
    """After the wait that was asked for, the bucket holds a token: nobody is woken too early."""
    bucket = pacing.Bucket(tokens, NOW)
    wait = pacing.wait_for_token(bucket, rate)
    assert wait >= 1
    assert pacing.refill(bucket, rate, NOW + wait).tokens >= 1 - 1e-9


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
@PROPERTY
def test_the_wait_is_not_longer_than_needed(rate, tokens):
    """One millisecond less would have been too short."""
    bucket = pacing.Bucket(tokens, NOW)
    wait = pacing.wait_for_token(bucket, rate)
    if wait > 1:
        assert pacing.refill(bucket, rate, NOW + wait - 1).tokens < 1 + 1e-9


@given(st.integers(1, 1000), st.integers(0, 10_000))
@PROPERTY
def test_a_clock_set_back_gives_nothing(rate, back):
    """When the clock steps back the bucket gains no tokens, and stays usable from the new time on."""
    empty = pacing.Bucket(0.0, NOW)
    stepped = pacing.refill(empty, rate, NOW - back)
    assert stepped.tokens == 0
    assert pacing.refill(stepped, rate, NOW - back + 1000).tokens == pytest.approx(rate)
