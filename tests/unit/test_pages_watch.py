"""The live view: what comes in with both its times, why what failed did, sending again, and the first steps."""

import asyncio
import json
import re

import pytest
from visitors import knock, source, until_refused, visiting

from ringback.intake import NOT_STORED
from ringback.model import OutcomeKind, Source
from ringback.observe import Observer, RequestRefused, WebhookReceived
from ringback.server.pages.live import Live, Reader
from ringback.server.pages.recent import Recent

EVIL = "</script><img src=x onerror=alert(1)>\"'"
TRACE = f'Traceback (most recent call last):\n  File "pay.py", line 7, in fulfil\nValueError: {EVIL}\n'
DASH = "\N{EN DASH}"
MILLISECONDS = re.compile(r"\d+(\.\d)? ms")


@pytest.fixture
def guest(place):
    guest = place[1]()
    guest.login()
    return guest


def refused(api, visitor, kept, token):
    """Send a webhook that does not verify, and wait until its refusal is written."""
    assert knock(visitor, kept, "ev-9", token) in {401, 403}
    until_refused(api, kept.id)


def steps(page):
    """Return which steps of receiving and of publishing are done."""
    return re.search(r"First steps: (\d of \d) of receiving, (\d of \d) of publishing", page.text).groups()


# --- The first steps ---------------------------------------------------------------------------------------


def test_the_first_screen_says_what_to_do_and_ticks_it_off(api, guest, place):
    """Instead of an empty table there are the steps, with commands for what is there; each turns done."""
    page = guest.open("/watch")
    assert not page.rows
    assert steps(page) == ("0 of 4", "0 of 3")
    assert "ringback source create xendit \\ --secret env:XENDIT_CALLBACK_TOKEN" in page.text
    assert "http://127.0.0.1:8400/api/v1/app/first/msg" in page.text
    kept = source(api, "fulfil")
    page = guest.open("/watch")
    assert steps(page)[0] == "1 of 4"
    assert f"--to http://127.0.0.1:8400/in/{kept.token}" in page.text
    # Whoever may only look is not told where to knock.
    reader = place[1]()
    reader.login(api.key("read"))
    assert kept.token not in reader.open("/watch").source
    refused(api, guest, kept, "another")
    page = guest.open("/watch")
    assert steps(page)[0] == "2 of 4"
    assert "The last one was refused:" in page.text
    assert knock(guest, kept) == 200
    assert steps(guest.open("/watch"))[0] == "3 of 4"
    api.attempt()
    app = api.application(uid="acme")["id"]
    page = guest.open("/watch")
    assert steps(page) == ("4 of 4", "0 of 3")
    assert "/api/v1/app/acme/endpoint" in page.text
    assert not any(tag == "details" and "open" in given for tag, given in page.elements)
    api.endpoint(app)
    api.message(app)
    assert steps(guest.open("/watch"))[1] == "2 of 3"
    api.attempt()
    assert steps(guest.open("/watch"))[1] == "3 of 3"


# --- What came ---------------------------------------------------------------------------------------------


def test_acknowledging_and_handling_are_two_numbers(api, guest):
    """A webhook and a published message are told with how long each of the two took, newest first, with links."""
    kept = source(api, "fulfil")
    assert knock(guest, kept) == 200
    api.attempt()
    app = api.application(name="Acme")["id"]
    api.endpoint(app)
    message = api.message(app)["id"]
    api.attempt()
    page = guest.open("/watch")
    assert page.rows[0][:6] == ["Event type", "State", "From", "Came", "Acknowledged", "Handled"]
    published, received = page.rows[1:]
    assert (published[:3], received[:3]) == (
        ["invoice.paid", "Delivered", "Acme"],
        ["invoice.paid", "Delivered", "Payments"],
    )
    for row in (published, received):
        assert MILLISECONDS.fullmatch(row[4])
        assert row[5] == "12 ms"
    assert page.link("invoice.paid") == f"./messages/{app}/{message}"
    assert page.link("Payments") == f"./sources/{kept.id}"


def test_of_several_places_the_longest_time_is_told(api, guest):
    """A row stays short, however many endpoints a message went to; what failed at one of them stands below."""
    app = api.application()["id"]
    for _ in range(3):
        api.endpoint(app)
    api.message(app)
    for status in (200, 503, 200):
        api.attempt(status)
    several, told = guest.open("/watch").rows[1:]
    assert several[5] == "12 ms longest of 3"
    assert told == ["Refused by the receiver: 503 example.com/hook"]


def test_what_another_process_acknowledged_is_said_to_be_so(tmp_path):
    """No time is made up for what this process did not acknowledge itself."""
    with visiting(tmp_path, settings={"recent": Recent(Observer(), lambda: 0)}) as (api, visitor):
        api.message(api.application()["id"])
        guest = visitor()
        guest.login()
        (row,) = guest.open("/watch").rows[1:]
        assert row[1] == "Not sent"
        assert row[4:6] == ["not here", DASH]


def test_what_was_refused_or_came_again_is_a_row(api, guest):
    """A refusal says why; a repetition leads to the message that it repeats; what could not be stored is told."""
    kept = source(api, "fulfil")
    assert knock(guest, kept) == 200
    assert knock(guest, kept) == 200
    refused(api, guest, kept, "wrong-token-of-somebody")
    api.observer.emit(
        WebhookReceived(source=kept, outcome=NOT_STORED, message_id=None, held=None, seconds=0.002)
    )
    page = guest.open("/watch")
    states = {row[1]: row for row in page.rows[1:] if len(row) > 1}
    assert set(states) == {"Not stored", "Refused", "Came again", "Under way"}
    assert states["Came again"][0] == "invoice.paid"
    assert states["Not stored"][4] == "2.0 ms"
    assert page.link("Refused request") == f"./sources/{kept.id}/refused"
    assert "token" in page.text
    assert "wrong-token-of-somebody" not in page.source


# --- What failed -------------------------------------------------------------------------------------------


def test_a_handler_that_raised_shows_its_traceback_as_text(api, guest):
    """Under the row stands the end of the traceback, and nothing in it is anything but text."""
    kept = source(api, "fulfil", name=EVIL)
    assert knock(guest, kept) == 200
    api.attempt(body=b"x" * 9_000 + TRACE.encode(), kind=OutcomeKind.RAISED, detail="ValueError")
    page = guest.open("/watch")
    row, told = page.rows[1:]
    assert row[1] == "Retrying"
    assert row[2] == EVIL[:40]
    assert "The handler raised an error: ValueError in xendit/fulfil" in told[0]
    assert " ".join(TRACE.split()) in page.text
    assert "x" * 5_000 not in page.source
    assert not [given for tag, given in page.elements if tag == "img" and given.get("src") == "x"]
    assert "onerror" not in {name for _, given in page.elements for name in given}


def test_many_tracebacks_do_not_make_the_page_heavy(api, guest):
    """Those of the newest rows are shown; of the others it is said what they were."""
    kept = source(api, "fulfil")
    for number in range(8):
        assert knock(guest, kept, f"ev-{number}") == 200
        api.attempt(body=b"y" * 9_000, kind=OutcomeKind.RAISED, detail="ValueError")
    page = guest.open("/watch")
    assert page.source.count("y" * 5_000) == 3
    assert page.text.count("The handler raised an error: ValueError") == 8


def test_only_what_failed(api, guest):
    """The filter leaves what went well and what came again out, and says so where nothing failed."""
    app = api.application()["id"]
    api.endpoint(app)
    assert "Nothing has failed" in guest.open("/watch?show=failed").headings
    api.message(app, eventType="good.one")
    api.attempt()
    assert "Nothing has failed" in guest.open("/watch?show=failed").headings
    api.message(app, eventType="bad.one")
    api.attempt(503)
    page = guest.open("/watch?show=failed")
    assert [row[0] for row in page.rows if len(row) > 1][1:] == ["bad.one"]
    assert "Refused by the receiver: 503 example.com/hook" in page.text
    # Sending again keeps the filter, and the focus is on the row.
    after = guest.press(page, "Resend")
    assert after.url.startswith("/watch?show=failed&at=msg_")
    assert [tag for tag, given in after.elements if "autofocus" in given and tag == "a"] == ["a"]


# --- Sending again -----------------------------------------------------------------------------------------


def test_a_row_is_sent_again_where_it_failed(api, guest):
    """Of two handlers, only the one that failed gets it again; where none did, all of them; `r` is said to do it."""
    kept = source(api, "fulfil", "count")
    assert knock(guest, kept) == 200
    api.attempt()
    api.attempt(body=TRACE.encode(), kind=OutcomeKind.RAISED, detail="ValueError")
    page = guest.open("/watch")
    assert "r" in {given.get("aria-keyshortcuts") for tag, given in page.elements if tag == "button"}
    assert "invoice.paid is queued again, for one place" in guest.press(page, "Resend").text
    ways = [href for text, href in page.links if text == "invoice.paid"]
    shown = guest.open(ways[0].removeprefix("."))
    assert {row[0]: row[1] for row in shown.rows if row[0].startswith("handler:")} == {
        "handler:xendit/fulfil": "Delivered",
        "handler:xendit/count": "Waiting",
    }


def test_what_nothing_wanted_is_tried_anew(api, guest):
    """A webhook that nothing handles is matched again, and it is said where still nothing wants it."""
    kept = source(api)
    assert knock(guest, kept) == 200
    page = guest.open("/watch")
    assert page.rows[1][1] == "Unhandled"
    assert "invoice.paid was not sent: nothing wants it" in guest.press(page, "Send").text


def test_who_may_only_look_has_no_button(api, guest, place):
    """A session that may not redeliver sees the rows, and may not post; nobody else sees anything."""
    app = api.application()["id"]
    api.endpoint(app)
    message = api.message(app)["id"]
    way = f"/watch/{app}/{message}/resend"
    reader = place[1]()
    reader.login(api.key("read"))
    page = reader.open("/watch")
    assert page.rows[1][0] == "invoice.paid"
    assert not [form for form in page.forms if "resend" in form.action]
    csrf = guest.open("/watch").forms[0].sent({}, {})
    assert reader.send("POST", way, dict(csrf)).status_code == 403
    assert guest.send("POST", way, {}).status_code == 403
    assert guest.send("GET", way).status_code == 405
    guest.open("/watch/app_none/msg_none/resend", expect=405)
    stranger = place[1]()
    assert stranger.send("GET", "/watch").status_code == 303


# --- What is remembered ------------------------------------------------------------------------------------


def a_source():
    return Source(id="src_1", name="Shop", provider="xendit", created_at=0, updated_at=0)


def test_a_bounded_number_is_remembered_of_all_observers():
    """What came first is forgotten first; an inbox beside the node is listened to as well."""
    node, inbox = Observer(), Observer()
    recent = Recent(node, lambda: 5, most=2)
    recent.follow(inbox)
    for observer, outcome, message in (
        (node, "accepted", "msg_1"),
        (node, "accepted", "msg_2"),
        (inbox, "accepted", "msg_3"),
        (inbox, "repeated", "msg_3"),
    ):
        observer.emit(
            WebhookReceived(source=a_source(), outcome=outcome, message_id=message, held=None, seconds=0.5)
        )
    assert recent.acknowledgements == {"msg_2": 0.5, "msg_3": 0.5}
    assert [(one.at, one.message_id) for one in recent.answered] == [(5, "msg_3")]


def test_open_pages_hear_of_an_inbox_beside_the_node():
    """A stream tells of what happens at any observer that is followed."""

    async def hear():
        inbox = Observer()
        live = Live(Observer(), pause=0, time=60)
        live.follow(inbox)

        async def still():
            return True

        stream = live.stream(Reader("session"), still)
        await anext(stream)
        told = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        inbox.emit(RequestRefused(source=a_source(), reason="bad_token"))
        try:
            return await told
        finally:
            await stream.aclose()

    assert json.dumps(asyncio.run(hear()).decode()) == json.dumps("data: sources\n\n")
