"""What is sent in place of a payload: what an expression in JMESPath makes of a message.

Source of the language: https://jmespath.org/specification.html. An expression sees the message alone, makes the same of
it every time, and is bounded in all that it may cost: its length and depth, its steps, and the size of what it makes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.transforming.expression import MAX_CODE, check_code, expression
from ringback.transforming.failure import TransformationFailed
from ringback.transforming.interpreter import Interpreter
from ringback.transforming.values import MAX_RESULT, decoded, encoded

MAX_PAYLOAD = 256 * 1024

__all__ = [
    "MAX_CODE",
    "MAX_PAYLOAD",
    "MAX_RESULT",
    "Subject",
    "TransformationFailed",
    "check_code",
    "transformed",
]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What an expression sees of a message; ``timestamp`` is when it was accepted, as RFC 3339."""

    id: str
    event_type: str
    timestamp: str
    payload: bytes
    variables: dict[str, str] = {}


def transformed(code: str, subject: Subject) -> bytes | None:
    """Return what *code* makes of a message, as JSON; None where that is null.

    Raises:
        TransformationFailed: The payload is no JSON or too large, or the expression fails at it.
    """
    if len(subject.payload) > MAX_PAYLOAD:
        raise TransformationFailed(
            "too_large",
            f"the payload has {len(subject.payload)} bytes, and at most {MAX_PAYLOAD} are transformed",
        )
    seen: dict[str, Any] = {
        "id": subject.id,
        "eventType": subject.event_type,
        "timestamp": subject.timestamp,
        "payload": decoded(subject.payload),
        "variables": subject.variables,
    }
    made = Interpreter().evaluate(expression(code), seen)
    return None if made is None else encoded(made)
