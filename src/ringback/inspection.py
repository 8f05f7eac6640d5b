"""How a database fares, judged: findings as the doctor has them."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.diagnosis import Finding, Verdict
from ringback.model import Duration, Instant
from ringback.policy import MINUTE, SECOND
from ringback.store import Inspection, Statistics

ABOUT = "database"
LONG_TRANSACTION: Duration = 5 * MINUTE
MANY_DEAD_ROWS = 500_000
LATE: Duration = MINUTE
MIB = 1024 * 1024


def examine_inspection(found: Inspection) -> Iterator[Finding]:
    """Judge what was found when looking at a database itself."""
    for fault in found.faults:
        yield Finding(
            Verdict.BROKEN,
            ABOUT,
            fault,
            "what relies on it is slow or wrong",
            "restore a backup; an index that is invalid is made anew with REINDEX INDEX CONCURRENTLY",
        )
    if not found.syncs:
        yield Finding(
            Verdict.BROKEN,
            ABOUT,
            "the server does not wait for its disk (fsync = off)",
            "what was acknowledged is lost in a crash",
            "set fsync = on in postgresql.conf and restart the server",
        )
    yield from _examine_days(found.days_ahead)
    yield from _examine_vacuum(found)
    yield from _examine_transactions(found)
    yield from _examine_slots(found.idle_slots)
    yield from _examine_schema(found.open_schema)
    if not found.faults and found.syncs:
        yield Finding(Verdict.OK, ABOUT, "it is whole, and commits wait for the disk")


def examine_queue(statistics: Statistics, now: Instant) -> Finding:
    """Judge what waits for delivery."""
    about = "queue"
    told = f"{statistics.waiting:,} deliveries wait, {statistics.past_due:,} of them past due"
    size = f"the database has {statistics.size_bytes // MIB:,} MiB"
    late = 0 if statistics.oldest_due_at is None else now - statistics.oldest_due_at
    if late < LATE:
        return Finding(Verdict.OK, about, f"{told}; {size}")
    return Finding(
        Verdict.WARNING,
        about,
        f"{told}, the oldest for {late // SECOND:,} s; {size}",
        "more comes than is delivered, or nothing delivers",
        "see with `ringback nodes` whether workers live, and start more of them",
    )


def _examine_days(ahead: int | None) -> Iterator[Finding]:
    if ahead is None:
        return
    told = f"tables are there for {ahead} more {'day' if ahead == 1 else 'days'}"
    if ahead:
        yield Finding(Verdict.OK, "days", told)
    else:
        yield Finding(
            Verdict.WARNING,
            "days",
            told,
            "the first message of tomorrow has to wait until they are made",
            "start a worker, or run `ringback db prune`: either makes them ahead",
        )


def _examine_vacuum(found: Inspection) -> Iterator[Finding]:
    if found.vacuums is None or found.dead_rows is None:
        return
    told = f"{found.dead_rows:,} dead rows in the queue"
    if not found.vacuums:
        yield Finding(
            Verdict.BROKEN,
            "vacuum",
            f"autovacuum is off; {told}",
            "the queue grows slower with every delivery",
            "set autovacuum = on in postgresql.conf and reload it",
        )
    elif found.dead_rows > MANY_DEAD_ROWS:
        yield Finding(
            Verdict.WARNING,
            "vacuum",
            told,
            "taking what is due grows slow",
            "end the transactions that have been open for long, and look at autovacuum_max_workers",
        )
    else:
        yield Finding(Verdict.OK, "vacuum", f"autovacuum is on; {told}")


def _examine_transactions(found: Inspection) -> Iterator[Finding]:
    about, why = (
        "transactions",
        "nothing that was deleted since can be cleared away, so that the queue grows slow",
    )
    if found.oldest_prepared >= LONG_TRANSACTION:
        yield Finding(
            Verdict.WARNING,
            about,
            f"a transaction was prepared {found.oldest_prepared // SECOND:,} s ago and not ended since",
            why,
            "find it in pg_prepared_xacts and end it with COMMIT PREPARED or ROLLBACK PREPARED",
        )
    oldest = found.oldest_transaction
    if oldest is None:
        return
    which = "the oldest transaction" if found.all_seen else "the oldest transaction that this role may see"
    told = f"{which} has been open for {oldest // SECOND:,} s"
    if oldest < LONG_TRANSACTION:
        hint = "" if found.all_seen else "; GRANT pg_read_all_stats shows it those of others, too"
        yield Finding(Verdict.OK, about, told + hint)
    else:
        advice = "find it in pg_stat_activity and end it with pg_terminate_backend"
        yield Finding(Verdict.WARNING, about, told, why, advice)


def _examine_slots(idle: tuple[str, ...]) -> Iterator[Finding]:
    if idle:
        yield Finding(
            Verdict.WARNING,
            "replication",
            f"nobody reads from the replication slots {', '.join(idle)}",
            "the server keeps its log for them until its disk is full",
            "start what reads from them, or remove them with pg_drop_replication_slot",
        )


def _examine_schema(name: str | None) -> Iterator[Finding]:
    if name is not None:
        yield Finding(
            Verdict.WARNING,
            "rights",
            f"every role may make functions in the schema {name}, where the tables are",
            "one that may also publish with SQL could have its own run with the rights of this role",
            f'run REVOKE CREATE ON SCHEMA "{name}" FROM PUBLIC',
        )
