"""The kinds of fields that requests have, with their limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ringback.model import Instant
from ringback.sandbox.xendit.calls import INVALID, Refused

DAY = 86_400_000  # milliseconds

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=1_000)]
Url = Annotated[str, Meta(max_length=2_000, pattern=r"^https?://[^\s/?#]+\S*$")]
# The limits of metadata are those that xendit-python 7 states.
_Number = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=40)],
        Annotated[str, Meta(max_length=500)] | _Number | float | bool | None,
    ],
    Meta(max_length=50),
]
# Who gets a receipt; the provider takes three for each kind.
Email = Annotated[str, Meta(max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")]
Recipients = Annotated[list[Email], Meta(max_length=3)]
# What is bought, in the words of the caller: kept and told as it came, so only its size is checked.
_Key = Annotated[str, Meta(min_length=1, max_length=100)]
_Plain = Text | _Number | Annotated[float, Meta(ge=-1e15, le=1e15)] | bool | None
_Few = Meta(max_length=50)
BasketItem = Annotated[dict[_Key, _Plain | Metadata], _Few]
Basket = Annotated[list[BasketItem], Meta(max_length=100)]
# What a channel wants to know, in its own words: kept as it came, so only its size and its depth are checked.
_List = Annotated[list[_Plain], Meta(max_length=100)]
_Inner = Annotated[dict[_Key, _Plain], _Few]
Properties = Annotated[dict[_Key, _Plain | _List | Annotated[dict[_Key, _Plain | _Inner], _Few]], _Few]


class Draft(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a request; what a caller leaves out or sets to null is None."""

    def given(self) -> dict[str, Any]:
        """Return what was given as a JSON object."""
        given: dict[str, Any] = msgspec.to_builtins(self)
        return given


def invalid(message: str) -> Refused:
    """Return the refusal of a field or a parameter that is not what it should be."""
    return Refused(400, INVALID, message, [message])


def moment(text: str, name: str) -> Instant:
    """Return the instant that an ISO 8601 *text* names; without an offset it is in UTC.

    Args:
        text: Such as ``2026-03-02T04:05:06.789Z``.
        name: Of the field or parameter, for the error.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``.
    """
    return round(date_and_time(text, name).timestamp() * 1_000)


def date_and_time(text: str, name: str) -> datetime:
    """Return what an ISO 8601 *text* names, in the text's own offset; see ``moment``."""
    try:
        parsed = datetime.fromisoformat(text)
        parsed = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
        parsed.astimezone(UTC)  # at the ends of the calendar, an offset can lead beyond them
    except (ValueError, OverflowError):
        raise invalid(f"{name} must be a date and time such as 2026-03-02T04:05:06Z") from None
    return parsed


def later(text: str, name: str, now: Instant, *, at_most: Instant, code: str = INVALID) -> Instant:
    """Return the instant that *text* names, which must lie ahead, but not beyond *at_most*.

    Raises:
        Refused: 400 with the *code*, or ``API_VALIDATION_ERROR`` where it is no date.
    """
    instant = moment(text, name)
    if not now < instant <= at_most:
        wrong = f"{name} must be in the future, and not too far"
        raise Refused(400, code, wrong, [wrong])
    return instant
