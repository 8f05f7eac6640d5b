"""Handlers that write in the application's PostgreSQL database: their writes and "done" are one commit, or neither."""

import asyncio
import threading
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from postgres_server import postgres_server
from ringback import Discard, Inbox, Retry
from ringback.model import OutcomeKind
from ringback.store.effects import TransactionOver
from ringback.store.postgres.effects import NotYours, PostgresEffects
from ringback.testing import (
    assert_acknowledged,
    assert_dead,
    assert_discarded,
    assert_handled,
    assert_received,
    assert_waiting,
    secret_for,
    signed_request,
)

XENDIT, PAID, EVENT = "xendit", "invoice.paid", "1001"
PATIENCE = 10
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
def url():
    return postgres_server().new_database()


@pytest.fixture
def database(url):
    """Return a connection to the application's own database, which has a table of orders."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE shop_order (reference text, event text)")
        yield connection


@pytest.fixture
def inbox(url, database):
    """Return an inbox that shares the application's database."""
    with closing(shared(url)) as inbox:
        yield inbox


def shared(url):
    inbox = Inbox(url, shared=True, threads=4, main_key=KEY)
    inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
    return inbox


def send(inbox, event_id=EVENT):
    assert_acknowledged(inbox.accept(XENDIT, signed_request(XENDIT, PAID, event_id=event_id)).result())


def orders(database):
    return [row[0] for row in database.execute("SELECT event FROM shop_order ORDER BY event")]


def write(message, tx):
    tx.execute("INSERT INTO shop_order VALUES (%s, %s)", (message.data["external_id"], message.data["id"]))


async def write_async(message, tx):
    await asyncio.sleep(0)
    write(message, tx)


def outcome(inbox, event_id=EVENT):
    (attempt,) = inbox.attempts(XENDIT, assert_received(inbox, XENDIT, event_id).id).result()
    return attempt.outcome


@pytest.mark.parametrize("handler", [write, write_async])
def test_writes_and_done_are_one_commit(url, inbox, database, handler):
    """Nobody sees the writes without "done", nor "done" without them."""
    states = "SELECT (SELECT count(*) FROM shop_order), (SELECT state FROM ringback_delivery)"
    seen = []

    async def looking(message, tx):
        if asyncio.iscoroutine(result := handler(message, tx)):
            await result
        seen.append(database.execute(states).fetchone())

    inbox.on(XENDIT, PAID, name="fulfil")(looking)
    send(inbox)
    inbox.drain()
    seen.append(database.execute(states).fetchone())
    assert seen == [(0, "leased"), (1, "succeeded")]
    assert_handled(inbox, XENDIT, EVENT, "fulfil", attempts=1)
    assert outcome(inbox).ok


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("ending", "returned"),
    [(ValueError("no"), False), (Retry(after=5), False), (Discard("no"), False), (Discard("no"), True)],
)
def test_whatever_ends_it_otherwise_undoes_the_writes(inbox, database, kind, ending, returned):
    """An exception, Retry or Discard, raised or returned, leaves nothing of what the handler wrote."""

    def handler(message, tx):
        write(message, tx)
        if returned:
            return ending
        raise ending

    async def coroutine(message, tx):
        return handler(message, tx)

    inbox.on(XENDIT, PAID, name="fulfil")(handler if kind == "sync" else coroutine)
    send(inbox)
    inbox.drain()
    assert orders(database) == []
    judge = assert_discarded if isinstance(ending, Discard) else assert_waiting
    judge(inbox, XENDIT, EVENT)


def test_a_failed_run_is_repeated_and_writes_once(inbox, database):
    """After failures, there is one write, that of the run that succeeded."""

    @inbox.on(XENDIT, PAID, name="fulfil", retries="1ms,1ms")
    def handler(message, tx):
        write(message, tx)
        if message.attempt < 3:
            raise ValueError("not yet")

    send(inbox)
    inbox.drain()
    assert orders(database) == [EVENT]
    assert_handled(inbox, XENDIT, EVENT, attempts=3)


def test_what_the_database_refuses_is_the_handlers_failure(inbox, database):
    """Also where the handler hides it; the connection serves the next run."""
    database.execute("CREATE UNIQUE INDEX once ON shop_order (event)")
    database.execute("INSERT INTO shop_order VALUES ('r', %s)", (EVENT,))

    @inbox.on(XENDIT, PAID, name="fulfil", retries="none")
    def handler(message, tx):
        try:
            write(message, tx)
        except psycopg.errors.UniqueViolation:
            return

    send(inbox)
    send(inbox, "1002")
    inbox.drain()
    assert orders(database) == [EVENT, "1002"]
    assert_dead(inbox, XENDIT, EVENT)
    assert_handled(inbox, XENDIT, "1002")


def test_a_part_can_be_undone(inbox, database):
    """A block of ``tx.transaction()`` is a part of the transaction: undone alone, committed with the rest."""

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        with tx.transaction():
            write(message, tx)
        with tx.transaction(force_rollback=True):
            write(message, tx)
        with tx.transaction():
            tx.execute("SAVEPOINT a")
            tx.execute("INSERT INTO shop_order VALUES ('r', 'in vain')")
            tx.execute("ROLLBACK TO SAVEPOINT a")
        assert orders(database) == []

    send(inbox)
    inbox.drain()
    assert outcome(inbox).ok, outcome(inbox)
    assert orders(database) == [EVENT]


ENDS = [
    lambda tx: tx.execute("COMMIT"),
    lambda tx: tx.execute("commit;"),
    lambda tx: tx.execute("/* a */ ROLLBACK"),
    lambda tx: tx.execute(b"INSERT INTO shop_order VALUES ('r', 'COMMIT'); END"),
    lambda tx: tx.execute(sql.SQL("ABORT")),
    lambda tx: tx.cursor().execute("-- a\nCOMMIT AND CHAIN"),
    lambda tx: tx.cursor().executemany("PREPARE TRANSACTION 'a'", [()]),
    lambda tx: tx.commit(),
    lambda tx: tx.rollback(),
    lambda tx: setattr(tx, "autocommit", True),
]


@pytest.mark.parametrize("end", ENDS, ids=range(len(ENDS)))
def test_a_handler_cannot_end_the_transaction(inbox, database, end):
    """Its end is the worker's: a handler that tries fails, and what it wrote is undone."""

    @inbox.on(XENDIT, PAID, name="fulfil", retries="none")
    def handler(message, tx):
        write(message, tx)
        end(tx)

    send(inbox)
    inbox.drain()
    assert orders(database) == []
    assert_dead(inbox, XENDIT, EVENT, "fulfil")


def test_words_are_no_statements(inbox, database):
    """What only looks like the end of a transaction is left alone."""

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        tx.execute("INSERT INTO shop_order VALUES ('; COMMIT', 'it''s; END')")
        tx.execute("DO $x$ BEGIN INSERT INTO shop_order VALUES ('r', 'done'); END $x$ -- ; COMMIT")
        tx.execute("SELECT CASE WHEN true THEN 1 END")

    send(inbox)
    inbox.drain()
    assert outcome(inbox).ok, outcome(inbox)
    assert orders(database) == ["done", "it's; END"]


def test_a_lease_that_was_lost_undoes_the_writes(inbox, database):
    """When another worker has taken the message over while a handler ran, what this one wrote is undone."""

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        write(message, tx)
        database.execute("UPDATE ringback_delivery SET lease_token = lease_token + 1")

    send(inbox)
    inbox.drain(0.5)
    assert orders(database) == []
    assert outcome(inbox).detail == "lease_lost"


def test_a_handler_that_hangs_locks_nothing(url, inbox, database):
    """At its limit its transaction is undone, although its thread hangs on, and it can write nothing more."""
    release, refused = threading.Event(), threading.Event()
    database.execute("INSERT INTO shop_order VALUES ('r', 'locked')")

    @inbox.on(XENDIT, PAID, name="fulfil", timeout=0.1)
    def handler(message, tx):
        tx.execute("UPDATE shop_order SET reference = 'mine'")
        release.wait(PATIENCE)
        try:
            write(message, tx)
        except TransactionOver:
            refused.set()
            raise

    send(inbox)
    inbox.drain()
    assert_waiting(inbox, XENDIT, EVENT)
    database.execute("SET lock_timeout = '1s'")
    database.execute("UPDATE shop_order SET reference = 'theirs'")
    release.set()
    assert refused.wait(PATIENCE)
    assert database.execute("SELECT reference, event FROM shop_order").fetchall() == [("theirs", "locked")]


def test_a_statement_that_takes_too_long_is_cancelled(inbox, database):
    """A handler that waits for the database is interrupted at its limit."""
    raised = []

    @inbox.on(XENDIT, PAID, name="fulfil", timeout=0.2)
    def handler(message, tx):
        try:
            tx.execute("SELECT pg_sleep(60)")
        except psycopg.Error as error:
            raised.append(error)
            raise

    send(inbox)
    inbox.drain()
    assert outcome(inbox).kind is OutcomeKind.TIMEOUT
    assert isinstance(raised[0], psycopg.errors.QueryCanceled)


def test_requests_and_handlers_do_not_wait_for_each_other(inbox, database):
    """What comes in while a handler has written and not yet committed is acknowledged at once."""

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        write(message, tx)
        if message.event_id == EVENT:
            send(inbox, "2")

    send(inbox)
    inbox.drain()
    assert orders(database) == [EVENT, "2"]
    assert_handled(inbox, XENDIT, "2")


def test_many_handlers_write_each_once(inbox, database):
    """Handlers that read, then write one row, run at once and lose nothing."""
    database.execute("INSERT INTO shop_order VALUES ('0', 'sum')")

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        (total,) = tx.execute("SELECT reference::integer FROM shop_order FOR UPDATE").fetchone()
        tx.execute("UPDATE shop_order SET reference = %s", (str(total + 1),))

    for number in range(40):
        send(inbox, str(number))
    assert inbox.drain().succeeded == 40
    assert database.execute("SELECT reference FROM shop_order").fetchone() == ("40",)


def test_connections_are_used_again_and_replaced_when_broken(url, database):
    """One connection serves run after run; after the server has dropped it, the next run has another."""
    with closing(PostgresEffects(url)) as effects:
        processes = []
        for _ in range(3):
            with effects.transaction() as effect:
                processes.append(effect.tx.info.backend_pid)
                effect.tx.execute("INSERT INTO shop_order VALUES ('r', 'kept')")
            if len(processes) == 2:
                database.execute("SELECT pg_terminate_backend(%s, 5000)", (processes[0],))
    assert processes[0] == processes[1] != processes[2]
    assert orders(database) == ["kept"] * 3


def test_an_end_that_was_not_noticed_is(url, database):
    """Where the transaction was ended in a way that no rule knows, nothing is told to be done."""
    with closing(PostgresEffects(url)) as effects:
        with pytest.raises(psycopg.Error), effects.transaction() as effect:
            psycopg.Cursor(effect.tx).execute("ROLLBACK")
        with pytest.raises(NotYours), effects.transaction() as effect:
            effect.tx.execute("COMMIT")
        with effects.transaction() as effect:
            effect.tx.execute("INSERT INTO shop_order VALUES ('r', 'kept')")
    assert orders(database) == ["kept"]
