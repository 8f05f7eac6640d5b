import pytest
from management import faults, listed, made, management, walk


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def test_created_and_shown(api):
    """An application is answered with every field of the wire format, and shown the same by id and by uid."""
    out = api.application(name="Acme", uid="acme", throttleRate=5, metadata={"plan": "gold"})
    assert out["id"].startswith("app_")
    assert (out["name"], out["uid"], out["throttleRate"]) == ("Acme", "acme", 5)
    assert out["metadata"] == {"plan": "gold"}
    assert out["createdAt"] == out["updatedAt"]
    assert out["createdAt"].endswith("Z")
    assert api.get(f"/app/{out['id']}").json == out
    assert api.get("/app/acme").json == out
    assert api.get("/app/acme/").json == out


def test_uid_is_unique(api):
    """A uid that is taken is a 409, unless get_if_exists asks for the application that has it."""
    first = api.application(uid="acme")
    again = api.post("/app", {"name": "Other", "uid": "acme"})
    assert (again.status_code, again.json["code"]) == (409, "conflict")
    found = api.post("/app", {"name": "Other", "uid": "acme"}, query="get_if_exists=true")
    assert (found.status_code, found.json) == (200, first)


def test_idempotency_key(api):
    """Creating again with the same key answers with the first; the same key for something else is a 409."""
    headers = {"idempotency-key": "k1"}
    first = api.post("/app", {"name": "Acme"}, headers=headers)
    assert api.post("/app", {"name": "Acme"}, headers=headers).json == first.json
    assert api.post("/app", {"name": "Other"}, headers=headers).status_code == 409
    assert len(listed(api.get("/app"))["data"]) == 1


def test_put_replaces_or_creates(api):
    """PUT replaces every field; at an unknown uid it creates, taking the uid from the path."""
    new = api.put("/app/acme", {"name": "Acme", "metadata": {"a": "b"}})
    assert (new.status_code, new.json["uid"]) == (201, "acme")
    old = api.put("/app/acme", {"name": "Acme 2", "uid": "acme"})
    assert (old.status_code, old.json["id"]) == (200, new.json["id"])
    assert (old.json["name"], old.json["metadata"]) == ("Acme 2", {})
    assert faults(api.put("/app/other", {"name": "x", "uid": "different"})) == [("body", "uid")]


def test_put_keeps_the_uid_of_its_address(api):
    """However often it is sent, there is one application; by its id, a PUT without a uid takes that away."""
    first, *more = (api.put("/app/put-often", {"name": "Often"}) for _ in range(3))
    assert (first.status_code, {one.status_code for one in more}) == (201, {200})
    assert {one.json["id"] for one in more} == {first.json["id"]}
    assert {one.json["uid"] for one in more} == {"put-often"}
    assert api.put(f"/app/{first.json['id']}", {"name": "Often"}).json["uid"] is None


def test_patch_tells_absent_from_null(api):
    """PATCH leaves what is absent, clears what is null, and refuses null where something must be."""
    api.application(uid="acme", throttleRate=5, metadata={"a": "b"})
    assert api.patch("/app/acme", {"name": "New"}).json["throttleRate"] == 5
    patched = api.patch("/app/acme", {"throttleRate": None})
    assert (patched.json["throttleRate"], patched.json["name"], patched.json["uid"]) == (None, "New", "acme")
    assert faults(api.patch("/app/acme", {"name": None})) == [("body", "name")]
    assert faults(api.patch("/app/acme", {"colour": "red"})) == [("body", "colour")]
    cleared = api.patch("/app/acme", {"uid": None})
    assert cleared.json["uid"] is None
    assert api.get("/app/acme").status_code == 404


def test_delete(api):
    """A deleted application is gone, and its uid is free."""
    api.application(uid="acme")
    deleted = api.delete("/app/acme")
    assert (deleted.status_code, deleted.content) == (204, b"")
    gone = api.get("/app/acme")
    assert (gone.status_code, gone.json["code"]) == (404, "not_found")
    api.application(uid="acme")


def test_pages_forward_and_back(api):
    """Pages cover a list once in order; prevIterator leads back; done tells the truth in both directions."""
    created = [api.application()["id"] for _ in range(7)]
    whole = sorted(created)
    pages = walk(api, "/app", "limit=3")
    assert [row["id"] for page in pages for row in page["data"]] == whole
    assert [page["done"] for page in pages] == [False, False, True]
    assert pages[-1]["iterator"] == whole[-1]
    back = listed(api.get("/app", f"limit=3&iterator={pages[2]['prevIterator']}"))
    assert [row["id"] for row in back["data"]] == whole[3:6]
    assert not back["done"]
    first = listed(api.get("/app", f"limit=3&iterator={back['prevIterator']}"))
    assert ([row["id"] for row in first["data"]], first["done"]) == (whole[:3], True)
    descending = walk(api, "/app", "limit=3&order=descending")
    assert [row["id"] for page in descending for row in page["data"]] == whole[::-1]


def test_full_page_is_done(api):
    """A page that holds exactly the rest of the list says so; an empty list has null iterators."""
    assert listed(api.get("/app")) == {"data": [], "iterator": None, "prevIterator": None, "done": True}
    for _ in range(3):
        api.application()
    assert listed(api.get("/app", "limit=3"))["done"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("order=up", "order"),
        ("iterator=ep_0000000000000000000000000000", "iterator"),
        ("iterator=app_short", "iterator"),
        ("iterator=", "iterator"),
        ("colour=red", "colour"),
    ],
)
def test_bad_query(api, query, field):
    """A query parameter that is unknown, repeated or out of range is a 422 that names it."""
    assert faults(api.get("/app", query)) == [("query", field)]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ("body", "name")),
        ({"name": ""}, ("body", "name")),
        ({"name": "a\u0001b"}, ("body", "name")),
        ({"name": "a", "uid": "no spaces"}, ("body", "uid")),
        ({"name": "a", "uid": "app_1"}, ("body", "uid")),
        ({"name": "a", "throttleRate": 0}, ("body", "throttleRate")),
        ({"name": "a", "throttleRate": 10**30}, ("body", "throttleRate")),
        ({"name": "a", "throttleRate": 1.5}, ("body", "throttleRate")),
        ({"name": "a", "metadata": {"a": 1}}, ("body", "metadata")),
        ({"name": "a", "metadata": {"a": "x" * 5000}}, ("body", "metadata")),
        ({"name": 1}, ("body", "name")),
        ({"name": "a", "throttle_rate": 1}, ("body", "throttle_rate")),
        ([], ("body",)),
    ],
)
def test_bad_body(api, body, loc):
    """A body that breaks a rule is a 422 that names the field, and nothing is stored."""
    assert faults(api.post("/app", body)) == [loc]
    assert listed(api.get("/app"))["data"] == []


def test_every_fault_at_once(api):
    """All faults of a body are told in one answer."""
    result = api.post("/app", {"name": "", "uid": "?", "throttleRate": -1})
    assert faults(result) == [("body", "name"), ("body", "uid"), ("body", "throttleRate")]
    assert all(fault["msg"] and fault["type"] == "value_error" for fault in result.json["detail"])


def test_made_is_what_is_listed(api):
    """A list shows an application exactly as it was answered when it was made."""
    out = made(api.post("/app", {"name": "Ünï ✓"}))
    assert listed(api.get("/app"))["data"] == [out]


def test_leaving_out_by_endpoints(api):
    """Applications without endpoints are left out on request, and those with none but disabled ones."""
    for uid, disabled in (("none", []), ("idle", [True, True]), ("half", [True, False])):
        api.application(uid=uid)
        for one in disabled:
            api.endpoint(uid, disabled=one)
    api.application(uid="gone")
    gone = api.endpoint("gone")["id"]
    assert api.delete(f"/app/gone/endpoint/{gone}").status_code == 204

    def left(*names):
        query = "&".join(f"exclude_apps_with_{name}_endpoints=true" for name in names)
        # Those that are made at one moment are in no order.
        return {row["uid"] for row in listed(api.get("/app", query))["data"]}

    assert left("svix_play") == {"none", "idle", "half", "gone"}
    assert left("no") == {"idle", "half"}
    assert left("disabled") == {"none", "half", "gone"}
    assert left("no", "disabled") == {"half"}
