"""What was sent, looked back on: how an endpoint fares; cancelling, and forgetting contents, on request."""

from __future__ import annotations

from collections.abc import Callable

from ringback import ids, policy
from ringback.errors import InvalidInput
from ringback.model import Duration, Instant
from ringback.repetition import idempotency, once
from ringback.replays import added
from ringback.selection import Selection
from ringback.store import Lane, Pending, Spell, Store, Tally, Task, TaskKind
from ringback.store.commit import Committer

MAX_STEPS = 1_000
# At once, by their names.
MAX_EXPUNGED = 1_000

# Source: the Svix server; what an attempt's answer reads as when it has been removed.
EXPUNGED = b"EXPUNGED"


class Archive:
    """Counts, cancels and expunges; made by ``Outbox.archive``.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
    """

    def __init__(
        self, committer: Committer, clock: Callable[[], Instant], entropy: Callable[[int], bytes]
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._entropy = entropy

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

    def attempts(
        self,
        application: str,
        endpoint: str,
        since: Instant | None = None,
        until: Instant | None = None,
        step: Duration | None = None,
    ) -> Pending[list[Spell]]:
        """Count attempts at an endpoint in a window as ``tally`` has it, *step* by step; None: all of it at once.

        Raises:
            InvalidRange: The window is empty or longer than 28 days.
            InvalidInput: It has more than 1,000 steps.
            NotFound: There is no such endpoint.
        """
        begin, end = policy.tally_window(since, until, self._clock())
        if step is not None and not policy.SECOND <= step <= end - begin <= MAX_STEPS * step:
            raise InvalidInput.at("query", "step", msg=f"makes 1 to {MAX_STEPS} steps of at least a second")
        each = max(1, end - begin) if step is None else step

        def query(store: Store) -> list[Spell]:
            owner = store.application(application).id
            return store.attempts_by_time(owner, store.endpoint(owner, endpoint).id, begin, end, each)

        return self._committer.read(query)

    def purge(self, application: str, *, idempotency_key: str | None = None) -> Pending[Task]:
        """Forget the payloads of all messages that an application has now, as a task; see ``expunge_message``.

        Raises:
            NotFound: There is no such application.
            Conflict: The key was used for something else.
        """
        now = self._clock()
        use = idempotency("purge", idempotency_key, "all")
        task_id = ids.new_id(ids.TASK, now, self._entropy(ids.ENTROPY_BYTES))

        def change(store: Store) -> Task:
            owner = store.application(application).id
            task = Task(
                id=task_id,
                application_id=owner,
                kind=TaskKind.PURGE,
                selection=Selection(since=0, until=now + 1),
                lanes=(Lane(endpoint_id=""),),
                created_at=now,
                updated_at=now,
            )
            return store.task(once(store, use, (owner,), now, lambda: added(store, task)))

        return self._committer.write(change)

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
