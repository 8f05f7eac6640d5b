"""What commands print: tables and JSON on standard output.

Much of it was written by others. Whatever could move a terminal's cursor, change its colours or turn the order of
letters around is shown as an escape and never sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ringback.config import colour_wanted


def printable(text: str, *, lines: bool = False) -> str:
    """Return *text* with all that is not printable as an escape, as in a Python string.

    With *lines*, line breaks and tabs stay; a CR before LF goes with it.
    """
    kept = "\n\t" if lines else ""
    text = text.replace("\r\n", "\n") if lines else text
    return "".join(one if one.isprintable() or one in kept else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def print_json(value: Any) -> None:
    """Print *value* as one JSON document, indented for reading."""
    click.echo(json_printable(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def json_printable(text: str) -> str:
    """Return JSON with all that is not printable, but for line breaks, as the escapes that JSON has for it."""
    return "".join(one if one.isprintable() or one == "\n" else _json_escaped(one) for one in text)


def _json_escaped(character: str) -> str:
    # Beyond the first 65,536 characters JSON wants two halves (RFC 8259, section 7).
    halves = character.encode("utf-16-be")
    return "".join(f"\\u{halves[at : at + 2].hex()}" for at in range(0, len(halves), 2))


def print_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest cell; the last one is not padded."""
    table = [heading, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heading))]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def coloured(text: str, colour: str) -> str:
    """Return *text* in a colour, where the environment has any; ``click.echo`` takes it out off a terminal."""
    return click.style(text, fg=colour) if colour_wanted() else text
