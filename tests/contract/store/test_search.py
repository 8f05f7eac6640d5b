"""Searching long lists: the same rows as in one read, found in short ones."""

import asyncio

import pytest

from ringback import search
from ringback.model import Standing
from ringback.policy import Step
from ringback.store import AttemptFilter, MessageFilter, Page

PUBLISHED = 24
LOOK = 4
TYPES = ("order.paid", "order.lost")
SPANS = ({}, {"after": 8}, {"before": 16}, {"after": 5, "before": 19})
PAGES = (
    Page(limit=100, descending=True),
    Page(limit=100),
    Page(limit=3, descending=True),
    Page(limit=3),
    Page(limit=2, descending=True, backwards=True),
)


class Reads:
    """Reads a store, and counts how often."""

    def __init__(self, store):
        self.count = 0
        self._store = store

    async def __call__(self, query):
        """Read."""
        self.count += 1
        return query(self._store)


@pytest.fixture
def reads(scene, monkeypatch):
    monkeypatch.setattr(search, "LOOK", LOOK)
    return Reads(scene.store)


@pytest.fixture
def history(scene):
    """An application with an endpoint that got two thirds of its messages, in as many ways as matter."""
    application = scene.application()
    endpoint = scene.endpoint(application, channels=("one",))
    for number in range(PUBLISHED):
        accepted = scene.publish(
            application,
            event_type=TYPES[number % 2],
            channels=(("one",), ("one", "all"), ("two",))[number % 3],
        )
        for work in accepted.works:
            scene.settle(work, Step.SUCCEED if number % 5 else Step.EXHAUST)
    return application, endpoint


def spans(scene, history, kind, **fields):
    """Yield filters of a kind over the whole time and parts of it."""
    messages = scene.store.messages(history[0].id, MessageFilter(), Page(limit=100))
    for span in SPANS:
        yield kind(**{name: messages[at].created_at for name, at in span.items()}, **fields)


def pages(rows, key):
    """Yield pages at the ends of a list and in its middle."""
    for page in PAGES:
        yield page
        for row in rows[:: max(1, len(rows) // 3)]:
            yield Page(
                limit=page.limit, cursor=key(row), backwards=page.backwards, descending=page.descending
            )


@pytest.mark.parametrize(
    "fields",
    [{"event_types": TYPES[:1]}, {"channel": "two"}, {"channel": "none"}, {"channel": "all", "tag": "t"}],
)
def test_messages(scene, history, reads, fields):
    """An application's messages of some types, or in a channel."""
    rows = scene.store.messages(history[0].id, MessageFilter(), Page(limit=100))
    for where in spans(scene, history, MessageFilter, **fields):
        for page in pages(rows, lambda row: row.id):
            found = asyncio.run(search.messages(reads, history[0].id, where, page))
            assert found == scene.store.messages(history[0].id, where, page)


@pytest.mark.parametrize(
    ("fields", "standings"),
    [
        ({"event_types": TYPES[1:]}, None),
        ({"channel": "none"}, None),
        ({}, (Standing.SUCCEEDED,)),
        ({"channel": "one"}, (Standing.FAILED,)),
        ({}, (Standing.PENDING,)),
    ],
)
def test_messages_of_an_endpoint(scene, history, reads, fields, standings):
    """Those that an endpoint gets or got."""
    application, endpoint = history
    rows = scene.store.addressed(application.id, endpoint.id, MessageFilter(), Page(limit=100))
    for where in spans(scene, history, MessageFilter, **fields):
        for page in pages(rows, lambda row: row[1].id):
            found = asyncio.run(
                search.addressed(reads, application.id, endpoint.id, where, page, standings=standings)
            )
            assert found == scene.store.addressed(application.id, endpoint.id, where, page, standings)


@pytest.mark.parametrize("fields", [{"event_types": TYPES[1:]}, {"channel": "none"}, {"ok": False}])
def test_attempts_at_an_endpoint(scene, history, reads, fields):
    """Its attempts, also by what came of them."""
    application, endpoint = history
    every = AttemptFilter(endpoint_id=endpoint.id)
    rows = scene.store.attempts(application.id, every, Page(limit=100))
    for where in spans(scene, history, AttemptFilter, **fields, endpoint_id=endpoint.id):
        for page in pages(rows, lambda row: row.id):
            found = asyncio.run(search.attempts(reads, application.id, endpoint.id, where, page))
            assert found == scene.store.attempts(application.id, where, page)


def test_no_read_goes_through_all(scene, history, reads):
    """What nothing is in takes as many reads as the list is long; what needs no looking takes one."""
    application, endpoint = history
    nowhere, page = MessageFilter(channel="none"), Page()
    assert asyncio.run(search.messages(reads, application.id, nowhere, page)) == []
    assert reads.count == PUBLISHED // LOOK + 1
    for where in (MessageFilter(), MessageFilter(tag="none")):
        reads.count = 0
        asyncio.run(search.messages(reads, application.id, where, page))
        assert reads.count == 1
    got = len(scene.store.addressed(application.id, endpoint.id, MessageFilter(), Page(limit=100)))
    tried = AttemptFilter(status_class=100)
    for found in (
        search.addressed(reads, application.id, endpoint.id, nowhere, page, standings=None),
        search.attempts(reads, application.id, endpoint.id, tried, page),
    ):
        reads.count = 0
        assert asyncio.run(found) == []
        assert reads.count == got // LOOK + 1
