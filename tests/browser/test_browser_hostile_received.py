"""Whatever comes in at a source, with a right signature or a wrong one, is text on its pages and in the live view."""

import contextlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import pytest
from hostile_texts import (
    HOSTILE,
    PRINTABLE,
    SHORT,
    answer,
    is_plain,
    look,
    look_again,
    look_at_each,
    look_through,
    packed,
)
from playwright.sync_api import expect
from running import ADMIN_TOKEN, ANYWHERE, MAIN_KEY, receiving, running
from running_site import folder
from server_site import SETTINGS, address, signed_in
from visits import PHONE

from ringback import Inbox
from ringback.outbox import system_clock
from ringback.signing import Request

KEY = "what the sender shows"
HOUR = 3_600_000
# As long as the narrowest place shows of a source's name; of an event type in lists, and on the page of a message.
NAMES, LISTED, TYPES = packed(40), packed(80), packed(120)
# No event type may be like these: such a webhook is kept as one that is not understood.
STRANGE = [text for text in HOSTILE if text not in PRINTABLE]
# As much as is kept of a traceback.
TRACES = packed(1_500, [text for text in SHORT if text in PRINTABLE])
# Of the rows of the live view, each time: of each source there a webhook, the same again, and one that is refused.
AT_ONCE = 6


@pytest.fixture(scope="module")
def server():
    """A server whose sources have received every text, wherever a sender writes; a handler has failed over them."""
    settings = SETTINGS | {"retry_schedule": "none", "main_key": MAIN_KEY}
    with folder() as place, receiving(answer) as receiver:
        # On a thread of its own: the browser's has a loop that runs.
        with ThreadPoolExecutor(1) as own:
            own.submit(receive, f"sqlite:///{place}/ringback.db").result()
        with running("serve", "--listen", ANYWHERE, folder=place, **settings) as node, node.api() as api:
            yield SimpleNamespace(
                url=address(node), api=api, shop=receiver.url, cookies=signed_in(node.port, ADMIN_TOKEN)
            )


@pytest.fixture
def visitor(server, visit):
    """An operator with a phone."""
    return visit(server.url, screen=PHONE, cookies=server.cookies)


def receive(store):
    """Refuse a request with each text, and receive a webhook with each: for nobody, and for a handler that fails."""
    # A few refusals a second are kept, so time passes quickly here.
    ticking = itertools.count(system_clock() - HOUR, 1_000).__next__
    with contextlib.closing(Inbox(store, clock=ticking, main_key=MAIN_KEY)) as door:
        door.source("refusing", provider="api-key", secrets=[KEY])
        for text in HOSTILE:
            headers = {"x-api-key": "another", "content-encoding": text, text[:100]: text}
            assert door.accept("refusing", Request(text, text, headers, b"")).result().status == 401
    with contextlib.closing(Inbox(store, main_key=MAIN_KEY)) as door:
        for name in ("idle", "failing"):
            door.source(name, provider="api-key", secrets=[KEY])
        door.on("failing", retries="none")(fail)
        for name, texts in {"idle": LISTED + STRANGE, "failing": TYPES + TRACES}.items():
            for text in texts:
                assert door.accept(name, webhook(text)).result().status == 200
        drained = door.drain()
        assert (drained.succeeded, drained.more) == (0, False)


def fail(message):
    """Fail over what a message says."""
    raise ValueError(message.data["text"])


def webhook(text):
    """Return a webhook with a text wherever a sender writes one; one that is long is of an ordinary event."""
    headers = {"x-api-key": KEY, "webhook-id": text, "x-text": text, text[:100]: text}
    body = {"type": "everything" if text in TRACES else text, "text": text, text: [text, {text: text}]}
    return Request("POST", text, headers, json.dumps(body).encode())


def source(server, name):
    """Make a source with a name; return it."""
    made = json.dumps({"name": name, "type": "api-key", "config": {"secret": KEY}})
    status, kept = server.api.ask("POST", "/ingest/api/v1/source", made.encode())
    assert status == 201, kept
    return kept


def forward(server, kept, text):
    """Have a source forward what is called like a text to an address with the same in it."""
    draft = {"url": f"{server.shop}/0?{quote(text)}", "description": text, "eventTypes": [text]}
    way = f"/ingest/api/v1/source/{kept['id']}/endpoint"
    status, answered = server.api.ask("POST", way, json.dumps(draft).encode())
    assert status == 201, answered


def knock(server, kept, text, key=KEY):
    """Send a webhook of a type to a source's address; return the status."""
    body = json.dumps({"type": text, "text": text}).encode()
    written = text.encode().decode("latin-1")
    headers = {"x_api_key": key, "webhook_id": "the same", "content_encoding": written, "x_text": written}
    return server.api.ask("POST", urlsplit(kept["ingestUrl"]).path, body, **headers)[0]


LISTS = {
    "/sources/refusing/refused": [text for text in HOSTILE if len(text) <= 100],
    "/sources/failing/dead": [],
    "/dead-letters": [],
    "/sources/idle/unhandled": LISTED,
    "/sources/idle/quarantined": [],
}


@pytest.mark.parametrize("path", LISTS)
def test_lists_of_what_came(visitor, path):
    """Where what was refused is told, what was given up, and what nothing handles or understands."""
    assert look_through(visitor, path, *LISTS[path]) == []


@pytest.mark.parametrize("path", ["/sources/failing/dead", "/sources/idle/quarantined"])
def test_pages_about_what_came(visitor, path):
    """With the provider's id, headers, the payload, and what a handler said when it failed."""
    ways = []
    look(visitor, path)
    while True:
        ways += visitor.page.locator("tbody th a").evaluate_all("all => all.map(one => one.pathname)")
        if not (older := visitor.page.get_by_role("link", name="Older")).count():
            break
        older.click()
        visitor.page.wait_for_load_state()
    assert len(ways) >= len(STRANGE)
    assert [fault for way in ways for fault in look(visitor, way)] == []
    assert look(visitor, f"{ways[0]}/compare?with={ways[-1].rpartition('/')[2]}") == []


def test_pages_of_sources(server, visitor):
    """That are named so, and forward elsewhere what is called so; with what came last."""
    made = [source(server, name) for name in LISTED]
    for one, name in zip(made, LISTED, strict=True):
        forward(server, one, name)
    assert look_at_each(visitor, "/sources/{id}", made, LISTED) == []
    assert look_through(visitor, "/sources", *LISTED) == []
    forms = ("/sources/idle/endpoints/new", "/sources/failing/endpoints/new")
    for path in (*forms, "/sources/refusing", "/sources/idle", "/sources/failing"):
        assert look(visitor, path) == []
    visitor.page.get_by_role("rowheader").get_by_role("link", name="fail").click()
    visitor.page.get_by_role("heading", name="How it fails").wait_for()
    assert look_again(visitor) == []


def test_the_live_view(server, visitor):
    """What came, what came again, what was refused and what failed, with tracebacks: on a page, and as it comes."""
    for path in ("/watch", "/watch?show=failed"):
        assert look(visitor, path, *(text for text in SHORT if text in PRINTABLE)) == []
    batches = [NAMES[begin : begin + AT_ONCE] for begin in range(0, len(NAMES), AT_ONCE)]
    for batch in batches[1:]:
        come(server, batch)
        assert look(visitor, "/watch", *batch) == []
    come(server, batches[0])
    for text in filter(is_plain, batches[0]):
        expect(visitor.page.locator("body")).to_contain_text(text)
    assert look_again(visitor, batches[0]) == []


def come(server, names):
    """Have sources with these names receive what is called so, twice, and refuse it once."""
    for name in names:
        kept = source(server, name)
        assert knock(server, kept, name, "another key") == 401
        assert [knock(server, kept, name) for _ in range(2)] == [200, 200]
