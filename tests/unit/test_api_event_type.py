import pytest
from management import faults, listed, management, walk

from ringback.outbox import system_clock

SCHEMAS = {"1": {"type": "object", "title": "Invoice"}}


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def test_created_and_shown(api):
    """An event type is shown with its schemas; a list leaves them out unless with_content asks for them."""
    out = api.event_type("invoice.paid", description="Paid", schemas=SCHEMAS, featureFlag="beta")
    assert (out["name"], out["description"], out["schemas"], out["featureFlag"]) == (
        "invoice.paid",
        "Paid",
        SCHEMAS,
        "beta",
    )
    assert (out["archived"], out["deprecated"]) == (False, False)
    assert api.get("/event-type/invoice.paid").json == out
    assert listed(api.get("/event-type"))["data"][0]["schemas"] is None
    assert listed(api.get("/event-type", "with_content=true"))["data"] == [out]


def test_name_is_unique_until_archived(api):
    """A name that is taken is a 409; creating an archived event type revives it."""
    api.event_type("invoice.paid")
    body = {"name": "invoice.paid", "description": "again"}
    assert api.post("/event-type", body).status_code == 409
    assert api.delete("/event-type/invoice.paid").status_code == 204
    revived = api.post("/event-type", body)
    assert (revived.status_code, revived.json["archived"], revived.json["description"]) == (
        201,
        False,
        "again",
    )


def test_archived_are_hidden(api):
    """Deleting archives: it is listed only if asked for. With expunge it is gone for good."""
    api.event_type("invoice.paid")
    api.delete("/event-type/invoice.paid")
    assert listed(api.get("/event-type"))["data"] == []
    assert listed(api.get("/event-type", "include_archived=true"))["data"][0]["archived"]
    assert api.delete("/event-type/invoice.paid", "expunge=true").status_code == 204
    assert api.get("/event-type/invoice.paid").status_code == 404
    assert api.delete("/event-type/invoice.paid").status_code == 404


def test_archiving_is_a_change(api):
    """When an event type was archived is told as when it was changed."""
    made = api.event_type("invoice.paid")
    now = system_clock()
    while system_clock() == now:
        continue  # the next millisecond is another instant
    api.delete("/event-type/invoice.paid")
    archived = api.get("/event-type/invoice.paid").json
    assert archived["updatedAt"] > made["updatedAt"] == archived["createdAt"]


def test_put_and_patch(api):
    """PUT creates or replaces; PATCH changes what it names, and null clears the schemas."""
    new = api.put("/event-type/invoice.paid", {"description": "d", "schemas": SCHEMAS})
    assert (new.status_code, new.json["schemas"]) == (201, SCHEMAS)
    old = api.put("/event-type/invoice.paid", {"description": "e"})
    assert (old.status_code, old.json["schemas"]) == (200, None)
    patched = api.patch("/event-type/invoice.paid", {"schemas": SCHEMAS, "deprecated": True})
    assert (patched.json["description"], patched.json["deprecated"]) == ("e", True)
    assert api.patch("/event-type/invoice.paid", {"schemas": None}).json["schemas"] is None
    assert faults(api.patch("/event-type/invoice.paid", {"name": "other"})) == [("body", "name")]
    assert faults(api.put("/event-type/invoice.paid", {})) == [("body", "description")]


def test_pages_by_name(api):
    """Event types come by name, page by page, even where a name begins with a hyphen."""
    names = ["-a", "-b", "a", "b.c", "z-z"]
    for name in reversed(names):
        api.event_type(name)
    pages = walk(api, "/event-type", "limit=1")
    assert [row["name"] for page in pages for row in page["data"]] == names
    back = listed(api.get("/event-type", f"limit=2&iterator={pages[3]['prevIterator']}"))
    assert [row["name"] for row in back["data"]] == names[1:3]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"name": "no spaces", "description": ""}, ("body", "name")),
        ({"name": "x" * 257, "description": ""}, ("body", "name")),
        ({"name": "a"}, ("body", "description")),
        ({"name": "a", "description": "", "schemas": {"1": 7}}, ("body", "schemas", "1")),
        ({"name": "a", "description": "", "featureFlag": "?"}, ("body", "featureFlag")),
        ({"name": "a", "description": "", "colour": "x"}, ("body", "colour")),
    ],
)
def test_bad_body(api, body, loc):
    """A body that breaks a rule is a 422 that names the field."""
    assert faults(api.post("/event-type", body)) == [loc]
