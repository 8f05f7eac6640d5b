"""Endpoints of sources: Ingest's shapes, patterns in place of registered event types, and handlers left alone."""

import pytest
from management import faults, listed, made, management
from svix.models import IngestEndpointIn, IngestEndpointOut, IngestEndpointUpsertIn

from ringback import ids
from ringback.model import Endpoint

SOURCE = "/ingest/api/v1/source/pay"
EP = f"{SOURCE}/endpoint/shop"


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        body = {"name": "Pay", "type": "xendit", "uid": "pay", "config": {"secret": "s"}}
        made(api.send("POST", "/ingest/api/v1/source", body))
        yield api


def endpoint(api, **fields):
    """Create an endpoint of the source."""
    body = {"url": "https://shop.example/hook", "uid": "shop", **fields}
    return made(api.send("POST", f"{SOURCE}/endpoint", body))


def test_svix_clients_understand(api):
    """What the official client sends is accepted, and its model reads what is answered."""
    sent = IngestEndpointIn(
        url="https://shop.example/hook", uid="shop", headers={"x-a": "b"}, metadata={"c": "d"}
    )
    answer = made(api.send("POST", f"{SOURCE}/endpoint", sent.model_dump(by_alias=True, exclude_unset=True)))
    assert IngestEndpointOut.model_validate(answer).metadata == {"c": "d"}
    sent = IngestEndpointUpsertIn(url="https://shop.example/new", uid="shop")
    answer = made(api.send("PUT", EP, sent.model_dump(by_alias=True, exclude_unset=True)))
    assert IngestEndpointOut.model_validate(answer).url == "https://shop.example/new"
    assert api.send("GET", f"{EP}/headers").json == {"headers": {"x-a": "b"}, "sensitive": []}


def test_patterns(api):
    """Event types are patterns that nobody registers; a PUT without them leaves them, PATCH with null clears them."""
    patterns = ["invoice.*", "orders/create", "*"]
    assert endpoint(api, eventTypes=patterns)["eventTypes"] == patterns
    body = {"url": "https://shop.example/new", "uid": "shop"}
    assert made(api.send("PUT", EP, body))["eventTypes"] == patterns
    assert made(api.send("PUT", EP, body | {"eventTypes": ["a*"]}))["eventTypes"] == ["a*"]
    assert api.send("PATCH", EP, {"description": "d"}).json["eventTypes"] == ["a*"]
    assert api.send("PATCH", EP, {"eventTypes": None}).json["eventTypes"] is None
    assert faults(api.send("PATCH", EP, {"eventTypes": ["a\n"]})) == [("body", "eventTypes", 0)]
    assert faults(api.send("PATCH", EP, {"channels": ["a"]})) == [("body", "channels")]


def test_an_application_has_no_patterns(api):
    """An application's endpoint still lists event types that exist."""
    api.application(uid="acme")
    body = {"url": "https://shop.example", "eventTypes": ["invoice.*"]}
    assert faults(api.post("/app/acme/endpoint", body)) == [("body", "eventTypes", 0)]


def test_listed_changed_and_removed(api):
    """Endpoints of a source are listed, paused, resumed, disabled and removed as those of an application are."""
    out = endpoint(api)
    assert listed(api.send("GET", f"{SOURCE}/endpoint"))["data"] == [out]
    assert api.send("GET", EP).json == out
    assert api.send("POST", f"{EP}/pause").json["state"] == "paused"
    assert api.send("POST", f"{EP}/resume").json["state"] == "enabled"
    assert api.send("PATCH", EP, {"disabled": True}).json["disabled"] is True
    assert api.send("DELETE", EP).status_code == 204
    assert api.send("GET", EP).status_code == 404


def test_secret_and_headers(api):
    """The signing secret is shown and rotated, headers are set, as for any endpoint."""
    endpoint(api)
    key = api.send("GET", f"{EP}/secret").json["key"]
    rotated = api.send("POST", f"{EP}/secret/rotate", {}).json["key"]
    assert key.startswith("whsec_")
    assert api.send("GET", f"{EP}/secret").json == {"key": rotated} != {"key": key}
    assert api.send("PUT", f"{EP}/headers", {"headers": {"authorization": "x"}}).status_code == 204
    assert api.send("GET", f"{EP}/headers").json == {"headers": {}, "sensitive": ["authorization"]}


def test_idempotency(api):
    """Creating an endpoint again with the same key makes nothing."""
    first, second = (
        api.send("POST", f"{SOURCE}/endpoint", {"url": "https://a.example"}, headers={"idempotency-key": "k"})
        for _ in range(2)
    )
    assert first.json == second.json


def test_a_handler_is_its_programs_own(api):
    """A handler is listed, paused and removed; what it is, its program says, and it has no secret to show."""
    owner = api.send("GET", SOURCE).json["id"]
    handler = Endpoint(
        id=ids.new_id(ids.ENDPOINT, ids.EPOCH_MS, bytes(ids.ENTROPY_BYTES)),
        application_id=owner,
        url="handler:pay/fulfil",
        uid="fulfil",
        created_at=0,
        updated_at=0,
        secrets=(),
    )
    api.committer.write(lambda store: store.add(handler)).result()
    path = f"{SOURCE}/endpoint/fulfil"
    assert api.send("GET", path).json["url"] == "handler:pay/fulfil"
    for method, rest, body in [
        ("PUT", "", {"url": "https://shop.example", "uid": "fulfil"}),
        ("PATCH", "", {"description": "d"}),
        ("PUT", "/headers", {"headers": {}}),
        ("PATCH", "/headers", {"headers": {}}),
        ("POST", "/secret/rotate", {}),
    ]:
        assert api.send(method, path + rest, body).status_code == 409, (method, rest)
    assert api.send("GET", f"{path}/secret").status_code == 404
    assert api.send("POST", f"{path}/pause").json["state"] == "paused"
    assert api.send("DELETE", path).status_code == 204
