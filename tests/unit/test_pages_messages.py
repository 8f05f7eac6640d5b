"""The list of messages: its filters in the address, its slices, and what it says where nothing fits."""

import json

import pytest
from management import made

from ringback.server.pages import messages as listing
from ringback.store import MessageFilter, Page


@pytest.fixture
def guest(place):
    guest = place[1]()
    guest.login()
    return guest


def types(page):
    """Return the event types of the rows."""
    return [row[0] for row in page.rows[1:]]


def test_messages_of_all_applications_newest_first(api, guest):
    """Each row leads to its message, and says how it is, whose it is, and its ids."""
    acme, globex = api.application(name="Acme")["id"], api.application(name="Globex")["id"]
    api.endpoint(acme)
    api.endpoint(acme)
    first = api.message(acme, eventId="order-1")["id"]
    api.attempt(200)
    api.message(globex, eventType="user.created")
    page = guest.open("/messages")
    assert page.rows[0] == ["Event type", "Status", "Application", "Accepted", "Id"]
    assert [row[:3] for row in page.rows[1:]] == [
        ["user.created", "Not sent", "Globex"],
        ["invoice.paid", "Under way 1 of 2 endpoints", "Acme"],
    ]
    assert page.rows[2][4] == f"{first}order-1"
    assert page.link("invoice.paid").endswith(f"messages/{acme}/{first}")


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("", ["b.two", "a.one"]),
        ("status=delivered", ["a.one"]),
        ("status=unsent", ["b.two"]),
        ("status=failed", []),
        ("type=a.one", ["a.one"]),
        ("application=acme", ["a.one"]),
        ("text=order-1", ["a.one"]),
        ("text=b.t", ["b.two"]),
        ("text=vip", ["a.one"]),
        ("tag=vip", ["a.one"]),
        ("text=%22n%22", ["b.two", "a.one"]),
        ("since=2020-01-01T00:00&until=2020-01-02T00:00", []),
        ("since=2020-01-01T00:00Z", ["b.two", "a.one"]),
    ],
)
def test_filters_are_in_the_address(api, guest, query, fits):
    """What the address says is what is listed, and the form shows it again."""
    app = api.application(uid="acme")["id"]
    api.endpoint(app)
    api.message(app, eventType="a.one", eventId="order-1", tags=["vip"])
    api.attempt(200)
    api.message(api.application()["id"], eventType="b.two")
    page = guest.open(f"/messages?{query}")
    assert types(page) == fits
    if not fits:
        assert "No message fits" in page.headings
    if query:
        assert page.link("Clear filters").endswith("messages")
        name, _, value = query.partition("&")[0].partition("=")
        assert value.replace("%22", '"') in dict(page.forms[2].fields)[name] or name == "since"


def test_a_filter_that_means_nothing_is_said_to(guest):
    """A time that is none, a status and an application that are not there are named; nothing is listed."""
    for query, said in (
        ("since=tomorrow", "Since is a time such as"),
        ("status=great", "Status is one of delivered, waiting"),
        ("application=none", "There is no application none"),
        ("after=app_x.msg_y", "This place in the list is gone"),
    ):
        page = guest.open(f"/messages?{query}")
        assert said in page.text
        assert page.rows == []


def test_slices_lead_to_older_and_newer_ones(api, guest, monkeypatch):
    """The list goes on and back, keeping its filter, and every message is on one slice."""
    monkeypatch.setattr(listing, "ROWS", 2)
    app = api.application(uid="acme")["id"]
    for number in range(5):
        api.message(app, eventType=f"n{number}")
    page = guest.open("/messages?since=2020-01-01T00:00")
    seen = [types(page)]
    while any(label == "Older" for label, _ in page.links):
        page = guest.open(f"/messages{page.link('Older').partition('messages')[2]}")
        seen.append(types(page))
    assert seen == [["n4", "n3"], ["n2", "n1"], ["n0"]]
    page = guest.open(f"/messages{page.link('Newer').partition('messages')[2]}")
    assert types(page) == ["n2", "n1"]
    page = guest.open(f"/messages{page.link('Newer').partition('messages')[2]}")
    assert types(page) == ["n4", "n3"]
    assert "Newer" not in [label for label, _ in page.links]
    assert "since=2020" in page.link("Older")


def test_no_message_yet(guest):
    """An empty list says what will be there and leads to where that is explained."""
    page = guest.open("/messages")
    assert "No message yet" in page.headings
    assert page.rows == []


def test_what_strangers_chose_is_text(api, guest):
    """Names, ids and what is searched for open no element and leave no attribute."""
    evil = "<img src=x onerror=alert(1)>\"'"
    app = api.application(name=evil)["id"]
    made(api.put(f"/event-type/{'x' * 200}", {"description": evil}))
    api.message(app, eventType="x" * 200, eventId="e" * 200)
    page = guest.open("/messages?text=" + "%3Cimg%20src=x%20onerror=alert(1)%3E%22")
    listed = guest.open("/messages")
    for one in (page, listed):
        assert not [tag for tag, attrs in one.elements if "onerror" in attrs]
    assert evil[:28] in " ".join(cell for row in listed.rows for cell in row)


def test_no_list_is_heavy(api, guest):
    """A full slice is sent in less than 60 kB."""
    app = api.application(name="n" * 200)["id"]
    for number in range(listing.ROWS):
        api.message(app, eventType="long.event.type.name" * 4, eventId=f"{number}-{'e' * 100}")
    result = guest.send("GET", "/messages")
    assert len(result.content) < 60_000


@pytest.mark.parametrize("name", ["   ", "\u3164"], ids=["blanks", "a filler"])
def test_what_shows_nothing_by_its_name_can_be_opened_all_the_same(api, guest, name):
    """An event type or a name that nobody sees is said to be none, wherever a link has nothing else to click on."""
    app = api.application(name=name)["id"]
    draft = {"name": name, "type": "api-key", "config": {"secret": "a-key-of-the-sender"}}
    source = api.store.source(made(api.send("POST", "/ingest/api/v1/source", draft))["id"])
    body = json.dumps({"type": name, "n": 1}).encode()
    sent = {"content-type": "application/json", "x-api-key": "a-key-of-the-sender"}
    assert guest.send("POST", f"/in/{source.token}", headers=sent, raw=body).status_code == 200
    kept = api.committer.read(lambda store: store.messages(source.id, MessageFilter(), Page()))
    (message,) = kept.result()
    for path, leads in (
        ("/messages", f"messages/{source.id}/{message.id}"),
        ("/watch", f"messages/{source.id}/{message.id}"),
        ("/applications", f"applications/{app}"),
        ("/sources", f"sources/{source.id}"),
    ):
        page = guest.open(path)
        assert page.link("(no name)").endswith(leads)
        assert all(text.strip() for text, _ in page.links)
    assert "(no name)" in guest.follow(guest.open("/messages"), "(no name)").headings
    assert guest.follow(guest.open("/applications"), "(no name)").headings[0] == "(no name)"
