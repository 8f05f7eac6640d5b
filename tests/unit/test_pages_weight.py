"""However much there is, a page stays light: what it leaves out it tells, and where to see it."""

import json
from urllib.parse import urljoin

import msgspec
import pytest
from management import gateway_of, made
from visitors import enter

from ringback.store import MessageFilter, Page
from ringback.testing import secret_for, signed_request

MOST = 60_000
LONG_NAME = "It's \"<b>" * 20
TAGS = [f"{number}-{'t' * 100}" for number in range(10)]
LISTS = (
    "/",
    "/?span=7d",
    "/messages",
    "/messages?status=failed",
    "/applications",
    "/applications/{app}",
    "/keys",
    "/watch",
    "/watch?show=failed",
    "/replays",
)
# What becomes much when it is written for people.
NESTED = {"a": json.loads("[" * 400 + "]" * 400)}
NUMBERS = {"a": [*range(700)]}
# As deep as a schema may be.
DEEP = json.loads("[" * 90 + "]" * 90)


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
    api.attempt(503, answers[1], later=5)
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
    assert [sorted(row[1:]) for row in page.rows if row[0] == "Header: x-zebra"] == [["0", "1", "differs"]]
    assert "those that differ come first" in page.text


def schema_of(number):
    """Return a schema that is long when it is written for people."""
    return {"type": "object", "title": "x" * number, "examples": [NUMBERS], "enum": [DEEP]}


def test_event_types_and_their_schemas(place, guest):
    """All are listed, some at a time; each has a page with one version of its schema, which can be downloaded."""
    api, _ = place
    for number in range(60):
        schemas = {str(version): schema_of(number) for version in range(1, 13 if number == 0 else 2)}
        api.event_type(f"kind.{number:02}.{'x' * 150}", description="'" * 200, schemas=schemas)
    customer, _ = enter(place, api.application()["id"])
    for somebody, address in ((guest, "/event-types"), (customer, "/portal/event-types")):
        page = opened(somebody, address)
        names = [row[0] for row in page.rows[1:]]
        page = opened(somebody, urljoin(page.url, page.link("Next")))
        names += [row[0] for row in page.rows[1:]]
        assert [name.split(".")[1] for name in names] == [f"{number:02}" for number in range(60)]
        page = opened(somebody, f"{address}/kind.00.{'x' * 150}")
        # Versions that are numbers go by their size.
        assert "Schema, version 12" in page.source
        assert json.loads(
            somebody.send("GET", urljoin(page.url, page.link("Download"))).content
        ) == schema_of(0)
        assert "Schema, version 2" in somebody.press(page, "Show", version="2").source
        missing = somebody.open(f"{address}/kind.00.{'x' * 150}?version=99", expect=404)
        assert missing.headings[0] == "There is nothing here"
    opened(guest, f"/event-types/kind.00.{'x' * 150}/edit")


def test_a_choice_of_event_types(api, guest):
    """Where there are many to tick, they are typed, and what was chosen stays so."""
    app = api.application()["id"]
    names = [f"kind.{number:02}" for number in range(61)]
    for name in names:
        api.event_type(name, description="d" * 120, schemas={"1": {"examples": [{}]}})
    endpoint = api.endpoint(app, filterTypes=names[:30])["id"]
    page = opened(guest, f"/applications/{app}/endpoints/{endpoint}/edit")
    assert "There are many" in page.text
    guest.press(page, "Save", description="still")
    assert api.get(f"/app/{app}/endpoint/{endpoint}").json["filterTypes"] == names[:30]
    opened(guest, f"/applications/{app}/endpoints/{endpoint}")


def test_a_schema_that_no_form_can_hold_stays_as_it_is(api, guest):
    """What else there is of its event type can be changed all the same."""
    api.event_type("large", schemas={"1": schema_of(30_000)})
    page = opened(guest, "/event-types/large/edit")
    assert "too long to be changed here" in page.text
    guest.press(page, "Save", description="large")
    kept = api.get("/event-type/large").json
    assert (kept["description"], kept["schemas"]) == ("large", {"1": schema_of(30_000)})


def test_a_source_with_many_endpoints_and_refusals(api, guest):
    """They are listed some at a time, with what is worth telling of each."""
    body = {"name": "Shop", "type": "xendit", "config": {"secret": secret_for("xendit")}}
    source = made(api.send("POST", "/ingest/api/v1/source", body))["id"]
    for number in range(70):
        address = f"https://example.com/{number}/{'x' * 200}"
        made(api.send("POST", f"/ingest/api/v1/source/{source}/endpoint", {"url": address}))
    page = opened(guest, f"/sources/{source}")
    assert len(opened(guest, urljoin(page.url, page.link("Next"))).rows) == 20 + 1
    gateway = gateway_of(api.committer)
    request = signed_request("xendit", "invoice.paid", event_id="ev-1")
    many = {f"x-{n}'''''": "'" * 900 for n in range(60)} | {"x-callback-token": "'" * 900}
    request = msgspec.structs.replace(request, headers={**request.headers, **many})
    for _ in range(45):
        gateway.accept(api.store.source(source).token, request).result()
    opened(guest, f"/sources/{source}/refused")


def test_an_endpoint_page(api, guest):
    """However many attempts failed in however many ways, the page tells so in few bytes."""
    app = api.application()["id"]
    endpoint = api.endpoint(app, url=f"https://example.com/{'x' * 900}", description="'" * 900)["id"]
    for number in range(45):
        api.event_type(f"kind.{number:02}.{'x' * 200}", schemas={"1": schema_of(0)})
    message = api.message(app)["id"]
    for number in range(60):
        api.attempt(400 + number, later=1_000 * number)
        api.again(app, message, endpoint)
    for tail in ("", "/attempts", "/messages", "/edit", "/start", "/replay", "/secret"):
        opened(guest, f"/applications/{app}/endpoints/{endpoint}{tail}")


def test_lists(place, guest):
    """However many applications, endpoints and messages there are, and however long what they are called is."""
    api, _ = place
    owners = [api.application(name=f"{number} {LONG_NAME}")["id"] for number in range(55)]
    for number, owner in enumerate((*owners, *[owners[0]] * 55)):
        api.endpoint(owner, url=f"https://example.com/{'x' * 900}", description=LONG_NAME)
        api.message(owners[0], eventType=f"kind.{'x' * 200}", eventId=f"{number}.{'y' * 150}", tags=TAGS)
        api.attempt(503, b"Traceback\n" * 900)
    for number in range(55):
        api.key("read", app=owners[number])
    for address in LISTS:
        opened(guest, address.format(app=owners[0]))
    customer, _ = enter(place, owners[0])
    for address in ("/portal", "/portal/messages", "/portal/replays", "/portal/endpoints/new"):
        opened(customer, address)
