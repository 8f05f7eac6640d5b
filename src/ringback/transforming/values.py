"""JSON as expressions see it: numbers keep the form that they came in, since they may be money."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec

from ringback.transforming.failure import TransformationFailed

MAX_RESULT = 512 * 1024

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<more>\.[0-9]+)?(?P<power>[eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 1_000


def decoded(payload: bytes) -> Any:
    """Read a payload; raises ``TransformationFailed`` where it is no JSON."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, ArithmeticError) as error:
        raise TransformationFailed(
            "not_json", f"the payload is no JSON that can be transformed: {error}"
        ) from None


def encoded(value: Any) -> bytes:
    """Write what an expression made; raises ``TransformationFailed`` where it is too large, or no JSON."""
    try:
        made = _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise TransformationFailed("failed", f"the result cannot be written as JSON: {error}") from None
    if len(made) > MAX_RESULT:
        raise TransformationFailed(
            "too_large", f"the result has {len(made)} bytes, and at most {MAX_RESULT} are sent"
        )
    return made


def number(text: str) -> int | Decimal | None:
    """Read a number as JSON writes it; None where it is none."""
    found = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if found is None:
        return None
    return Decimal(text) if found["more"] or found["power"] else int(text)


def exact(value: Any) -> Any:
    """Return a value of an expression's own with its numbers as those of payloads are; raises ``ValueError``."""
    if isinstance(value, list):
        return [exact(part) for part in value]
    if isinstance(value, dict):
        return {name: exact(part) for name, part in value.items()}
    if isinstance(value, float):
        made = Decimal(repr(value))
        if not made.is_finite():
            raise ValueError(f"{value} is no number in JSON")
        return made
    return value
