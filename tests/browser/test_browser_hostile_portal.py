"""Whatever a platform, its customers and their receivers write is text to an application's people in their portal."""

import itertools
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hostile_texts import (
    HOSTILE,
    PRINTABLE,
    SHORT,
    answer,
    look,
    look_again,
    look_at_each,
    look_through,
    packed,
    taken,
)
from running import ANYWHERE, receiving, running
from running_site import folder
from server_site import SETTINGS, address, signed_in
from visits import PHONE

BRAND = " ".join(text for text in SHORT if text in PRINTABLE)
PAYLOAD = {text: [text] for text in HOSTILE if text.isprintable()}
# As much as the page of an endpoint shows of its description, and of the values and names of its metadata.
DESCRIPTIONS, VALUES, KEYS = packed(300), packed(200), packed(40)
# And as much as lists and forms show of an event type's description; its page shows more.
MEANINGS = packed(100) + packed(2_000)
# In addresses, much more at a time.
TOLD = [quote(text, safe="", errors="replace") for text in packed(1_000, SHORT)]
# Of the names, as many as one endpoint takes with their values.
AT_ONCE = 12
ATTEMPTS = len(HOSTILE) + len(DESCRIPTIONS)


@pytest.fixture(scope="module")
def server():
    """A portal named so, with endpoints at and about every text, which answer so; with event types that mean so."""
    settings = SETTINGS | {"retry_schedule": "none", "portal_name": BRAND}
    with (
        folder() as place,
        receiving(answer) as receiver,
        running("serve", "--listen", ANYWHERE, folder=place, **settings) as node,
        node.api() as api,
    ):
        api.post("/app", {"uid": "own", "name": "own"})
        for number, text in enumerate(MEANINGS):
            event_type(api, number, text)
        for number, text in enumerate(HOSTILE):
            endpoint(api, f"{receiver.url}/{number}", text, {})
        values = itertools.cycle(VALUES)
        names = (KEYS[begin : begin + AT_ONCE] for begin in itertools.count(0, AT_ONCE))
        told = [
            endpoint(api, f"{receiver.url}/all", text, dict(zip(next(names), values, strict=False)))
            for text in DESCRIPTIONS
        ]
        messages = [
            api.post("/app/own/msg", {"eventType": f"event.{number}", "payload": payload})["id"]
            for number, payload in enumerate((PAYLOAD, {}))
        ]
        while len(tried := attempts(api, messages[0])) < ATTEMPTS:
            pass
        yield SimpleNamespace(
            url=address(node),
            endpoints=told,
            messages=messages,
            attempts=tried,
            cookies=signed_in(node.port, api.post("/auth/app-portal-access/own", {})["token"]),
        )


def event_type(api, number, text):
    """Make an event type that a text describes, in words and in its schema."""
    schema = {"title": text, "properties": {text: {"description": text}}, "examples": [{text: text}]}
    kind = {"name": f"event.{number}", "description": text, "schemas": {text[:100]: schema}}
    api.post("/event-type", kind)


def endpoint(api, url, text, metadata):
    """Make an endpoint at and about a text; return its id."""
    more = {"description": text[:4_000], "metadata": metadata}
    places = [{"url": f"{url}?{query}"} for query in (text, quote(text, errors="replace")[:1_500])]
    places = [one | headers for one in places for headers in ({"headers": {"x-text": text}}, {})]
    return taken(api, "/app/own/endpoint", *(one | more for one in places), *places)["id"]


def attempts(api, message):
    """Return the ids of the attempts at delivering a message."""
    return [one["id"] for one in api.get(f"/app/own/attempt/msg/{message}?limit=250")["data"]]


@pytest.fixture
def visitor(server, visit):
    """One of the application's people, with a phone."""
    return visit(server.url, screen=PHONE, cookies=server.cookies)


def test_lists(visitor):
    """Of endpoints, of messages, and of what there is to be told of; a form offers that, too."""
    assert look_through(visitor, "/portal", *(text for text in HOSTILE if len(text) <= 100)) == []
    assert look_through(visitor, "/portal/messages") == []
    texts = [text for text in MEANINGS if len(text) <= 100]
    assert look_through(visitor, "/portal/event-types", *texts) == []
    assert look(visitor, "/portal/endpoints/new", *texts[:10]) == []


def test_event_types(visitor):
    """What one means, its sample and its schema, in a version that is called so."""
    numbers = [number for number, text in enumerate(MEANINGS) if len(text) > 100]
    assert [
        fault for one in numbers for fault in look(visitor, f"/portal/event-types/event.{one}", *SHORT[:1])
    ] == []


@pytest.mark.parametrize("page", ["", "/edit"])
def test_pages_about_endpoints(server, visitor, page):
    """What one is for, with its metadata, and the form in which that is changed."""
    places = [{"endpoint": one} for one in server.endpoints]
    texts = DESCRIPTIONS if not page else [""] * len(places)
    assert look_at_each(visitor, f"/portal/endpoints/{{endpoint}}{page}", places, texts) == []


@pytest.mark.parametrize("page", ["attempts", "messages", "secret", "start", "replay"])
def test_what_is_done_with_an_endpoint(server, visitor, page):
    """Its attempts, its secret, how to make it work and to replay, under its address and the portal's name."""
    assert look_through(visitor, f"/portal/endpoints/{server.endpoints[0]}/{page}") == []


def test_a_message(server, visitor):
    """Its payload, where it went, and what was answered there; two answers and two payloads side by side."""
    page = f"/portal/messages/{server.messages[0]}"
    assert look_through(visitor, page, *SHORT) == []
    first, second = server.attempts[0], server.attempts[-1]
    assert look(visitor, f"{page}/compare?first={first}&second={second}") == []
    assert look(visitor, f"{page}/compare?with={server.messages[1]}", *SHORT) == []


def test_a_check(server, visitor):
    """What an endpoint answers to whoever tries it out."""
    look(visitor, f"/portal/endpoints/{server.endpoints[0]}")
    visitor.page.get_by_role("button", name="Check now").click()
    visitor.page.get_by_role("heading", name="The endpoint did not take it").wait_for()
    assert look_again(visitor, SHORT) == []


@pytest.mark.parametrize(
    "path",
    [
        "/portal/messages?type={}",
        "/portal/messages/{message}/compare?with={}",
        "/portal/endpoints/{endpoint}/replay?which=failed&window={}&since={}&type={}&rate={}&limit={}",
        "/portal/enter?link={}",
    ],
)
def test_addresses(server, visit, path):
    """In the address of a page that shows again what was asked for."""
    visitor = visit(server.url, screen=PHONE, cookies=() if "enter" in path else server.cookies)
    visitor.expect_fault("status of 4")
    path = path.replace("{message}", server.messages[0]).replace("{endpoint}", server.endpoints[0])
    assert [fault for told in TOLD for fault in look(visitor, path.replace("{}", told))] == []
