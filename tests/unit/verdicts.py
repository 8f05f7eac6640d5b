"""What tests of the law have in common: a moment, an endpoint, outcomes and schedules to judge by."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from ringback import policy
from ringback.model import (
    Endpoint,
    Outcome,
    OutcomeKind,
)
from ringback.policy import (
    DAY,
    HOUR,
    RetrySchedule,
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
