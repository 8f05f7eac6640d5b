"""Times, as people give them on the command line."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import click

from ringback import policy
from ringback.model import Instant
from ringback.outbox import system_clock


class Moment(click.ParamType):  # type: ignore[type-arg] # generic in later versions of click only
    """A time: RFC 3339, or how long ago."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Instant:
        """Return the instant that *value* means."""
        if isinstance(value, int):
            return value
        with contextlib.suppress(ValueError):
            return system_clock() - policy.parse_duration(str(value))
        try:
            moment = datetime.fromisoformat(str(value))
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return round(aware.timestamp() * 1000)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither a time such as 2026-03-02T04:05:06Z nor an age such as 2h", param, ctx
            )
