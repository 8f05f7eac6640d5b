"""Refusals: the last few requests of a source that did not verify, and nothing that should not be kept."""

import pytest
from doors import source
from scene import MANY

from ringback import ids
from ringback.errors import NotFound
from ringback.model import Refusal
from ringback.store import Page

KEEP = 3


def refuse(scene, owner, keep=KEEP, **fields):
    now = scene.tick()
    usual = {"id": scene.id(ids.REFUSAL), "source_id": owner.id, "at": now, "reason": "wrong", "detail": "d"}
    refusal = Refusal(**usual | fields)
    scene.write(scene.store.add_refusal, refusal, keep)
    return refusal


@pytest.fixture
def owner(scene):
    return source(scene)


def kept(scene, owner, **fields):
    return scene.store.refusals(owner.id, Page(limit=MANY, **fields))


def test_a_refusal_is_stored_whole(scene, owner):
    """What was noted is what is read."""
    refusal = refuse(
        scene,
        owner,
        reason="timestamp_too_old",
        detail="it is 6 minutes old",
        hints=("set the clock", "or turn the check off"),
        method="PUT",
        header_names=("host", "x-callback-token"),
        size=1234,
        more=7,
    )
    assert kept(scene, owner) == [refusal]


def test_only_the_last_few_are_kept(scene, owner):
    """Somebody who sends rubbish fills no disk: the oldest goes when there are too many."""
    refusals = []
    for _ in range(3 * KEEP):
        refusals.append(refuse(scene, owner))
        assert kept(scene, owner) == refusals[-KEEP:]


def test_a_smaller_number_takes_effect_at_the_next(scene, owner):
    """Keeping fewer than before removes more than one, keeping none removes all."""
    refusals = [refuse(scene, owner) for _ in range(KEEP)]
    assert kept(scene, owner) == refusals
    last = refuse(scene, owner, keep=1)
    assert kept(scene, owner) == [last]
    refuse(scene, owner, keep=0)
    assert kept(scene, owner) == []


def test_every_source_has_its_own(scene, owner):
    """One source's flood pushes out no other's refusal."""
    other = source(scene)
    quiet = refuse(scene, owner)
    noisy = [refuse(scene, other) for _ in range(2 * KEEP)]
    assert kept(scene, owner) == [quiet]
    assert kept(scene, other) == noisy[-KEEP:]


def test_they_come_in_pages(scene, owner):
    """Newest first or oldest first, from a cursor on."""
    refusals = [refuse(scene, owner, keep=10) for _ in range(5)]
    page = scene.store.refusals(owner.id, Page(limit=2, descending=True))
    assert page == refusals[:2:-1]
    following = Page(limit=2, descending=True, cursor=page[-1].id)
    assert scene.store.refusals(owner.id, following) == refusals[2:0:-1]


def test_an_unknown_source_is_not_found(scene, owner):
    """Neither to note for nor to read of; a removed source is unknown."""
    scene.write(scene.store.remove_source, owner.id, scene.now)
    with pytest.raises(NotFound):
        refuse(scene, owner)
    with pytest.raises(NotFound):
        kept(scene, owner)


def test_they_go_with_their_source(scene, owner, database):
    """What a removed source refused can be read by nobody, so it is not kept."""
    refuse(scene, owner)
    scene.write(scene.store.remove_source, owner.id, scene.now)
    with database.application() as connection:
        assert connection.execute("SELECT count(*) FROM ringback_refusal").fetchone() == (0,)
