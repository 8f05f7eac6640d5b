"""JSON whose numbers keep the form in which they were written: ``75000.00`` stays ``75000.00``, and 40 digits stay 40.

A number is a ``msgspec.Raw`` of its characters, which ``msgspec.json.encode`` writes as they are; all else is what
``json`` makes of it, objects with their keys in order.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import msgspec

_WHOLE = re.compile(rb"-?[0-9]+")


def decoded(text: str | bytes | msgspec.Raw) -> Any:
    """Return what JSON means.

    Raises:
        ValueError: It is not JSON in UTF-8; or is nested too deeply; or has half a character, which cannot be sent.
    """
    raw = text.encode() if isinstance(text, str) else bytes(text)
    try:
        value = json.loads(raw.decode(), parse_int=_number, parse_float=_number, parse_constant=_refuse)
        msgspec.json.encode(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def is_whole(number: msgspec.Raw) -> bool:
    """Tell whether a number was written without a fraction or an exponent."""
    return _WHOLE.fullmatch(bytes(number)) is not None


def _number(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
