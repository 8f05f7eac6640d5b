"""Replays through the API: begun, previewed, watched, paused, cancelled; and the tasks they are."""

import pytest
from management import faults, listed, management, walk

from ringback import replays
from ringback.outbox import system_clock

SINCE = {"since": "2020-01-01T00:00:00Z"}
ONE = "/app/acme/endpoint/hook"


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        api.endpoint("acme", uid="hook")
        yield api


def begun(result, task="endpoint.bulk-replay"):
    """Return the id of a task that was begun."""
    assert result.status_code == 202, result.text
    assert result.json.keys() == {"id", "status", "task", "updatedAt"}
    assert (result.json["status"], result.json["task"]) == ("running", task)
    return result.json["id"]


def previewed(api, path, **body):
    result = api.post(path, SINCE | body | {"preview": True})
    assert result.status_code == 200, result.text
    return result.json


def advance(api):
    """Take a step of whichever task is due."""
    return api.committer.write(lambda store: store.advance_task(system_clock(), 500)).result()


def shown(api, task):
    result = api.get(f"/background-task/{task}")
    assert result.status_code == 200, result.text
    return result.json


def test_what_was_missed(api):
    """What came before the endpoint is sent by a task of its own, whose progress is shown as Svix shows it."""
    for _ in range(2):
        api.message("acme")
    api.endpoint("acme", uid="late")
    task = begun(api.post("/app/acme/endpoint/late/replay-missing", SINCE), "endpoint.replay")
    assert advance(api).moved == 2
    out = shown(api, task)
    assert (out["id"], out["status"], out["task"]) == (task, "finished", "endpoint.replay")
    assert (out["data"]["messagesSent"], out["data"]["messagesWaiting"]) == (0, 2)
    assert {one["status"] for one in listed(api.get("/app/acme/endpoint/late/msg"))["data"]} == {1}
    assert previewed(api, "/app/acme/bulk-replay", missing=True)["messages"] == 0  # they are on their way
    assert api.post("/app/acme/endpoint/none/replay-missing", SINCE).status_code == 404
    assert faults(api.post(f"{ONE}/replay-missing", {})) == [("body", "since")]
    assert faults(api.post(f"{ONE}/replay-missing", {"since": "2099-01-01T00:00:00Z"})) == [("body", "since")]


def test_a_preview_lets_others_read(api, monkeypatch):
    """It looks at so many messages in one read, and at the others in further ones."""
    monkeypatch.setattr(replays, "LOOK", 2)
    for _ in range(7):
        api.message("acme")
    api.endpoint("acme", uid="late")
    reads = []
    read = api.committer.read
    monkeypatch.setattr(api.committer, "read", lambda query: reads.append(query) or read(query))
    assert previewed(api, "/app/acme/endpoint/late/bulk-replay", missing=True)["messages"] == 7
    assert len(reads) >= 4
    reads.clear()
    assert previewed(api, "/app/acme/endpoint/late/bulk-replay", missing=True, limit=3)["messages"] == 3
    assert len(reads) <= 4


def test_a_preview_sends_nothing(api):
    """It counts, tells when and how long, and begins no task."""
    api.endpoint("acme", uid="other")
    for status in (200, 404, 500):
        api.message("acme", eventType=f"t.{status}", channels=["north"])
        # Which of the two endpoints comes first is not said.
        for _ in range(2):
            api.attempt(status)
    path = "/app/acme/endpoint/other/bulk-replay"
    assert previewed(api, path)["messages"] == 1  # two are tried again by themselves
    everywhere = previewed(api, "/app/acme/bulk-replay", statuses=[0, 2, 3, 4])
    assert (everywhere["messages"], everywhere["complete"]) == (6, True)
    assert everywhere["oldest"] <= everywhere["newest"]
    assert everywhere["estimatedMinutes"] is None
    assert previewed(api, "/app/acme/bulk-replay", statuses=[0, 2, 3, 4], rate=1)["estimatedMinutes"] == 0.1
    assert previewed(api, "/app/acme/bulk-replay", limit=1)["messages"] == 1
    api.patch("/app/acme/endpoint/other", {"throttleRate": 2})
    assert previewed(api, path, statuses=[0, 2, 3, 4])["estimatedMinutes"] == 0.03
    api.patch("/app/acme", {"throttleRate": 1})
    assert previewed(api, path, statuses=[0, 2, 3, 4])["estimatedMinutes"] == 0.05
    assert listed(api.get("/background-task"))["data"] == []


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 2),
        ({"status": 0}, 1),
        ({"status": 2}, 1),
        ({"status": 3}, 1),
        ({"status": 1}, 0),
        ({"statuses": [0, 2]}, 2),
        ({"statusCodeClass": 400}, 1),
        ({"outcomes": ["refused"], "status": 2}, 1),
        ({"outcomes": ["timeout"]}, 0),
        ({"eventTypes": ["t.200", "t.410"]}, 2),
        ({"eventTypes": ["t.*"], "status": 3}, 1),
        ({"channel": "c410"}, 1),
        ({"until": "2021-01-01T00:00:00Z"}, 0),
        ({"limit": 1}, 1),
        ({"tag": "t410"}, 1),
        ({"missing": True}, 0),
    ],
)
def test_filters(api, body, count):
    """Each finds what it says, in the preview and in the replay."""
    for status in (200, 410, 500):
        api.message("acme", eventType=f"t.{status}", channels=[f"c{status}"], tags=[f"t{status}"])
        api.attempt(status)
    assert previewed(api, f"{ONE}/bulk-replay", **body)["messages"] == count
    begun(api.post("/app/acme/bulk-replay", SINCE | body | {"endpointIds": ["hook"]}))
    assert advance(api).moved == count


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"since": "2099-01-01T00:00:00Z"}, "since"),
        ({"rate": 0}, "rate"),
        ({"limit": 0}, "limit"),
        ({"endpointIds": []}, "endpointIds"),
        ({"statuses": []}, "statuses"),
        ({"eventTypes": []}, "eventTypes"),
        ({"outcomes": []}, "outcomes"),
        ({"statusCodeClass": 150}, "statusCodeClass"),
        ({"status": 7}, "status"),
        ({"missing": True, "status": 2}, "missing"),
        ({"missing": True, "outcomes": ["timeout"]}, "missing"),
    ],
)
def test_refused(api, body, field):
    """What makes no sense is told by its field, in a preview as well."""
    assert faults(api.post("/app/acme/bulk-replay", SINCE | body)) == [("body", field)]
    assert faults(api.post("/app/acme/bulk-replay", SINCE | body | {"preview": True})) == [("body", field)]


def test_disabled_endpoints(api):
    """One that is named is a conflict, others are left out."""
    api.endpoint("acme", uid="off", disabled=True)
    assert api.post("/app/acme/endpoint/off/replay-missing", SINCE).status_code == 409
    assert api.post("/app/acme/endpoint/off/bulk-replay", SINCE).status_code == 409
    task = begun(api.post("/app/acme/bulk-replay", SINCE))
    assert shown(api, task)["data"]["endpoints"] == 1
    assert api.post("/app/acme/bulk-replay", SINCE | {"endpointIds": ["none"]}).status_code == 404


def test_begun_once(api):
    """Sent again under its key a replay is the task that there is; another replay under it is a conflict."""
    key = {"idempotency-key": "k"}
    for path in (f"{ONE}/replay-missing", f"{ONE}/bulk-replay", "/app/acme/bulk-replay"):
        first = api.post(path, SINCE, headers=key).json["id"]
        assert api.post(path, SINCE, headers=key).json["id"] == first
        other = api.post(path, {"since": "2021-01-01T00:00:00Z"}, headers=key)
        assert other.status_code == 409
        key = {"idempotency-key": path}


def test_paused_and_cancelled(api):
    """What waits is what it was before; a pause can be ended, the end cannot."""
    for _ in range(3):
        api.message("acme")
        api.attempt(410)
    task = begun(api.post(f"{ONE}/bulk-replay", SINCE | {"status": 2}))
    advance(api)

    def stands():
        rows = listed(api.get(f"{ONE}/msg"))["data"]
        return sorted(row["statusText"] for row in rows)

    def turned(how):
        result = api.post(f"/background-task/{task}/{how}")
        return result.status_code, result.json.get("data", {}).get("state")

    assert stands() == ["pending"] * 3
    assert turned("pause") == (409, None)  # all of it has been made due
    assert turned("cancel") == (200, "cancelled")
    assert stands() == ["fail"] * 3
    assert turned("resume") == (409, None)
    task = begun(api.post(f"{ONE}/bulk-replay", SINCE | {"status": 2}))
    assert turned("pause") == (200, "paused")
    assert (shown(api, task)["status"], advance(api)) == ("running", None)
    assert turned("resume") == (200, "running")
    assert advance(api).moved == 3
    assert api.post("/background-task/none/cancel").status_code == 404


def test_lists_of_tasks(api):
    """Newest first or last, in pages, by status, kind and application."""
    api.application(uid="globex")
    api.endpoint("globex", uid="hook")
    recovery = api.post(f"{ONE}/recover", {"since": "2099-01-01T00:00:00Z", "until": "2099-01-02T00:00:00Z"})
    made = [begun(recovery, "endpoint.recover")]
    advance(api)
    made.append(begun(api.post("/app/globex/bulk-replay", SINCE)))
    made.append(begun(api.post(f"{ONE}/replay-missing", SINCE), "endpoint.replay"))

    def found(query=""):
        return {one["id"] for one in listed(api.get("/background-task", query))["data"]}

    pages = walk(api, "/background-task", "limit=1&order=ascending")
    assert [len(page["data"]) for page in pages] == [1, 1, 1]
    assert {page["data"][0]["id"] for page in pages} == set(made) == found()
    assert found("status=finished") == {made[0]}
    assert found("status=running") == set(made[1:])
    assert found("status=failed") == found("task=sdk.generate") == set()
    assert found("task=endpoint.replay") == {made[2]}
    assert found("app_id=globex") == {made[1]}
    assert found("app_id=none") == set()
    assert faults(api.get("/background-task", "task=other")) == [("query", "task")]
    assert faults(api.get("/background-task", "iterator=other")) == [("query", "iterator")]
