"""Pages about dead letters: those of one source and of all, handled again one by one or in bulk with a preview."""

from urllib.parse import urljoin, urlsplit

import pytest
from management import gateway_of, made

from ringback.testing import secret_for, signed_request

SOURCES = "/ingest/api/v1/source"


class Desk:
    """Sources that forward what they receive, and whose endpoints take nothing."""

    def __init__(self, api):
        self.api = api
        self._gateway = gateway_of(api.committer)
        self._numbers = iter(range(1, 100))

    def source(self, name):
        """Make a source with one endpoint, which gives up at once."""
        body = {"name": name, "type": "xendit", "uid": name, "config": {"secret": secret_for("xendit")}}
        made(self.api.send("POST", SOURCES, body))
        where = {"url": "https://shop.example/hook", "retrySchedule": []}
        return made(self.api.send("POST", f"{SOURCES}/{name}/endpoint", where))["id"]

    def fail(self, name):
        """Receive a webhook that is then given up; return the message's id."""
        token = self.api.committer.read(lambda store: store.source(name)).result().token
        request = signed_request("xendit", "invoice.paid", event_id=f"event-{next(self._numbers)}")
        assert self._gateway.accept(token, request).result().status == 200
        return self.api.attempt(500).message_id


@pytest.fixture
def desk(api):
    return Desk(api)


def plain(page):
    """Return a page's text with plain spaces."""
    return page.text.replace("\N{NO-BREAK SPACE}", " ")


def test_those_of_all_sources_are_one_list(desk, operator):
    """Each with its source and where it failed; without any, the list says so."""
    assert "None" in operator.follow(operator.open("/sources"), "Dead letters of all").headings
    desk.source("shop")
    desk.source("till")
    names = [desk.fail("shop"), desk.fail("till")]
    page = operator.open("/dead-letters")
    assert sorted(row[:2] for row in page.rows[1:3]) == sorted([[names[1], "till"], [names[0], "shop"]])
    there = operator.follow(page, "https://shop.example")
    assert there.url.split("/")[3] == "endpoints"
    own = operator.open("/sources/shop/dead")
    assert names[0] in own.source
    assert names[1] not in own.source


def test_one_is_handled_again_where_it_failed(desk, operator, api):
    """It leaves the list, and waits at the endpoint that gave it up."""
    endpoint = desk.source("shop")
    name = desk.fail("shop")
    there = operator.press(operator.open("/sources/shop/dead"), f"Handle again {name}")
    assert "It is queued again." in there.text
    assert "None" in there.headings
    owner = api.committer.read(lambda store: store.source("shop")).result().id
    assert api.committer.read(lambda store: store.delivery(owner, name, endpoint)).result().attempts == 0


def test_all_of_one_source_are_previewed_then_begun_once(desk, operator):
    """The question says how many and how old; what follows is a replay, the same for a second press."""
    desk.source("shop")
    for _ in range(3):
        desk.fail("shop")
    asked = operator.press(operator.open("/sources/shop/dead"), "Handle all again")
    assert "Handle 3 dead letters again?" in plain(asked)
    assert "shop: 3, the oldest from 2" in plain(asked)
    task = operator.press(asked, "Handle them again")
    assert "Replay" in task.headings
    assert "shop" in task.text
    assert operator.press(asked, "Handle them again").url == task.url
    assert urlsplit(urljoin(task.url, task.link("shop"))).path.startswith("/sources/src_")


def test_all_of_all_sources_are_a_replay_each(desk, operator):
    """Those that have none are left out."""
    for name in ("shop", "till", "idle"):
        desk.source(name)
    for name in ("shop", "shop", "till"):
        desk.fail(name)
    asked = operator.press(operator.open("/dead-letters"), "Handle all again")
    assert "Handle 3 dead letters again?" in plain(asked)
    assert "idle" not in asked.text
    begun = operator.press(asked, "Handle them again")
    assert begun.url == "/replays"
    assert begun.source.count("qtask_") >= 2


def test_what_nobody_would_get_is_not_begun(desk, operator, api):
    """Where the endpoints are disabled or gone, that is said in place of a question."""
    endpoint = desk.source("shop")
    desk.fail("shop")
    page = operator.open("/dead-letters")
    api.send("PATCH", f"{SOURCES}/shop/endpoint/{endpoint}", {"disabled": True})
    assert "gone or disabled" in operator.press(page, "Handle all again").text
    api.send("DELETE", f"{SOURCES}/shop/endpoint/{endpoint}")
    assert "gone" in operator.open("/dead-letters").rows[1]


def test_who_may_only_look_begins_nothing(desk, place):
    """A session for reading sees the list, and no button."""
    api, visitor = place
    desk.source("shop")
    desk.fail("shop")
    reader = visitor()
    reader.login(api.key("read"))
    page = reader.open("/dead-letters")
    assert "Handle" not in " ".join(page.headings)
    assert "/dead-letters/replay" not in page.source
    assert reader.send("POST", "/dead-letters/replay", {"csrf": page.csrf, "sure": "yes"}).status_code == 403


def test_a_form_that_is_not_ours_begins_nothing(desk, operator):
    """What was to be previewed must be there; a source that is not, is said."""
    desk.source("shop")
    csrf = operator.open("/dead-letters").csrf
    bare = {"csrf": csrf, "sure": "yes"}
    assert operator.send("POST", "/dead-letters/replay", bare).status_code == 400
    wrong = {**bare, "sources": "nobody", "since": "2026-01-01T00:00", "until": "2026-01-02T00:00"}
    answer = operator.ask("POST", "/dead-letters/replay", wrong)[1]
    assert "There is no application nobody." in answer.text
    operator.open("/sources/nobody/dead", expect=404)
