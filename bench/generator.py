"""The publisher: connections that each send a request, wait for the answer, and send the next.

Run as ``python -m bench.generator FILE``. It reads a ``Plan`` as JSON from its standard input, carries it out
and writes a ``Record`` to FILE.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from array import array
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from bench.wire import ID_LENGTH, LOOPBACK, Record, accepted_id, message_end

PATIENCE_SECONDS = 15.0  # for answers that are still to come when time is up
REFUSAL_SHOWN = 400


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send.

    Either ``requests`` are sent in turn, and each answer holds an id; or, if ``direct``, there is one request with
    room for an id, sent with a new one each time. An answer other than ``status`` is a refusal. Sending ends after
    ``seconds`` or ``most`` requests. ``rate`` is in requests per second over all connections; 0 is as fast as it goes.
    Connections are spread over ``port`` and ``other_ports``.
    """

    port: int
    requests: list[bytes]
    seconds: float
    connections: int = 64
    rate: float = 0.0
    most: int = 5_000_000
    direct: bool = False
    status: int = 202
    other_ports: list[int] = []


PLACE = b"msg_" + b"-" * (ID_LENGTH - 4)  # where a direct request's id goes, once or more


class Ledger:
    """What was asked and answered, as columns, and when it is time to stop."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ids: list[bytes] = []
        self.begun, self.ended, self.kinds = array("d"), array("d"), array("H")
        self.refused, self.refusal = 0, ""
        self._numbers = itertools.count()
        self._expected = b"HTTP/1.1 %d " % plan.status
        self._begin = time.monotonic()

    def due(self) -> float:
        """Return for how many seconds the next request has to wait; below 0 when it is late or unpaced."""
        if not self.plan.rate:
            return 0.0
        return self._begin + next(self._numbers) / self.plan.rate - time.monotonic()

    def over(self) -> bool:
        """Tell whether to stop sending."""
        return time.monotonic() - self._begin >= self.plan.seconds or self._sent() >= self.plan.most

    def _sent(self) -> int:
        return len(self.ids) + self.refused

    def note(self, sent: tuple[int, bytes, float], answer: bytes) -> None:
        """Record the *answer* to what was *sent*: which kind of request, its id if it is known, and when."""
        if not answer.startswith(self._expected):
            self.refused += 1
            self.refusal = self.refusal or answer[:REFUSAL_SHOWN].decode("utf-8", "replace")
            return
        kind, known, begun = sent
        self.ended.append(time.monotonic())
        self.begun.append(begun)
        self.kinds.append(kind)
        self.ids.append(known or accepted_id(answer))

    def record(self, unanswered: int) -> Record:
        """Return everything as one record."""
        columns = {name: getattr(self, name).tobytes() for name in ("begun", "ended", "kinds")}
        return Record(
            ids=b"".join(self.ids),
            **columns,
            refused=self.refused,
            refusal=self.refusal,
            unanswered=unanswered,
        )


class Requests:
    """The next request, its kind and its id where that is known beforehand."""

    def __init__(self, plan: Plan) -> None:
        self._turn = itertools.cycle(enumerate(plan.requests))
        self._numbers = itertools.count()
        self._direct = plan.direct
        self._parts = plan.requests[0].split(PLACE)

    def next(self) -> tuple[int, bytes, bytes]:
        """Return kind, id (empty where the server will choose it) and bytes."""
        if not self._direct:
            kind, request = next(self._turn)
            return kind, b"", request
        name = b"msg_%027d" % next(self._numbers)
        return 0, name, name.join(self._parts)


class Connection(asyncio.Protocol):
    """One kept-alive connection: at most one request is under way."""

    def __init__(self, ledger: Ledger, requests: Requests, done: asyncio.Future[None]) -> None:
        self._ledger = ledger
        self._requests = requests
        self._done = done
        self._rest = b""
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Record a whole answer and go on."""
        data = self._rest + data if self._rest else data
        if not message_end(data):
            self._rest = data
            return
        self._rest = b""
        self.waiting = False
        self._ledger.note(self._sent, data)
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        """Stop; a request under way stays unanswered."""
        if not self._done.done():
            self._done.set_result(None)

    def _next(self) -> None:
        wait = self._ledger.due()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self._ledger.over() or self._transport.is_closing():
            self._transport.close()
            return
        kind, name, request = self._requests.next()
        self.waiting = True
        self._sent = (kind, name, time.monotonic())
        self._transport.write(request)


async def generate(plan: Plan) -> Record:
    """Carry out *plan* and return what came of it."""
    loop = asyncio.get_running_loop()
    ledger, requests = Ledger(plan), Requests(plan)
    ends: list[asyncio.Future[None]] = [loop.create_future() for _ in range(plan.connections)]
    connections = [Connection(ledger, requests, end) for end in ends]
    unconnected = iter(connections)
    ports = itertools.cycle([plan.port, *plan.other_ports])
    for _ in connections:
        await loop.create_connection(lambda: next(unconnected), LOOPBACK, next(ports))
    await asyncio.wait(ends, timeout=plan.seconds + PATIENCE_SECONDS)
    return ledger.record(sum(connection.waiting for connection in connections))


if __name__ == "__main__":
    uvloop.run(generate(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))).save(Path(sys.argv[1]))
