"""Times on the command line: as they are written everywhere, or as a distance from now."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import click

from ringback import policy
from ringback.model import Instant, instant_of
from ringback.outbox import system_clock

_LAST: Instant = instant_of(datetime.max.replace(tzinfo=UTC))


class Moment(click.ParamType):  # type: ignore[type-arg] # generic in later versions of click only
    """A time: RFC 3339, in UTC where no offset is given, or how long ago; *ahead*, how long from now."""

    name = "TIME"

    def __init__(self, *, ahead: bool = False) -> None:
        self._sign = 1 if ahead else -1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Instant:
        """Return the instant that *value* means."""
        if isinstance(value, int):
            return value
        with contextlib.suppress(ValueError):
            away = policy.parse_duration(str(value))
            return min(max(system_clock() + self._sign * away, 0), _LAST)
        try:
            return instant_of(datetime.fromisoformat(str(value)))
        except (ValueError, OverflowError):
            kind = "a while" if self._sign > 0 else "an age"
            self.fail(
                f"{value!r} is neither a time such as 2026-03-02T04:05:06Z nor {kind} such as 2h", param, ctx
            )
