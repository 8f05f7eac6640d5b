import json

import pytest
from management import MAX_PAYLOAD, faults, listed, management, walk

MSG = "/app/acme/msg"


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        yield api


def test_published_and_shown(api):
    """A published message is a 202 with the stored message, which is then shown by id and by event id."""
    out = api.message("acme", eventId="evt-1", channels=["one"], payload={"amount": 75000})
    assert out["id"].startswith("msg_")
    assert (out["eventType"], out["eventId"], out["channels"]) == ("invoice.paid", "evt-1", ["one"])
    assert out["payload"] == {"amount": 75000}
    assert api.get(f"{MSG}/{out['id']}").json == out
    assert api.get(f"{MSG}/evt-1").json == out


def test_payload_is_kept_byte_for_byte(api):
    """The payload comes back with the whitespace, order, escapes and numbers that it was sent with."""
    payload = '{ "b" :1.0, "a": "\\u00fc ü",\n"n": 12345678901234567890123, "a": 1e2 }'
    raw = f'{{"eventType":"t","payload": {payload} }}'.encode()
    result = api.post(MSG, raw=raw)
    assert result.status_code == 202
    assert payload.encode() in result.content
    assert payload.encode() in api.get(f"{MSG}/{result.json['id']}").content


def test_without_content(api):
    """with_content=false shows an empty payload, on every route that shows messages."""
    body = {"eventType": "t", "payload": {"n": 1}}
    out = api.post(MSG, body, query="with_content=false").json
    assert out["payload"] == {}
    assert api.get(f"{MSG}/{out['id']}", "with_content=false").json == out
    assert listed(api.get(MSG, "with_content=false"))["data"] == [out]
    assert listed(api.get(MSG))["data"] == [out | {"payload": {"n": 1}}]


def test_idempotency_key(api):
    """Publishing again with the same key answers with the first message; for another message it is a 409."""
    headers = {"idempotency-key": "k"}
    body = {"eventType": "t", "payload": {"n": 1}}
    first = api.post(MSG, body, headers=headers)
    again = api.post(MSG, body, headers=headers)
    assert (again.status_code, again.json) == (202, first.json)
    assert api.post(MSG, body | {"payload": {}}, headers=headers).status_code == 409
    assert len(listed(api.get(MSG))["data"]) == 1
    assert faults(api.post(MSG, body, headers={"idempotency-key": "k" * 257})) == [
        ("header", "idempotency-key")
    ]


def test_event_id_is_unique(api):
    """An event id names one message of an application."""
    api.message("acme", eventId="evt-1")
    again = api.post(MSG, {"eventType": "t", "payload": {}, "eventId": "evt-1"})
    assert (again.status_code, again.json["code"]) == (409, "conflict")


def test_newest_first_with_filters(api):
    """Messages come newest first, filtered by type, channel and time."""
    ids = sorted(api.message("acme", eventType=f"t.{n % 2}", channels=[f"c{n}"])["id"] for n in range(4))
    pages = walk(api, MSG, "limit=3")
    assert [row["id"] for page in pages for row in page["data"]] == ids[::-1]
    back = listed(api.get(MSG, f"limit=3&iterator={pages[1]['prevIterator']}"))
    assert [row["id"] for row in back["data"]] == ids[::-1][:3]
    for query, count in [
        ("event_types=t.0", 2),
        ("event_types=t.0,t.1", 4),
        ("event_types=t.0%2Ct.1", 4),
        ("event_types=t.0&event_types=t.1", 4),
        ("event_types[]=t.0&event_types[1]=t.1", 4),
        ("event_types=t.9", 0),
        ("channel=c2", 1),
        ("after=2020-01-01T00:00:00", 4),
        ("after=2100-01-01T00:00:00Z", 0),
        ("before=2020-01-01T00:00:00%2B07:00", 0),
        ("before=9999-12-31T23:59:59Z", 4),
        ("before=0001-01-01T00:00:00Z", 0),
    ]:
        assert len(listed(api.get(MSG, query))["data"]) == count, query
    assert faults(api.get(MSG, "before=yesterday")) == [("query", "before")]
    assert faults(api.get(MSG, "tags=x")) == [("query", "tags")]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"eventType": "t"}, ("body", "payload")),
        ({"payload": {}}, ("body", "eventType")),
        ({"eventType": "a b", "payload": {}}, ("body", "eventType")),
        ({"eventType": "t", "payload": []}, ("body", "payload")),
        ({"eventType": "t", "payload": None}, ("body", "payload")),
        ({"eventType": "t", "payload": {}, "channels": []}, ("body", "channels")),
        ({"eventType": "t", "payload": {}, "channels": list("abcdef")}, ("body", "channels")),
        ({"eventType": "t", "payload": {}, "eventId": "msg_1"}, ("body", "eventId")),
        ({"eventType": "t", "payload": {}, "deliverAt": "now"}, ("body", "deliverAt")),
    ],
)
def test_bad_body(api, body, loc):
    """A message that breaks a rule is a 422 that names the field, and is not stored."""
    assert faults(api.post(MSG, body)) == [loc]
    assert listed(api.get(MSG))["data"] == []


def test_payload_limit(api):
    """A payload above the limit is a 413."""
    result = api.post(MSG, {"eventType": "t", "payload": {"a": "x" * MAX_PAYLOAD}})
    assert (result.status_code, result.json["code"]) == (413, "payload_too_large")


def test_batch(api):
    """A batch answers with its messages in order, and repeated with its key stores nothing twice."""
    messages = [{"eventType": "t", "payload": {"n": n}} for n in range(100)]
    first = api.post(f"{MSG}/batch", {"messages": messages}, headers={"idempotency-key": "k"})
    assert first.status_code == 202
    assert [out["payload"]["n"] for out in first.json["data"]] == list(range(100))
    again = api.post(f"{MSG}/batch", {"messages": messages}, headers={"idempotency-key": "k"})
    assert again.json == first.json


@pytest.mark.parametrize(
    ("messages", "loc"),
    [
        ([], ("body", "messages")),
        ([{"eventType": "t", "payload": {}}] * 101, ("body", "messages")),
        (
            [{"eventType": "t", "payload": {}}, {"eventType": "a b", "payload": {}}],
            ("body", "messages", 1, "eventType"),
        ),
        ([{"eventType": "t", "payload": {}}, {"eventType": "t"}], ("body", "messages", 1, "payload")),
    ],
)
def test_bad_batch(api, messages, loc):
    """A batch with one bad message is refused as a whole, naming the message and its field."""
    assert faults(api.post(f"{MSG}/batch", {"messages": messages})) == [loc]
    assert listed(api.get(MSG))["data"] == []


def test_batch_with_a_payload_too_large(api):
    """A batch in which one payload is too large is a 413, and nothing of it is stored."""
    large = {"eventType": "t", "payload": {"a": "x" * MAX_PAYLOAD}}
    batch = {"messages": [{"eventType": "t", "payload": {}}, large]}
    assert api.post(f"{MSG}/batch", batch).status_code == 413
    assert listed(api.get(MSG))["data"] == []


def test_batch_conflict(api):
    """A batch that collides with an event id is a 409; the others are stored, and its key repeats it."""
    api.message("acme", eventId="taken")
    batch = {
        "messages": [
            {"eventType": "t", "payload": {}, "eventId": "free"},
            {"eventType": "t", "payload": {}, "eventId": "taken"},
        ]
    }
    assert api.post(f"{MSG}/batch", batch).status_code == 409
    assert api.get(f"{MSG}/free").status_code == 200


def test_an_event_id_called_batch(api):
    """The address of batches hides no message: one whose event id is "batch" is shown."""
    out = api.message("acme", eventId="batch")
    assert api.get(f"{MSG}/batch").json == out
    assert listed(api.get(f"{MSG}/batch/endpoint"))["data"] == []


def test_destinations_leave_nobody_out(api):
    """Every endpoint is accounted for: a delivery with its state, or a reason for having none."""
    api.event_type("invoice.paid")
    api.event_type("other")
    hit = api.endpoint("acme", uid="hit")
    other = api.endpoint("acme", eventTypes=["other"])
    channel = api.endpoint("acme", channels=["x"])
    disabled = api.endpoint("acme", disabled=True)
    out = api.message("acme")
    page = listed(api.get(f"{MSG}/{out['id']}/endpoint"))
    (row,) = page["data"]
    assert (row["id"], row["uid"], row["state"], row["attempts"]) == (hit["id"], "hit", "leased", 0)
    assert (row["status"], row["statusText"], row["nextAttempt"]) == (3, "sending", None)
    assert {(skip["endpointId"], skip["reason"]) for skip in page["skipped"]} == {
        (other["id"], "event_type"),
        (channel["id"], "channel"),
        (disabled["id"], "disabled"),
    }


def test_destination_follows_the_delivery(api):
    """A delivery is pending until it is tried, sending with the time of its next attempt, and a success in the end."""
    api.endpoint("acme")
    out = api.message("acme")
    api.attempt(status=500)
    (row,) = listed(api.get(f"{MSG}/{out['id']}/endpoint"))["data"]
    assert (row["status"], row["statusText"], row["state"], row["attempts"]) == (3, "sending", "waiting", 1)
    assert row["nextAttempt"] > out["timestamp"]
    newest = api.message("acme")["id"]
    api.attempt(status=200)
    (row,) = listed(api.get(f"{MSG}/{newest}/endpoint"))["data"]
    assert (row["status"], row["statusText"], row["nextAttempt"]) == (0, "success", None)
    assert api.get(f"{MSG}/{newest}/endpoint", "expanded_statuses=true").json["data"] == [row]


def test_destinations_page(api):
    """Deliveries are paged by endpoint, and done tells the truth."""
    endpoints = sorted(api.endpoint("acme")["id"] for _ in range(5))
    out = api.message("acme")
    pages = walk(api, f"{MSG}/{out['id']}/endpoint", "limit=2")
    assert [row["id"] for page in pages for row in page["data"]] == endpoints
    assert [page["done"] for page in pages] == [False, False, True]


def test_resend(api):
    """Resending is a 202 once the delivery is at rest, and a 409 while an attempt is under way."""
    endpoint = api.endpoint("acme", uid="hook")
    out = api.message("acme")
    path = f"{MSG}/{out['id']}/endpoint/{endpoint['id']}/resend"
    assert api.post(path).status_code == 409
    api.attempt(status=200)
    resent = api.post(path)
    assert (resent.status_code, resent.json) == (202, {})
    assert api.post(f"{MSG}/{out['id']}/endpoint/none/resend").status_code == 404
    assert api.post(f"{MSG}/none/endpoint/hook/resend").status_code == 404


def test_unknown_application(api):
    """Publishing to an unknown application is a 404, alone or in a batch."""
    body = {"eventType": "t", "payload": {}}
    for result in (api.post("/app/none/msg", body), api.post("/app/none/msg/batch", {"messages": [body]})):
        assert (result.status_code, result.json["code"]) == (404, "not_found")


def test_tenants_do_not_see_each_other(api):
    """A message is not found through another application."""
    api.application(uid="other")
    out = api.message("acme", eventId="evt-1")
    for ref in (out["id"], "evt-1"):
        assert api.get(f"/app/other/msg/{ref}").status_code == 404
        assert api.get(f"/app/other/msg/{ref}/endpoint").status_code == 404
    assert listed(api.get("/app/other/msg"))["data"] == []


def test_a_depth_that_no_parser_bears(api):
    """A payload nested too deeply to be read is a 422."""
    raw = b'{"eventType":"t","payload":{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}}"
    result = api.post(MSG, raw=raw)
    assert faults(result) == [("body",)]
    assert json.loads(result.content)["detail"][0]["type"] == "value_error.jsondecode"
