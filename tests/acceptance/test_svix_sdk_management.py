"""Applications, event types and lists through the official SDKs."""

import secrets

import pytest

NEVER = "app_000000000000000000000000000"


def unique(text="one"):
    """Return a uid that no other test uses."""
    return f"{text}-{secrets.token_hex(6)}"


def test_application_fields_by_patch(sdk):
    """PATCH changes the one field given, keeps the others, and null clears."""
    uid = unique()
    app = sdk.application(uid=uid, throttleRate=5, metadata={"a": "b"})
    for fields in (
        {"name": "New"},
        {"throttleRate": 7},
        {"metadata": {"c": "d"}},
        {"uid": unique()},
        {"uid": None},
        {"throttleRate": None},
        {"metadata": {}},
    ):
        before = sdk.call("application.get", app)
        after = sdk.call("application.patch", app, fields)
        changed = {name for name in before if before[name] != after[name]} - {"updatedAt", "rateLimit"}
        assert changed == set(fields)
        assert {name: after[name] for name in fields} == fields
    assert sdk.faults("application.patch", app, {"uid": "no spaces"}) == [("body", "uid")]


def test_application_life(sdk):
    """An application is made, read by id and uid, replaced, and gone after it is deleted, with its uid free again."""
    uid = unique()
    made = sdk.call("application.create", {"name": "Acme", "uid": uid, "metadata": {"a": "b"}})
    assert sdk.call("application.get", uid) == sdk.call("application.get", made["id"]) == made
    assert sdk.call("application.upsert", uid, {"name": "Put", "uid": uid})["metadata"] == {}
    sdk.call("application.delete", uid)
    assert sdk.refused("application.get", made["id"]).status == 404
    assert sdk.refused("application.delete", uid).status == 404
    assert sdk.call("application.create", {"name": "Again", "uid": uid})["id"] != made["id"]


def test_put_keeps_the_uid_of_the_address(sdk):
    """PUT at an unknown uid creates with that uid, so that the second PUT finds what the first one made."""
    uid = unique()
    first = sdk.call("application.upsert", uid, {"name": "One"})
    second = sdk.call("application.upsert", uid, {"name": "Two", "uid": uid})
    assert (first["uid"], second["id"], second["name"]) == (uid, first["id"], "Two")


def test_application_uids(sdk):
    """A taken uid is a conflict on create, PUT and PATCH; one that looks like an id is refused."""
    taken, app = unique(), sdk.application()
    sdk.application(uid=taken)
    assert sdk.refused("application.create", {"name": "A", "uid": taken}).code == "conflict"
    assert sdk.refused("application.patch", app, {"uid": taken}).status == 409
    assert sdk.refused("application.upsert", app, {"name": "A", "uid": taken}).status == 409
    assert sdk.faults("application.create", {"name": "A", "uid": NEVER}) == [("body", "uid")]
    assert sdk.faults("application.create", {"name": "A", "uid": "u" * 257}) == [("body", "uid")]


def test_get_or_create(sdk):
    """``get_if_exists`` answers with the stored application, unchanged."""
    body = {"name": "Acme", "uid": unique(), "metadata": {"a": "b"}}
    made = sdk.call("application.get_or_create", body)
    assert sdk.call("application.get_or_create", body | {"name": "Other", "metadata": {}}) == made


def test_an_idempotency_key_makes_one(sdk):
    """The same key is answered with what the first request made; without one, two are made."""
    key, body = unique(), {"name": "Keyed"}
    first = sdk.call("application.create", body, idempotency_key=key)
    assert sdk.call("application.create", body, idempotency_key=key) == first
    assert sdk.call("application.create", body)["id"] != first["id"]
    assert sdk.refused("application.create", {"name": "Other"}, idempotency_key=key).status == 409


def pages(sdk, method, *arguments, **options):
    """Follow a list to its end; return its pages."""
    found = [sdk.call(method, *arguments, **options)]
    while not found[-1]["done"]:
        found.append(sdk.call(method, *arguments, **options, iterator=found[-1]["iterator"]))
    return found


def ids(found):
    return [row.get("id") or row["name"] for page in found for row in page["data"]]


def check_list(sdk, method, *arguments):
    """Whatever the size of its pages, a list is the same, and can be walked back; ``done`` is true only at the end."""
    whole = ids(pages(sdk, method, *arguments, limit=250))
    assert len(whole) >= 10
    for limit in (1, 6, 10, 50):
        found = pages(sdk, method, *arguments, limit=limit)
        assert ids(found) == whole
        assert len(found) == -(-len(whole) // limit)
    first, second = pages(sdk, method, *arguments, limit=6)[:2]
    back = sdk.call(method, *arguments, limit=6, iterator=second["prevIterator"])
    assert ids([back]) == ids([first])
    wrong = f"{'ep' if method.startswith('application') else 'app'}_{NEVER[4:]}"
    if method != "event_type.list":
        assert sdk.faults(method, *arguments, iterator=wrong) == [("query", "iterator")]
    assert sdk.faults(method, *arguments, limit=251) == [("query", "limit")]
    return whole


def test_list_of_applications(sdk):
    """Applications are listed oldest first, or the other way round."""
    made = [sdk.application() for _ in range(10)]
    whole = check_list(sdk, "application.list")
    assert set(made) <= set(whole)
    assert ids(pages(sdk, "application.list", order="descending", limit=250)) == whole[::-1]


def test_list_of_endpoints(sdk):
    """Endpoints are listed newest first, or the other way round."""
    app = sdk.application()
    made = {sdk.endpoint(app)["id"] for _ in range(10)}
    whole = check_list(sdk, "endpoint.list", app)
    assert set(whole) == made
    assert ids(pages(sdk, "endpoint.list", app, order="ascending", limit=250)) == whole[::-1]


def test_list_of_messages(sdk):
    """Messages are listed newest first."""
    app = sdk.application()
    made = {sdk.publish(app)["id"] for _ in range(10)}
    assert set(check_list(sdk, "message.list", app)) == made


def test_list_of_event_types(sdk):
    """Event types are listed by name."""
    for number in range(10):
        sdk.event_type(f"listed.{number}")
    whole = check_list(sdk, "event_type.list")
    assert whole == sorted(whole)


def test_event_types(sdk):
    """PUT creates, PATCH changes what is given; schemas and archived ones are shown when asked for."""
    name = unique("event")
    schemas = {"1": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    made = sdk.call("event_type.upsert", name, {"description": "put", "schemas": schemas})
    assert (made["name"], made["schemas"], made["archived"]) == (name, schemas, False)
    for fields in (
        {"description": "new"},
        {"schemas": {}},
        {"deprecated": True},
        {"schemas": None},
        {"archived": True},
    ):
        after = sdk.call("event_type.patch", name, fields)
        assert {field: after[field] for field in fields} == fields
    assert name not in ids(pages(sdk, "event_type.list", limit=250))
    assert name in ids(pages(sdk, "event_type.list", limit=250, include_archived=True))
    sdk.call("event_type.upsert", name, {"description": "put", "schemas": schemas})
    for with_content, shown in ((True, schemas), (False, None)):
        rows = pages(sdk, "event_type.list", limit=250, with_content=with_content)
        (row,) = (row for page in rows for row in page["data"] if row["name"] == name)
        assert row["schemas"] == shown
    assert sdk.refused("event_type.create", {"name": name, "description": ""}).code == "event_type_exists"
    sdk.call("event_type.delete", name)
    assert sdk.call("event_type.get", name)["archived"]
    sdk.call("event_type.delete", name, expunge=True)
    assert sdk.refused("event_type.get", name).status == 404


@pytest.mark.parametrize("name", ["no spaces", "", "n" * 257])
def test_names_of_event_types(sdk, name):
    """A name that is none is refused."""
    assert sdk.faults("event_type.create", {"name": name, "description": ""}) == [("body", "name")]


def test_a_wrong_token(sdk):
    """A token that is none is a 401 that the SDK can read."""
    error = sdk.as_bearer("wrong.token.altogether").refused("application.list")
    assert (error.status, error.code) == (401, "authentication_failed")


def test_health(sdk):
    """The health check needs no more than the SDK's call."""
    sdk.call("health.get")


def test_event_types_out_of_an_openapi_document(sdk):
    """A dry run tells of what the import then makes, and the import can be repeated; a text may be JSON or YAML."""
    name = unique("imported")
    operation = {
        "description": "An invoice was paid",
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
    }
    document = {"openapi": "3.1.0", "info": {}, "webhooks": {name: {"post": operation}}}
    planned = sdk.call("event_type.import_openapi", {"spec": document, "dryRun": True})["data"]
    assert (planned["modified"], [one["name"] for one in planned["to_modify"]]) == ([], [name])
    assert planned["to_modify"][0]["schemas"] == {"1": {"type": "object"}}
    assert sdk.refused("event_type.get", name).status == 404
    assert sdk.call("event_type.import_openapi", {"spec": document})["data"]["modified"] == [name]
    assert sdk.call("event_type.get", name)["description"] == "An invoice was paid"
    raw = f"openapi: 3.1.0\nwebhooks: {{{name}: {{post: {{summary: Paid}}}}}}"
    assert sdk.call("event_type.import_openapi", {"specRaw": raw})["data"]["modified"] == [name]
    assert sdk.call("event_type.import_openapi", {"specRaw": raw})["data"]["modified"] == []
    assert sdk.refused("event_type.import_openapi", {"dryRun": True}).status == 400
