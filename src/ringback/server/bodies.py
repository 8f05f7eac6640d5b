"""Reading requests: bodies within bounds, and faults in their JSON told field by field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ringback.errors import InvalidInput, PayloadTooLarge, UnsupportedMediaType
from ringback.server.known_fields import Place, known_of
from ringback.server.unknown import Request

T = TypeVar("T")

JSON = "application/json"
NOT_JSON = "value_error.jsondecode"
UNKNOWN = "value_error.extra"
MOST_IGNORED = 50

_PATH_PART = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_FIELD = re.compile(r"(unknown|missing required) field `(.*)`", re.DOTALL)


class Bodies:
    """Reads request bodies of at most *limit* bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def decode(self, req: Request, decoder: msgspec.json.Decoder[T]) -> T:
        """Read the body and decode it.

        Raises:
            UnsupportedMediaType: It is declared to be something other than JSON in UTF-8.
            PayloadTooLarge: It is larger than the limit.
            InvalidInput: It is not the JSON expected.
        """
        return self._known(req, await self._read(req), decoder)

    async def text(self, req: Request) -> bytes:
        """Read the body, which is declared to be JSON; see ``decode``."""
        body = await self._read(req)
        check_media_type(req.content_type)
        return body

    async def decode_optional(self, req: Request, decoder: msgspec.json.Decoder[T], absent: T) -> T:
        """Read the body as ``decode`` does, and take *absent* for an empty one."""
        body = await self._read(req)
        return self._known(req, body, decoder) if body else absent

    def _known(self, req: Request, body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        check_media_type(req.content_type)
        decoded, ignored = decode_known(body, decoder, strict=req.refuses_unknown)
        if ignored:
            req.ignore(ignored)
        return decoded

    async def _read(self, req: Request) -> bytes:
        length = req.content_length
        if length is not None and length > self._limit:
            raise self._too_large()
        if length is not None:
            return await req.stream.read()
        # Without a declared length (chunked) there is nothing to judge but what comes.
        body = await req.stream.read(self._limit + 1)
        if len(body) > self._limit:
            raise self._too_large()
        return body

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the request body has more than {self._limit} bytes")


def check_media_type(declared: str | None) -> None:
    """Refuse a declared type that is not JSON in UTF-8; declaring none is fine."""
    if declared is None or declared == JSON:
        return
    kind, *parameters = (part.strip().lower() for part in declared.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    if kind != JSON or any(charset not in {"utf-8", "utf8"} for charset in charsets):
        raise UnsupportedMediaType(f"the request body must be {JSON} in UTF-8, not {declared[:100]!r}")


def decode_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode *body*.

    Raises:
        InvalidInput: It is not JSON, not UTF-8, nested too deeply or not of the shape expected.
    """
    try:
        if not body.isascii():
            body.decode()  # parts kept raw are not looked at by the decoder
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise fault("body", error) from None
    except UnicodeDecodeError as error:
        raise _not_json(f"is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise _not_json("is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise _not_json(f"is not JSON: {error}" if body else "is missing; send a JSON object") from None


def decode_known(
    body: bytes, decoder: msgspec.json.Decoder[T], *, strict: Callable[[], bool]
) -> tuple[T, tuple[str, ...]]:
    """Decode *body*; return also the names of the fields left out, none of them where *strict*.

    Raises:
        InvalidInput: It is not of the shape expected, or holds more than fifty unknown fields.
    """
    try:
        return decode_json(body, decoder), ()
    except InvalidInput as error:
        if error.fields[0].type != UNKNOWN:
            raise
    ignored: list[str] = []

    def refuse(place: Place) -> None:
        if len(ignored) == MOST_IGNORED or strict():
            msg = f"Object contains unknown field `{place[-1]}`"
            raise InvalidInput.at("body", *place, msg=msg, kind=UNKNOWN)
        ignored.append("body." + ".".join(map(str, place)))

    return decode_json(_known(body, decoder.type, refuse), decoder), tuple(ignored)


def _known(body: bytes, kind: type, refuse: Callable[[Place], None]) -> bytes:
    try:
        return known_of(body, kind, refuse)
    except msgspec.DecodeError as error:
        # An unknown field may be complained of before the rest turns out to be no JSON.
        raise _not_json(f"is not JSON: {error}") from None


def fault(root: str, error: msgspec.ValidationError) -> InvalidInput:
    """Turn msgspec's complaint about what lies under *root* into the field at fault."""
    text, _, path = str(error).partition(" - at `")
    loc: list[str | int] = [root]
    loc += [int(index) if index else name for name, index in _PATH_PART.findall(path)]
    field = _FIELD.search(text)
    if field is None:
        return InvalidInput.at(*loc, msg=text.strip())
    kind = UNKNOWN if field[1] == "unknown" else "value_error"
    return InvalidInput.at(*loc, field[2], msg=text.strip(), kind=kind)


def _not_json(why: str) -> InvalidInput:
    return InvalidInput.at("body", msg=why, kind=NOT_JSON)
