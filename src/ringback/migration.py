"""Moving in from another server: its records become Ringback's, with the same ids, as often as it takes.

What was brought over is remembered by a digest of how it was there. So the next run leaves alone what has not changed
there since, even where it has changed here; and a run that was stopped goes on where it was. What is read from there is
read before a transaction begins here, so that nobody who writes has to wait for another server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from ringback import ids
from ringback.errors import Conflict, InvalidInput, NotFound, Raced, RingbackError
from ringback.model import Endpoint, EventType, Instant, Message
from ringback.moving import DELETED_HERE, Event, Fate, Kind, Memory, Progress, Wish, digest_of, placed
from ringback.origins import Found, Origin, Whole
from ringback.outbox import add_operators, found
from ringback.store import NOBODY, Acceptance, Lease, Store

# So many applications, or so many endpoints of them, are one transaction.
APPLICATIONS_AT_ONCE = 50
ENDPOINTS_AT_ONCE = 500
EVENT_TYPES_AT_ONCE = 250
MAX_RACES = 5

_NO_LEASE = Lease(0, 0)


class _Rehearsed(Exception):  # noqa: N818 - what happened
    """Undoes a transaction."""


class Migration:
    """Brings records over from an *origin* into a *store*, at the instant *now*; *tell* is called for each."""

    def __init__(
        self, store: Store, origin: Origin, wish: Wish, *, now: Instant, tell: Callable[[Event], object]
    ) -> None:
        self._store = store
        self._origin = origin
        self._wish = wish
        self._now = now
        self._tell = tell
        self._memory = Memory(store)
        self._events: list[Event] = []

    def run(self) -> None:
        """Bring everything over.

        Raises:
            ConfigurationError: The origin cannot be read.
            ConnectionError: It is lost on the way; what was done stays, and the next run goes on from there.
            TimeoutError: Likewise.
            StoreUnavailable: The store cannot be written; likewise.
        """
        self._origin.check()
        after = self._memory.stopped_at(self._origin.name, self._wish)
        if after is None:
            for batch in _batches(self._origin.event_types(), lambda _: 1, EVENT_TYPES_AT_ONCE):
                self._step(partial(self._bring_event_types, batch))
            self._step(partial(self._bring_operators, tuple(self._origin.operators())))
        for group in _batches(self._origin.applications(after), _size, ENDPOINTS_AT_ONCE):
            self._bring_group(group, after)
            after = group[-1].application.record.id
        self._step(partial(self._end_between, after, None))
        self._step(partial(self._memory.keep_progress, self._origin.name, None))

    def _bring_group(self, group: Sequence[Whole], after: str | None) -> None:
        here: dict[str, str] = {}
        self._step(partial(self._bring_applications, group, after, here))
        if self._wish.since is not None:
            for there, application in here.items():
                self._bring_messages(there, application, self._wish.since)
        stopped = Progress.of(group[-1].application.record.id, self._wish)
        self._step(partial(self._memory.keep_progress, self._origin.name, stopped))

    def _step(self, change: Callable[[], object]) -> None:
        """Make one transaction of *change*, and tell what became of its records once it is committed."""
        for left in reversed(range(MAX_RACES)):
            self._events = []
            try:
                with contextlib.suppress(_Rehearsed), self._store.transaction():
                    change()
                    self._undo_rehearsal()
                break
            except Raced:
                # A node that is at work changed the same at the same moment.
                if not left:
                    raise
        for event in self._events:
            self._tell(event)

    def _undo_rehearsal(self) -> None:
        if self._wish.rehearse:
            raise _Rehearsed

    # --- What can be changed ------------------------------------------------------------------------------

    def _bring_event_types(self, batch: Sequence[Found[EventType]]) -> None:
        for one in batch:
            self._bring(Kind.EVENT_TYPE, one.record.name, one, partial(placed, self._store, one.record))

    def _bring_operators(self, endpoints: Sequence[Found[Endpoint]]) -> None:
        if endpoints:
            add_operators(self._store, self._now)
        self._bring_endpoints(ids.OPERATOR, ids.OPERATOR, endpoints)

    def _bring_applications(self, group: Sequence[Whole], after: str | None, here: dict[str, str]) -> None:
        self._end_between(after, [whole.application.record.id for whole in group])
        for whole in group:
            record = whole.application.record
            put = partial(placed, self._store, record)
            application = self._bring(Kind.APPLICATION, record.id, whole.application, put)
            if application is None:
                continue
            if found(partial(self._store.application, application)) is None:
                self._note(Kind.APPLICATION, record.id, Fate.SKIPPED, why=DELETED_HERE)
                continue
            here[record.id] = application
            self._bring_endpoints(record.id, application, whole.endpoints)

    def _bring_endpoints(self, there: str, application: str, endpoints: Iterable[Found[Endpoint]]) -> None:
        gone = dict.fromkeys(self._memory.below(Kind.ENDPOINT, there))
        for one in endpoints:
            name = f"{there}.{one.record.id}"
            gone.pop(name, None)
            record = msgspec.structs.replace(one.record, application_id=application)
            self._bring(Kind.ENDPOINT, name, one, partial(placed, self._store, record))
        for name in gone:
            kept = self._memory.kept(Kind.ENDPOINT, name)
            if kept is not None and found(partial(self._store.endpoint, application, kept.here)) is not None:
                remove = partial(self._store.remove_endpoint, application, kept.here, self._now)
                self._end(Kind.ENDPOINT, name, kept.here, remove)

    def _bring(
        self, kind: Kind, name: str, one: Found[Any], put: Callable[..., tuple[Fate, str]]
    ) -> str | None:
        """Bring one record over; return the id it has here, None where it is not here."""
        shown = name.rpartition(".")[2] if kind is Kind.ENDPOINT else name
        if one.obstacle is not None:
            self._note(kind, shown, Fate.SKIPPED, why=one.obstacle)
            return None
        digest, kept = digest_of(one), self._memory.kept(kind, name)
        if kept is not None and kept.digest == digest:
            self._note(kind, shown, Fate.UNCHANGED)
            return kept.here
        try:
            with self._store.transaction():
                fate, here = put(known=kept is not None)
                self._memory.keep(kind, name, digest, here)
        except (Conflict, InvalidInput, NotFound) as error:
            self._note(kind, shown, Fate.SKIPPED, why=str(error))
            return None
        self._note(kind, shown, fate, left_out=one.left_out, kept_as=None if here == shown else here)
        return here

    # --- What is there no longer --------------------------------------------------------------------------

    def _end_between(self, after: str | None, there: Sequence[str] | None) -> None:
        """End the applications remembered between *after* and the last of those that are *there* (None: the end)."""
        still = frozenset(there or ())
        for name, kept in self._memory.between(Kind.APPLICATION, after, there[-1] if there else None):
            if name not in still and found(partial(self._store.application, kept.here)) is not None:
                remove = partial(self._store.remove_application, kept.here, self._now)
                self._end(Kind.APPLICATION, name, kept.here, remove)

    def _end(self, kind: Kind, name: str, here: str, remove: Callable[[], None]) -> None:
        if self._wish.remove_gone:
            remove()
            self._memory.forget(kind, name)
        self._note(kind, here, Fate.REMOVED if self._wish.remove_gone else Fate.GONE)

    # --- What was sent ------------------------------------------------------------------------------------

    def _bring_messages(self, there: str, application: str, since: Instant) -> None:
        first = ids.earliest(ids.MESSAGE, since)
        kept = None if self._wish.restart else self._memory.kept(Kind.MESSAGE, there)
        for page in self._origin.messages(there, first if kept is None else max(kept.here, first)):
            self._step(partial(self._put_messages, page, there, application))

    def _put_messages(self, page: Sequence[Message], there: str, application: str) -> None:
        new = [one for one in page if self._is_new(one, application)]
        wanted = [] if self._wish.rehearse else [_acceptance(one, application) for one in new]
        answers = self._store.accept(wanted, _NO_LEASE, lambda _: False) if wanted else [None] * len(new)
        for one, answer in zip(new, answers, strict=True):
            refused = str(answer) if isinstance(answer, RingbackError) else None
            self._note(Kind.MESSAGE, one.id, Fate.SKIPPED if refused else Fate.CREATED, why=refused)
        self._memory.keep(Kind.MESSAGE, there, b"", page[-1].id)

    def _is_new(self, one: Message, application: str) -> bool:
        if found(partial(self._store.message, application, one.id)) is not None:
            self._note(Kind.MESSAGE, one.id, Fate.UNCHANGED)
            return False
        why = None
        if one.payload is None:
            why = "its payload has expired"
        elif not ids.is_id(ids.MESSAGE, one.id):
            why = f"its id is none of the form {ids.MESSAGE}_ and {ids.LENGTH} letters and digits"
        if why is not None:
            self._note(Kind.MESSAGE, one.id, Fate.SKIPPED, why=why)
        return why is None

    def _note(self, kind: Kind, name: str, fate: Fate, **more: Any) -> None:
        self._events.append(Event(kind=kind, name=name, fate=fate, **more))


def _acceptance(one: Message, application: str) -> Acceptance:
    return Acceptance(
        application=application,
        id=one.id,
        event_type=one.event_type,
        payload=one.payload or b"",
        created_at=one.created_at,
        event_id=one.event_id,
        channels=one.channels,
        tags=one.tags,
        only=NOBODY,
    )


def _size(whole: Whole) -> int:
    return max(len(whole.endpoints), ENDPOINTS_AT_ONCE // APPLICATIONS_AT_ONCE)


def _batches(rows: Iterable[Any], size: Callable[[Any], int], most: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += size(row)
        if held >= most:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
