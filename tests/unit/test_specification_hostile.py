"""Whatever is in an OpenAPI document, a YAML text or a schema, it is read or refused with its place."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.errors import InvalidInput
from ringback.schemas import check_payload, schema_problems
from ringback.specification import event_types_of
from ringback.yaml_text import from_yaml

quick = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

ODD = st.sampled_from(
    ["", "#", "#/", "#/~2", "#/%zz", "//", "a b", "é", "-1", "0", "__proto__", "..", "x" * 300]
)
REFERENCES = st.sampled_from(
    [
        "#/components/schemas/A",
        "#/components/schemas/B",
        "#/components/schemas/A/properties/a",
        "#/webhooks/a",
        "#/x",
    ]
)
WORDS = st.sampled_from(
    [
        "$ref",
        "$id",
        "$anchor",
        "$dynamicRef",
        "$defs",
        "$schema",
        "type",
        "properties",
        "items",
        "prefixItems",
        "allOf",
        "anyOf",
        "not",
        "if",
        "enum",
        "const",
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "pattern",
        "nullable",
        "minimum",
        "exclusiveMinimum",
        "example",
        "examples",
        "a",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | ODD
    | REFERENCES
)
LEAVES |= st.sampled_from(
    ["object", "string", "integer", "array", "(", "^(a+)+$", "http://json-schema.org/draft-07/schema#"]
)


def branching(children):
    return st.lists(children, max_size=3) | st.dictionaries(WORDS | ODD, children, max_size=4)


ANYTHING = st.recursive(LEAVES, branching, max_leaves=12)
SCHEMAS = st.dictionaries(WORDS, ANYTHING, max_size=4)


def fixed(**parts):
    return st.fixed_dictionaries(parts)


OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "requestBody": st.fixed_dictionaries(
            {
                "content": st.fixed_dictionaries(
                    {"application/json": st.fixed_dictionaries({"schema": SCHEMAS})}
                )
            }
        )
        | ANYTHING,
        "operationId": ANYTHING,
        "description": ANYTHING,
        "tags": ANYTHING,
        "x-feature-flags": ANYTHING,
        "deprecated": ANYTHING,
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {"openapi": st.sampled_from(["3.1.0", "3.0.3", "3", "2.0", "3.é"]) | ANYTHING},
    optional={
        "webhooks": st.dictionaries(
            ODD | st.sampled_from(["a", "b"]), st.fixed_dictionaries({"post": OPERATIONS}), max_size=3
        )
        | ANYTHING,
        "x-webhooks": ANYTHING,
        "components": st.fixed_dictionaries({"schemas": st.fixed_dictionaries({"A": SCHEMAS, "B": SCHEMAS})})
        | ANYTHING,
    },
)


@given(DOCUMENTS)
@quick
def test_documents(document):
    """What comes out of a document is fit to be kept; what does not is refused at a place within it."""
    found, faults = outcome(event_types_of, document, "body", "spec")
    assert {fault.loc[:2] for fault in faults} <= {("body", "spec")}
    assert all(fault.msg for fault in faults)
    for draft in found or ():
        draft.check()


@given(SCHEMAS, ANYTHING)
@quick
def test_schemas(schema, payload):
    """A schema is fit or refused; under one that is fit, a payload is, or is refused at a place within it."""
    raw = msgspec.Raw(msgspec.json.encode(schema))
    if list(schema_problems(("body", "schemas", "1"), bytes(raw))):
        return
    _, faults = outcome(check_payload, {"1": raw}, msgspec.json.encode(payload))
    assert {fault.loc[:2] for fault in faults} <= {("body", "payload")}


@given(st.text(alphabet=st.sampled_from(list("abc:- \n\t[]{}#&*!|>'\"%@`,?0.~<\\é\x00")), max_size=60))
@quick
def test_texts(text):
    """A text is read as JSON's values, or refused."""
    found, faults = outcome(from_yaml, text, "body", "specRaw")
    assert {fault.loc for fault in faults} <= {("body", "specRaw")}
    msgspec.json.encode(found)


def outcome(function, *arguments):
    """Return what a function returns, and the faults that it names instead."""
    try:
        return function(*arguments), ()
    except InvalidInput as error:
        return None, error.fields
