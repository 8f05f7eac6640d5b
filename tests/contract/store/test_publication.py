"""Publishing in the application's transaction, with each library: the message exists exactly if that is committed."""
# ruff: noqa: D102 - short verbs whose names say what they return

import asyncio
import contextlib
from datetime import UTC, datetime

import apsw
import pytest
from lenders import LENDERS
from scene import DATABASES, LEASE, PostgresDatabase, Scene, SharedSQLiteDatabase

from ringback.errors import Conflict, InvalidInput, NotFound
from ringback.model import EndpointState
from ringback.observe import Observer
from ringback.outbox import Outbox
from ringback.store import MessageFilter, Page
from ringback.store.commit import Committer, NoWorker

BODY = b'{ "amount" : 1.0 }'
KINDS = [(database, library) for database, libraries in LENDERS.items() for library in libraries]


class Shop:
    """An application with an outbox on its own database."""

    def __init__(self, database, library):
        self.database = database
        self.url = getattr(database, "url", None) or f"sqlite:///{database.file}"
        self._lend = library
        self.scene = Scene(database.open())
        self.committer = Committer(
            self.scene.store,
            clock=lambda: self.scene.now,
            observer=Observer(),
            handover=NoWorker(),
            deadline=LEASE,
        )
        self.committer.start()
        self.outbox = Outbox(self.committer, clock=lambda: self.scene.tick(1))
        with self.application() as application:
            application.execute("CREATE TABLE shop_order (reference text)")
        self.acme = self.scene.application(uid="acme")

    def application(self):
        if isinstance(self.database, SharedSQLiteDatabase | PostgresDatabase):
            return self.database.application()
        # Two copies of SQLite in one process would damage the file.
        return contextlib.closing(apsw.Connection(str(self.database.file)))

    def lend(self):
        """Open a transaction."""
        return self._lend(self.url)

    def messages(self):
        return self.scene.store.messages(self.acme.id, MessageFilter(), Page())

    def deliveries(self, message_id):
        found = self.scene.store.deliveries(self.acme.id, message_id, Page())
        return {endpoint.id: (delivery.state, delivery.attempts) for delivery, endpoint in found}

    def orders(self):
        with self.application() as application:
            return [row[0] for row in application.execute("SELECT reference FROM shop_order").fetchall()]


@pytest.fixture(params=KINDS, ids=[f"{database}-{library}" for database, library in KINDS])
def shop(request, tmp_path, monkeypatch):
    """Return an application that publishes with each library in turn."""
    # Django refuses to wait for a database on an event loop, as the tests do for all libraries alike.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    database, library = request.param
    opened = Shop(DATABASES[database](tmp_path), LENDERS[database][library])
    with contextlib.closing(opened.committer):
        yield opened


def run(shop, story):
    """Have a transaction opened and the *story* told with it."""

    async def told():
        async with shop.lend() as lent:
            return await story(lent)

    return asyncio.run(told())


def test_a_commit_makes_the_message_and_its_deliveries(shop):
    """What the application wrote, the message and its deliveries are seen together, and not before the commit."""
    wanted = shop.scene.endpoint(shop.acme)
    unwanted = shop.scene.endpoint(shop.acme, event_types=("order.lost",))
    seen = []

    async def story(lent):
        await lent.execute("INSERT INTO shop_order VALUES ('r1')")
        accepted = await lent.publish(shop.outbox, "acme", "order.paid", BODY, channels=("eu", "vip"))
        seen.extend([shop.orders(), shop.messages()])
        await lent.commit()
        return accepted

    accepted = run(shop, story)
    assert seen == [[], []]
    assert shop.orders() == ["r1"]
    (message,) = shop.messages()
    assert message == accepted.message
    assert (message.payload, message.channels) == (BODY, ("eu", "vip"))
    assert message.skipped == {unwanted.id: "event_type"}
    assert shop.deliveries(message.id) == {wanted.id: ("waiting", 0)}
    (work,) = shop.scene.take()
    assert (work.message_id, work.payload, work.endpoint.id) == (message.id, BODY, wanted.id)


def test_for_later_and_with_tags(shop):
    """With each library a message may have tags and be for later, and a repetition must say both again."""
    shop.scene.endpoint(shop.acme)
    at = datetime.fromtimestamp((shop.scene.now + LEASE) / 1000, UTC)
    told = {"tags": ("a", "b"), "deliver_at": at, "idempotency_key": "once"}

    async def story(lent):
        accepted = await lent.publish(shop.outbox, "acme", "order.paid", BODY, **told)
        again = await lent.publish(shop.outbox, "acme", "order.paid", BODY, **told)
        with pytest.raises(Conflict):
            await lent.publish(shop.outbox, "acme", "order.paid", BODY, **told | {"tags": ("a",)})
        await lent.publish(shop.outbox, "acme", "order.paid", BODY, tags=("b",))
        await lent.commit()
        return accepted, again

    accepted, again = run(shop, story)
    assert (again.replayed, again.message.id) == (True, accepted.message.id)
    later, plain = sorted(shop.messages(), key=lambda message: message.deliver_at is None)
    assert later == accepted.message
    assert (later.tags, later.deliver_at) == (("a", "b"), round(at.timestamp() * 1000))
    assert (plain.tags, plain.deliver_at) == (("b",), None)
    shop.scene.now = later.deliver_at - 1
    assert [work.message_id for work in shop.scene.take()] == [plain.id]
    shop.scene.now = later.deliver_at
    assert [work.message_id for work in shop.scene.take()] == [later.id]
    for tag, ids in (("a", {later.id}), ("b", {later.id, plain.id})):
        tagged = shop.scene.store.messages(shop.acme.id, MessageFilter(tag=tag), Page())
        assert {message.id for message in tagged} == ids


def test_a_rollback_leaves_nothing(shop):
    """Of a transaction that is undone nothing is there, and its event id and idempotency key are free."""
    shop.scene.endpoint(shop.acme)
    told = {"event_id": "order-1", "idempotency_key": "once"}

    async def story(lent):
        await lent.execute("INSERT INTO shop_order VALUES ('r1')")
        await lent.publish(shop.outbox, "acme", "order.paid", {"id": 1}, **told)
        await lent.rollback()

    run(shop, story)
    assert (shop.orders(), shop.messages(), shop.scene.take()) == ([], [], [])
    accepted = shop.outbox.publish("acme", "order.paid", {"id": 2}, **told).result()
    assert not accepted.replayed


def test_a_savepoint_that_is_undone_leaves_nothing(shop):
    """What was published after a savepoint goes with it; what was published before stays."""

    async def story(lent):
        await lent.execute("INSERT INTO shop_order VALUES ('r1')")
        kept = await lent.publish(shop.outbox, "acme", "order.paid", {"id": 1})
        await lent.execute("SAVEPOINT part")
        await lent.publish(shop.outbox, "acme", "order.paid", {"id": 2})
        await lent.execute("ROLLBACK TO SAVEPOINT part")
        await lent.commit()
        return kept

    kept = run(shop, story)
    assert [message.id for message in shop.messages()] == [kept.message.id]


def test_refusals_leave_the_transaction_usable(shop):
    """An unknown application, a taken event id and a key used otherwise are refused, and the rest is committed."""
    shop.outbox.publish("acme", "order.paid", {"id": 0}, event_id="taken", idempotency_key="used").result()

    async def story(lent):
        await lent.execute("INSERT INTO shop_order VALUES ('r1')")
        for error, application, options in (
            (NotFound, "nobody", {}),
            (NotFound, "app_nobody", {}),
            (Conflict, "acme", {"event_id": "taken", "idempotency_key": "unused"}),
            (Conflict, "acme", {"idempotency_key": "used"}),
        ):
            with pytest.raises(error):
                await lent.publish(shop.outbox, application, "order.paid", {"id": 1}, **options)
        # What was refused has used up no key.
        accepted = await lent.publish(shop.outbox, "acme", "order.paid", {"id": 2}, idempotency_key="unused")
        await lent.commit()
        return accepted

    accepted = run(shop, story)
    assert shop.orders() == ["r1"]
    assert not accepted.replayed
    assert len(shop.messages()) == 2


def test_a_key_is_one_key_at_every_door(shop):
    """Published again with its key, in this transaction, in a later one or in none, it is the first message."""
    again = ("acme", "order.paid", {"id": 1})

    async def story(lent):
        found = [await lent.publish(shop.outbox, *again, idempotency_key="once") for _ in range(2)]
        await lent.commit()
        found.append(await lent.publish(shop.outbox, *again, idempotency_key="once"))
        await lent.commit()
        return found

    accepted = [*run(shop, story), shop.outbox.publish(*again, idempotency_key="once").result()]
    assert [one.replayed for one in accepted] == [False, True, True, True]
    assert len({one.message.id for one in accepted}) == 1
    assert len(shop.messages()) == 1


def test_a_key_whose_message_is_gone_is_new(shop):
    """A use whose message has been removed is forgotten."""
    first = shop.outbox.publish("acme", "order.paid", {"id": 1}, idempotency_key="once").result()
    with shop.scene.store.transaction():
        shop.scene.store.execute("DELETE FROM ringback_message")

    async def story(lent):
        accepted = await lent.publish(shop.outbox, "acme", "order.paid", {"id": 2}, idempotency_key="once")
        await lent.commit()
        return accepted

    accepted = run(shop, story)
    assert not accepted.replayed
    assert accepted.message.id != first.message.id
    with pytest.raises(Conflict):
        shop.outbox.publish("acme", "order.paid", {"id": 3}, idempotency_key="once").result()


def test_it_sees_the_catalog_of_its_transaction(shop):
    """An endpoint that another connection has made or disabled a moment ago counts."""
    early = shop.scene.endpoint(shop.acme)

    async def story(lent):
        await lent.publish(shop.outbox, "acme", "order.paid", {"id": 1})
        await lent.commit()
        late = shop.scene.endpoint(shop.acme)
        disabled = lambda one: shop.scene.new_endpoint(shop.acme, id=one.id, state=EndpointState.DISABLED)  # noqa: E731
        shop.scene.write(shop.scene.store.change_endpoint, shop.acme.id, early.id, disabled)
        accepted = await lent.publish(shop.outbox, "acme", "order.paid", {"id": 2})
        await lent.commit()
        return accepted.message, late

    message, late = run(shop, story)
    assert message.skipped == {early.id: "disabled"}
    assert shop.deliveries(message.id) == {late.id: ("waiting", 0)}


def test_a_thousand_endpoints_are_one_commit(shop):
    """The largest fan-out is in the caller's transaction."""
    with shop.scene.store.transaction():
        for _ in range(1_000):
            shop.scene.store.add(shop.scene.new_endpoint(shop.acme))

    async def story(lent):
        accepted = await lent.publish(shop.outbox, "acme", "order.paid", {"id": 1})
        await lent.commit()
        return accepted

    accepted = run(shop, story)
    found = shop.scene.store.deliveries(shop.acme.id, accepted.message.id, Page(limit=2_000))
    assert len(found) == 1_000


def test_many_are_in_their_order(shop):
    """Messages of one transaction are taken in the order in which they were published."""
    shop.scene.endpoint(shop.acme)

    async def story(lent):
        published = [await lent.publish(shop.outbox, "acme", "order.paid", {"id": n}) for n in range(20)]
        await lent.commit()
        return published

    published = run(shop, story)
    taken = shop.scene.take()
    assert [work.message_id for work in taken] == [one.message.id for one in published]


def test_rules_hold(shop):
    """What breaks a rule is refused before the transaction is touched."""

    async def story(lent):
        with pytest.raises(InvalidInput):
            await lent.publish(shop.outbox, "acme", "order paid", {"id": 1})
        with pytest.raises(InvalidInput):
            await lent.publish(shop.outbox, "acme", "order.paid", b"[]")

    run(shop, story)
