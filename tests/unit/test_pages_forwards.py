"""The form that has a source's messages forwarded to a URL: what it makes, what it says, and to whom it is there."""

import json

import pytest
from management import made
from visitors import CALLBACK, knock, source, visiting

from ringback.model import Outcome, OutcomeKind
from ringback.observe import Audited, Deed
from ringback.probing import Probed

MOST = 60_000
URL = "https://shop.example/hooks"
HOSTILE = "<script>alert('it')</script>"


@pytest.fixture
def kept(api):
    return source(api)


@pytest.fixture
def told(api):
    """What is told for the log of who did what to which endpoint, as it comes."""
    told = []
    api.observer.subscribe(Audited, lambda one: told.append((one.deed, one.who, one.endpoint_id)))
    return told


def forwards(api, kept):
    """Return the places that a source's messages are forwarded to, as the API has them."""
    return api.send("GET", f"/ingest/api/v1/source/{kept.id}/endpoint").json["data"]


def test_a_source_forwards_to_a_url(api, operator, kept, told):
    """From the source's page to what is left to do; what it gets is said in the provider's own words."""
    page = operator.open(f"/sources/{kept.id}")
    assert "no handler and no endpoint" in page.text
    form = operator.follow(page, "Forward to a URL")
    assert "channels" not in form.source
    after = operator.press(
        form,
        "Forward to it",
        url=URL,
        description="The shop",
        eventTypes="invoice.*\nOrder Created\n\ninvoice.*",
        headers="X-Tenant: shop",
        ordered=True,
    )
    (endpoint,) = forwards(api, kept)
    assert (endpoint["url"], endpoint["description"]) == (URL, "The shop")
    assert endpoint["eventTypes"] == ["invoice.*", "Order Created"]
    assert endpoint["ordered"] is True
    assert told == [(Deed.FORWARD_MADE, "admin", endpoint["id"])]
    # Nothing but what comes in may be sent to it, so there is no example.
    assert "Make it work" in after.headings
    assert "Send a signed test" not in after.source
    assert "Check the connection" in after.source
    assert operator.follow(after, "To the endpoint").headings[0] == URL
    listed = operator.open(f"/sources/{kept.id}").rows
    assert any(row[:3] == [URL, "Enabled", "invoice.*, Order Created"] for row in listed)
    assert knock(operator, kept) == 200
    # What comes in is for it: it waits there, where no worker runs.
    row = next(row for row in operator.open(f"/sources/{kept.id}").rows if row[0] == URL)
    assert row[3] == "1"


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (
            Outcome(kind=OutcomeKind.SUCCESS, status=204),
            "answered a first request well, after 35 ms.",
        ),
        (
            Outcome(kind=OutcomeKind.BLOCKED_ADDRESS),
            "did not take a first request. The address may not be delivered to. The host name leads to a private",
        ),
    ],
    ids=["well", "private"],
)
def test_it_is_tried_out_at_once(tmp_path, outcome, told):
    """Whoever adds it reads how a first request went, and what to do; it is there all the same."""

    async def probe(endpoint):
        assert endpoint.url == URL
        return Probed(outcome, 35)

    with visiting(tmp_path, settings={"probe": probe}) as (api, visitor):
        kept, guest = source(api), visitor()
        guest.login()
        page = guest.press(guest.open(f"/sources/{kept.id}/endpoints/new"), "Forward to it", url=URL)
        assert told in page.text
        assert len(forwards(api, kept)) == 1


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(api, operator, kept, told):
    """Nothing is made, and nobody is told that anything was."""
    typed = {
        "url": "shop.example/hooks",
        "description": "The shop",
        "eventTypes": f"{'x' * 300}\ninvoice.*",
        "headers": "Authorization: Bearer s3cret",
        "retrySchedule": "5s, 2m",
        "uid": "a b",
    }
    again = operator.press(
        operator.open(f"/sources/{kept.id}/endpoints/new"), "Forward to it", expect=400, **typed
    )
    fields = dict(again.button("Forward to it")[0].fields)
    assert {name: fields[name] for name in typed} == typed
    wrong = {
        attrs["id"]
        for tag, attrs in again.elements
        if tag in {"input", "textarea"} and "aria-invalid" in attrs
    }
    assert wrong == {"url", "eventTypes", "uid"}
    assert "entry 1: is 1 to 256 printable characters" in again.text
    assert forwards(api, kept) == []
    assert told == []


def test_who_may_only_look_is_offered_nothing(place, api, kept, told):
    """Neither the link nor the form is there, and what is sent all the same is refused."""
    reader = place[1]()
    reader.login(api.key("read"))
    page = reader.open(f"/sources/{kept.id}")
    assert "Forward to a URL" not in page.text
    reader.open(f"/sources/{kept.id}/endpoints/new", expect=403)
    sent = reader.send("POST", f"/sources/{kept.id}/endpoints/new", {"csrf": page.csrf, "url": URL})
    assert sent.status_code == 403
    assert (forwards(api, kept), told) == ([], [])


def test_a_form_of_no_page_of_ours_makes_nothing(api, operator, kept):
    """Without the session's own word nothing is forwarded anywhere."""
    assert operator.send("POST", f"/sources/{kept.id}/endpoints/new", {"url": URL}).status_code == 403
    assert forwards(api, kept) == []


def test_only_sources_forward(api, operator, kept):
    """An application is no source, and what is not there forwards nothing."""
    app = api.application()["id"]
    for name in (app, "none", "src_" + "0" * 27):
        operator.open(f"/sources/{name}/endpoints/new", expect=404)
    operator.open(f"/applications/{kept.id}/endpoints/new", expect=404)


def test_saving_settings_loses_nothing(api, operator, kept, told):
    """Patterns are words of the provider's, with spaces where it has some; nobody has to register them."""
    api.event_type("of.applications")
    patterns = ["Order Created", " begins with a space", "invoice.*"]
    path = f"/ingest/api/v1/source/{kept.id}/endpoint"
    endpoint = made(api.send("POST", path, {"url": URL, "eventTypes": patterns}))["id"]
    told.clear()
    form = operator.open(f"/applications/{kept.id}/endpoints/{endpoint}/edit")
    assert "of.applications" not in form.source
    operator.press(form, "Save", description="Books")
    (stored,) = forwards(api, kept)
    assert (stored["description"], stored["eventTypes"]) == ("Books", patterns)
    assert told == [(Deed.FORWARD_CHANGED, "admin", endpoint)]
    form = operator.open(f"/applications/{kept.id}/endpoints/{endpoint}/edit")
    operator.press(form, "Save", eventTypes="")
    assert forwards(api, kept)[0]["eventTypes"] is None


def test_more_patterns_than_a_form_can_hold_stay_as_they_are(api, operator, kept):
    """The page stays light, says so, and the rest can be changed, also after a fault."""
    patterns = [f"'{'<' * 200}{number}" for number in range(200)]
    path = f"/ingest/api/v1/source/{kept.id}/endpoint"
    endpoint = made(api.send("POST", path, {"url": URL, "eventTypes": patterns}))["id"]
    form = operator.open(f"/applications/{kept.id}/endpoints/{endpoint}/edit")
    assert "too many to be changed here" in form.text
    assert len(form.source) < MOST
    again = operator.press(form, "Save", url="nowhere", expect=400)
    operator.press(again, "Save", url=URL, description="Books")
    (stored,) = forwards(api, kept)
    assert (stored["description"], stored["eventTypes"]) == ("Books", patterns)


def test_programs_are_told_of_alike(api, kept, told):
    """Whoever has a source's messages sent elsewhere over the API is in the log too; other endpoints are not."""
    path = f"/ingest/api/v1/source/{kept.id}/endpoint"
    endpoint = made(api.send("POST", path, {"url": URL, "uid": "shop"}))["id"]
    assert api.send("PATCH", f"{path}/shop", {"description": "Books"}).status_code == 200
    assert api.send("PUT", f"{path}/shop", {"url": f"{URL}/2"}).status_code == 200
    assert api.send("PUT", f"{path}/other", {"url": URL}).status_code == 201
    assert api.send("POST", path, {"url": "nowhere"}).status_code == 422
    app = api.application()["id"]
    api.endpoint(app)
    deeds = [Deed.FORWARD_MADE, Deed.FORWARD_CHANGED, Deed.FORWARD_CHANGED, Deed.FORWARD_MADE]
    assert [one[0] for one in told] == deeds
    assert {one[1] for one in told} == {"admin"}
    assert [one[2] for one in told[:3]] == [endpoint] * 3


def test_what_strangers_say_is_text(api, operator):
    """The source's name, and what came lately, as its sender calls it."""
    body = {"name": HOSTILE, "type": "api-key", "config": {"secret": CALLBACK}}
    kept = api.store.source(made(api.send("POST", "/ingest/api/v1/source", body))["id"])
    headers = {"x-api-key": CALLBACK, "content-type": "application/json"}
    assert (
        operator.send(
            "POST", f"/in/{kept.token}", headers=headers, raw=json.dumps({"type": HOSTILE}).encode()
        ).status_code
        == 200
    )
    page = operator.open(f"/sources/{kept.id}/endpoints/new")
    assert f"These came lately: {HOSTILE}." in page.text
    assert f"What {HOSTILE} receives" in page.text
    assert "<script>alert" not in page.source
    again = operator.press(
        page, "Forward to it", url=HOSTILE, eventTypes=HOSTILE, description=HOSTILE, expect=400
    )
    assert "<script>alert" not in again.source
