"""Two nodes over one database that do the same at the same moment: one of them is first, and both say so."""

import base64
import contextlib
import functools
import operator
import threading

import msgspec
import pytest
from doors import handler, source, stored, webhook
from scene import LEASE, VAULT, Scene

from ringback.drafts import ApplicationDraft, EndpointDraft, EventTypeDraft, PollerDraft, SecretRotation
from ringback.errors import Conflict, StoreUnavailable
from ringback.model import EndpointSecret
from ringback.observe import Observer
from ringback.outbox import Outbox
from ringback.source_drafts import SourceDraft
from ringback.sources import Sources
from ringback.store import Idempotency, MessageFilter, Page
from ringback.store.commit import Committer, NoWorker

NODES = 2
ROUNDS = 20


@pytest.fixture
def nodes(database):
    """Return nodes of one database: each with a scene of its own and a committer that runs."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running(Scene(database.open(VAULT), seed))) for seed in range(NODES)]


@contextlib.contextmanager
def running(scene):
    committer = Committer(
        scene.store, clock=lambda: scene.now, observer=Observer(), handover=NoWorker(), deadline=LEASE
    )
    committer.start()
    try:
        yield scene, committer
    finally:
        committer.close()


def at_once(nodes, changes):
    """Have each node do its part of *changes*, all at the same moment; return what came of it, error or value."""
    gate, outcomes = threading.Barrier(len(nodes)), [None] * len(nodes)

    def run(place):
        gate.wait()
        try:
            outcomes[place] = changes[place](*nodes[place])
        except Exception as error:  # noqa: BLE001 - it is what came of it
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(nodes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def accepting(acceptance):
    return lambda _, committer: committer.accept(acceptance).result()


def adding(record):
    return lambda _, committer: committer.write(lambda store: store.add(record)).result()


def test_one_idempotency_key_is_one_message(nodes):
    """Whichever node is first stores it, and the other answers with the first one's message."""
    application = nodes[0][0].application()
    for number in range(ROUNDS):
        key = Idempotency("message", f"key-{number}", b"same")
        acceptances = [
            scene.acceptance(application, idempotency=key, id=scene.id("msg")) for scene, _ in nodes
        ]
        outcomes = at_once(nodes, [accepting(one) for one in acceptances])
        assert sorted(outcome.replayed for outcome in outcomes) == [False, True], outcomes
        assert len({outcome.message.id for outcome in outcomes}) == 1
    assert len(nodes[0][0].store.messages(application.id, MessageFilter(), Page(limit=1_000))) == ROUNDS


def test_one_event_id_is_one_message(nodes):
    """The second node is told that the event id is taken."""
    application = nodes[0][0].application()
    for number in range(ROUNDS):
        acceptances = [scene.acceptance(application, event_id=f"order-{number}") for scene, _ in nodes]
        outcomes = at_once(nodes, [accepting(one) for one in acceptances])
        assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False, True], outcomes


@pytest.mark.parametrize("keys", [("same", "same"), (None, None), ("a", "b")])
def test_one_event_that_comes_twice_is_one_message(nodes, keys):
    """By its own key, or by what it is about where one node polled and the other was told."""
    owner = source(nodes[0][0])
    handler(nodes[0][0], owner)
    for number in range(ROUNDS):
        acceptances = [
            webhook(
                scene,
                owner,
                None if key is None else f"{key}-{number}",
                business_key=f"invoice-{number}",
                polled=bool(place),
            )
            for place, ((scene, _), key) in enumerate(zip(nodes, keys, strict=True))
        ]
        outcomes = at_once(nodes, [accepting(one) for one in acceptances])
        assert sorted(outcome.replayed for outcome in outcomes) == [False, True], outcomes
    assert len(stored(nodes[0][0], owner)) == ROUNDS


def test_one_uid_is_one_application(nodes):
    """The second node is told that the uid is taken."""
    for number in range(ROUNDS):
        records = [scene.new_application(uid=f"acme-{number}") for scene, _ in nodes]
        outcomes = at_once(nodes, [adding(record) for record in records])
        assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False, True], outcomes


class Overtaken:
    """A node's store, whose node is overtaken: *meanwhile* happens right after its first look for one of THINGS."""

    def __init__(self, store, meanwhile):
        self._store = store
        self._meanwhile = [meanwhile]

    def __getattr__(self, name):
        verb = getattr(self._store, name)
        return functools.partial(self._look, verb) if name in LOOKS else verb

    def _look(self, verb, *place):
        try:
            return verb(*place)
        finally:
            while place[-1] in THINGS and self._meanwhile:
                self._meanwhile.pop()()


ACME = ApplicationDraft(name="Acme", uid="acme")
HOOK = EndpointDraft(url="https://example.com/hook", uid="hook")
PAID = EventTypeDraft(name="paid", description="")
SHOP = SourceDraft(name="Shop", provider="stripe", secrets=("one",))
LOOKS = frozenset({"application", "endpoint", "event_type", "source"})
THINGS = frozenset({"acme", "hook", "paid", "shop"})
# What makes something where there is none, and tells whether it did.
MAKING = {
    "application": lambda node: Outbox(node).put_application("acme", ACME),
    "endpoint": lambda node: Outbox(node).put_endpoint("here", "hook", HOOK),
    "event type": lambda node: Outbox(node).put_event_type("paid", PAID),
    "source": lambda node: Sources(node).put("shop", SHOP),
}
REMOVING = {
    "application": lambda node: Outbox(node).remove_application("acme"),
    "endpoint": lambda node: Outbox(node).remove_endpoint("here", "hook"),
    "event type": lambda node: Outbox(node).remove_event_type("paid", expunge=True),
    "source": lambda node: Sources(node).remove("shop"),
}
NAMED = operator.attrgetter("created_at")


def bring(node):
    Outbox(node).ensure_application("acme", ACME).result()


@contextlib.contextmanager
def overtaken(database, meanwhile):
    """Run a node that is overtaken so; yield its committer."""
    with running(Scene(Overtaken(database.open(VAULT), meanwhile), NODES)) as (_, committer):
        yield committer


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # a file has one writer at a time anyway
@pytest.mark.parametrize("make", MAKING.values(), ids=MAKING.keys())
def test_what_another_node_has_just_made_is_what_is_meant(database, nodes, make):
    """Who asks for something to be there gets it, not a conflict, where another node makes it after the first look."""
    (scene, _), (_, faster) = nodes
    scene.application(uid="here")
    made = []
    with overtaken(database, lambda: made.append(make(faster).result())) as slower:
        found, new = make(slower).result()
    assert made[0][1]
    assert not new
    assert NAMED(found) == NAMED(made[0][0])


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # as above
@pytest.mark.parametrize("kind", REMOVING)
def test_what_another_node_has_just_removed_is_made_again(database, nodes, kind):
    """Who asks for something to be there gets it, too, where another node removes it after the first look."""
    (scene, _), (_, faster) = nodes
    scene.application(uid="here")
    MAKING[kind](faster).result()
    with overtaken(database, lambda: REMOVING[kind](faster).result()) as slower:
        _, new = MAKING[kind](slower).result()
    assert new


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # as above
def test_an_application_that_another_node_has_just_brought_along(database, nodes):
    """A message that brings its application along finds the one that another node's has just brought."""
    (scene, _), (_, faster) = nodes
    with overtaken(database, lambda: bring(faster)) as slower:
        bring(slower)
    assert [one.uid for one in scene.store.applications(Page())] == ["acme"]


def poller_of(store):
    application = store.application("here")
    return application.id, store.pollers(application.id, Page())[0].id


KEY = "whsec_" + base64.b64encode(bytes(24)).decode()
# A change of one node, and what another changes of the same meanwhile.
CHANGING = {
    "application": (
        lambda store, renew: store.change_application("here", renew),
        lambda node: Outbox(node).change_application("here", {"name": "New"}),
        lambda store: store.application("here"),
        {"name": "New"},
    ),
    "endpoint": (
        lambda store, renew: store.change_endpoint(store.application("here").id, "hook", renew),
        lambda node: Outbox(node).rotate_secret(
            "here", "hook", SecretRotation(key=KEY, grace_period_seconds=0)
        ),
        lambda store: store.endpoint(store.application("here").id, "hook"),
        {"secrets": (EndpointSecret(KEY),)},
    ),
    "poller": (
        lambda store, renew: store.change_poller(*poller_of(store), renew),
        lambda node: Outbox(node).pollers.change(*node.read(poller_of).result(), {"description": "New"}),
        lambda store: store.poller(*poller_of(store)),
        {"description": "New"},
    ),
    "event type": (
        lambda store, renew: store.change_event_type("paid", renew),
        lambda node: Outbox(node).change_event_type("paid", {"description": "New"}),
        lambda store: store.event_type("paid"),
        {"description": "New"},
    ),
    "source": (
        lambda store, renew: store.change_source("shop", renew),
        lambda node: Sources(node).change("shop", {"name": "New"}),
        lambda store: store.source("shop"),
        {"name": "New"},
    ),
}
MARK = {"marked": "yes"}


def until_done_or_waiting(database, thread):
    """Wait until a thread is done, or waits in the database for somebody else's transaction."""
    with database.application() as connection:
        while thread.is_alive():
            if connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                return


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # as above
@pytest.mark.parametrize("kind", CHANGING)
def test_neither_of_two_changes_undoes_the_other(database, nodes, kind):
    """What one node changes while another does lasts as well: a rotated secret does not come back."""
    (scene, slower), (_, faster) = nodes
    scene.application(uid="here")
    Outbox(slower).create_endpoint("here", HOOK).result()
    Outbox(slower).pollers.create("here", PollerDraft()).result()
    Outbox(slower).put_event_type("paid", PAID).result()
    Sources(slower).put("shop", SHOP).result()
    change, meanwhile, look, expected = CHANGING[kind]
    other = threading.Thread(target=lambda: meanwhile(faster).result())
    marked = {"group_name": "marked"} if kind == "event type" else {"metadata": MARK}

    def renew(old):
        other.start()
        until_done_or_waiting(database, other)
        return msgspec.structs.replace(old, **marked)

    slower.write(lambda store: change(store, renew)).result()
    other.join()
    kept = look(scene.store)
    assert {name: getattr(kept, name) for name in expected | marked} == expected | marked


def test_one_application_is_made_or_found(nodes):
    """Of two nodes that are to find it or make it at the same moment, one makes it, and both have it."""
    for number in range(ROUNDS):
        draft = ApplicationDraft(name="Acme", uid=f"acme-{number}")
        make = lambda _, node, draft=draft: Outbox(node).create_application(draft, reuse=True).result()  # noqa: E731 - once a round
        outcomes = at_once(nodes, [make] * NODES)
        assert sorted(new for _, new in outcomes) == [False, True], outcomes
        assert len({application.id for application, _ in outcomes}) == 1


def test_a_replay_is_two_nodes_work(nodes):
    """Both take its steps, neither waits for the other, and each message is made due once."""
    first, _ = nodes[0]
    application = first.application()
    endpoint = first.endpoint(application)
    messages = [first.fail(application).message.id for _ in range(ROUNDS)]
    task = first.task(endpoint)

    def steps(scene, committer):
        scene.now = first.now
        while not scene.store.task(task.id).done:
            committer.write(lambda store: store.advance_task(scene.now, 3)).result()

    assert at_once(nodes, [steps, steps]) == [None, None]
    assert first.store.task(task.id).moved == ROUNDS
    assert sorted(work.message_id for work in first.take()) == sorted(messages)


def test_what_is_due_is_taken_once(nodes):
    """Each delivery goes to one node, whoever asks."""
    first, _ = nodes[0]
    application = first.application()
    endpoint = first.endpoint(application)
    count = 50
    for _ in range(count):
        first.publish(application, admit=False)
    for scene, _ in nodes:
        scene.now = first.now
    taking = [lambda scene, _: scene.take(limit=count, endpoints=[endpoint.id])] * NODES
    outcomes = at_once(nodes, taking)
    taken = [work.message_id for works in outcomes for work in works]
    assert len(taken) == len(set(taken)) <= count
    rest = first.take(limit=count, endpoints=[endpoint.id])
    assert len(taken) + len(rest) == count


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # a file has one writer at a time anyway
def test_a_node_that_is_frozen_in_a_transaction_does_not_hold_up_the_others_for_long(nodes):
    """What it has written is undone within seconds, and another node's message with the same key is stored."""
    (frozen, _), (scene, committer) = nodes
    application = scene.application()
    key = Idempotency("message", "key", b"same")
    acceptances = [one.acceptance(application, idempotency=key, id=one.id("msg")) for one, _ in nodes]
    with contextlib.suppress(StoreUnavailable), frozen.store.transaction():
        frozen.store.accept([acceptances[0]], frozen.lease(), lambda _: False)
        stored_one = committer.accept(acceptances[1]).result()
        assert (stored_one.message.id, stored_one.replayed) == (acceptances[1].id, False)
    messages = scene.store.messages(application.id, MessageFilter(), Page(limit=10))
    assert [one.id for one in messages] == [acceptances[1].id]
