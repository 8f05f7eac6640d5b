"""Any WSGI server: ``hooks = WSGIAdapter(inbox)`` is an application, mounted wherever the server mounts it.

Two things the sender wrote are not in WSGI (PEP 3333): the path's percent-escapes, which are taken from
``REQUEST_URI`` or ``RAW_URI`` where the server has them (gunicorn, uWSGI, mod_wsgi, Werkzeug), else escaped anew; and
the space after the comma between repeated headers. How long a body may take is the server's to bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http.client import responses
from typing import Any, Protocol

from ringback.adapters import Door, declared_length, escaped, refused, source_name, with_query
from ringback.entrance import Reply
from ringback.errors import MalformedRequest, PayloadTooLarge, RequestTimeout, RingbackError
from ringback.signing import Request

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

CHUNK = 64 * 1024
_BODILESS = frozenset({204, 304})
_UNPREFIXED = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""
        ...


class WSGIAdapter:
    """A WSGI application that answers for *inbox*; the last segment of ``PATH_INFO`` names the source."""

    def __init__(self, inbox: Door) -> None:
        self._inbox = inbox

    def __call__(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        """Serve one request, as PEP 3333 has it."""
        reply = self._reply(environ)
        headers = [*reply.headers]
        if reply.status not in _BODILESS:
            headers.append(("content-length", str(len(reply.body))))
        start_response(f"{reply.status} {responses.get(reply.status, 'Other')}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [reply.body]

    def _reply(self, environ: Environ) -> Reply:
        try:
            body = read_body(environ, environ["wsgi.input"], self._inbox.max_body)
        except RingbackError as error:
            return refused(self._inbox, error)
        origin = origin_of(environ, environ["wsgi.url_scheme"])
        source = source_name(environ.get("PATH_INFO", ""))
        return self._inbox.accept(source, request_of(environ, origin, body)).result()


def request_of(environ: Environ, origin: str, body: bytes) -> Request:
    """Return the request that *environ* describes, sent to *origin*: scheme and host."""
    return Request(environ["REQUEST_METHOD"], origin + _target(environ), dict(_headers(environ)), body)


def read_body(environ: Environ, stream: Readable, limit: int) -> bytes:
    """Read the whole body from *stream*.

    Raises:
        PayloadTooLarge: It has more than *limit* bytes; if it says so, it is not read.
        MalformedRequest: It ended early, or its length cannot be known.
        RequestTimeout: The server gave up waiting for it.
    """
    declared = declared_length(environ.get("CONTENT_LENGTH"))
    if declared is None and not environ.get("wsgi.input_terminated"):
        if environ.get("HTTP_TRANSFER_ENCODING"):
            raise MalformedRequest("this server does not pass on chunked bodies; send a Content-Length")
        return b""
    if declared is not None and declared > limit:
        raise PayloadTooLarge
    try:
        body = b"".join(_parts(stream, limit + 1 if declared is None else declared))
    except TimeoutError:
        raise RequestTimeout from None
    except OSError as error:
        raise MalformedRequest(f"the body could not be read: {type(error).__name__}") from None
    if len(body) > limit:
        raise PayloadTooLarge
    if declared is not None and len(body) < declared:
        raise MalformedRequest(f"the body ended after {len(body)} of {declared} bytes")
    return body


def _parts(stream: Readable, size: int) -> Iterator[bytes]:
    while size > 0 and (part := stream.read(min(size, CHUNK))):
        size -= len(part)
        yield part


def _headers(environ: Environ) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").lower(), value
        elif name in _UNPREFIXED and value:
            yield _UNPREFIXED[name], value


def _target(environ: Environ) -> str:
    path: str = (environ.get("REQUEST_URI") or environ.get("RAW_URI") or "").partition("?")[0]
    if not path.startswith("/"):
        decoded: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        path = escaped(decoded.encode("latin-1"))
    return with_query(path, environ.get("QUERY_STRING", ""))


def origin_of(environ: Environ, scheme: str) -> str:
    """Return where the request was sent: *scheme*, host and, if the sender wrote one, port."""
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{scheme}://{host}"
