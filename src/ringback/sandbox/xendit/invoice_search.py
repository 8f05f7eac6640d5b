"""Which invoices a list is to show.

Source: the parameters are those that xendit-python 7 sends: repeated ones for lists, ISO dates, ``limit`` as a
number that may have a decimal point.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile, islice

import msgspec

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Call
from ringback.sandbox.xendit.fields import moment
from ringback.sandbox.xendit.filters import LARGEST_LIMIT, some_of
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.paging import limit_of

STATUSES = ("PENDING", "PAID", "SETTLED", "EXPIRED")
CLIENT_TYPES = ("DASHBOARD", "API_GATEWAY", "INTEGRATION", "ON_DEMAND", "RECURRING", "MOBILE")
# Which fields of an invoice's body are asked for by equality.
_EQUAL = ("external_id", "on_demand_link", "recurring_payment_id")
# Which moment of an invoice's life each pair of parameters is about.
_MOMENTS = ("created", "paid", "expired")


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for.

    Args:
        equal: Fields of the body and what they must be.
        statuses: Those wanted; empty: all.
        client_types: Ways in which an invoice was made; empty: all.
        payment_channels: Channels by which it was paid; empty: all, unpaid ones too.
        after: For ``created``, ``paid`` and ``expired``, the instant after which it must have come.
        before: As *after*, before which.
        last: The id of the last invoice of the page before; None for the first page.
        limit: How many to show.
    """

    equal: dict[str, str]
    statuses: tuple[str, ...]
    client_types: tuple[str, ...]
    payment_channels: tuple[str, ...]
    after: dict[str, Instant]
    before: dict[str, Instant]
    last: str | None
    limit: int

    def find(self, invoices: Sequence[Entry]) -> list[Entry]:
        """Return those wanted of *invoices*, which are in the order of the list."""
        rest = iter(invoices)
        if self.last is not None:
            rest = dropwhile(lambda entry: entry.id != self.last, rest)
            next(rest, None)
        return list(islice(filter(self.fits, rest), self.limit))

    def fits(self, entry: Entry) -> bool:
        """Tell whether an invoice is wanted."""
        return (
            all(entry.body.get(name) == value for name, value in self.equal.items())
            and (not self.statuses or entry.body["status"] in self.statuses)
            and (not self.client_types or entry.hidden["client_type"] in self.client_types)
            and (not self.payment_channels or entry.body.get("payment_channel") in self.payment_channels)
            and self._in_time(entry)
        )

    def _in_time(self, entry: Entry) -> bool:
        moments = {
            "created": entry.created_at,
            "paid": entry.hidden.get("paid_at"),
            "expired": entry.hidden.get("expired_at"),
        }
        return all(
            (at := moments[name]) is not None and at > instant for name, instant in self.after.items()
        ) and all((at := moments[name]) is not None and at < instant for name, instant in self.before.items())


def search(call: Call) -> Search:
    """Return what the query of a call asks for; parameters that are not known are passed over.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``: a parameter is not what it should be.
    """
    return Search(
        equal={name: value for name in _EQUAL if (value := call.one(name)) is not None},
        statuses=some_of(call, "statuses", STATUSES),
        client_types=some_of(call, "client_types", CLIENT_TYPES),
        payment_channels=call.query.get("payment_channels", ()),
        after=_moments(call, "after"),
        before=_moments(call, "before"),
        last=call.one("last_invoice"),
        limit=limit_of(call, most=LARGEST_LIMIT),
    )


def _moments(call: Call, side: str) -> dict[str, Instant]:
    given = {name: call.one(f"{name}_{side}") for name in _MOMENTS}
    return {name: moment(text, f"{name}_{side}") for name, text in given.items() if text is not None}
