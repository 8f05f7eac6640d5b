"""Real `ringback` processes, and a receiver that remembers, for tests that run the product as people do."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

LOOPBACK = "127.0.0.1"
ANYWHERE = f"{LOOPBACK}:0"
ADMIN_TOKEN = "token_of_the_administrator"
MAIN_KEY = base64.b64encode(bytes(range(32))).decode()
PATIENCE = 60
# Of the loop, until a connection that has been accepted has its task.
TURNS_TO_BEGIN = 8
ANNOUNCED = r"listens on http://127\.0\.0\.1:(\d+) |(?:delivers|handles) what is kept in "


class Refused(Exception):  # noqa: N818 - it is the API that refuses
    """The API answered with something other than success."""


class Api:
    """The API of a server on loopback, as one who has *token* sees it; one connection, one thread."""

    def __init__(self, port: int, token: str = ADMIN_TOKEN) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Return an answer's status and body; ``OSError`` or ``HTTPException`` when there is none."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._leave_what_has_ended()
        try:
            self._connection.request(method, path, body, self._headers | named)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens another
            raise
        return answer.status, json.loads(content) if content else {}

    def _leave_what_has_ended(self) -> None:
        """Close a connection that the server has ended: it does so with those that are idle."""
        socket = self._connection.sock
        if socket is not None and select.select([socket], [], [], 0)[0]:
            self._connection.close()

    def get(self, path: str) -> dict[str, Any]:
        """Return what is at an address under /api/v1."""
        return self._succeed("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create or order something at an address under /api/v1."""
        return self._succeed("POST", path, json.dumps(body).encode())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _succeed(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        status, answer = self.ask(method, f"/api/v1{path}", body)
        if status >= 300:
            raise Refused(f"{method} {path}: {status} {answer}")
        return answer


class Ringback:
    """A `ringback` process and everything it has said on standard error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.port = 0
        self._process = process
        self._lines: list[str] = []
        self._ended = False
        self._said = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def lines(self) -> list[str]:
        """What it has said, line by line."""
        with self._said:
            return list(self._lines)

    def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line in which *pattern* is found."""
        with self._said:
            self._said.wait_for(lambda: self._ended or self._search(pattern), PATIENCE)
            found = self._search(pattern)
        assert found, f"no line like {pattern!r}:\n" + "".join(self.lines)
        return found

    def await_announcement(self) -> None:
        """Wait until it says that it is at work."""
        self.port = int(self.line(ANNOUNCED)[1] or 0)

    def api(self, token: str = ADMIN_TOKEN) -> Api:
        """Return the way to its API."""
        return Api(self.port, token)

    def ask_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal that asks it to stop."""
        self._process.send_signal(number)

    def exit_code(self, within: float = PATIENCE) -> int:
        """Wait for it to end by itself."""
        code = self._process.wait(within)
        self._listener.join()
        return code

    def stop(self) -> int:
        """Send SIGTERM, wait for the end, return the exit code."""
        self.ask_to_stop()
        return self.exit_code()

    def kill(self) -> None:
        """Send SIGKILL and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _search(self, pattern: str) -> re.Match[str] | None:
        return next((found for line in self._lines if (found := re.search(pattern, line))), None)

    def _listen(self) -> None:
        for line in self._process.stderr:
            with self._said:
                self._lines.append(line)
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return this process's environment with these settings and no others of Ringback's."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    return outside | {f"RINGBACK_{name.upper()}": value for name, value in settings.items()}


@contextlib.contextmanager
def started(*command: str, folder: Path, **settings: str) -> Iterator[Ringback]:
    """Run `ringback` with *command* in *folder*; kill it if it outlives the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "ringback", *command],
        cwd=folder,
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ringback = Ringback(process)
        try:
            yield ringback
        finally:
            ringback.kill()


@contextlib.contextmanager
def running(*command: str, folder: Path, **settings: str) -> Iterator[Ringback]:
    """Run `ringback` like ``started``, from its announcement on."""
    with started(*command, folder=folder, **settings) as ringback:
        ringback.await_announcement()
        yield ringback


class Answer(NamedTuple):
    """What a receiver does with a delivery: answer after *seconds*, or never when *status* is 0."""

    status: int = 204
    seconds: float = 0.0
    raw: bytes = b""


class Arrival:
    """One delivery at a receiver. Instants are of the monotonic clock; ``answered`` is None until it was."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path = path
        self.headers = headers
        self.body = body
        self.status = 0
        self.arrived = time.monotonic()
        self.answered: float | None = None

    @property
    def id(self) -> str:
        """The id of the message."""
        return self.headers["webhook-id"]

    @property
    def ok(self) -> bool:
        """Whether it was answered with success."""
        return self.answered is not None and self.status < 300


class Receiver:
    """Receives on a thread of its own, and keeps a ledger of all that came; it outlives every server.

    *answer* says what to do with an arrival. ``succeeded`` counts successful answers by path and message id,
    ``given_up``, by path, the connections that the sender closed while an answer was still to come.
    """

    def __init__(self, answer: Callable[[Arrival], Answer]) -> None:
        self.port = 0
        self.ledger: list[Arrival] = []
        self.succeeded: Counter[tuple[str, str]] = Counter()
        self.given_up: Counter[str] = Counter()
        self._answer = answer
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it receives, without a path."""
        return f"http://{LOOPBACK}:{self.port}"

    def until(self, condition: Callable[[], object], within: float = PATIENCE) -> None:
        """Wait until *condition* holds; it is asked, under the ledger's lock, whenever the ledger grows."""
        with self._changed:
            assert self._changed.wait_for(condition, within), (
                f"{len(self.ledger)} arrivals, and still waiting"
            )

    def seen(self) -> list[Arrival]:
        """Return the ledger as it stands."""
        with self._changed:
            return list(self.ledger)

    def run(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Receive on this thread until told to stop."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(ready, stop))

    def tell_to_stop(self, stop: asyncio.Event) -> None:
        """Set *stop* from another thread."""
        self._loop.call_soon_threadsafe(stop.set)

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._connection, LOOPBACK, 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        # Connections that were accepted just now begin first: nobody else would close them.
        for _ in range(TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open.add(task)
        try:
            # A sender that is killed leaves requests cut short and answers that cannot be written.
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                while True:
                    await self._take_one(reader, writer)
        finally:
            writer.close()
            self._open.discard(task)

    async def _take_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *fields = head.decode("ascii").rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        body = await reader.readexactly(int(headers["content-length"]))
        arrival = Arrival(first.split(" ")[1], headers, body)
        with self._changed:
            self.ledger.append(arrival)
            self._changed.notify_all()
        answer = self._answer(arrival)
        if not answer.status:
            await self._hang(arrival, reader)
            return
        if answer.seconds:
            await asyncio.sleep(answer.seconds)
        writer.write(answer.raw or f"HTTP/1.1 {answer.status} As told\r\ncontent-length: 0\r\n\r\n".encode())
        with self._changed:
            arrival.status, arrival.answered = answer.status, time.monotonic()
            if arrival.ok:
                self.succeeded[arrival.path, arrival.id] += 1
            self._changed.notify_all()

    async def _hang(self, arrival: Arrival, reader: asyncio.StreamReader) -> None:
        await reader.read()
        with self._changed:
            self.given_up[arrival.path] += 1
            self._changed.notify_all()


@contextlib.contextmanager
def receiving(answer: Callable[[Arrival], Answer] = lambda _: Answer()) -> Iterator[Receiver]:
    """Run a receiver for the length of the block."""
    receiver, ready, stop = Receiver(answer), threading.Event(), asyncio.Event()
    thread = threading.Thread(target=receiver.run, args=(ready, stop))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield receiver
    finally:
        receiver.tell_to_stop(stop)
        thread.join()
