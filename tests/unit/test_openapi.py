"""The OpenAPI document says what the server does."""

import ast
import base64
import gzip
import hashlib
import inspect
import json
import re
import shlex
import textwrap

import jsonschema_rs
import msgspec
import pytest
from management import management
from openapi_spec_validator import validate

from ringback.cli import run
from ringback.server.openapi import document, operation_id, tag_of
from ringback.server.operation import Operation, routes_of
from ringback.server.reference_page import command_of, page
from ringback.server.routes import PARTS, TAGS, routes
from ringback.server.vocabulary import WORDS, key

ROUTES = routes()
DOCUMENT = document(ROUTES)


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def calls(route):
    """Return the calls that a responder makes, by name, each with the text of its arguments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(route.responder)))
    return {
        ast.unparse(node.func): [ast.unparse(argument) for argument in node.args]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }


def declared(route, text):
    """Return what *text* means where the responder is written."""
    if text.startswith("self."):
        return getattr(route.kind, text.removeprefix("self."))
    return inspect.getmodule(route.responder).__dict__[text]


def test_meta_schema():
    """The document is OpenAPI 3.1, and every reference in it leads somewhere."""
    validate(json.loads(msgspec.json.encode(DOCUMENT)))


def test_names():
    """No two operations have one id; each tag and part of an address is explained, and none besides."""
    ids = [operation_id(route) for route in ROUTES]
    assert len(ids) == len(set(ids))
    assert {tag_of(route) for route in ROUTES} == set(TAGS)
    assert {part for route in ROUTES for part in PARTS if f"{{{part}}}" in route.path} == set(PARTS)
    assert all(operation["summary"] for path in DOCUMENT["paths"].values() for operation in path.values())


@pytest.mark.parametrize("route", ROUTES, ids=operation_id)
def test_what_is_read_is_what_is_declared(route):
    """A responder reads the query, the body and the idempotency key that it declares, and no others."""
    made = calls(route)
    for name in made:
        if name.startswith("self.on_"):  # it leaves the request to another responder
            other, own = getattr(route.kind, name.removeprefix("self.")).operation, route.operation
            assert (own.query, own.body) == (other.query, other.body)
            return
    if route.operation.query is not None:
        assert declared(route, made["parse"][1]) is route.operation.query
    readers = ("self._bodies.decode", "self._bodies.decode_optional", "decode_message")
    reads = next((made[reader] for reader in readers if reader in made), None)
    assert (reads is None) is (route.body is None)
    if reads is not None:
        assert declared(route, reads[1]).type is route.body
        assert ("self._bodies.decode_optional" in made) is route.operation.without_body
    assert ("'idempotency-key'" in made.get("req.get_header", ())) is route.operation.keyed


def test_a_responder_without_a_declaration():
    """The server does not start with a route that the document would not know."""

    class Silent:
        async def on_get(self, req, resp):
            """Say nothing."""

    with pytest.raises(TypeError, match=r"Silent\.on_get has no @operation"):
        routes_of("/", Silent, None)


def test_every_field_has_a_meaning():
    """Every field and parameter is explained, and no word is left over; other names refer to the field's own."""
    known = {
        key(shape, field)
        for shape, schema in DOCUMENT["components"]["schemas"].items()
        for field, told in schema.get("properties", {}).items()
        if "deprecated" not in told
    }
    known |= {
        f"?{parameter['name']}"
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", ())
        if parameter.get("in") == "query"
    }
    assert known == set(WORDS)


def test_other_names():
    """The names by which earlier clients call fields are in the shapes of bodies, and never in those of answers."""
    shapes = DOCUMENT["components"]["schemas"]
    for shape in ("EndpointDraft", "EndpointUpdate", "EndpointPatch", "OperationalDraft"):
        assert {"filterTypes", "rateLimit", "version"} <= shapes[shape]["properties"].keys()
    assert shapes["MessageRequest"]["properties"]["data"]["description"] == "Another name of `payload`."
    assert "rateLimit" in shapes["ApplicationDraft"]["properties"]
    assert not any(
        "deprecated" in told
        for name, shape in shapes.items()
        if name.endswith("Out")
        for told in shape["properties"].values()
    )


def test_examples():
    """Every example in the document is what its schema asks for."""
    text = json.loads(msgspec.json.encode(DOCUMENT))
    shown = [
        content
        for path in text["paths"].values()
        for operation in path.values()
        for part in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in part.get("content", {}).values()
        if "example" in content
    ]
    assert len(shown) > 80
    for content in shown:
        schema = content["schema"] | {"components": text["components"]}
        jsonschema_rs.validator_for(schema).validate(content["example"])


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is not None], ids=operation_id)
def test_the_example_of_a_body_is_taken(api, route):
    """Whoever sends the body that the document shows is not told that it is wrong."""
    api.event_type("invoice.paid", schemas={"1": {"type": "object", "examples": [{"amount": 1200}]}})
    shown = DOCUMENT["paths"][route.path][route.method]["requestBody"]["content"]["application/json"][
        "example"
    ]
    sent = api.send(route.method.upper(), route.path.translate({ord("{"): None, ord("}"): None}), shown)
    assert sent.status_code in {200, 201, 202, 204, 404, 409}, sent.text
    assert "ringback-ignored" not in sent.headers


def test_served(api):
    """The document is served to everybody, and not again to whoever has it."""
    first = api.get("/openapi.json", token=None)
    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
    assert first.json == json.loads(msgspec.json.encode(DOCUMENT))
    again = api.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    changed = api.get("/openapi.json", headers={"if-none-match": '"of-another-version"'})
    assert changed.status_code == 200


def test_the_page(api):
    """The page shows every operation, field and shape of the document, with links that lead somewhere."""
    shown = api.send("GET", "/docs", token=None)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    anchors = re.findall(r' id="([^"]+)"', shown.text)
    assert len(anchors) == len(set(anchors))
    assert {operation_id(route) for route in ROUTES} <= set(anchors)
    assert {f"shape-{name}" for name in DOCUMENT["components"]["schemas"]} <= set(anchors)
    assert set(re.findall(r'href="#([^"]+)"', shown.text)) <= set(anchors)
    for schema in DOCUMENT["components"]["schemas"].values():
        assert all(f"<code>{field}</code>" in shown.text for field in schema.get("properties", ()))
    again = api.send("GET", "/docs", token=None, headers={"if-none-match": shown.headers["etag"]})
    assert again.status_code == 304


def test_the_page_needs_nothing_else(api):
    """The page has no script, loads nothing, and forbids both; its only style is the one that its policy names."""
    shown = api.send("GET", "/docs", token=None)
    assert not re.search(r"<(script|link|img|iframe|object|form)\b|\son\w+=|url\(|@import|style=", shown.text)
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', shown.text)) == {"/api/v1/openapi.json"}
    (style,) = re.findall(r"<style>(.*?)</style>", shown.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = shown.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_the_page_shows_text_as_text():
    """What is in the document cannot become markup."""
    schema = {"description": "<b>`<i>`</b>", "type": "object", "properties": {"<u>": {"type": "string"}}}
    shown = page(DOCUMENT | {"components": DOCUMENT["components"] | {"schemas": {"X": schema}}, "paths": {}})
    assert "<p>&lt;b&gt;<code>&lt;i&gt;</code>&lt;/b&gt;</p>" in shown
    assert "<code>&lt;u&gt;</code>" in shown


@pytest.mark.parametrize("route", ROUTES, ids=operation_id)
def test_commands(route):
    """The command of each operation is one that a shell takes, to its address, with the body that is shown."""
    operation = DOCUMENT["paths"][route.path][route.method]
    words = shlex.split(command_of(route.method, route.path, operation).replace("\\\n", ""))
    assert words[:1] == ["curl"]
    assert words[1].startswith(
        "$RINGBACK" + re.sub(r"{(\w+)}", lambda part: f"${part[1].upper()}", route.path)
    )
    assert ("Authorization: Bearer $TOKEN" in words) is not route.is_open
    if route.body is not None:
        shown = operation["requestBody"]["content"]["application/json"]["example"]
        assert json.loads(words[words.index("--json") + 1]) == shown


def test_printed(capsys):
    """``ringback openapi`` prints what the server shows."""
    assert run(["openapi"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(msgspec.json.encode(DOCUMENT))


def test_errors(api):
    """An operation lists the errors of its kind of request, each with its codes, and its own."""
    created = DOCUMENT["paths"]["/api/v1/app/{app}/endpoint"]["post"]["responses"]
    assert list(created) == ["201", "400", "401", "403", "404", "409", "413", "415", "422", "503", "default"]
    assert created["409"] == {"$ref": "#/components/responses/Conflict"}
    conflict = DOCUMENT["components"]["responses"]["Conflict"]["content"]["application/json"]["schema"]
    assert conflict["properties"]["code"]["enum"] == ["conflict", "event_type_exists"]
    assert list(DOCUMENT["paths"]["/livez"]["get"]["responses"]) == ["200", "400", "default"]
    assert DOCUMENT["paths"]["/livez"]["get"]["security"] == []


def test_scopes():
    """An operation lists the scopes that allow it, one of which is enough; none where any token will do."""
    paths = DOCUMENT["paths"]
    publish = paths["/api/v1/app/{app}/msg"]["post"]["security"]
    assert publish == [{"token": ["admin"]}, {"token": ["publish"]}]
    assert paths["/api/v1/event-type"]["get"]["security"] == [{"token": []}]
    assert paths["/api/v1/app"]["post"]["security"] == [{"token": ["admin"]}]


def test_operation_is_a_value():
    """What a responder takes and answers cannot be changed by what uses it."""
    with pytest.raises(AttributeError):
        Operation(name="a.b", answers={}).name = "c.d"


def test_the_page_is_compressed_for_who_takes_that(api):
    """It is long and says much the same often: browsers get a twentieth of it, and nothing when they have it."""
    packs = {"accept-encoding": "gzip, br"}
    plain = api.send("GET", "/docs", token=None)
    packed = api.send("GET", "/docs", token=None, headers=packs)
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 5
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "accept-encoding")
    assert plain.headers["etag"] != packed.headers["etag"]
    again = api.send("GET", "/docs", token=None, headers=packs | {"if-none-match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
