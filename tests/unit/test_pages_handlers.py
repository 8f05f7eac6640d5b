"""Pages about handlers: how one fares, what it raised, and what can be done about it; and the ways that lead there."""

import pytest
from visitors import knock, source

from ringback.model import OutcomeKind

EVIL = "</pre><script>alert(1)</script>"
TRACE = f'Traceback (most recent call last):\n  File "pay.py", line 7, in fulfil\nValueError: {EVIL}\n'


@pytest.fixture
def kept(api):
    """A source whose handler ``fulfil`` calls one function."""
    return source(api, "fulfil")


def test_a_handler_has_a_page_that_the_others_lead_to(api, operator, kept):
    """From its source, from a message that it was for, and from the live view where it failed."""
    assert knock(operator, kept) == 200
    api.attempt(body=TRACE.encode(), kind=OutcomeKind.RAISED, detail="ValueError")
    here = operator.follow(operator.open(f"/sources/{kept.id}"), "xendit/fulfil")
    assert "xendit/fulfil" in here.headings
    assert 'aria-current="page">Sources' in here.source
    message = operator.follow(operator.open(f"/sources/{kept.id}"), "msg_")
    assert operator.follow(message, "handler:xendit/fulfil").url == here.url
    assert operator.follow(operator.open("/watch"), "How xendit/fulfil fares").url == here.url
    assert operator.follow(here, "Payments").url == f"/sources/{kept.id}"


def test_what_it_raised_is_grouped_and_shown_as_text(api, operator, kept):
    """Each kind of error once, with how often, and the traceback of the latest of each."""
    for number, error in enumerate(("ValueError", "ValueError", "KeyError")):
        assert knock(operator, kept, f"ev-{number}") == 200
        api.attempt(body=TRACE.encode() + error.encode(), kind=OutcomeKind.RAISED, detail=error)
    page = operator.follow(operator.open(f"/sources/{kept.id}"), "xendit/fulfil")
    assert "The handler raised an error: ValueError 2" in page.text
    assert page.source.count("Traceback (most recent call last)") == 2
    assert EVIL not in page.source
    assert "Its log says why" not in page.text


def test_it_is_paused_and_resumed_and_replayed(api, operator, kept):
    """What can be done with a function: there is no address to check, no secret, and no setting of ours."""
    page = operator.follow(operator.open(f"/sources/{kept.id}"), "xendit/fulfil")
    paused = operator.press(page, "Pause")
    assert "Paused." in paused.text
    assert api.store.endpoint(kept.id, "fulfil").state == "paused"
    for absent in ("canary", "Check now", "Secret", "Settings", "Set the pace", "Send an example", "Disable"):
        assert absent not in paused.text
    assert "Enabled" in operator.press(paused, "Resume").text
    asked = operator.press(operator.open(page.url), "Forget the handler")
    assert "makes it anew when it starts" in asked.text
    assert "Preview" in operator.open(f"{page.url}/replay").source


def test_who_may_only_look_pauses_nothing(place, kept):
    """A session for reading sees how it fares, and no form."""
    api, visitor = place
    reader = visitor()
    reader.login(api.key("read"))
    page = reader.follow(reader.open(f"/sources/{kept.id}"), "xendit/fulfil")
    assert "It has not been called yet" in page.headings
    assert "/state" not in page.source
    assert reader.send("POST", f"{page.url}/state", {"csrf": page.csrf, "step": "pause"}).status_code == 403


def test_an_endpoint_that_a_source_forwards_to_is_steered_like_any_other(api, operator, kept):
    """Its settings, also patterns of event types, are changed; it is disabled and enabled, and deleted."""
    path = f"/ingest/api/v1/source/{kept.id}/endpoint"
    made = api.send("POST", path, {"url": "https://shop.example/hook", "eventTypes": ["invoice.*"]}).json
    page = operator.follow(operator.open(f"/sources/{kept.id}"), "https://shop.example")
    assert "Send an example" not in page.text
    form = operator.follow(page, "Settings")
    changed = operator.press(form, "Save", url="https://shop.example/other", description="Books")
    assert "https://shop.example/other" in changed.headings
    assert api.send("GET", f"{path}/{made['id']}").json["eventTypes"] == ["invoice.*"]
    assert "It gets 3 a second at most." in operator.press(changed, "Set the pace", rate="3").text
    off = operator.press(operator.press(changed, "Disable"), "Disable the endpoint")
    assert "Enabled." in operator.press(off, "Enable").text
    gone = operator.press(operator.press(changed, "Delete the endpoint"), "Delete the endpoint")
    assert gone.url == f"/sources/{kept.id}"
    assert "shop.example" not in gone.text
