"""Handlers that write with Django's ORM: their writes and "done" are one transaction."""

import threading

import adapter_doors  # noqa: F401 - configures Django, which must come before any model
import pytest
from django.db import connections, models, transaction
from psycopg.conninfo import conninfo_to_dict

from postgres_server import postgres_server
from ringback import Inbox
from ringback.adapters.django.effects import DjangoEffects
from ringback.store import Statement
from ringback.store.effects import TransactionOver
from ringback.testing import FrozenClock, assert_handled, drain, secret_for, signed_request

ALIAS = "shop"


class Order(models.Model):
    reference = models.TextField()
    amount = models.IntegerField(default=0)

    class Meta:
        """It belongs to no application that is installed."""

        app_label = "effects"

    def __str__(self):
        return self.reference


KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SQLITE_ONLY = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    """Make a database that the project calls ``shop``, of each kind in turn; return where it is."""
    if request.param == "sqlite":
        place = f"sqlite:///{tmp_path / 'shop.db'}"
        described = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "shop.db"}
    else:
        place = postgres_server().new_database()
        parts = conninfo_to_dict(place)
        described = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts["dbname"],
            "USER": parts["user"],
            "HOST": parts["host"],
        }
    connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: described})[ALIAS]
    with connections[ALIAS].schema_editor() as editor:
        editor.create_model(Order)
    connections[ALIAS].close()
    yield place
    connections[ALIAS].close()
    del connections[ALIAS]
    del connections.settings[ALIAS]


@pytest.fixture
def inbox_of(database):
    """Return what makes an inbox that shares the project's database; all of them are closed at the end."""
    made = []

    def make(**options):
        inbox = Inbox(database, effects=DjangoEffects(ALIAS), main_key=KEY, **options)
        inbox.source("xendit", secrets=[secret_for("xendit")])
        made.append(inbox)
        return inbox

    yield make
    for inbox in made:
        inbox.close()


def post(inbox, event_id):
    request = signed_request("xendit", "invoice.paid", event_id=event_id)
    assert inbox.accept("xendit", request).result().status == 200


def written():
    with transaction.atomic(using=ALIAS):
        found = sorted(Order.objects.using(ALIAS).values_list("reference", flat=True))
    connections[ALIAS].close()
    return found


@SQLITE_ONLY
def test_a_failure_undoes_what_the_orm_wrote(inbox_of):
    """Of a handler that writes and then fails nothing remains; the attempt that succeeds writes once."""
    clock = FrozenClock()
    inbox = inbox_of(clock=clock)

    @inbox.on("xendit", "invoice.paid", retries="1m")
    def fulfil(message, tx):
        Order.objects.using(ALIAS).create(reference=f"attempt {message.attempt}")
        if message.attempt == 1:
            raise ConnectionError

    post(inbox, "1")
    assert inbox.drain().failed == 1
    assert written() == []
    drain(inbox, clock)
    assert written() == ["attempt 2"]
    assert_handled(inbox, "xendit", "1", attempts=2)


@SQLITE_ONLY
def test_who_has_lost_the_lease_leaves_nothing(inbox_of):
    """A handler that took so long that another worker has done its work has its own undone."""
    clock = FrozenClock()
    inbox, other = inbox_of(clock=clock), inbox_of(clock=clock)

    def fulfil(message, tx):
        if threading.current_thread() is not late.setdefault("thread", threading.current_thread()):
            Order.objects.using(ALIAS).create(reference="in time")
            in_time.set()
            return
        clock.advance(3_600)
        # Whose lease has ended may be taken by any worker: by the other, or once more by this one.
        other.drain()
        assert in_time.wait(30)
        Order.objects.using(ALIAS).create(reference="too late")

    late, in_time = {}, threading.Event()
    for one in (inbox, other):
        one.on("xendit", "invoice.paid")(fulfil)
    post(inbox, "1")
    inbox.drain()
    assert written() == ["in time"]
    assert_handled(inbox, "xendit", "1")


def test_reading_before_writing_waits_for_others(inbox_of):
    """Handlers that read, then write, neither fail nor overwrite each other, however many run and arrive at once."""
    inbox = inbox_of(threads=8)

    @inbox.on("xendit", "invoice.paid")
    def add(message, tx):
        order = Order.objects.using(ALIAS).select_for_update().get(reference="all")
        order.amount += 1
        order.save()
        arrived.release()

    arrived = threading.Semaphore(0)
    Order.objects.using(ALIAS).create(reference="all")
    for number in range(40):
        post(inbox, str(number))

    def post_more():
        for number in range(40, 80):
            arrived.acquire()
            post(inbox, str(number))

    sender = threading.Thread(target=post_more)
    sender.start()
    first = inbox.drain()
    sender.join()
    rest = inbox.drain()
    assert (first.succeeded + rest.succeeded, first.failed + rest.failed) == (80, 0)
    assert Order.objects.using(ALIAS).get().amount == 80


def test_the_asynchronous_orm_joins_in(inbox_of):
    """What a coroutine writes with the asynchronous ORM is undone and committed like all else."""
    inbox = inbox_of()

    @inbox.on("xendit", "invoice.paid")
    async def fulfil(message, tx):
        await Order.objects.using(ALIAS).acreate(reference=message.event_id)
        if message.event_id == "bad":
            raise ValueError

    post(inbox, "good")
    post(inbox, "bad")
    inbox.drain()
    assert written() == ["good"]


def test_statements_are_taken_as_they_are(database, inbox_of):
    """A statement's percent signs are its own, its question marks are where values go, and rows are counted."""
    inbox_of().next_due().result()
    with DjangoEffects(ALIAS).transaction() as effect:
        Order.objects.using(ALIAS).create(reference="a")
        update = Statement("UPDATE effects_order SET reference = '100 %s' WHERE reference = ?", ("a",))
        assert effect.execute(update) == 1
        assert effect.execute(update) == 0
    assert written() == ["100 %s"]


def test_connections_are_given_back(database, inbox_of):
    """After each transaction, a connection that is not to be kept is closed, as after a request."""
    inbox_of().next_due().result()
    with DjangoEffects(ALIAS).transaction() as effect:
        assert effect.tx is connections[ALIAS]
        assert Order.objects.using(ALIAS).count() == 0
    assert connections[ALIAS].connection is None


def test_who_hangs_locks_nothing(inbox_of):
    """At its limit, what a handler has written is undone and free for others, although its thread hangs on."""
    inbox, release, refused = inbox_of(), threading.Event(), threading.Event()
    Order.objects.using(ALIAS).create(reference="locked")

    @inbox.on("xendit", "invoice.paid", timeout=0.1)
    def fulfil(message, tx):
        Order.objects.using(ALIAS).update(amount=1)
        release.wait(30)
        try:
            Order.objects.using(ALIAS).update(amount=2)
        except TransactionOver:
            refused.set()
            raise

    post(inbox, "1")
    inbox.drain()
    with transaction.atomic(using=ALIAS):
        Order.objects.using(ALIAS).update(reference="theirs")
    release.set()
    assert refused.wait(30)
    assert Order.objects.using(ALIAS).values_list("reference", "amount").get() == ("theirs", 0)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_query_that_takes_too_long_is_cancelled(inbox_of):
    """A handler that waits for PostgreSQL is interrupted at its limit."""
    inbox, ended = inbox_of(), threading.Event()

    @inbox.on("xendit", "invoice.paid", timeout=0.2)
    def fulfil(message, tx):
        try:
            with tx.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(60)")
        finally:
            ended.set()

    post(inbox, "1")
    assert inbox.drain().failed == 1
    assert ended.wait(10)
