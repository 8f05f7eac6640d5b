"""The chart of a comparison, as SVG: what each way costs and how late it is, and what an outage does to it.

Colours are those of a light ground, given as attributes. A style sheet may change them by class: the file's own does so
where people prefer a dark ground; on a page, which forbids styles inside a picture, the page's own does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import msgspec

from ringback.policy import MINUTE, SECOND
from ringback.sandbox.xendit.compare.results import PROMPTLY, Comparison, Kind, Outage, Way
from ringback.sandbox.xendit.compare.table import counted, span, story

WIDTH, HEIGHT = 1_000, 564
FONT = "system-ui, sans-serif"
NAMESPACE = "http://www.w3.org/2000/svg"
# What each class is coloured on a light and on a dark ground.
COLOURS = {
    "ground": ("#ffffff", "#171b24"),
    "ink": ("#161a23", "#e9ecf2"),
    "soft": ("#525b6b", "#a3acbc"),
    "grid": ("#d8dce5", "#2b3240"),
    "polling": ("#8a5300", "#f3bf63"),
    "webhook": ("#2b3fd0", "#9aa8ff"),
    "reconciled": ("#0b6639", "#6fdba0"),
    "promptly": ("#0b6639", "#6fdba0"),
    "later": ("#8a5300", "#f3bf63"),
    "never": ("#a8201a", "#ff9b92"),
}
CLASSES = {Kind.POLLING: "polling", Kind.WEBHOOK: "webhook", Kind.RECONCILED: "reconciled"}
SMALL, NORMAL, LARGE = 12, 13, 20
# How wide a letter is, of its size: an estimate, for placing labels.
LETTER = 0.62


class Frame(msgspec.Struct, frozen=True):
    """The rectangle of a panel."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """How wide it is."""
        return self.right - self.left

    def touches(self, other: Frame) -> bool:
        """Tell whether both have something in common."""
        apart = self.right < other.left or other.right < self.left
        return not (apart or self.bottom < other.top or other.bottom < self.top)


class Scale(msgspec.Struct, frozen=True):
    """A logarithmic scale: values from *least* to *most* are put from *start* to *end*."""

    least: float
    most: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a value is; one outside is put to the edge."""
        within = max(self.least, min(self.most, value))
        return self.start + (self.end - self.start) * math.log(within / self.least) / math.log(
            self.most / self.least
        )


COSTS = Frame(76, 132, 600, 482)
OUTAGES = Frame(652, 132, 968, 482)
UNITS = (
    "after this long, half of the payments are known (●), and 99 of 100 (|)",
    "pollers: the provider's time; webhooks: real time, on one machine without a network",
)
DELAYS = (1, 10, 100, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE)


def chart(comparison: Comparison, *, alone: bool = True) -> str:
    """Return the chart.

    Args:
        comparison: What it shows.
        alone: Whether it is a file of its own, with a ground and styles, rather than a part of a page.
    """
    root = ET.Element("svg", {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "font-family": FONT})
    root.set("aria-labelledby", "comparison-title comparison-description")
    ET.SubElement(root, "title", {"id": "comparison-title"}).text = "Polling an API, and webhooks: compared"
    described = ET.SubElement(root, "desc", {"id": "comparison-description"})
    described.text = " ".join((story(comparison), *(_sentence(comparison, way) for way in comparison.ways)))
    if alone:
        root.set("xmlns", NAMESPACE)
        root.set("width", str(WIDTH))
        root.set("height", str(HEIGHT))
        ET.SubElement(root, "style").text = _dark()
        box = {"width": str(WIDTH), "height": str(HEIGHT), "rx": "12", "fill": "currentColor"}
        ET.SubElement(_group(root, "ground"), "rect", box)
    _heading(root, comparison)
    _Costs(root, comparison).draw()
    _outages(root, comparison)
    return ET.tostring(root, encoding="unicode") + "\n"


def _dark() -> str:
    rules = " ".join(f".chart-{name} {{ color: {dark} }}" for name, (_, dark) in COLOURS.items())
    return f"@media (prefers-color-scheme: dark) {{ {rules} }}"


def _sentence(comparison: Comparison, way: Way) -> str:
    delays, outage = comparison.ordinary(way), comparison.outage(way)
    known = (
        ""
        if delays.median is None or delays.late is None
        else (
            f", half of the payments known after {span(delays.median)}, 99 of 100 after {span(delays.late)}"
        )
    )
    lost = f"; of the outage's, {outage.never} never" if comparison.plan.outage else ""
    return f"{way.name}: {counted(way.requests, 'request')}{known}{lost}."


# --- Pieces ------------------------------------------------------------------------------------------------


def _group(parent: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(parent, "g", {"class": f"chart-{name}", "color": COLOURS[name][0]})


def _text(
    parent: ET.Element,
    left: float,
    base: float,
    words: str,
    *,
    size: int = NORMAL,
    anchor: str = "start",
    bold: bool = False,
) -> None:
    place = {"x": f"{left:.1f}", "y": f"{base:.1f}", "font-size": str(size), "fill": "currentColor"}
    if anchor != "start":
        place["text-anchor"] = anchor
    if bold:
        place["font-weight"] = "600"
    ET.SubElement(parent, "text", place).text = words


def _line(parent: ET.Element, start: tuple[float, float], end: tuple[float, float], width: float = 1) -> None:
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    drawn = {name: f"{value:.1f}" for name, value in ends.items()}
    ET.SubElement(
        parent,
        "line",
        {**drawn, "stroke": "currentColor", "stroke-width": f"{width:g}", "stroke-linecap": "round"},
    )


def _heading(root: ET.Element, comparison: Comparison) -> None:
    ink, soft = _group(root, "ink"), _group(root, "soft")
    _text(ink, 32, 44, "Hearing of a payment: ask again and again, or be told", size=LARGE, bold=True)
    invoices = counted(comparison.plan.invoices, "invoice")
    told = f"{invoices}, paid within an hour of the provider's time; every request really made and counted"
    _text(soft, 32, 68, told, size=NORMAL)
    _text(ink, 32, 108, "What it costs, and how late it is", size=15, bold=True)
    _text(ink, OUTAGES.left, 108, "What an outage does", size=15, bold=True)


# --- What it costs, and how late it is ---------------------------------------------------------------------


class _Costs:
    """The left panel: requests by delay, both on logarithmic scales."""

    def __init__(self, root: ET.Element, comparison: Comparison) -> None:
        self._root = root
        self._comparison = comparison
        counts = [max(1, way.requests) for way in comparison.ways]
        least = 10 ** math.floor(math.log10(min(counts)))
        most = 10 ** math.ceil(math.log10(max(counts) + 1))
        self._across = Scale(DELAYS[0], DELAYS[-1], COSTS.left, COSTS.right)
        self._up = Scale(least, most, COSTS.bottom, COSTS.top)
        self._taken: list[Frame] = []

    def draw(self) -> None:
        """Draw it."""
        self._draw_grid()
        shown = [way for way in self._comparison.ways if self._comparison.ordinary(way).median is not None]
        self._taken = [self._segment(way) for way in shown]
        for way in sorted(shown, key=lambda way: -way.requests):
            self._draw_way(way)
            self._label(way)
        soft = _group(self._root, "soft")
        middle = (COSTS.left + COSTS.right) / 2
        for position, words in enumerate(UNITS):
            _text(soft, middle, COSTS.bottom + 44 + 18 * position, words, size=SMALL, anchor="middle")

    def _draw_grid(self) -> None:
        grid, soft = _group(self._root, "grid"), _group(self._root, "soft")
        for delay in DELAYS:
            left = self._across.at(delay)
            _line(grid, (left, COSTS.top), (left, COSTS.bottom))
            _text(soft, left, COSTS.bottom + 20, _tick(delay), size=SMALL, anchor="middle")
        for count in _decades(self._up):
            base = self._up.at(count)
            _line(grid, (COSTS.left, base), (COSTS.right, base))
            _text(soft, COSTS.left - 8, base + 4, f"{count:,}", size=SMALL, anchor="end")
        _text(soft, COSTS.left + 4, COSTS.top - 8, "requests made", size=SMALL)

    def _segment(self, way: Way) -> Frame:
        delays = self._comparison.ordinary(way)
        left, right = self._across.at(delays.median or 0), self._across.at(delays.late or 0)
        base = self._up.at(max(1, way.requests))
        return Frame(left - 7, base - 7, right + 3, base + 7)

    def _draw_way(self, way: Way) -> None:
        drawn = _group(self._root, CLASSES[way.kind])
        frame = self._segment(way)
        left, right, base = frame.left + 7, frame.right - 3, frame.top + 7
        _line(drawn, (left, base), (right, base), 3)
        _line(drawn, (right, base - 7), (right, base + 7), 3)
        ET.SubElement(
            drawn, "circle", {"cx": f"{left:.1f}", "cy": f"{base:.1f}", "r": "7", "fill": "currentColor"}
        )

    def _label(self, way: Way) -> None:
        words = f"{way.name}: {counted(way.requests, 'request')}"
        place = self._free_place(self._segment(way), len(words) * NORMAL * LETTER)
        self._taken.append(place)
        box = {
            "x": f"{place.left - 2:.1f}",
            "y": f"{place.top:.1f}",
            "width": f"{place.width:.1f}",
            "height": "16",
        }
        ET.SubElement(_group(self._root, "ground"), "rect", {**box, "fill": "currentColor"})
        _text(_group(self._root, CLASSES[way.kind]), place.left, place.bottom - 3, words, bold=True)

    def _free_place(self, segment: Frame, width: float) -> Frame:
        """Return where a label is to be that is *width* wide: above its segment or below, beside no other thing."""
        left = min(max(COSTS.left + 4, segment.left), COSTS.right - width)
        tops = [segment.top - 18, segment.bottom + 2, segment.top - 36, segment.bottom + 20, segment.top - 54]
        places = [Frame(left, top, left + width, top + 16) for top in tops]
        free = (place for place in places if not any(place.touches(taken) for taken in self._taken))
        return next(free, places[0])


def _tick(delay: float) -> str:
    return span(delay).replace(".0", "")


def _decades(scale: Scale) -> Iterator[int]:
    count = round(scale.least)
    while count <= scale.most:
        yield count
        count *= 10


# --- What an outage does -----------------------------------------------------------------------------------

BAR = 18
LEGEND = {
    "promptly": f"known within {PROMPTLY // MINUTE} minutes of its end",
    "later": "known later, when it is sent again",
    "never": "never known",
}


def _outages(root: ET.Element, comparison: Comparison) -> None:
    """Draw the right panel: of the payments that fall into the outage, how many each way hears of, and when."""
    paid = max(comparison.outage(way).paid for way in comparison.ways)
    soft = _group(root, "soft")
    if not paid:
        _text(soft, OUTAGES.left, OUTAGES.top + 12, "No payment fell into an outage.")
        return
    outage = span(comparison.plan.outage)
    _text(
        soft,
        OUTAGES.left,
        OUTAGES.top - 4,
        f"{counted(paid, 'payment')} while the shop was down for {outage}",
        size=SMALL,
    )
    step = 48
    for position, way in enumerate(comparison.ways):
        top = OUTAGES.top + 14 + position * step
        _text(_group(root, CLASSES[way.kind]), OUTAGES.left, top + 11, way.name, bold=True)
        _bar(root, top + 17, comparison.outage(way))
    _legend(root, OUTAGES.top + 14 + len(comparison.ways) * step + 12)


def _bar(root: ET.Element, top: float, outage: Outage) -> None:
    left = OUTAGES.left
    for name, count in msgspec.structs.asdict(outage).items():
        width = OUTAGES.width * count / outage.paid
        if not count:
            continue
        box = {
            "x": f"{left:.1f}",
            "y": f"{top:.1f}",
            "width": f"{max(1, width - 2):.1f}",
            "height": str(BAR),
            "rx": "3",
        }
        ET.SubElement(_group(root, name), "rect", {**box, "fill": "currentColor"})
        if width > len(str(count)) * SMALL * LETTER + 8:
            _text(
                _group(root, "ground"),
                left + width / 2 - 1,
                top + 13,
                str(count),
                size=SMALL,
                anchor="middle",
                bold=True,
            )
        left += width


def _legend(root: ET.Element, top: float) -> None:
    for position, (name, words) in enumerate(LEGEND.items()):
        base = top + position * 18
        box = {"x": f"{OUTAGES.left}", "y": f"{base - 10:.1f}", "width": "12", "height": "12", "rx": "2"}
        ET.SubElement(_group(root, name), "rect", {**box, "fill": "currentColor"})
        _text(_group(root, "soft"), OUTAGES.left + 18, base, words, size=SMALL)
