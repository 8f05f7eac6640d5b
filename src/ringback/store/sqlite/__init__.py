"""The store in one SQLite file, on ``apsw``: WAL, ``synchronous=FULL``, one writer."""

from __future__ import annotations

from ringback.store.sql.nodes import Nodes
from ringback.store.sql.polling import Polling
from ringback.store.sql.sources import Sources
from ringback.store.sql.tasks import Tasks
from ringback.store.sql.tokens import Tokens
from ringback.store.sqlite.hints import Hints
from ringback.store.sqlite.keys import Keys
from ringback.store.sqlite.publication import Publication
from ringback.store.sqlite.upkeep import Upkeep


class SQLiteStore(Publication, Hints, Upkeep, Sources, Tokens, Polling, Tasks, Keys, Nodes):
    """All verbs of ``ringback.store.Store``; see there. Each base class holds the verbs of one concern.

    Args:
        path: The database file; made when it does not exist.
        vault: Seals endpoints' secrets.
        entropy: Returns that many random bytes.
        vfs: The name of a SQLite VFS to use instead of the usual one.
        shared: The file may be an application's own, with tables of that.

    Raises:
        StoreIncompatible: The file is no database of this or an earlier Ringback; it is left untouched.
        ConfigurationError: The file cannot be opened or written.
    """
