"""Messages and attempts through the official SDKs, and what arrives at receivers."""

import base64
import concurrent.futures
import json
import secrets
from datetime import UTC, datetime, timedelta

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from running import ADMIN_TOKEN, LOOPBACK, PATIENCE
from svix_sdk import SdkError, until

SUCCESS, PENDING, FAIL, SENDING = range(4)


@pytest.fixture
def app(sdk):
    return sdk.application()


def attempts_of(sdk, app, message, **options):
    return sdk.call("message_attempt.list_by_msg", app, message["id"], **options)["data"]


def rested(sdk, app, message):
    """Wait until a message has come to rest at all endpoints; return where it stands by endpoint."""

    def look():
        rows = sdk.call("message_attempt.list_attempted_destinations", app, message["id"])["data"]
        return all(row["status"] in {SUCCESS, FAIL} for row in rows) and rows

    return {row["id"]: row["status"] for row in until(look)}


def arrived(receiver, path):
    return [one for one in receiver.seen() if one.path == path]


def test_messages_are_read_and_listed(sdk, app):
    """A message is read by id and by event id, and listed; its content is shown when asked for."""
    made = sdk.call(
        "message.create",
        app,
        {"eventType": "a.b", "eventId": "evt", "channels": ["one"], "payload": {"n": 1}},
        with_content=True,
    )
    assert (made["payload"], made["eventId"], made["channels"]) == ({"n": 1}, "evt", ["one"])
    for ref in (made["id"], "evt"):
        assert sdk.call("message.get", app, ref, with_content=True) == made
        assert sdk.call("message.get", app, ref, with_content=False)["payload"] == {}
    other = sdk.publish(app, "c.d")
    found = lambda **options: {row["id"] for row in sdk.call("message.list", app, **options)["data"]}  # noqa: E731 - asked often
    assert found() == {made["id"], other["id"]}
    assert found(event_types=["a.b"]) == found(channel="one") == {made["id"]}
    assert found(event_types=["a.b", "c.d"]) == found()
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert found(after=(now - hour).isoformat(), before=(now + hour).isoformat()) == found()
    assert found(before=(now - hour).isoformat()) == set()
    assert sdk.refused("message.get", app, "nobody").status == 404


def test_tags(sdk, app, receiver):
    """Messages, an endpoint's messages and attempts are found by tag."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/200")["id"]
    plain, marked = sdk.publish(app), sdk.publish(app, tags=["plan:gold", "eu"])
    assert (plain["tags"], marked["tags"]) == (None, ["plan:gold", "eu"])
    for message in (plain, marked):
        rested(sdk, app, message)
    for method, arguments in (
        ("message.list", (app,)),
        ("message_attempt.list_attempted_messages", (app, endpoint)),
        ("message_attempt.list_by_endpoint", (app, endpoint)),
        ("message_attempt.list_by_msg", (app, marked["id"])),
    ):
        rows = sdk.call(method, *arguments, tag="eu")["data"]
        assert [row.get("msgId", row["id"]) for row in rows] == [marked["id"]], method
        assert sdk.call(method, *arguments, tag="us")["data"] == [], method
    (row,) = sdk.call("message_attempt.list_by_endpoint", app, endpoint, tag="eu", with_msg=True)["data"]
    assert (row["msg"]["id"], row["msg"]["tags"]) == (marked["id"], marked["tags"])
    body = {"eventType": "a", "payload": {}, "tags": ["no spaces"]}
    assert sdk.faults("message.create", app, body) == [("body", "tags", "0")]


def test_for_later(sdk, app, receiver):
    """A message for later is pending until its time, and arrives then; a time without an offset is UTC."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/later")["id"]
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    message = sdk.publish(app, deliverAt=at.replace(tzinfo=None).isoformat())
    told = datetime.fromisoformat(message["deliverAt"])
    assert timedelta(0) <= at - told < timedelta(milliseconds=1)
    (row,) = sdk.call("message_attempt.list_attempted_messages", app, endpoint)["data"]
    assert (row["status"], row["nextAttempt"]) == (PENDING, message["deliverAt"])
    assert sdk.call("message_attempt.list_attempted_messages", app, endpoint, status=PENDING)["data"] == [row]
    receiver.until(lambda: arrived(receiver, "/later"))
    assert datetime.now(UTC) >= told
    assert rested(sdk, app, message) == {endpoint: SUCCESS}
    for wrong in (timedelta(minutes=-2), timedelta(days=91)):
        body = {"eventType": "a", "payload": {}, "deliverAt": (at + wrong).isoformat()}
        assert sdk.faults("message.create", app, body) == [("body", "deliverAt")]
    expunged = sdk.publish(app, deliverAt=(at + timedelta(days=1)).isoformat())
    sdk.call("message.expunge_content", app, expunged["id"])
    assert sdk.call("message_attempt.list_attempted_messages", app, endpoint, status=PENDING)["data"] == []


def test_event_ids(sdk, app):
    """An event id is taken once in an application, and free in every other."""
    sdk.publish(app, eventId="evt")
    assert (
        sdk.refused("message.create", app, {"eventType": "a", "payload": {}, "eventId": "evt"}).code
        == "conflict"
    )
    sdk.publish(sdk.application(), eventId="evt")


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"eventType": "no spaces"}, ("body", "eventType")),
        ({"channels": []}, ("body", "channels")),
        ({"channels": [f"c{number}" for number in range(6)]}, ("body", "channels")),
        ({"eventId": "msg_000000000000000000000000000"}, ("body", "eventId")),
    ],
)
def test_what_is_no_message(sdk, app, fields, loc):
    """Each rule that is broken is named by its field."""
    assert sdk.faults("message.create", app, {"eventType": "a", "payload": {}} | fields) == [loc]


def test_too_large(sdk, app):
    """A message of eight megabytes is a 413 that the SDK can read."""
    error = sdk.refused("message.create", app, {"eventType": "a", "payload": {"x": "x" * 8_000_000}})
    assert (error.status, error.code) == (413, "payload_too_large")


def test_an_application_on_the_way(sdk):
    """An application given with the message is created where it is not there, and ignored where it is."""
    uid = f"inline-{secrets.token_hex(6)}"
    body = {"eventType": "a", "payload": {}}
    assert sdk.refused("message.create", uid, body).status == 404
    sdk.call("message.create", uid, body | {"application": {"name": "New", "uid": uid}})
    sdk.call("message.create", uid, body | {"application": {"name": "Other", "uid": "other"}})
    assert sdk.call("application.get", uid)["name"] == "New"
    for application, kind in (({"name": "New"}, "missing"), ({"name": "New", "uid": "other"}, "mismatch")):
        error = sdk.refused("message.create", f"{uid}-2", body | {"application": application})
        assert (error.status, error.detail[0]["type"]) == (422, f"application_uid_{kind}")


def test_the_payload_arrives_as_it_was_written(sdk, app, receiver):
    """A raw payload arrives byte for byte, signed so that the SDK's verification takes it."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/hook")["id"]
    raw = '{ "amount":  1.50,\n "note": "é" }'
    message = sdk.publish(app, payload={}, transformationsParams={"rawPayload": raw})
    receiver.until(lambda: receiver.ledger)
    (arrival,) = receiver.seen()
    assert arrival.body == raw.encode()
    assert arrival.headers["webhook-id"] == message["id"]
    assert arrival.headers["content-type"] == "application/json"
    secret = sdk.call("endpoint.get_secret", app, endpoint)["key"]
    sdk.verify(secret, arrival.body, arrival.headers)
    with pytest.raises(SdkError):
        sdk.verify(secret, arrival.body + b" ", arrival.headers)


def test_rotated_secrets_sign_along(sdk, app, receiver):
    """After two rotations all three secrets verify, until their time is over."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/hook")["id"]
    keys = [sdk.call("endpoint.get_secret", app, endpoint)["key"]]
    for _ in range(2):
        keys.append("whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())
        sdk.call("endpoint.rotate_secret", app, endpoint, {"key": keys[-1]})
    fresh = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    sdk.publish(app)
    receiver.until(lambda: receiver.ledger)
    first = receiver.seen()[0]
    for key in keys:
        sdk.verify(key, first.body, first.headers)
    sdk.call("endpoint.rotate_secret", app, endpoint, {"key": fresh, "gracePeriodSeconds": 0})
    sdk.publish(app)
    receiver.until(lambda: len(receiver.ledger) == 2)
    second = receiver.seen()[1]
    sdk.verify(fresh, second.body, second.headers)
    with pytest.raises(SdkError):
        sdk.verify(keys[-1], second.body, second.headers)


def test_both_kinds_of_signatures(sdk, app, receiver):
    """After a rotation from one kind to the other both sign, the current one first."""
    key = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    endpoint = sdk.endpoint(app, f"{receiver.url}/hook", secret=key)["id"]
    pair = Ed25519PrivateKey.generate()
    whole = pair.private_bytes_raw() + pair.public_key().public_bytes_raw()
    new = "whsk_" + base64.b64encode(whole).decode()
    sdk.call("endpoint.rotate_secret", app, endpoint, {"key": new})
    sdk.publish(app)
    receiver.until(lambda: receiver.ledger)
    (arrival,) = receiver.seen()
    sdk.verify(key, arrival.body, arrival.headers)
    current, _ = arrival.headers["webhook-signature"].split(" ")
    kind, _, signature = current.partition(",")
    told = ".".join(
        [arrival.headers["webhook-id"], arrival.headers["webhook-timestamp"], arrival.body.decode()]
    )
    assert kind == "v1a"
    pair.public_key().verify(base64.b64decode(signature), told.encode())


def test_filters(sdk, app, receiver):
    """An endpoint gets the event types and channels that it listens to; one without any gets everything."""
    sdk.event_type("one")
    wants = {
        "all": {},
        "typed": {"eventTypes": ["one"]},
        "channelled": {"channels": ["a", "b"]},
        "both": {"eventTypes": ["one"], "channels": ["b"]},
        "disabled": {"disabled": True},
    }
    for path, fields in wants.items():
        sdk.endpoint(app, f"{receiver.url}/{path}", **fields)
    told = {
        "x": sdk.publish(app, "one"),
        "y": sdk.publish(app, "two", channels=["a"]),
        "z": sdk.publish(app, "one", channels=["b", "c"]),
    }
    names = {message["id"]: name for name, message in told.items()}
    expected = {"/all": "xyz", "/typed": "xz", "/channelled": "yz", "/both": "z"}
    receiver.until(lambda: len(receiver.ledger) == sum(map(len, expected.values())))
    got = {}
    for arrival in receiver.seen():
        got.setdefault(arrival.path, set()).add(names[arrival.id])
    assert got == {path: set(letters) for path, letters in expected.items()}


def test_headers_arrive(sdk, app, receiver):
    """An endpoint's own headers arrive, given at its creation or set later."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/hook", headers={"x-born": "1"})["id"]
    sdk.call("endpoint.patch_headers", app, endpoint, {"headers": {"x-later": "two words"}})
    sdk.publish(app)
    receiver.until(lambda: receiver.ledger)
    (arrival,) = receiver.seen()
    assert (arrival.headers["x-born"], arrival.headers["x-later"]) == ("1", "two words")


@pytest.mark.parametrize(("status", "ends"), [(200, SUCCESS), (403, FAIL), (500, FAIL), (308, FAIL)])
def test_attempts_at_an_endpoint(sdk, app, receiver, status, ends):
    """One attempt where it succeeds, else one and as many as the schedule has; a redirect is not followed."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/{status}")["id"]
    message = sdk.publish(app)
    assert rested(sdk, app, message) == {endpoint: ends}
    found = attempts_of(sdk, app, message)
    assert [row["responseStatusCode"] for row in found] == [status] * (1 if ends == SUCCESS else 3)
    assert {(row["status"], row["endpointId"], row["triggerType"]) for row in found} == {(ends, endpoint, 0)}
    assert len(arrived(receiver, f"/{status}")) == len(found)


def test_attempts_at_nobody(sdk, app):
    """An endpoint that cannot be reached has attempts without a status."""
    sdk.endpoint(app, "http://127.0.0.1:9/")
    message = sdk.publish(app)
    assert set(rested(sdk, app, message).values()) == {FAIL}
    assert [row["responseStatusCode"] for row in attempts_of(sdk, app, message)] == [0, 0, 0]


def test_fan_out(sdk, app, receiver):
    """Of three endpoints one fails: only that one is tried again, and what it stands at is told meanwhile."""
    good = [sdk.endpoint(app, f"{receiver.url}/20{number}")["id"] for number in (0, 1)]
    bad = sdk.endpoint(app, f"{receiver.url}/500")["id"]
    message = sdk.publish(app)
    stands = rested(sdk, app, message)
    assert stands == {good[0]: SUCCESS, good[1]: SUCCESS, bad: FAIL}
    counts = {one: len(attempts_of(sdk, app, message, endpoint_id=one)) for one in stands}
    assert counts == {good[0]: 1, good[1]: 1, bad: 3}


def test_filters_of_attempts(sdk, app, receiver):
    """Attempts are filtered by status, class, type, channel and time, and paged there and back."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/500", uid="hook")["id"]
    failed = sdk.publish(app, "t.bad", channels=["one"])
    rested(sdk, app, failed)
    sdk.call("endpoint.patch", app, endpoint, {"url": f"{receiver.url}/200"})
    good = sdk.publish(app, "t.good", channels=["two"])
    rested(sdk, app, good)

    def found(**options):
        rows = sdk.call("message_attempt.list_by_endpoint", app, "hook", **options)["data"]
        return [row["msgId"] for row in rows]

    assert sorted(found()) == sorted([failed["id"]] * 3 + [good["id"]])
    for options in (
        {"status": FAIL},
        {"status_code_class": 500},
        {"event_types": ["t.bad"]},
        {"channel": "one"},
    ):
        assert found(**options) == [failed["id"]] * 3
    assert found(status=SUCCESS) == found(status_code_class=200) == [good["id"]]
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert len(found(after=(now - hour).isoformat(), before=(now + hour).isoformat())) == 4
    assert found(before=(now - hour).isoformat()) == []
    first = sdk.call("message_attempt.list_by_endpoint", app, "hook", limit=3)
    rest = sdk.call("message_attempt.list_by_endpoint", app, "hook", limit=3, iterator=first["iterator"])
    assert ([first["done"], rest["done"]], len(rest["data"])) == ([False, True], 1)
    back = sdk.call("message_attempt.list_by_endpoint", app, "hook", limit=3, iterator=rest["prevIterator"])
    assert back["data"] == first["data"]


def test_messages_of_an_endpoint(sdk, app, receiver):
    """An endpoint's messages are listed by its id and uid, and by how they go; what succeeded in the end counts so."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/500", uid="hook")["id"]
    failed = sdk.publish(app)
    rested(sdk, app, failed)
    sdk.call("endpoint.patch", app, endpoint, {"url": f"{receiver.url}/200"})
    sdk.call("message_attempt.resend", app, failed["id"], endpoint)
    until(lambda: rested(sdk, app, failed) == {endpoint: SUCCESS})
    good = sdk.publish(app)
    rested(sdk, app, good)

    def found(ref="hook", **options):
        rows = sdk.call("message_attempt.list_attempted_messages", app, ref, **options)["data"]
        return {row["id"] for row in rows}

    assert found() == found(endpoint) == found(status=SUCCESS) == {failed["id"], good["id"]}
    assert found(status=FAIL) == found(status=SENDING) == found(status=PENDING) == set()


def test_found_by_channel_and_event_type(sdk, app, receiver):
    """The messages of an endpoint are found by their channel and their event type, and by both."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/204")["id"]
    made = {
        name: sdk.publish(app, kind, channels=[channel])["id"]
        for name, (kind, channel) in {"x": ("one", "a"), "y": ("one", "b"), "z": ("two", "b")}.items()
    }
    names = {message: name for name, message in made.items()}

    def found(**options):
        rows = sdk.call("message_attempt.list_attempted_messages", app, endpoint, **options)["data"]
        return "".join(sorted(names[row["id"]] for row in rows))

    assert found() == "xyz"
    assert found(channel="b") == "yz"
    assert found(event_types=["one"]) == "xy"
    assert found(channel="b", event_types=["one"]) == "y"
    assert found(channel="c") == ""


def test_pages_of_attempts(sdk, app, svix_server, receiver):
    """Twenty-eight attempts at a message are walked forth and back; an empty schedule makes one at each endpoint."""
    body = {"url": f"{receiver.url}/500", "retrySchedule": []}
    for _ in range(28):  # no SDK has schedules
        requests.post(
            f"http://{LOOPBACK}:{svix_server.port}/api/v1/app/{app}/endpoint",
            json=body,
            headers={"authorization": f"Bearer {ADMIN_TOKEN}"},
            timeout=PATIENCE,
        ).raise_for_status()
    message = sdk.publish(app)
    until(lambda: len(attempts_of(sdk, app, message, limit=50)) == 28)
    assert len(arrived(receiver, "/500")) == 28

    def page(**options):
        return sdk.call("message_attempt.list_by_msg", app, message["id"], limit=10, **options)

    def ids(one):
        return [row["id"] for row in one["data"]]

    first = page()
    second = page(iterator=first["iterator"])
    third = page(iterator=second["iterator"])
    assert [len(ids(one)) for one in (first, second, third)] == [10, 10, 8]
    assert [one["done"] for one in (first, second, third)] == [False, False, True]
    assert len({*ids(first), *ids(second), *ids(third)}) == 28
    assert ids(page(iterator=third["prevIterator"])) == ids(second)
    assert ids(page(iterator=second["prevIterator"])) == ids(first)
    assert set(rested(sdk, app, message).values()) == {FAIL}


def test_a_message_on_its_way(sdk, app):
    """While an attempt is to come a message is sending, with the time of that."""
    endpoint = sdk.endpoint(app, "http://127.0.0.1:9/")["id"]
    message = sdk.publish(app)
    seen = until(
        lambda: [
            row
            for row in sdk.call("message_attempt.list_attempted_messages", app, endpoint)["data"]
            if row["status"] in {SENDING, FAIL}
        ]
    )
    assert seen[0]["id"] == message["id"]
    rested(sdk, app, message)
    (row,) = sdk.call("message_attempt.list_attempted_messages", app, endpoint, status=FAIL)["data"]
    assert (row["id"], row["nextAttempt"]) == (message["id"], None)


def test_destinations(sdk, app, receiver):
    """Where a message stands is paged by endpoint, and ``done`` is true only at the end."""
    made = {sdk.endpoint(app, f"{receiver.url}/204")["id"] for _ in range(3)}
    message = sdk.publish(app)
    rested(sdk, app, message)
    first = sdk.call("message_attempt.list_attempted_destinations", app, message["id"], limit=2)
    last = sdk.call(
        "message_attempt.list_attempted_destinations", app, message["id"], limit=2, iterator=first["iterator"]
    )
    assert (first["done"], last["done"]) == (False, True)
    assert {row["id"] for row in first["data"] + last["data"]} == made


def test_resending(sdk, app, receiver):
    """Resending makes one manual attempt, also to an endpoint that listens to other things; not to a disabled one."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/204", channels=["other"])["id"]
    message = sdk.publish(app)
    key = secrets.token_hex(8)
    for _ in range(2):
        sdk.call("message_attempt.resend", app, message["id"], endpoint, idempotency_key=key)
    rested(sdk, app, message)
    (attempt,) = until(lambda: attempts_of(sdk, app, message))
    assert attempt["triggerType"] == 1
    sdk.call("endpoint.patch", app, endpoint, {"disabled": True})
    assert sdk.refused("message_attempt.resend", app, message["id"], endpoint).code == "conflict"


def test_expunging(sdk, app, receiver):
    """What was answered and what was sent can be forgotten; a message without its payload is not sent again."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/204")["id"]
    message = sdk.publish(app)
    rested(sdk, app, message)
    (attempt,) = attempts_of(sdk, app, message)
    sdk.call("message_attempt.expunge_content", app, message["id"], attempt["id"])
    assert sdk.call("message_attempt.get", app, message["id"], attempt["id"])["response"] == "EXPUNGED"
    sdk.call("message.expunge_content", app, message["id"])
    assert sdk.call("message.get", app, message["id"], with_content=True)["payload"] == {"expired": True}
    error = sdk.refused("message_attempt.resend", app, message["id"], endpoint)
    assert (error.status, error.code) == (400, "missing_payload")


def test_deleted_ones_fall_silent(sdk, app, receiver):
    """A deleted endpoint gets nothing more; a deleted application takes nothing more."""
    endpoint = sdk.endpoint(app, f"{receiver.url}/204")["id"]
    sdk.call("endpoint.delete", app, endpoint)
    message = sdk.publish(app)
    assert sdk.call("message_attempt.list_attempted_destinations", app, message["id"])["data"] == []
    sdk.call("application.delete", app)
    assert sdk.refused("message.create", app, {"eventType": "a", "payload": {}}).status == 404


def test_a_key_used_at_once(sdk, svix_server, app):
    """Requests with one key that arrive together publish one message, and all are answered with it."""
    body = json.dumps({"eventType": "a", "payload": {"n": 1}}).encode()

    def publish(_):
        with svix_server.api() as api:
            return api.ask("POST", f"/api/v1/app/{app}/msg", body, idempotency_key="one-key")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(publish, range(16)))
    assert {status for status, _ in answers} == {202}
    assert len({answer["id"] for _, answer in answers}) == 1
    assert len(sdk.call("message.list", app)["data"]) == 1


def test_how_long_a_payload_is_kept(sdk, app):
    """The days that a payload is kept are within bounds."""
    sdk.publish(app, payloadRetentionPeriod=5)
    body = {"eventType": "a", "payload": {}, "payloadRetentionPeriod": 91}
    assert sdk.faults("message.create", app, body) == [("body", "payloadRetentionPeriod")]
