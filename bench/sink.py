"""The receiver: answers every delivery with 204 and remembers which message came when.

Run as ``python -m bench.sink``. It prints its ports (one answers, one never does, one takes its time) as JSON,
then obeys lines on its standard input: ``count`` prints how many deliveries came, ``save FILE`` writes them
down and prints their number. It ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from array import array
from pathlib import Path
from typing import cast

import uvloop

from bench.wire import LOOPBACK, Record, delivered_id, message_end

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
BACKLOG = 4096
SLOW_SECONDS = 0.1


class Arrivals:
    """Which message came when."""

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.times = array("d")

    def save(self, file: Path) -> None:
        """Write everything so far to *file*."""
        Record(ids=b"".join(self.ids), ended=self.times.tobytes()).save(file)


class Receiver(asyncio.Protocol):
    """One connection that deliveries come over."""

    def __init__(self, arrivals: Arrivals, seconds: float = 0.0) -> None:
        self._arrivals = arrivals
        self._seconds = seconds
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember how to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole delivery in what has come so far."""
        now = time.monotonic()
        if self._rest:
            data = self._rest + data
        start = 0
        while end := message_end(data, start):
            self._arrivals.ids.append(delivered_id(data, start))
            self._arrivals.times.append(now)
            self._answer()
            start = end
        self._rest = data[start:]

    def _answer(self) -> None:
        if self._seconds:
            asyncio.get_running_loop().call_later(self._seconds, self._write)
        else:
            self._write()

    def _write(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)


async def serve() -> None:
    """Receive until the standard input ends."""
    loop = asyncio.get_running_loop()
    arrivals = Arrivals()
    answering = await loop.create_server(lambda: Receiver(arrivals), LOOPBACK, 0, backlog=BACKLOG)
    hanging = await loop.create_server(asyncio.Protocol, LOOPBACK, 0, backlog=BACKLOG)
    slow = await loop.create_server(lambda: Receiver(arrivals, SLOW_SECONDS), LOOPBACK, 0, backlog=BACKLOG)
    ports = [server.sockets[0].getsockname()[1] for server in (answering, hanging, slow)]
    print(json.dumps(ports), flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while order := (await orders.readline()).decode().split(maxsplit=1):
        if order[0] == "save":
            arrivals.save(Path(order[1].rstrip("\n")))
        print(len(arrivals.ids), flush=True)


if __name__ == "__main__":
    uvloop.run(serve())
