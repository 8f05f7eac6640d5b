"""Receivers on loopback for tests of outgoing HTTP: each plays a script to every connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE = 10


class Received:
    """One request as it arrived."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("ascii").split("\r\n")
        self.line = lines[0]
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = body


class Peer:
    """One connection, from the receiver's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        self.requests: list[Received] = []

    async def request(self) -> Received:
        """Read one request; IncompleteReadError when the sender closes first."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        received = Received(head, b"")
        received.body = await self.reader.readexactly(int(received.headers.get("content-length", 0)))
        self.requests.append(received)
        return received

    async def send(self, data: bytes) -> None:
        """Say *data*, as fast as the sender takes it."""
        self.writer.write(data)
        await self.writer.drain()

    async def closed_by_sender(self) -> None:
        """Wait for the sender to close."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


def answering(*answers: bytes) -> Script:
    """Return a script that answers a connection's requests with these in turn, then with the last."""

    async def script(peer: Peer) -> None:
        number = 0
        while True:
            await peer.request()
            await peer.send(answers[min(number, len(answers) - 1)])
            number += 1

    return script


def answering_once(answer: bytes) -> Script:
    """Return a script that answers one request and closes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    return script


class Receiver:
    """A listening socket and everything that happened at it."""

    def __init__(self, script: Script) -> None:
        self.peers: list[Peer] = []
        self.closed = 0
        self.port = 0
        self._script = script
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """A plain URL that leads here."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def connections(self) -> int:
        """How many connections were accepted."""
        return len(self.peers)

    @property
    def requests(self) -> list[Received]:
        """Everything that was read, by connection."""
        return [request for peer in self.peers for request in peer.requests]

    async def until(self, condition: Callable[[Receiver], bool]) -> None:
        """Wait until *condition* holds; it is asked whenever a connection ends."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script to one connection."""
        task = asyncio.current_task()
        self._tasks.add(task)
        peer = Peer(reader, writer, len(self.peers) + 1)
        self.peers.append(peer)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await self._script(peer)
        finally:
            writer.close()
            self._tasks.discard(task)
            self.closed += 1
            async with self._changed:
                self._changed.notify_all()

    async def stop(self) -> None:
        """Break off every script still playing."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def receiving(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Receiver]:
    """Run a receiver for the length of the block."""
    receiver = Receiver(script)
    server = await asyncio.start_server(receiver.serve, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.stop()
        await server.wait_closed()


class FixedResolver:
    """Answers every lookup with the next of these, then with the last; counts the lookups."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = answers
        self.lookups = 0

    async def resolve(self, host: str) -> list[str]:
        """Return the next answer, whatever the host."""
        answer = self.answers[min(self.lookups, len(self.answers) - 1)]
        self.lookups += 1
        return answer
