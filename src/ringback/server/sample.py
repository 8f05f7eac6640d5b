"""Examples of what is sent and answered, made of the examples of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

# What is worth showing where no field must be there, or where more than those must be.
BODIES: dict[str, Any] = {
    "AuthDraft": {"kind": "basic", "username": "acme", "password": "s3cret"},
    "AuthPatch": {"password": "s3cret-too"},
    "CertificatePatch": {"serverCaCert": None},
    "OAuthPatch": {"scopes": ["webhooks:write"]},
    "TransformationPatch": {"code": "{id: payload.id}", "enabled": True},
    "EndpointPatch": {"disabled": True},
    "EventTypePatch": {"deprecated": True},
    "ForwardPatch": {"eventTypes": ["payment.*"]},
    "HeadersPatch": {"headers": {"x-tenant": "acme", "x-old": None}},
    "OperationalPatch": {"eventTypes": ["endpoint.disabled"]},
    "Recovery": {"since": "2026-03-01T12:00:00Z", "until": "2026-03-02T12:00:00Z"},
    "SecretRotation": {"gracePeriodSeconds": 3600},
    "SourceIn": {"name": "Payments", "type": "xendit", "config": {"secret": "the callback token"}},
    "SourcePatch": {"name": "Payments in Indonesia"},
}


def sample(schema: Schema, components: Mapping[str, Schema], *, whole: bool = True) -> Any:
    """Return an example of what *schema* describes.

    Args:
        schema: The schema.
        components: The schemas that it may refer to.
        whole: Whether to show fields that need not be there as well.
    """
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        if not whole and name in BODIES:
            return BODIES[name]
        return sample(components[name], components, whole=whole)
    if "anyOf" in schema:
        return _of_several(schema, components, whole=whole)
    if "enum" in schema:
        return schema.get("default", schema["enum"][0])
    return schema["default"] if "default" in schema else _of_type(schema, components, whole=whole)


def _of_several(schema: Schema, components: Mapping[str, Schema], *, whole: bool) -> Any:
    kinds = schema["anyOf"]
    if any(kind.get("type") == "null" for kind in kinds):
        return None  # without an example of its own, what may be null is best left so
    return sample(kinds[0], components, whole=whole)


def _of_type(schema: Schema, components: Mapping[str, Schema], *, whole: bool) -> Any:
    match schema.get("type"):
        case "object":
            return _of_object(schema, components, whole=whole)
        case "array":
            return [sample(schema["items"], components, whole=whole)] if "items" in schema else []
        case "boolean":
            return False
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "string":
            return "text"
    return {}


def _of_object(schema: Schema, components: Mapping[str, Schema], *, whole: bool) -> dict[str, Any]:
    fields = schema.get("properties", {})
    needed = schema.get("required") or list(fields)[:1]
    return {
        name: sample(field, components, whole=whole)
        for name, field in fields.items()
        if whole or name in needed
    }
