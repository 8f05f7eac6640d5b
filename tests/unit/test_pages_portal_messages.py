"""An application's own messages in its portal: how each went, found by what the address says, and nobody else's."""

from urllib.parse import urlencode

import pytest
from visitors import enter

# How long the id of a message is.
ID = 31
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def guest(place):
    """Somebody in the portal of an application that has an endpoint; ``guest.app`` is its id."""
    app = place[0].application(name="Mine")["id"]
    place[0].endpoint(app)
    guest, _ = enter(place, app)
    guest.app = app
    return guest


def states(page):
    """Return the ids of the messages on a page, with how each is said to be."""
    return {row[3][:ID]: row[1] for row in page.rows[1:]}


def test_each_says_how_it_went(api, guest):
    """In a word, beside when it came; the link leads to its page."""
    published = [api.message(guest.app)["id"] for _ in range(3)]
    for status in (204, 410):
        api.attempt(status)
    page = guest.open("/portal/messages")
    assert states(page) == dict(zip(published, ("Delivered", "Failed", "Under way"), strict=True))
    assert "Application" not in page.rows[0]
    assert page.rows[1][3][:ID] in guest.follow(page, "invoice.paid").text


def test_they_are_found_by_what_the_address_says(api, guest):
    """By how they went, by id, event id, type, tag and payload, each alone; the form shows what was asked."""
    failed = api.message(guest.app, eventId="order-1", payload={"sku": "kopi"})["id"]
    tagged = api.message(guest.app, eventType="invoice.expired", tags=["vip"])["id"]
    api.attempt(410)
    first = guest.open("/portal/messages")
    for asked, found in (
        ({"status": "failed"}, [failed]),
        ({"status": "underway"}, [tagged]),
        ({"text": failed}, [failed]),
        ({"text": "order-1"}, [failed]),
        ({"text": "kopi"}, [failed]),
        ({"type": "invoice.expired"}, [tagged]),
        ({"tag": "vip"}, [tagged]),
    ):
        page = guest.press(first, "Find", **asked)
        assert list(states(page)) == found, asked
        ((name, value),) = asked.items()
        assert f"{name}={value}" in page.url
        assert "Clear filters" in page.text
    assert "No message fits" in guest.open("/portal/messages?status=cancelled").headings
    assert "is one of" in guest.open("/portal/messages?status=lost").text
    assert list(states(guest.follow(guest.open(f"/portal/messages/{tagged}"), "vip"))) == [tagged]


def test_there_is_none_yet(guest):
    """That is said, with the next step."""
    page = guest.open("/portal/messages")
    assert "No message yet" in page.headings
    assert "Endpoints" in guest.follow(page, "To your endpoints").headings


def test_lists_lead_on(api, guest):
    """Slice by slice, newest first, there and back."""
    published = [api.message(guest.app)["id"] for _ in range(60)]
    newest = guest.open("/portal/messages")
    older = guest.follow(newest, "Older")
    assert sorted([*states(newest), *states(older)]) == sorted(published)
    assert list(states(guest.follow(older, "Newer"))) == list(states(newest))


def test_nobody_elses_is_found(place, guest):
    """Whatever an address asks for: another's id, text, tag, application, or place in its list."""
    api, _ = place
    theirs = api.application(name="Theirs", uid="theirs")["id"]
    message = api.message(theirs, eventId="secret-1", tags=["secret"], payload={"secret": "sauce"})["id"]
    mine = api.message(guest.app)["id"]
    for query in (f"text={message}", "text=secret-1", "text=sauce", "tag=secret"):
        page = guest.open(f"/portal/messages?{query}")
        assert "No message fits" in page.headings, query
    for query in ("application=theirs", f"application={theirs}"):
        page = guest.open(f"/portal/messages?{query}")
        assert list(states(page)) == [mine]
        assert "Theirs" not in page.source
    absent = message[:-4] + "0000"
    for way in ("after", "before"):
        there = guest.open(f"/portal/messages?{way}={theirs}.{message}")
        nowhere = guest.open(f"/portal/messages?{way}={theirs}.{absent}")
        assert there.source.replace(message, "ID") == nowhere.source.replace(absent, "ID")
        assert "is gone" in there.text


def test_types_of_others_are_not_offered(place):
    """The form suggests the event types that its people may know of, and no application."""
    api, _ = place
    app = api.application()["id"]
    api.event_type("open.one")
    api.event_type("beta.one", featureFlags=["beta"])
    for flags, offered in (([], ["open.one"]), (["beta"], ["beta.one", "open.one"])):
        guest, _ = enter(place, app, featureFlags=flags)
        page = guest.open("/portal/messages")
        lists = [given["id"] for tag, given in page.elements if tag == "datalist"]
        values = {given.get("value", "") for tag, given in page.elements if tag == "option"}
        assert lists == ["types"]
        assert sorted(one for one in values if "." in one) == offered


def test_what_was_asked_is_text(guest):
    """Whatever is asked for stands in the form, and is no part of the page."""
    for name in ("text", "tag", "type", "since", "status"):
        page = guest.open(f"/portal/messages?{urlencode({name: HOSTILE})}")
        assert HOSTILE not in page.source
