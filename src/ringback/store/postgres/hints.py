"""Hints from node to node that something may be due: LISTEN and NOTIFY, for speed and for nothing else."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from ringback.store.postgres.connection import connect, unavailable
from ringback.store.postgres.database import Database
from ringback.store.sql.tables import Row

CHANNEL = "ringback"  # the SQL function ringback.publish tells it, too
LOOK_SECONDS = 0.5
# NOTIFY takes a lock that all commits with one share, so it is never part of a commit that somebody waits for; and
# what a crash takes from it is no loss.
_TELL = f"BEGIN; SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}; COMMIT"


class Hints(Database):
    """The verbs about hints."""

    tells = True

    def hint(self) -> None:
        """See ``Store``."""
        self.reader().simple(_TELL)

    def listen(self, heard: Callable[[], object], stopped: Callable[[], bool]) -> None:
        """See ``Store``. Behind a pooler that lends connections out, none can come."""
        try:
            with connect(self._url) as connection:
                if _is_pooled(connection):
                    return
                connection.execute(f"LISTEN {CHANNEL}")
                heard()  # what was told before is not told again
                while not stopped():
                    for _ in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                        heard()
        except psycopg.Error as error:
            raise unavailable(error) from error


def _is_pooled(connection: psycopg.Connection[Row]) -> bool:
    # A pooler makes up the process id that it tells at the start.
    told = connection.execute("SELECT pg_backend_pid()").fetchone()
    return told is not None and told[0] != connection.info.backend_pid
