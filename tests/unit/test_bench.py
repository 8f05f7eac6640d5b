import contextlib
import json
import subprocess
import sys
import time
from array import array
from pathlib import Path

import msgspec
import pytest
from bench.against import Measured, Pair, verdict
from bench.figures import Expectation, Run, disagreement, end_to_end, figures, percentile
from bench.filling import Filling
from bench.generator import PLACE, Plan
from bench.pages import OPERATORS, OWNERS, Page, table
from bench.processes import publish, sink
from bench.wire import Record, message_end, request

from ringback.model import Standing
from ringback.policy import DAY, HOUR
from ringback.store import open_store
from ringback.vault import Vault

ROOT = Path(__file__).parent.parent.parent
COLUMNS = {
    "accept_per_s",
    "delivered_per_s",
    "accept_p50_ms",
    "accept_p99_ms",
    "e2e_p50_ms",
    "e2e_p99_ms",
    "cpu_us_per_message",
    "rss_mb",
    "limit_per_s",
}


def names(*numbers):
    return b"".join(b"msg_%027d" % number for number in numbers)


def run_of(accepted, delivered, *, refused=0, kinds=None):
    """Return a run in which message n was published at second n and answered 10 ms later."""
    published = Record(
        ids=names(*accepted),
        begun=array("d", accepted).tobytes(),
        ended=array("d", [number + 0.010 for number in accepted]).tobytes(),
        kinds=array("H", kinds or [0] * len(accepted)).tobytes(),
        refused=refused,
        refusal="HTTP/1.1 503 Service Unavailable" if refused else "",
    )
    arrivals = array("d", [number + 0.025 for number in delivered])
    return Run(published=published, arrived=Record(ids=names(*delivered), ended=arrivals.tobytes()))


def test_publisher_and_receiver_agree(tmp_path):
    """What the publisher sent and the receiver got are the same messages; the figures are kept."""
    file = tmp_path / "figures.json"
    options = ["--scenario", "limit", "--seconds", "0.2", "--connections", "4"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *options, "--folder", str(tmp_path), "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything expected was delivered, once." in done.stdout
    shown = json.loads(file.read_text())["limit"]
    assert set(shown) == COLUMNS
    assert shown["delivered_per_s"] == shown["limit_per_s"] > 0
    assert 0 < shown["accept_p50_ms"] <= shown["accept_p99_ms"]
    assert list(tmp_path.iterdir()) == [file]


def test_publisher_stops_after_the_most_it_may_send(tmp_path):
    """A plan is bounded by count as well as by time."""
    with sink() as receiver:
        direct = request("/", receiver.port, {"webhook-id": PLACE.decode()}, b"{}")
        plan = Plan(
            port=receiver.port, requests=[direct], seconds=30, connections=1, most=50, direct=True, status=204
        )
        published = publish(plan, tmp_path / "published")
        arrived = receiver.record(tmp_path / "arrived")
    assert published.names() == arrived.names()
    assert len(arrived.names()) == 50


def test_latencies_are_joined_by_message():
    """Accepting is measured at the publisher, end to end from its request to the receiver."""
    measured = figures(run_of([1, 2, 3], [3, 1, 2]))
    assert measured.accept_p50_ms == pytest.approx(10)
    assert measured.e2e_p99_ms == pytest.approx(25)
    assert measured.delivered_per_s == pytest.approx(3 / 2.025)


@pytest.mark.parametrize(
    ("delivered", "fault"),
    [
        ([1, 2, 3], None),
        ([1, 3], "1 are missing, 0 came twice or from nowhere"),
        ([1, 2, 3, 3], "0 are missing, 1 came twice or from nowhere"),
        ([1, 2, 9], "1 are missing, 1 came twice or from nowhere"),
    ],
)
def test_a_difference_between_accepted_and_delivered_is_a_fault(delivered, fault):
    """A message lost, delivered twice or made up does not pass, even where the totals agree."""
    found = disagreement(run_of([1, 2, 3], delivered), Expectation())
    assert found is None if fault is None else fault in found


def test_every_endpoint_of_a_message_counts():
    """A message for two endpoints that reached one is a fault."""
    expected = Expectation(copies=2)
    assert disagreement(run_of([1, 2], [1, 1, 2, 2]), expected) is None
    assert "1 are missing" in disagreement(run_of([1, 2], [1, 1, 2]), expected)


def test_a_backlog_is_delivered_meanwhile():
    """Where a backlog waits, its messages are no fault, but their absence and that of a new one are."""
    expected = Expectation(strangers=True)
    assert disagreement(run_of([1, 2], [7, 1, 8, 2, 9]), expected) is None
    assert "1 are missing" in disagreement(run_of([1, 2], [7, 1, 8, 9]), expected)
    assert disagreement(run_of([1, 2], [1, 2]), expected) == "nothing of the backlog was delivered"


def test_a_refused_request_is_a_fault():
    """An answer other than the one hoped for does not pass, and is shown."""
    assert "503 Service Unavailable" in disagreement(run_of([1], [1], refused=1), Expectation())


def test_a_run_that_accepted_nothing_is_a_fault():
    """Figures of nothing do not pass for figures."""
    assert disagreement(run_of([], []), Expectation()) == "nothing was accepted"


def test_messages_to_an_endpoint_that_hangs_are_not_missed():
    """What is not expected to arrive is left out of the comparison and of the latencies."""
    run = run_of([1, 2, 3], [2, 3], kinds=[0, 1, 2])
    assert disagreement(run, Expectation(without=frozenset({0}))) is None
    assert len(end_to_end(run, {0, 1})) == 1


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentiles_are_values_that_occurred(share, value):
    """A percentile is the nearest rank, not something in between."""
    assert percentile(range(100, 0, -1), share) == value


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 27),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST", 40),
        (b"HTTP/1.1 202 Accepted\r\ncontent-length: 3\r\n\r\n{}", 0),
        (b"HTTP/1.1 202 Acc", 0),
        (b"", 0),
    ],
)
def test_the_end_of_a_message_is_found(data, end):
    """A message is whole when its head and as many bytes as it announces are there."""
    assert message_end(data) == end


def test_a_store_for_pages_has_a_day_of_messages(tmp_path):
    """What pages are measured with is as promised: so many messages of the last day, most delivered, some failed."""
    with contextlib.closing(open_store(f"sqlite:///{tmp_path / 'pages.db'}", Vault(bytes(32)))) as store:
        filled = Filling(store).fill(1_000)
        now = time.time_ns() // 1_000_000
        (day,) = store.course([now - DAY - HOUR, now])
        assert day.messages == 1_000
        assert {Standing.SUCCEEDED, Standing.FAILED, Standing.SENDING} == set(day.standings)
        assert store.message(filled.application, filled.message).id == filled.message
        assert store.endpoint(filled.application, filled.broken).failing_since is not None
    ids = msgspec.structs.asdict(filled)
    assert all("{" not in path.format(**ids) for path in (*OPERATORS.values(), *OWNERS.values()))


def test_two_revisions_are_compared_by_the_median_of_their_pairs():
    """One slow minute of the machine decides nothing."""
    usual, slow = Measured(1000.0, 1000.0, 200.0), Measured(500.0, 400.0, 300.0)
    better = Measured(1100.0, 990.0, 190.0)
    assert verdict([Pair(usual, better), Pair(usual, slow), Pair(slow, usual)]) == (1.1, 0.99)


def test_pages_are_told_as_a_table():
    """Each page is a line with its figures."""
    lines = table([Page("/", 10.04, 1.2, 3.4, 5.6), Page("a message", 1, 2, 3, 4)])
    assert lines[1].split() == ["/", "10.0", "1.2", "3.4", "5.6"]
    assert {len(line) for line in lines} == {len(lines[0])}
