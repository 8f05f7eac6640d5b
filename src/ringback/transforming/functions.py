"""The functions that expressions may call: those of JMESPath, with exact numbers and without surprises in cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from jmespath.functions import Functions, signature

from ringback.transforming.failure import TransformationFailed
from ringback.transforming.values import MAX_RESULT, encoded, number

# What costs the same, however much it is called with.
CHEAP = frozenset({"keys", "length", "not_null", "to_array", "type", "values"})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "any": lambda _: True,
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "expref": lambda value: hasattr(value, "expression"),
    "null": lambda value: value is None,
    "number": _is_number,
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def kind_of(value: Any) -> str:
    """Return what JMESPath calls a value."""
    return next((kind for kind, fits in _KINDS.items() if kind != "any" and fits(value)), "unknown")


def arity_problem(name: str, count: int) -> str | None:
    """Say why a function cannot be called with so many arguments; None when it can."""
    known = ExactFunctions.FUNCTION_TABLE.get(name)
    if known is None:
        return f"there is no function {name[:100]}()"
    wanted = len(known["signature"])
    variadic = known["signature"][-1].get("variadic", False)
    if count == wanted or (variadic and count > wanted):
        return None
    return f"{name}() takes {wanted}{' or more' if variadic else ''} arguments, not {count}"


class ExactFunctions(Functions):
    """The functions. What there is of them is looked up by name in ``FUNCTION_TABLE``."""

    def call_function(self, function_name: str, resolved_args: Sequence[Any]) -> Any:  # type: ignore[override]
        """Call a function; raises ``TransformationFailed`` where an argument is of the wrong kind."""
        known = self.FUNCTION_TABLE[function_name]
        for argument, wanted in zip(resolved_args, known["signature"], strict=False):
            _check_kind(function_name, argument, wanted["types"])
        return known["function"](self, *resolved_args)

    def _convert_to_jmespath_type(self, name: str) -> str:
        return {"str": "string", "int": "number", "Decimal": "number"}.get(name, name)

    @signature({"types": ["number"]})
    def _func_abs(self, value: int | Decimal) -> int | Decimal:
        return value.copy_abs() if isinstance(value, Decimal) else abs(value)

    @signature({"types": ["array-number"]})
    def _func_avg(self, values: list[int | Decimal]) -> Decimal | None:
        return sum(map(Decimal, values), Decimal(0)) / len(values) if values else None

    @signature({"types": ["array-number"]})
    def _func_sum(self, values: list[int | Decimal]) -> int | Decimal:
        return sum(values)

    @signature({"types": ["number"]})
    def _func_ceil(self, value: int | Decimal) -> int | Decimal:
        return value.to_integral_value(ROUND_CEILING) if isinstance(value, Decimal) else value

    @signature({"types": ["number"]})
    def _func_floor(self, value: int | Decimal) -> int | Decimal:
        return value.to_integral_value(ROUND_FLOOR) if isinstance(value, Decimal) else value

    @signature({"types": ["array", "string"]}, {"types": []})
    def _func_contains(self, subject: list[Any] | str, search: Any) -> bool:
        if isinstance(subject, str):
            return isinstance(search, str) and search in subject
        return search in subject

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, glue: str, parts: list[str]) -> str:
        if len(glue) * len(parts) + sum(map(len, parts)) > MAX_RESULT:
            raise TransformationFailed("too_large", f"join() would make more than {MAX_RESULT} characters")
        return glue.join(parts)

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return value if isinstance(value, str) else encoded(value).decode()

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> int | Decimal | None:
        if isinstance(value, str):
            return number(value)
        return value if _is_number(value) else None

    @signature({"types": []})
    def _func_type(self, value: Any) -> str:
        return kind_of(value)


def _check_kind(function: str, value: Any, wanted: Sequence[str]) -> None:
    if wanted and not any(_fits(value, kind) for kind in wanted):
        kinds = " or ".join(wanted)
        raise TransformationFailed(
            "failed", f"{function}() takes {kinds}, and was called with {kind_of(value)}"
        )


def _fits(value: Any, wanted: str) -> bool:
    kind, _, within = wanted.partition("-")
    return _KINDS[kind](value) and (not within or all(map(_KINDS[within], value)))
