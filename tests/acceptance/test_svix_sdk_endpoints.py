"""Endpoints through the official SDKs: settings, secrets, headers, filters, statistics and recovery."""

import base64
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from svix_sdk import SdkError, until

HOOK = "https://example.com/hook"
KEY = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def a_while_ago():
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def new_key(length=24):
    return "whsec_" + base64.b64encode(secrets.token_bytes(length)).decode()


@pytest.fixture
def app(sdk):
    return sdk.application()


def test_endpoint_fields_by_patch(sdk, app):
    """PATCH changes the one field given, keeps the others, and null clears."""
    sdk.event_type("one")
    endpoint = sdk.endpoint(app, uid="hook", channels=["a"], eventTypes=["one"], throttleRate=3)["id"]
    for fields in (
        {"url": "https://example.com/other"},
        {"description": "new"},
        {"throttleRate": 9},
        {"channels": ["b", "c"]},
        {"disabled": True},
        {"disabled": False},
        {"metadata": {"a": "b"}},
        {"uid": "other"},
        {"channels": None},
        {"throttleRate": None},
        {"uid": None},
    ):
        before = sdk.call("endpoint.get", app, endpoint)
        after = sdk.call("endpoint.patch", app, endpoint, fields)
        changed = {name for name in before if before[name] != after[name]} - {"updatedAt", "rateLimit"}
        assert changed == set(fields)
        assert {name: after[name] for name in fields} == fields


def test_event_types_by_patch(sdk, app):
    """The event types listened to can be changed and cleared."""
    sdk.event_type("one")
    endpoint = sdk.endpoint(app)["id"]
    assert sdk.call("endpoint.patch", app, endpoint, {"eventTypes": ["one"]})["id"] == endpoint
    sdk.call("endpoint.patch", app, endpoint, {"eventTypes": None})
    sdk.event_type("gone", archived=True)
    assert sdk.faults("endpoint.patch", app, endpoint, {"eventTypes": ["gone"]}) == [
        ("body", "eventTypes", "0")
    ]
    assert sdk.faults("endpoint.patch", app, endpoint, {"eventTypes": []}) == [("body", "eventTypes")]


def test_endpoint_life(sdk, app):
    """An endpoint is made, read by id and uid, replaced, and gone after it is deleted, with its uid free again."""
    made = sdk.endpoint(app, uid="hook", metadata={"a": "b"})
    assert sdk.call("endpoint.get", app, "hook") == sdk.call("endpoint.get", app, made["id"]) == made
    put = sdk.call("endpoint.upsert", app, "hook", {"url": HOOK, "uid": "hook"})
    assert (put["id"], put["metadata"]) == (made["id"], {})
    other = sdk.call("endpoint.upsert", app, "second", {"url": HOOK})
    assert other["uid"] == "second"
    assert sdk.refused("endpoint.create", app, {"url": HOOK, "uid": "second"}).code == "conflict"
    assert sdk.refused("endpoint.upsert", app, "hook", {"url": HOOK, "uid": "second"}).code == "conflict"
    assert sdk.refused("endpoint.patch", app, "hook", {"uid": "second"}).code == "conflict"
    sdk.call("endpoint.delete", app, "hook")
    assert sdk.refused("endpoint.get", app, made["id"]).status == 404
    assert sdk.endpoint(app, uid="hook")["id"] != made["id"]


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"url": "ftp://example.com"}, ("body", "url")),
        ({"eventTypes": []}, ("body", "eventTypes")),
        ({"eventTypes": ["nobody.knows"]}, ("body", "eventTypes", "0")),
        ({"channels": []}, ("body", "channels")),
        ({"channels": ["no spaces"]}, ("body", "channels", "0")),
        ({"channels": [f"c{number}" for number in range(11)]}, ("body", "channels")),
        ({"throttleRate": 0}, ("body", "throttleRate")),
        ({"secret": "whsec_c2hvcnQ="}, ("body", "secret")),
        ({"secret": new_key(76)}, ("body", "secret")),
        ({"secret": "nothing_" + KEY}, ("body", "secret")),
        ({"uid": "ep_000000000000000000000000000"}, ("body", "uid")),
    ],
)
def test_what_is_no_endpoint(sdk, app, fields, loc):
    """Each rule that is broken is named by its field."""
    found = sdk.faults("endpoint.create", app, {"url": HOOK, **fields})
    assert [place[: len(loc)] for place in found] == [loc] or (fields.get("secret") and found[0][0] == "body")


def test_secrets(sdk, app):
    """A secret is as given, or made; a rotation changes it, and from 2.7 on the SDK reads the new one in the answer."""
    given = sdk.endpoint(app, secret=KEY)["id"]
    assert sdk.call("endpoint.get_secret", app, given) == {"key": KEY}
    made = sdk.endpoint(app)["id"]
    assert sdk.call("endpoint.get_secret", app, made)["key"].startswith("whsec_")
    fresh = new_key()
    answer = sdk.call("endpoint.rotate_secret", app, made, {"key": fresh})
    assert sdk.call("endpoint.get_secret", app, made)["key"] == fresh
    assert answer == ({"key": fresh} if sdk.version == "2.9.1" else None)


def test_asymmetric_secrets(sdk, app):
    """Of an Ed25519 pair the public key is shown."""
    pair = "whsk_" + base64.b64encode(ed25519_pair()).decode()
    endpoint = sdk.endpoint(app, secret=pair)["id"]
    assert sdk.call("endpoint.get_secret", app, endpoint)["key"].startswith("whpk_")


def ed25519_pair():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - one test needs it

    key = Ed25519PrivateKey.generate()
    return key.private_bytes_raw() + key.public_key().public_bytes_raw()


def test_ten_old_secrets(sdk, app):
    """Ten old secrets may sign along; one more rotation is a 400 until one of them has expired."""
    endpoint = sdk.endpoint(app)["id"]
    for _ in range(9):
        sdk.call("endpoint.rotate_secret", app, endpoint, {})
    sdk.call("endpoint.rotate_secret", app, endpoint, {"gracePeriodSeconds": 3})
    error = sdk.refused("endpoint.rotate_secret", app, endpoint, {})
    assert (error.status, error.code) == (400, "limit_reached")
    until(lambda: rotates(sdk, app, endpoint), within=10)


def rotates(sdk, app, endpoint):
    """Tell whether one more rotation is possible; whatever else it is refused for is a fault."""
    try:
        sdk.call("endpoint.rotate_secret", app, endpoint, {})
    except SdkError as error:
        assert error.code == "limit_reached", error  # noqa: PT017 - the only one that may be
        return False
    return True


def test_headers(sdk, app):
    """Headers are set, patched, removed and shown; sensitive values are not, and forbidden names are refused."""
    endpoint = sdk.endpoint(app)["id"]
    sdk.call(
        "endpoint.set_headers", app, endpoint, {"headers": {"X-One": "1", "x-two": "2", "Authorization": "s"}}
    )
    shown = sdk.call("endpoint.get_headers", app, endpoint)
    assert (shown["headers"], shown["sensitive"]) == ({"X-One": "1", "x-two": "2"}, ["Authorization"])
    sdk.call(
        "endpoint.patch_headers", app, endpoint, {"headers": {"x-three": "3"}, "deleteHeaders": ["x-two"]}
    )
    assert sdk.call("endpoint.get_headers", app, endpoint)["headers"] == {"X-One": "1", "x-three": "3"}
    sdk.call("endpoint.set_headers", app, endpoint, {"headers": {"x-last": "4"}})
    assert sdk.call("endpoint.get_headers", app, endpoint) == {"headers": {"x-last": "4"}, "sensitive": []}
    for name in ("user-agent", "content-length", "x-svix-id", "svix-id", "x-amz-date"):
        for method in ("endpoint.set_headers", "endpoint.patch_headers"):
            assert sdk.refused(method, app, endpoint, {"headers": {name: "1"}}).status == 422


def test_stats(sdk, app, receiver):
    """Attempts are counted by outcome; a window longer than 28 days is a 400."""
    good = sdk.endpoint(app, f"{receiver.url}/204")["id"]
    bad = sdk.endpoint(app, f"{receiver.url}/500")["id"]
    for _ in range(3):
        sdk.publish(app)
    until(lambda: sdk.call("endpoint.get_stats", app, bad)["fail"] == 9)
    stats = until(lambda: (now := sdk.call("endpoint.get_stats", app, good))["success"] == 3 and now)
    assert stats == {"success": 3, "pending": 0, "fail": 0, "sending": 0, "canceled": 0}
    quiet = {"since": "2026-01-01T00:00:00+00:00", "until": "2026-01-02T00:00:00+00:00"}
    assert sdk.call("endpoint.get_stats", app, good, **quiet)["success"] == 0
    long = {"since": "2026-01-01T00:00:00+00:00", "until": "2026-03-01T00:00:00+00:00"}
    assert sdk.refused("endpoint.get_stats", app, good, **long).code == "invalid_range"


def test_times_without_an_offset(sdk, app):
    """A time without an offset, which the SDKs send as it is, is read as UTC."""
    endpoint = sdk.endpoint(app)["id"]
    window = {"since": "2026-01-01T00:00:00", "until": "2026-01-02T00:00:00"}
    assert sdk.call("endpoint.get_stats", app, endpoint, **window)["success"] == 0


def test_recovery(sdk, app, receiver):
    """Recovering makes one more attempt at what failed, none at what a later window leaves out."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/500")["id"]
    message = sdk.publish(app)["id"]
    attempts = lambda: len(sdk.call("message_attempt.list_by_msg", app, message)["data"])  # noqa: E731 - asked twice
    until(
        lambda: (
            sdk.call("message_attempt.list_attempted_destinations", app, message)["data"][0]["status"] == 2
        )
    )
    assert attempts() == 3
    sdk.call("endpoint.patch", app, endpoint, {"url": f"{receiver.url}/204"})
    old = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    sdk.call("endpoint.recover", app, endpoint, old)
    begun = sdk.call("endpoint.recover", app, endpoint, {"since": a_while_ago()})
    assert (begun["task"], begun["status"]) == ("endpoint.recover", "running")
    until(lambda: attempts() == 4)
    faults = sdk.faults("endpoint.recover", app, endpoint, {"since": "2020-01-01T00:00:00Z"})
    assert faults == [("body", "since")]


def test_earlier_names(sdk, app):
    """SDKs before 2.0 call event types and rates by other names, sent and shown."""
    if not sdk.is_first:
        pytest.skip("these names are gone from this SDK")
    sdk.event_type("one")
    made = sdk.endpoint(app, filterTypes=["one"], rateLimit=4, version=1)
    assert (made["filterTypes"], made["rateLimit"], made["throttleRate"]) == (["one"], 4, 4)
    patched = sdk.call("endpoint.patch", app, made["id"], {"filterTypes": None, "rateLimit": 5})
    assert (patched["filterTypes"], patched["rateLimit"]) == (None, 5)


def test_examples(sdk, app, receiver):
    """An example reaches the one endpoint, whatever it listens to."""
    sdk.event_type("one", schemas={"1": {"type": "object", "examples": [{"n": 1}, {"n": 2}]}})
    endpoint = sdk.endpoint(app, f"{receiver.url}/hook", channels=["none"])["id"]
    ping = sdk.call("endpoint.send_example", app, endpoint, {"eventType": "svix.ping"})
    assert ping["payload"] == {"success": True}
    second = sdk.call("endpoint.send_example", app, endpoint, {"eventType": "one", "exampleIndex": 1})
    assert second["payload"] == {"n": 2}
    receiver.until(lambda: len(receiver.ledger) == 2)
    sdk.event_type("bare")
    error = sdk.refused("endpoint.send_example", app, endpoint, {"eventType": "bare"})
    assert (error.status, error.code) == (400, "invalid_scheme")


def test_transformations(sdk, app, receiver):
    """A transformation is set and read; what arrives is what it makes, signed so that the SDK verifies it."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/hook")["id"]
    assert sdk.call("endpoint.transformation.get", app, endpoint)["enabled"] is False
    code = "{text: join(' ', [eventType, to_string(payload.n)])}"
    sdk.call("endpoint.transformation.patch", app, endpoint, {"code": code, "enabled": True})
    shown = sdk.call("endpoint.transformation.get", app, endpoint)
    assert (shown["code"], shown["enabled"]) == (code, True)
    sdk.publish(app, payload={"n": 1})
    receiver.until(lambda: receiver.ledger)
    (arrival,) = receiver.seen()
    assert arrival.body == b'{"text":"invoice.paid 1"}'
    sdk.verify(sdk.call("endpoint.get_secret", app, endpoint)["key"], arrival.body, arrival.headers)
