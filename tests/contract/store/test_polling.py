"""Polling: an endpoint without an address keeps its messages in a feed, through which those go who ask."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import msgspec
import pytest
from scene import MANY, START, Scene

from ringback import ids
from ringback.access import Scope
from ringback.errors import LimitReached, NotFound
from ringback.model import POLLED, DeliveryState, EndpointState
from ringback.policy import DAY
from ringback.store import MessageFilter, Page, Token
from ringback.store.sql.polling import LOOKED_AT, MAX_BYTES, MAX_CONSUMERS

ALL = MessageFilter()
PATIENCE = 30


@pytest.fixture
def owner(scene):
    return scene.application()


@pytest.fixture
def poller(scene, owner):
    return added(scene, owner)


def added(scene, owner, **fields):
    record = scene.new_endpoint(
        owner, id=scene.id(ids.POLLER), url=POLLED, state=EndpointState.PAUSED, secrets=(), **fields
    )
    scene.write(scene.store.add_poller, record)
    return record


def publish(scene, owner, count=1, **fields):
    return [scene.publish(owner, admit=False, **fields).message.id for _ in range(count)]


def poll(scene, poller, position=0, *, limit=MANY, where=ALL, give=True):
    if give:
        scene.write(scene.store.give_positions, poller.application_id, poller.id, limit, scene.now)
    return scene.store.poll(poller.application_id, poller.id, position, where, limit=limit, now=scene.now)


def ids_of(polled):
    return [message.id for message in polled.messages]


class TestFeed:
    def test_messages_come_in_their_order_and_again_until_asked_for_what_follows(self, scene, owner, poller):
        """A position stands for all before it; nothing but asking for what comes behind it moves anybody on."""
        names = publish(scene, owner, 5)
        first = poll(scene, poller, limit=2)
        assert (ids_of(first), first.ended, first.more) == (names[:2], True, True)
        assert ids_of(poll(scene, poller, limit=2, give=False)) == names[:2]
        second = poll(scene, poller, first.position)
        assert (ids_of(second), second.ended, second.more) == (names[2:], True, False)
        assert ids_of(poll(scene, poller, second.position)) == []
        assert ids_of(poll(scene, poller)) == names
        assert second.messages[0].payload == b'{"amount":1}'

    def test_only_what_it_listens_to_is_in_it(self, scene, owner):
        """As at any endpoint: event types and channels select, and what came before is not for it."""
        publish(scene, owner)
        poller = added(scene, owner, event_types=("a",), channels=("x", "y"))
        publish(scene, owner, event_type="a")
        (wanted,) = publish(scene, owner, event_type="a", channels=("y", "z"))
        assert ids_of(poll(scene, poller)) == [wanted]

    def test_a_filter_looks_at_so_much_and_says_where_to_go_on(self, scene, owner, poller):
        """However rare the messages are that are meant, an answer comes soon and leads on."""
        names = publish(scene, owner, 3) + publish(scene, owner, 2, event_type="rare", channels=("x",))
        where = MessageFilter(event_types=("rare",))
        found = poll(scene, poller, where=where, limit=1)
        poll(scene, poller)
        found = poll(scene, poller, where=where, limit=1)
        assert (ids_of(found), found.position, found.ended) == (names[3:4], 4, False)
        assert ids_of(poll(scene, poller, found.position, where=where)) == names[4:]
        assert ids_of(poll(scene, poller, where=MessageFilter(channel="x"))) == names[3:]
        none = poll(scene, poller, where=MessageFilter(channel="z"))
        assert (ids_of(none), none.position, none.ended) == ([], 5, True)
        assert LOOKED_AT > MANY

    def test_an_answer_has_an_end_however_large_the_messages_are(self, scene, owner, poller):
        """Where it ends, it leads on."""
        large = b'{"a":"%s"}' % (b"x" * (MAX_BYTES // 40))
        names = publish(scene, owner, 50, payload=large)
        first = poll(scene, poller)
        assert len(ids_of(first)) < 50
        assert not first.ended
        assert ids_of(first) + ids_of(poll(scene, poller, first.position)) == names

    def test_what_is_committed_late_comes_behind_what_was_seen(self, scene, owner, poller, database):
        """A message whose transaction ends after others were handed out is in nobody's past."""
        older = scene.acceptance(owner)
        (newer,) = publish(scene, owner)
        seen = poll(scene, poller)
        assert ids_of(seen) == [newer]
        with closing(database.open()) as store:
            other = Scene(store, seed=9)
            other.now = scene.now
            assert other.accept(older, admit=lambda _: False)
        assert ids_of(poll(scene, poller, seen.position)) == [older.id]
        assert ids_of(poll(scene, poller)) == [newer, older.id]

    def test_what_is_to_be_delivered_later_is_not_there_before(self, scene, owner, poller):
        """Its place is that of the time when it is first there."""
        (later,) = publish(scene, owner, deliver_at=scene.now + 60_000)
        (sooner,) = publish(scene, owner)
        assert ids_of(poll(scene, poller)) == [sooner]
        scene.tick(60_000)
        assert ids_of(poll(scene, poller)) == [sooner, later]

    def test_no_worker_delivers_what_waits_for_being_asked_for(self, scene, owner, poller):
        """And when it has been handed out, that is its end."""
        (name,) = publish(scene, owner)
        assert scene.due() == []
        assert scene.take(endpoints=[poller.id]) == []
        assert scene.delivery(owner.id, name, poller.id).state is DeliveryState.WAITING
        poll(scene, poller)
        assert scene.delivery(owner.id, name, poller.id).state is DeliveryState.SUCCEEDED

    def test_retention_holds_for_what_nobody_asks_for(self, scene, owner, poller):
        """What has waited for longer is given up and forgotten, and positions do not begin anew."""
        publish(scene, owner, 2)
        seen = poll(scene, poller)
        publish(scene, owner, 2)
        scene.tick(2 * DAY)
        before = scene.now - scene.now % DAY
        for _ in range(2):
            scene.prune(before)
        assert scene.store.messages(owner.id, ALL, Page()) == []
        assert ids_of(poll(scene, poller)) == []
        names = publish(scene, owner, 2)
        assert ids_of(poll(scene, poller, seen.position)) == names

    def test_two_who_ask_at_once_see_one_order(self, scene, owner, poller, database):
        """Whoever gives positions, each message has one, and none is left out."""
        names = publish(scene, owner, 30)
        gate = threading.Barrier(2)

        def ask(store):
            for _ in range(10):
                gate.wait(PATIENCE)
                with store.transaction():
                    store.give_positions(owner.id, poller.id, 3, scene.now)

        with closing(database.open()) as other, ThreadPoolExecutor(2) as threads:
            for asked in [threads.submit(ask, store) for store in (scene.store, other)]:
                asked.result(PATIENCE)
        found = poll(scene, poller, give=False)
        assert (sorted(ids_of(found)), found.position) == (sorted(names), 30)


class TestTime:
    def test_one_may_begin_at_a_time(self, scene, owner, poller):
        """Nothing that was accepted later is left out, also what nobody has asked for yet."""
        early = publish(scene, owner, 3)
        poll(scene, poller)
        at = scene.now
        late = publish(scene, owner, 3)
        arguments = (owner.id, poller.id)
        position = scene.write(scene.store.position_after, *arguments, at, scene.now)
        assert ids_of(poll(scene, poller, position)) == late
        assert scene.write(scene.store.position_after, *arguments, START, scene.now) == 0
        assert scene.write(scene.store.position_after, *arguments, scene.now, scene.now) == len(early + late)


class TestConsumers:
    def test_each_has_its_own_place_which_is_kept(self, scene, owner, poller, database):
        """It outlives the process, goes no further than the feed, and an unknown one is at the beginning."""
        publish(scene, owner, 3)
        poll(scene, poller)
        for name, position in (("one", 2), ("two", 1), ("two", 999)):
            scene.write(scene.store.keep_consumer, owner.id, poller.id, name, position)
        with closing(database.open()) as store:
            places = [store.consumer(owner.id, poller.id, name) for name in ("one", "two", "three")]
        assert places == [2, 3, 0]

    def test_there_are_only_so_many(self, scene, owner, poller):
        """Those that are known go on."""
        with scene.store.transaction():
            for number in range(MAX_CONSUMERS):
                scene.store.keep_consumer(owner.id, poller.id, str(number), 0)
        with pytest.raises(LimitReached):
            scene.write(scene.store.keep_consumer, owner.id, poller.id, "more", 0)
        scene.write(scene.store.keep_consumer, owner.id, poller.id, "7", 0)


class TestPollers:
    def test_they_are_apart_from_other_endpoints(self, scene, owner, poller):
        """Each is listed and found among its own kind, in its own application."""
        endpoint, other = scene.endpoint(owner), added(scene, owner)
        assert scene.store.endpoints(owner.id, Page()) == [endpoint]
        assert scene.store.pollers(owner.id, Page()) == sorted([poller, other], key=lambda one: one.id)
        assert scene.store.poller(owner.id, poller.id) == poller
        for refused in (
            lambda: scene.store.endpoint(owner.id, poller.id),
            lambda: scene.store.poller(owner.id, endpoint.id),
            lambda: scene.store.poller(scene.application().id, poller.id),
            lambda: poll(scene, msgspec.structs.replace(poller, id=scene.id(ids.POLLER))),
        ):
            with pytest.raises(NotFound):
                refused()

    def test_a_change_is_for_what_comes(self, scene, owner, poller):
        """What is in the feed stays there."""
        names = publish(scene, owner)
        changed = scene.write(
            scene.store.change_poller,
            owner.id,
            poller.id,
            lambda old: msgspec.structs.replace(old, event_types=("a",), description="d"),
        )
        assert scene.store.poller(owner.id, poller.id) == changed
        names += publish(scene, owner, event_type="a")
        publish(scene, owner, event_type="b")
        assert ids_of(poll(scene, poller)) == names

    def test_with_it_go_its_tokens(self, scene, owner, poller):
        """Those of others stay; and nothing of its feed is handed out again."""
        publish(scene, owner)
        other = added(scene, owner)
        tokens = [
            Token(
                id=scene.id(ids.TOKEN),
                name=one.id,
                digest=one.id.encode(),
                created_at=scene.now,
                scopes=(Scope.POLL,),
                application_id=owner.id,
                poller_id=one.id,
            )
            for one in (poller, other)
        ]
        for token in tokens:
            scene.write(scene.store.add_token, token)
        assert {token.id: token for token in scene.store.tokens()} == {token.id: token for token in tokens}
        scene.write(scene.store.remove_poller, owner.id, poller.id, scene.now)
        assert scene.store.tokens() == tokens[1:]
        with pytest.raises(NotFound):
            poll(scene, poller)
        assert scene.store.pollers(owner.id, Page()) == [other]
