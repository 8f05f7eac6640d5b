"""How an endpoint fares, told from its latest attempts: the law, over any attempts."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ringback.model import Attempt, Outcome, OutcomeKind, Trigger
from ringback.server.pages.fare import BINS, fare
from ringback.server.pages.wording import failure, went

NOW = 10_000_000
KINDS = st.sampled_from([OutcomeKind.SUCCESS, OutcomeKind.REFUSED, OutcomeKind.TIMEOUT])


def test_every_end_has_a_word():
    """However an attempt ends, pages have a word for it."""
    assert all(went(Outcome(kind=kind)).word for kind in OutcomeKind)


@st.composite
def histories(draw):
    """Draw attempts, newest first."""
    moments = sorted(draw(st.lists(st.integers(0, NOW), max_size=40)), reverse=True)
    return [
        Attempt(
            id=f"atmpt_{index}",
            message_id="msg_1",
            endpoint_id="ep_1",
            number=1,
            trigger=Trigger.SCHEDULED,
            url="https://a.example/",
            started_at=at,
            duration=draw(st.integers(0, 1000)),
            outcome=Outcome(kind=draw(KINDS)),
        )
        for index, at in enumerate(moments)
    ]


@given(histories())
def test_every_attempt_is_counted_once(attempts):
    """In the stretches of time, in the failures grouped, and in the rate."""
    found = fare(attempts, NOW)
    assert sum(one.succeeded for one in found.bins) == found.succeeded
    assert sum(one.failed for one in found.bins) == len(attempts) - found.succeeded
    assert sum(one.count for one in found.troubles) == len(attempts) - found.succeeded
    assert (found.rate is None) == (not attempts)
    assert (found.rate == 100) == (bool(attempts) and found.succeeded == len(attempts))


@given(histories())
def test_stretches_of_time_adjoin_and_hold_what_is_theirs(attempts):
    """From the oldest attempt to now, without a gap."""
    bins = fare(attempts, NOW).bins
    assert len(bins) == (BINS if attempts else 0)
    assert all(one.until == following.since for one, following in itertools.pairwise(bins))
    if attempts:
        assert bins[0].since == attempts[-1].started_at
        assert bins[-1].until > NOW


@given(histories())
def test_what_changed_is_the_first_failure_after_the_last_success(attempts):
    """There is one exactly where the newest attempt failed and one before succeeded; all since then failed."""
    found = fare(attempts, NOW)
    changed = bool(attempts) and not attempts[0].outcome.ok and any(one.outcome.ok for one in attempts)
    assert (found.since is not None) == changed
    if found.since is not None:
        place = attempts.index(found.since)
        assert not any(one.outcome.ok for one in attempts[: place + 1])
        assert attempts[place + 1] is found.last_success


def test_a_timeout_is_said_with_what_it_was_at():
    """Whoever reads that time was over learns what of an attempt had not ended."""
    assert failure(OutcomeKind.TIMEOUT, 0, "wait") == "Timed out while waiting for the answer"
    assert failure(OutcomeKind.TIMEOUT, 0, "of_another_day") == "Timed out: of another day"
