"""What a PostgreSQL database is, looked at without changing it, and how it fares."""

from __future__ import annotations

from contextlib import closing

import psycopg

from ringback.errors import ConfigurationError
from ringback.policy import DAY
from ringback.secrecy import masked
from ringback.store import Condition, Inspection
from ringback.store.postgres.connection import connect, reason
from ringback.store.postgres.database import Database, migrations, schema_in
from ringback.store.postgres.days import day_named, day_of

_INVALID = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relname LIKE 'ringback%' ORDER BY c.relname
"""
# The oldest snapshot that somebody holds: what was deleted since cannot be cleared away.
_OLDEST = """
    SELECT coalesce((extract(epoch FROM max(clock_timestamp() - xact_start)) * 1000)::bigint, 0)
    FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
# When others began their transactions is hidden from most roles.
_ALL_SEEN = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"
_PREPARED = """
    SELECT coalesce((extract(epoch FROM max(clock_timestamp() - prepared)) * 1000)::bigint, 0)
    FROM pg_prepared_xacts WHERE database = current_database()
"""
_IDLE_SLOTS = (
    "SELECT slot_name::text FROM pg_replication_slots WHERE NOT active AND NOT temporary ORDER BY slot_name"
)
_DAYS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'ringback_attempt'::regclass ORDER BY c.relname
"""
# Days whose tables were made and never became part of the whole, which a crash cannot leave, but a hand can.
_STRAY = """
    SELECT c.relname FROM pg_class c
    WHERE c.relkind = 'r' AND c.relname ~ '^ringback_(message|delivery|attempt)_[0-9]{8}$'
    AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid) ORDER BY c.relname
"""
# PostgreSQL prefers a function whose arguments fit more closely to one of its own, wherever on the path it is.
_OPEN_SCHEMA = "SELECT current_schema() WHERE has_schema_privilege('public', current_schema(), 'CREATE')"
_SETTINGS = "SELECT current_setting('fsync'), current_setting('autovacuum')"
_DEAD = "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE relname IN (?, ?)"


def examine(url: str) -> Condition:
    """Tell what the database is; see ``ringback.store.examine_store``."""
    try:
        with closing(connect(url)) as connection:
            known = connection.execute("SELECT to_regclass('ringback_migration') IS NOT NULL").fetchone()
            return Condition(
                path=masked(url),
                exists=True,
                newest=len(migrations()),
                schema=schema_in(connection) if known is not None and known[0] else None,
            )
    except psycopg.Error as error:
        raise ConfigurationError(f"cannot use the PostgreSQL store: {reason(error)}") from error


class Examination(Database):
    """The verb that looks at the database itself."""

    def inspect(self) -> Inspection:
        """See ``Store``."""
        fsync, autovacuum = self.rows(_SETTINGS)[0]
        days = [day_named(name.rpartition("_")[2]) for (name,) in self.rows(_DAYS)]
        (now,) = self.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")[0]
        ahead = 0
        while day_of(now + (ahead + 1) * DAY) in days:
            ahead += 1
        return Inspection(
            faults=(
                *(f"the index {name} is invalid" for (name,) in self.rows(_INVALID)),
                *(f"the table {name} is no part of its whole" for (name,) in self.rows(_STRAY)),
            ),
            syncs=fsync == "on",
            days_ahead=ahead,
            vacuums=autovacuum == "on",
            oldest_transaction=self.rows(_OLDEST)[0][0],
            all_seen=self.rows(_ALL_SEEN)[0][0],
            oldest_prepared=self.rows(_PREPARED)[0][0],
            idle_slots=tuple(name for (name,) in self.rows(_IDLE_SLOTS)),
            open_schema=next((name for (name,) in self.rows(_OPEN_SCHEMA)), None),
            dead_rows=self.rows(_DEAD, ("ringback_queue", "ringback_lease"))[0][0],
        )
