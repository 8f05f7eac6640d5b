"""What pages are drawn and written with: charts, contents, sizes."""

import re
from xml.etree import ElementTree as ET

import pytest
from markupsafe import escape

from ringback.design.charts import Phase, Plot, Series, bars, duration, lines, sparkline, waterfall
from ringback.design.contents import MAX_COLOURED, MAX_PRETTY, MAX_SHOWN, fitted, shown, weighed
from ringback.design.writing import ago, counted

HOSTILE = '"><script>alert(1)</script>'


def drawn(markup):
    """Return a drawing as elements: it must be well-formed."""
    return ET.fromstring(f"<div>{markup}</div>")


@pytest.mark.parametrize("chart", [bars, lines])
def test_a_chart_has_a_title_and_its_numbers_as_a_table(chart):
    """Whoever cannot see the drawing gets all that it shows."""
    plot = Plot(
        "Sent", ["a", "b", "c"], (Series("good", [1, None, 3], "good"), Series("bad", [0, 2, None], "bad"))
    )
    root = drawn(chart(plot))
    assert root.find(".//svg").get("aria-label") == "Sent"
    rows = [[cell.text for cell in row] for row in root.findall(".//tr")]
    assert rows == [
        ["When", "good", "bad"],
        ["a", "1", "0"],
        ["b", "not known", "2"],
        ["c", "3", "not known"],
    ]
    assert [one.text for one in root.findall(".//title")][:1] == ["a: good: 1; bad: 0"]


def test_bars_stand_on_each_other_and_end_at_the_ground():
    """The largest pile is as high as the drawing, and each bar is where the one below ends."""
    root = drawn(bars(Plot("", ["a"], (Series("x", [1], "good"), Series("y", [3], "bad")))))
    below, above = [one for one in root.findall(".//rect") if one.get("class") != "hover"]
    assert (float(below.get("y")), float(below.get("height"))) == (75, 25)
    assert (float(above.get("y")), float(above.get("height"))) == (0, 75)


def test_a_line_has_gaps_where_nothing_is_known():
    """Two stretches with a gap between them are two lines; one point alone is seen, too."""
    root = drawn(lines(Plot("", list("abcde"), (Series("x", [1, 2, None, 3, None]),))))
    assert len(root.findall(".//polyline")) == 2


def test_nothing_is_a_chart_too():
    """Without values, a chart is empty and well-formed."""
    for chart in (bars, lines):
        drawn(chart(Plot("", [], ())))
        drawn(chart(Plot("", ["a"], (Series("x", [None]),))))
    assert drawn(sparkline("none", [])).find(".//polyline") is None


def test_phases_follow_each_other():
    """Each phase is drawn from where the one before ended, and written with its time."""
    root = drawn(waterfall("Attempt", [Phase("DNS", 1_000), Phase("TLS", 0), Phase("Wait", 3_000)]))
    rows = root.findall(".//tbody/tr")
    assert [row[0].text for row in rows] == ["DNS", "TLS", "Wait"]
    assert [row[2].text for row in rows] == ["1.0 ms", "0.0 ms", "3.0 ms"]
    places = [(float(one.get("x")), float(one.get("width"))) for one in root.findall(".//rect")]
    assert places == [(0, 250), (250, 750)]
    assert (duration(12_345), duration(2_500_000)) == ("12 ms", "2.50 s")


def test_names_in_charts_are_text():
    """Whatever a series or a label is called, it opens no element."""
    plot = Plot(HOSTILE, [HOSTILE], (Series(HOSTILE, [1], "good"),))
    for markup in (bars(plot), lines(plot), sparkline(HOSTILE, [1]), waterfall(HOSTILE, [Phase(HOSTILE, 1)])):
        assert drawn(markup).find(".//script") is None


@pytest.mark.parametrize(
    ("contents", "is_pretty"),
    [
        (b'{"a":[1,2.50,"x<y"]}', True),
        (b"", False),
        (b"no json", False),
        (b'{"a":', False),
        (b"\xff\xfe", False),
        (b"[" * 3_000 + b"]" * 3_000, False),
        (b'"' + b"x" * MAX_COLOURED + b'"', False),
    ],
)
def test_contents_are_shown_as_they_are_and_pretty_where_they_are_json(contents, is_pretty):
    """What is JSON of a readable size is indented and coloured; anything is shown raw, as text."""
    what = shown(contents)
    assert (what.pretty is not None, what.size, what.cut) == (is_pretty, len(contents), False)
    if is_pretty:
        assert "x&lt;y" in what.pretty
        assert re.sub(r"<[^>]+>|\s", "", what.pretty) == "{&#34;a&#34;:[1,2.50,&#34;x&lt;y&#34;]}"


def test_large_contents_are_cut():
    """Only the beginning of what is large is shown, and that is said."""
    what = shown(b"x" * (MAX_SHOWN + 1))
    assert (len(what.raw), what.size, what.cut) == (MAX_SHOWN, MAX_SHOWN + 1, True)


@pytest.mark.parametrize(
    "contents",
    [
        b"[" * 900 + b"]" * 900,
        b"[" + b"1," * 2_999 + b"1]",
        b"[" * 300 + b"1," * 2_000 + b"1" + b"]" * 300,
        b'"' * 16_000,
        b"\xff" * 16_000,
        "\N{SNOWMAN}<&>'".encode() * 4_000,
        b'{"a": "' + b"\\u0022" * 900 + b'"}',
    ],
)
@pytest.mark.parametrize("room", [0, 1, 5_000, MAX_SHOWN + MAX_PRETTY])
def test_whatever_contents_are_they_take_no_more_of_a_page_than_they_may(contents, room):
    """Brackets in each other, long lists, and what HTML writes at length: all is cut, and that is said."""
    what = shown(contents, room)
    assert what.weight == len(escape(what.raw).encode()) + len((what.pretty or "").encode()) <= room
    assert what.cut == (what.raw != contents.decode("utf-8", "replace"))
    assert contents.decode("utf-8", "replace").startswith(what.raw)


def test_what_is_too_much_in_colours_is_indented_all_the_same():
    """Where there is room for lines, but not for an element around each number, there are lines."""
    what = shown(b"[" + b"1," * 2_499 + b"1]")
    assert what.pretty.splitlines() == ["[", *["  1,"] * 2_499, "  1", "]"]


def test_several_contents_share_a_page():
    """What is short is shown in full; what is long gets the same share of the rest."""
    long, short = b"x" * 9_000, b"y" * 500
    assert [len(one.raw) for one in fitted([long, short, long, b""], 10_500)] == [5_000, 500, 5_000, 0]
    assert [one.cut for one in fitted([long, short, long, b""])] == [False] * 4
    assert [(one.raw, one.cut) for one in fitted([short, b""], 0)] == [("", True), ("", False)]


def test_sizes_and_counts_are_written_for_people():
    """Bytes in a fitting unit, things in singular and plural, times in their largest unit."""
    assert [weighed(n) for n in (0, 1, 999, 1_500, 2_000_000)] == [
        "0 bytes",
        "1 byte",
        "999 bytes",
        "1.5 kB",
        "2.0 MB",
    ]
    assert counted(1, "delivery", "deliveries") == "1\N{NO-BREAK SPACE}delivery"
    assert counted(2_000, "message") == "2,000\N{NO-BREAK SPACE}messages"
    assert ago(0, 3_723_000) == "1 hour"
    assert ago(0, 420) == "1 second"
