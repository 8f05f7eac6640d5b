"""What the sandbox remembers: objects in memory, each written through to the store before anybody hears of it."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from ringback.model import Instant
from ringback.outbox import Outbox
from ringback.sandbox.xendit.agenda import Agenda
from ringback.sandbox.xendit.calls import Owner
from ringback.store import Document

COLLECTION = "xendit"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One object.

    Args:
        kind: Such as ``invoice``.
        id: Unique among its kind.
        owner: Whose it is.
        body: The object as the API shows it; never changed in place.
        hidden: What the API does not show; never changed in place.
        created_at: When it was made.
        serial: Its place in the order in which all objects were made.
        due_at: When something is to happen to it by itself; None: nothing.
    """

    kind: str
    id: str
    owner: Owner
    body: dict[str, Any]
    hidden: dict[str, Any] = {}
    created_at: Instant
    serial: int
    due_at: Instant | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Its name in the ledger."""
        return self.kind, self.id


class Ledger:
    """All entries. For use on one event loop.

    Args:
        outbox: Keeps them.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._entries: dict[str, dict[str, Entry]] = {}
        self._agenda = Agenda()
        self._serials = itertools.count(1)

    async def load(self) -> int:
        """Read what an earlier run has kept; return the serial of its last entry, 0 where there is none."""
        documents = await self._outbox.documents(COLLECTION)
        entries = [msgspec.json.decode(document.body or b"", type=Entry) for document in documents]
        for entry in sorted(entries, key=lambda entry: entry.serial):
            self._put(entry)
        last = max((entry.serial for entry in entries), default=0)
        self._serials = itertools.count(last + 1)
        return last

    def next_serial(self) -> int:
        """Return the place of the next object in the order of all."""
        return next(self._serials)

    def get(self, kind: str, entry_id: str, owner: Owner | None = None) -> Entry | None:
        """Return an entry by its id; None where there is none, or it is not *owner*'s."""
        entry = self._entries.get(kind, {}).get(entry_id)
        return None if entry is None or owner not in {None, entry.owner} else entry

    def at(self, kind: str, entry_id: str) -> Entry:
        """Return an entry that is known to be there, such as one that another entry names."""
        return self._entries[kind][entry_id]

    def entries(self, kind: str, owner: Owner | None = None, **fields: Any) -> list[Entry]:
        """Return the entries of a kind, newest first: *owner*'s, whose bodies have these *fields*."""
        return [
            entry
            for entry in reversed(self._entries.get(kind, {}).values())
            if owner in {None, entry.owner}
            and all(entry.body.get(name) == value for name, value in fields.items())
        ]

    def next_due(self) -> Entry | None:
        """Return the entry to which something is to happen first; of several, the oldest."""
        place = self._agenda.first()
        return None if place is None else self.get(*place)

    async def keep(self, entries: list[Entry]) -> None:
        """Put *entries* in place of those they replace, durably.

        Raises:
            RingbackError: They could not be kept; then nothing has changed.
        """
        before = [(entry, self.get(*entry.place)) for entry in entries]
        for entry in entries:
            self._put(entry)
        try:
            await self._outbox.keep([self.document(entry) for entry in entries])
        except BaseException:
            for entry, old in before:
                self._restore(entry, old)
            raise

    def adopt(self, entry: Entry) -> None:
        """Put an entry in place that has been kept together with a message."""
        self._put(entry)

    @staticmethod
    def document(entry: Entry) -> Document:
        """Return what is kept of an entry."""
        return Document(COLLECTION, f"{entry.kind}/{entry.id}", msgspec.json.encode(entry))

    def _put(self, entry: Entry) -> None:
        self._entries.setdefault(entry.kind, {})[entry.id] = entry
        self._agenda.put(entry.place, entry.due_at, entry.serial)

    def _restore(self, entry: Entry, old: Entry | None) -> None:
        if self._entries[entry.kind].get(entry.id) is not entry:
            return  # somebody has changed it since, knowing this one
        if old is None:
            del self._entries[entry.kind][entry.id]
            self._agenda.put(entry.place, None, entry.serial)
        else:
            self._put(old)


class Change:
    """Several entries that are made or replaced together, and what is told of them; see ``Sandbox.change``."""

    def __init__(self, ledger: Ledger, now: Instant) -> None:
        self.entries: list[Entry] = []
        self._ledger = ledger
        self._now = now

    def add(
        self,
        kind: str,
        entry_id: str,
        owner: Owner,
        body: dict[str, Any],
        *,
        hidden: dict[str, Any] | None = None,
        due_at: Instant | None = None,
    ) -> Entry:
        """Make an entry; it can be found once the change is committed."""
        entry = Entry(
            kind=kind,
            id=entry_id,
            owner=owner,
            body=body,
            hidden=hidden or {},
            created_at=self._now,
            serial=self._ledger.next_serial(),
            due_at=due_at,
        )
        self.entries.append(entry)
        return entry

    def replace(self, entry: Entry, **fields: Any) -> Entry:
        """Replace fields of an entry, such as ``body``, ``hidden`` or ``due_at``; return the new one."""
        new = msgspec.structs.replace(entry, **fields)
        # A change keeps each entry once: as it is in the end.
        self.entries = [*(one for one in self.entries if one.place != new.place), new]
        return new

    def update(self, entry: Entry, *, due_at: Instant | None = None, **body: Any) -> Entry:
        """Replace fields of an entry's body, and when something is to happen to it; return the new one."""
        return self.replace(entry, body=entry.body | body, due_at=due_at)
