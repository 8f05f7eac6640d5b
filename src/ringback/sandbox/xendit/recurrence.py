"""On which dates the cycles of a recurring plan lie. Knows no clock.

Sources: docs.xendit.co on creating a plan: intervals, their counts, and that an anchor lies on the 1st to the 28th
of a month, for other days are not in every month. So a month after one date there is always just one other, and
dates are counted from the anchor, not from one to the next: they cannot drift. The calendar is that of the anchor's
own offset, which shows it, too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from ringback.model import Instant

Interval = Literal["DAY", "WEEK", "MONTH", "YEAR"]

LAST_DAY = 28
END: Instant = round(datetime(9999, 12, LAST_DAY, tzinfo=UTC).timestamp()) * 1_000
"""When time ends: what would come later comes then."""
_DAYS = {"DAY": 1, "WEEK": 7}
_MONTHS = {"MONTH": 1, "YEAR": 12}
_YEAR = 12  # months


class Recurrence(msgspec.Struct, frozen=True):
    """Dates at equal distances.

    Args:
        interval: What is counted.
        count: How many of them lie between two dates.
        anchor: The first date, on the 1st to the 28th of a month.
    """

    interval: Interval
    count: int
    anchor: datetime

    def date(self, index: int) -> Instant:
        """Return the date that lies *index* distances after the anchor."""
        try:
            return min(END, instant_of(self._date(index)))
        except (OverflowError, ValueError):
            return END

    def first_from(self, instant: Instant) -> int:
        """Return the index of the first date that is not before an instant."""
        index = max(0, self._distances_until(instant))
        while self.date(index) < min(instant, END):
            index += 1
        return index

    def _date(self, index: int) -> datetime:
        if self.interval in _DAYS:
            return self.anchor + timedelta(days=_DAYS[self.interval] * self.count * index)
        months = self.anchor.month - 1 + _MONTHS[self.interval] * self.count * index
        return self.anchor.replace(year=self.anchor.year + months // _YEAR, month=months % _YEAR + 1)

    def _distances_until(self, instant: Instant) -> int:
        """Return how many whole distances lie between the anchor and an instant, or one fewer."""
        if self.interval in _DAYS:
            whole = timedelta(milliseconds=instant - instant_of(self.anchor))
            return whole // timedelta(days=_DAYS[self.interval] * self.count)
        then = datetime.fromtimestamp(min(instant, END) / 1_000, self.anchor.tzinfo)
        months = (then.year - self.anchor.year) * _YEAR + then.month - self.anchor.month
        return (months - 1) // (_MONTHS[self.interval] * self.count)


def instant_of(moment: datetime) -> Instant:
    """Return a date with an offset as an instant."""
    return round(moment.timestamp() * 1_000)
