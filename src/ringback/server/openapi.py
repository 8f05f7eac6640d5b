"""The OpenAPI 3.1 document of the API, made of its routes and of the shapes that they take and answer.

Source: https://spec.openapis.org/oas/v3.1.1.html.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, get_origin

import msgspec

import ringback
from ringback.access import RIGHTS, Scope
from ringback.errors import InvalidInput, NotAuthenticated, Unavailable
from ringback.repetition import MAX_KEY_LENGTH
from ringback.server.needs import need_of
from ringback.server.operation import JSON, Error, Route
from ringback.server.replies import Faults, Refusal
from ringback.server.routes import BASE, INGEST, OPERATIONAL, PARTS, TAGS
from ringback.server.sample import sample
from ringback.server.unknown import HEADER
from ringback.server.vocabulary import word

VERSION = "3.1.1"
INTRODUCTION = """\
Send webhooks to the endpoints of your applications, and manage the sources that receive them.

The API speaks the Svix wire format, so the official Svix clients work with it: give them this server's address as the
server URL and a Ringback token. Times are RFC 3339. An error tells what is wrong as `code` and `detail`; a 422 lists
the fields at fault. A 500 is a fault of Ringback's, in the shape of every other error.
"""
TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token: `ringback token create` makes one, and the server's settings name the administrator's. "
    "Any of the scopes that an operation lists will do.",
}
KEY = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "description": "Sent again with the same key and content, a request changes nothing and is answered as before.",
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_LENGTH,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
}
# Headers that say what to do about an error.
REMEDIES: Mapping[Error, tuple[str, str, str]] = {
    NotAuthenticated: ("www-authenticate", "string", "How to authenticate."),
    Unavailable: ("retry-after", "integer", "Seconds to wait before trying again."),
}

IGNORED = {
    "description": "What of the request was not known and left out. `Prefer: handling=strict` has it refused instead.",
    "schema": {"type": "string"},
}

_REF = "#/components/{kind}/{name}"
_SCHEMA = "#/components/schemas/{name}"
_CODE = re.compile(r"`[^`]+`")
_SNAKE = re.compile(r"_([a-z])")
_PART = re.compile(r"{(\w+)}")
UNFORESEEN = "Unforeseen"
_UNFORESEEN = {
    "description": "What no operation means to answer: a fault of Ringback's, or of what lies between.",
    "content": {JSON: {"schema": {"$ref": _SCHEMA.format(name=Refusal.__name__)}}},
}

Schema = dict[str, Any]


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document that describes *routes*."""
    routes = tuple(routes)
    shapes = Shapes(routes)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = _operation(route, shapes)
    used = {tag_of(route) for route in routes}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Ringback",
            "version": ringback.__version__,
            "summary": "The HTTP API of a Ringback server.",
            "description": INTRODUCTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that this document came from."}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": shapes.components,
            "responses": dict(sorted(_refusals(routes))) | {UNFORESEEN: _UNFORESEEN},
            "headers": {"Ignored": IGNORED},
            "parameters": {"IdempotencyKey": KEY},
            "securitySchemes": {"token": TOKEN},
        },
    }


class Shapes:
    """The schemas of everything that *routes* take and answer.

    ``components`` are those with names.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        queries = {route.operation.query: None for route in routes if route.operation.query is not None}
        kinds = {kind: None for route in routes for kind in _kinds(route)}
        wanted = [*queries, *kinds, Refusal, Faults]
        schemas, components = msgspec.json.schema_components(wanted, ref_template=_SCHEMA)
        self._schemas: dict[Any, Schema] = dict(zip(wanted, schemas, strict=True))
        # What may follow a question mark is told parameter by parameter.
        self._queries = {kind: components.pop(_name(self._schemas[kind])) for kind in queries}
        bodies = [route.body for route in routes if route.body is not None]
        sent = msgspec.json.schema_components(bodies)[1]
        self.components = {
            name: _told(name, schema, sent=name in sent) for name, schema in sorted(components.items())
        }
        for body in bodies:
            _add_aliases(self.components[body.__name__], getattr(body, "aliases", {}))

    def of(self, kind: Any) -> Schema:
        """Return the schema of *kind*, a reference where it has a name."""
        return self._schemas[kind]

    def parameters(self, query: type) -> Iterator[Schema]:
        """Yield the parameters that *query* reads."""
        schema = self._queries[query]
        for name, shape in schema["properties"].items():
            yield _parameter(name, shape, required=name in schema.get("required", ()))

    def example(self, kind: Any, *, whole: bool) -> Any:
        """Return an example of *kind*; what need not be there is left out where it is not *whole*."""
        return sample(self.of(kind), self.components, whole=whole)


def operation_id(route: Route) -> str:
    """Return what clients call an operation, as in the Svix wire format: ``v1.endpoint.create``."""
    if (family := _family(route)) is not None:
        return f"v1.{family}.{route.operation.name}"
    return f"v1.{route.operation.name}" if route.path.startswith(f"{BASE}/") else route.operation.name


def tag_of(route: Route) -> str:
    """Return the tag of an operation: its noun, ``Event Type``."""
    noun = route.operation.name.partition(".")[0]
    return " ".join(filter(None, (_family(route), noun))).replace("-", " ").title()


def _family(route: Route) -> str | None:
    """Return what operations are about that are made like those of applications, None for all others."""
    families = {INGEST: "ingest", OPERATIONAL: "operational-webhook"}
    return next((name for base, name in families.items() if route.path.startswith(f"{base}/")), None)


def _operation(route: Route, shapes: Shapes) -> dict[str, Any]:
    summary, _, description = _doc(route.responder).partition("\n\n")
    made: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": summary.replace("\n", " ").removesuffix("."),
        "tags": [tag_of(route)],
    }
    if description:
        made["description"] = description
    if route.operation.deprecated:
        made["deprecated"] = True
    made["security"] = [] if route.is_open else _security(route)
    if parameters := list(_parameters(route, shapes)):
        made["parameters"] = parameters
    if route.body is not None:
        content = {
            JSON: {"schema": shapes.of(route.body), "example": shapes.example(route.body, whole=False)}
        }
        made["requestBody"] = {"required": not route.operation.without_body, "content": content}
    return made | {"responses": dict(_responses(route, shapes))}


def _security(route: Route) -> list[dict[str, list[str]]]:
    """Return the ways to be let in: each scope by itself; where any caller may, there is one way."""
    right = need_of(route.method.upper(), route.path).right
    scopes = [[str(scope)] for scope in Scope if right in RIGHTS[scope]]
    return [{"token": roles} for roles in ([[]] if right is None else scopes)]


def _parameters(route: Route, shapes: Shapes) -> Iterator[Schema]:
    for part in _PART.findall(route.path):
        schema = {"type": "string", "minLength": 1}
        yield {"name": part, "in": "path", "required": True, "description": PARTS[part], "schema": schema}
    if route.operation.query is not None:
        yield from shapes.parameters(route.operation.query)
    if route.operation.keyed:
        yield {"$ref": _REF.format(kind="parameters", name="IdempotencyKey")}


def _parameter(name: str, schema: Schema, *, required: bool) -> Schema:
    known = word("", f"?{name}")
    schema = dict(schema) if known is None else known.add_to(schema, sent=True)
    made: Schema = {"name": name, "in": "query", "required": required}
    if description := schema.pop("description", None):
        made["description"] = description
    if examples := schema.pop("examples", None):
        made["example"] = examples[0]
    if "anyOf" in schema:  # nobody can send null in a query
        kinds = [kind for kind in schema.pop("anyOf") if kind != {"type": "null"}]
        schema |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if schema.get("default", ...) is None:
        del schema["default"]
    if schema.get("type") == "array":
        made |= {"style": "form", "explode": False}
    return made | {"schema": schema}


def _responses(route: Route, shapes: Shapes) -> Iterator[tuple[str, Schema]]:
    for status, kind in route.operation.answers.items():
        made: Schema = {"description": f"{HTTPStatus(status).phrase}."}
        if route.operation.query is not None:
            made["headers"] = {HEADER: {"$ref": _REF.format(kind="headers", name="Ignored")}}
        if kind is not None:
            made["content"] = {route.operation.media_type: _content(route, kind, shapes)}
        yield str(status), made
    for errors in _by_status(route):
        yield str(errors[0].status), {"$ref": _REF.format(kind="responses", name=_named(errors))}
    yield "default", {"$ref": _REF.format(kind="responses", name=UNFORESEEN)}


def _content(route: Route, kind: Any, shapes: Shapes) -> Schema:
    if route.operation.media_type != JSON or (not isinstance(kind, type) and get_origin(kind) is dict):
        return {"schema": shapes.of(kind)}
    return {"schema": shapes.of(kind), "example": shapes.example(kind, whole=True)}


def _refusals(routes: Iterable[Route]) -> Iterator[tuple[str, Schema]]:
    """Yield each answer to what goes wrong, by its name."""
    for errors in {errors for route in routes for errors in _by_status(route)}:
        shape: Schema = {"$ref": _SCHEMA.format(name=Refusal.__name__)}
        if InvalidInput in errors:
            shape = {"$ref": _SCHEMA.format(name=Faults.__name__)}
        else:
            codes = sorted({code for error in errors for code in _codes(error)})
            shape = {"allOf": [shape], "properties": {"code": {"enum": codes}}}
        made: Schema = {
            "description": " ".join(_doc(error) for error in errors),
            "content": {JSON: {"schema": shape}},
        }
        headers = [REMEDIES[error] for error in errors if error in REMEDIES]
        if headers:
            made["headers"] = {
                name: {"description": text, "schema": {"type": kind}} for name, kind, text in headers
            }
        yield _named(errors), made


def _by_status(route: Route) -> Iterator[tuple[Error, ...]]:
    """Yield the errors of a route, those of one status together."""
    statuses = dict.fromkeys(error.status for error in route.errors)
    for status in statuses:
        yield tuple(error for error in route.errors if error.status == status)


def _named(errors: Iterable[Error]) -> str:
    return "Or".join(error.__name__ for error in errors)


def _codes(error: Error) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        if kind.status == error.status:
            yield from _codes(kind)


def _kinds(route: Route) -> Iterator[Any]:
    yield from (kind for kind in route.operation.answers.values() if kind is not None)
    if route.body is not None:
        yield route.body


def _told(name: str, schema: Schema, *, sent: bool) -> Schema:
    """Return a schema with its words: what its fields mean, and examples of them."""
    plain: Schema = _plain(schema)
    if "description" in plain:
        plain["description"] = _as_on_the_wire(plain["description"])
    for field, shape in plain.get("properties", {}).items():
        known = word(name, field)
        if known is not None:
            plain["properties"][field] = known.add_to(shape, sent=sent)
    return plain


def _add_aliases(schema: Schema, aliases: Mapping[str, str | None]) -> None:
    """Add the other names of fields that a body may have."""
    fields = schema["properties"]
    for alias, name in aliases.items():
        if name is None:
            fields[alias] = {
                "description": "Taken from earlier clients; it does nothing.",
                "deprecated": True,
            }
        elif name in fields:
            shape = {key: value for key, value in fields[name].items() if key not in {"default", "examples"}}
            fields[alias] = shape | {"description": f"Another name of `{name}`.", "deprecated": True}


def _as_on_the_wire(text: str) -> str:
    """Return a text about a shape with its fields, and None, called as in JSON."""
    camel = _CODE.sub(lambda code: _SNAKE.sub(lambda end: end[1].upper(), code[0]), text)
    return camel.replace("None", "null")


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _doc(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").replace("``", "`")


def _plain(value: Any) -> Any:
    """Return *value* with the code in its texts marked as CommonMark has it, which is what OpenAPI asks for."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return inspect.cleandoc(value).replace("``", "`") if isinstance(value, str) else value
