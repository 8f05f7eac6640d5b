"""Documents: what a program keeps beside its messages, by itself or together with one."""

import contextlib

import pytest
from doors import source
from scene import MANY

from ringback.errors import NotFound
from ringback.store import Document, Page


def kept(scene, collection="orders", **page):
    return [(one.id, one.body) for one in scene.store.documents(collection, Page(limit=MANY, **page))]


def keep(scene, *documents):
    scene.write(scene.store.keep, [Document(*one) for one in documents])


def test_documents_are_read_as_they_were_kept(scene):
    """Whatever bytes were kept are read back, in the order of their ids."""
    keep(scene, ("orders", "b", b"\x00\xff"), ("orders", "a", b""), ("orders", "é", b"{}"))
    assert kept(scene) == [("a", b""), ("b", b"\x00\xff"), ("é", b"{}")]


def test_the_last_body_is_the_one(scene):
    """Keeping a document again replaces it, in one call as in several; without a body it is removed."""
    keep(scene, ("orders", "a", b"1"), ("orders", "a", b"2"), ("orders", "b", b"1"))
    assert kept(scene) == [("a", b"2"), ("b", b"1")]
    keep(scene, ("orders", "a", b"3"), ("orders", "b", None), ("orders", "never", None))
    assert kept(scene) == [("a", b"3")]


def test_one_document(scene):
    """A single document is found by its id, and by no other or in another collection."""
    keep(scene, ("orders", "a", b"1"), ("orders", "ab", b"\x00"), ("refunds", "b", b"2"))
    assert [scene.store.document("orders", name) for name in ("a", "ab", "b", "")] == [
        b"1",
        b"\x00",
        None,
        None,
    ]


def test_collections_are_apart(scene):
    """The same id in another collection is another document."""
    keep(scene, ("orders", "a", b"1"), ("refunds", "a", b"2"))
    keep(scene, ("orders", "a", None))
    assert kept(scene) == []
    assert kept(scene, "refunds") == [("a", b"2")]


def test_documents_are_paged(scene):
    """A page begins after its cursor, in the direction that was asked for."""
    keep(scene, *[("orders", f"{number:04}", b"x") for number in range(1_500)])
    first = scene.store.documents("orders", Page(limit=1_000))
    assert [one.id for one in first] == [f"{number:04}" for number in range(1_000)]
    rest = scene.store.documents("orders", Page(limit=1_000, cursor=first[-1].id))
    assert [one.id for one in rest] == [f"{number:04}" for number in range(1_000, 1_500)]
    last = scene.store.documents("orders", Page(limit=2, descending=True))
    assert [one.id for one in last] == ["1499", "1498"]
    before = scene.store.documents("orders", Page(limit=2, cursor="0700", backwards=True))
    assert [one.id for one in before] == ["0699", "0698"]


def test_documents_come_with_the_message_that_tells_of_them(scene):
    """What a message is published with is kept in its commit, and not where the message is refused."""
    application = scene.application()
    scene.publish(application, documents=(Document("orders", "a", b"paid"),))
    assert kept(scene) == [("a", b"paid")]
    owner = source(scene)
    (answer,) = scene.accept(scene.acceptance(owner.id, documents=(Document("orders", "b", b"paid"),)))
    assert isinstance(answer, NotFound)
    assert kept(scene) == [("a", b"paid")]


def test_an_undone_transaction_leaves_the_documents(scene):
    """Where a transaction fails, what it kept is as it was before."""
    keep(scene, ("orders", "a", b"1"))
    with contextlib.suppress(RuntimeError), scene.store.transaction():
        scene.store.keep([Document("orders", "a", b"2")])
        raise RuntimeError
    assert kept(scene) == [("a", b"1")]


@pytest.mark.parametrize("count", [0, 1, 2_000])
def test_any_number_is_kept(scene, count):
    """Nothing is kept without fault, and thousands in one go."""
    keep(scene, *[("orders", f"{number:05}", b"x") for number in range(count)])
    assert len(scene.store.documents("orders", Page(limit=10_000))) == count
