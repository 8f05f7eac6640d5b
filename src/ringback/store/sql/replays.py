"""Deliveries made again, many at a time: found in bounded looks, made due, taken back while they are untried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from ringback import ids
from ringback.errors import NotFound
from ringback.model import (
    Delivery,
    DeliveryState,
    Endpoint,
    EndpointState,
    Held,
    Instant,
    Outcome,
    OutcomeKind,
    Trigger,
)
from ringback.policy import MINUTE, Step, next_state
from ringback.selection import OTHERS, Candidate, Selection, is_meant, may_be_meant
from ringback.store.sql.catalog import UNNAMED, Catalog
from ringback.store.sql.filters import ID_STEP
from ringback.store.sql.line import FOLLOW
from ringback.store.sql.records import names_of, skipped_of, terms_of
from ringback.store.sql.tables import Many, Row
from ringback.store.tasks import Lane, Survey, Task

WAITING = next_state(DeliveryState.FAILED, Step.RESEND).value
MANUAL = Trigger.MANUAL.value
# Keys are in the order of time, but for what nodes take to agree on it.
MARGIN = MINUTE

_CANDIDATE = "m.key, m.id, m.created_at, m.event_type, m.channels, m.skipped, m.held, m.has_payload"
_MESSAGE = "key, id, created_at, event_type, channels, skipped, held, payload IS NOT NULL AS has_payload"
_DELIVERY = "d.state, d.attempts, d.due_at, d.trigger, d.reason"
# What has failed before or for good is in an index of its own, so that a few of a million are found at once.
_UNSENT = f"""
    SELECT {_CANDIDATE.replace("m.has_payload", "m.payload IS NOT NULL")}, {_DELIVERY}
    FROM ringback_delivery d INDEXED BY ringback_delivery_unsent
    CROSS JOIN ringback_message m ON m.key = d.message_key
    WHERE d.endpoint_key = ? AND d.message_key > ? AND {{unsent}}
    ORDER BY d.message_key LIMIT ?
"""
_ALL = f"""
    SELECT {_CANDIDATE}, {_DELIVERY} FROM (
        SELECT {_MESSAGE} FROM ringback_message
        WHERE application_key = ? AND id > ? AND id < ? ORDER BY id LIMIT ?
    ) AS m LEFT JOIN ringback_delivery d ON d.message_key = m.key AND d.endpoint_key = ?
    ORDER BY m.id
"""
_BEFORE = "SELECT key FROM ringback_message WHERE application_key = ? AND id < ? ORDER BY id DESC LIMIT 1"
_TRIED = Many(
    """
    WITH wanted (message_key, endpoint_key) AS ({rows})
    SELECT a.message_key, a.kind, a.status FROM wanted CROSS JOIN ringback_attempt a
    ON a.message_key = wanted.message_key AND a.endpoint_key = wanted.endpoint_key ORDER BY a.id
    """,
    "ii",
)
_TAGGED = Many(
    """
    WITH wanted (message_key, tag) AS ({rows})
    SELECT t.message_key FROM wanted CROSS JOIN ringback_tag t
    ON t.message_key = wanted.message_key AND t.tag = wanted.tag
    """,
    "it",
)
_TERMS = Many("SELECT message_key, record FROM ringback_terms WHERE message_key IN ({rows})", "i")
# Only what is still as it was when it was looked at.
_AGAIN = Many(
    f"""
    WITH wanted (message, endpoint, was, tried, due, ordering) AS ({{rows}})
    UPDATE ringback_delivery
    SET state = '{WAITING}', attempts = 0, due_at = due, trigger = '{MANUAL}', reason = NULL, lease_token = NULL,
        begun = 0, ordering_key = coalesce(ordering_key, ordering)
    FROM wanted WHERE message_key = message AND endpoint_key = endpoint AND state = was AND attempts = tried
    RETURNING message_key, endpoint_key
    """,
    "iitiit",
)
_NEW = Many(
    "INSERT INTO ringback_delivery (message_key, endpoint_key, state, attempts, due_at, trigger, ordering_key) {rows}"
    " ON CONFLICT (message_key, endpoint_key) DO NOTHING RETURNING message_key, endpoint_key",
    "iitiitt",
)
_RELEASE = Many(
    "UPDATE ringback_message SET held = NULL WHERE held IS NOT NULL AND key IN ({rows})",
    "i",
)
_REMEMBER = Many(
    """
    INSERT INTO ringback_replayed (message_key, endpoint_key, task_id, state, attempts, due_at, trigger, reason) {rows}
    ON CONFLICT (message_key, endpoint_key) DO UPDATE SET task_id = excluded.task_id, withdrawn = 0,
        state = excluded.state, attempts = excluded.attempts, due_at = excluded.due_at, trigger = excluded.trigger,
        reason = excluded.reason
    """,
    "iittiitt",
)
_FORGET = Many(
    """
    WITH sent (message_key, endpoint_key) AS ({rows})
    DELETE FROM ringback_replayed WHERE (message_key, endpoint_key) IN (SELECT message_key, endpoint_key FROM sent)
    """,
    "ii",
)
_REMEMBERED = """
    SELECT message_key, endpoint_key, state, attempts, due_at, trigger, reason FROM ringback_replayed
    WHERE task_id = ? AND withdrawn = ?
"""
# Those of some that are untried.
_UNTRIED = Many(
    """
    WITH wanted (message_key, endpoint_key) AS ({rows})
    SELECT d.message_key, d.endpoint_key FROM wanted CROSS JOIN ringback_delivery d
    ON d.message_key = wanted.message_key AND d.endpoint_key = wanted.endpoint_key
    WHERE d.attempts = 0 AND d.due_at IS NOT NULL
    """,
    "ii",
)
_TAKE_BACK = Many(
    f"""
    WITH earlier (message, endpoint, was, tried, due, cause, why) AS ({{rows}})
    UPDATE ringback_delivery SET state = was, attempts = tried, due_at = due, trigger = cause, reason = why
    FROM earlier WHERE message_key = message AND endpoint_key = endpoint AND state = '{WAITING}' AND attempts = 0
    RETURNING message_key, endpoint_key
    """,
    "iitiitt",
)
_WITHDRAW = Many(
    """
    WITH back (message_key, endpoint_key) AS ({rows})
    UPDATE ringback_replayed SET withdrawn = 1
    WHERE (message_key, endpoint_key) IN (SELECT message_key, endpoint_key FROM back)
    """,
    "ii",
)
# What a delivery that there was none of becomes when it is taken back.
_NEVER = (DeliveryState.CANCELLED.value, 0, None, MANUAL, "replay_cancelled")

Key = tuple[int, int]


class Target(msgspec.Struct, frozen=True):
    """An endpoint, with the keys of it and of whose it is."""

    key: int
    owner_key: int
    endpoint: Endpoint


class Replays(Catalog):
    """The verbs that make many deliveries again."""

    # --- Looking ------------------------------------------------------------------------------------------

    def survey(self, application_id: str, lane: Lane, selection: Selection, look: int) -> Survey:
        """See ``Store``."""
        target = self.target(application_id, lane.endpoint_id)
        if target is None:
            return Survey(count=0, lane=None)
        candidates = self.candidates(target, lane, selection, look)
        meant = self.meant(candidates, target, selection)
        return Survey(
            count=len(meant),
            lane=after(candidates, lane, look, selection),
            looked=len(candidates),
            oldest=min((one.created_at for one in meant), default=None),
            newest=max((one.created_at for one in meant), default=None),
        )

    def target(self, application_id: str, endpoint_id: str) -> Target | None:
        """Return an endpoint that can be delivered to; None where it is disabled or gone."""
        try:
            key, owner_key, endpoint = self._endpoint_row(application_id, endpoint_id)
        except NotFound:
            return None
        return None if endpoint.state is EndpointState.DISABLED else Target(key, owner_key, endpoint)

    def candidates(self, target: Target, lane: Lane, selection: Selection, look: int) -> list[Candidate]:
        """Return what comes next in a lane, up to *look* messages, whether they are meant or not."""
        if selection.is_of_unsent:
            position = lane.position or self._before(target, selection)
            rows = self.rows(_UNSENT.format(unsent=self.dialect.unsent), (target.key, position, look))
        else:
            cursor = lane.cursor or ids.earliest(ids.MESSAGE, selection.since)
            end = ids.earliest(ids.MESSAGE, selection.until + ID_STEP)
            rows = self.rows(_ALL, (target.owner_key, cursor, end, look, target.key))
        return [_candidate(row, target.endpoint.id) for row in rows]

    def _before(self, target: Target, selection: Selection) -> int:
        """Return a key before those of all messages in the window."""
        bound = ids.earliest(ids.MESSAGE, selection.since - MARGIN)
        found = self.row(_BEFORE, (target.owner_key, bound))
        return int(found[0]) if found else 0

    def meant(self, candidates: Sequence[Candidate], target: Target, selection: Selection) -> list[Candidate]:
        """Return those of the *candidates* that are meant."""
        some = [one for one in candidates if may_be_meant(one, selection, target.endpoint)]
        if selection.tag is not None:
            wanted = [(one.key, selection.tag) for one in some]
            tagged = {key for (key,) in self.rows_for(_TAGGED, wanted)}
            some = [one for one in some if one.key in tagged]
        if not selection.asks_of_attempts:
            return some
        last = {
            key: Outcome(kind=OutcomeKind(kind), status=status)
            for key, kind, status in self.rows_for(_TRIED, [(one.key, target.key) for one in some])
        }
        return [one for one in some if is_meant(last.get(one.key), selection)]

    # --- Making due ---------------------------------------------------------------------------------------

    def make_many_due(self, task_id: str, picked: Sequence[Candidate], target: Target, now: Instant) -> int:
        """Have deliveries attempted now, and remember what they were; return how many still were that."""
        order = UNNAMED if target.endpoint.ordered else None
        again = [one for one in picked if one.delivery is not None]
        new = [one for one in picked if one.delivery is None]
        rows = [(one.key, target.key, *_standing(one)[:2], now, order) for one in again]
        moved = set(self.rows_for(_AGAIN, rows))
        # Nothing is delivered before the time that was asked for, nor does it hold up what comes later until then.
        terms = {key: terms_of(record) for key, record in self.rows_for(_TERMS, [(one.key,) for one in new])}
        later = {key: at for key, one in terms.items() if (at := one.deliver_at or now) > now}
        rows = [
            (
                one.key,
                target.key,
                WAITING,
                0,
                later.get(one.key, now),
                MANUAL,
                None if one.key in later else order,
            )
            for one in new
        ]
        moved |= set(self.rows_for(_NEW, rows))
        done = [one for one in picked if (one.key, target.key) in moved]
        self.execute_rows(_REMEMBER, [(one.key, target.key, task_id, *_standing(one)) for one in done])
        self.execute_rows(_RELEASE, [(one.key,) for one in done if one.held is not None])
        if order is not None:
            self._bring_forward([(one.key, target.key) for one in done], now)
        return len(done)

    def _bring_forward(self, keys: Iterable[Key], now: Instant) -> None:
        for message_key, endpoint_key in keys:
            self.execute(FOLLOW, (now, endpoint_key, message_key, now, endpoint_key, message_key))

    # --- Taking back --------------------------------------------------------------------------------------

    def sweep(self, task: Task) -> Counter[int]:
        """Forget what has been tried of what a task made due; count by endpoint's key what has not."""
        keys = [row[:2] for row in self.rows(_REMEMBERED, (task.id, 0))]
        untried = set(self.rows_for(_UNTRIED, keys))
        self.execute_rows(_FORGET, [key for key in keys if key not in untried])
        return Counter(endpoint_key for _, endpoint_key in untried)

    def take_back(self, task: Task) -> int:
        """Have untried deliveries of a task be what they were; return how many.

        Those in a worker's hands stay, and are taken back later should they be given back.
        """
        remembered = self.rows(_REMEMBERED, (task.id, 0))
        back = self.rows_for(_TAKE_BACK, remembered)
        self.execute_rows(_WITHDRAW, back)
        return len(back)

    def put_forward(self, task: Task, now: Instant) -> int:
        """Make due again what was taken back of a task and has not changed since; return how many."""
        remembered = self.rows(_REMEMBERED, (task.id, 1))
        moved = set(self.rows_for(_AGAIN, [(*row[:4], now, None) for row in remembered]))
        self.execute_rows(_FORGET, [row[:2] for row in remembered if row[:2] not in moved])
        self.execute("UPDATE ringback_replayed SET withdrawn = 0 WHERE task_id = ?", (task.id,))
        return len(moved)

    def let_go(self, task: Task) -> None:
        """Forget what was taken back of a task."""
        self.execute("DELETE FROM ringback_replayed WHERE task_id = ? AND withdrawn = 1", (task.id,))


def after(looked: Sequence[Candidate], lane: Lane, look: int, selection: Selection) -> Lane | None:
    """Return the lane behind what was *looked* at, None at its end."""
    if len(looked) < look or looked[-1].created_at >= selection.until + MARGIN:
        return None
    return behind(looked[-1], lane)


def behind(candidate: Candidate, lane: Lane) -> Lane:
    """Return the lane right behind a message."""
    return Lane(
        endpoint_id=lane.endpoint_id,
        position=candidate.key,
        cursor=candidate.message_id,
        reached=candidate.created_at,
    )


def _candidate(row: Row, endpoint_id: str) -> Candidate:
    key, message_id, created_at, event_type, channels, skipped, held, has_payload, state, *rest = row
    delivery = None
    if state is not None:
        attempts, due_at, trigger, reason = rest
        delivery = Delivery(
            message_id=message_id,
            endpoint_id=endpoint_id,
            state=DeliveryState(state),
            attempts=attempts,
            due_at=due_at,
            trigger=Trigger(trigger),
            reason=reason,
        )
    return Candidate(
        key=key,
        message_id=message_id,
        created_at=created_at,
        event_type=event_type,
        channels=names_of(channels),
        has_payload=bool(has_payload),
        held=None if held is None else Held(held),
        addressed=OTHERS in skipped_of(skipped),
        delivery=delivery,
    )


def _standing(candidate: Candidate) -> Row:
    """Return how a delivery stands, as it is remembered."""
    one = candidate.delivery
    if one is None:
        return _NEVER
    return one.state.value, one.attempts, one.due_at, one.trigger.value, one.reason
