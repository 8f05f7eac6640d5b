"""What was sent, looked back on: how an endpoint fares; cancelling, and forgetting contents, on request."""

from __future__ import annotations

from collections.abc import Callable

from ringback import policy
from ringback.model import Instant
from ringback.store import Pending, Store, Tally
from ringback.store.commit import Committer

# Source: the Svix server; what an attempt's answer reads as when it has been removed.
EXPUNGED = b"EXPUNGED"


class Archive:
    """Counts, cancels and expunges; made by ``Outbox.archive``.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
    """

    def __init__(self, committer: Committer, clock: Callable[[], Instant]) -> None:
        self._committer = committer
        self._clock = clock

    def tally(
        self, application: str, endpoint: str, since: Instant | None = None, until: Instant | None = None
    ) -> Pending[Tally]:
        """Count how an endpoint fared from *since* (None: 28 days before *until*) to *until* (None: now).

        Raises:
            InvalidRange: The window is empty or longer than 28 days.
            NotFound: There is no such endpoint.
        """
        begin, end = policy.tally_window(since, until, self._clock())

        def query(store: Store) -> Tally:
            owner = store.application(application).id
            return store.tally(owner, store.endpoint(owner, endpoint).id, begin, end)

        return self._committer.read(query)

    def expunge_message(self, application: str, message: str) -> Pending[None]:
        """Forget a message's payload, by its id or event id; what waits to be delivered of it is cancelled.

        Raises:
            NotFound: There is no such message.
        """

        def change(store: Store) -> None:
            owner = store.application(application).id
            store.expunge_message(owner, store.message(owner, message).id)

        return self._committer.write(change)

    def cancel_message(self, application: str, message: str) -> Pending[int]:
        """Cancel what waits to be delivered of a message, by its id or event id; return how many deliveries that were.

        What is being sent at the moment is left alone, and what has come to rest stays as it is.

        Raises:
            NotFound: There is no such message.
        """

        def change(store: Store) -> int:
            owner = store.application(application).id
            return store.cancel_message(owner, store.message(owner, message).id)

        return self._committer.write(change)

    def expunge_attempt(self, application: str, message: str, attempt: str) -> Pending[None]:
        """Forget what the receiver answered to an attempt.

        Raises:
            NotFound: There is no such attempt.
        """

        def change(store: Store) -> None:
            owner = store.application(application).id
            store.expunge_attempt(owner, store.message(owner, message).id, attempt, EXPUNGED)

        return self._committer.write(change)
