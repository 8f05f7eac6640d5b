"""Event types come out of an OpenAPI document: all or none, again and again to the same effect."""

import json
import time

import pytest
from management import faults, listed, management

LINE = {"type": "object", "properties": {"amount": {"type": "integer"}}}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Acme", "version": "1"},
    "webhooks": {
        "invoice.paid": {
            "post": {
                "summary": "Paid",
                "description": "An invoice was paid",
                "tags": ["Our invoices", "billing"],
                "x-feature-flags": ["beta"],
                "requestBody": {"$ref": "#/components/requestBodies/invoice"},
            }
        },
        "An order is shipped": {
            "post": {"operationId": "order.shipped", "summary": "Shipped", "deprecated": True}
        },
        "category.changed": {"$ref": "#/components/pathItems/category"},
    },
    "components": {
        "pathItems": {
            "category": {
                "description": "A category changed",
                "put": {
                    "requestBody": {
                        "content": {
                            "application/cloudevents+json; charset=utf-8": {
                                "schema": {"$ref": "#/components/schemas/Category"}
                            }
                        }
                    }
                },
            }
        },
        "requestBodies": {
            "invoice": {
                "content": {
                    "text/plain": {"schema": {"type": "string"}},
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/Invoice"},
                        "examples": {"one": {"$ref": "#/components/examples/invoice"}},
                    },
                }
            }
        },
        "examples": {"invoice": {"value": {"lines": [{"amount": 5}], "first": {"amount": 5}}}},
        "schemas": {
            "Invoice": {
                "$id": "invoice",
                "type": "object",
                "required": ["lines"],
                "properties": {
                    "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                    "first": {"$ref": "#/components/schemas/Line", "description": "The first one"},
                    "$ref": {"type": "string", "const": "$ref"},
                },
            },
            "Line": LINE,
            "Category": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "under": {"$ref": "#/components/schemas/Category"},
                },
            },
        },
    },
}
NAMES = ["category.changed", "invoice.paid", "order.shipped"]
INVOICE_SCHEMA = {
    "type": "object",
    "required": ["lines"],
    "properties": {
        "lines": {"type": "array", "items": LINE},
        "first": {"description": "The first one", "allOf": [LINE]},
        "$ref": {"type": "string", "const": "$ref"},
    },
    "examples": [{"lines": [{"amount": 5}], "first": {"amount": 5}}],
}
CATEGORY = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "under": {"$ref": "#/$defs/Category"}},
}


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def load(api, document=None, **more):
    body = more if document is None else {"spec": document, **more}
    return api.post("/event-type/import/openapi", body)


def done(answer):
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def webhooks(schema, openapi="3.1.0", key="webhooks", **components):
    body = {"content": {"application/json": {"schema": schema}}}
    hooks = {"a.b": {"post": {"requestBody": body}}}
    return {"openapi": openapi, key: hooks, "components": {"schemas": components}}


def stored(api, name):
    return api.get(f"/event-type/{name}").json


def test_every_webhook_becomes_an_event_type(api):
    """Names, descriptions, groups, flags and schemas are taken from where OpenAPI has them; references are resolved."""
    told = done(load(api, DOCUMENT))
    assert sorted(told["modified"]) == sorted(told["created"]) == NAMES
    assert (told["to_modify"], told["updated"], told["unchanged"], told["archived"]) == (None, [], [], [])
    invoice, order, category = (stored(api, n) for n in ("invoice.paid", "order.shipped", "category.changed"))
    assert (invoice["description"], invoice["groupName"], invoice["featureFlags"]) == (
        "An invoice was paid",
        "billing",
        ["beta"],
    )
    assert invoice["schemas"] == {"1": INVOICE_SCHEMA}
    assert (order["description"], order["deprecated"], order["schemas"]) == ("Shipped", True, None)
    assert category["description"] == "A category changed"


def test_schemas_that_refer_to_themselves(api):
    """What cannot be written out is kept once in $defs, and payloads are held to it all the way down."""
    load(api, DOCUMENT)
    assert stored(api, "category.changed")["schemas"]["1"] == {
        "$ref": "#/$defs/Category",
        "$defs": {"Category": CATEGORY},
    }
    app = api.application()["id"]
    for name, status in (("deep", 202), (7, 422)):
        body = {"eventType": "category.changed", "payload": {"under": {"under": {"name": name}}}}
        assert api.post(f"/app/{app}/msg", body, query="validate=true").status_code == status


def test_between_two_cycles(api):
    """Cycles of several schemas, and what lies between them, come out whole."""
    document = webhooks(
        {"$ref": "#/components/schemas/A"},
        A={
            "properties": {
                "b": {"$ref": "#/components/schemas/B"},
                "x": {"$ref": "#/components/schemas/M~1x"},
            }
        },
        B={"properties": {"a": {"$ref": "#/components/schemas/A"}}},
        **{"M/x": {"properties": {"c": {"$ref": "#/components/schemas/C"}}}},
        C={"properties": {"c": {"$ref": "#/components/schemas/C"}, "s": {"$ref": "#/components/schemas/S"}}},
        S={"type": "string"},
    )
    done(load(api, document))
    schema = stored(api, "a.b")["schemas"]["1"]
    assert set(schema["$defs"]) == {"A", "B", "M_x", "C"}
    assert schema["$defs"]["C"]["properties"]["s"] == {"type": "string"}


def test_again_and_again(api):
    """A second import changes nothing; one of a changed document changes what is different, in the newest version."""
    load(api, DOCUMENT)
    before = {name: stored(api, name) for name in NAMES}
    told = done(load(api, DOCUMENT))
    assert (sorted(told["unchanged"]), told["modified"], told["updated"]) == (NAMES, [], [])
    assert {name: stored(api, name) for name in NAMES} == before
    api.patch("/event-type/invoice.paid", {"schemas": {"1": {"title": "old"}, "3": INVOICE_SCHEMA}})
    assert "invoice.paid" in done(load(api, DOCUMENT))["unchanged"]
    api.patch("/event-type/invoice.paid", {"schemas": {"1": {"title": "old"}, "3": {"title": "other"}}})
    assert done(load(api, DOCUMENT))["updated"] == ["invoice.paid"]
    assert stored(api, "invoice.paid")["schemas"] == {"1": {"title": "old"}, "3": INVOICE_SCHEMA}


def test_what_is_left_open_stays(api):
    """A group, flags and a schema that the document does not tell of stay; what is archived is revived."""
    api.event_type(
        "a.b", groupName="mine", featureFlag="beta", schemas={"1": {"title": "kept"}}, deprecated=True
    )
    api.delete("/event-type/a.b")
    done(load(api, {"openapi": "3.1.0", "webhooks": {"a.b": {"post": {"description": "New"}}}}))
    now = stored(api, "a.b")
    assert (now["groupName"], now["featureFlags"], now["schemas"]) == (
        "mine",
        ["beta"],
        {"1": {"title": "kept"}},
    )
    assert (now["archived"], now["deprecated"], now["description"]) == (False, False, "New")


def test_dry_run(api):
    """It tells what would be, and changes nothing."""
    api.event_type("old")
    api.event_type("order.shipped")
    told = done(load(api, DOCUMENT, dryRun=True, replaceAll=True))
    assert (told["modified"], told["updated"], told["archived"]) == ([], ["order.shipped"], ["old"])
    assert sorted(told["created"]) == ["category.changed", "invoice.paid"]
    shown = {one["name"]: one for one in told["to_modify"]}
    assert shown["invoice.paid"] == {
        "name": "invoice.paid",
        "description": "An invoice was paid",
        "schemas": {"1": INVOICE_SCHEMA},
        "deprecated": False,
        "groupName": "billing",
        "featureFlags": ["beta"],
    }
    assert [row["name"] for row in listed(api.get("/event-type"))["data"]] == ["old", "order.shipped"]


def test_replace_all(api):
    """Event types that are not in the document are archived, however many there are; the rest stays untouched."""
    for number in range(3):
        api.event_type(f"old.{number}")
    api.event_type("archived.already")
    api.delete("/event-type/archived.already")
    assert done(load(api, DOCUMENT))["archived"] == []
    told = done(load(api, DOCUMENT, replaceAll=True))
    assert told["archived"] == told["modified"] == ["old.0", "old.1", "old.2"]
    assert [row["name"] for row in listed(api.get("/event-type"))["data"]] == NAMES


def test_earlier_openapi(api):
    """x-webhooks of OpenAPI 3.0 are read as well, and its dialect becomes JSON Schema."""
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True, "enum": ["x"]},
            "b": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "c": {"type": "integer", "maximum": 9, "exclusiveMaximum": False, "nullable": False},
            "d": {"$ref": "#/components/schemas/D", "description": "does not count"},
            "e": {"nullable": True, "allOf": [{"$ref": "#/components/schemas/D"}]},
        },
        "example": {"a": "x"},
    }
    done(load(api, webhooks(schema, "3.0.3", "x-webhooks", D={"type": "boolean"})))
    assert stored(api, "a.b")["schemas"]["1"] == {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None]},
            "b": {"type": "integer", "exclusiveMinimum": 0},
            "c": {"type": "integer", "maximum": 9},
            "d": {"type": "boolean"},
            "e": {"anyOf": [{"allOf": [{"type": "boolean"}]}, {"type": "null"}]},
        },
        "example": {"a": "x"},
    }


def test_texts(api):
    """A document may come as a text, JSON or YAML, which is read by the rules of YAML 1.2."""
    assert sorted(done(load(api, specRaw=json.dumps(DOCUMENT), dryRun=True))["created"]) == NAMES
    told = done(
        load(
            api,
            specRaw="""
openapi: 3.1.0
x-flags: &flags [no, "on"]
webhooks:
  invoice.paid:
    post:
      description: >-
        An invoice
        was paid
      x-feature-flags: *flags
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties: {when: {const: 2026-01-01}, n: {maximum: 0x10, minimum: .5}, no: {}}
      responses: {200: {description: fine}}
""",
            dryRun=True,
        )
    )
    (shown,) = told["to_modify"]
    assert (shown["description"], shown["featureFlags"]) == ("An invoice was paid", ["no", "on"])
    assert shown["schemas"]["1"]["properties"] == {
        "when": {"const": "2026-01-01"},
        "n": {"maximum": 16, "minimum": 0.5},
        "no": {},
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: b: c",
        "[" * 60_000,
        "- " * 30_000,
        "a: &a [*a]",
        "!!python/object:os.system {}",
        "a: !!binary aGk=",
        "a: 1\na: 2",
        "<<: {}",
        "? [x]\n: y",
        "a: 1\n---\nb: 1",
        "a: 1e999999",
        "\0",
        '"\\ud800": 1',
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(500)),
        "{" + "x" * 30_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_bad_texts(api, text):
    """What is no YAML, or stands for no JSON, is a 422; neither depth nor size ends the process."""
    assert faults(load(api, specRaw=text))[0][:2] == ("body", "specRaw")


def test_one_of_two(api):
    """Neither document or both is a 400, as clients know it."""
    for body in ({}, {"spec": DOCUMENT, "specRaw": "{}"}, {"dryRun": None, "spec": None}):
        assert load(api, **body).status_code == 400


AT = ("body", "spec", "webhooks", "a.b", "post", "requestBody")
SCHEMA = (*AT, "content", "application/json", "schema")


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ({}, ("body", "spec", "openapi")),
        ({"openapi": "2.0"}, ("body", "spec", "openapi")),
        ({"openapi": "3.1.0"}, ("body", "spec")),
        ({"openapi": "3.1.0", "webhooks": []}, ("body", "spec", "webhooks")),
        ({"openapi": "3.1.0", "webhooks": {"a.b": 7}}, AT[:4]),
        ({"openapi": "3.1.0", "webhooks": {"a.b": {"parameters": []}}}, AT[:4]),
        ({"openapi": "3.1.0", "webhooks": {"a.b": {"post": 7}}}, AT[:5]),
        ({"openapi": "3.1.0", "webhooks": {"a.b": {"$ref": "#/webhooks/a.b"}}}, (*AT[:4], "$ref")),
        (
            {"openapi": "3.1.0", "webhooks": {"a.b": {"post": {"x-feature-flags": "x"}}}},
            (*AT[:5], "x-feature-flags"),
        ),
        (
            {"openapi": "3.1.0", "webhooks": {"a.b": {"post": {"x-feature-flags": ["a b"]}}}},
            (*AT[:5], "x-feature-flags", 0),
        ),
        (
            {"openapi": "3.1.0", "webhooks": {"not a name": {"post": {}}}},
            ("body", "spec", "webhooks", "not a name"),
        ),
        (webhooks({"$ref": "#/components/schemas/None"}), (*SCHEMA, "$ref")),
        (webhooks({"$ref": "https://example.com/x.json"}), (*SCHEMA, "$ref")),
        (webhooks({"items": {"$ref": "file:///etc/hostname"}}), (*SCHEMA, "items", "$ref")),
        (
            webhooks({"$ref": "#/components/schemas/A"}, A={"items": {"$ref": "#anchor"}}),
            ("body", "spec", "components", "schemas", "A", "items", "$ref"),
        ),
        (webhooks({"type": "nothing"}), (*AT, "type")),
        (webhooks({"$ref": "#/components/schemas/A"}, A={"$ref": "#/components/schemas/A"}), AT),
    ],
    ids=lambda value: None if isinstance(value, dict) else ".".join(map(str, value[2:])),
)
def test_faults_by_path(api, document, at):
    """What cannot be taken over is told by its path in the document."""
    assert faults(load(api, document)) == [at]


def test_all_faults_at_once(api):
    """Every webhook at fault is named; a name that two have is one, too. Nothing is taken over."""
    hooks = {"a b": {"post": {}}, "c": {}, "d": {"post": {}}, "d d": {"post": {"operationId": "d"}}}
    answer = load(api, {"openapi": "3.1.0", "webhooks": hooks})
    assert [at[3] for at in faults(answer)] == ["a b", "c", "d d"]
    assert listed(api.get("/event-type"))["data"] == []


def test_hostile_documents(api):
    """What would come out endlessly large or deep is refused in time."""
    began = time.monotonic()
    doubling = {f"A{n}": {"allOf": [{"$ref": f"#/components/schemas/A{n + 1}"}] * 2} for n in range(50)}
    assert load(api, webhooks({"$ref": "#/components/schemas/A0"}, **doubling, A50={})).status_code == 422
    chain = {f"A{n}": {"properties": {"x": {"$ref": f"#/components/schemas/A{n + 1}"}}} for n in range(300)}
    assert load(api, webhooks({"$ref": "#/components/schemas/A0"}, **chain, A300={})).status_code == 422
    ring = {f"A{n}": {"items": {"$ref": f"#/components/schemas/A{(n + 1) % 500}"}} for n in range(500)}
    assert load(api, webhooks({"$ref": "#/components/schemas/A0"}, **ring)).status_code == 200
    enum = {"enum": ["x" * 1_000] * 30}
    many = {f"p{n}": {"$ref": "#/components/schemas/A"} for n in range(400)}
    assert load(api, webhooks({"properties": many}, A=enum)).status_code == 422
    names = {f"e{n}": {"post": {}} for n in range(1_001)}
    assert load(api, {"openapi": "3.1.0", "webhooks": names}).status_code == 422
    assert time.monotonic() - began < 10


def test_only_administrators(api):
    """A key that may read or publish imports nothing."""
    for scope in ("read", "publish"):
        answer = api.post("/event-type/import/openapi", {"spec": DOCUMENT}, token=api.key(scope))
        assert answer.status_code == 403


def test_event_types_of_that_name(api):
    """An event type may be called `import`."""
    api.event_type("import")
    assert stored(api, "import")["name"] == "import"
    assert api.delete("/event-type/import").status_code == 204
