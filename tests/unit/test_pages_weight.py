"""However much there is, a page stays light: what it leaves out it tells, and where to see it."""

import json
from urllib.parse import urljoin

import msgspec
import pytest
from management import gateway_of, made

from ringback.store import MessageFilter, Page
from ringback.testing import secret_for, signed_request

MOST = 60_000
# What becomes much when it is written for people.
NESTED = {"a": json.loads("[" * 400 + "]" * 400)}
NUMBERS = {"a": [*range(1_500)]}


@pytest.fixture
def guest(place):
    guest = place[1]()
    guest.login()
    return guest


def opened(guest, address):
    """Open a page, which is light."""
    page = guest.open(address)
    assert len(page.source.encode()) < MOST, (address, len(page.source))
    return page


def tried_often(api, payload, answer, *, endpoints=1, times=30):
    """Publish a message to some endpoints that fail; return the address of its page."""
    app = api.application()["id"]
    for number in range(endpoints):
        api.endpoint(app, url=f"https://example.com/{number}/{'x' * 200}")
    message = api.message(app, payload=payload)["id"]
    for _ in range(min(endpoints, times)):
        api.attempt(503, answer)
    return f"/messages/{app}/{message}"


@pytest.mark.parametrize("payload", [NESTED, NUMBERS, {"text": "\"'<" * 5_000}])
def test_a_message_page(api, guest, payload):
    """Whatever the payload and the answers are, and however many endpoints there are, a browser has it at once."""
    content = json.dumps(payload).encode()
    address = tried_often(api, payload, content, endpoints=30)
    page = opened(guest, address)
    assert "Download it to see all." in page.text
    assert [label for label, _ in page.links].count("Download") == 11
    assert guest.send("GET", f"{address}/payload").content == content


def test_a_message_for_many_endpoints(api, guest):
    """How it is takes all of them into account; they are listed some at a time, and each can be sent to again."""
    app = api.application()["id"]
    for number in range(45):
        api.endpoint(app, url=f"https://example.com/{number}")
    for _ in range(3):
        api.endpoint(app, disabled=True)
    message = api.message(app)["id"]
    for status in (200,) * 44 + (410,):
        api.attempt(status)
    page = opened(guest, f"/messages/{app}/{message}")
    assert "1 of 45 endpoints" in page.text
    assert "Failed" in page.title
    assert "It is for 45 endpoints: they are listed some at a time." in page.text
    seen = [row[0] for row in page.rows if row[0].startswith("https")]
    while any(label == "Further endpoints" for label, _ in page.links):
        page = guest.follow(page, "Further endpoints")
        seen += [row[0] for row in page.rows if row[0].startswith("https")]
    assert len(seen) == 48
    assert len(set(seen)) == 46
    assert "First endpoints" in page.text
    assert "Queued to be sent again" in guest.press(page, "Resend").text


LONG = {
    "one line": b"x" * 60_000,
    "many lines": b"\n".join(b"%d" % number for number in range(900)),
    "numbers": json.dumps(NUMBERS).encode(),
    "quotation marks": b"\n".join([b"'" * 500] * 100),
}


@pytest.mark.parametrize("long", LONG.values(), ids=LONG)
def test_a_comparison_of_answers(api, guest, long):
    """Of long answers the beginning is shown, which is said, and both can be downloaded."""
    app, answers = api.application()["id"], (long, long[::-1].swapcase() + b"!")
    endpoint = api.endpoint(app)["id"]
    message = api.message(app)["id"]
    api.attempt(503, answers[0])
    api.again(app, message, endpoint)
    api.attempt(503, answers[1])
    page = guest.follow(guest.open(f"/messages/{app}/{message}"), "Compare two")
    page = opened(guest, page.url)
    assert "Not all of it is shown" in page.text
    assert guest.send("GET", urljoin(page.url, page.link("Download the second"))).content == answers[1]


def test_a_comparison_of_messages(api, guest):
    """However many headers two webhooks have, and however long they are, what differs comes first."""
    body = {"name": "Shop", "type": "xendit", "config": {"secret": secret_for("xendit")}}
    source = made(api.send("POST", "/ingest/api/v1/source", body))["id"]
    gateway = gateway_of(api.committer)
    for number in range(2):
        request = signed_request("xendit", "invoice.paid", event_id=f"ev-{number}")
        many = {f"x-header-{n}": "'" * 900 for n in range(60)} | {"x-zebra": str(number)}
        request = msgspec.structs.replace(request, headers={**request.headers, **many})
        assert gateway.accept(api.store.source(source).token, request).result().status == 200
    first, second = (message.id for message in api.store.messages(source, MessageFilter(), Page()))
    opened(guest, f"/messages/{source}/{first}")
    page = opened(guest, f"/messages/{source}/{first}/compare?with={second}")
    assert ["Header: x-zebra", "0", "1", "differs"] in page.rows
    assert "those that differ come first" in page.text
