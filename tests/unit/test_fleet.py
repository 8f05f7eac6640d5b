"""Nodes that share a store: who owns what, found by each alone and the same for all."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from line import SECOND, START, Clock, Line, played, registration

from ringback import pacing, policy
from ringback.model import NodeState

NAMES = st.lists(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=6, unique=True)
ENDPOINTS = [f"ep_{number}" for number in range(600)]


# --- Pure ---------------------------------------------------------------------------------------------------


@given(NAMES, st.randoms(use_true_random=False))
def test_all_find_the_same_owner(names, chance):
    """Who knows the same nodes, in whatever order, finds the same owner, and it is one of them."""
    other = list(names)
    chance.shuffle(other)
    for endpoint in ENDPOINTS[:20]:
        assert pacing.owner_of(endpoint, names) == pacing.owner_of(endpoint, other)
        assert pacing.owner_of(endpoint, names) in names


@given(NAMES)
def test_when_a_node_goes_only_its_endpoints_change_hands(names):
    """What others own stays where it is when one node goes, and so when one comes."""
    gone, *rest = names
    for endpoint in ENDPOINTS[:50]:
        owner = pacing.owner_of(endpoint, names)
        if owner != gone:
            assert pacing.owner_of(endpoint, rest) == owner


def test_endpoints_are_spread_evenly():
    """Three nodes own about a third of the endpoints each; without any, nobody owns one."""
    counts = Counter(pacing.owner_of(endpoint, ("a", "b", "c")) for endpoint in ENDPOINTS)
    assert all(150 <= count <= 250 for count in counts.values())
    assert pacing.owner_of("ep", ()) is None


@given(st.integers(1, 64), st.integers(1, 200))
def test_shares_add_up_to_the_limit(limit, workers):
    """All workers together have no more under way than the limit, or one each where they are more."""
    share = pacing.share_of(limit, workers)
    assert share >= 1
    assert share * workers <= max(limit, workers)


@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 30_000), st.booleans()), max_size=6))
def test_owners_live_and_are_known_to_all(facts):
    """Owners are alive, and old enough to be known; where none is, the oldest of those that live is the one."""
    now = START + 30_000
    nodes = [
        registration(now - age, id=f"node_{number}", seen_at=now - silence, stopped=stopped)
        for number, (age, silence, stopped) in enumerate(facts)
    ]
    live = policy.live_workers(nodes, now)
    owners = policy.owners(live, now)
    assert all(policy.node_state(node, now) is NodeState.ALIVE for node in live)
    assert bool(owners) == bool(live)
    by_id = {node.id: node for node in live}
    young = [owner for owner in owners if now - by_id[owner].started_at < policy.SETTLED_AFTER]
    assert not young or owners == (min(live, key=lambda node: (node.started_at, node.id)).id,)


def test_states():
    """A node is alive until ten seconds after its last sign of life, then silent; stopped is what it said itself."""
    node = registration(START)
    assert policy.node_state(node, START + 9 * SECOND) == "alive"
    assert policy.node_state(node, START + 10 * SECOND) == "silent"
    assert policy.node_state(registration(START, stopped=True), START) == "stopped"


# --- Over a store -------------------------------------------------------------------------------------------


async def beaten(*lines):
    for _ in range(2):
        for line in lines:
            await line.fleet.beat()


async def aged(clock, *lines):
    """Let nodes live on for six seconds."""
    for _ in range(3):
        clock.advance(policy.HEARTBEAT)
        await beaten(*lines)


def owners(lines):
    """Return for each endpoint how many of the nodes take it for their own."""
    return Counter(sum(line.fleet.owns(endpoint) for line in lines) for endpoint in ENDPOINTS)


@played
async def test_a_node_alone_owns_everything(store_url):
    """One that knows of no other waits for nobody, whether or not it has given a sign of life."""
    async with Line(store_url, joined=True) as line:
        assert owners([line]) == {1: 600}
        await line.fleet.beat()
        line.clock.advance(100 * SECOND)
        assert (owners([line]), line.fleet.workers, line.fleet.is_shared) == ({1: 600}, 1, False)


@played
async def test_every_endpoint_has_one_owner(store_url):
    """Nodes that know each other share the endpoints out: each has exactly one owner, also as one goes or dies."""
    clock = Clock()
    async with (
        Line(store_url, clock=clock, joined=True) as one,
        Line(store_url, clock=clock, joined=True) as two,
        Line(store_url, clock=clock, joined=True) as three,
    ):
        lines = [one, two, three]
        await beaten(*lines)
        assert (owners(lines), one.fleet.workers) == ({1: 600}, 3)
        clock.advance(6 * SECOND)
        await beaten(*lines)
        assert owners(lines) == {1: 600}
        assert all(any(line.fleet.owns(endpoint) for endpoint in ENDPOINTS) for line in lines)
        await three.fleet.beat(stopped=True)
        await beaten(one, two)
        assert (owners([one, two]), two.fleet.workers) == ({1: 600}, 2)
        clock.advance(11 * SECOND)
        await beaten(one)
        assert owners([one]) == {1: 600}


@played
async def test_a_newcomer_waits_until_all_know_it(store_url):
    """A node that has just started owns nothing; from one instant on, it and the others agree that it does."""
    clock = Clock()
    async with Line(store_url, clock=clock, joined=True) as old:
        await old.fleet.beat()
        clock.advance(20 * SECOND)
        await old.fleet.beat()
        async with Line(store_url, clock=clock, joined=True) as new:
            await new.fleet.beat()
            assert not any(new.fleet.owns(endpoint) for endpoint in ENDPOINTS)
            clock.advance(2 * SECOND)
            await old.fleet.beat()
            clock.advance(3 * SECOND - 1)
            assert owners([old, new]) == {1: 600}
            assert not any(new.fleet.owns(endpoint) for endpoint in ENDPOINTS)
            clock.advance(200)
            assert owners([old, new]) == {1: 600}
            assert any(new.fleet.owns(endpoint) for endpoint in ENDPOINTS)


@played
async def test_one_that_cannot_be_heard_owns_nothing(store_url):
    """A node whose last sign of life is old takes itself for dead, as the others do."""
    clock = Clock()
    async with (
        Line(store_url, clock=clock, joined=True) as lost,
        Line(store_url, clock=clock, joined=True) as other,
    ):
        await beaten(lost, other)
        clock.advance(11 * SECOND)
        await other.fleet.beat()
        assert not any(lost.fleet.owns(endpoint) for endpoint in ENDPOINTS)
        assert owners([other]) == {1: 600}


@played
async def test_one_that_is_heard_again_waits_like_a_newcomer(store_url):
    """After a freeze or an outage it owns nothing until all others, who had what was its own, know that it is back."""
    clock = Clock()
    async with (
        Line(store_url, clock=clock, joined=True) as frozen,
        Line(store_url, clock=clock, joined=True) as other,
    ):
        await beaten(frozen, other)
        await aged(clock, frozen, other)
        assert owners([frozen, other]) == {1: 600}
        for _ in range(6):
            clock.advance(policy.HEARTBEAT)
            await other.fleet.beat()
        assert owners([other]) == {1: 600}
        await frozen.fleet.beat()
        assert not any(frozen.fleet.owns(endpoint) for endpoint in ENDPOINTS)
        await aged(clock, frozen, other)
        assert owners([frozen, other]) == {1: 600}
        assert any(frozen.fleet.owns(endpoint) for endpoint in ENDPOINTS)
