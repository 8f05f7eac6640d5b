"""Records of refused requests: enough for a person to see why, bounded however many there are, and no secret."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ringback import ids, pacing
from ringback.entrance import Entrance
from ringback.errors import SignatureInvalid, Unavailable
from ringback.model import Instant, Refusal
from ringback.providers import explain
from ringback.signing import Request
from ringback.store import Store
from ringback.store.commit import Committer

KEPT_PER_SOURCE = 200
# Finding out why costs far more than refusing does, and anybody can send what is refused.
NOTED_PER_SECOND = 2
MAX_SOURCES = 10_000
MAX_NAMES = 100
CONFIRMATION = "confirmation_requested"
ASKED_TO_VISIT = (
    "the provider wants this address opened once before it sends anything; open it if you expect it"
)


class Refusals:
    """Notes refusals, a few per second of each source; the others are counted."""

    def __init__(
        self, committer: Committer, *, clock: Callable[[], Instant], entropy: Callable[[int], bytes]
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._entropy = entropy
        self._buckets: dict[str, pacing.Bucket] = {}
        self._passed_over: dict[str, int] = {}

    def note(self, entrance: Entrance, request: Request, error: SignatureInvalid) -> None:
        """Have the reason found and kept; nobody waits for it."""

        def hints(now: Instant) -> tuple[str, ...]:
            explanation = explain(entrance.profile, entrance.source.secrets, request, now)
            return () if explanation is None else tuple(explanation.hints)

        self._note(entrance, request, error.reason, error.detail, hints)

    def note_visit(self, entrance: Entrance, request: Request, address: str) -> None:
        """Keep that a provider wants an address opened before it sends anything: that is for a person to decide."""
        self._note(entrance, request, CONFIRMATION, ASKED_TO_VISIT, lambda _: (address,))

    def _note(
        self,
        entrance: Entrance,
        request: Request,
        reason: str,
        detail: str,
        hints: Callable[[Instant], tuple[str, ...]],
    ) -> None:
        now = self._clock()
        source_id = entrance.source.id
        if not self._may_note(source_id, now):
            self._passed_over[source_id] = self._passed_over.get(source_id, 0) + 1
            return
        more = self._passed_over.pop(source_id, 0)

        def keep(_: Store) -> None:
            self._keep(
                _refusal(entrance, request, now, reason=reason, detail=detail, hints=hints(now), more=more)
            )

        try:
            self._committer.read(keep)
        except Unavailable:
            self._passed_over[source_id] = more + 1

    def _may_note(self, source_id: str, now: Instant) -> bool:
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.clear()
        bucket = self._buckets.get(source_id) or pacing.full_bucket(NOTED_PER_SECOND, now)
        bucket = pacing.refill(bucket, NOTED_PER_SECOND, now)
        if pacing.wait_for_token(bucket, NOTED_PER_SECOND) > 0:
            self._buckets[source_id] = bucket
            return False
        self._buckets[source_id] = pacing.spend(bucket)
        return True

    def _keep(self, refusal: Refusal) -> None:
        entropy = self._entropy(ids.ENTROPY_BYTES)
        kept = msgspec.structs.replace(refusal, id=ids.new_id(ids.REFUSAL, refusal.at, entropy))

        def keep(store: Store) -> None:
            store.add_refusal(kept, KEPT_PER_SOURCE)

        self._committer.write(keep)


def _refusal(
    entrance: Entrance,
    request: Request,
    now: Instant,
    *,
    reason: str,
    detail: str,
    hints: tuple[str, ...],
    more: int,
) -> Refusal:
    return Refusal(
        id="",
        source_id=entrance.source.id,
        at=now,
        method=_written(request.method[:20]),
        header_names=tuple(sorted(_written(name[:100]) for name in request.headers))[:MAX_NAMES],
        size=len(request.body),
        reason=reason,
        detail=_written(detail),
        hints=tuple(map(_written, hints)),
        more=more,
    )


def _written(text: str) -> str:
    # Nothing but half of a pair cannot be written; one such name must not cost the others of its commit their place.
    return text.encode("utf-8", "replace").decode()
