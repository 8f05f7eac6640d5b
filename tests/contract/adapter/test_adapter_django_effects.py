"""Handlers that write with Django's ORM: their writes and "done" are one transaction."""

import threading

import adapter_doors  # noqa: F401 - configures Django, which must come before any model
import pytest
from django.db import connections, models, transaction

from ringback import Inbox
from ringback.adapters.django.effects import DjangoEffects
from ringback.store import Statement
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


@pytest.fixture
def database(tmp_path):
    """Make a database that the project calls ``shop``; return its file."""
    file = tmp_path / "shop.db"
    described = {"default": {}, ALIAS: {"ENGINE": "django.db.backends.sqlite3", "NAME": file}}
    connections.settings[ALIAS] = connections.configure_settings(described)[ALIAS]
    with connections[ALIAS].schema_editor() as editor:
        editor.create_model(Order)
    connections[ALIAS].close()
    yield file
    connections[ALIAS].close()
    del connections[ALIAS]
    del connections.settings[ALIAS]


@pytest.fixture
def inbox_of(database):
    """Return what makes an inbox that shares the project's database; all of them are closed at the end."""
    made = []

    def make(**options):
        inbox = Inbox(f"sqlite:///{database}", effects=DjangoEffects(ALIAS), **options)
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
        order, _ = Order.objects.using(ALIAS).get_or_create(reference="all")
        order.amount += 1
        order.save()
        arrived.release()

    arrived = threading.Semaphore(0)
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
