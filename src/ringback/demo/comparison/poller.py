"""A poller: asks for each invoice that it takes for pending, again and again, until it is paid."""

from __future__ import annotations

import msgspec

from ringback.demo.comparison.asking import Asker
from ringback.demo.comparison.ear import Ear
from ringback.model import Duration

DONE = frozenset({"PAID", "SETTLED"})


class Poller:
    """One that asks every so often.

    Args:
        asker: Asks the API.
        interval: How often, in milliseconds of the provider's time.
        ear: Told of each invoice that turns out to be paid.
    """

    def __init__(self, asker: Asker, interval: Duration, ear: Ear) -> None:
        self.asker = asker
        self.interval = interval
        self.ear = ear
        self._pending: dict[str, None] = {}

    @property
    def waits(self) -> bool:
        """Whether an invoice is pending, as far as it knows."""
        return bool(self._pending)

    def follow(self, invoice_id: str) -> None:
        """Ask for an invoice from now on."""
        self._pending[invoice_id] = None

    async def ask(self) -> None:
        """Ask for every pending invoice once."""
        await self.asker.each([f"/v2/invoices/{one}" for one in self._pending], self._heed)

    def _heed(self, answer: bytes) -> None:
        invoice = msgspec.json.decode(answer, type=_Invoice)
        if invoice.status in DONE:
            self.ear.hear(invoice.id)
            del self._pending[invoice.id]


class _Invoice(msgspec.Struct, frozen=True):
    """What a poller wants to know."""

    id: str
    status: str
