"""Sources and their endpoints through the official SDKs, and what comes in at an address that one of them made."""

import hashlib
import hmac
import http.client
import json
import secrets
from urllib.parse import urlsplit

from svix_sdk import until

FIELDS = ("name", "type", "uid", "metadata")


def unique(text="source"):
    """Return a uid that no other test uses."""
    return f"{text}-{secrets.token_hex(6)}"


def source(sdk, **fields):
    """Create a source that expects GitHub's signatures."""
    given = {"name": "Code", "type": "github", "config": {"secret": "s3cret"}, **fields}
    return sdk.call("ingest.source.create", given)


def knock(address, payload, secret="s3cret"):
    """Send to an address as GitHub does; return the status."""
    body = json.dumps(payload).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": secrets.token_hex(16),
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("POST", parts.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_source_life(sdk):
    """A source is made, read by id and uid, replaced with its address kept, listed, and gone after it is deleted."""
    uid = unique()
    made = source(sdk, uid=uid, metadata={"a": "b"})
    assert [made[name] for name in FIELDS] == ["Code", "github", uid, {"a": "b"}]
    assert sdk.call("ingest.source.get", uid) == sdk.call("ingest.source.get", made["id"]) == made
    body = {"name": "New", "type": "github", "uid": uid, "config": {}}
    renewed = sdk.call("ingest.source.upsert", uid, body)
    assert (renewed["name"], renewed["ingestUrl"], renewed["metadata"]) == ("New", made["ingestUrl"], {})
    page = sdk.call("ingest.source.list", limit=1, order="descending")
    assert ([row["id"] for row in page["data"]], page["iterator"]) == ([made["id"]], made["id"])
    sdk.call("ingest.source.delete", uid)
    assert sdk.refused("ingest.source.get", made["id"]).status == 404


def test_source_uids(sdk):
    """A taken uid is a conflict, one that looks like an id is refused, an upsert creates with that of the address."""
    taken = unique()
    made = source(sdk, uid=taken)
    body = {"name": "Code", "type": "github", "config": {"secret": "s"}}
    assert sdk.refused("ingest.source.create", body | {"uid": taken}).code == "conflict"
    assert sdk.faults("ingest.source.create", body | {"uid": "src_1"}) == [("body", "uid")]
    new = sdk.call("ingest.source.upsert", unique(), body)
    assert sdk.call("ingest.source.get", new["uid"])["id"] == new["id"] != made["id"]
    unknown = {"type": "cron", "config": {"schedule": "* * * * *", "payload": "x"}}
    assert sdk.faults("ingest.source.create", body | unknown)[0][:2] == ("body", "type")


def test_source_pages(sdk):
    """Sources come in pages, by their ids, either way round, forth and back."""
    # The order of ids is that of time to within 4 ms only.
    made = sorted(source(sdk)["id"] for _ in range(4))
    first = sdk.call("ingest.source.list", limit=2, order="descending")
    second = sdk.call("ingest.source.list", limit=2, order="descending", iterator=first["iterator"])
    assert [row["id"] for row in (*first["data"], *second["data"])] == made[::-1]
    back = sdk.call("ingest.source.list", limit=2, order="descending", iterator=second["prevIterator"])
    assert back["data"] == first["data"]


def test_endpoint_life(sdk):
    """An endpoint of a source has everything that Ingest's clients ask for: its life, headers, secret and rotation."""
    uid = source(sdk, uid=unique())["uid"]
    made = sdk.call("ingest.endpoint.create", uid, {"url": "https://example.com/a", "uid": "shop"})
    assert sdk.call("ingest.endpoint.get", uid, "shop") == made
    changed = {"url": "https://example.com/b", "uid": "shop", "throttleRate": 5, "description": "d"}
    assert sdk.call("ingest.endpoint.upsert", uid, "shop", changed)["id"] == made["id"]
    assert (
        sdk.call("ingest.endpoint.upsert", uid, "other", {"url": "https://example.com/c"})["uid"] == "other"
    )
    assert [row["uid"] for row in sdk.call("ingest.endpoint.list", uid)["data"]] == ["other", "shop"]
    sdk.call("ingest.endpoint.set_headers", uid, "shop", {"headers": {"x-a": "1", "authorization": "2"}})
    shown = sdk.call("ingest.endpoint.get_headers", uid, "shop")
    assert shown == {"headers": {"x-a": "1"}, "sensitive": ["authorization"]}
    key = sdk.call("ingest.endpoint.get_secret", uid, "shop")["key"]
    sdk.call("ingest.endpoint.rotate_secret", uid, "shop", {})
    assert sdk.call("ingest.endpoint.get_secret", uid, "shop")["key"] != key
    sdk.call("ingest.endpoint.delete", uid, "other")
    assert sdk.refused("ingest.endpoint.get", uid, "other").status == 404
    assert sdk.refused("ingest.endpoint.get", unique(), "shop").status == 404


def test_an_address_is_rotated(sdk):
    """The new address is shown and good, the one before stays good, and after three rotations a fourth has to wait."""
    made = source(sdk)
    addresses = [made["ingestUrl"]]
    for _ in range(3):
        rotated = sdk.call("ingest.source.rotate_token", made["id"])["ingestUrl"]
        assert sdk.call("ingest.source.get", made["id"])["ingestUrl"] == rotated
        addresses.append(rotated)
    assert [knock(address, {}) for address in addresses] == [200] * 4
    assert len(set(addresses)) == 4
    assert sdk.refused("ingest.source.rotate_token", made["id"]).status == 400


def test_what_comes_in_is_forwarded(sdk, receiver):
    """What arrives at a source's address reaches its endpoint under a signature that the SDK verifies."""
    made = source(sdk)
    sdk.call("ingest.endpoint.create", made["id"], {"url": f"{receiver.url}/{made['id']}", "uid": "shop"})
    key = sdk.call("ingest.endpoint.get_secret", made["id"], "shop")["key"]
    assert knock(made["ingestUrl"], {"ref": "main"}) == 200
    assert knock(made["ingestUrl"], {"ref": "main"}, secret="another") == 401

    def arrived():
        return next((one for one in receiver.seen() if one.path.endswith(made["id"])), None)

    arrival = until(arrived)
    assert json.loads(arrival.body) == {"ref": "main"}
    sdk.verify(key, arrival.body, arrival.headers)
