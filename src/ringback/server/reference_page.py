"""The OpenAPI document as one page for people, which needs nothing but itself: no script, no other address."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup, escape

from ringback.server.operation import JSON, METHODS

HTML = "text/html; charset=utf-8"
PAGES = Path(__file__).parent / "pages"

_STYLE = (PAGES / "reference.css").read_text(encoding="utf-8")
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_CODE = re.compile(r"`([^`]+)`")
_GENERIC = re.compile(r"^([A-Za-z]+)_([A-Za-z]+)_$")
_PART = re.compile(r"{(\w+)}")
_BOUNDS = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "entries"),
    ("minProperties", "maxProperties", "entries"),
    ("minimum", "maximum", ""),
)

Schema = Mapping[str, Any]


class Piece(msgspec.Struct, frozen=True):
    """A word of a type; ``shape`` is the one that it names, None where it names none."""

    text: str
    shape: str | None = None


class Rule(msgspec.Struct, frozen=True):
    """A rule that a value obeys, and what of it is code."""

    text: str
    code: str = ""


class Field(msgspec.Struct, frozen=True):
    """A field or a parameter. ``place`` is where a parameter goes."""

    name: str
    kind: tuple[Piece, ...]
    required: bool
    meaning: str
    rules: tuple[Rule, ...]
    place: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What an operation answers with one status, which is a number or ``default``."""

    status: str
    meaning: str
    kind: tuple[Piece, ...]
    example: str


class Entry(msgspec.Struct, frozen=True):
    """An operation. A token needs one of its ``scopes``; any token will do where there are none."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    deprecated: bool
    is_open: bool
    scopes: tuple[str, ...]
    parameters: tuple[Field, ...]
    body: tuple[Piece, ...]
    fields: tuple[Field, ...]
    curl: str
    replies: tuple[Reply, ...]


class Section(msgspec.Struct, frozen=True):
    """The operations about one thing."""

    name: str
    anchor: str
    text: str
    entries: tuple[Entry, ...]


class Shape(msgspec.Struct, frozen=True):
    """A shape: its fields, or the values that there are."""

    name: str
    title: str
    text: str
    fields: tuple[Field, ...]
    values: tuple[str, ...]


def page(document: Mapping[str, Any]) -> str:
    """Return the page that shows *document*."""
    template = _environment().get_template("reference.html")
    reader = Reader(document)
    return template.render(
        info=document["info"],
        sections=tuple(reader.sections()),
        shapes=tuple(reader.shapes()),
        style=Markup(_STYLE),  # noqa: S704 - the stylesheet of this package
    )


def prose(text: str) -> Markup:
    """Return a text with what is in backticks shown as code, and paragraphs apart."""
    paragraphs = (_CODE.sub(r"<code>\1</code>", str(escape(part))) for part in text.split("\n\n"))
    return Markup("".join(f"<p>{part}</p>" for part in paragraphs))  # noqa: S704 - escaped above


class Reader:
    """Reads a document for its page."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._components = document["components"]

    def sections(self) -> Iterator[Section]:
        """Yield the operations, by what they are about."""
        entries: dict[str, list[Entry]] = {tag["name"]: [] for tag in self._document["tags"]}
        for path, methods in self._document["paths"].items():
            for method in METHODS:
                if method in methods:
                    operation = methods[method]
                    entries[operation["tags"][0]].append(self._entry(method, path, operation))
        for tag in self._document["tags"]:
            name = tag["name"]
            yield Section(name, name.lower().replace(" ", "-"), tag["description"], tuple(entries[name]))

    def shapes(self) -> Iterator[Shape]:
        """Yield every shape that has a name."""
        for name, schema in self._components["schemas"].items():
            values = tuple(json.dumps(value) for value in schema.get("enum", ()))
            yield Shape(
                name, called(name), schema.get("description", ""), tuple(self._fields(schema)), values
            )

    def _entry(self, method: str, path: str, operation: Schema) -> Entry:
        content = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
        schema = content.get("schema", {})
        return Entry(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation["summary"],
            description=operation.get("description", ""),
            deprecated=operation.get("deprecated", False),
            is_open=operation["security"] == [],
            scopes=tuple(scope for way in operation["security"] for scope in way["token"]),
            parameters=tuple(map(self._parameter, operation.get("parameters", ()))),
            body=kind_of(schema) if schema else (),
            fields=tuple(self._fields(self._resolved(schema))),
            curl=command_of(method, path, operation),
            replies=tuple(self._reply(status, said) for status, said in operation["responses"].items()),
        )

    def _parameter(self, parameter: Schema) -> Field:
        parameter = self._resolved(parameter)
        return _field(
            parameter["name"],
            parameter["schema"] | {"description": parameter.get("description", "")},
            required=parameter["required"],
            place=parameter["in"],
        )

    def _fields(self, schema: Schema) -> Iterator[Field]:
        # What is answered is all there; what is sent is closed, and some of it must be.
        needed = schema.get("required", ()) if schema.get("additionalProperties") is False else ()
        for name, field in schema.get("properties", {}).items():
            yield _field(name, field, required=name in needed)

    def _reply(self, status: str, said: Schema) -> Reply:
        said = self._resolved(said)
        content: Schema = next(iter(said.get("content", {}).values()), {})
        schema = content.get("schema", {})
        schema = schema.get("allOf", [schema])[0]
        example = json.dumps(content["example"], indent=2) if "example" in content else ""
        return Reply(
            status, _meaning(status, said["description"]), kind_of(schema) if schema else (), example
        )

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        _, _, kind, name = schema["$ref"].split("/")
        found: Schema = self._components[kind][name]
        return found


def kind_of(schema: Schema) -> tuple[Piece, ...]:
    """Return what type of thing a schema describes, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return (Piece(called(name), name),)
    if "anyOf" in schema:
        return tuple(_joined([kind_of(kind) for kind in schema["anyOf"]], " or "))
    if "enum" in schema:
        return tuple(_joined([(Piece(json.dumps(value)),) for value in schema["enum"]], ", "))
    inner = schema.get("items") or schema.get("additionalProperties")
    if isinstance(inner, dict) and inner:
        return (Piece(f"{schema['type']} of "), *kind_of(inner))
    return (Piece("time" if schema.get("format") == "date-time" else schema.get("type", "any JSON")),)


def called(name: str) -> str:
    """Return a shape's name in words: that of a list says of what."""
    return _GENERIC.sub(r"\1 of \2", name)


def _joined(kinds: list[tuple[Piece, ...]], between: str) -> Iterator[Piece]:
    for index, kind in enumerate(kinds):
        if index:
            yield Piece(between)
        yield from kind


def _field(name: str, schema: Schema, *, required: bool, place: str = "") -> Field:
    return Field(
        name=name,
        kind=kind_of(schema),
        required=required,
        meaning=schema.get("description", ""),
        rules=tuple(_rules(schema)),
        place=place,
    )


def _rules(schema: Schema) -> Iterator[Rule]:
    for lowest, highest, unit in _BOUNDS:
        least, most = schema.get(lowest), schema.get(highest)
        if most is not None:
            yield Rule(f"{least or 0:,} to {most:,} {unit}".strip())
        elif least and lowest != "minLength":  # that what must be given is not empty goes without saying
            yield Rule(f"{least:,} {unit} or more".replace("  ", " "))
    if schema.get("default") is not None:
        yield Rule("by default ", json.dumps(schema["default"]))


def _meaning(status: str, description: str) -> str:
    if not status.isdigit():
        return description
    phrase = HTTPStatus(int(status)).phrase
    return description if description.startswith(phrase) else f"{phrase}: {description}"


def command_of(method: str, path: str, operation: Schema) -> str:
    """Return a command that does it; the parts of the address are variables of the shell."""
    address = _PART.sub(lambda part: f"${part[1].upper()}", path)
    needed = [
        f"{parameter['name']}={_text(parameter['schema'])}"
        for parameter in operation.get("parameters", ())
        if parameter.get("in") == "query" and parameter["required"]
    ]
    query = f"?{'&'.join(needed)}" if needed else ""
    words = [f'curl "$RINGBACK{address}{query}"']
    content = operation.get("requestBody", {}).get("content", {}).get(JSON)
    if method == "head":
        words.append("--head")
    elif method != ("get" if content is None else "post"):
        words.append(f"-X {method.upper()}")
    if operation["security"]:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if content is not None:
        quoted = json.dumps(content["example"]).replace("'", "'\\''")
        words.append(f"--json '{quoted}'")
    return " \\\n  ".join(words)


def _text(schema: Schema) -> str:
    return str(schema.get("enum", [schema.get("default", "VALUE")])[0])


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    return environment
