"""Operational webhooks over HTTP: Svix's shapes, endpoints that belong to no application, and nothing for tenants."""

import asyncio
import json

import pytest
from management import faults, listed, made, management
from svix.api import Svix
from svix.models import (
    OperationalWebhookEndpointHeadersOut,
    OperationalWebhookEndpointIn,
    OperationalWebhookEndpointOut,
)

from ringback import ids
from ringback.errors import NotFound
from ringback.operational import EVENT_TYPES
from ringback.outbox import Outbox

BASE = "/operational-webhook"


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def operators(api, **fields):
    """Create an endpoint of the operators."""
    return made(api.post(f"{BASE}/endpoint", {"url": "https://operators.example/hook", **fields}))


def told(api):
    """Return what operators were told, newest first."""
    return [message["payload"] for message in listed(api.get(f"{BASE}/msg"))["data"]]


def test_svix_clients_understand(api):
    """What the official client sends is accepted, and its models read what is answered."""
    sent = OperationalWebhookEndpointIn(
        url="https://operators.example/hook",
        uid="mine",
        event_types=["endpoint.disabled"],
        description="pager",
    )
    answer = operators(api, **json.loads(sent.model_dump_json(by_alias=True, exclude_unset=True)))
    read = OperationalWebhookEndpointOut.model_validate(answer)
    assert (read.uid, read.event_types, read.description) == ("mine", ["endpoint.disabled"], "pager")
    headers = api.get(f"{BASE}/endpoint/mine/headers").json
    assert OperationalWebhookEndpointHeadersOut.model_validate(headers).headers == {}
    assert hasattr(Svix, "operational_webhook")


def test_before_anyone_listens(api):
    """At first there are no endpoints and nothing was told; to ask is no fault."""
    assert listed(api.get(f"{BASE}/endpoint"))["data"] == []
    assert told(api) == []
    made(api.put(f"{BASE}/endpoint/first", {"url": "https://operators.example/hook"}))
    assert [one["uid"] for one in listed(api.get(f"{BASE}/endpoint"))["data"]] == ["first"]


def test_the_endpoint_is_managed_as_any(api):
    """Replaced, changed, paused, rotated, deleted."""
    operators(api, uid="mine")
    one = f"{BASE}/endpoint/mine"
    put = api.put(one, {"url": "https://other.example/", "eventTypes": ["endpoint.created"]})
    assert (put.status_code, put.json["eventTypes"], put.json["uid"]) == (200, ["endpoint.created"], "mine")
    one = f"{BASE}/endpoint/{put.json['id']}"
    assert api.patch(one, {"disabled": True}).json["disabled"]
    assert not api.patch(one, {"disabled": False}).json["disabled"]
    assert api.post(f"{one}/pause").json["state"] == "paused"
    assert api.post(f"{one}/resume").json["state"] == "enabled"
    before = api.get(f"{one}/secret").json["key"]
    assert api.post(f"{one}/secret/rotate", {}).json["key"] != before
    assert api.delete(one).status_code == 204
    assert api.get(one).status_code == 404


@pytest.mark.parametrize("fields", [{"eventTypes": ["invoice.paid"]}, {"channels": ["a"]}], ids=str)
def test_only_what_is_told_can_be_asked_for(api, fields):
    """Event types are the operational ones, whatever else is registered, and there are no channels."""
    api.event_type("invoice.paid")
    body = {"url": "https://operators.example/hook", **fields}
    assert faults(api.post(f"{BASE}/endpoint", body))
    operators(api, uid="mine")
    assert faults(api.put(f"{BASE}/endpoint/mine", body))
    assert faults(api.patch(f"{BASE}/endpoint/mine", fields))


def test_all_event_types(api):
    """An endpoint can ask for each of them, and they are in no list of the tenants' event types."""
    answer = operators(api, eventTypes=sorted(EVENT_TYPES))
    assert set(answer["eventTypes"]) == EVENT_TYPES
    assert listed(api.get("/event-type"))["data"] == []


def test_what_is_told(api):
    """A change made over HTTP is told of, with a signature to come; its delivery is on record like any other."""
    mine = operators(api)
    app = api.application(uid="acme")
    endpoint = api.endpoint(app["id"], uid="orders")
    assert told(api) == [
        {
            "type": "endpoint.created",
            "data": {
                "appId": app["id"],
                "appUid": "acme",
                "endpointId": endpoint["id"],
                "endpointUid": "orders",
            },
        }
    ]
    (message,) = listed(api.get(f"{BASE}/endpoint/{mine['id']}/msg"))["data"]
    assert (message["eventType"], message["statusText"]) == ("endpoint.created", "pending")
    assert api.get(f"{BASE}/msg/{message['id']}").json["payload"] == told(api)[0]
    (standing,) = listed(api.get(f"{BASE}/msg/{message['id']}/endpoint"))["data"]
    assert standing["id"] == mine["id"]


def test_sources(api):
    """What happens to sources is told as well."""
    operators(api)
    body = {"name": "Pay", "type": "xendit", "uid": "pay", "config": {"secret": "s"}}
    source = made(api.send("POST", "/ingest/api/v1/source", body))
    assert told(api) == [{"type": "ingest.source.created", "data": {"sourceId": source["id"]}}]


def test_nobody_publishes_there(api):
    """Operators are told by Ringback alone: there is no address to publish at, and no name to publish to."""
    operators(api)
    body = {"eventType": "endpoint.created", "payload": {}}
    assert api.post(f"{BASE}/msg", body).status_code == 405
    assert api.post(f"/app/{ids.OPERATOR}/msg", body).status_code == 404


def test_tenants_see_nothing(api):
    """Below no application's address is there anything of the operators', whatever it is called."""
    mine = operators(api, uid="mine")
    app = api.application()
    api.endpoint(app["id"])
    (message,) = listed(api.get(f"{BASE}/msg"))["data"]
    for owner in (app["id"], ids.OPERATOR, "operator%3Awebhooks"):
        for path in (
            f"/endpoint/{mine['id']}",
            "/endpoint/mine",
            f"/endpoint/{mine['id']}/secret",
            f"/endpoint/{mine['id']}/msg",
            f"/msg/{message['id']}",
            f"/msg/{message['id']}/endpoint",
            f"/attempt/endpoint/{mine['id']}",
        ):
            assert api.get(f"/app/{owner}{path}").status_code == 404, (owner, path)
    assert api.get(f"/app/{ids.OPERATOR}").status_code == 404
    assert api.delete(f"/app/{ids.OPERATOR}").status_code == 404
    assert api.put(f"/app/{ids.OPERATOR}", {"name": "mine now"}).status_code in {404, 422}
    assert [one["id"] for one in listed(api.get("/app"))["data"]] == [app["id"]]
    assert listed(api.get(f"/app/{app['id']}/msg"))["data"] == []
    assert faults(api.post("/app", {"name": "Acme", "uid": ids.OPERATOR}))


def test_no_key_is_bound_to_the_operators(api):
    """Nobody gets a key for the operators' application, which would be one of an application's own."""
    operators(api)
    with pytest.raises(NotFound):
        api.key("portal", app=ids.OPERATOR)


def test_without_a_token(api):
    """Nobody gets in without one."""
    assert api.get(f"{BASE}/endpoint", token=None).status_code == 401


def test_python_cannot_publish_there(api):
    """Nor can a program publish to the operators' application through the outbox."""
    operators(api)

    async def publish():
        with pytest.raises(NotFound):
            await Outbox(api.committer).publish(ids.OPERATOR, "endpoint.created", b"{}")

    asyncio.run(publish())
    assert told(api) == []
