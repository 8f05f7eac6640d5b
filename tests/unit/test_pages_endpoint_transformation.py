"""The page of an endpoint's transformation: what is typed is tried on a sample first, and kept when that is asked."""

import json

import pytest
from management import made
from visitors import CALLBACK, enter, source, visiting

MOST = 60_000
HOSTILE = "<script>alert('it')</script>"
CODE = "{text: join(' ', [eventType, payload.id]), team: variables.team}"
TYPED = {
    "code": CODE,
    "variables": "team: billing",
    "payload": '{"id": "inv_7"}',
    "eventType": "invoice.paid",
}


class Endpoint:
    """An application's endpoint, over the API and by its page."""

    def __init__(self, api, **fields):
        self.api, self.app = api, api.application()["id"]
        self.id = api.endpoint(self.app, **fields)["id"]
        self.page = f"/applications/{self.app}/endpoints/{self.id}"
        self.path = f"{self.page}/transformation"

    @property
    def kept(self):
        """The transformation, as the API tells of it."""
        told = self.api.get(f"/app/{self.app}/endpoint/{self.id}/transformation").json
        return {name: told[name] for name in ("code", "enabled", "variables")}

    def keep(self, **fields):
        """Set the transformation over the API."""
        path = f"/app/{self.app}/endpoint/{self.id}/transformation"
        assert self.api.patch(path, fields).status_code == 204


NONE = {"code": None, "enabled": False, "variables": {}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One server for all: each test has an endpoint of its own."""
    with visiting(tmp_path_factory.mktemp("transformations")) as place:
        yield place


@pytest.fixture(scope="module")
def api(place):
    return place[0]


@pytest.fixture(scope="module")
def operator(place):
    guest = place[1]()
    guest.login()
    return guest


@pytest.fixture
def endpoint(api):
    return Endpoint(api)


def fields(page):
    """Return what stands in the form."""
    return dict(page.button("Save")[0].fields)


def wrong(page):
    """Return which fields have a fault."""
    return {attrs["name"] for _, attrs in page.elements if "aria-invalid" in attrs}


def test_it_is_tried_first_and_then_kept(operator, endpoint):
    """A try shows what would be sent, loses nothing typed and keeps nothing; saving keeps it and says so."""
    page = operator.follow(operator.follow(operator.open(endpoint.page), "Settings"), "Transformation")
    tried = operator.press(page, "Try it", **TYPED)
    assert "It would be sent, like this." in tried.text
    assert '"text": "invoice.paid inv_7"' in tried.text
    assert '"team": "billing"' in tried.text
    assert {name: fields(tried)[name] for name in TYPED} == TYPED
    assert endpoint.kept == NONE
    saved = operator.press(tried, "Save")
    assert "kept, but not in use" in saved.text
    assert endpoint.kept == {"code": CODE, "enabled": False, "variables": {"team": "billing"}}
    used = operator.press(saved, "Save", enabled="yes")
    assert "in use from now on" in used.text
    assert endpoint.kept["enabled"] is True
    assert "Transformation in use" in operator.open(endpoint.page).text
    gone = operator.press(used, "Save", code="", enabled=None)
    assert "payloads are sent as they are" in gone.text
    assert (endpoint.kept["code"], endpoint.kept["enabled"]) == (None, False)


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({"code": "{text:"}, "code", "is no JMESPath"),
        ({"variables": "no colon"}, "variables", "write NAME: VALUE on each line"),
        ({"variables": "a-b: c"}, "variables", "is called with letters, digits and underscores"),
    ],
)
def test_what_is_wrong_stands_at_its_field(operator, endpoint, typed, field, told):
    """Whether it is to be tried or kept: nothing that was typed is lost, nothing is kept."""
    for button in ("Try it", "Save"):
        page = operator.press(operator.open(endpoint.path), button, expect=400, **TYPED | typed)
        assert told in page.text
        assert wrong(page) == {field}
        assert {name: fields(page)[name] for name in TYPED} == TYPED | typed
    assert endpoint.kept == NONE


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({"payload": "{"}, "payload", "is not JSON"),
        ({"payload": ""}, "payload", "is not JSON"),
        ({"eventType": ""}, "eventType", "has 1 to 256 characters"),
    ],
)
def test_what_is_wrong_with_the_sample_hinders_no_saving(operator, endpoint, typed, field, told):
    """A sample that is none cannot be tried; it is no part of what is kept."""
    page = operator.press(operator.open(endpoint.path), "Try it", expect=400, **TYPED | typed)
    assert told in page.text
    assert wrong(page) == {field}
    operator.press(page, "Save")
    assert endpoint.kept["code"] == CODE


def test_using_nothing_is_a_fault(operator, endpoint):
    """Where there is no expression, there is nothing to use; the API's own words say so."""
    page = operator.press(operator.open(endpoint.path), "Save", code="", enabled="yes", expect=400)
    assert "needs code to be enabled" in page.text
    assert wrong(page) == {"enabled"}


@pytest.mark.parametrize(
    ("settings", "typed", "told"),
    [
        (
            {"filterTypes": ["invoice.paid"]},
            {"eventType": "other"},
            "The endpoint does not listen to this event type",
        ),
        ({"disabled": True}, {}, "The endpoint is disabled"),
        ({}, {"code": "`null`"}, "The transformation makes null of the message"),
        ({}, {"code": "sum(payload)"}, "The transformation failed: "),
    ],
    ids=["filter", "disabled", "null", "failure"],
)
def test_why_nothing_would_be_sent(api, operator, settings, typed, told):
    """A try says why not, as the endpoint stands, in words."""
    api.put("/event-type/invoice.paid", {"description": ""})
    tried = operator.press(operator.open(Endpoint(api, **settings).path), "Try it", **TYPED | typed)
    assert "It would not be sent now." in tried.text
    assert told in tried.text


def test_what_would_wait_is_shown(api, operator, endpoint):
    """At a paused endpoint a try shows what would be sent later."""
    api.post(f"/app/{endpoint.app}/endpoint/{endpoint.id}/pause", {})
    tried = operator.press(operator.open(endpoint.path), "Try it", **TYPED)
    assert "The endpoint is paused: it would wait" in tried.text
    assert '"text": "invoice.paid inv_7"' in tried.text


def test_a_try_shows_no_secret(api, operator):
    """The headers that would be sent are shown without what is secret in them."""
    endpoint = Endpoint(
        api, url="https://me:s3cret@example.com/", headers={"X-Api-Key": "s3cret", "X-Team": "a"}
    )
    tried = operator.press(operator.open(endpoint.path), "Try it", **TYPED)
    assert "X-Team" in tried.text
    assert "X-Api-Key" in tried.text
    assert "s3cret" not in tried.source


def test_the_sample_is_the_latest_message(api, operator, endpoint):
    """What the endpoint was last for is what an expression is written for."""
    api.message(endpoint.app, eventType="invoice.expired", payload={"id": "inv_9", "sum": 1.50})
    page = operator.open(endpoint.path)
    assert fields(page)["eventType"] == "invoice.expired"
    assert json.loads(fields(page)["payload"]) == {"id": "inv_9", "sum": 1.5}
    # A ping is what no expression is written for, and what is long does not fit.
    operator.press(operator.open(endpoint.page), "Send it")
    api.message(endpoint.app, payload={"text": "x" * 20_000})
    assert "inv_9" in fields(operator.open(endpoint.path))["payload"]
    assert len(operator.open(endpoint.path).source) < MOST


def test_what_no_form_can_hold_stays_as_it_is(operator, endpoint):
    """The page stays light, says so, and the rest can be changed all the same."""
    much = {
        "code": "'" + "<" * 9_990 + "'",
        "variables": {f"name_{number}": "'" * 1_000 for number in range(40)},
        "enabled": False,
    }
    endpoint.keep(**much)
    page = operator.open(endpoint.path)
    assert len(page.source) < MOST
    assert "too long to be changed here" in page.text
    assert "too many to be changed here" in page.text
    tried = operator.press(page, "Try it", **{name: TYPED[name] for name in ("payload", "eventType")})
    assert "It would be sent" in tried.text
    assert len(tried.source) < MOST
    operator.press(tried, "Save", enabled="yes")
    assert endpoint.kept == much | {"enabled": True}


def test_what_strangers_send_is_text(api, operator):
    """A webhook's type and body stand in the form as the sample; nothing in them acts."""
    body = {"name": "Any", "type": "api-key", "config": {"secret": CALLBACK}}
    kept = api.store.source(made(api.send("POST", "/ingest/api/v1/source", body))["id"])
    path = f"/ingest/api/v1/source/{kept.id}/endpoint"
    forward = made(api.send("POST", path, {"url": "https://shop.example/"}))["id"]
    sent = {"type": HOSTILE, "text": f"</textarea>{HOSTILE}"}
    headers = {"x-api-key": CALLBACK, "content-type": "application/json"}
    assert (
        operator.send("POST", f"/in/{kept.token}", headers=headers, raw=json.dumps(sent).encode()).status_code
        == 200
    )
    page = operator.open(f"/applications/{kept.id}/endpoints/{forward}/transformation")
    assert json.loads(fields(page)["payload"]) == sent
    tried = operator.press(page, "Try it", code="payload.text")
    assert "It would be sent" in tried.text
    for one in (page, tried):
        assert "<script>alert" not in one.source
        assert "</textarea><" not in one.source.replace("</textarea></div>", "").replace("</textarea>\n", "")


def test_it_is_there_for_whom_it_is_for(place, api, endpoint):
    """Who may only look sees no form; a customer's link says whether it is for transformations."""
    reader = place[1]()
    reader.login(api.key("read"))
    reader.open(endpoint.path, expect=403)
    csrf = reader.open(endpoint.page).csrf
    assert reader.send("POST", endpoint.path, {"csrf": csrf, **TYPED}).status_code == 403
    path = f"/portal/endpoints/{endpoint.id}"
    onlooker, _ = enter(place, endpoint.app, capabilities=["ViewBase"])
    onlooker.open(f"{path}/transformation", expect=403)
    customer, _ = enter(place, endpoint.app, capabilities=["ViewBase", "ManageTransformations"])
    page = customer.follow(customer.open(path), "Transformation")
    assert "General" not in page.text
    assert "in use from now on" in customer.press(page, "Save", enabled="yes", **TYPED).text
    assert endpoint.kept["enabled"] is True


def test_a_handler_has_none(api, operator):
    """What a program of one's own is called with is no request."""
    kept = source(api, "fulfil")
    operator.open(f"/applications/{kept.id}/endpoints/fulfil/transformation", expect=404)
