"""Charts as SVG: bars and lines over time, and the phases of an attempt, drawn without any script.

Each has a title, and the same numbers as a table: for who cannot see it, and for who wants to know exactly. The drawing
is stretched to the width that there is; what is written stands beside it, as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import msgspec
from markupsafe import Markup

HEIGHT = 100
STEP = 10
GAP = 1.6
THIN = 2.0


class Series(msgspec.Struct, frozen=True):
    """One thing over time: its name, a value for each label of the chart (None: not known), and its tone.

    A tone is a name in the style sheet: ``accent``, ``good``, ``wait``, ``bad`` or ``soft``.
    """

    name: str
    values: Sequence[float | None]
    tone: str = "accent"


class Phase(msgspec.Struct, frozen=True):
    """A part of an attempt, and how long it took."""

    name: str
    microseconds: int


def plain(value: float) -> str:
    """Write a number."""
    return f"{value:,.0f}"


class Plot(msgspec.Struct, frozen=True):
    """What a chart shows.

    Args:
        title: What it is about.
        labels: What each bar or point is about, such as a time.
        series: Bars stand on each other, from below; lines are drawn one over the other.
        written: Writes a value.
        most: The upper end of what is drawn; None for the largest that there is.
    """

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    written: Callable[[float], str] = plain
    most: float | None = None

    def told(self, at: int) -> str:
        """Return all that is shown at one label."""
        values = "; ".join(f"{each.name}: {self.value(each, at)}" for each in self.series)
        return f"{self.labels[at]}: {values}"

    def value(self, series: Series, at: int) -> str:
        """Return a value as it is written."""
        value = series.values[at]
        return "not known" if value is None else self.written(value)


def bars(plot: Plot) -> Markup:
    """Return a chart of bars, one for each label, in which the series stand on each other."""
    heights = (sum(each.values[at] or 0 for each in plot.series) for at in range(len(plot.labels)))
    top = plot.most or max(heights, default=0) or 1
    return _figure(plot, Markup().join(_bar(plot, at, top) for at in range(len(plot.labels))), top)


def lines(plot: Plot) -> Markup:
    """Return a chart of lines; where a value is not known, a line has a gap."""
    known = [value for each in plot.series for value in each.values if value is not None]
    top = plot.most or max(known, default=0) or 1
    drawn = Markup().join(_line(each, top) for each in plot.series)
    hover = Markup().join(_hover(plot, at) for at in range(len(plot.labels)))
    return _figure(plot, drawn + hover, top)


def sparkline(title: str, values: Sequence[float | None], tone: str = "accent") -> Markup:
    """Return a small line without anything written; *title* says what it shows."""
    top = max((value for value in values if value is not None), default=0) or 1
    drawn = _line(Series("", values, tone), top)
    return _svg("spark", title, len(values), drawn)


def waterfall(title: str, phases: Sequence[Phase]) -> Markup:
    """Return a table of phases that follow each other, each with a bar where and as long as it was."""
    total = sum(phase.microseconds for phase in phases) or 1
    rows, begun = [], 0
    for phase in phases:
        rows.append(_phase(phase, begun, total))
        begun += phase.microseconds
    return Markup(
        '<table class="waterfall"><caption class="unseen">{}</caption><thead class="unseen"><tr>'
        '<th scope="col">Phase</th><th scope="col">When</th><th scope="col">How long</th></tr></thead>'
        "<tbody>{}</tbody></table>"
    ).format(title, Markup().join(rows))


def duration(microseconds: float) -> str:
    """Write how long a phase took, in milliseconds or seconds."""
    milliseconds = microseconds / 1_000
    if milliseconds >= 1_000:  # noqa: PLR2004 - that many are a second
        return f"{milliseconds / 1_000:.2f} s"
    return f"{milliseconds:.1f} ms" if milliseconds < STEP else f"{milliseconds:.0f} ms"


# --- Drawing ------------------------------------------------------------------------------------------------


def _bar(plot: Plot, at: int, top: float) -> Markup:
    rects, base = [_hover(plot, at)], float(HEIGHT)
    for each in plot.series:
        value = each.values[at] or 0
        if value:
            height = max(THIN, HEIGHT * value / top)
            base -= height
            rects.append(_rect(at * STEP + GAP / 2, base, STEP - GAP, height, each.tone))
    return Markup().join(rects)


def _rect(left: float, top: float, width: float, height: float, tone: str) -> Markup:
    placed = (f"{length:.2f}".rstrip("0").rstrip(".") for length in (left, top, width, height))
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(*placed, f"tone-{tone}")


def _hover(plot: Plot, at: int) -> Markup:
    return Markup('<rect x="{}" y="0" width="{}" height="{}" class="hover"><title>{}</title></rect>').format(
        at * STEP, STEP, HEIGHT, plot.told(at)
    )


def _line(series: Series, top: float) -> Markup:
    return Markup().join(_stroke(points, series.tone) for points in _runs(series, top))


def _runs(series: Series, top: float) -> Iterator[list[tuple[float, float]]]:
    """Yield the points between the gaps."""
    placed = [
        None
        if value is None
        else (at * STEP + STEP / 2, HEIGHT - (HEIGHT - 2 * THIN) * min(value, top) / top - THIN)
        for at, value in enumerate(series.values)
    ]
    for known, run in groupby(placed, key=lambda point: point is not None):
        if known:
            yield [point for point in run if point is not None]


def _stroke(points: list[tuple[float, float]], tone: str) -> Markup:
    if len(points) == 1:  # a point alone is a short line
        ((left, top),) = points
        points = [(left - STEP / 4, top), (left + STEP / 4, top)]
    path = " ".join(f"{left:.2f},{top:.2f}" for left, top in points)
    return Markup('<polyline points="{}" class="stroke tone-{}"/>').format(path, tone)


def _phase(phase: Phase, begun: int, total: int) -> Markup:
    bar = _rect(1_000 * begun / total, 0, max(4, 1_000 * phase.microseconds / total), HEIGHT, "accent")
    drawn = Markup(
        '<svg viewBox="0 0 1000 {}" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(HEIGHT, bar if phase.microseconds else Markup())
    return Markup('<tr><th scope="row">{}</th><td>{}</td><td class="right number">{}</td></tr>').format(
        phase.name, drawn, duration(phase.microseconds)
    )


def _svg(kind: str, title: str, count: int, drawn: Markup) -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(kind, max(1, count) * STEP, HEIGHT, title, drawn)


def _figure(plot: Plot, drawn: Markup, top: float) -> Markup:
    keys = Markup().join(
        Markup('<li><span class="swatch tone-{}" aria-hidden="true"></span>{}</li>').format(
            each.tone, each.name
        )
        for each in plot.series
    )
    first, last = (plot.labels[0], plot.labels[-1]) if plot.labels else ("", "")
    return Markup(
        '<figure class="plot"><figcaption class="row apart"><strong>{}</strong>'
        '<span class="soft small">0 to {}</span></figcaption>{}'
        '<p class="axis soft small" aria-hidden="true"><span>{}</span><span>{}</span></p><ul class="keys-of">{}</ul>'
        '<details><summary class="small">As a table</summary>{}</details></figure>'
    ).format(
        plot.title,
        plot.written(top),
        _svg("drawing", plot.title, len(plot.labels), drawn),
        first,
        last,
        keys,
        _table(plot),
    )


def _table(plot: Plot) -> Markup:
    head = Markup().join(
        Markup('<th scope="col" class="right">{}</th>').format(each.name) for each in plot.series
    )
    rows = Markup().join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(label, _cells(plot, at))
        for at, label in enumerate(plot.labels)
    )
    return Markup(
        '<div class="table-frame" tabindex="0" role="region" aria-label="{0}"><table>'
        '<caption class="unseen">{0}</caption><thead><tr><th scope="col">When</th>{1}</tr></thead>'
        "<tbody>{2}</tbody></table></div>"
    ).format(plot.title, head, rows)


def _cells(plot: Plot, at: int) -> Markup:
    cell = Markup('<td class="right number">{}</td>')
    return Markup().join(cell.format(plot.value(each, at)) for each in plot.series)
