"""What sources received, over the API: shown byte for byte, explained when refused, and handled again on demand."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from management import faults, gateway_of, listed, made, management

from ringback.model import Held, iso
from ringback.outbox import system_clock
from ringback.sources import MAX_REPLAYED
from ringback.testing import secret_for, signed_request

SOURCES = "/ingest/api/v1/source"
PAY = f"{SOURCES}/pay"


class Scene:
    """An API with the source ``pay``, and webhooks that come in there."""

    def __init__(self, api):
        self.api = api
        self._gateway = gateway_of(api.committer)
        self.source("pay", "xendit")

    def source(self, uid, kind):
        """Create a source that verifies the testing kit's requests."""
        body = {"name": uid, "type": kind, "uid": uid, "config": {"secret": secret_for(kind)}}
        made(self.api.send("POST", SOURCES, body))

    def forward(self, **fields):
        """Create an endpoint; return its id."""
        return made(self.api.send("POST", f"{PAY}/endpoint", {"url": "https://shop.example", **fields}))["id"]

    def receive(self, request=None, *, uid="pay", **parts):
        """Have a webhook come in; return the status of the answer."""
        token = self.api.committer.read(lambda store: store.source(uid)).result().token
        sent = request or signed_request("xendit", **parts)
        return self._gateway.accept(token, sent).result().status

    def messages(self, query="", uid="pay"):
        """Return the messages of a source, newest first."""
        return listed(self.api.send("GET", f"{SOURCES}/{uid}/msg", query=query))["data"]


@pytest.fixture
def scene(tmp_path):
    with management(tmp_path) as api:
        yield Scene(api)


def test_a_message_is_shown_as_it_came(scene):
    """A received message is shown with its body, its headers without secrets, and what was recognised."""
    request = signed_request("xendit", "invoice.paid", event_id="ev-1")
    assert scene.receive(request) == 200
    (shown,) = scene.messages()
    assert shown["eventType"] == "invoice.paid"
    assert shown["payload"] == json.loads(request.body)
    assert (shown["payloadBase64"], shown["eventId"], shown["secretIndex"]) == (None, "ev-1", 0)
    assert (shown["understood"], shown["polled"], shown["held"]) == (True, False, Held.UNHANDLED)
    assert "x-callback-token" not in shown["headers"]
    assert shown["headers"]["content-type"] == "application/json"
    one = scene.api.send("GET", f"{PAY}/msg/{shown['id']}")
    assert one.json == shown
    assert secret_for("xendit") not in one.text
    assert request.body in one.content
    bare = scene.api.send("GET", f"{PAY}/msg/{shown['id']}", query="with_content=false").json
    assert (bare["payload"], bare["headers"], bare["eventType"]) == ({}, {}, "invoice.paid")


@pytest.mark.parametrize("body", [b"a=1&b=2\r\n", b"\xff\x00", b"", b"[" * 100_000, b'{"a": "\xff"}'])
def test_bodies_that_are_no_json(scene, body):
    """A body that is not JSON in UTF-8 is shown as base64, and the answer is JSON all the same."""
    scene.source("plain", "api-key")
    request = signed_request("api-key", body=body, headers={"content-type": "application/octet-stream"})
    assert scene.receive(request, uid="plain") == 200
    (shown,) = scene.messages(uid="plain")
    assert shown["payload"] is None
    assert base64.b64decode(shown["payloadBase64"]) == body


@pytest.mark.parametrize("kind", ["twilio", "api-key"])
def test_what_endpoints_get_may_be_no_json(scene, kind):
    """What an endpoint got, and its attempts with their messages, are JSON also where forms come in."""
    scene.source("other", kind)
    address = f"{SOURCES}/other/endpoint"
    made(scene.api.send("POST", address, {"url": "https://shop.example", "uid": "shop"}))
    request = signed_request(kind)
    assert scene.receive(request, uid="other") in {200, 204}
    scene.api.attempt()
    is_form = kind == "twilio"
    shown = {"base64": base64.b64encode(request.body).decode()} if is_form else json.loads(request.body)
    (row,) = listed(scene.api.send("GET", f"{address}/shop/msg"))["data"]
    assert row["payload"] == shown
    query = {"query": "with_msg=true"}
    (attempt,) = listed(scene.api.send("GET", f"{SOURCES}/other/attempt/endpoint/shop", **query))["data"]
    assert (attempt["msg"]["id"], attempt["msg"]["payload"]) == (row["id"], shown)


def test_filters(scene):
    """Messages are listed by time and by event type, page by page."""
    for event_type in ("invoice.paid", "invoice.expired", "invoice.paid"):
        scene.receive(event_type=event_type)
    assert len(scene.messages("event_types=invoice.paid")) == 2
    past, future = (iso(system_clock() + sign * 3_600_000) for sign in (-1, 1))
    assert len(scene.messages(f"after={past}&before={future}")) == 3
    assert scene.messages(f"before={past}") == scene.messages(f"after={future}") == []
    page = listed(scene.api.send("GET", f"{PAY}/msg", query="limit=2"))
    rest = listed(scene.api.send("GET", f"{PAY}/msg", query=f"limit=2&iterator={page['iterator']}"))
    assert [row["id"] for row in page["data"] + rest["data"]] == [row["id"] for row in scene.messages()]


def test_deliveries_and_attempts(scene):
    """What became of a message at each endpoint, and every attempt, are where they are for published ones."""
    endpoint = scene.forward(uid="shop", eventTypes=["invoice.*"])
    other = scene.forward(uid="other", eventTypes=["payout.*"])
    scene.receive(event_type="invoice.paid")
    (message,) = scene.messages()
    attempt = scene.api.attempt(status=500).id
    stands = listed(scene.api.send("GET", f"{PAY}/msg/{message['id']}/endpoint"))
    assert [(row["id"], row["attempts"]) for row in stands["data"]] == [(endpoint, 1)]
    assert stands["skipped"] == [{"endpointId": other, "reason": "event_type"}]
    for path in (f"attempt/msg/{message['id']}", "attempt/endpoint/shop"):
        assert [row["id"] for row in listed(scene.api.send("GET", f"{PAY}/{path}"))["data"]] == [attempt]
    shown = scene.api.send("GET", f"{PAY}/msg/{message['id']}/attempt/{attempt}").json
    assert (shown["responseStatusCode"], shown["endpointId"]) == (500, endpoint)
    assert scene.api.send("POST", f"{PAY}/msg/{message['id']}/endpoint/other/resend").status_code == 202


def test_stats(scene):
    """What came and was refused counts in its window; what waits, by endpoint, and what nothing handles, counts now."""
    scene.receive()
    endpoint = scene.forward()
    scene.receive()
    scene.receive(signed_request("xendit", secret="not the token"))
    end = time.monotonic() + 30
    while (shown := scene.api.send("GET", f"{PAY}/stats").json)["refused"] == 0:
        assert time.monotonic() < end
    assert shown == {
        "received": 2,
        "refused": 1,
        "waiting": 1,
        "retrying": 0,
        "dead": 0,
        "quarantined": 0,
        "unhandled": 1,
        "endpoints": [{"endpointId": endpoint, "waiting": 1, "retrying": 0}],
    }
    before = scene.api.send("GET", f"{PAY}/stats", query=f"until={iso(system_clock() - 3_600_000)}").json
    assert (before["received"], before["refused"], before["waiting"]) == (0, 0, 1)
    long = f"since={iso(system_clock() - 30 * 86_400_000)}"
    assert scene.api.send("GET", f"{PAY}/stats", query=long).status_code == 400
    assert scene.api.send("GET", f"{SOURCES}/nobody/stats").status_code == 404


def test_refusals(scene):
    """A refused request is on record with its reason and what to do, without its secrets."""
    wrong = signed_request("xendit", secret="not the token")
    assert scene.receive(wrong) == 401
    # Why it was refused is found out after the answer.
    end = time.monotonic() + 30
    while not (rows := listed(scene.api.send("GET", f"{PAY}/refusal"))["data"]):
        assert time.monotonic() < end
    (shown,) = rows
    assert (shown["reason"], shown["method"], shown["size"]) == ("token_mismatch", "POST", len(wrong.body))
    assert "x-callback-token" in shown["headerNames"]
    assert "not the token" not in str(shown)
    assert "sourceId" not in shown


def test_held(scene):
    """Messages that nothing handles are listed by reason: not understood, or wanted by nobody."""
    scene.receive(event_type="invoice.paid")
    scene.receive(body={"strange": True})
    unhandled = listed(scene.api.send("GET", f"{PAY}/held", query="reason=unhandled"))["data"]
    quarantined = listed(scene.api.send("GET", f"{PAY}/held", query="reason=quarantined&with_content=false"))[
        "data"
    ]
    assert [row["eventType"] for row in unhandled] == ["invoice.paid"]
    assert [(row["understood"], row["payload"]) for row in quarantined] == [(False, {})]
    assert faults(scene.api.send("GET", f"{PAY}/held")) == [("query", "reason")]
    assert faults(scene.api.send("GET", f"{PAY}/held", query="reason=other")) == [("query", "reason")]


def test_dead_letters(scene):
    """A delivery that was given up is listed with its message."""
    endpoint = scene.forward()
    scene.receive(event_type="invoice.paid")
    scene.api.attempt(status=410)
    (row,) = listed(scene.api.send("GET", f"{PAY}/dead-letter"))["data"]
    assert (row["endpointId"], row["attempts"], row["message"]["eventType"]) == (endpoint, 1, "invoice.paid")


def test_dead_letters_of_one_message_come_in_pages(scene):
    """However many handlers gave one message up, each of them is on some page, once."""
    endpoints = [scene.forward(uid=f"shop-{number}") for number in range(3)]
    scene.receive(event_type="invoice.paid")
    for _ in endpoints:
        scene.api.attempt(status=410)
    seen, query = [], "limit=1"
    while rows := listed(page := scene.api.send("GET", f"{PAY}/dead-letter", query=query))["data"]:
        seen += [row["endpointId"] for row in rows]
        query = f"limit=1&iterator={page.json['iterator']}"
    assert sorted(seen) == sorted(endpoints)


def test_replay(scene):
    """A message is handled again by those it was for or, asked so, by those that match it now."""
    scene.receive(event_type="invoice.paid")
    (message,) = scene.messages()
    scene.forward()
    path = f"{PAY}/msg/{message['id']}/replay"
    same, anew = scene.api.send("POST", path), scene.api.send("POST", path, {"rematch": True})
    assert (same.status_code, same.json["deliveries"]) == (202, 0)
    assert anew.json == {"messages": 1, "deliveries": 1, "pruned": 0, "iterator": None, "done": True}
    assert scene.messages()[0]["held"] is None
    assert scene.api.send("POST", f"{PAY}/msg/msg_{'0' * 27}/replay").status_code == 404


def test_replay_of_many(scene):
    """Many are counted before they are replayed, by time and event type, and by nothing else."""
    scene.forward(disabled=True, uid="shop")
    for event_type in ("invoice.paid", "invoice.expired", "invoice.paid"):
        scene.receive(event_type=event_type)
    scene.api.send("PATCH", f"{PAY}/endpoint/shop", {"disabled": False})
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    body = {"since": since, "eventTypes": ["invoice.paid"], "rematch": True}
    preview = scene.api.send("POST", f"{PAY}/replay", body | {"preview": True}).json
    assert (preview["messages"], preview["deliveries"], preview["done"]) == (2, 0, True)
    assert all(row["held"] == Held.UNHANDLED for row in scene.messages())
    done = scene.api.send("POST", f"{PAY}/replay", body).json
    assert (done["messages"], done["deliveries"], done["pruned"], done["done"]) == (2, 2, 0, True)
    assert (
        scene.api.send("POST", f"{PAY}/replay", body | {"since": "2100-01-01T00:00:00Z"}).json["messages"]
        == 0
    )
    assert faults(scene.api.send("POST", f"{PAY}/replay", body | {"eventTypes": []})) == [
        ("body", "eventTypes")
    ]
    assert faults(scene.api.send("POST", f"{PAY}/replay", body | {"iterator": "x"})) == [("body", "iterator")]
    assert faults(scene.api.send("POST", f"{PAY}/replay", {})) == [("body", "since")]


def test_no_more_than_500_at_once(scene):
    """A replay stops at 500 messages, says that there are more, and goes on from its iterator."""
    for number in range(MAX_REPLAYED + 3):
        scene.receive(event_type="invoice.paid", event_id=f"ev-{number}")
    body = {"since": "2020-01-01T00:00:00Z", "preview": True}
    first = scene.api.send("POST", f"{PAY}/replay", body).json
    assert (first["messages"], first["done"]) == (MAX_REPLAYED, False)
    rest = scene.api.send("POST", f"{PAY}/replay", body | {"iterator": first["iterator"]}).json
    assert (rest["messages"], rest["done"]) == (3, True)
