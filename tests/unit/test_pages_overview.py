"""The first page of operators: what it counts, what fails, who works, and what a new one sees first."""

import asyncio
import functools
from itertools import pairwise

import msgspec
import pytest
from visitors import knock, source

from ringback.model import OutcomeKind
from ringback.server.pages.course import SPANS, Courses, rank, totals
from ringback.server.pages.wording import milliseconds, percent
from ringback.store.survey import Stretch
from ringback.testing import FrozenClock

HOUR = 3_600_000


def figures(page):
    """Return the numbers at the top, by what they are."""
    text = page.text.partition("As a table")[0]
    names = ("Accepted, last day", "Delivered", "Waiting", "Oldest due", "Failing endpoints")
    return {name: text.partition(name)[2].split()[0] for name in names}


def test_a_new_server_says_what_to_do_first(place):
    """Instead of empty tables there is a command that publishes a first message."""
    _, visitor = place
    guest = visitor()
    page = guest.login()
    assert "Nothing has been accepted yet" in page.headings
    assert "curl http://127.0.0.1:8400/api/v1/app/first/msg" in page.text
    assert "No endpoint has failed since its last success." in page.text


def test_what_was_accepted_and_what_became_of_it(place):
    """Messages are counted, deliveries told apart, and the charts have the same numbers as tables."""
    api, visitor = place
    app = api.application()["id"]
    api.endpoint(app)
    for status in (200, 200, 200, 500):
        api.message(app)
        api.attempt(status)
    api.message(app)
    page = visitor().login()
    assert figures(page) == {
        "Accepted, last day": "5",
        "Delivered": "100",
        "Waiting": "2",
        "Oldest due": "none",
        "Failing endpoints": "0",
    }
    assert "Nothing has been accepted yet" not in page.text
    assert page.rows[0] == ["When", "Messages accepted"]
    assert [row[1] for row in page.rows if row[1:] == ["5"]] == ["5"]


@pytest.mark.parametrize("span", [span.key for span in SPANS])
def test_a_while_is_in_the_address(place, span):
    """The while to look back on is part of the address; one that there is not is the usual one."""
    _, visitor = place
    guest = visitor()
    guest.login()
    page = guest.open(f"/?span={span}")
    assert {"aria-current": "true"}.items() <= next(
        a for t, a in page.elements if f"span={span}" in a.get("href", "") or a.get("aria-current") == "true"
    ).items()
    assert guest.open("/?span=<script>").status == 200


def test_failing_endpoints_come_first_and_lead_on(place):
    """An endpoint that has failed since its last success is named, as text, with what waits there."""
    api, visitor = place
    app = api.application(name="<b>Acme</b>")["id"]
    endpoint = api.endpoint(app)["id"]
    change = functools.partial(msgspec.structs.replace, failing_since=1_000)
    with api.store.transaction():
        api.store.change_endpoint(app, endpoint, change)
    page = visitor().login()
    row = next(row for row in page.rows if row[0].startswith("https://example.com/hook"))
    assert row[1:3] == ["<b>Acme</b>", "Failing"]
    assert figures(page)["Failing endpoints"] == "1"
    assert page.link("https://example.com/hook").endswith(f"applications/{app}/endpoints/{endpoint}")


def test_failing_handlers_are_told_beside_failing_endpoints(place):
    """A handler whose latest attempt failed is named with what happened, and leads on, until it succeeds again."""
    api, visitor = place
    kept = source(api, "fulfil", name="<b>Payments</b>")
    guest = visitor()
    assert "Failing handlers" not in guest.login().text
    assert knock(guest, kept) == 200
    api.attempt(body=b"Traceback", kind=OutcomeKind.RAISED, detail="ValueError")
    page = guest.open("/")
    (row,) = [row for row in page.rows if row[0] == "xendit/fulfil"]
    assert row[1:4] == ["<b>Payments</b>", "Failing", "The handler raised an error: ValueError"]
    assert "Failing handlers 1 at their latest attempt" in page.text
    assert "xendit/fulfil" in guest.follow(page, "xendit/fulfil").headings
    assert guest.follow(page, "<b>Payments</b>").url == f"/sources/{kept.id}"
    assert "/messages/" in guest.follow(page, "The handler raised an error").url
    assert knock(guest, kept, "ev-2") == 200
    api.attempt()
    assert "Failing handlers" not in guest.open("/").text


def test_a_node_that_should_get_no_requests_says_why(place):
    """What readiness says is on the page, too."""
    api, visitor = place
    api.standing["reason"] = "the disk is full"
    assert "should get no requests now: the disk is full" in visitor().login().text


def test_what_is_over_is_asked_of_the_store_once_in_a_while():
    """Of the stretches only the last one is asked for again, until a moment has passed or another one is over."""
    clock, asked = FrozenClock(), []

    class Store:
        def course(self, edges):
            asked.append(len(edges) - 1)
            return [Stretch(since=a, until=b, messages=0) for a, b in pairwise(edges)]

    class Outbox:
        async def read(self, query):
            return query(Store())

    class Behind:
        outbox = Outbox()

    Behind.clock = clock
    courses = Courses(Behind)

    async def look():
        return len(await courses.of(SPANS[1]))

    assert [asyncio.run(look()) for _ in range(3)] == [24, 24, 24]
    assert asked == [24, 1, 1]
    clock.advance(30)
    asyncio.run(look())
    clock.advance(3_600)
    asyncio.run(look())
    assert asked[3:] == [24, 24]


def test_shares_count_by_what_was_sampled():
    """Of a busy hour a part is looked at, and that part counts for all of it."""
    quiet = Stretch(
        since=0, until=HOUR, messages=10, sampled=10, standings={"succeeded": 10}, durations=(1, 2), good=2
    )
    busy = Stretch(
        since=HOUR, until=2 * HOUR, messages=90, sampled=9, standings={"failed": 9}, durations=(9,), good=0
    )
    both = totals([quiet, busy])
    assert (both.messages, both.delivered, both.is_sample) == (100, 0.1, True)
    assert (both.good, both.median, both.late) == (2 / 3, 2, 9)
    none = totals([])
    assert (none.messages, none.delivered, none.good, none.median) == (0, None, None, None)
    assert rank([1, 2, 3, 4], 0.95) == 4


@pytest.mark.parametrize(
    ("share", "written"), [(0, "0"), (1, "100"), (0.99999, "99.99"), (0.5, "50.00"), (0.0001, "0.01")]
)
def test_only_all_of_it_is_a_hundred_percent(share, written):
    """A share that is not all of it is never rounded up to that."""
    assert percent(share) == f"{written}\N{NO-BREAK SPACE}%"


def test_times_are_written_in_a_fitting_unit():
    """Short ones in milliseconds, long ones in seconds."""
    assert (milliseconds(12.4), milliseconds(12_345)) == ("12\N{NO-BREAK SPACE}ms", "12.3\N{NO-BREAK SPACE}s")
