"""Replays and tasks through the official SDKs, and what else hosted Svix has about messages beyond its server."""

import pytest
from svix_sdk import until

NO_TIME = "2020-01-01T00:00:00Z"


@pytest.fixture
def app(sdk):
    return sdk.application()


def over(sdk, task, name):
    """Wait until a task that was begun is over and all it made due has been tried; return what it is shown with."""
    assert (task["task"], task["status"]) == (name, "running")
    done = until(
        lambda: (
            found
            if (found := sdk.call("background_task.get", task["id"]))["status"] == "finished"
            and not found["data"].get("messagesWaiting")
            else None
        )
    )
    assert (done["id"], done["task"]) == (task["id"], name)
    return done["data"]


def tried(sdk, app, message, attempts):
    """Wait until a message has so many attempts."""
    until(lambda: len(sdk.call("message_attempt.list_by_msg", app, message)["data"]) == attempts)


def test_what_was_missed(sdk, app, receiver):
    """What was published before the endpoint was there is sent to it, once."""
    messages = [sdk.publish(app)["id"] for _ in range(2)]
    endpoint = sdk.endpoint(app, receiver.url + "/late")["id"]
    begun = sdk.call("endpoint.replay_missing", app, endpoint, {"since": NO_TIME})
    assert over(sdk, begun, "endpoint.replay")["messagesSent"] == 2
    for message in messages:
        tried(sdk, app, message, 1)
    again = sdk.call("endpoint.replay_missing", app, endpoint, {"since": NO_TIME})
    assert over(sdk, again, "endpoint.replay")["messagesSent"] == 0
    assert sdk.faults("endpoint.replay_missing", app, endpoint, {"since": "2099-01-01T00:00:00Z"}) == [
        ("body", "since")
    ]
    assert sdk.refused("endpoint.replay_missing", app, "none", {"since": NO_TIME}).status == 404


def test_bulk_replay(sdk, app, receiver):
    """What a filter finds is sent again; the filters are those of the SDK."""
    endpoint = sdk.endpoint(app, receiver.url + "/bulk")["id"]
    paid = sdk.publish(app, "invoice.paid", channels=["north"])["id"]
    sent = sdk.publish(app, "order.sent")["id"]
    for message in (paid, sent):
        tried(sdk, app, message, 1)
    # The driver calls event types by the name that endpoints of the first SDK have for them, which a replay has not.
    rest = {"channel": "north"} if sdk.is_first else {"eventTypes": ["invoice.paid"]}
    for which, count in (
        ({"status": 2}, 0),
        ({"statusCodeClass": 500}, 0),
        ({"channel": "north"}, 1),
        ({"status": 0, "statusCodeClass": 200, **rest}, 1),
    ):
        begun = sdk.call("endpoint.bulk_replay", app, endpoint, {"since": NO_TIME, **which})
        assert over(sdk, begun, "endpoint.bulk-replay")["messagesSent"] == count, which
    tried(sdk, app, paid, 3)
    tried(sdk, app, sent, 1)


def test_tasks(sdk, app, receiver):
    """Tasks are listed, newest first, by status and kind; an application's own people see its own alone."""
    endpoint = sdk.endpoint(app, receiver.url)["id"]
    first = sdk.call(
        "endpoint.recover", app, endpoint, {"since": "2099-01-01T00:00:00Z", "until": "2099-01-02T00:00:00Z"}
    )
    second = sdk.call("endpoint.replay_missing", app, endpoint, {"since": NO_TIME})
    over(sdk, first, "endpoint.recover")
    over(sdk, second, "endpoint.replay")
    portal = sdk.as_bearer(sdk.call("authentication.app_portal_access", app, {})["token"])
    assert {one["id"] for one in portal.call("background_task.list")["data"]} == {first["id"], second["id"]}
    (found,) = portal.call("background_task.list", task="endpoint.replay", status="finished", limit=1)["data"]
    assert found["id"] == second["id"]
    page = sdk.call("background_task.list", limit=1, order="descending")
    assert (len(page["data"]), page["done"]) == (1, False)
    other = sdk.as_bearer(sdk.call("authentication.app_portal_access", sdk.application(), {})["token"])
    assert other.call("background_task.list")["data"] == []
    assert other.refused("background_task.get", first["id"]).status == 404


def test_precheck(sdk, app):
    """Whether anybody would get a message."""
    assert sdk.call("message.precheck", app, {"eventType": "invoice.paid"}) == {"active": False}
    sdk.endpoint(app, channels=["north"])
    assert sdk.call("message.precheck", app, {"eventType": "invoice.paid"}) == {"active": False}
    wanted = {"eventType": "invoice.paid", "channels": ["north"]}
    assert sdk.call("message.precheck", app, wanted) == {"active": True}


def test_contents(sdk, app):
    """All payloads of an application are forgotten by a task, those of some messages at once."""
    messages = [sdk.publish(app)["id"] for _ in range(3)]
    if not sdk.is_first:
        results = sdk.call("message.bulk_expunge_content", app, {"ids": [messages[0], "none"]})["results"]
        assert results == {messages[0]: "expunged", "none": "not-found"}
    purged = over(sdk, sdk.call("message.expunge_all_contents", app), "application.purge_content")
    assert purged["messagesPurged"] == (3 if sdk.is_first else 2)
    shown = sdk.call("message.list", app, with_content=True)["data"]
    assert [one["payload"] for one in shown] == [{"expired": True}] * 3


def test_attempts_by_time(sdk, app, receiver):
    """Attempts are counted by what came of them."""
    if sdk.is_first:
        pytest.skip("this SDK has no method for it")
    endpoint = sdk.endpoint(app, receiver.url + "/404")["id"]
    message = sdk.publish(app)["id"]
    tried(sdk, app, message, 3)
    assert sdk.call("endpoint.get_attempt_stats", app, endpoint) == {"success": 0, "fail": 3, "canceled": 0}
