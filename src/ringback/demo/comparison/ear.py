"""When a shop hears of payments, by one way of following them."""

from __future__ import annotations

from ringback.demo.comparison.clock import ProviderClock


class Ear:
    """Notes the moment at which it is told of each invoice first.

    Args:
        clock: The provider's.
    """

    def __init__(self, clock: ProviderClock) -> None:
        self.heard: dict[str, float] = {}
        self._clock = clock

    def hear(self, invoice_id: str) -> None:
        """Note that an invoice is paid."""
        self.heard.setdefault(invoice_id, self._clock.reading())
