"""What the OpenAPI document promises, held against answers."""

import functools
import json
import re

import jsonschema_rs
import msgspec

from ringback.server.openapi import document
from ringback.server.routes import routes

DOCUMENT = json.loads(msgspec.json.encode(document(routes())))
COMPONENTS = {"components": DOCUMENT["components"]}


def operation(method, path):
    """Return the operation that answers, None where there is none; an address in plain words goes before a pattern."""
    fits = [template for template in DOCUMENT["paths"] if _pattern(template).fullmatch(path.rstrip("/"))]
    for template in sorted(fits, key=lambda template: template.count("{")):
        return DOCUMENT["paths"][template].get(method.lower())
    return None


def check(method, path, status, content_type, body):
    """Fail where an answer is not one that the document has."""
    found = operation(method, path)
    if found is None:
        return
    said = _resolved(found["responses"].get("default" if status == 500 else str(status)))
    assert said is not None, f"{method} {path} answered {status}, which its document does not know: {body}"
    if method == "HEAD" or not body:
        assert method == "HEAD" or "content" not in said, f"{method} {path} answered {status} without a body"
        return
    kind = (content_type or "").partition(";")[0]
    kinds = {media_type.partition(";")[0]: media_type for media_type in said["content"]}
    assert kind in kinds, f"{method} {path} answered {status} as {content_type}"
    if kind == "application/json":
        _validator(json.dumps(said["content"][kinds[kind]]["schema"])).validate(json.loads(body))


def _resolved(response):
    if response is not None and "$ref" in response:
        return DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response


@functools.cache
def _pattern(template):
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


@functools.cache
def _validator(schema):
    return jsonschema_rs.validator_for(json.loads(schema) | COMPONENTS)
