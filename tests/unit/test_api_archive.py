import pytest
from management import faults, listed, management, walk

from ringback.outbox import system_clock


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        api.endpoint("acme", uid="hook")
        yield api


def counted(api, query=""):
    result = api.get("/app/acme/endpoint/hook/stats", query)
    assert result.status_code == 200, result.text
    return result.json


def test_stats(api):
    """Statistics count attempts by outcome and what is still to come."""
    assert counted(api) == {"success": 0, "pending": 0, "fail": 0, "sending": 0, "canceled": 0}
    for status in (200, 500):
        api.message("acme")
        api.attempt(status=status)
    assert counted(api) == {"success": 1, "pending": 0, "fail": 1, "sending": 1, "canceled": 0}
    assert counted(api, "until=2020-01-01T00:00:00")["success"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-01-01T00:00:00Z&until=2025-12-31T00:00:00Z",
        "since=2025-01-01T00:00:00Z&until=2025-02-01T00:00:00Z",
    ],
)
def test_stats_of_no_window(api, query):
    """A window that is the wrong way round, or longer than 28 days, is refused with a code of its own."""
    result = api.get("/app/acme/endpoint/hook/stats", query)
    assert (result.status_code, result.json["code"]) == (400, "invalid_range")


def test_attempts_by_time(api):
    """Attempts are counted by what came of them, in a window and step by step; steps are neither tiny nor many."""
    for status in (200, 500, 404):
        api.message("acme")
        api.attempt(status=status)
    path = "/app/acme/endpoint/hook/attempt-stats"
    assert listed(api.get(path)) == {"success": 1, "fail": 2, "canceled": 0, "steps": None}
    found = listed(api.get(path, "step=86400"))
    assert sum(step["success"] for step in found["steps"]) == 1
    assert sum(step["fail"] for step in found["steps"]) == 2
    assert listed(api.get(path, "until=2020-01-01T00:00:00&step=3600"))["steps"] == []
    for step in ("0", "60", "-1", "99999999"):
        assert faults(api.get(path, f"step={step}")) == [("query", "step")]
    assert api.get(path, "since=2025-01-01T00:00:00Z&until=2025-02-01T00:00:00Z").status_code == 400
    assert api.get("/app/acme/endpoint/none/attempt-stats").status_code == 404


def test_who_would_get_it(api):
    """A precheck tells whether any enabled endpoint listens to such a message, and publishes nothing."""
    path = "/app/acme/msg/precheck/active"

    def active(**body):
        result = api.post(path, {"eventType": "invoice.paid", **body})
        assert result.status_code == 200, result.text
        return result.json == {"active": True}

    assert active()
    api.patch("/app/acme/endpoint/hook", {"channels": ["north"]})
    assert (active(), active(channels=["south"]), active(channels=["north"])) == (False, False, True)
    api.event_type("order.sent")
    api.patch("/app/acme/endpoint/hook", {"channels": None, "eventTypes": ["order.sent"]})
    assert (active(), active(eventType="order.sent")) == (False, True)
    api.patch("/app/acme/endpoint/hook", {"eventTypes": None, "disabled": True})
    assert not active()
    assert faults(api.post(path, {"eventType": "a b"})) == [("body", "eventType")]
    assert faults(api.post(path, {"eventType": "a", "channels": []})) == [("body", "channels")]
    assert api.post("/app/none/msg/precheck/active", {"eventType": "a"}).status_code == 404
    assert listed(api.get("/app/acme/msg"))["data"] == []


def test_many_are_expunged(api):
    """Those that are named, by id or event id; of each is told what became of it."""
    first, second = api.message("acme", eventId="evt")["id"], api.message("acme")["id"]
    results = api.post("/app/acme/msg/bulk-expunge", {"ids": ["evt", "none", "evt"]}).json["results"]
    assert results == {"evt": "expunged", "none": "not-found"}
    payloads = {one["id"]: one["payload"] for one in listed(api.get("/app/acme/msg"))["data"]}
    assert payloads == {first: {"expired": True}, second: {"n": 1}}
    assert api.post("/app/acme/msg/bulk-expunge", {}).json == {"results": {}}
    many = {"ids": [f"x{number}" for number in range(1_001)]}
    assert faults(api.post("/app/acme/msg/bulk-expunge", many)) == [("body", "ids")]
    assert api.post("/app/none/msg/bulk-expunge", {"ids": ["x"]}).status_code == 404


def test_all_are_expunged(api):
    """As a task, which is begun once for a key; what is published later is left alone."""
    api.application(uid="globex")
    theirs = api.message("globex")["id"]
    for _ in range(3):
        api.message("acme")
    task = keyed(api, "/app/acme/msg/expunge-all-contents", None)
    assert (task["task"], task["status"]) == ("application.purge_content", "running")
    assert keyed(api, "/app/acme/msg/expunge-all-contents", None) == task
    advanced = api.committer.write(lambda store: store.advance_task(system_clock() + 1, 500)).result()
    later = api.message("acme")["id"]
    assert (advanced.moved, advanced.done) == (3, True)
    shown = listed(api.get(f"/background-task/{task['id']}"))
    assert (shown["status"], shown["data"]["messagesPurged"]) == ("finished", 3)
    assert "messagesSent" not in shown["data"]
    payloads = [one["payload"] for one in listed(api.get("/app/acme/msg"))["data"] if one["id"] != later]
    assert payloads == [{"expired": True}] * 3
    assert listed(api.get(f"/app/globex/msg/{theirs}"))["payload"] == {"n": 1}


def test_messages_of_an_endpoint(api):
    """An endpoint's messages are listed by id and by uid, with their status, newest first, in pages."""
    hook = api.get("/app/acme/endpoint/hook").json
    sent = []
    for status in (200, 500):
        sent.append(api.message("acme", channels=[f"c{status}"], eventType=f"t.{status}"))
        api.attempt(status=status)
    rows = listed(api.get("/app/acme/endpoint/hook/msg"))["data"]
    # Two ids of the same four milliseconds are in no order.
    assert {row["id"]: (row["status"], row["statusText"]) for row in rows} == {
        sent[1]["id"]: (3, "sending"),
        sent[0]["id"]: (0, "success"),
    }
    (failed,) = listed(api.get(f"/app/acme/endpoint/{hook['id']}/msg", "status=3"))["data"]
    assert failed == sent[1] | {"status": 3, "statusText": "sending", "nextAttempt": failed["nextAttempt"]}
    assert failed["nextAttempt"] > failed["timestamp"]
    for query in ("channel=c500", "event_types=t.500,t.700"):
        assert listed(api.get("/app/acme/endpoint/hook/msg", query))["data"] == [failed]
    assert listed(api.get("/app/acme/endpoint/hook/msg", "before=2026-01-01T00:00:00"))["data"] == []
    assert listed(api.get("/app/acme/endpoint/hook/msg", "status=1"))["data"] == []
    bare = listed(api.get("/app/acme/endpoint/hook/msg", "with_content=false"))["data"]
    assert [row["payload"] for row in bare] == [{}, {}]
    pages = walk(api, "/app/acme/endpoint/hook/msg", "limit=1")
    assert [row["id"] for page in pages for row in page["data"]] == [row["id"] for row in rows]
    assert faults(api.get("/app/acme/endpoint/hook/msg", "status=7")) == [("query", "status")]


def test_a_cancelled_message(api):
    """Whoever does not know the status "canceled" is told that it failed, in the filter as in the row."""
    sent = api.message("acme")
    assert api.delete(f"/app/acme/msg/{sent['id']}/content").status_code == 204
    plain = listed(api.get("/app/acme/endpoint/hook/msg", "status=2"))["data"]
    assert [(row["status"], row["payload"]) for row in plain] == [(2, {"expired": True})]
    assert listed(api.get("/app/acme/endpoint/hook/msg", "status=2&expanded_statuses=true"))["data"] == []
    (row,) = listed(api.get("/app/acme/endpoint/hook/msg", "status=4&expanded_statuses=true"))["data"]
    assert row["statusText"] == "canceled"


def test_expunging_a_message(api):
    """An expunged message shows no payload, by id or event id, and cannot be sent again."""
    sent = api.message("acme", eventId="evt")
    api.attempt(status=500)
    assert api.delete("/app/acme/msg/evt/content").status_code == 204
    assert api.get(f"/app/acme/msg/{sent['id']}").json["payload"] == {"expired": True}
    refused = api.post("/app/acme/msg/evt/endpoint/hook/resend")
    assert (refused.status_code, refused.json["code"]) == (400, "missing_payload")
    assert api.delete("/app/acme/msg/none/content").status_code == 404


def test_expunging_an_attempt(api):
    """An expunged attempt says so in place of what the receiver answered."""
    api.message("acme", eventId="evt")
    made = api.attempt(status=500, body=b"secret")
    assert api.delete(f"/app/acme/msg/evt/attempt/{made.id}/content").status_code == 204
    assert api.get(f"/app/acme/msg/evt/attempt/{made.id}").json["response"] == "EXPUNGED"
    assert api.delete("/app/acme/msg/evt/attempt/atmpt_none/content").status_code == 404


def test_older_addresses(api):
    """The addresses that older clients ask for attempts answer as the others do."""
    api.message("acme", eventId="evt")
    api.attempt()
    usual = listed(api.get("/app/acme/attempt/msg/evt"))
    assert listed(api.get("/app/acme/msg/evt/attempt")) == usual
    assert listed(api.get("/app/acme/msg/evt/endpoint/hook/attempt")) == usual
    assert api.get("/app/acme/msg/evt/endpoint/none/attempt").status_code == 404


def keyed(api, path, body, key="k"):
    result = api.post(path, body, headers={"idempotency-key": key})
    assert result.status_code in {200, 202}, result.text
    return result.json


def test_a_secret_is_rotated_once(api):
    """Sent again under its key, a rotation answers with the same secret; under another key it is another rotation."""
    path = "/app/acme/endpoint/hook/secret/rotate"
    first = keyed(api, path, {})
    assert keyed(api, path, {}) == first == api.get("/app/acme/endpoint/hook/secret").json
    second = keyed(api, path, {}, "another")
    assert second != first
    refused = api.post(path, {"gracePeriodSeconds": 0}, headers={"idempotency-key": "k"})
    assert refused.status_code == 409


def test_a_repeated_rotation_tells_its_own_secret(api):
    """The answer under a key stays the same after a later rotation, while that secret signs."""
    path = "/app/acme/endpoint/hook/secret/rotate"
    first = keyed(api, path, {})
    keyed(api, path, {}, "another")
    assert keyed(api, path, {}) == first


def test_a_message_is_resent_once(api):
    """Sent again under its key, resending changes nothing; that an attempt is under way by then does not matter."""
    api.message("acme", eventId="evt")
    api.attempt(status=200)
    path = "/app/acme/msg/evt/endpoint/hook/resend"
    assert keyed(api, path, None) == keyed(api, path, None) == {}


def test_a_recovery_is_begun_once(api):
    """Sent again under its key, a recovery answers with the task that there is."""
    path, body = (
        "/app/acme/endpoint/hook/recover",
        {"since": "2099-01-01T00:00:00Z", "until": "2099-01-02T00:00:00Z"},
    )
    first = keyed(api, path, body)
    assert keyed(api, path, body) == first
    assert keyed(api, path, body, "another")["id"] != first["id"]
