"""What of a body is known: the rest is taken out in one pass and named, and what stays does so byte for byte."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, inspect

Place = tuple[str | int, ...]

_FIELDS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
_ITEMS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_ROWS = (inspect.ListType, inspect.VarTupleType)


class _Shape(msgspec.Struct, frozen=True):
    """The fields of an object by their names, and the other names that some of them have."""

    fields: dict[str, inspect.Type]
    aliases: Mapping[str, str | None]


def known_of(body: bytes, kind: type, refuse: Callable[[Place], None]) -> bytes:
    """Return *body* without the fields that *kind* does not know, and with those it knows under their own names.

    Args:
        body: An object.
        kind: What it is to be.
        refuse: Is told where each unknown field is, and may raise.

    Raises:
        msgspec.DecodeError: It is no object, or no JSON.
    """
    return _known(body, inspect.type_info(kind), (), refuse)


def _known(body: bytes, kind: inspect.Type, place: Place, refuse: Callable[[Place], None]) -> bytes:
    begins = body.lstrip()[:1]
    for one in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        if isinstance(one, inspect.StructType) and (begins == b"{" or not place):
            return _object(body, _shape(one.cls), place, refuse)
        if isinstance(one, _ROWS) and begins == b"[" and _nests(one.item_type):
            items = _ITEMS.decode(body)
            known = (
                Raw(_known(bytes(item), one.item_type, (*place, index), refuse))
                for index, item in enumerate(items)
            )
            return msgspec.json.encode(list(known))
    return body


def _object(body: bytes, shape: _Shape, place: Place, refuse: Callable[[Place], None]) -> bytes:
    held, known = _FIELDS.decode(body), dict[str, Raw]()
    for name, value in held.items():
        if name in shape.fields:
            nested = _nests(shape.fields[name])
            known[name] = (
                Raw(_known(bytes(value), shape.fields[name], (*place, name), refuse)) if nested else value
            )
        elif name not in shape.aliases:
            refuse((*place, name))
        elif (own := shape.aliases[name]) is not None and own not in held:
            known[own] = value
    return msgspec.json.encode(known)


@functools.cache
def _shape(kind: type) -> _Shape:
    told = inspect.type_info(kind)
    assert isinstance(told, inspect.StructType)  # noqa: S101 - asked for no others
    aliases: Any = getattr(kind, "aliases", {})
    return _Shape({field.encode_name: field.type for field in told.fields}, aliases)


def _nests(kind: inspect.Type) -> bool:
    """Tell whether values of a type may hold objects whose fields are known."""
    if isinstance(kind, inspect.UnionType):
        return any(map(_nests, kind.types))
    return isinstance(kind, inspect.StructType) or (isinstance(kind, _ROWS) and _nests(kind.item_type))
