"""Sources: the doors where messages come in, each found by its id, its name for people and its token."""

import contextlib

import msgspec
import pytest
from doors import handler, new_source, receive, source, webhook
from scene import MANY, Scene

from ringback import tokens
from ringback.errors import ConfigurationError, Conflict, NotFound
from ringback.model import CustomAck, DeliveryState
from ringback.policy import Step
from ringback.store import Page
from ringback.vault import Vault

TOKEN = "ringback_UmluZ2JhY2tUb2tlblRoYXRNdXN0Tm90TGVhay4uLi4"
ROTATED = "ringback_QW5vdGhlclRva2VuVGhhdE11c3ROb3RMZWFrLi4uLi4"
MARK = "SourceSecretThatMustNotLeak"


def change(scene, ref, **fields):
    return scene.write(scene.store.change_source, ref, lambda old: msgspec.structs.replace(old, **fields))


def remove(scene, ref):
    scene.write(scene.store.remove_source, ref, scene.tick())


def by_token(scene, token):
    return scene.store.source_of_token(tokens.digest(token))


def test_a_source_is_stored_whole(scene):
    """What was added is what is found: by id, by uid, by token and in the list."""
    record = source(
        scene,
        uid="xendit",
        secrets=("first", "second"),
        token=TOKEN,
        url="https://example.com/hooks",
        options={"header": "x-callback-token"},
        ack=CustomAck(status=204, content_type="text/plain", body="ok"),
        metadata={"team": "billing"},
    )
    assert scene.store.source(record.id) == record
    assert scene.store.source("xendit") == record
    assert by_token(scene, TOKEN) == record
    assert scene.store.sources(Page()) == [record]


@pytest.mark.parametrize("ref", ["xendit", "src_000000000000000000000000000"])
def test_an_unknown_source_is_not_found(scene, ref):
    """Neither to read nor to change nor to remove."""
    application = scene.application(uid="xendit")
    with pytest.raises(NotFound, match=ref):
        scene.store.source(ref)
    with pytest.raises(NotFound):
        change(scene, ref, name="x")
    with pytest.raises(NotFound):
        remove(scene, ref)
    assert scene.store.application(application.id) == application


def test_sources_and_applications_are_listed_apart(scene):
    """A source owns messages and endpoints as an application does, and is in no list of applications."""
    application, record = scene.application(), source(scene)
    assert scene.store.applications(Page()) == [application]
    assert scene.store.sources(Page()) == [record]
    assert scene.store.application(record.id).name == record.name


def test_sources_come_in_pages(scene):
    """In the order of their ids, forwards and backwards."""
    records = [source(scene) for _ in range(5)]
    first = scene.store.sources(Page(limit=2))
    second = scene.store.sources(Page(limit=2, cursor=first[-1].id))
    assert first + second == records[:4]
    assert scene.store.sources(Page(limit=2, cursor=records[4].id, backwards=True)) == records[2:4]
    assert scene.store.sources(Page(descending=True)) == records[::-1]


class TestNames:
    def test_a_uid_is_used_once(self, scene):
        """A second source with the uid is refused, and so is a change to it; the first stays."""
        first, other = source(scene, uid="xendit"), source(scene, uid="other")
        with pytest.raises(Conflict, match="xendit"):
            source(scene, uid="xendit")
        with pytest.raises(Conflict, match="xendit"):
            change(scene, "other", uid="xendit")
        assert scene.store.sources(Page()) == [first, other]

    def test_a_token_is_used_once(self, scene):
        """Two addresses are never the same."""
        first, other = source(scene, token=TOKEN), source(scene, token=ROTATED)
        with pytest.raises(Conflict, match="token"):
            source(scene, token=TOKEN)
        with pytest.raises(Conflict, match="token"):
            change(scene, other.id, token=TOKEN)
        assert (by_token(scene, TOKEN), by_token(scene, ROTATED)) == (first, other)

    def test_keeping_its_own_name_is_no_conflict(self, scene):
        """A change to one name leaves the other as it is."""
        record = source(scene, uid="xendit", token=TOKEN)
        assert change(scene, "xendit", token=ROTATED).uid == "xendit"
        assert change(scene, "xendit", uid="renamed").token == ROTATED
        assert scene.store.source("renamed").id == record.id

    def test_the_names_of_a_removed_source_are_free(self, scene):
        """A successor may take over its uid and its token."""
        source(scene, uid="xendit", token=TOKEN)
        remove(scene, "xendit")
        successor = source(scene, uid="xendit", token=TOKEN)
        assert scene.store.source("xendit") == by_token(scene, TOKEN) == successor

    def test_an_application_and_a_source_may_share_a_uid(self, scene):
        """Each is looked for among its own kind."""
        application, record = scene.application(uid="xendit"), source(scene, uid="xendit")
        assert scene.store.application("xendit") == application
        assert scene.store.source("xendit") == record


class TestToken:
    def test_after_rotation_only_the_new_one_is_known(self, scene):
        """The old address is dead at once."""
        record = source(scene, token=TOKEN)
        changed = change(scene, record.id, token=ROTATED)
        assert by_token(scene, TOKEN) is None
        assert by_token(scene, ROTATED) == changed

    def test_without_a_token_there_is_no_address(self, scene):
        """A source of a program's own inbox is not found by any token, and one that gives its token up neither."""
        source(scene)
        record = source(scene, token=TOKEN)
        change(scene, record.id, token=None)
        assert by_token(scene, TOKEN) is None
        assert by_token(scene, "") is None

    def test_a_removed_source_has_no_address(self, scene):
        """Its token leads nowhere."""
        record = source(scene, token=TOKEN)
        remove(scene, record.id)
        assert by_token(scene, TOKEN) is None


class TestSecrets:
    def test_they_are_unreadable_at_rest(self, database):
        """No file holds a secret or a token of a source, old ones included; what is no secret is there."""
        with contextlib.closing(database.open()) as store:
            scene = Scene(store)
            record = source(scene, secrets=(MARK, MARK[::-1]), token=TOKEN, name="visible")
            receive(scene, record, "event")
            change(scene, record.id, token=ROTATED, secrets=(MARK.upper(),))
            open_files = database.at_rest()
        for kept in (open_files, database.at_rest()):
            assert b"visible" in kept, "the search does not see what is stored"
            for secret in (MARK, MARK[::-1], MARK.upper(), TOKEN, ROTATED):
                assert secret.encode() not in kept

    def test_they_open_with_their_main_key_only(self, database):
        """With another main key the error names the setting."""
        with contextlib.closing(database.open()) as store:
            record = source(Scene(store), secrets=(MARK,))
        with (
            contextlib.closing(database.open(Vault(b"x" * 32))) as store,
            pytest.raises(ConfigurationError, match="main_key"),
        ):
            store.source(record.id)
        with contextlib.closing(database.open(Vault(b"x" * 32, bytes(range(32))))) as store:
            assert store.source(record.id) == record

    def test_a_printed_source_shows_none(self):
        """Logs and tracebacks hold no secret."""
        record = new_source(Scene(None), secrets=(MARK,), token=TOKEN)
        assert MARK not in repr(record)
        assert TOKEN not in repr(record)


class TestChanging:
    def test_every_node_notices(self, scene):
        """The catalog's version grows with each change to sources."""
        versions = [scene.store.catalog_version()]
        record = source(scene)
        versions.append(scene.store.catalog_version())
        change(scene, record.id, name="renamed")
        versions.append(scene.store.catalog_version())
        remove(scene, record.id)
        versions.append(scene.store.catalog_version())
        assert versions == sorted(set(versions))

    def test_a_new_name_is_its_name_everywhere(self, scene):
        """The owner of its endpoints is called as the source is."""
        record = source(scene)
        change(scene, record.id, name="renamed")
        assert scene.store.application(record.id).name == "renamed"

    def test_a_change_that_fails_changes_nothing(self, scene):
        """The source stays as it was."""
        record = source(scene, uid="xendit")

        def fail(_):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            scene.write(scene.store.change_source, "xendit", fail)
        assert scene.store.sources(Page()) == [record]

    def test_it_is_not_changed_or_removed_as_an_application(self, scene):
        """The verbs of applications do not know it, so that no half of it can go."""
        record = source(scene, token=TOKEN)
        with pytest.raises(NotFound):
            scene.write(scene.store.change_application, record.id, lambda old: old)
        with pytest.raises(NotFound):
            scene.write(scene.store.remove_application, record.id, scene.now)
        assert by_token(scene, TOKEN) == record
        assert receive(scene, record).message.application_id == record.id


class TestRemoving:
    def test_it_is_gone_with_its_endpoints(self, scene):
        """Nothing finds it, and a second removal is told so."""
        record = source(scene, uid="xendit")
        endpoint = handler(scene, record)
        remove(scene, "xendit")
        for look in (scene.store.source, scene.store.application):
            with pytest.raises(NotFound):
                look(record.id)
        assert scene.store.sources(Page()) == []
        assert scene.store.refresh([endpoint.id]) == {endpoint.id: None}
        with pytest.raises(NotFound):
            remove(scene, record.id)

    def test_it_receives_nothing_any_more(self, scene):
        """A webhook that comes later is answered with not found."""
        record = source(scene)
        receive(scene, record, "event")
        remove(scene, record.id)
        (answer,) = scene.accept(webhook(scene, record.id, "event"))
        assert isinstance(answer, NotFound)

    def test_what_waits_is_cancelled(self, scene):
        """A delivery that waits is cancelled when it comes due, whatever worker looks; one under way may end."""
        record = source(scene)
        handler(scene, record)
        (running,) = receive(scene, record).works
        receive(scene, record, admit=False)
        remove(scene, record.id)
        (due,) = scene.store.due(scene.tick(), MANY)
        assert due.handler is None, "only a worker that has the function would cancel it"
        assert scene.take() == []
        assert scene.due() == []
        assert scene.settle(running, Step.SUCCEED)
        assert scene.store.statistics(scene.now).waiting == 0

    def test_a_removed_handlers_backlog_is_cancelled_by_any_worker(self, scene):
        """Where the function is gone for good, no worker has it: its deliveries are shown to all."""
        record = source(scene)
        endpoint = handler(scene, record)
        message = receive(scene, record, admit=False).message
        (due,) = scene.store.due(scene.now, MANY)
        assert due.handler == "payments/fulfil"
        scene.write(scene.store.remove_endpoint, record.id, endpoint.id, scene.now)
        (due,) = scene.store.due(scene.now, MANY)
        assert due.handler is None
        assert scene.take() == []
        delivery = scene.delivery(record.id, message.id, endpoint.id)
        assert (delivery.state, delivery.reason) == (DeliveryState.CANCELLED, "endpoint_deleted")

    def test_the_other_sources_stay(self, scene):
        """Removing one leaves the messages, endpoints and tokens of the others alone."""
        gone, kept = source(scene), source(scene, token=TOKEN)
        handler(scene, gone)
        endpoint = handler(scene, kept)
        receive(scene, kept, admit=False)
        remove(scene, gone.id)
        assert by_token(scene, TOKEN) == kept
        assert [work.endpoint for work in scene.take()] == [endpoint]

    def test_another_node_notices(self, database):
        """A node that has received for the source before refuses what comes after its removal elsewhere."""
        with contextlib.closing(database.open()) as one, contextlib.closing(database.open()) as other:
            here, there = Scene(one), Scene(other)
            record = source(here)
            receive(there, record)
            here.now = there.now
            remove(here, record.id)
            (answer,) = there.accept(webhook(there, record.id))
            assert isinstance(answer, NotFound)


def test_an_endpoint_that_becomes_a_handler_is_taken_as_one(scene):
    """Only a worker that has the function sees its deliveries as due, also where a change made it a handler."""
    record = source(scene)
    endpoint = handler(scene, record, url="https://example.com/forward")
    receive(scene, record, admit=False)
    assert [one.handler for one in scene.store.due(scene.now, MANY)] == [None]
    scene.write(
        scene.store.change_endpoint,
        record.id,
        endpoint.id,
        lambda old: msgspec.structs.replace(old, url="handler:payments/other"),
    )
    assert [one.handler for one in scene.store.due(scene.now, MANY)] == ["payments/other"]
