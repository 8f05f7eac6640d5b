"""What a caller says of a card: checked, and shown without what must not be kept.

Source: docs.xendit.co on card payments of the v3 API. The number is shown as its first and last four digits; neither
it nor the code on the card's back is kept anywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.fields import Draft

SECRET = frozenset({"card_number", "cvn"})
_NETWORKS = {"3": "AMEX", "4": "VISA", "5": "MASTERCARD", "6": "UNIONPAY"}


class CardDetails(Draft, frozen=True):
    """A card."""

    card_number: Annotated[str, Meta(pattern=r"^[0-9]{12,19}$")]
    expiry_month: Annotated[str, Meta(pattern=r"^(0[1-9]|1[0-2])$")]
    expiry_year: Annotated[str, Meta(pattern=r"^20[0-9]{2}$")]
    cvn: Annotated[str, Meta(pattern=r"^[0-9]{3,4}$")] | None = None

    @property
    def ends_at(self) -> Instant:
        """The instant at which the month is over in which it ends."""
        return month_end(int(self.expiry_month), int(self.expiry_year))

    def check(self, now: Instant) -> None:
        """Check that the card has not ended.

        Raises:
            Refused: 400 ``CARD_EXPIRED``.
        """
        if self.ends_at <= now:
            ended = f"{self.expiry_month}/{self.expiry_year}"
            raise Refused(400, "CARD_EXPIRED", f"the card has ended with {ended}; use one that has not")

    def shown(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return what is shown of the card in place of what was *given*."""
        masked = f"{self.card_number[:4]}****{self.card_number[-4:]}"
        network = _NETWORKS.get(self.card_number[0], "VISA")
        kept = {name: value for name, value in given.items() if name not in SECRET}
        return {"masked_card_number": masked, **kept, "type": "CREDIT", "network": network}


def month_end(month: int, year: int) -> Instant:
    """Return the instant at which a month is over."""
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return round(following.timestamp() * 1_000)
