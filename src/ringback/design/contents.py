"""Payloads and answers for reading: capped, as text, and where it is JSON also indented and coloured."""

from __future__ import annotations

import msgspec
from markupsafe import Markup

from ringback.design.highlighting import coloured

MAX_SHOWN = 16_000
# Larger is not indented, as each token becomes an element.
MAX_COLOURED = 6_000
KILO, MEGA = 1_000, 1_000_000


class Shown(msgspec.Struct, frozen=True):
    """Contents as they are shown: ``raw`` and, where they are JSON of a readable size, ``pretty``.

    ``size`` is how many bytes there are, ``cut`` tells that ``raw`` is only the beginning.
    """

    raw: str
    size: int
    pretty: Markup | None = None
    cut: bool = False


def shown(contents: bytes, most: int = MAX_SHOWN) -> Shown:
    """Return how contents are shown; what is no UTF-8 shows replacement characters."""
    cut = len(contents) > most
    raw = contents[:most].decode("utf-8", "replace")
    return Shown(raw, len(contents), _pretty(contents, raw), cut)


def _pretty(contents: bytes, raw: str) -> Markup | None:
    if not contents or len(contents) > MAX_COLOURED:
        return None
    try:
        msgspec.json.decode(contents, type=msgspec.Raw)
        return coloured(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def weighed(size: int) -> str:
    """Write a number of bytes, such as ``12.3 kB``."""
    if size < KILO:
        return f"{size} byte{'' if size == 1 else 's'}"
    return f"{size / KILO:.1f} kB" if size < MEGA else f"{size / MEGA:.1f} MB"
