"""Handlers that write in the application's database: their writes and "done" are committed together, or neither."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from ringback import Discard, Retry
from ringback.errors import ConfigurationError
from ringback.model import OutcomeKind
from ringback.store.effects import TransactionOver
from ringback.testing import (
    FrozenClock,
    assert_acknowledged,
    assert_dead,
    assert_discarded,
    assert_handled,
    assert_received,
    assert_waiting,
    drain,
    inbox_at,
    secret_for,
    signed_request,
)

XENDIT, PAID, EVENT = "xendit", "invoice.paid", "1001"
PATIENCE = 10


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def database(tmp_path):
    """Return a connection to the application's own database, which has a table of orders."""
    with closing(
        sqlite3.connect(tmp_path / "inbox.db", isolation_level=None, timeout=PATIENCE)
    ) as connection:
        connection.execute("CREATE TABLE shop_order (reference TEXT, event TEXT)")
        yield connection


@pytest.fixture
def inbox(tmp_path, clock, database):
    """Return an inbox that shares the application's database."""
    with closing(shared(tmp_path, clock=clock)) as inbox:
        yield inbox


def shared(folder, **options):
    inbox = inbox_at(folder, shared=True, threads=4, **options)
    inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
    return inbox


def send(inbox, event_id=EVENT):
    assert_acknowledged(inbox.accept(XENDIT, signed_request(XENDIT, PAID, event_id=event_id)).result())


def orders(database):
    return [row[0] for row in database.execute("SELECT event FROM shop_order ORDER BY rowid")]


def write(message, tx):
    tx.execute("INSERT INTO shop_order VALUES (?, ?)", (message.data["external_id"], message.data["id"]))


def outcome(inbox, event_id=EVENT):
    (attempt,) = inbox.attempts(XENDIT, assert_received(inbox, XENDIT, event_id).id).result()
    return attempt.outcome


# --- Together ----------------------------------------------------------------------------------------------


async def write_async(message, tx):
    await asyncio.sleep(0)
    write(message, tx)


class Writer:
    async def __call__(self, message, tx):
        """Handle *message*."""
        await write_async(message, tx)


@pytest.mark.parametrize("handler", [write, write_async, Writer()])
def test_writes_and_done_are_one_commit(inbox, database, handler):
    """What a function, a coroutine function or an object writes with tx is committed, and with it that it is done."""
    inbox.on(XENDIT, PAID, name="fulfil")(handler)
    send(inbox)
    inbox.drain()
    assert orders(database) == [EVENT]
    assert_handled(inbox, XENDIT, EVENT, "fulfil", attempts=1)
    assert outcome(inbox).ok


def test_done_is_visible_with_the_writes_and_not_before(inbox, database):
    """Nobody sees the writes without "done": before the commit there is neither, at the commit there are both."""
    states = "SELECT (SELECT count(*) FROM shop_order), (SELECT state FROM ringback_delivery)"
    seen = []

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        write(message, tx)
        seen.append(other.execute(states).fetchone())

    send(inbox)
    path = database.execute("PRAGMA database_list").fetchone()[2]
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        inbox.drain()
    seen.append(database.execute(states).fetchone())
    assert seen == [(0, "leased"), (1, "succeeded")]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("ending", "returned"),
    [
        (ValueError("no"), False),
        (SystemExit(1), False),
        (Retry(after=5), False),
        (Retry(after=5), True),
        (Discard("no"), False),
        (Discard("no"), True),
    ],
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


def test_a_traceback_begins_in_the_application(inbox, database):
    """Of a coroutine with a transaction, too, the traceback has the application's frames only."""

    @inbox.on(XENDIT, PAID, name="fulfil")
    async def handler(message, tx):
        tx.execute("INSERT INTO nowhere VALUES (1)")

    send(inbox)
    inbox.drain()
    text = outcome(inbox).body.decode()
    assert "nowhere" in text
    first = next(line for line in text.splitlines() if line.strip().startswith("File"))
    assert "test_handlers_transactions" in first


def test_a_failed_run_is_repeated_and_writes_once(inbox, database, clock):
    """After failures, there is one write, that of the run that succeeded."""

    @inbox.on(XENDIT, PAID, name="fulfil", retries="1m,1m")
    def handler(message, tx):
        write(message, tx)
        if message.attempt < 3:
            raise ValueError("not yet")

    send(inbox)
    drain(inbox, clock)
    assert orders(database) == [EVENT]
    assert_handled(inbox, XENDIT, EVENT, attempts=3)


def test_a_handler_that_breaks_the_database_rules_is_a_dead_letter(inbox, database, clock):
    """What the database refuses is the handler's failure; the connection serves the next run."""
    database.execute("CREATE UNIQUE INDEX once ON shop_order (event)")
    database.execute("INSERT INTO shop_order VALUES ('r', ?)", (EVENT,))
    inbox.on(XENDIT, PAID, name="fulfil", retries="1m")(write)
    send(inbox)
    send(inbox, "1002")
    drain(inbox, clock)
    assert orders(database) == [EVENT, "1002"]
    assert_dead(inbox, XENDIT, EVENT)
    assert_handled(inbox, XENDIT, "1002")


# --- Fences ------------------------------------------------------------------------------------------------


def test_a_lease_that_was_lost_undoes_the_writes(tmp_path, inbox, database):
    """When another worker has taken the message over while a handler ran, only what that one wrote stays."""
    clock, began, go_on = LaterClock(), threading.Event(), threading.Event()
    ended = []

    def slow(message, tx):
        began.set()
        assert go_on.wait(PATIENCE)
        write(message, tx)

    patient = shared(tmp_path, clock=clock, poll_interval="1m")  # it does not take over from itself
    with closing(patient) as first, closing(shared(tmp_path, clock=clock)) as second:
        first.on(XENDIT, PAID, name="fulfil")(slow)
        second.on(XENDIT, PAID, name="fulfil")(write)
        send(first)
        worker = threading.Thread(target=lambda: ended.append(first.drain()))
        worker.start()
        assert began.wait(PATIENCE)
        clock.ahead = 120_000
        assert second.drain().succeeded == 1
        assert orders(database) == [EVENT]
        go_on.set()
        worker.join(PATIENCE)
        assert orders(database) == [EVENT]
        assert_handled(second, XENDIT, EVENT)
        message = assert_received(second, XENDIT, EVENT)
        outcomes = {one.outcome.detail for one in second.attempts(XENDIT, message.id).result()}
        assert outcomes >= {"", "lease_lost"}


class LaterClock:
    ahead = 0

    def __call__(self):
        """Return the present, in milliseconds."""
        return FrozenClock()() + self.ahead


def test_a_run_that_ends_after_its_limit_writes_nothing(inbox, database):
    """A handler that comes back after its limit has lost its lease, and its writes are undone."""
    release, came_back = threading.Event(), threading.Event()

    @inbox.on(XENDIT, PAID, name="fulfil", timeout=0.05)
    def handler(message, tx):
        release.wait(PATIENCE)
        try:
            write(message, tx)
        finally:
            came_back.set()

    send(inbox)
    inbox.drain()
    assert_waiting(inbox, XENDIT, EVENT)
    release.set()
    assert came_back.wait(PATIENCE)
    # The undoing follows on the handler's thread; it is over when this connection may write.
    database.execute("BEGIN IMMEDIATE")
    database.execute("COMMIT")
    assert orders(database) == []


def test_a_handler_that_hangs_after_writing_keeps_nobody_from_writing(inbox, database):
    """At its limit its transaction is undone, although its thread hangs on, and it can write nothing more."""
    release, refused = threading.Event(), threading.Event()

    @inbox.on(XENDIT, PAID, name="fulfil", timeout=0.1)
    def handler(message, tx):
        write(message, tx)
        release.wait(PATIENCE)
        try:
            write(message, tx)
        except TransactionOver:
            refused.set()
            raise

    send(inbox)
    inbox.drain()
    database.execute("INSERT INTO shop_order VALUES ('r', 'meanwhile')")
    send(inbox, "another")
    release.set()
    assert refused.wait(PATIENCE)
    assert orders(database) == ["meanwhile"]


@pytest.mark.parametrize("statement", ["COMMIT", "commit;", "ROLLBACK", "END", "BEGIN", "/* a */ COMMIT"])
def test_a_handler_cannot_end_the_transaction(inbox, database, statement):
    """Its end is the worker's: a handler that tries fails, and what it wrote is undone."""

    @inbox.on(XENDIT, PAID, name="fulfil", retries="none")
    def handler(message, tx):
        write(message, tx)
        tx.execute(statement)

    send(inbox)
    inbox.drain()
    assert orders(database) == []
    assert_dead(inbox, XENDIT, EVENT, "fulfil")


# --- One database, many writers ----------------------------------------------------------------------------


def test_the_transaction_begins_at_the_first_statement(inbox, database):
    """A handler that waits before it writes keeps nobody else from writing; one that has written does."""
    waiting, go_on, wrote, finish = (threading.Event() for _ in range(4))

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        waiting.set()
        assert go_on.wait(PATIENCE)
        write(message, tx)
        wrote.set()
        assert finish.wait(PATIENCE)

    send(inbox)
    worker = threading.Thread(target=inbox.drain)
    worker.start()
    assert waiting.wait(PATIENCE)
    database.execute("INSERT INTO shop_order VALUES ('r', 'meanwhile')")
    go_on.set()
    assert wrote.wait(PATIENCE)
    database.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        database.execute("BEGIN IMMEDIATE")
    finish.set()
    worker.join(PATIENCE)
    assert orders(database) == ["meanwhile", EVENT]


def test_requests_and_handlers_exclude_each_other(inbox, database):
    """What is acknowledged while a handler has written and not yet committed is stored, and so is what was written."""
    replies, accepted = [], threading.Event()

    def accept():
        replies.append(inbox.accept(XENDIT, signed_request(XENDIT, "invoice.expired", event_id="2")).result())
        accepted.set()

    @inbox.on(XENDIT, PAID, name="fulfil")
    def handler(message, tx):
        write(message, tx)
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        # Rightly it has to wait until this is over, so this cannot wait for it for long.
        accepted.wait(0.2)

    threads = []
    send(inbox)
    inbox.drain()
    threads[0].join(PATIENCE)
    assert_acknowledged(replies[0])
    assert orders(database) == [EVENT]
    assert_handled(inbox, XENDIT, EVENT)
    assert_received(inbox, XENDIT, "2")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_applications_connections_come_and_go(tmp_path, inbox, database):
    """An application that opens and closes the file in the same process takes away nothing of what is acknowledged."""
    inbox.on(XENDIT, PAID, name="fulfil")(write)
    for number in range(20):
        send(inbox, str(number))
        with closing(sqlite3.connect(tmp_path / "inbox.db")) as theirs:
            theirs.execute("SELECT count(*) FROM shop_order").fetchone()
        if number % 5 == 0:
            inbox.drain()
    inbox.drain()
    inbox.close()
    assert sorted(orders(database), key=int) == [str(number) for number in range(20)]
    with closing(shared(tmp_path)) as again:
        for number in range(20):
            assert_handled_once(again, str(number))


def assert_handled_once(inbox, event_id):
    inbox_message = assert_received(inbox, XENDIT, event_id)
    ((delivery, _),) = inbox.deliveries(XENDIT, inbox_message.id).result()
    assert (delivery.state, delivery.attempts) == ("succeeded", 1)


def test_ten_thousand_posts_and_one_order(inbox, database):
    """However often an event is posted while handlers work, its order is written once."""
    inbox.on(XENDIT, PAID, name="fulfil")(write)

    async def working():
        stop = asyncio.Event()
        work = asyncio.create_task(inbox.work(stop))
        await asyncio.sleep(0)

        async def post(number):
            request = signed_request(XENDIT, PAID, event_id=str(number % 10))
            return (await inbox.accept(XENDIT, request)).status

        statuses = await asyncio.gather(*(post(number) for number in range(10_000)))
        stop.set()
        await work
        return statuses

    assert set(asyncio.run(working())) == {200}
    inbox.drain()
    assert sorted(orders(database)) == [str(number) for number in range(10)]


# --- Where there is none -----------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [write, write_async, Writer()])
def test_without_a_shared_database_there_is_no_transaction(tmp_path, handler):
    """A handler that asks for tx where there is none is told so when it is declared, with what to do."""
    with closing(inbox_at(tmp_path)) as inbox:
        inbox.source(XENDIT, secrets=["secret"])
        with pytest.raises(ConfigurationError, match="shared=True") as told:
            inbox.on(XENDIT, PAID, name="fulfil")(handler)
        assert "xendit/fulfil" in str(told.value)
        assert "effects=" in str(told.value)


def test_a_handler_without_tx_is_at_home_in_a_shared_database(inbox, database):
    """A handler that asks for no transaction is run as anywhere."""
    seen = []
    inbox.on(XENDIT, PAID, name="fulfil")(seen.append)
    send(inbox)
    inbox.drain()
    assert len(seen) == 1
    assert outcome(inbox).kind is OutcomeKind.SUCCESS
