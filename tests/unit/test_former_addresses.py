"""A source's former addresses: good for a while, then not; three at most, and ended at once when asked."""

import json

import pytest
from management import management

from ringback import tokens
from ringback.errors import LimitReached
from ringback.former_addresses import GRACE, MAX_GRACE
from ringback.gateway import Gateway
from ringback.intake import Intake
from ringback.observe import Observer
from ringback.signing import Request
from ringback.source_drafts import SourceDraft
from ringback.sources import Sources

NOW = 1_772_452_800_000


class Scene:
    """A gateway and the management of its sources, by one clock that is moved by hand."""

    def __init__(self, committer):
        self.now = NOW

        def clock():
            return self.now

        self.sources = Sources(committer, clock=clock)
        self.gateway = Gateway(
            committer, Intake(committer, Observer(), clock=clock), clock=clock, max_body=1_000
        )
        self.count = 0

    def knock(self, token):
        """Send to an address; return the status."""
        self.count += 1
        body = json.dumps({"id": self.count}).encode()
        request = Request("POST", f"http://127.0.0.1/in/{token}", {"x-callback-token": "s"}, body)
        return self.gateway.accept(token, request).result().status

    def rotate(self, **how):
        """Rotate; return the token of the new address."""
        return self.sources.rotate_token("pay", **how).result().token


@pytest.fixture
def scene(tmp_path):
    with management(tmp_path) as api:
        scene = Scene(api.committer)
        draft = SourceDraft(name="Pay", provider="xendit", uid="pay", secrets=("s",))
        scene.first = scene.sources.create(draft).result().token
        yield scene


def test_both_are_good_for_a_while(scene):
    """What a provider sends to the address before is received until the grace period ends, and then no more."""
    second = scene.rotate()
    assert [scene.knock(token) for token in (scene.first, second)] == [200, 200]
    scene.now += GRACE - 1
    assert [scene.knock(token) for token in (scene.first, second)] == [200, 200]
    scene.now += 5_000
    assert [scene.knock(token) for token in (scene.first, second)] == [404, 200]


def test_three_at_most(scene):
    """A fourth rotation has to wait until a former address has ended."""
    known = [scene.first, *(scene.rotate() for _ in range(3))]
    with pytest.raises(LimitReached):
        scene.rotate()
    assert [scene.knock(token) for token in known] == [200] * 4
    scene.now += GRACE
    assert scene.rotate(grace=MAX_GRACE) not in known


def test_ended_at_once(scene):
    """Without a grace period the address and all former ones end, however many there are; a key makes it once."""
    known = [scene.first, *(scene.rotate() for _ in range(3))]
    new = scene.rotate(grace=0, idempotency_key="leaked")
    assert scene.rotate(grace=0, idempotency_key="leaked") == new
    assert [scene.knock(token) for token in (*known, new)] == [404] * 4 + [200]
    assert scene.rotate() != new


def test_of_a_source_that_is_gone(scene):
    """A removed source has no address, former ones included."""
    second = scene.rotate()
    scene.sources.remove("pay").result()
    assert [scene.knock(token) for token in (scene.first, second, tokens.SOURCE_PREFIX)] == [404] * 3
