"""Reading requests: bodies within bounds, and faults in their JSON told field by field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from falcon.asgi import Request

from ringback.errors import InvalidInput, PayloadTooLarge, UnsupportedMediaType

T = TypeVar("T")

JSON = "application/json"
NOT_JSON = "value_error.jsondecode"

_PATH_PART = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_FIELD = re.compile(r"(?:unknown|missing required) field `(.*)`", re.DOTALL)


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
        body = await self._read(req)
        check_media_type(req.content_type)
        return decode_json(body, decoder)

    async def decode_optional(self, req: Request, decoder: msgspec.json.Decoder[T], absent: T) -> T:
        """Read the body as ``decode`` does, and take *absent* for an empty one."""
        body = await self._read(req)
        if not body:
            return absent
        check_media_type(req.content_type)
        return decode_json(body, decoder)

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


def fault(root: str, error: msgspec.ValidationError) -> InvalidInput:
    """Turn msgspec's complaint about what lies under *root* into the field at fault."""
    text, _, path = str(error).partition(" - at `")
    loc: list[str | int] = [root]
    loc += [int(index) if index else name for name, index in _PATH_PART.findall(path)]
    if (field := _FIELD.search(text)) is not None:
        loc.append(field[1])
    return InvalidInput.at(*loc, msg=text.strip())


def _not_json(why: str) -> InvalidInput:
    return InvalidInput.at("body", msg=why, kind=NOT_JSON)
