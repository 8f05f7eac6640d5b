import pytest
from management import faults, listed, made, management, walk

from ringback.signing import standard


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        yield api


EP = "/app/acme/endpoint/hook"


def test_created_and_shown(api):
    """An endpoint is answered with every field of the wire format and Ringback's own, without its secret."""
    api.event_type("invoice.paid")
    out = api.endpoint(
        "acme",
        uid="hook",
        description="d",
        eventTypes=["invoice.paid"],
        channels=["one"],
        metadata={"a": "b"},
        throttleRate=9,
        retrySchedule=[1.5, 60],
        headerFamily="svix",
    )
    assert out["id"].startswith("ep_")
    assert (out["url"], out["uid"], out["description"]) == ("https://example.com/hook", "hook", "d")
    assert (out["eventTypes"], out["channels"], out["throttleRate"]) == (["invoice.paid"], ["one"], 9)
    assert (out["disabled"], out["state"], out["disabledReason"]) == (False, "enabled", None)
    assert (out["retrySchedule"], out["headerFamily"], out["failingSince"]) == ([1.5, 60.0], "svix", None)
    assert not {"secret", "secrets", "headers"} & out.keys()
    assert api.get(EP).json == out
    assert listed(api.get("/app/acme/endpoint"))["data"] == [out]


def test_newest_first(api):
    """Endpoints are listed newest first, unless asked otherwise."""
    made_ids = sorted(api.endpoint("acme")["id"] for _ in range(5))
    pages = walk(api, "/app/acme/endpoint", "limit=2")
    assert [row["id"] for page in pages for row in page["data"]] == made_ids[::-1]
    back = listed(api.get("/app/acme/endpoint", f"limit=2&iterator={pages[2]['prevIterator']}"))
    assert [row["id"] for row in back["data"]] == made_ids[::-1][2:4]
    pages = walk(api, "/app/acme/endpoint", "limit=2&order=ascending")
    assert [row["id"] for page in pages for row in page["data"]] == made_ids


def test_put_keeps_what_svix_clients_cannot_send(api):
    """PUT replaces; the secret stays, and so do headers, schedule and header family unless they are given."""
    api.endpoint("acme", uid="hook", retrySchedule=[1], headerFamily="svix", headers={"x-a": "b"})
    key = api.get(f"{EP}/secret").json
    put = api.put(EP, {"url": "https://example.com/new", "uid": "hook"})
    assert put.status_code == 200
    assert (put.json["url"], put.json["retrySchedule"], put.json["headerFamily"]) == (
        "https://example.com/new",
        [1.0],
        "svix",
    )
    assert api.get(f"{EP}/headers").json["headers"] == {"x-a": "b"}
    assert api.get(f"{EP}/secret").json == key
    put = api.put(EP, {"url": "https://example.com/new", "uid": "hook", "retrySchedule": None})
    assert put.json["retrySchedule"] is None
    assert faults(api.put(EP, {"url": "https://example.com", "secret": "whsec_x"})) == [("body", "secret")]
    new = api.put("/app/acme/endpoint/other", {"url": "https://example.com/o"})
    assert (new.status_code, new.json["uid"]) == (201, "other")


def test_patch(api):
    """PATCH leaves what is absent, clears what is null; the secret cannot be patched."""
    api.endpoint("acme", uid="hook", throttleRate=4, channels=["one"], description="d")
    patched = api.patch(EP, {"throttleRate": None, "channels": None}).json
    assert (patched["throttleRate"], patched["channels"], patched["description"]) == (None, None, "d")
    assert api.patch(EP, {"disabled": True}).json["state"] == "disabled"
    disabled = api.get(EP).json
    assert (disabled["disabled"], disabled["disabledReason"]) == (True, "manual")
    assert api.patch(EP, {"disabled": False}).json["state"] == "enabled"
    assert faults(api.patch(EP, {"secret": "whsec_x"})) == [("body", "secret")]
    assert faults(api.patch(EP, {"url": None})) == [("body", "url")]


def test_pause_and_resume(api):
    """A paused endpoint says so until it is resumed; a disabled one cannot be paused."""
    api.endpoint("acme", uid="hook")
    paused = api.post(f"{EP}/pause")
    assert (paused.status_code, paused.json["state"], paused.json["disabled"]) == (200, "paused", False)
    assert api.patch(EP, {"description": "still"}).json["state"] == "paused"
    assert api.post(f"{EP}/resume").json["state"] == "enabled"
    api.patch(EP, {"disabled": True})
    assert api.post(f"{EP}/pause").status_code == 409


def test_secret(api):
    """A given secret is shown as it is, of an Ed25519 pair only the public half."""
    secret = "whsec_" + "A" * 32
    api.endpoint("acme", uid="hook", secret=secret)
    assert api.get(f"{EP}/secret").json == {"key": secret}
    pair = standard.asymmetric_secret(bytes(32))
    public = standard.shown_key(pair)
    assert public.startswith("whpk_")
    api.endpoint("acme", uid="signed", secret=pair)
    assert api.get("/app/acme/endpoint/signed/secret").json == {"key": public}
    generated = api.endpoint("acme")
    assert api.get(f"/app/acme/endpoint/{generated['id']}/secret").json["key"].startswith("whsec_")


def test_rotate(api):
    """Rotation answers with the new key, given or generated; with ten old ones alive it is a 400."""
    api.endpoint("acme", uid="hook")
    before = api.get(f"{EP}/secret").json
    rotated = api.post(f"{EP}/secret/rotate", {})
    assert rotated.status_code == 200
    assert rotated.json != before
    assert api.get(f"{EP}/secret").json == rotated.json
    given = "whsec_" + "B" * 32
    assert api.post(f"{EP}/secret/rotate", {"key": given}).json == {"key": given}
    assert faults(api.post(f"{EP}/secret/rotate", {"key": given})) == [("body", "key")]
    assert faults(api.post(f"{EP}/secret/rotate", {"gracePeriodSeconds": -1})) == [
        ("body", "gracePeriodSeconds")
    ]
    while (result := api.post(f"{EP}/secret/rotate")).status_code == 200:
        pass
    assert (result.status_code, result.json["code"]) == (400, "limit_reached")


def test_headers(api):
    """Own headers are set, merged and removed whatever their case; sensitive values are never shown."""
    api.endpoint("acme", uid="hook")
    assert api.get(f"{EP}/headers").json == {"headers": {}, "sensitive": []}
    put = api.put(
        f"{EP}/headers", {"headers": {"X-One": "1", "Authorization": "Bearer s3cret", "X-Two": "2"}}
    )
    assert (put.status_code, put.content) == (204, b"")
    shown = api.get(f"{EP}/headers")
    assert shown.json == {"headers": {"X-One": "1", "X-Two": "2"}, "sensitive": ["Authorization"]}
    assert "s3cret" not in shown.text
    assert api.patch(f"{EP}/headers", {"headers": {"x-one": "uno", "X-Two": None}}).status_code == 204
    assert api.get(f"{EP}/headers").json == {"headers": {"x-one": "uno"}, "sensitive": ["Authorization"]}
    patch = {"headers": {}, "deleteHeaders": ["authorization", "x-unknown"]}
    assert api.patch(f"{EP}/headers", patch).status_code == 204
    assert api.get(f"{EP}/headers").json == {"headers": {"x-one": "uno"}, "sensitive": []}


@pytest.mark.parametrize("name", ["content-length", "webhook-id", "bad name", ""])
def test_bad_headers(api, name):
    """Headers that Ringback or HTTP needs for itself are refused by PUT and PATCH alike."""
    api.endpoint("acme", uid="hook")
    assert api.put(f"{EP}/headers", {"headers": {name: "x"}}).status_code == 422
    assert api.patch(f"{EP}/headers", {"headers": {name: "x"}}).status_code == 422


def test_recover(api):
    """Recovery is accepted for up to 14 days; its times may lack an offset and are UTC then."""
    api.endpoint("acme", uid="hook")
    body = {"since": "2026-01-01T00:00:00", "until": "2026-01-02T00:00:00Z"}
    recovery = api.post(f"{EP}/recover", body)
    assert recovery.status_code == 202
    assert recovery.json["id"].startswith("qtask_")
    assert (recovery.json["status"], recovery.json["task"]) == ("running", "endpoint.recover")
    assert faults(api.post(f"{EP}/recover", {"since": "2020-01-01T00:00:00Z"})) == [("body", "since")]
    assert faults(api.post(f"{EP}/recover", {"since": "yesterday"})) == [("body", "since")]
    assert faults(api.post(f"{EP}/recover", {})) == [("body", "since")]
    assert faults(api.post(f"{EP}/recover", {"since": "9999-01-01T00:00:00Z"})) == [("body", "since")]
    api.patch(EP, {"disabled": True})
    assert api.post(f"{EP}/recover", body).status_code == 409


def test_delete(api):
    """A deleted endpoint is gone, and its uid is free."""
    api.endpoint("acme", uid="hook")
    assert api.delete(EP).status_code == 204
    assert api.get(EP).status_code == 404
    api.endpoint("acme", uid="hook")


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ("body", "url")),
        ({"url": "ftp://example.com"}, ("body", "url")),
        ({"url": "https://example.com", "eventTypes": []}, ("body", "eventTypes")),
        ({"url": "https://example.com", "eventTypes": ["unknown"]}, ("body", "eventTypes", 0)),
        ({"url": "https://example.com", "channels": ["a", "b c"]}, ("body", "channels", 1)),
        ({"url": "https://example.com", "channels": ["a", 1]}, ("body", "channels", 1)),
        ({"url": "https://example.com", "secret": "short"}, ("body", "secret")),
        ({"url": "https://example.com", "retrySchedule": [-1]}, ("body", "retrySchedule")),
        ({"url": "https://example.com", "retrySchedule": [1e308]}, ("body", "retrySchedule")),
        ({"url": "https://example.com", "headerFamily": "x"}, ("body", "headerFamily")),
        ({"url": "https://example.com", "headers": {"x-a": "b\r\nc"}}, ("body", "headers", "x-a")),
    ],
)
def test_bad_body(api, body, loc):
    """A body that breaks a rule is a 422 that names the field."""
    assert faults(api.post("/app/acme/endpoint", body)) == [loc]


def test_unknown_application(api):
    """Everything under an unknown application is a 404."""
    assert api.get("/app/none/endpoint").status_code == 404
    assert api.post("/app/none/endpoint", {"url": "https://example.com"}).status_code == 404
    assert api.put("/app/none/endpoint/x", {"url": "https://example.com"}).status_code == 404


def test_tenants_do_not_see_each_other(api):
    """An endpoint is not found through another application, by id or by uid."""
    api.application(uid="other")
    endpoint = made(api.post("/app/acme/endpoint", {"url": "https://example.com", "uid": "hook"}))
    for ref in (endpoint["id"], "hook"):
        assert api.get(f"/app/other/endpoint/{ref}").status_code == 404
        assert api.patch(f"/app/other/endpoint/{ref}", {"description": "x"}).status_code == 404
        assert api.delete(f"/app/other/endpoint/{ref}").status_code == 404


def test_an_endpoint_may_have_an_order(api):
    """It is off unless asked for, a PUT without it keeps it, and null is no answer to the question."""
    assert api.endpoint("acme")["ordered"] is False
    assert api.endpoint("acme", uid="hook", ordered=True)["ordered"] is True
    put = api.put(EP, {"url": "https://example.com/new"})
    assert (put.json["url"], put.json["ordered"]) == ("https://example.com/new", True)
    assert api.put(EP, {"url": "https://example.com/new", "ordered": False}).json["ordered"] is False
    assert api.patch(EP, {"ordered": True}).json["ordered"] is True
    assert api.patch(EP, {"description": "d"}).json["ordered"] is True
    for body in ({"ordered": None}, {"ordered": "yes"}):
        assert faults(api.patch(EP, body)) == [("body", "ordered")]


@pytest.mark.parametrize("delay", [-1, -1e308, 7 * 24 * 3600 + 0.001, 1e308])
def test_a_delay_out_of_bounds(api, delay):
    """However far out a delay is, what is told is how far it may be."""
    body = {"url": "https://example.com", "retrySchedule": [delay]}
    (fault,) = api.post("/app/acme/endpoint", body).json["detail"]
    assert fault["msg"] == "each delay of a retry schedule is between 0 and 7 days"


def test_a_retry_schedule_of_its_own(api):
    """Absent it stays as it is, null is the server's, an empty list a single attempt; at creation, PUT and PATCH."""
    url = {"url": "https://example.com/hook"}
    assert api.endpoint("acme")["retrySchedule"] is None
    assert api.endpoint("acme", retrySchedule=[])["retrySchedule"] == []
    assert api.endpoint("acme", uid="hook", retrySchedule=[0, 0.5, 604_800])["retrySchedule"] == [
        0.0,
        0.5,
        604_800.0,
    ]
    for change, kept in ((api.put, url), (api.patch, {"description": "d"})):
        assert change(EP, kept).json["retrySchedule"] == [0.0, 0.5, 604_800.0]
        assert change(EP, {**url, "retrySchedule": None}).json["retrySchedule"] is None
        assert change(EP, {**url, "retrySchedule": []}).json["retrySchedule"] == []
        assert change(EP, kept).json["retrySchedule"] == []
        for wrong in ([-1], [604_801], [1] * 51, ["1s"], "default", [None]):
            assert faults(change(EP, {**url, "retrySchedule": wrong}))[0][:2] == ("body", "retrySchedule")
        assert change(EP, {**url, "retrySchedule": [0, 0.5, 604_800]}).status_code == 200


def test_no_headers(api):
    """An endpoint without headers of its own may say null, as it may of its metadata; a change to null removes them."""
    endpoint = api.endpoint("acme", uid="bare", headers=None, metadata=None)
    path = f"/app/acme/endpoint/{endpoint['id']}"
    assert api.get(f"{path}/headers").json["headers"] == {}
    assert api.patch(path, {"headers": {"x-a": "b"}}).status_code == 200
    assert api.get(f"{path}/headers").json["headers"] == {"x-a": "b"}
    assert api.patch(path, {"headers": None}).status_code == 200
    assert api.get(f"{path}/headers").json["headers"] == {}


def test_passwords_in_addresses(api):
    """Who may not change an endpoint is not shown the password in its URL, and no attempt shows it to anybody."""
    url, masked = "https://shop:s3cret@example.com/hook", "https://shop:********@example.com/hook"
    api.endpoint("acme", uid="hook", url=url)
    message = api.message("acme")["id"]
    api.attempt()
    for token, shown in (
        (api.key("admin"), url),
        (api.key("portal", app="acme"), url),
        (api.key("read", "manage-endpoints"), url),
        (api.key("read"), masked),
        (api.key("read", "redeliver", app="acme"), masked),
    ):
        (row,) = listed(api.get("/app/acme/endpoint", token=token))["data"]
        assert row["url"] == api.get(EP, token=token).json["url"] == shown
        for path in ("attempt/endpoint/hook", f"attempt/msg/{message}", f"msg/{message}/endpoint"):
            answer = listed(api.get(f"/app/acme/{path}", token=token))
            assert [one["url"] for one in answer["data"]] == [masked]
            assert "s3cret" not in str(answer)
    transformer = api.key("manage-transformations", app="acme")
    body = {"code": "payload", "eventType": "a", "payload": {}}
    simulated = api.post(f"{EP}/transformation/simulate", body, token=transformer)
    assert (simulated.status_code, simulated.json["url"]) == (200, masked)


def test_what_was_shown_masked_comes_back(api):
    """A URL that comes back as it was shown keeps its password; one that leads elsewhere does not get it."""
    url, masked = "https://shop:s3cret@example.com/hook", "https://shop:********@example.com/hook"
    api.endpoint("acme", uid="hook", url=url)
    for change in (
        lambda: api.put(EP, {"url": masked, "description": "new"}),
        lambda: api.patch(EP, {"url": masked}),
        lambda: api.patch(EP, {"description": "newer"}),
    ):
        assert change().json["url"] == url
    assert api.patch(EP, {"url": masked.replace("/hook", "/other")}).json["url"] == url.replace(
        "/hook", "/other"
    )
    for elsewhere in ("https://shop:********@other.example/hook", "https://else:********@example.com/hook"):
        assert faults(api.put(EP, {"url": elsewhere})) == [("body", "url")]
        assert faults(api.patch(EP, {"url": elsewhere})) == [("body", "url")]


def test_a_canary_goes_past_a_pause(api):
    """The oldest message that waits is sent at once, by hand, and the answer is the attempt; then nothing waits."""
    endpoint = api.endpoint("acme", uid="hook")["id"]
    assert api.post(f"{EP}/canary").status_code == 409
    api.post(f"{EP}/pause")
    nothing = api.post(f"{EP}/canary")
    assert (nothing.status_code, nothing.json["detail"][:16]) == (409, "no message waits")
    message = api.message("acme")["id"]
    sent = api.post(f"{EP}/canary")
    assert (sent.status_code, sent.json["msgId"], sent.json["endpointId"]) == (200, message, endpoint)
    assert (sent.json["responseStatusCode"], sent.json["triggerType"]) == (204, 1)
    assert [one["id"] for one in api.get(f"/app/acme/attempt/msg/{message}").json["data"]] == [
        sent.json["id"]
    ]
    assert api.post(f"{EP}/canary").status_code == 409
    assert api.post("/app/acme/endpoint/nobody/canary").status_code == 404
