"""Two texts side by side: which lines are gone, which are new. JSON is compared as it is written for people."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import msgspec

from ringback.design.contents import weight, within
from ringback.design.writing import brief

# Comparing takes a time that grows with the product of the lengths: longer texts are compared as far as this.
MAX_LINES = 600
MAX_TEXT = 60_000
# A line is shown that far, and of the lines so many that a page can bear them, each with what stands around it.
MAX_LINE = 300
MAX_WEIGHT = 24_000
AROUND_LINE = 130
# Lines that are the same are shown that far around those that are not.
AROUND = 3


class Change(enum.StrEnum):
    """What became of a line."""

    SAME = enum.auto()
    GONE = enum.auto()
    NEW = enum.auto()
    # In place of lines that are the same, and far from any that are not.
    LEFT_OUT = "left out"


class Line(msgspec.Struct, frozen=True):
    """A line, and what became of it."""

    change: Change
    text: str


class Difference(msgspec.Struct, frozen=True):
    """How two texts differ.

    ``cut`` tells that only their beginnings were compared; ``shown`` are the first of the *lines*, as much of each as
    a page can bear.
    """

    lines: tuple[Line, ...]
    cut: bool = False

    @property
    def shown(self) -> tuple[Line, ...]:
        """The lines that are shown."""
        short = [Line(line.change, brief(line.text, MAX_LINE)) for line in self.lines]
        return within(short, lambda line: weight(line.text) + AROUND_LINE, MAX_WEIGHT)

    @property
    def is_shown_in_part(self) -> bool:
        """Whether there is more than is shown."""
        return self.shown != self.lines

    @property
    def is_none(self) -> bool:
        """Whether they are the same, as far as they were compared."""
        return all(line.change not in {Change.GONE, Change.NEW} for line in self.lines)


def difference(old: bytes, new: bytes) -> Difference:
    """Return how two contents differ."""
    before, after = _lines(old), _lines(new)
    cut = max(len(before), len(after)) > MAX_LINES or max(len(old), len(new)) > MAX_TEXT
    return Difference(tuple(_merged(before[:MAX_LINES], after[:MAX_LINES])), cut)


def _lines(contents: bytes) -> list[str]:
    text = contents[:MAX_TEXT].decode("utf-8", "replace")
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
        text = msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        pass  # it is compared as it is
    return text.splitlines()


def _merged(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    steps = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for step, (_, start, end, new_start, new_end) in enumerate(steps):
        if steps[step][0] == "equal":
            yield from _same(before[start:end], is_first=step == 0, is_last=step == len(steps) - 1)
        else:
            yield from (Line(Change.GONE, text) for text in before[start:end])
            yield from (Line(Change.NEW, text) for text in after[new_start:new_end])


def _same(lines: Sequence[str], *, is_first: bool, is_last: bool) -> Iterator[Line]:
    head = 0 if is_first else AROUND
    tail = 0 if is_last else AROUND
    if len(lines) <= head + tail + 1:
        yield from (Line(Change.SAME, text) for text in lines)
        return
    yield from (Line(Change.SAME, text) for text in lines[:head])
    yield Line(Change.LEFT_OUT, f"{len(lines) - head - tail} lines are the same")
    yield from (Line(Change.SAME, text) for text in lines[len(lines) - tail :])
