"""The management of sources: what is kept, what is refused, and what a configuration file declares."""

import asyncio

import pytest
from management import Hand

from ringback.config import load
from ringback.declared_sources import MARK
from ringback.drafts import EndpointDraft
from ringback.errors import ConfigurationError, Conflict, InvalidInput, NotFound
from ringback.model import Source
from ringback.observe import Observer
from ringback.outbox import Outbox
from ringback.provisioning import provision
from ringback.source_drafts import SourceDraft
from ringback.sources import Sources
from ringback.store import Page, open_store
from ringback.store.commit import Committer
from ringback.vault import Vault

NOW = 1_760_000_000_000
(STAMP,) = MARK.items()
PAY = SourceDraft(name="Pay", provider="stripe", uid="pay", secrets=("one", "two"))


class Scene:
    """A store and all that manages sources in it."""

    def __init__(self, committer, folder):
        self.committer = committer
        self.folder = folder
        self.now = NOW
        self.sources = Sources(committer, clock=lambda: self.now)
        self.outbox = Outbox(committer, clock=lambda: self.now)

    def declare(self, text, **environment):
        """Write what a configuration file declares to the store; return what came of it."""
        file = self.folder / "ringback.toml"
        file.write_text(text)
        declared = load({}, environment, file).sources
        return asyncio.run(self._provision(declared))

    async def _provision(self, declared):
        return await provision(declared, self.sources, self.outbox, STAMP)

    def source(self, ref="pay"):
        """Return a source as the store has it."""
        return self.sources.read(lambda store: store.source(ref)).result()

    def endpoints(self, ref="pay"):
        """Return a source's endpoints as the store has them."""
        return self.sources.read(lambda store: store.endpoints(self.source(ref).id, Page())).result()


@pytest.fixture
def scene(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'ringback.db'}", Vault(bytes(32)))
    committer = Committer(store, clock=lambda: NOW, observer=Observer(), handover=Hand(), deadline=15_000)
    committer.start()
    yield Scene(committer, tmp_path)
    committer.close()


# --- The verbs ---------------------------------------------------------------------------------------------


def test_created(scene):
    """A new source has an id, a token of 43 random characters and its secrets."""
    made = scene.sources.create(PAY).result()
    assert made.id.startswith("src_")
    assert made.token.startswith("ringback_in_")
    assert len(made.token) == len("ringback_in_") + 43
    assert (made.secrets, made.created_at) == (("one", "two"), NOW)
    assert scene.source(made.id) == made


@pytest.mark.parametrize(
    "change",
    [
        {"secrets": None},
        {"secrets": ()},
        {"secrets": ("",)},
        {"provider": "gopher"},
        {"token": "short"},
        {"token": "a/b" * 10},
        {"options": {"colour": "red"}},
        {"uid": "src_x"},
    ],
)
def test_refused(scene, change):
    """A source without a secret, or with anything that is not understood, is not made."""
    draft = SourceDraft(**{"name": "Pay", "provider": "stripe", "secrets": ("one",)} | change)
    with pytest.raises(InvalidInput):
        scene.sources.create(draft).result()


def test_a_replaced_source_keeps_what_it_is_not_told(scene):
    """Secrets and token stay unless others are given; what is equal changes nothing, not even the time."""
    before = scene.sources.create(PAY).result()
    scene.now += 1000
    draft = SourceDraft(name="Pay", provider="stripe", uid="pay")
    assert scene.sources.put("pay", draft).result() == (before, False)
    draft = SourceDraft(
        name="New", provider="stripe", uid="pay", secrets=("three",), token="given-by-the-caller"
    )
    after, _ = scene.sources.put("pay", draft).result()
    assert (after.name, after.secrets, after.token) == ("New", ("three",), "given-by-the-caller")
    assert (after.id, after.created_at, after.updated_at) == (before.id, NOW, NOW + 1000)


def test_two_sources_never_share_a_token(scene):
    """A token that another source has is a conflict."""
    scene.sources.create(
        SourceDraft(name="a", provider="stripe", secrets=("s",), token="the-same-token-twice")
    ).result()
    with pytest.raises(Conflict):
        scene.sources.create(
            SourceDraft(name="b", provider="stripe", secrets=("s",), token="the-same-token-twice")
        ).result()


def test_a_source_of_a_program_has_no_address(scene):
    """Where only a program's own inbox receives, there is no token until there are secrets to verify with."""
    bare = Source(
        id="src_" + "0" * 27, name="own", uid="own", provider="stripe", created_at=NOW, updated_at=NOW
    )
    scene.committer.write(lambda store: store.add_source(bare)).result()
    with pytest.raises(Conflict):
        scene.sources.rotate_token("own").result()
    assert scene.sources.change("own", {"metadata": {"a": "b"}}).result().token is None
    changed = scene.sources.change("own", {"secrets": ("one",)}).result()
    assert changed.token is not None


def test_removed(scene):
    """A removed source is gone, and its uid and token are free."""
    scene.sources.create(PAY).result()
    scene.sources.remove("pay").result()
    with pytest.raises(NotFound):
        scene.sources.remove("pay").result()
    scene.sources.create(PAY).result()


# --- What a file declares ----------------------------------------------------------------------------------

DECLARED = """
[sources.pay]
provider = "stripe"
secrets = ["env:SECRET", "two"]
forward = ["https://a.example/hook", { url = "https://b.example/hook", events = ["invoice.*"] }]
ack = { status = 202, body = "OK" }
"""


def test_declared_sources_are_made(scene):
    """What the file declares is in the store: the source with a token of its own, its forwards as endpoints."""
    done = scene.declare(DECLARED, SECRET="one")
    source = scene.source()
    assert (done.new, done.stray) == ((source,), ())
    assert (source.uid, source.name, source.provider) == ("pay", "pay", "stripe")
    assert source.secrets == ("one", "two")
    assert (source.ack.status, source.ack.body) == (202, "OK")
    assert {(one.url, one.event_types) for one in scene.endpoints()} == {
        ("https://a.example/hook", None),
        ("https://b.example/hook", ("invoice.*",)),
    }


def test_declaring_again_changes_nothing(scene):
    """At the next start everything is as it was: ids, token, secrets and times."""
    scene.declare(DECLARED, SECRET="one")
    before = scene.source(), scene.endpoints()
    scene.now += 1000
    done = scene.declare(DECLARED, SECRET="one")
    assert (done.new, done.stray) == ((), ())
    assert (scene.source(), scene.endpoints()) == before


def test_what_is_declared_anew_is_changed(scene):
    """A changed declaration changes source and forwards; what else was done to a forward stays done."""
    scene.declare(DECLARED, SECRET="one")
    token = scene.source().token
    (first,) = [one for one in scene.endpoints() if one.event_types]
    scene.outbox.change_endpoint(scene.source().id, first.id, {"disabled": True, "description": "d"}).result()
    changed = DECLARED.replace('"invoice.*"', '"payout.*"').replace("202", "200")
    scene.declare(changed, SECRET="other")
    (second,) = [one for one in scene.endpoints() if one.event_types]
    assert (second.id, second.event_types, second.secrets) == (first.id, ("payout.*",), first.secrets)
    assert (second.state, second.description) == ("disabled", "d")
    assert (scene.source().secrets, scene.source().ack.status) == (("other", "two"), 200)
    assert scene.source().token == token


def test_a_declared_secret_of_a_forward_takes_over(scene):
    """A forward's new secret is current at once, and the one before signs along for a day."""
    text = '[sources.pay]\nprovider="stripe"\nsecrets=["s"]\nforward=[{url="https://a.example", secret="env:KEY"}]'
    scene.declare(text, KEY="whsec_" + "A" * 32)
    scene.declare(text, KEY="whsec_" + "B" * 32)
    (endpoint,) = scene.endpoints()
    assert [one.key[6:8] for one in endpoint.secrets] == ["BB", "AA"]
    assert [one.expires_at for one in endpoint.secrets] == [None, NOW + 24 * 3_600_000]


def test_a_declared_token_is_the_address(scene):
    """A declared token is used, and rotates when it is declared anew."""
    text = '[sources.stripe]\nsecrets=["s"]\ntoken="env:TOKEN"'
    scene.declare(text, TOKEN="the-first-token-of-all")
    assert scene.source("stripe").token == "the-first-token-of-all"
    scene.declare(text, TOKEN="the-second-token-of-all")
    assert scene.source("stripe").token == "the-second-token-of-all"


def test_what_is_declared_no_more_is_told(scene):
    """Sources and forwards that went from the file stay and are told; what people made themselves is not."""
    scene.declare(DECLARED + '\n[sources.stripe]\nsecrets=["s"]', SECRET="one")
    scene.sources.create(SourceDraft(name="mine", provider="stripe", uid="mine", secrets=("s",))).result()
    scene.outbox.create_endpoint(scene.source().id, EndpointDraft(url="https://mine.example")).result()
    less = '[sources.pay]\nprovider="stripe"\nsecrets=["s"]\nforward=["https://a.example/hook"]'
    done = scene.declare(less)
    assert set(done.stray) == {"the source stripe", "the forward of pay to https://b.example/hook"}
    assert len(scene.endpoints()) == 3
    assert scene.source("stripe").uid == "stripe"


def test_a_variable_that_is_not_set(scene):
    """A source whose secret is in a variable that is not set stops the start, before anything is written."""
    with pytest.raises(ConfigurationError, match=r"\[sources.pay\]: the environment has no SECRET"):
        scene.declare('[sources.stripe]\nsecrets=["s"]\n' + DECLARED)
    assert scene.sources.read(lambda store: store.sources(Page())).result() == []


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('provider="gopher"\nsecrets=["s"]', "no provider is called 'gopher'"),
        ('provider="stripe"\nsecrets=[]', "secrets"),
        ('provider="stripe"\nsecrets=["s"]\noptions={colour="red"}', "colour"),
        ('provider="stripe"\nsecrets=["s"]\ntoken="short"', "token"),
        ('provider="stripe"\nsecrets=["s"]\nforward=["gopher://x"]', "url"),
        ('provider="stripe"\nsecrets=["s"]\nforward=[{url="https://x.example", secret="weak"}]', "secret"),
        ('provider="stripe"\nsecrets=["s"]\nack={status=500}', "200 to 299"),
    ],
)
def test_a_wrong_declaration(scene, table, fault):
    """A declaration that cannot be is refused at the start, and says which source and what."""
    with pytest.raises(ConfigurationError, match=r"\[sources.pay\]") as refused:
        scene.declare(f"[sources.pay]\n{table}")
    assert fault in str(refused.value)
