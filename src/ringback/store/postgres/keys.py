"""Where in time keys lie: they begin with it."""

from __future__ import annotations

from ringback.model import Instant
from ringback.store.postgres.days import first_key
from ringback.store.sql.survey import Survey
from ringback.store.survey import COUNTED

_BETWEEN = f"SELECT 1 FROM ringback_message WHERE key >= ? AND key < ? LIMIT {COUNTED}"


class Keys(Survey):
    """The verbs that look at all of the store, by keys that tell the time."""

    def key_at(self, instant: Instant, least: int = 0) -> int:
        """See ``Journals``."""
        return max(least, first_key(instant))

    def counted_between(self, first: int, end: int) -> tuple[int, bool]:
        """See ``SurveyVerbs``."""
        count = self.rows(f"SELECT count(*) FROM ({_BETWEEN}) AS counted", (first, end))[0][0]
        return int(count), count == COUNTED
