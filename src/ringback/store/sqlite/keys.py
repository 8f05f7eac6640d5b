"""Where in time keys lie: they are given in the order of acceptance, so what they number need not be counted."""

from __future__ import annotations

from ringback.model import Instant
from ringback.store.sql.survey import Survey


class Keys(Survey):
    """The verbs that look at all of the store, by keys that count one by one."""

    def key_at(self, instant: Instant, least: int = 0) -> int:
        """See ``Journals``; halves what is left until it is found."""
        # One aggregate at a time is answered by the tree's own ends, both at once by reading all of it.
        ends = self.row(
            "SELECT (SELECT min(key) FROM ringback_message), (SELECT max(key) FROM ringback_message)"
        )
        if ends is None or ends[0] is None:
            return least
        low, high = max(least, int(ends[0])), int(ends[1]) + 1
        while low < high:
            middle = (low + high) // 2
            key, created_at = self.rows(
                "SELECT key, created_at FROM ringback_message WHERE key >= ? ORDER BY key LIMIT 1", (middle,)
            )[0]
            if created_at < instant:
                low = int(key) + 1
            else:
                high = middle
        return low

    def counted_between(self, first: int, end: int) -> tuple[int, bool]:
        """See ``SurveyVerbs``."""
        return max(0, end - first), False
