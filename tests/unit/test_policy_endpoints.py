"""The law of endpoints: their health, senders that are played, and who gets a message."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdicts import (
    DISABLE_AFTER,
    ENDPOINT,
    ERROR,
    GONE,
    NOW,
    OK,
    PROPERTY,
    UNKNOWN,
    an_endpoint,
    chances,
    failures,
    schedules,
)

from ringback import policy
from ringback.model import (
    EndpointState,
    Manner,
    Outcome,
    OutcomeKind,
    SkipReason,
)
from ringback.policy import (
    DAY,
    SECOND,
    Decision,
    Health,
    RetrySchedule,
    Step,
)

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
