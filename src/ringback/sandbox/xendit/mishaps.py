"""What goes wrong with webhooks on purpose: some are dropped, held back, told in another order, or told twice."""

from __future__ import annotations

from collections.abc import Callable

from ringback.model import Duration, Instant
from ringback.policy import DAY
from ringback.sandbox.xendit.calls import Owner, Refused
from ringback.sandbox.xendit.ledger import Change, Entry, Ledger
from ringback.sandbox.xendit.log import Log
from ringback.sandbox.xendit.log_rows import AUTOMATIC, Row, Status
from ringback.sandbox.xendit.notices import NOTICE
from ringback.sandbox.xendit.slots import Mishap, Sending, Slot, Slots

ECHO = "echo"
# How often to look whether a webhook has been acknowledged that is to be sent twice. Receivers live in real time.
LOOK: Duration = 500

_Place = tuple[Owner, str]


class Mishaps:
    """Decides what befalls each notice, as its slot's settings want it.

    Args:
        ledger: Where notices are kept.
        slots: Says what is to go wrong.
        log: Tells what has been acknowledged, and sends it again.
        sending: How fast time passes.
        clock: Returns the present instant.
    """

    def __init__(
        self, ledger: Ledger, slots: Slots, log: Log, sending: Sending, clock: Callable[[], Instant]
    ) -> None:
        self._ledger = ledger
        self._slots = slots
        self._log = log
        self._sending = sending
        self._clock = clock
        # The notice of each slot that was held last; whether it still is, the notice itself says.
        self._held: dict[_Place, str] = {}

    def load(self) -> None:
        """Remember what an earlier run holds back."""
        for entry in self._ledger.entries(NOTICE):
            if _is_held(entry):
                self._held[_place(entry)] = entry.id

    def befall(self, change: Change, entry: Entry) -> list[Entry]:
        """Let happen to a notice what its slot's settings want.

        Args:
            change: The change that the notice was added to; takes up what follows.
            entry: The notice.

        Returns:
            What is to be published once the change is kept, in this order.
        """
        if entry.hidden["test"]:
            return [entry]
        slot = self._slots.get(entry.owner, entry.body["slot"])
        if Mishap.DROP in slot.mishaps:
            _mark(change, entry, Mishap.DROP)
            return []
        if Mishap.DELAY in slot.mishaps:
            delayed = _mark(change, entry, Mishap.DELAY, self._after(slot.delay))
            self._expect(change, delayed, slot)
            return []
        released = self._release(change, entry)
        if Mishap.REORDER in slot.mishaps and not released:
            _mark(change, entry, Mishap.REORDER, self._after(DAY))
            self._held[_place(entry)] = entry.id
            return []
        for one in (entry, *released):
            self._expect(change, one, slot)
        return [entry, *released]

    async def echo(self, entry: Entry) -> None:
        """Send a webhook once more if it has been acknowledged; look again later if that may still come."""
        look_at = await self._echoed(entry.owner, entry.id)
        change = Change(self._ledger, self._clock())
        change.replace(entry, due_at=look_at)
        await self._ledger.keep(change.entries)

    async def _echoed(self, owner: Owner, notice_id: str) -> Instant | None:
        """Return when to look again; None when all has been done."""
        try:
            row = (await self._log.detail(owner, notice_id)).row
            if row.status is Status.COMPLETED:
                await self._log.resend(owner, notice_id, AUTOMATIC)
            return self._next_look(row)
        except Refused:
            return None

    def _next_look(self, row: Row) -> Instant | None:
        if row.status is Status.PENDING:
            return self._clock() + LOOK
        return None if row.next_redelivery is None else max(row.next_redelivery, self._clock()) + LOOK

    def _expect(self, change: Change, entry: Entry, slot: Slot) -> None:
        if Mishap.DUPLICATE in slot.mishaps:
            change.add(ECHO, entry.id, entry.owner, {}, due_at=(entry.due_at or self._clock()) + LOOK)

    def _release(self, change: Change, entry: Entry) -> list[Entry]:
        """Return, no longer held, the notice that waited for *entry*, if one did."""
        held_id = self._held.get(_place(entry))
        held = next((one for one in reversed(change.entries) if one.place == (NOTICE, held_id)), None)
        held = held or (None if held_id is None else self._ledger.get(NOTICE, held_id))
        return [] if held is None or not _is_held(held) else [change.replace(held, due_at=None)]

    def _after(self, duration: Duration) -> Instant:
        return self._clock() + self._sending.shortened(duration)


def is_dropped(entry: Entry) -> bool:
    """Tell whether a notice is one that nobody is to hear of."""
    return bool(entry.hidden.get("mishap") == Mishap.DROP)


def _mark(change: Change, entry: Entry, mishap: Mishap, due_at: Instant | None = None) -> Entry:
    return change.replace(entry, hidden=entry.hidden | {"mishap": mishap.value}, due_at=due_at)


def _is_held(entry: Entry) -> bool:
    waits = entry.due_at is not None and not entry.hidden["published"]
    return waits and entry.hidden.get("mishap") == Mishap.REORDER


def _place(entry: Entry) -> _Place:
    return entry.owner, entry.body["slot"]
