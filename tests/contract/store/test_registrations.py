"""Nodes: what each of those that share a database lets the others know."""

from scene import START

from ringback.model import Registration
from ringback.policy import DAY

MINUTE = 60_000


def node(name, started_at=START, **fields):
    facts = {"roles": ("api", "worker"), "version": "1.0", "seen_at": started_at}
    return Registration(id=f"node_{name}", name=name, started_at=started_at, **facts | fields)


def beat(scene, *nodes):
    for one in nodes:
        scene.write(scene.store.beat, one)


def test_nodes_are_listed_by_their_starts(scene):
    """What a node says of itself is read as it was written, the oldest node first."""
    young, old = node("b", START + 1, roles=("worker",)), node("a")
    beat(scene, young, old)
    assert scene.store.nodes() == [old, young]


def test_a_sign_of_life_replaces_the_last(scene):
    """A node has one row: when it was seen last, and whether that was its farewell."""
    beat(scene, node("a"), node("a", seen_at=START + MINUTE))
    assert [one.seen_at for one in scene.store.nodes()] == [START + MINUTE]
    beat(scene, node("a", seen_at=START + 2 * MINUTE, stopped=True))
    assert [(one.seen_at, one.stopped) for one in scene.store.nodes()] == [(START + 2 * MINUTE, True)]


def test_the_long_silent_are_forgotten(scene):
    """A node that was last seen more than a day ago is gone when another gives a sign of life."""
    beat(scene, node("dead"), node("stopped", stopped=True), node("slow", seen_at=START + MINUTE))
    beat(scene, node("new", START + DAY + 1))
    assert [one.name for one in scene.store.nodes()] == ["slow", "new"]


def test_circuits_are_known_to_all(scene, database):
    """What one node keeps of its circuits, another reads, until it is closed."""
    scene.write(scene.store.keep_circuits, {"ep_a": START + 1, "ep_b": START + 2}, START)
    scene.write(scene.store.keep_circuits, {"ep_a": START + 3, "ep_b": None, "ep_c": None}, START)
    other = database.open()
    try:
        assert other.circuits() == {"ep_a": START + 3}
    finally:
        other.close()


def test_circuits_that_nobody_probes_are_forgotten(scene):
    """A circuit that should have been probed a day ago is not kept for ever."""
    scene.write(scene.store.keep_circuits, {"ep_a": START, "ep_b": START + MINUTE}, START)
    scene.write(scene.store.keep_circuits, {}, START + DAY + 1)
    assert scene.store.circuits() == {"ep_b": START + MINUTE}
