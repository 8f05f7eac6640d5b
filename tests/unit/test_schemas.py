"""Schemas of event types are looked at when they are stored, and payloads are held to them on request."""

import json
import time

import pytest
from management import faults, management

INVOICE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"amount": {"type": "integer", "minimum": 1}}}},
}
AT = ("body", "schemas", "1")


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with management(tmp_path_factory.mktemp("schemas")) as api:
        api.application(uid="acme")
        api.event_type("invoice.paid", schemas={"2": INVOICE, "1": {"required": ["never"]}})
        yield api


def publish(api, payload, event_type="invoice.paid", *, query="validate=true", **more):
    body = {"eventType": event_type, "payload": payload, **more}
    return api.post("/app/acme/msg", body, query=query)


def kept(api, schema):
    return api.put("/event-type/tried", {"description": "", "schemas": {"1": schema}})


def doubling(levels):
    """Return a schema with two alternatives, each with two alternatives, and so on."""
    defs = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{levels}": {"type": "string"}}}


def nested(name, levels, inside=None):
    value = inside if inside is not None else {}
    for _ in range(levels):
        value = {name: value}
    return value


def test_a_payload_that_obeys_is_published(api):
    """It is accepted as without validation, and byte for byte."""
    answer = publish(api, {"id": "i-1", "lines": [{"amount": 5}]})
    assert answer.status_code == 202
    assert publish(api, {"id": 7}, query="").status_code == 202, "nothing is checked unless asked for"
    assert publish(api, {"id": 7}, query="validate=false").status_code == 202


def test_every_place_at_fault_is_named(api):
    """A payload that does not obey is a 422 with the path of each fault, and nothing is stored."""
    before = len(api.get("/app/acme/msg").json["data"])
    answer = publish(api, {"lines": [{"amount": 1}, {"amount": 0}, {"amount": "x"}], "more": 1})
    assert set(faults(answer)) == {
        ("body", "payload"),
        ("body", "payload", "lines", 1, "amount"),
        ("body", "payload", "lines", 2, "amount"),
    }
    assert {fault["type"] for fault in answer.json["detail"]} == {"value_error.schema"}
    assert "version 2" in answer.json["detail"][0]["msg"]
    assert len(api.get("/app/acme/msg").json["data"]) == before


def test_many_faults_are_bounded(api):
    """At most fifty faults are named, and of a large payload the first; neither takes long."""
    small = publish(api, {"id": "i", "lines": [0] * 1_000})
    assert len(faults(small)) == 50
    began = time.monotonic()
    large = publish(api, {"id": "i", "lines": [0] * 10_000})
    assert faults(large) == [("body", "payload", "lines", 0)]
    assert time.monotonic() - began < 5
    assert all(len(fault["msg"]) < 400 for fault in large.json["detail"])


def test_nothing_to_validate_against(api):
    """Asked to validate without a schema, Ringback does not claim to have done so."""
    api.event_type("plain")
    assert faults(publish(api, {}, "plain")) == [("body", "eventType")]
    assert faults(publish(api, {}, "nowhere")) == [("body", "eventType")]


def test_no_application_is_made_for_what_is_refused(api):
    """Validation comes before anything is written, the application of the request included."""
    body = {"eventType": "invoice.paid", "payload": {}, "application": {"name": "New", "uid": "new"}}
    assert api.post("/app/new/msg", body, query="validate=true").status_code == 422
    assert api.get("/app/new").status_code == 404


def test_batches(api):
    """In a batch the faults of all messages are named, and none is stored."""
    good, bad = ({"eventType": "invoice.paid", "payload": {"id": one}} for one in ("i", 7))
    answer = api.post("/app/acme/msg/batch", {"messages": [good, bad]}, query="validate=true")
    assert faults(answer) == [("body", "messages", 1, "payload", "id")]
    assert api.post("/app/acme/msg/batch", {"messages": [good]}, query="validate=true").status_code == 202


@pytest.mark.parametrize(
    ("schema", "at"),
    [
        ({"type": "nothing"}, (*AT, "type")),
        ({"properties": {"a": {"pattern": "("}}}, (*AT, "properties", "a", "pattern")),
        ({"$ref": "#/$defs/missing"}, AT),
        ({"$ref": "https://example.com/schema.json"}, AT),
        ({"$ref": "file:///etc/hostname"}, AT),
        ({"$ref": "other.json"}, AT),
        ({"$schema": "https://example.com/own"}, AT),
        ({"$ref": "#"}, AT),
        ({"allOf": [{"anyOf": [{"$ref": "#"}]}]}, AT),
        (doubling(40), AT),
        (nested("properties", 150), AT),
        ({"enum": ["x" * 300_000]}, None),
    ],
    ids=str,
)
def test_unfit_schemas(api, schema, at):
    """What is no schema, leads out of it or could take forever is refused when it is stored, with its place."""
    began = time.monotonic()
    answer = kept(api, schema)
    assert answer.status_code in ({422} if at else {413, 422})
    if at:
        assert faults(answer) == [at]
        assert len(answer.json["detail"][0]["msg"]) < 500
    assert time.monotonic() - began < 2


def test_fit_schemas(api):
    """Schemas that refer to themselves, of earlier drafts and of any size that is read in time are kept."""
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {"type": "integer"}}}
    named = {
        "$id": "https://example.com/order",
        "properties": {"a": {"$ref": "#money"}, "b": {"$ref": "/line"}},
        "$defs": {"m": {"$anchor": "money", "type": "number"}, "l": {"$id": "/line", "type": "object"}},
    }
    earlier = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": True}}
    wide = {"properties": {f"p{n}": {"type": "string", "pattern": "^[a-z]+$"} for n in range(500)}}
    for schema in (tree, named, earlier, wide, {}):
        assert kept(api, schema).status_code in {200, 201}, schema
    api.event_type("tree", schemas={"1": tree})
    assert publish(api, nested("left", 50), "tree").status_code == 202
    assert faults(publish(api, nested("left", 9, {"value": "x"}), "tree")) == [
        ("body", "payload", *["left"] * 9, "value")
    ]
    assert faults(publish(api, nested("left", 90), "tree")) == [("body", "payload")]


def test_a_payload_that_would_take_forever(api):
    """A schema whose work doubles with every step down is bearable for shallow payloads, and refused for deep ones."""
    twice = {"anyOf": [{"properties": {"c": {"$ref": "#"}}, "required": ["x"]}] * 2 + [True]}
    api.event_type("twice", schemas={"1": twice})
    assert publish(api, nested("c", 4), "twice").status_code == 202
    began = time.monotonic()
    assert faults(publish(api, nested("c", 60), "twice")) == [("body", "payload")]
    assert time.monotonic() - began < 2


def test_hostile_patterns(api):
    """A pattern that would go back and forth without end gives up."""
    api.event_type("pattern", schemas={"1": {"properties": {"a": {"pattern": "^(?=a)(a+)+$"}}}})
    began = time.monotonic()
    assert publish(api, {"a": "a" * 10_000 + "b"}, "pattern").status_code == 422
    assert publish(api, {"a": "aaa"}, "pattern").status_code == 202
    assert time.monotonic() - began < 2


def test_a_changed_schema_holds_at_once(api):
    """What is compiled is remembered by its content, so a new schema is never mistaken for the one before."""
    for kind, value in (("integer", 1), ("string", "x"), ("integer", 2)):
        api.put(
            "/event-type/changing",
            {"description": "", "schemas": {"1": {"properties": {"a": {"type": kind}}}}},
        )
        assert publish(api, {"a": value}, "changing").status_code == 202, json.dumps(value)
        assert publish(api, {"a": []}, "changing").status_code == 422
