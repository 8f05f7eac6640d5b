"""What few requests to publish say: an application to create, a payload as a text; and examples."""

import pytest
from management import faults, listed, management

from ringback.outbox import system_clock
from ringback.policy import DAY, HOUR
from ringback.store import EXPIRING, Page

MSG = "/app/acme/msg"
NEW = {"eventType": "a", "payload": {"n": 1}, "application": {"name": "New", "uid": "new"}}


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        yield api


def test_an_application_on_the_way(api):
    """An application that is not there is created with the message; one that is there is left as it is."""
    assert api.post("/app/new/msg", {"eventType": "a", "payload": {}}).status_code == 404
    assert api.post("/app/new/msg", NEW).status_code == 202
    assert api.get("/app/new").json["name"] == "New"
    again = NEW | {"application": {"name": "Other", "uid": "other", "metadata": {"a": "b"}}}
    assert api.post("/app/new/msg", again).status_code == 202
    assert api.get("/app/new").json["name"] == "New"
    assert len(listed(api.get("/app/new/msg"))["data"]) == 2


@pytest.mark.parametrize(
    ("application", "field", "kind"),
    [
        ({"name": "New"}, "uid", "application_uid_missing"),
        ({"name": "New", "uid": "other"}, "uid", "application_uid_mismatch"),
        ({"name": "", "uid": "new"}, "name", "value_error"),
    ],
)
def test_an_application_that_cannot_be_created(api, application, field, kind):
    """One without the uid of the address, or against the rules, is a 422, and nothing is stored."""
    result = api.post("/app/new/msg", NEW | {"application": application})
    assert faults(result) == [("body", "application", field)]
    assert result.json["detail"][0]["type"] == kind
    assert api.get("/app/new").status_code == 404


def test_a_payload_as_a_text(api):
    """A payload given as a text takes the other's place, byte for byte."""
    raw = '{ "amount":  1.50 }'
    out = api.message("acme", payload={}, transformationsParams={"rawPayload": raw})
    assert out["payload"] == {"amount": 1.5}
    assert api.store.message(api.store.application("acme").id, out["id"]).payload == raw.encode()
    for bad in ("[1]", "no", '"text"', "", "{"):
        body = {"eventType": "a", "payload": {}, "transformationsParams": {"rawPayload": bad}}
        assert faults(api.post(MSG, body)) == [("body", "transformationsParams", "rawPayload")]


def test_the_ping(api):
    """``svix.ping`` needs no event type, and goes to the one endpoint asked for, whatever that listens to."""
    api.event_type("other")
    api.endpoint("acme", uid="hook", eventTypes=["other"])
    api.endpoint("acme", uid="second")
    result = api.post("/app/acme/endpoint/hook/send-example", {"eventType": "svix.ping"})
    assert (result.status_code, result.json["payload"]) == (200, {"success": True})
    (row,) = listed(api.get(f"{MSG}/{result.json['id']}/endpoint"))["data"]
    assert row["uid"] == "hook"
    assert api.attempt().message_id == result.json["id"]


def example(api, **fields):
    return api.post("/app/acme/endpoint/hook/send-example", {"eventType": "invoice.paid", **fields})


def test_examples_of_a_schema(api):
    """The example comes out of the newest schema: a list by its index, or the single one."""
    api.endpoint("acme", uid="hook")
    api.event_type(
        "invoice.paid",
        schemas={
            "9": {"type": "object", "examples": [{"old": True}]},
            "10": {"type": "object", "examples": [{"n": 0}, {"n": 1}], "example": {"n": 2}},
            "draft": {"type": "object"},
        },
    )
    assert example(api).json["payload"] == {"n": 0}
    assert example(api, exampleIndex=1).json["payload"] == {"n": 1}
    assert example(api, exampleIndex=2).json["payload"] == {"n": 2}
    assert example(api, payload={"own": 1}).json["payload"] == {"own": 1}
    assert faults(example(api, exampleIndex=-1)) == [("body", "exampleIndex")]


def test_no_example(api):
    """Without an example there is a 400 that says why; without the event type or the endpoint a 404."""
    api.endpoint("acme", uid="hook")
    assert example(api).status_code == 404
    api.event_type("invoice.paid")
    assert (example(api).status_code, example(api).json["code"]) == (400, "invalid_scheme")
    api.patch("/event-type/invoice.paid", {"schemas": {"1": {"examples": ["text"]}}})
    assert example(api).json["code"] == "invalid_scheme"
    path = "/app/acme/endpoint/none/send-example"
    assert api.post(path, {"eventType": "svix.ping"}).status_code == 404
    api.patch("/app/acme/endpoint/hook", {"disabled": True})
    assert example(api, eventType="svix.ping").status_code == 409


def test_an_example_is_sent_once(api):
    """Sent again under its key, an example is answered with the message that there is."""
    api.endpoint("acme", uid="hook")
    headers = {"idempotency-key": "k"}
    path = "/app/acme/endpoint/hook/send-example"
    first = api.post(path, {"eventType": "svix.ping"}, headers=headers).json
    assert api.post(path, {"eventType": "svix.ping"}, headers=headers).json["id"] == first["id"]


def test_metadata_of_null(api):
    """Metadata may be null, which is none."""
    api.patch("/app/acme", {"metadata": {"a": "b"}})
    assert api.patch("/app/acme", {"metadata": None}).json["metadata"] == {}
    assert api.application(metadata=None)["metadata"] == {}
    assert api.endpoint("acme", metadata=None)["metadata"] == {}


@pytest.mark.parametrize(
    ("field", "least", "most"), [("payloadRetentionPeriod", 5, 90), ("payloadRetentionHours", 1, 2160)]
)
def test_how_long_a_payload_is_kept(api, field, least, most):
    """A payload's time is within bounds, and kept beside the message until it is over."""
    for value in (least, most):
        api.message("acme", **{field: value})
    for value in (least - 1, most + 1):
        assert faults(api.post(MSG, {"eventType": "a", "payload": {}, field: value})) == [("body", field)]
    kept = api.store.documents(EXPIRING, Page())
    ends = sorted(int(document.id[:13]) - system_clock() for document in kept)
    unit = DAY if field == "payloadRetentionPeriod" else HOUR
    assert ends == pytest.approx([least * unit, most * unit], abs=60_000)
