"""Asks the provider's API as a shop does: over connections that are kept, with every request and byte counted."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from ringback.config import Address
from ringback.errors import Unavailable
from ringback.sandbox.xendit.compare.results import Traffic

AT_ONCE = 8
ANSWER_SECONDS = 30.0
LENGTH = b"content-length:"


class Asker:
    """One who asks the API.

    Args:
        server: Where the API is.
        key: The API key.
        name: What it calls itself, in ``User-Agent``.
    """

    def __init__(self, server: Address, key: str, name: str) -> None:
        self.name = name
        self.traffic = Traffic()
        self._server = server
        credentials = base64.b64encode(f"{key}:".encode()).decode()
        self._head = f"Host: {server}\r\nAuthorization: Basic {credentials}\r\nUser-Agent: {name}\r\n"
        self._idle: list[_Connection] = []

    async def each(self, paths: Sequence[str], heed: Callable[[bytes], None]) -> None:
        """Get what is at each of *paths*, with up to eight requests under way at once, and have every answer heeded.

        Args:
            paths: Where to ask.
            heed: Called with the body of each answer as soon as it is there.

        Raises:
            Unavailable: See ``ask``.
        """
        left = iter(paths)

        async def work() -> None:
            for path in left:
                heed(await self.ask("GET", path))

        await asyncio.gather(*(work() for _ in range(min(AT_ONCE, len(paths)))))

    async def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """Return the body of the answer to a request.

        Raises:
            Unavailable: The answer is none of success, or there is none.
        """
        content = b"" if body is None else msgspec.json.encode(body)
        kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        request = f"{method} {path} HTTP/1.1\r\n{self._head}{kind}\r\n".encode() + content
        connection = await self._connected()
        status, answer, size = await connection.exchange(request)
        self._idle.append(connection)
        self.traffic += Traffic(1, len(request), size)
        if status != HTTPStatus.OK:
            raise Unavailable(f"the sandbox answers {method} {path} with {status}: {answer[:200]!r}")
        return answer

    async def _connected(self) -> _Connection:
        # The sandbox ends connections that have been idle for long, as while webhooks wait for a shop that hangs.
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            connection.close()
        return _Connection(*await asyncio.open_connection(self._server.host, self._server.port))

    def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().close()


class _Connection:
    """One connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def is_open(self) -> bool:
        """Whether the other end has not closed it, as far as is known here."""
        return not self._reader.at_eof()

    async def exchange(self, request: bytes) -> tuple[int, bytes, int]:
        """Return the status and body of the answer, and how many bytes all of it has."""
        self._writer.write(request)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                head = await self._reader.readuntil(b"\r\n\r\n")
                body = await self._reader.readexactly(_length(head))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Unavailable(f"the sandbox does not answer ({type(error).__name__})") from None
        return int(head[9:12]), body, len(head) + len(body)

    def close(self) -> None:
        """Close it."""
        self._writer.transport.abort()


def _length(head: bytes) -> int:
    # The sandbox writes this header in lower case, and always.
    at = head.index(LENGTH) + len(LENGTH)
    return int(head[at : head.index(b"\r\n", at)])
