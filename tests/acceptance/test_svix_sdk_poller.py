"""Pollers through the official SDKs: messages for receivers that nobody can reach."""

from datetime import UTC, datetime, timedelta

import pytest
from running import Api


@pytest.fixture
def poller(sdk, svix_server):
    """A poller: its application, its id and its token. The SDKs have no method that makes one."""
    app = sdk.application()
    with Api(svix_server.port) as api:
        made = api.post(f"/app/{app}/poller", {"channels": ["one"]})
    return app, made["id"], made["token"]


def ids_of(answer):
    """Return the ids of the messages in an answer."""
    return [one["id"] for one in answer["data"]]


def test_polling(sdk, poller):
    """By a token of its own, from an iterator to the next, and no more than was asked for."""
    app, name, token = poller
    names = [
        sdk.publish(app, channels=["one", str(number)], eventId=f"e-{number}")["id"] for number in range(3)
    ]
    sdk.publish(app)
    receiver = sdk.as_bearer(token)
    first = receiver.call("message.poller.poll", app, name, limit=2)
    assert (ids_of(first), first["done"]) == (names[:2], False)
    assert (first["data"][0]["payload"], first["data"][0]["eventId"]) == ({"n": 1}, "e-0")
    assert first["data"][0]["channels"] == ["one", "0"]
    second = receiver.call("message.poller.poll", app, name, iterator=first["iterator"])
    assert (ids_of(second), second["done"]) == (names[2:], True)
    assert ids_of(receiver.call("message.poller.poll", app, name, channel="1")) == names[1:2]
    assert ids_of(receiver.call("message.poller.poll", app, name, event_type="order.made")) == []
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert ids_of(receiver.call("message.poller.poll", app, name, after=later)) == []
    assert receiver.refused("message.list", app).status == 403
    assert receiver.refused("message.poller.poll", app, f"poll_{'0' * 27}").status == 404


def test_consumers(sdk, poller):
    """Each has a place that is kept: behind what it has asked to go on from, or where it was sent to."""
    app, name, token = poller
    receiver = sdk.as_bearer(token)
    names = [sdk.publish(app, channels=["one"])["id"] for _ in range(3)]
    first = receiver.call("message.poller.consumer_poll", app, name, "shop", limit=2)
    assert ids_of(first) == names[:2]
    assert receiver.call("message.poller.consumer_poll", app, name, "shop", limit=2) == first
    second = receiver.call("message.poller.consumer_poll", app, name, "shop", iterator=first["iterator"])
    assert ids_of(second) == names[2:]
    assert ids_of(receiver.call("message.poller.consumer_poll", app, name, "shop")) == names[2:]
    assert ids_of(receiver.call("message.poller.consumer_poll", app, name, "other")) == names
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    sought = receiver.call("message.poller.consumer_seek", app, name, "shop", {"after": past})
    assert ids_of(receiver.call("message.poller.consumer_poll", app, name, "shop")) == names
    assert sought == {"iterator": "0"}
