"""What a sender signs, written as a template: ``v0:{timestamp}:{body}``.

Names: ``{body}``, ``{timestamp}`` (the text exactly as sent), ``{id}``, ``{method}``, ``{url}``, ``{path}``,
``{digest}`` (SHA-256 of the body in base64), ``{crc32}`` (of the body, in decimal), ``{header:name}``.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.signing.contract import Request, header, to_bytes

_PLACE = re.compile(r"\{([a-z0-9:_-]+)\}")
HEADER = "header:"


def render(template: str, request: Request, timestamp: str = "", event_id: str = "") -> bytes:
    """Return the signed bytes of *request*.

    Raises:
        SignatureInvalid: A header of the template is missing, or the URL cannot be read.
        InvalidInput: The template does not pass ``check``.
    """
    given = {"timestamp": timestamp, "id": event_id}
    literals, names = _parsed(template)
    parts = [literals[0]]
    for name, literal in zip(names, literals[1:], strict=True):
        parts.append(to_bytes(given[name]) if name in given else _value(name, request))
        parts.append(literal)
    return b"".join(parts)


def check(template: str) -> None:
    """Check the names in *template*.

    Raises:
        InvalidInput: One is none of those there are.
    """
    _parsed(template)


@functools.cache
def _parsed(template: str) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    pieces = _PLACE.split(template)
    names = tuple(pieces[1::2])
    for name in names:
        if name not in {"timestamp", "id", *_VALUES} and not name.startswith(HEADER):
            raise InvalidInput.at("template", msg=f"a template has no {{{name}}}")
    return tuple(piece.encode() for piece in pieces[::2]), names


def _value(name: str, request: Request) -> bytes:
    if name.startswith(HEADER):
        return to_bytes(header(request, name.removeprefix(HEADER)))
    return _VALUES[name](request)


def path(url: str) -> str:
    """Return the path of *url*.

    Raises:
        SignatureInvalid: ``url_malformed``.
    """
    try:
        return urlsplit(url).path
    except ValueError:
        raise SignatureInvalid("url_malformed", "the URL of the request cannot be read") from None


_VALUES: Mapping[str, Callable[[Request], bytes]] = {
    "body": lambda request: request.body,
    "method": lambda request: to_bytes(request.method),
    "url": lambda request: to_bytes(request.url),
    "path": lambda request: to_bytes(path(request.url)),
    "digest": lambda request: base64.b64encode(hashlib.sha256(request.body).digest()),
    "crc32": lambda request: str(binascii.crc32(request.body)).encode(),
}
