"""Rows of lists keep what they are about when a part of a page is renewed: each has an id, so the focus stays on it."""

import functools
from html.parser import HTMLParser
from urllib.parse import urlsplit

import msgspec
import pytest
from visitors import enter

OPERATED = (
    "",
    "watch",
    "messages",
    "messages/{app}/{msg}",
    "applications",
    "applications/{app}",
    "applications/{app}/endpoints/{ep}",
    "applications/{app}/endpoints/{ep}/attempts",
    "applications/{app}/endpoints/{ep}/messages",
    "replays",
    "sources",
    "{source}",
    "{source}/quarantined",
)
OWN = (
    "portal",
    "portal/messages",
    "portal/messages/{msg}",
    "portal/endpoints/{ep}",
    "portal/endpoints/{ep}/attempts",
    "portal/endpoints/{ep}/messages",
    "portal/replays",
)
TOKEN = "the-callback-token-of-a-shop"


class Rows(HTMLParser):
    """The rows of a page's tables that lead somewhere, and all ids there are."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.leading, self._row = [], [], None
        self.feed(page.source)

    def handle_starttag(self, tag, attrs):
        """Take up an element."""
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        if tag == "tr":
            self._row = given
        elif tag in {"a", "button"} and self._row is not None:
            self.leading.append(self._row)

    def handle_endtag(self, tag):
        """End a row."""
        if tag == "tr":
            self._row = None


@pytest.fixture
def site(place):
    """Pages with lists, and who sees them."""
    api, _ = place
    app = api.application()["id"]
    endpoint = api.endpoint(app)["id"]
    api.event_type("invoice.paid")
    message = api.message(app)["id"]
    for status in (200, 500):
        api.attempt(status)
        api.message(app)
    replay = api.post(f"/app/{app}/endpoint/{endpoint}/bulk-replay", {"since": "2020-01-01T00:00:00Z"})
    assert replay.status_code == 202, replay.text
    failing = functools.partial(msgspec.structs.replace, failing_since=1_000)
    with api.store.transaction():
        api.store.change_endpoint(app, endpoint, failing)
    return app, endpoint, message


def test_each_row_that_leads_somewhere_has_an_id(place, site):
    """On operators' pages as in the portal; and no id is there twice."""
    _, visitor = place
    app, endpoint, message = site
    operator = visitor()
    operator.login()
    form = operator.open("/sources/new")
    source = operator.press(form, "Make the source", name="Shop", provider="xendit", secrets=TOKEN)
    address = next(text for text in source.text.split() if "/in/" in text)
    operator.send("POST", urlsplit(address).path, headers={"x-callback-token": TOKEN}, raw=b'{"id": "inv_1"}')
    customer, _ = enter(place, app)
    names = {"app": app, "ep": endpoint, "msg": message, "source": source.url.strip("/")}
    for guest, paths in ((operator, OPERATED), (customer, OWN)):
        for path in paths:
            rows = Rows(guest.open(f"/{path.format(**names)}"))
            assert rows.leading, path
            assert all("id" in row for row in rows.leading), (path, rows.leading)
            assert len(rows.ids) == len(set(rows.ids)), path


def test_replays_are_in_the_menu_of_the_portal(place, site):
    """Whoever has begun one finds it again; on its page, too, the menu says where that is."""
    customer, first = enter(place, site[0])
    replays = customer.follow(first, "Replays")
    replay = customer.follow(replays, "qtask_")
    assert (replays.headings[0], replay.headings[0]) == ("Replays", "Replay")
    for page in (replays, replay):
        (here,) = [given["href"] for tag, given in page.elements if tag == "a" and "aria-current" in given]
        assert here.endswith("portal/replays")
