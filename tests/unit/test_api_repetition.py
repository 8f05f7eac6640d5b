"""Idempotency keys: each operation has its own, at each address, and none swallows what another was asked to do."""

from datetime import UTC, datetime, timedelta

import pytest
from management import listed, management

SINCE = {"since": "2020-01-01T00:00:00Z"}
PAID = {"eventType": "invoice.paid", "payload": {"n": 1}}
KEY = {"idempotency-key": "one"}


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        for uid in ("first", "second"):
            api.endpoint("acme", uid=uid)
        yield api


def at(endpoint, path):
    return f"/app/acme/endpoint/{endpoint}/{path}"


def posted(api, path, body, headers=KEY):
    result = api.post(path, body, headers=headers)
    assert result.status_code in {200, 202}, result.text
    return result.json


def got(api, endpoint):
    return [one["id"] for one in listed(api.get(at(endpoint, "msg")))["data"]]


def test_an_example_keeps_no_message_from_being_published(api):
    """A key that an example was sent with is free for a message, at either door, and the other way round."""
    example = posted(api, at("first", "send-example"), PAID)
    message = posted(api, "/app/acme/msg", PAID)
    assert example["id"] != message["id"]
    assert got(api, "first") == [message["id"], example["id"]]
    assert got(api, "second") == [message["id"]]
    assert posted(api, "/app/acme/msg", PAID)["id"] == message["id"]
    assert posted(api, at("first", "send-example"), PAID)["id"] == example["id"]


def test_examples_to_two_endpoints(api):
    """Each endpoint has its own keys, by whichever of its names it is called."""
    there = {one["uid"]: one["id"] for one in listed(api.get("/app/acme/endpoint"))["data"]}
    first, second = (posted(api, at(uid, "send-example"), PAID)["id"] for uid in ("first", "second"))
    assert (got(api, "first"), got(api, "second")) == ([first], [second])
    assert posted(api, at(there["first"], "send-example"), PAID)["id"] == first


def test_a_batch_shares_no_key_with_a_message(api):
    """The keys that a batch makes of its own are no message's, whatever a caller names its keys."""
    (batched,) = posted(api, "/app/acme/msg/batch", {"messages": [PAID]})["data"]
    alone = posted(api, "/app/acme/msg", PAID, {"idempotency-key": "one:0"})
    assert alone["id"] != batched["id"]
    assert posted(api, "/app/acme/msg/batch", {"messages": [PAID]})["data"][0]["id"] == batched["id"]


@pytest.mark.parametrize("path", ["recover", "replay-missing", "bulk-replay"])
def test_one_key_at_two_endpoints_begins_two_tasks(api, path):
    """A key counts for the address that it was sent to; at the same one, the first answer comes again."""
    earlier, since = ({"since": f"{datetime.now(UTC) - timedelta(days=days):%FT%TZ}"} for days in (2, 1))
    first, second = (posted(api, at(uid, path), since)["id"] for uid in ("first", "second"))
    assert first != second
    assert posted(api, at("first", path), since)["id"] == first
    assert api.post(at("first", path), earlier, headers=KEY).status_code == 409


def test_one_key_for_two_replays_of_an_application(api):
    """Which endpoints are meant stands in the body there: another choice is another request."""
    chosen = {"endpointIds": ["first"]} | SINCE
    task = posted(api, "/app/acme/bulk-replay", chosen)["id"]
    assert posted(api, "/app/acme/bulk-replay", chosen)["id"] == task
    assert (
        api.post("/app/acme/bulk-replay", chosen | {"endpointIds": ["second"]}, headers=KEY).status_code
        == 409
    )
    assert posted(api, at("first", "bulk-replay"), SINCE)["id"] != task


def test_one_key_rotates_two_secrets(api):
    """Each endpoint gets a new secret, and a repetition is answered with the one that was made for it."""
    first, second = (posted(api, at(uid, "secret/rotate"), {})["key"] for uid in ("first", "second"))
    assert first != second
    assert posted(api, at("first", "secret/rotate"), {})["key"] == first
    assert api.get(at("second", "secret")).json["key"] == second


def test_one_key_resends_two_messages(api):
    """Each message is delivered again to each endpoint."""
    messages = [api.message("acme")["id"] for _ in range(2)]
    for _ in range(4):
        api.attempt()
    for message in messages:
        for uid in ("first", "second"):
            posted(api, f"/app/acme/msg/{message}/endpoint/{uid}/resend", None)
    for uid in ("first", "second"):
        assert {one["status"] for one in listed(api.get(at(uid, "msg")))["data"]} == {1}


def test_one_key_moves_two_consumers(api):
    """Consumers of one poller, and those of two, are moved each by itself."""
    pollers = [api.post("/app/acme/poller", {}).json["id"] for _ in range(2)]
    position = {"after": "2020-01-01T00:00:00Z"}
    for poller in pollers:
        for consumer in ("one", "two"):
            path = f"/app/acme/poller/{poller}/consumer/{consumer}/seek"
            assert api.post(path, position, headers=KEY).status_code == 200


def test_an_event_type_is_revived_once(api):
    """A client that asks again, because it lost the answer, is answered as at first."""
    api.event_type("invoice.paid")
    api.delete("/event-type/invoice.paid")
    body = {"name": "invoice.paid", "description": "again"}
    revived = api.post("/event-type", body, headers=KEY)
    again = api.post("/event-type", body, headers=KEY)
    assert (revived.status_code, again.status_code, again.json) == (201, 201, revived.json)
    assert api.post("/event-type", body | {"description": "other"}, headers=KEY).status_code == 409


def test_an_application_that_is_made_or_found(api):
    """Who made it is told so again under the same key; under another one, that it was found."""
    body = {"name": "Globex", "uid": "globex"}
    keys = ("one", "one", "two", "two")
    answers = [
        api.post("/app", body, query="get_if_exists=true", headers={"idempotency-key": key}) for key in keys
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 200, 200]
    assert len({answer.json["id"] for answer in answers}) == 1
