"""Sources over the API: the shapes of Svix Ingest, what is refused, and that no secret ever comes back."""

import pytest
from falcon.inspect import inspect_routes
from management import BASE, faults, listed, made, management
from svix.models import IngestSourceIn, IngestSourceOut

from ringback.providers import PROVIDERS
from ringback.providers.ingest_types import INGEST_TYPES

SOURCES = "/ingest/api/v1/source"
SECRET = "whsec_" + "A" * 32


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def create(api, *, kind="stripe", secret=SECRET, **fields):
    """Create a source."""
    body = {"name": "Pay", "type": kind, "config": {"secret": secret}, **fields}
    return made(api.send("POST", SOURCES, body))


def stored(api, ref):
    """Return a source as the store has it."""
    return api.committer.read(lambda store: store.source(ref)).result()


def test_created_and_shown(api):
    """A source is answered with its address and all that was given, without its secrets."""
    ack = {"status": 202, "body": "OK", "contentType": "text/plain"}
    config = {
        "secrets": [SECRET, "second"],
        "url": "https://shop.example/x",
        "options": {"tolerance": "1m"},
        "ack": ack,
    }
    out = create(api, uid="pay", config=config, metadata={"a": "b"})
    assert out["id"].startswith("src_")
    assert (out["uid"], out["name"], out["type"], out["provider"]) == ("pay", "Pay", "stripe", "stripe")
    assert out["metadata"] == {"a": "b"}
    assert out["config"] == {"secretCount": 2, "url": config["url"], "options": config["options"], "ack": ack}
    assert out["ingestUrl"] == f"http://falconframework.org/in/{stored(api, 'pay').token}"
    for ref in ("pay", out["id"]):
        shown = api.send("GET", f"{SOURCES}/{ref}")
        assert shown.json == out
        assert SECRET not in shown.text
    assert stored(api, "pay").secrets == (SECRET, "second")
    assert listed(api.send("GET", SOURCES))["data"] == [out]


def test_svix_clients_understand(api):
    """What the official client sends is accepted, and its model reads what is answered, type included."""
    for kind in INGEST_TYPES:
        sent = IngestSourceIn(name="n", type=kind, config={"secret": SECRET, "verify_token": "v"})
        body = sent.model_dump(mode="json", by_alias=True, exclude_unset=True)
        body["config"] = {"secret": SECRET}
        answer = made(api.send("POST", SOURCES, body))
        assert answer["provider"] == INGEST_TYPES[kind]
        read = IngestSourceOut.model_validate(answer)
        assert (read.type, read.ingest_url) == (kind, answer["ingestUrl"])


def test_every_provider_is_a_type(api):
    """Ringback's own names of providers are types as they are; an unknown type is a 422 that lists them all."""
    for name in PROVIDERS:
        assert create(api, kind=name)["type"] == name
    refused = api.send("POST", SOURCES, {"name": "n", "type": "gopher", "config": {"secret": "s"}})
    assert faults(refused) == [("body", "type")]
    assert all(name in refused.text for name in (*PROVIDERS, *INGEST_TYPES))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, ("body", "name")),
        ({"uid": "src_mine"}, ("body", "uid")),
        ({"uid": "a/b"}, ("body", "uid")),
        ({"config": {}}, ("body", "config", "secrets")),
        ({"config": {"secrets": [""]}}, ("body", "config", "secrets", 0)),
        ({"config": {"secrets": ["s"] * 21}}, ("body", "config", "secrets")),
        ({"config": {"secret": "s", "colour": "red"}}, ("body", "config", "colour")),
        ({"config": {"secret": "s", "url": "ftp://x"}}, ("body", "config", "url")),
        ({"config": {"secret": "s", "options": {"colour": "red"}}}, ("body", "config", "options", "colour")),
        (
            {"config": {"secret": "s", "options": {"tolerance": "?"}}},
            ("body", "config", "options", "tolerance"),
        ),
        ({"config": {"secret": "s", "ack": {"status": 302}}}, ("body", "config", "ack", "status")),
        ({"config": {"secret": "s", "ack": {"status": 204, "body": "x"}}}, ("body", "config", "ack", "body")),
        (
            {"config": {"secret": "s", "ack": {"contentType": "a\r\nb: c"}}},
            ("body", "config", "ack", "contentType"),
        ),
        ({"metadata": {"a": "b" * 5000}}, ("body", "metadata")),
        ({"secret": "s"}, ("body", "secret")),
    ],
)
def test_refused(api, changes, fault):
    """What does not obey the rules is a 422 that names the field as it was sent."""
    body = {"name": "n", "type": "stripe", "config": {"secret": "s"}} | changes
    assert faults(api.send("POST", SOURCES, body)) == [fault]
    assert listed(api.send("GET", SOURCES))["data"] == []


def test_idempotency(api):
    """Creating again with the same key makes nothing; with other content it is a 409, as is a taken uid."""
    body = {"name": "n", "type": "stripe", "uid": "pay", "config": {"secret": "s"}}
    first, second = (api.send("POST", SOURCES, body, headers={"idempotency-key": "k"}) for _ in range(2))
    assert first.json == second.json
    other = api.send("POST", SOURCES, body | {"name": "o"}, headers={"idempotency-key": "k"})
    assert other.status_code == 409
    assert api.send("POST", SOURCES, body).status_code == 409
    api.send("DELETE", f"{SOURCES}/pay")
    again = made(api.send("POST", SOURCES, body, headers={"idempotency-key": "k"}))
    assert again["id"] != first.json["id"]


def test_pages(api):
    """Sources are listed oldest first, page by page."""
    made_ids = sorted(create(api)["id"] for _ in range(5))
    first = listed(api.send("GET", SOURCES, query="limit=3"))
    rest = listed(api.send("GET", SOURCES, query=f"limit=3&iterator={first['iterator']}"))
    assert [row["id"] for row in first["data"] + rest["data"]] == made_ids
    assert (first["done"], rest["done"]) == (False, True)
    newest = listed(api.send("GET", SOURCES, query="order=descending&limit=1"))
    assert newest["data"][0]["id"] == made_ids[-1]


def test_put(api):
    """PUT replaces a source, whose address and secrets stay, and makes one with the uid of the path."""
    before = create(api, uid="pay", metadata={"a": "b"})
    after = api.send("PUT", f"{SOURCES}/pay", {"name": "New", "type": "stripe", "uid": "pay"})
    assert after.status_code == 200
    assert (after.json["name"], after.json["metadata"]) == ("New", {})
    assert (after.json["id"], after.json["ingestUrl"]) == (before["id"], before["ingestUrl"])
    assert stored(api, "pay").secrets == (SECRET,)
    body = {"name": "n", "type": "stripe", "config": {"secret": "other"}}
    assert made(api.send("PUT", f"{SOURCES}/pay", body | {"uid": "pay"}))["config"]["secretCount"] == 1
    assert stored(api, "pay").secrets == ("other",)
    created = api.send("PUT", f"{SOURCES}/second", body)
    assert (created.status_code, created.json["uid"]) == (201, "second")
    assert api.send("PUT", f"{SOURCES}/src_{'0' * 27}", body).status_code == 404


def test_another_provider_needs_another_secret(api):
    """The secrets of one provider are never taken for those of another."""
    create(api, uid="pay")
    body = {"name": "n", "type": "github", "uid": "pay"}
    assert faults(api.send("PUT", f"{SOURCES}/pay", body)) == [("body", "config", "secrets")]
    assert faults(api.send("PATCH", f"{SOURCES}/pay", {"type": "github"})) == [("body", "config", "secrets")]
    changed = api.send("PATCH", f"{SOURCES}/pay", {"type": "github", "config": {"secret": "s"}})
    assert (changed.json["type"], stored(api, "pay").secrets) == ("github", ("s",))


def test_patch(api):
    """PATCH changes what is given, and null takes an acknowledgement or address away."""
    config = {"secret": SECRET, "url": "https://shop.example/x", "ack": {"body": "OK"}}
    create(api, uid="pay", kind="clerk", config=config)
    patched = api.send("PATCH", f"{SOURCES}/pay", {"config": {"ack": None}, "name": "New"}).json
    assert (patched["name"], patched["type"], patched["uid"]) == ("New", "clerk", "pay")
    assert (patched["config"]["ack"], patched["config"]["url"]) == (None, config["url"])
    assert api.send("PATCH", f"{SOURCES}/pay", {"config": {"url": None}}).json["config"]["url"] is None
    assert stored(api, "pay").secrets == (SECRET,)
    assert faults(api.send("PATCH", f"{SOURCES}/pay", {"name": None})) == [("body", "name")]


def test_meta_has_two_secrets(api):
    """A verify token is kept as the secret that Meta's handshake is answered by."""
    create(api, uid="whatsapp", kind="meta", config={"secret": "app", "verifyToken": "hello"})
    assert stored(api, "whatsapp").secrets == ("app", "verify_token:hello")


def test_rotation(api):
    """A rotated token makes another address, once for each idempotency key."""
    before = create(api, uid="pay")
    rotated = api.send("POST", f"{SOURCES}/pay/token/rotate")
    assert (rotated.status_code, set(rotated.json)) == (200, {"ingestUrl"})
    assert rotated.json["ingestUrl"] != before["ingestUrl"]
    assert api.send("GET", f"{SOURCES}/pay").json["ingestUrl"] == rotated.json["ingestUrl"]
    keyed = {"idempotency-key": "once"}
    first, second = (
        api.send("POST", f"{SOURCES}/pay/token/rotate", {}, headers=keyed).json for _ in range(2)
    )
    assert first == second != rotated.json
    for seconds in (-1, 604_801):
        answer = api.send("POST", f"{SOURCES}/pay/token/rotate", {"gracePeriodSeconds": seconds})
        assert faults(answer) == [("body", "gracePeriodSeconds")]


def test_deleted(api):
    """A deleted source is gone, with all that is below its address."""
    create(api, uid="pay")
    assert api.send("DELETE", f"{SOURCES}/pay").status_code == 204
    for path in ("", "/endpoint", "/msg", "/refusal", "/dead-letter", "/held"):
        assert (
            api.send(
                "GET", f"{SOURCES}/pay{path}", query="reason=unhandled" if path == "/held" else ""
            ).status_code
            == 404
        )
    assert api.send("DELETE", f"{SOURCES}/pay").status_code == 404


def test_the_public_address(tmp_path):
    """Where the server's public address is known, sources' addresses are below it."""
    with management(tmp_path, public_url="https://hooks.example.com") as api:
        assert create(api)["ingestUrl"].startswith("https://hooks.example.com/in/ringback_in_")


def test_nobody_without_a_token(api):
    """Every address of sources wants a token."""
    for route in inspect_routes(api.app):
        if route.path.startswith(SOURCES):
            path = route.path.replace("{source}", "pay").replace("{", "").replace("}", "")
            assert api.send(route.methods[0].method, path, token=None).status_code == 401


def test_a_source_is_no_application(api):
    """No address of applications leads to a source: each answers 404, whatever is asked."""
    source = create(api)["id"]
    endpoint = made(api.send("POST", f"{SOURCES}/{source}/endpoint", {"url": "https://example.com"}))["id"]
    bodies = {"endpoint": {"url": "https://example.com"}, "app": {"name": "n"}}
    tried = 0
    for route in inspect_routes(api.app):
        if not route.path.startswith(f"{BASE}/app/{{app}}"):
            continue
        path = (
            route.path.replace("{app}", source)
            .replace("{ep}", endpoint)
            .replace("{msg}", "m")
            .replace("{att}", "a")
        )
        for method in route.methods:
            if not method.internal:
                body = bodies.get(path.rpartition("/")[2], bodies["app"])
                answer = api.send(
                    method.method, path, body if method.method in {"POST", "PUT", "PATCH"} else None
                )
                assert answer.status_code == 404, (method.method, path)
                assert method.method == "HEAD" or answer.json["code"] == "not_found"
                tried += 1
    assert tried > 20
    assert listed(api.get("/app"))["data"] == []
    assert listed(api.send("GET", f"{SOURCES}/{source}/endpoint"))["data"][0]["url"] == "https://example.com"


def test_no_application_looks_like_a_source(api):
    """A uid in the form of a source's id, which would lead nowhere, is refused."""
    source = create(api)["id"]
    assert faults(api.post("/app", {"name": "n", "uid": source})) == [("body", "uid")]
