"""How pages write amounts, instants, durations and payloads."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from ringback.model import Instant, iso

# How many decimals a currency is shown with (ISO 4217, but for the rupiah, which is paid in whole ones).
DECIMALS = {"IDR": 0, "VND": 0}
SIGNS = {"IDR": "Rp", "PHP": "₱", "THB": "฿", "USD": "US$", "VND": "₫", "MYR": "RM"}
UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))
ELLIPSIS = "…"
NO_NAME = "(no name)"
# What shows nothing though it counts as a letter or a symbol: fillers of Hangul, and the blank of Braille.
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"


def amount(value: Any, currency: str) -> str:
    """Write an amount, such as ``Rp 75,000``; what is no number is written as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{SIGNS.get(currency, currency)} {value}"
    decimals = DECIMALS.get(currency, 2)
    exact = value == round(value, decimals)
    return f"{SIGNS.get(currency, currency)}\N{NO-BREAK SPACE}{value:,.{decimals if exact else 2}f}"


def moment(instant: Instant | str | None, *, near: bool = False) -> Markup:
    """Write an instant as an element that a script may put into the reader's own time zone.

    Of one that is *near*, the script leaves the date out while it is today's.
    """
    if instant is None:
        return Markup("\N{EN DASH}")
    text = iso(instant) if isinstance(instant, int) else str(instant)
    try:
        written = datetime.fromisoformat(text).astimezone(UTC).strftime("%d %b %Y, %H:%M:%S UTC")
    except (ValueError, OverflowError):
        return Markup("{}").format(text)
    return Markup('<time datetime="{}"{}>{}</time>').format(
        text, Markup(" data-near") if near else "", written
    )


def span(milliseconds: float) -> str:
    """Write how long something takes, in its two largest units, such as ``23 hours 59 minutes``."""
    left = max(0, round(milliseconds))
    if left < UNITS[-1][1]:
        return f"{left} ms"
    parts = []
    for name, size in UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(parts[:2])


def ago(instant: Instant, now: Instant) -> str:
    """Write how long something has been, such as ``3 minutes``: in its largest unit alone, and at least a second."""
    return " ".join(span(max(UNITS[-1][1], now - instant)).split()[:2])


def counted(number: int, word: str, words: str = "") -> str:
    """Write a number of things, such as ``1 message`` and ``2,000 messages``."""
    return f"{number:,}\N{NO-BREAK SPACE}{word if number == 1 else words or f'{word}s'}"


def sentence(text: str) -> str:
    """Write what an error says as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}."


def brief(text: Any, most: int = 80) -> str:
    """Cut a text that is longer than *most* characters."""
    written = str(text)
    return written if len(written) <= most else written[: most - 1] + ELLIPSIS


def named(name: Any, most: int = 80) -> str:
    """Cut a name as ``brief`` does; of one that shows nothing, say so: a link must have something to click on."""
    written = brief(str(name).strip(), most)
    return written if any(map(_is_seen, written)) else NO_NAME


def _is_seen(character: str) -> bool:
    # Neither blanks, nor marks that stand on another character, nor what is no character at all.
    return unicodedata.category(character)[0] not in "ZMC" and character not in BLANKS


def spoken(name: str) -> str:
    """Write a name of the provider's, such as ``BANK_TRANSFER``, for people: ``Bank transfer``."""
    return name.replace("_", " ").capitalize()


def breakable(name: str) -> Markup:
    """Write a name such as ``payment_method.activated`` so that a narrow place may break it between its words."""
    return Markup("<wbr>").join(re.findall(r"[^._:]+[._:]*|[._:]+", name))


def web_address(url: Any) -> str | None:
    """Return a URL that a link may lead to; None for any other, such as one that would run a script."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.netloc else None


FILTERS: dict[str, Callable[..., Any]] = {
    "iso": iso,
    "counted": counted,
    "ago": ago,
    "amount": amount,
    "moment": moment,
    "span": span,
    "brief": brief,
    "named": named,
    "sentence": sentence,
    "spoken": spoken,
    "breakable": breakable,
    "web_address": web_address,
}
