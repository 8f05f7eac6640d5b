"""What operators are told of deliveries, accepted in the very transaction that settles them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ringback import operational
from ringback.model import Attempt, Instant, OutcomeKind, Trigger
from ringback.operational import FAILING_AFTER, Event, Owner, Turn
from ringback.policy import Step, counts_as_failure
from ringback.store import Settlement
from ringback.store.sql.accepting import Accepting
from ringback.store.sql.tables import Many

_MESSAGES = Many(
    """
    WITH wanted (message_key) AS ({rows})
    SELECT m.key, m.event_id, a.uid FROM wanted CROSS JOIN ringback_message m ON m.key = wanted.message_key
    CROSS JOIN ringback_application a ON a.key = m.application_key
    """,
    "i",
)
# A round of attempts is at most as long as the longest schedule, and what was resent many times is looked at so far.
_EARLIER = """
    SELECT number, kind FROM ringback_attempt
    WHERE message_key = ? AND endpoint_key = ? AND id <> ? ORDER BY id DESC LIMIT 100
"""


class Announcing(Accepting):
    """What settling tells the operators."""

    def announce_turns(self, settlements: Sequence[Settlement]) -> None:
        """Tell of deliveries that have just been settled where that is worth it; most are not."""
        notable = [one for one in settlements if _is_notable(one)]
        route = self.operators() if notable else None
        if route is None:
            return
        rows = {(one.work.key[0],): None for one in notable}
        about = {key: (event_id, uid) for key, event_id, uid in self.rows_for(_MESSAGES, list(rows))}
        for one in notable:
            event_id, uid = about.get(one.work.key[0], (None, None))
            self.tell(route, _ended_at(one), self._turns_of(one, event_id, uid))

    def announce_disabled(self, settlement: Settlement) -> None:
        """Tell of an endpoint that a settlement has disabled."""
        endpoint, health = settlement.work.endpoint, settlement.health
        if health is None or health.disable is None:
            return
        since, reason = health.failing_since, health.disable
        self.announce(
            endpoint.application_id,
            _ended_at(settlement),
            lambda owner: [operational.gave_up(owner, endpoint, since, reason)],
        )

    def _turns_of(self, settlement: Settlement, event_id: str | None, uid: str | None) -> Iterator[Event]:
        turn = _turn_of(settlement)
        if turn is None and self._was_told(settlement):
            turn = Turn.RECOVERED
        if turn is not None:
            owner = Owner(settlement.work.endpoint.application_id, uid)
            yield operational.turned(turn, owner, event_id, _attempt_of(settlement))

    def _was_told(self, settlement: Settlement) -> bool:
        """Tell whether operators know, from rounds of attempts before this one, that a delivery does not succeed."""
        rows = self.rows(_EARLIER, (*settlement.work.key, _attempt_of(settlement).id))
        for number, kind in rows:
            if kind == OutcomeKind.SUCCESS:
                return False
            if number >= FAILING_AFTER and counts_as_failure(OutcomeKind(kind)):
                return True
        return False


def _is_notable(settlement: Settlement) -> bool:
    work = settlement.work
    if settlement.attempt is None:
        return False
    if work.attempts < FAILING_AFTER - 1 and work.trigger is Trigger.SCHEDULED:
        # The hot path: of a message's first attempts, only one that is the last of all is worth telling.
        return settlement.decision.step is Step.EXHAUST and operational.is_told_of(work.endpoint)
    return _turn_of(settlement) is not None or _may_end_an_earlier_round(settlement)


def _turn_of(settlement: Settlement) -> Turn | None:
    work = settlement.work
    return operational.turn(work.endpoint, settlement.decision.step, work.attempts + 1)


def _may_end_an_earlier_round(settlement: Settlement) -> bool:
    work = settlement.work
    again = work.trigger is Trigger.MANUAL and settlement.decision.step is Step.SUCCEED
    return again and operational.is_told_of(work.endpoint)


def _attempt_of(settlement: Settlement) -> Attempt:
    assert settlement.attempt is not None  # noqa: S101 - only what was attempted is told
    return settlement.attempt


def _ended_at(settlement: Settlement) -> Instant:
    attempt = _attempt_of(settlement)
    return attempt.started_at + attempt.duration
