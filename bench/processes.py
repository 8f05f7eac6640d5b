"""The processes a measurement is made of: server, receiver and publisher, and what the server costs.

Each process ends with the block that it was started for, however that is left. They run in sessions of their
own, so that Ctrl-C reaches the bench alone, which then ends them.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import msgspec

from bench.generator import PATIENCE_SECONDS, Plan
from bench.wire import LOOPBACK, Record, free_port, load_record

ROOT = Path(__file__).parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 10.0
START_SLACK_SECONDS = 15.0  # for a process to import what it needs
POLL_SECONDS = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A measurement could not be made, or what it measured is wrong."""


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """End *process* when the block is left."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Sink:
    """The running receiver. ``port`` answers, ``hanging_port`` never does, ``slow_port`` takes its time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port, self.hanging_port, self.slow_port = json.loads(self._line())

    def count(self) -> int:
        """Return how many deliveries have come."""
        return self._order("count")

    def record(self, file: Path) -> Record:
        """Return what has come, by way of *file*."""
        self._order(f"save {file}")
        return load_record(file)

    def _order(self, order: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("the receiver ended unexpectedly; its message is above")
        return line


@contextmanager
def sink() -> Iterator[Sink]:
    """Run a receiver."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sink"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process, ended(process):
        yield Sink(process)


def publish(plan: Plan, file: Path, core: int | None = None) -> Record:
    """Run a publisher to its end, on one *core* if asked, and return its record, by way of *file*."""
    process = subprocess.Popen(
        [*_on(core), sys.executable, "-m", "bench.generator", str(file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    with process, ended(process):
        try:
            process.communicate(
                msgspec.json.encode(plan), timeout=plan.seconds + PATIENCE_SECONDS + START_SLACK_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise BenchError(
                "the publisher did not end in time; is something else using this machine?"
            ) from None
        if process.returncode:
            raise BenchError("the publisher failed; its message is above")
    return load_record(file)


class Server:
    """A running Ringback and the way to its API."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, token: str) -> None:
        self._process = process
        self.port = port
        self.token = token

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to the API and return the answer."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port}/api/v1{path}", msgspec.json.encode(body), headers, method="POST"
        )
        try:
            with _direct().open(request, timeout=START_SECONDS) as answer:
                return cast("dict[str, Any]", json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                raise BenchError(
                    f"POST {path} was answered with {error.code}: {error.read()[:400]!r}"
                ) from None

    def cpu_seconds(self) -> float:
        """Return the processor time used so far, by all threads."""
        # The second field is the name in brackets, which may hold anything; utime and stime are 14 and 15.
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_rss_mb(self) -> float:
        """Return the most memory it ever had resident, in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Installation(msgspec.Struct, frozen=True):
    """Where a server keeps its data, and the secrets it is started with."""

    folder: Path
    token: str
    main_key: str
    store: str


def installation(folder: Path) -> Installation:
    """Make secrets for a server that keeps its data in *folder*, which is created."""
    folder.mkdir()
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return Installation(folder, secrets.token_hex(32), key, f"sqlite:///{folder / 'ringback.db'}")


@contextmanager
def bare(folder: Path, core: int | None = None) -> Iterator[Server]:
    """Run the bare application, on one *core* if asked."""
    port = free_port()
    log = folder / "bare.log"
    command = [*_on(core), sys.executable, "-m", "bench.bare", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        ) as process,
        ended(process),
    ):
        await_ready(process, port, log)
        yield Server(process, port, "")


@contextmanager
def server(place: Installation, core: int | None = None) -> Iterator[Server]:
    """Run a server on *place* with the settings it has by default, but for what loopback needs."""
    port = free_port()
    with launched(place, port, core) as process, ended(process):
        await_ready(process, port, place.folder / "server.log")
        yield Server(process, port, place.token)


def launched(
    place: Installation, port: int, core: int | None = None, name: str = "server", **settings: str
) -> subprocess.Popen[bytes]:
    """Start a server and do not wait for it; what it says is appended to a file of its *name* in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    given = {
        "admin_token": place.token,
        "main_key": place.main_key,
        "allow_subnets": "127.0.0.0/8",
        "log_level": "warning",
        "drain_timeout": "1s",  # attempts at an endpoint that hangs are not worth waiting for
    }
    environment |= {f"RINGBACK_{name.upper()}": value for name, value in (given | settings).items()}
    command = [sys.executable, "-m", "ringback", "serve", "--listen", f"{LOOPBACK}:{port}"]
    with (place.folder / f"{name}.log").open("ab") as output:
        return subprocess.Popen(
            [*_on(core), *command, "--store", place.store],
            cwd=place.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until a server answers that it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while not _ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"the server did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        time.sleep(POLL_SECONDS)


def _ready(port: int) -> bool:
    try:
        with _direct().open(f"http://{LOOPBACK}:{port}/readyz", timeout=START_SECONDS) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _direct() -> urllib.request.OpenerDirector:
    """Return an opener that ignores the proxies of the environment: everything is on loopback."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _on(core: int | None) -> list[str]:
    """Return what goes before a command so that it runs on one core; nothing where there is no such core."""
    there = core is not None and core in os.sched_getaffinity(0)
    return ["taskset", "--cpu-list", str(core)] if there and shutil.which("taskset") else []
