"""Reading expressions: once each, and none that is too long, too deep, or calls what is not there."""

from __future__ import annotations

import functools
import re
from typing import Any

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError
from jmespath.lexer import Lexer

from ringback.errors import InvalidInput
from ringback.transforming.failure import TransformationFailed
from ringback.transforming.functions import arity_problem
from ringback.transforming.values import exact

MAX_CODE = 10_000
MAX_DEPTH = 64
MAX_REMEMBERED = 1_000
_LONGEST_TELLING = 500
_LITERAL = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)

Node = dict[str, Any]


def check_code(code: str, field: str = "code") -> None:
    """Refuse what is no expression, or one that could not be evaluated; raises ``InvalidInput``."""
    try:
        expression(code)
    except TransformationFailed as failure:
        raise InvalidInput.at("body", field, msg=failure.why) from None


@functools.lru_cache(maxsize=MAX_REMEMBERED)
def expression(code: str) -> Node:
    """Return the tree of an expression.

    Raises:
        TransformationFailed: It is too long or too deep, or not of the language.
    """
    if len(code) > MAX_CODE:
        raise TransformationFailed(
            "too_long", f"has {len(code)} characters, and at most {MAX_CODE} are allowed"
        )
    try:
        _check_literals(code)
        tree: Any = jmespath.compile(code).parsed
        return _checked(tree, 0)
    except RecursionError:
        raise _too_deep() from None
    except (JMESPathError, ValueError, ArithmeticError, PendingDeprecationWarning) as error:
        raise TransformationFailed("syntax", f"is no JMESPath: {str(error)[:_LONGEST_TELLING]}") from None


def _check_literals(code: str) -> None:
    """Refuse literals that are no JSON, which the library takes for strings, with a warning (JEP 12)."""
    for token in Lexer().tokenize(code):
        found = _LITERAL.match(code, token["start"]) if token["type"] == "literal" else None
        if found is not None:
            msgspec.json.decode(found[1].replace("\\`", "`"))


def _checked(node: Node, depth: int) -> Node:
    """Return a copy of a tree whose numbers are exact."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    children = [
        _checked(child, depth + 1) if isinstance(child, dict) else child for child in node["children"]
    ]
    value = node.get("value")
    if node["type"] == "function_expression":
        problem = arity_problem(str(value), len(children))
        if problem is not None:
            raise TransformationFailed("syntax", problem)
    if node["type"] == "literal":
        value = exact(value)
    return {"type": node["type"], "value": value, "children": children}


def _too_deep() -> TransformationFailed:
    return TransformationFailed("too_deep", f"is nested more than {MAX_DEPTH} levels deep")
