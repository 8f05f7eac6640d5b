"""One delivery on its way through the worker, and the record of its attempt."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ringback import ids
from ringback.lanes import Lane
from ringback.model import Attempt, Endpoint, Instant, Outcome
from ringback.policy import Decision
from ringback.store import Pending, Settlement, Work


class Job(msgspec.Struct, gc=False):
    """What each step of the worker adds for the next."""

    lane: Lane
    work: Work
    started_at: Instant
    started: float
    outcome: Outcome | None = None
    seconds: float = 0.0
    settled: Settlement | None = None
    decision: Decision | None = None
    # Whether the end of an attempt is in the store, for who has to wait for that.
    kept: Pending[bool] | None = None

    def attempt(self, outcome: Outcome, seconds: float, entropy: Callable[[int], bytes]) -> Attempt:
        """Return the record of the attempt; *entropy* returns that many random bytes."""
        return attempt_of(
            self.work,
            self.lane.endpoint,
            outcome,
            started_at=self.started_at,
            seconds=seconds,
            entropy=entropy,
        )


def attempt_of(
    work: Work,
    endpoint: Endpoint,
    outcome: Outcome,
    *,
    started_at: Instant,
    seconds: float,
    entropy: Callable[[int], bytes],
) -> Attempt:
    """Return the record of an attempt at an endpoint as it was then; *entropy* returns that many random bytes."""
    return Attempt(
        id=ids.new_id(ids.ATTEMPT, started_at, entropy(ids.ENTROPY_BYTES)),
        message_id=work.message_id,
        endpoint_id=endpoint.id,
        number=work.attempts + 1,
        trigger=work.trigger,
        url=endpoint.url,
        started_at=started_at,
        duration=round(seconds * 1000),
        outcome=outcome,
    )
