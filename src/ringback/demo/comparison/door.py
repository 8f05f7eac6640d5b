"""The way to a server: passes connections on, counts their bytes, and can hang or be shut like a server in trouble."""

from __future__ import annotations

import asyncio
import contextlib
import enum

from ringback.config import Address

LOOPBACK = "127.0.0.1"
CHUNK = 64 * 1024


class Condition(enum.Enum):
    """How the server behind the door appears."""

    WELL = enum.auto()
    HANGING = enum.auto()  # takes connections and requests, and answers nothing
    GONE = enum.auto()  # the system refuses connections


class Door:
    """A place on loopback that stands for a server's address.

    Args:
        server: Where the server is.
    """

    def __init__(self, server: Address) -> None:
        self.asked = 0
        self.answered = 0
        self._server = server
        self._condition = Condition.WELL
        self._listening: asyncio.Server | None = None
        self._port = 0
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{LOOPBACK}:{self._port}"

    async def turn(self, condition: Condition) -> None:
        """Let the server appear in a condition; connections of the one before end, as with a server that restarts."""
        self._condition = condition
        await self.close()
        if condition is not Condition.GONE:
            self._listening = await asyncio.start_server(self._enter, LOOPBACK, self._port)
            self._port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and end all connections."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server's callback runs as a task
        self._passing.add(task)
        try:
            if self._condition is Condition.HANGING:
                await self._swallow(reader)
            else:
                await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):
            # Whoever closes the door waits for this task's end and wants nothing else of it.
            pass
        finally:
            self._passing.discard(task)
            writer.transport.abort()

    async def _swallow(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(CHUNK):
            self.asked += len(data)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(self._server.host, self._server.port)
        answers = asyncio.create_task(self._answer(inner_reader, writer))
        try:
            while data := await reader.read(CHUNK):
                self.asked += len(data)
                inner_writer.write(data)
                await inner_writer.drain()
        finally:
            answers.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await answers
            inner_writer.transport.abort()

    async def _answer(self, inner_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await inner_reader.read(CHUNK):
            self.answered += len(data)
            writer.write(data)
            await writer.drain()
        writer.close()
