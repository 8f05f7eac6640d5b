"""Any ASGI server or framework: ``app.mount("/hooks", ASGIAdapter(inbox))`` in FastAPI and Starlette.

``POST /hooks/xendit`` is then for the source ``xendit``. The adapter also runs alone (``uvicorn module:hooks``).
In Litestar: ``asgi("/hooks", is_mount=True)(ASGIAdapter(inbox))``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from ringback.adapters import Door, declared_length, escaped, joined, refused, source_name, with_query
from ringback.entrance import Reply
from ringback.errors import PayloadTooLarge, RequestTimeout, RingbackError
from ringback.signing import Request

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

BODY_SECONDS = 30.0
_BODILESS = frozenset({204, 304})


class ASGIAdapter:
    """An ASGI application (version 3, HTTP and lifespan) that answers for *inbox*.

    A body above ``inbox.max_body`` is refused as soon as its length is known, a body that is not there after
    *body_seconds* likewise, and the connection ends with that; a client that leaves early leaves nothing behind.
    """

    def __init__(self, inbox: Door, *, body_seconds: float = BODY_SECONDS) -> None:
        self._inbox = inbox
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        try:
            body = await self._read(headers, receive)
        except ConnectionAbortedError:
            return
        except RingbackError as error:
            await _answer(refused(self._inbox, error), send, _ending(scope))
            return
        request = Request(scope["method"], _url(scope, headers), headers, body)
        path: str = scope["path"].removeprefix(scope.get("root_path") or "")
        await _answer(await self._inbox.accept(source_name(path), request), send)

    async def _read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        if (declared_length(headers.get("content-length")) or 0) > self._inbox.max_body:
            raise PayloadTooLarge
        try:
            async with asyncio.timeout(self._body_seconds):
                return await self._gather(receive)
        except TimeoutError:
            raise RequestTimeout(f"the body took more than {self._body_seconds:g} s to arrive") from None

    async def _gather(self, receive: Receive) -> bytes:
        parts, size = [], 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ConnectionAbortedError
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if size > self._inbox.max_body:
                raise PayloadTooLarge
            if not event.get("more_body"):
                return b"".join(parts)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers as text; each byte is one character."""
    return joined((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])


def path_of(scope: Scope) -> str:
    """Return the path as the sender wrote it; if the server does not tell, it is escaped anew."""
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw else escaped(scope["path"])


def _url(scope: Scope, headers: Mapping[str, str]) -> str:
    host, port = scope.get("server") or ("localhost", None)
    host = headers.get("host") or (f"{host}:{port}" if port else host)
    path = with_query(path_of(scope), scope["query_string"].decode("latin-1"))
    return f"{scope.get('scheme', 'http')}://{host}{path}"


async def _answer(reply: Reply, send: Send, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if reply.status not in _BODILESS:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": reply.body})


def _ending(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    # What is left of an unread body must not be waited for; HTTP/2 has other means and no such header.
    return ((b"connection", b"close"),) if scope.get("http_version", "1.1").startswith("1") else ()


async def _live(receive: Receive, send: Send) -> None:
    stage = ""
    while stage != "shutdown":
        stage = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{stage}.complete"})
