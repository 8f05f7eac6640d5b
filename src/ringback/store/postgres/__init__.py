"""The store on PostgreSQL, on psycopg: any number of nodes over one database."""

from __future__ import annotations

from ringback.store.postgres.condition import Examination
from ringback.store.postgres.hints import Hints
from ringback.store.postgres.keys import Keys
from ringback.store.postgres.line import PostgresLine
from ringback.store.postgres.publication import Publication
from ringback.store.postgres.upkeep import Upkeep
from ringback.store.sql.nodes import Nodes
from ringback.store.sql.polling import Polling
from ringback.store.sql.sources import Sources
from ringback.store.sql.tasks import Tasks
from ringback.store.sql.tokens import Tokens


class PostgresStore(
    Publication, PostgresLine, Upkeep, Sources, Tokens, Polling, Tasks, Keys, Nodes, Hints, Examination
):
    """All verbs of ``ringback.store.Store``; see there. Each base class holds the verbs of one concern.

    Args:
        url: Where the database is: ``postgresql://user:password@host/database``, as libpq has it.
        vault: Seals endpoints' secrets.
        entropy: Returns that many random bytes.

    Raises:
        StoreIncompatible: The database is that of a newer Ringback; it is left untouched.
        ConfigurationError: The server cannot be reached, is read-only or too old.
    """
