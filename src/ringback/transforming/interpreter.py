"""Evaluating expressions within bounds: every step is counted, and whatever is made is weighed before it is used.

A short expression can make a value that is small in memory and huge when written or compared, since its parts are
shared: each ``| [@, @]`` doubles it. So values are weighed by what they would be as text. What the expression makes is
weighed by its parts as it is made; what came with the message is weighed by writing it.
"""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Any

from jmespath.visitor import TreeInterpreter

from ringback.transforming.failure import TransformationFailed
from ringback.transforming.functions import CHEAP, ExactFunctions, kind_of
from ringback.transforming.values import MAX_RESULT, encoded

MAX_STEPS = 20_000
# What a step may look at of a value that exists, what of one that is written to weigh it, and how many elements of one.
_READ = 32
_WRITTEN = 32
_ELEMENTS = 4
_SCALAR = 8
_EQUALITY = frozenset({"eq", "ne"})
_ORDERED = frozenset({"number", "string"})
_BITS_OF_A_DIGIT = 3
# Whatever program this is part of may have chosen other rules for itself.
_ARITHMETIC = Context(prec=34, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])


class Interpreter(TreeInterpreter):
    """Evaluates one expression, once. The trees are those of ``expression``."""

    def __init__(self) -> None:
        super().__init__()
        self._called = ExactFunctions()
        self._left = MAX_STEPS
        # By identity, each with its value, so that this is not that of another meanwhile.
        self._weights: dict[int, tuple[Any, int]] = {}

    def evaluate(self, tree: Any, value: Any) -> Any:
        """Return what an expression makes of *value*.

        Raises:
            TransformationFailed: It would take too long or make too much, or an operation does not fit its values.
        """
        try:
            with localcontext(_ARITHMETIC):
                return self.visit(tree, value)
        except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            raise TransformationFailed("failed", f"cannot be evaluated: {str(error)[:200]}") from None

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """Take one step."""
        self._left -= 1
        if self._left < 0:
            raise _too_many_steps()
        return super().visit(node, *args, **kwargs)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        """Call a function, and be charged for what it looks at."""
        arguments = [self.visit(child, value) for child in node["children"]]
        if node["value"] not in CHEAP:
            self._spend(sum(len(one) for one in arguments if isinstance(one, list)) // _ELEMENTS)
            self._spend(sum(map(self._weigh, arguments)) // _READ)
        return self._made(self._called.call_function(node["value"], arguments))

    def visit_comparator(self, node: Any, value: Any) -> Any:
        """Compare, and be charged for what is looked at."""
        left, right = (self.visit(child, value) for child in node["children"])
        if isinstance(left, list | dict) and isinstance(right, list | dict):
            self._spend((self._weigh(left) + self._weigh(right)) // _READ)
        kind = kind_of(left)
        if node["value"] in _EQUALITY or (kind in _ORDERED and kind == kind_of(right)):
            return self.COMPARATOR_FUNC[node["value"]](left, right)
        return None

    def visit_multi_select_dict(self, node: Any, value: Any) -> Any:
        """Make an object."""
        return self._made(super().visit_multi_select_dict(node, value))

    def visit_multi_select_list(self, node: Any, value: Any) -> Any:
        """Make an array."""
        return self._made(super().visit_multi_select_list(node, value))

    def visit_projection(self, node: Any, value: Any) -> Any:
        """Make an array of what comes of each element of another."""
        return self._made(super().visit_projection(node, value))

    def visit_value_projection(self, node: Any, value: Any) -> Any:
        """Make an array of what comes of each value of an object."""
        return self._made(super().visit_value_projection(node, value))

    def visit_filter_projection(self, node: Any, value: Any) -> Any:
        """Make an array of what comes of some elements of another."""
        return self._made(super().visit_filter_projection(node, value))

    def visit_flatten(self, node: Any, value: Any) -> Any:
        """Make one array of many."""
        return self._made(super().visit_flatten(node, value))

    def visit_slice(self, node: Any, value: Any) -> Any:
        """Make an array of a part of another."""
        return self._made(super().visit_slice(node, value))

    def _made(self, value: Any) -> Any:
        """Weigh what has just been made of what is weighed already; return it."""
        if isinstance(value, str):
            self._spend(len(value) // _READ)
            self._check(len(value))
        elif isinstance(value, list | dict) and id(value) not in self._weights:
            self._spend(len(value))
            parts = value.values() if isinstance(value, dict) else value
            names = sum(map(len, value)) if isinstance(value, dict) else 0
            weight = 2 + names + len(value) + sum(map(self._weigh, parts))
            self._check(weight)
            self._weights[id(value)] = (value, weight)
        return value

    def _weigh(self, value: Any) -> int:
        if not isinstance(value, list | dict):
            return self._weigh_scalar(value)
        known = self._weights.get(id(value))
        if known is None:
            weight = len(encoded(value))
            self._spend(weight // _WRITTEN)
            known = self._weights[id(value)] = (value, weight)
        return known[1]

    def _weigh_scalar(self, value: Any) -> int:
        if isinstance(value, str):
            return len(value) + 2
        if isinstance(value, int):
            return _SCALAR + value.bit_length() // _BITS_OF_A_DIGIT
        if isinstance(value, Decimal):
            digits = len(str(value))
            self._spend(digits // _WRITTEN)
            return digits
        return _SCALAR

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _too_many_steps()

    def _check(self, weight: int) -> None:
        if weight > MAX_RESULT:
            raise TransformationFailed("too_large", f"makes more than {MAX_RESULT} characters of JSON")


def _too_many_steps() -> TransformationFailed:
    return TransformationFailed("too_many_steps", f"takes more than {MAX_STEPS:,} steps with this message")
