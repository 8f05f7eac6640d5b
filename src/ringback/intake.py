"""The door where webhooks come in: verify, recognise, store, and only then acknowledge.

``Intake.accept`` takes a request that some framework has read and returns the reply to send. It knows no framework
and asks no network: one commit stands between a request and its acknowledgement.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from ringback import ids, policy
from ringback.entrance import Entrance, Reply, error_reply
from ringback.entropy import entropy
from ringback.errors import NotFound, SignatureInvalid, StoreUnavailable, Unavailable
from ringback.last_look import LastLook, keep_look, last_look
from ringback.model import Inbound, Instant, Message
from ringback.observe import FoundByPoll, Observer, RequestRefused, WebhookReceived
from ringback.providers import Received, answer_challenge, stored_headers, verify
from ringback.refusals import Refusals
from ringback.signing import Request
from ringback.store import Acceptance, Accepted, Pending, Store
from ringback.store.commit import Committer, NotThereYet

UNRECOGNISED = "unrecognised"
ACCEPTED = "accepted"
REPEATED = "repeated"
NOT_STORED = "not_stored"
MIN_FREE_BYTES = 64 * 1024 * 1024
LOOK_EVERY = 1 * policy.SECOND
FULL = "the disk that holds the store is nearly full; send this again later"


class Intake:
    """Accepts webhooks for any number of sources.

    Args:
        committer: Stores them.
        observer: Told of what is received, of what is refused, and of what polling found.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
        min_free_bytes: With less room than this where the store is, nothing is accepted.
    """

    def __init__(
        self,
        committer: Committer,
        observer: Observer,
        *,
        clock: Callable[[], Instant],
        entropy: Callable[[int], bytes] = entropy,
        min_free_bytes: int = MIN_FREE_BYTES,
    ) -> None:
        self._committer = committer
        self._observer = observer
        self._clock = clock
        self._entropy = entropy
        self._min_free_bytes = min_free_bytes
        self._refusals = Refusals(committer, clock=clock, entropy=entropy)
        self._looked_at = 0
        self._full = False

    def accept(self, entrance: Entrance, request: Request) -> Ready | After:
        """Take a request in; the reply says how that went. Nothing a request holds ever raises.

        Args:
            entrance: The source it came to.
            request: As it came, body and headers untouched.
        """
        now, since = self._clock(), time.perf_counter()
        request = entrance.as_registered(request)
        try:
            answer = answer_challenge(entrance.profile, entrance.source.secrets, request, now)
            if answer is not None:
                if answer.visit is not None:
                    self._refusals.note_visit(entrance, request, answer.visit)
                return Ready(Reply.of(answer))
            received = verify(entrance.profile, entrance.source.secrets, request, now)
        except SignatureInvalid as error:
            return Ready(self._refuse(entrance, request, error))
        acceptance = self._acceptance(
            entrance,
            received.event_type or UNRECOGNISED,
            request.body,
            _inbound(entrance, request, received),
            now,
        )
        return self._store(entrance, acceptance, since)

    def found(
        self, entrance: Entrance, received: Received, body: bytes, headers: dict[str, str]
    ) -> Pending[bool]:
        """Take in what asking the provider found, unless it is known already; tell whether it was news.

        Args:
            entrance: The source it belongs to.
            received: What it is about; it has a business key.
            body: As the provider told it.
            headers: Such as ``content-type``.

        Raises:
            RingbackError: It could not be stored.
        """
        inbound = Inbound(
            headers=headers,
            event_id=received.event_id,
            dedupe_key=f"poll:{received.business_key}",
            business_key=received.business_key,
            polled=True,
        )
        now = self._clock()
        if self._is_full(now):
            raise StoreUnavailable(FULL, retry_after=60)
        event_type = received.event_type or UNRECOGNISED
        acceptance = self._acceptance(entrance, event_type, body, inbound, now)

        def news(accepted: Accepted) -> bool:
            if not accepted.replayed:
                message = accepted.message
                self._observer.emit(
                    FoundByPoll(
                        source=entrance.source,
                        event_type=event_type,
                        message_id=message.id,
                        held=message.held,
                    )
                )
            return not accepted.replayed

        return After(self._committer.accept(acceptance), news)

    def note_look(self, entrance: Entrance, change: Callable[[LastLook], LastLook]) -> Pending[None]:
        """Keep what came of asking the provider: what *change* makes of what came of it before."""
        source_id = entrance.source.id

        def write(store: Store) -> None:
            keep_look(store, source_id, change(last_look(store, source_id) or LastLook()))

        return self._committer.write(write)

    def _store(self, entrance: Entrance, acceptance: Acceptance, since: float) -> Ready | After:
        def acknowledge(accepted: Accepted) -> Reply:
            outcome = REPEATED if accepted.replayed else ACCEPTED
            self._tell(entrance, outcome, since, accepted.message)
            return entrance.ack

        def not_stored(error: Exception) -> Reply:
            self._tell(entrance, NOT_STORED, since)
            return _not_stored(error)

        if self._is_full(acceptance.created_at):
            return Ready(not_stored(StoreUnavailable(FULL, retry_after=60)))
        try:
            accepted = self._committer.accept(acceptance)
        except Unavailable as error:
            return Ready(not_stored(error))
        return After(accepted, acknowledge, otherwise=not_stored)

    def _tell(self, entrance: Entrance, outcome: str, since: float, message: Message | None = None) -> None:
        if self._observer.wants(WebhookReceived):
            self._observer.emit(
                WebhookReceived(
                    source=entrance.source,
                    outcome=outcome,
                    message_id=message.id if message is not None else None,
                    held=message.held if message is not None else None,
                    seconds=time.perf_counter() - since,
                )
            )

    def _acceptance(
        self, entrance: Entrance, event_type: str, body: bytes, inbound: Inbound, now: Instant
    ) -> Acceptance:
        return Acceptance(
            application=entrance.source.id,
            id=ids.new_id(ids.MESSAGE, now, self._entropy(ids.ENTROPY_BYTES)),
            event_type=event_type,
            payload=body,
            created_at=now,
            inbound=inbound,
        )

    def _refuse(self, entrance: Entrance, request: Request, error: SignatureInvalid) -> Reply:
        self._observer.emit(RequestRefused(source=entrance.source, reason=error.reason))
        self._refusals.note(entrance, request, error)
        return error_reply(error, status=entrance.profile.reject_status)

    def _is_full(self, now: Instant) -> bool:
        if abs(now - self._looked_at) >= LOOK_EVERY:
            self._looked_at = now
            free = self._committer.free_space()
            self._full = free is not None and free < self._min_free_bytes
        return self._full


class Ready(Pending[Reply]):
    """A reply that is there at once."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __await__(self) -> Generator[Any, None, Reply]:
        yield from ()
        return self._reply

    def result(self) -> Reply:
        """Return it."""
        return self._reply

    def tell(self, listener: Callable[[Reply], object]) -> None:
        """Call *listener* with it."""
        listener(self._reply)


class After(Pending[Any]):
    """What is made of a result to come.

    Args:
        pending: The result to come.
        then: Makes the value of it.
        otherwise: Makes the value of an error; without it, the error is raised.
    """

    __slots__ = ("_otherwise", "_pending", "_then")

    def __init__(
        self,
        pending: Pending[Any],
        then: Callable[[Any], Any],
        *,
        otherwise: Callable[[Exception], Any] | None = None,
    ) -> None:
        self._pending = pending
        self._then = then
        self._otherwise = otherwise

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            value = yield from self._pending.__await__()
        except Exception as error:  # noqa: BLE001 - whoever waits gets a value for it, or the error itself
            return self._instead(error)
        return self._then(value)

    def result(self) -> Any:
        """Block until it is there; raises ``RuntimeError`` on an event loop, where it would never be."""
        try:
            value = self._pending.result()
        except NotThereYet:
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits gets a value for it, or the error itself
            return self._instead(error)
        return self._then(value)

    def tell(self, listener: Callable[[Any], object]) -> None:
        """Call *listener* with it once it is there: on an event loop, and only where errors have values."""

        def done(pending: Any) -> None:
            error = pending.exception()
            listener(self._then(pending.result()) if error is None else self._instead(error))

        pending: Any = self._pending
        pending.add_done_callback(done)

    def _instead(self, error: Exception) -> Any:
        if self._otherwise is None:
            raise error
        return self._otherwise(error)


def _not_stored(error: Exception) -> Reply:
    # Whatever it was, the provider must send it again: a false 2xx would lose the event for good.
    if isinstance(error, NotFound):
        return error_reply(NotFound("this source is not there any more"))
    if isinstance(error, Unavailable):
        return error_reply(error)
    return error_reply(StoreUnavailable("the message could not be stored; send it again"))


def _inbound(entrance: Entrance, request: Request, received: Received) -> Inbound:
    kept = stored_headers(entrance.profile, request.headers)
    if not "".join((*kept, *kept.values())).isascii():
        kept = {_written(name): _written(value) for name, value in kept.items()}
    return Inbound(
        headers=kept,
        event_id=received.event_id,
        dedupe_key=received.dedupe_key,
        business_key=received.business_key,
        sent_at=received.sent_at,
        key=received.key,
        is_test=received.is_test,
        understood=received.understood,
    )


def _written(text: str) -> str:
    # Half of a pair of surrogates is the one thing that cannot be stored.
    return text.encode("utf-8", "replace").decode()


__all__ = ["Intake", "Reply"]
