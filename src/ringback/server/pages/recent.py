"""What no store keeps of the requests that came in lately: how long each answer took, and what came again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ringback.intake import ACCEPTED
from ringback.model import Instant, Source
from ringback.observe import MessageAccepted, Observer, WebhookReceived

MOST = 200


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that was answered and made no message.

    ``outcome`` is as in ``WebhookReceived``; ``message_id`` is that of the message which it repeats, None where it
    could not be stored.
    """

    at: Instant
    source: Source
    outcome: str
    message_id: str | None
    seconds: float


class Recent:
    """Remembers what came to this process, a bounded number of requests.

    Args:
        observer: Says what happens.
        clock: Returns the present instant.
        most: How many are remembered.
    """

    def __init__(self, observer: Observer, clock: Callable[[], Instant], most: int = MOST) -> None:
        self._clock = clock
        # Appended to on whichever thread it happens, and copied as a whole: both are one step of the interpreter.
        self._published: deque[tuple[str, float]] = deque(maxlen=most)
        self._received: deque[tuple[str, float]] = deque(maxlen=most)
        self._answered: deque[Answered] = deque(maxlen=most)
        self.follow(observer)

    def follow(self, observer: Observer) -> None:
        """Remember what *observer* tells as well, such as that of an inbox in the same process."""
        observer.subscribe(MessageAccepted, self._note_accepted)
        observer.subscribe(WebhookReceived, self._note_received)

    @property
    def acknowledgements(self) -> Mapping[str, float]:
        """How long the acknowledgement of each message took, in seconds, by the message's id.

        That of a webhook is from the request to its answer, that of a published message from the call to the commit.
        """
        return {**dict(list(self._published)), **dict(list(self._received))}

    @property
    def answered(self) -> Sequence[Answered]:
        """The webhooks that made no message, oldest first."""
        return list(self._answered)

    def _note_accepted(self, event: MessageAccepted) -> None:
        self._published.append((event.message.id, event.waited))

    def _note_received(self, event: WebhookReceived) -> None:
        if event.outcome == ACCEPTED and event.message_id is not None:
            self._received.append((event.message_id, event.seconds))
            return
        self._answered.append(
            Answered(
                at=self._clock(),
                source=event.source,
                outcome=event.outcome,
                message_id=event.message_id,
                seconds=event.seconds,
            )
        )
