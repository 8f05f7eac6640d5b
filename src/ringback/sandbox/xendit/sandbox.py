"""The sandbox put together: its products, what they remember, what is told, and the passing of time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from ringback.errors import RingbackError, Unavailable
from ringback.model import Instant, iso
from ringback.outbox import MAX_PAYLOAD, Outbox
from ringback.sandbox.xendit.calls import Owner, Refused, Route
from ringback.sandbox.xendit.ledger import Change, Entry, Ledger
from ringback.sandbox.xendit.log import Log
from ringback.sandbox.xendit.mishaps import ECHO, Mishaps, is_dropped
from ringback.sandbox.xendit.notices import NOTICE, Notice, Publisher
from ringback.sandbox.xendit.receipts import begin_receipt
from ringback.sandbox.xendit.slots import TOKEN, Sending, Slots

BUSINESS = "5f21361959ba2b788ff16fe3"
DEFAULT_KEY = "xnd_development_ringback"
LIVE_KEY = "xnd_production_ringback"
RETRY_SECONDS = 1.0
# How often the clock is looked at while something is to come: it may be set, and does not stand still in a computer
# that sleeps, as a timer does.
LOOK_SECONDS = 5.0

logger = logging.getLogger("ringback.sandbox")

Ring = Callable[[Entry], Awaitable[None]]
P = TypeVar("P", bound="Product")


class Product(Protocol):
    """A part of the provider's API. Made with the sandbox as its only argument."""

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        ...


class Sandbox:
    """The provider, played. For use on one event loop.

    Args:
        outbox: Webhooks leave and objects are kept through it.
        products: The kinds of products to have.
        clock: Returns the present instant.
        chance: Makes ids and numbers, those of messages too; what is kept already changes its seed.
        sending: How webhooks are sent.
    """

    def __init__(
        self,
        outbox: Outbox,
        products: Sequence[Callable[[Sandbox], Product]],
        *,
        clock: Callable[[], Instant],
        chance: random.Random,
        sending: Sending,
    ) -> None:
        outbox = outbox.with_entropy(chance.randbytes)
        self.outbox = outbox
        self.clock = clock
        self.chance = chance
        self.sending = sending
        self.ledger = Ledger(outbox)
        self.slots = Slots(outbox, self.ledger, sending, clock=clock, chance=chance)
        self._publisher = Publisher(outbox, self.ledger, self.slots)
        self.log = Log(outbox, self.ledger, self.slots, self._publisher, clock=clock)
        self._mishaps = Mishaps(self.ledger, self.slots, self.log, sending, clock)
        self._rings: dict[str, Ring] = {
            NOTICE: self._publish,
            ECHO: self._mishaps.echo,
            TOKEN: self.slots.switch_due,
        }
        self._rung: Entry | None = None
        self._woken = asyncio.Event()
        self._products = [make(self) for make in products]

    async def start(self) -> None:
        """Remember what an earlier run has kept, and publish what it has not."""
        last = await self.ledger.load()
        if last:
            # With a seed, chance would make again what it made in an earlier run, ids above all.
            self.chance.seed(f"{self.chance.random()} after {last}")
        self._mishaps.load()
        for entry in reversed(self.ledger.entries(NOTICE)):
            if not entry.hidden["published"] and entry.due_at is None and not is_dropped(entry):
                await self._publish(entry)

    def product(self, kind: type[P]) -> P:
        """Return the product of a kind."""
        return next(product for product in self._products if isinstance(product, kind))

    def routes(self) -> list[Route]:
        """Return what all products answer."""
        return [route for product in self._products for route in product.routes()]

    # --- Changes ------------------------------------------------------------------------------------------

    def change(self) -> Change:
        """Begin a change; ``commit`` makes it true."""
        return Change(self.ledger, self.clock())

    async def commit(self, change: Change, *notices: tuple[Owner, Notice]) -> None:
        """Make a change durable with the *notices* of it, then publish those.

        Raises:
            RingbackError: Nothing has changed.
            Refused: 413: nothing has changed, for a notice would be larger than what can be sent.
        """
        begin_receipt(change)
        told: list[Entry] = []
        for owner, notice in notices:
            hidden = notice.hidden()
            _check_size(hidden["payload"])
            entry = change.add(NOTICE, self.new_uuid(), owner, notice.shown(), hidden=hidden)
            told += self._mishaps.befall(change, entry)
        await self.ledger.keep(change.entries)
        self._woken.set()
        for entry in told:
            await self._publish(entry)

    async def _publish(self, entry: Entry) -> None:
        try:
            await self._publisher.publish(entry)
        except Unavailable as error:
            # What it tells of has happened, so it is for this program to try again.
            logger.warning("a webhook waits, for it cannot be published now: %s", error)
            self._put_off(entry, self.clock() + round(RETRY_SECONDS * 1000))
        except RingbackError as error:
            logger.error("the webhook %s cannot be published before the next start: %s", entry.id, error)  # noqa: TRY400 - where it comes from says nothing
            self._put_off(entry, None)

    def _put_off(self, entry: Entry, due_at: Instant | None) -> None:
        """Let what is due happen at another time, or not at all; a restart knows nothing of it."""
        self.ledger.adopt(msgspec.structs.replace(entry, due_at=due_at))
        self._woken.set()

    # --- Time ---------------------------------------------------------------------------------------------

    def after(self, duration: float, since: Instant | None = None) -> Instant:
        """Return the instant *duration* milliseconds of the provider's time after another, by default the present."""
        return (self.clock() if since is None else since) + self.sending.shortened(round(duration))

    def on_due(self, kind: str, ring: Ring) -> None:
        """Call *ring* with each entry of a *kind* when its ``due_at`` has come; it has to put that forward."""
        self._rings[kind] = ring

    async def tick(self) -> int:
        """Let happen what is due by now, in its order; return how much that was."""
        count = 0
        while (entry := self.ledger.next_due()) is not None and (entry.due_at or 0) <= self.clock():
            self._rung = entry
            await self._rings[entry.kind](entry)
            count += 1
        return count

    async def run(self) -> None:
        """Let things happen when they are due, until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self.tick()
            except Unavailable as error:
                logger.warning("the sandbox cannot go on now and tries again: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                logger.exception(
                    "what is due has failed and is left out: %s", self._rung and self._rung.place
                )
                self._leave_out()
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._pause())

    def _leave_out(self) -> None:
        """Let what has just failed not happen, for all that comes after it would wait for it."""
        entry = self._rung
        if entry is not None and self.ledger.get(*entry.place) is entry:
            self._put_off(entry, None)

    def _pause(self) -> float | None:
        """Return for how many seconds nothing is due; None: for ever."""
        entry = self.ledger.next_due()
        if entry is None:
            return None
        return min(LOOK_SECONDS, max(0, (entry.due_at or 0) - self.clock()) / 1000)

    # --- Ids ----------------------------------------------------------------------------------------------

    def new_uuid(self) -> str:
        """Return a UUID."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def new_hex(self, digits: int = 24) -> str:
        """Return hexadecimal digits."""
        return f"{self.chance.getrandbits(4 * digits):0{digits}x}"

    def new_digits(self, digits: int) -> str:
        """Return decimal digits, of which the first is not 0."""
        return str(self.chance.randrange(10 ** (digits - 1), 10**digits))

    def stamp(self, instant: Instant | None = None) -> str:
        """Write an instant, by default the present, as the provider writes times."""
        return iso(self.clock() if instant is None else instant)


def _check_size(payload: str) -> None:
    size = len(payload.encode())
    if size > MAX_PAYLOAD:
        wrong = f"the webhook that tells of it would have {size} bytes, and {MAX_PAYLOAD} can be sent"
        raise Refused(413, "REQUEST_TOO_LARGE", wrong)
