"""How fast an endpoint may be delivered to: adaptive concurrency, circuit breaker and rate limit.

Pure values and functions, like ``policy``: each takes a value and what happened, and returns the next value.
Instants and durations are milliseconds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import msgspec

from ringback.model import Duration, Instant, Outcome, OutcomeKind

SECOND = 1_000

# --- Adaptive concurrency: additive increase, multiplicative decrease --------------------------------------

MIN_CONCURRENCY = 1
START_CONCURRENCY = 4
MAX_CONCURRENCY = 64
THROTTLED = frozenset({429, 502, 503, 504})


class Concurrency(msgspec.Struct, frozen=True, gc=False):
    """How many attempts an endpoint may have under way, and the successes since the limit last changed."""

    limit: int = START_CONCURRENCY
    streak: int = 0


def overloaded(outcome: Outcome) -> bool:
    """Tell whether an outcome asks us to slow down.

    Standard Webhooks names 429, 502 and 504; 503 and silence are added here.
    """
    return outcome.status in THROTTLED or outcome.kind is OutcomeKind.TIMEOUT


def adapt(current: Concurrency, outcome: Outcome) -> Concurrency:
    """Return the concurrency after an attempt: one more per window of successes, half when overloaded."""
    if overloaded(outcome):
        return Concurrency(max(MIN_CONCURRENCY, current.limit // 2))
    if not outcome.ok or current.limit == MAX_CONCURRENCY:
        return current
    if current.streak + 1 >= current.limit:
        return Concurrency(current.limit + 1)
    return Concurrency(current.limit, current.streak + 1)


# --- Circuit breaker ---------------------------------------------------------------------------------------

BREAKER_WINDOW = 300 * SECOND
BREAKER_MINIMUM = 10
BREAKER_SHARE = 0.7
BREAKER_REST = 30 * SECOND


class Breaker(msgspec.Struct, frozen=True, gc=False):
    """An endpoint's recent record.

    ``reopens_at`` is when an open circuit lets one probe through; None: closed.
    """

    since: Instant = 0
    successes: int = 0
    failures: int = 0
    reopens_at: Instant | None = None


def admits(breaker: Breaker, now: Instant) -> bool:
    """Tell whether the circuit lets an attempt through now."""
    return breaker.reopens_at is None or now >= breaker.reopens_at


def probing(breaker: Breaker) -> bool:
    """Tell whether the circuit is not closed, so that only a single attempt may be under way."""
    return breaker.reopens_at is not None


def record(breaker: Breaker, *, ok: bool, now: Instant, rest: Duration = BREAKER_REST) -> Breaker:
    """Return the breaker after an attempt.

    It opens when at least 70 % of at least ten attempts failed, of those in a window of five minutes and half of
    those in the window before; then one probe every *rest* decides: a success closes it, a failure keeps it open.
    """
    if breaker.reopens_at is not None:
        return Breaker(since=now) if ok else Breaker(now, reopens_at=now + rest)
    if now - breaker.since > 2 * BREAKER_WINDOW:
        breaker = Breaker(now)
    elif now - breaker.since > BREAKER_WINDOW:
        # Half of the old window stays as memory, so that a window's edge does not hide a failing endpoint.
        breaker = Breaker(now, breaker.successes // 2, breaker.failures // 2)
    successes, failures = breaker.successes + ok, breaker.failures + (not ok)
    total = successes + failures
    if not ok and total >= BREAKER_MINIMUM and failures >= BREAKER_SHARE * total:
        return Breaker(now, reopens_at=now + rest)
    return Breaker(breaker.since, successes, failures)


def heard(breaker: Breaker, reopens_at: Instant | None, now: Instant) -> Breaker:
    """Return the breaker after another node has opened or closed its circuit; unchanged where it is so already."""
    return breaker if breaker.reopens_at == reopens_at else Breaker(now, reopens_at=reopens_at)


# --- Rate limit: a token bucket of one second's worth ------------------------------------------------------


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """Tokens left at the instant ``at``, for a rate in messages per second."""

    tokens: float
    at: Instant


def full_bucket(rate: int, now: Instant) -> Bucket:
    """Return a bucket that lets *rate* messages through at once."""
    return Bucket(float(rate), now)


def empty_bucket(now: Instant) -> Bucket:
    """Return a bucket that lets nothing through yet."""
    return Bucket(0.0, now)


def refill(bucket: Bucket, rate: int, now: Instant) -> Bucket:
    """Return the bucket as it stands at *now*."""
    gained = max(0, now - bucket.at) * rate / SECOND
    return Bucket(min(float(rate), bucket.tokens + gained), now)


def available(bucket: Bucket | None, rate: int, now: Instant) -> Bucket:
    """Return the bucket as it stands at *now*, a full one where there was none."""
    return full_bucket(rate, now) if bucket is None else refill(bucket, rate, now)


def spend(bucket: Bucket) -> Bucket:
    """Take one token."""
    return Bucket(bucket.tokens - 1, bucket.at)


def restore(bucket: Bucket) -> Bucket:
    """Put back one token that was taken for nothing."""
    return Bucket(bucket.tokens + 1, bucket.at)


def wait_for_token(bucket: Bucket, rate: int) -> Duration:
    """Return how long until the bucket holds one token; 0 when it does."""
    missing = 1 - bucket.tokens
    return 0 if missing <= 0 else math.ceil(missing * SECOND / rate)


# --- Many nodes --------------------------------------------------------------------------------------------


def share_of(limit: int, workers: int) -> int:
    """Return one worker's share of what all *workers* may have under way: at least one, so that none starves."""
    return max(MIN_CONCURRENCY, limit // max(1, workers))


def owner_of(endpoint_id: str, owners: Sequence[str]) -> str | None:
    """Return the one of the *owners* that serves an endpoint alone, None where there are none.

    By rendezvous hashing: everyone who knows the same owners finds the same one without asking, and when one comes or
    goes, only the endpoints change hands that it takes or had.
    """
    return max(owners, key=lambda owner: (_weight(endpoint_id, owner), owner), default=None)


def _weight(endpoint_id: str, owner: str) -> bytes:
    return hashlib.blake2b(f"{endpoint_id} {owner}".encode(), digest_size=8).digest()
