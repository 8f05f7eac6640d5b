"""Messages with tags and for later, through the API: what is taken, refused, shown and found; alone and in batches."""

from datetime import UTC, datetime, timedelta

import pytest
from management import faults, listed, management

from ringback import policy
from ringback.store import EXPIRING, Page

MSG = "/app/acme/msg"
BODY = {"eventType": "t", "payload": {"n": 1}}


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        yield api


def moment(text):
    return datetime.fromisoformat(text)


def ahead(**delta):
    return datetime.now(UTC).replace(microsecond=0) + timedelta(**delta)


def found(api, path, query):
    return [row.get("msgId", row["id"]) for row in listed(api.get(path, query))["data"]]


def test_for_later(api):
    """A message for later is shown with its time, and is pending until then at every endpoint."""
    endpoint = api.endpoint("acme")
    at = ahead(days=3)
    out = api.message("acme", deliverAt=at.isoformat())
    assert moment(out["deliverAt"]) == at
    assert api.get(f"{MSG}/{out['id']}").json == out
    (row,) = listed(api.get(f"{MSG}/{out['id']}/endpoint"))["data"]
    assert (row["statusText"], row["state"], moment(row["nextAttempt"])) == ("pending", "waiting", at)
    (row,) = listed(api.get(f"/app/acme/endpoint/{endpoint['id']}/msg", "status=1"))["data"]
    assert (row["id"], row["deliverAt"], row["nextAttempt"]) == (
        out["id"],
        out["deliverAt"],
        out["deliverAt"],
    )
    assert listed(api.get(f"/app/acme/attempt/msg/{out['id']}"))["data"] == []
    assert api.message("acme")["deliverAt"] is None


def test_cancelled(api):
    """A message for later can be cancelled, by id or event id; only an administrator may."""
    api.endpoint("acme")
    api.message("acme", eventId="evt", deliverAt=ahead(days=3).isoformat())
    for scope in ("publish", "read"):
        assert api.post(f"{MSG}/evt/cancel", token=api.key(scope)).status_code == 403
    for count in (1, 0):
        result = api.post(f"{MSG}/evt/cancel")
        assert (result.status_code, result.json) == (200, {"canceled": count})
    (row,) = listed(api.get(f"{MSG}/evt/endpoint", "expanded_statuses=true"))["data"]
    assert (row["statusText"], row["nextAttempt"], row["reason"]) == ("canceled", None, "on_request")
    assert api.post(f"{MSG}/none/cancel").status_code == 404


def test_for_now(api):
    """A time that has come or that passed a moment ago is now."""
    endpoint = api.endpoint("acme")
    api.message("acme", deliverAt=ahead(seconds=-30).isoformat())
    assert api.attempt().endpoint_id == endpoint["id"]


def test_times_are_utc(api):
    """A time without an offset is UTC; one with an offset is that instant."""
    at = ahead(days=1)
    plain = at.replace(tzinfo=None).isoformat()
    elsewhere = (at + timedelta(hours=7)).replace(tzinfo=None).isoformat() + "+07:00"
    assert {moment(api.message("acme", deliverAt=text)["deliverAt"]) for text in (plain, elsewhere)} == {at}


@pytest.mark.parametrize(
    ("said", "loc"),
    [
        ({"deliverAt": lambda: ahead(minutes=-2).isoformat()}, ("deliverAt",)),
        ({"deliverAt": lambda: ahead(days=91).isoformat()}, ("deliverAt",)),
        ({"deliverAt": lambda: "0001-01-01T00:00:00Z"}, ("deliverAt",)),
        ({"deliverAt": lambda: "9999-12-31T23:59:59.999999"}, ("deliverAt",)),
        ({"tags": [f"t{number}" for number in range(11)]}, ("tags",)),
        ({"tags": ["a", "a"]}, ("tags",)),
        ({"tags": ["a", ""]}, ("tags", 1)),
        ({"tags": ["a b"]}, ("tags", 0)),
        ({"tags": ["ü"]}, ("tags", 0)),
        ({"tags": ["a\n"]}, ("tags", 0)),
        ({"tags": ["x" * 129]}, ("tags", 0)),
        ({"tags": "a"}, ("tags",)),
        ({"payloadRetentionHours": 0}, ("payloadRetentionHours",)),
        ({"transformationsParams": {"rawPayload": "[]"}}, ("transformationsParams", "rawPayload")),
    ],
)
def test_refused(api, said, loc):
    """What breaks a rule is named, alone and in a batch with its index; nothing is stored, no application created."""
    body = BODY | {name: value() if callable(value) else value for name, value in said.items()}
    assert faults(api.post(MSG, body)) == [("body", *loc)]
    assert faults(api.post(f"{MSG}/batch", {"messages": [BODY, body]})) == [("body", "messages", 1, *loc)]
    assert listed(api.get(MSG))["data"] == []
    if "deliverAt" not in said:
        inline = body | {"application": {"name": "New", "uid": "new"}}
        assert api.post("/app/new/msg", inline).status_code == 422
        assert api.get("/app/new").status_code == 404


def test_tags(api):
    """Messages, an endpoint's messages and attempts are found by tag; no tags is null."""
    endpoint = api.endpoint("acme")
    tags = ["plan:gold", "a/b#c\\d.e_f-g"]
    out = api.message("acme", tags=tags)
    assert out["tags"] == tags
    assert api.get(f"{MSG}/{out['id']}").json == out
    for none in ({}, {"tags": []}, {"tags": None}):
        assert api.message("acme", **none)["tags"] is None
    for _ in range(4):
        api.attempt()
    by_endpoint = f"/app/acme/endpoint/{endpoint['id']}/msg"
    for path in (
        MSG,
        by_endpoint,
        f"/app/acme/attempt/endpoint/{endpoint['id']}",
        f"/app/acme/attempt/msg/{out['id']}",
    ):
        assert found(api, path, "tag=plan:gold") == [out["id"]]
        assert found(api, path, "tag=a/b%23c%5Cd.e_f-g") == [out["id"]]
        assert found(api, path, "tag=plan") == []
    assert listed(api.get(by_endpoint, "tag=plan:gold"))["data"][0]["tags"] == tags


def test_attempts_with_their_messages(api):
    """An endpoint's attempts are shown with their messages when asked for."""
    endpoint = api.endpoint("acme")
    outs = [api.message("acme", tags=["a"], payload={"n": number}) for number in range(2)]
    for _ in range(2):
        api.attempt()
    path = f"/app/acme/attempt/endpoint/{endpoint['id']}"
    rows = listed(api.get(path, "with_msg=true"))["data"]
    assert sorted((row["msg"] for row in rows), key=lambda out: out["payload"]["n"]) == outs
    bare = listed(api.get(path, "with_msg=true&with_content=false"))["data"]
    assert {row["msg"]["id"]: row["msg"]["payload"] for row in bare} == {out["id"]: {} for out in outs}
    assert [row["msg"] for row in listed(api.get(path))["data"]] == [None, None]


def test_repeated(api):
    """A repetition says the same tags and time again, or is a 409; it is answered with what is stored."""
    at = ahead(days=1).isoformat()
    headers = {"idempotency-key": "k"}
    body = BODY | {"tags": ["a"], "deliverAt": at}
    first = api.post(MSG, body, headers=headers)
    assert first.status_code == 202
    assert api.post(MSG, body, headers=headers).json == first.json
    for other in (BODY, body | {"tags": ["b"]}, body | {"deliverAt": None}, BODY | {"tags": ["a"]}):
        assert api.post(MSG, other, headers=headers).status_code == 409
    none = BODY | {"tags": [], "deliverAt": None}
    plain = api.post(MSG, BODY, headers={"idempotency-key": "plain"})
    assert api.post(MSG, none, headers={"idempotency-key": "plain"}).json == plain.json


def test_a_batch_takes_all(api):
    """Each message of a batch may say what a single one may; the application is created on the way."""
    at = ahead(hours=1)
    raw = '{ "amount":  1.50 }'
    batch = [
        BODY | {"application": {"name": "New", "uid": "new"}},
        BODY | {"tags": ["a"], "deliverAt": at.isoformat(), "payloadRetentionHours": 2},
        {"eventType": "t", "payload": {}, "transformationsParams": {"rawPayload": raw}},
    ]
    result = api.post("/app/new/msg/batch", {"messages": batch})
    assert result.status_code == 202, result.text
    _, second, third = result.json["data"]
    assert (second["tags"], moment(second["deliverAt"])) == (["a"], at)
    owner = api.store.application("new").id
    assert api.store.message(owner, third["id"]).payload == raw.encode()
    (document,) = api.store.documents(EXPIRING, Page())
    until, _, message = document.id.split(".")
    assert message == second["id"]
    assert int(until) == round(at.timestamp() * 1000) + 2 * policy.HOUR


def test_a_batch_by_a_publisher_creates_nothing(api):
    """Who may only publish has no application created by a batch, as by a single message."""
    batch = {"messages": [BODY | {"application": {"name": "New", "uid": "new"}}]}
    key = api.key("publish")
    assert api.post("/app/new/msg/batch", batch, token=key).status_code == 404
    assert api.post("/app/acme/msg/batch", batch, token=key).status_code == 202
