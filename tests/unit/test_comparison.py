"""Polling compared with webhooks: what is played, what follows from what was measured, and how it is shown."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from ringback.cli import run
from ringback.policy import MINUTE
from ringback.sandbox.xendit.compare import picture as pictures
from ringback.sandbox.xendit.compare.chart import chart
from ringback.sandbox.xendit.compare.picture import picture
from ringback.sandbox.xendit.compare.plan import INTERVALS, MAX_OUTAGE, OUTAGE_FROM, Order, Plan
from ringback.sandbox.xendit.compare.results import Comparison, Kind, Traffic, Way, read, written
from ringback.sandbox.xendit.compare.table import HEADING, markdown, notes, rows, size, span, story

DOCS = Path(__file__).parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"
# The outage is long, so that of a few invoices some fall into it: for 10 minutes it hangs, for 20 it refuses.
BUSY = ("--invoices", "12", "--seed", "3", "--outage", "30m")


# --- The real thing ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Run the command once, with all that it can write; return its output and the folder."""
    folder = tmp_path_factory.mktemp("compared")
    files = ["--chart", "chart.svg", "--chart", "chart.png", "--json", "all.json", "--markdown", "table.md"]
    command = [sys.executable, "-m", "ringback", "compare", "xendit", *BUSY, *files, "--progress", "0.1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return done, folder


@pytest.fixture(scope="module")
def measured(played):
    return read((played[1] / "all.json").read_bytes())


def way(comparison, kind, interval=None):
    return next(one for one in comparison.ways if one.kind is kind and interval in {None, one.interval})


def test_every_payment_is_known_in_the_end_but_by_webhooks_alone(measured):
    """Pollers and the reconciler miss nothing; webhooks alone miss just those that a hanging receiver let time out."""
    plan = measured.plan
    hung = [OUTAGE_FROM <= order.paid_at < plan.hangs_until for order in measured.orders]
    assert 0 < sum(hung) < plan.invoices
    assert [delay is None for delay in way(measured, Kind.WEBHOOK).delays] == hung
    others = [one for one in measured.ways if one.kind is not Kind.WEBHOOK]
    assert [measured.missed(one) for one in others] == [0] * (len(INTERVALS) + 1)


def test_what_was_refused_comes_with_a_retry(measured):
    """A webhook that was refused in the outage comes with one of the provider's retries, 15 minutes later at best."""
    plan = measured.plan
    refused = [
        delay
        for order, delay in zip(measured.orders, way(measured, Kind.WEBHOOK).delays, strict=True)
        if plan.hangs_until <= order.paid_at < plan.outage_until
    ]
    assert refused
    assert all(delay >= 15 * MINUTE for delay in refused)


def test_every_request_is_counted_at_both_ends(measured):
    """Each poller made as many requests as the API answered it, and each costs bytes both ways."""
    for interval in INTERVALS:
        poller = way(measured, Kind.POLLING, interval)
        assert poller.api.requests == poller.served >= measured.plan.invoices
        assert poller.api.answered > poller.api.asked > 100 * poller.served
    requests = [way(measured, Kind.POLLING, interval).requests for interval in INTERVALS]
    assert requests == sorted(requests, reverse=True)


def test_webhooks_are_sent_once_and_again_where_they_were_refused(measured):
    """Of a webhook there is one request, and one more for each retry; only the reconciler asks the API beside."""
    alone, reconciled = way(measured, Kind.WEBHOOK), way(measured, Kind.RECONCILED)
    assert alone.webhooks.requests == reconciled.webhooks.requests > measured.plan.invoices
    assert alone.served == alone.api.requests == 0
    assert reconciled.api.requests == reconciled.served > 0


def test_delays_are_what_they_must_be(measured):
    """While all is well no poller is later than its interval, and a webhook is faster than the fastest of them."""
    slack = 5_000  # real milliseconds that a busy machine may need for the requests
    for interval in INTERVALS:
        assert 0 < measured.ordinary(way(measured, Kind.POLLING, interval)).longest <= interval + slack
    assert 0 < measured.ordinary(way(measured, Kind.WEBHOOK)).median < INTERVALS[-1] / 10


def test_what_is_printed(played, measured):
    """Standard output has the story, a line for each way with its numbers, and how the numbers came about."""
    done, folder = played
    assert story(measured) in done.stdout
    for row in rows(measured):
        line = next(line for line in done.stdout.splitlines() if line.startswith(f"{row.name}  "))
        assert all(cell in line for cell in row.cells())
    assert done.stdout.count("\n- ") == len(notes(measured))
    assert "of 12 paid" in done.stderr
    assert (folder / "table.md").read_text() == markdown(measured)


def test_the_files_that_are_drawn(played, measured):
    """The SVG is the chart of what was measured, and the PNG is one."""
    folder = played[1]
    assert (folder / "chart.svg").read_text() == chart(measured)
    assert (folder / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_is_ended_cleans_up(tmp_path):
    """Told to end, the command ends at once, says so by its exit code, and leaves no files behind."""
    command = [sys.executable, "-m", "ringback", "compare", "xendit", "--progress", "0.1"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert "of 500 paid" in process.stderr.readline()
        assert list(tmp_path.iterdir())
        process.terminate()
        said = process.stderr.read()
    assert (process.returncode, said.splitlines()[-1]) == (130, "interrupted")
    assert list(tmp_path.iterdir()) == []


def test_the_documentation_shows_one_run():
    """The table of the page and the chart beside it are of the same run, and the PNG is there too."""
    table = (DOCS / "explanation" / "polling-or-webhooks.md").read_text("utf-8")
    described = ET.parse(DOCS / "images" / "compare-xendit.svg").find(f"{SVG}desc").text
    shown = re.findall(r"^\| (poll [^|]+|webhook[^|]*) \| ([\d,]+) \|", table, re.MULTILINE)
    assert len(shown) == len(INTERVALS) + 2
    for name, requests in shown:
        assert f"{name}: {requests} requests" in described
    assert (DOCS / "images" / "compare-xendit.png").read_bytes().startswith(b"\x89PNG")


# --- Plans -------------------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_hour(measured):
    """What was played is what the plan says, and another seed is another hour."""
    assert list(measured.orders) == Plan(invoices=12, seed=3, outage=30 * MINUTE).orders()
    assert Plan(invoices=12, seed=3).orders() != Plan(invoices=12, seed=4).orders()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--invoices", "0"], "1 to 2,000 invoices"),
        (["--invoices", "2001"], "not 2,001"),
        (["--invoices", "many"], "many"),
        (["--outage", "31m"], "30 minutes"),
        (["--outage", "soon"], "not a duration"),
        (["--chart", "chart.gif"], "neither .svg nor .png"),
        (["--chart", "nowhere/chart.svg"], "there is no folder nowhere"),
        (["--json", "nowhere/all.json"], "there is no folder nowhere"),
        (["--markdown", "/proc/table.md"], "/proc/table.md cannot be written: no such file or directory"),
        (["--progress", "0"], "0.1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_played(arguments, said, capsys, tmp_path, monkeypatch):
    """A bad option ends the command at once, with what is wrong."""
    monkeypatch.chdir(tmp_path)
    assert run(["compare", "xendit", *arguments]) == 2
    assert said in capsys.readouterr().err


# --- What follows, and how it is shown ---------------------------------------------------------------------

PLAN = Plan(invoices=4, outage=6 * MINUTE)
ORDERS = tuple(Order(0, paid * MINUTE) for paid in (5, 21, 24, 40))


def told(kind, delays, *, interval=None, api=(0, 0, 0), webhooks=(0, 0, 0)):
    return Way(
        kind=kind,
        interval=interval,
        api=Traffic(*api),
        served=api[0],
        webhooks=Traffic(*webhooks),
        delays=delays,
    )


def comparison(**changes):
    ways = (
        told(
            Kind.POLLING,
            (500.0, 301_000.0, 121_000.0, 900.0),
            interval=1_000,
            api=(39_264, 6_321_504, 99_999_999),
        ),
        told(Kind.WEBHOOK, (4.26, None, 1_080_000.0, 7.5), webhooks=(5, 3_000, 700)),
        told(
            Kind.RECONCILED,
            (4.0, 400_000.0, 200_000.0, 6.0),
            interval=300_000,
            api=(9, 90, 9_000),
            webhooks=(5, 3_000, 700),
        ),
    )
    whole = Comparison(plan=PLAN, orders=ORDERS, ways=ways, sender_patience=1_000, lasted=0, seconds=9.6)
    return msgspec.structs.replace(whole, **changes)


def test_what_is_worked_out():
    """Delays are those of ordinary times, by nearest rank; the outage's payments are told apart by when they come."""
    one = comparison()
    polling, webhook, reconciled = one.ways
    assert (one.ordinary(webhook).median, one.ordinary(webhook).late) == (4.26, 7.5)
    assert msgspec.structs.astuple(one.outage(polling)) == (2, 0, 0)
    assert msgspec.structs.astuple(one.outage(webhook)) == (0, 1, 1)
    assert msgspec.structs.astuple(one.outage(reconciled)) == (2, 0, 0)
    assert [one.missed(way) for way in one.ways] == [0, 1, 0]


def test_rows():
    """Numbers are written with their units, what is real is called so, and there is a cell for every heading."""
    shown = rows(comparison())
    assert shown[0].cells() == (
        "poll every 1 s",
        "39,264",
        "6.03 MiB",
        "95.4 MiB",
        "0.5 s",
        "0.9 s",
        "2",
        "0",
        "0",
    )
    assert shown[1].cells() == (
        "webhook",
        "5",
        "700 B",
        "2.93 KiB",
        "4.3 ms real",
        "7.5 ms real",
        "0",
        "1",
        "1",
    )
    assert shown[2].requests == "14"
    assert {len(row.cells()) for row in shown} == {len(HEADING)}


def test_what_has_no_number():
    """Without an outage, or without payments in ordinary times, a dash stands for what is not there."""
    quiet = comparison(plan=Plan(invoices=4, outage=0))
    assert {cell for row in rows(quiet) for cell in row.cells()[6:]} == {"-"}
    assert "without an outage" in story(quiet)
    assert len(notes(quiet)) == len(notes(comparison())) - 1
    late = comparison(orders=tuple(Order(0, OUTAGE_FROM) for _ in range(4)))
    assert {cell for row in rows(late) for cell in row.cells()[4:6]} == {"-"}
    for one in (quiet, late):
        ET.fromstring(chart(one))


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0.04, "0.0 ms"),
        (99.9, "99.9 ms"),
        (100, "0.1 s"),
        (9_990, "9.99 s"),
        (59_400, "59 s"),
        (59_600, "1 min"),
        (140_000, "2 min 20 s"),
        (3_600_000, "1 h"),
        (3_725_000, "1 h 2 min"),
    ],
)
def test_spans(milliseconds, text):
    """A time is written in the units that suit it, without parts of nothing."""
    assert span(milliseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1 KiB"),
        (1_020_000, "996 KiB"),
        (1_047_000, "1,022 KiB"),
        (2**21, "2 MiB"),
        (2**31, "2,048 MiB"),
    ],
)
def test_sizes(count, text):
    """Bytes are written in the unit that suits them."""
    assert size(count) == text


def test_the_chart_tells_all_of_it():
    """It is well-formed, has a title and a description for those who do not see it, and names every way twice."""
    root = ET.fromstring(chart(comparison()))
    assert root.get("role") == "img"
    named = root.get("aria-labelledby").split()
    assert [root.find(f"{SVG}title").get("id"), root.find(f"{SVG}desc").get("id")] == named
    assert "webhook: 5 requests" in root.find(f"{SVG}desc").text
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for name in ("poll every 1 s", "webhook", "webhook + reconciler"):
        assert name in texts
        assert any(text.startswith(f"{name}: ") for text in texts)


def test_labels_of_the_chart_stay_apart():
    """Ways of nearly the same cost and delay have labels that do not cover each other."""
    root = ET.fromstring(chart(comparison()))
    labels = [
        (float(text.get("x")), float(text.get("y")))
        for text in root.iter(f"{SVG}text")
        if text.text.endswith("requests") and ":" in text.text
    ]
    close = [
        (a, b) for a in labels for b in labels if a < b and abs(a[1] - b[1]) < 14 and abs(a[0] - b[0]) < 150
    ]
    assert (len(labels), close) == (3, [])


def test_a_chart_on_a_page_has_no_styles():
    """A page's policy forbids them: colours come as attributes, which its style sheet may change by class."""
    inside, alone = chart(comparison(), alone=False), chart(comparison())
    assert "style" not in inside
    assert "prefers-color-scheme: dark" in alone
    assert 'class="chart-webhook"' in inside
    assert 'class="chart-webhook"' in alone


def test_a_picture_needs_its_extra(monkeypatch):
    """Without what draws PNG, the command says which extra to install, and leaves before playing anything."""
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    assert run(["compare", "xendit", "--chart", "chart.png"]) == 3


def test_a_picture_needs_a_font(monkeypatch, capsys):
    """On a machine without fonts, a picture without words is not drawn: the command says what to install."""
    monkeypatch.setattr(pictures, "FAMILIES", ("No Such Family",))
    drawn = pictures._resvg().svg_to_bytes
    monkeypatch.setattr(
        pictures._resvg(), "svg_to_bytes", lambda **options: drawn(**options, skip_system_fonts=True)
    )
    assert run(["compare", "xendit", "--chart", "chart.png"]) == 3
    assert "fonts-dejavu-core" in capsys.readouterr().err


def test_a_picture_has_words():
    """What the letters add to a picture can be seen in it."""
    svg = chart(comparison())
    assert picture(svg) != picture(svg.replace("Hearing of a payment", ""))


def test_what_is_written_is_read_again():
    """JSON has all that was measured and all that follows, and is read back as it was."""
    one = comparison()
    document = json.loads(written(one))
    assert read(written(one)) == one
    assert [way["ordinary"]["median"] for way in document["ways"]] == [500.0, 4.26, 4.0]
    assert document["ways"][1]["outage"] == {"promptly": 0, "later": 1, "never": 1}
    assert document["plan"] == {"invoices": 4, "seed": 1, "outage": 360_000}
    assert MAX_OUTAGE == 1_800_000
