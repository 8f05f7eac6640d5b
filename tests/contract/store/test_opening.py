"""Opening: what was stored is there again, for several nodes at once, and secrets only with the main key."""

import contextlib

import msgspec
import pytest
from scene import MANY, Scene

from ringback.credentials import Bearer, Credentials
from ringback.errors import ConfigurationError
from ringback.model import EndpointSecret
from ringback.policy import Step
from ringback.store import Idempotency, MessageFilter, Page, Token
from ringback.vault import Vault

MARK = "UmluZ2JhY2tTZWNyZXRUaGF0TXVzdE5vdExlYWs="
OTHER_KEY = bytes(reversed(range(32)))


@contextlib.contextmanager
def opened(database, *arguments):
    with contextlib.closing(database.open(*arguments)) as store:
        yield Scene(store)


def everything(store, application, message_id):
    """All that the store tells about one application."""
    page = Page(limit=MANY)
    return (
        store.applications(page),
        store.endpoints(application.id, page),
        store.event_types(page, archived=True),
        store.messages(application.id, MessageFilter(), page),
        store.deliveries(application.id, message_id, page),
        store.tokens(),
        store.catalog_version(),
        store.due(10**15, MANY),
    )


def test_reopening_keeps_everything(database):
    """Closing and opening changes nothing, down to the leases."""
    with opened(database) as scene:
        application = scene.application(uid="acme")
        scene.endpoint(application, uid="billing")
        scene.write(scene.store.add, scene.new_event_type("invoice.paid"))
        scene.write(scene.store.add_token, Token(id="tok_1", name="ci", digest=b"d", created_at=1))
        key = Idempotency("message:acme", "k", b"1")
        (work,) = scene.publish(application, idempotency=key).works
        scene.publish(application, admit=False)
        before = everything(scene.store, application, work.message_id)
    with opened(database) as again:
        again.now = scene.now
        assert everything(again.store, application, work.message_id) == before
        assert again.publish(application, idempotency=key).replayed
        assert again.settle(work, Step.SUCCEED)


def test_two_nodes_share_one_database(database):
    """What one node commits the other sees, its fan-out included, and each delivery is taken once."""
    with opened(database) as here, opened(database) as there:
        application = here.application()
        before = there.store.catalog_version()
        endpoint = here.endpoint(application)
        assert there.store.catalog_version() > before
        there.now = here.now
        (work,) = there.publish(application).works
        assert work.endpoint == endpoint
        there.publish(application, admit=False)
        here.now = there.now
        assert len(here.take()) == 1
        assert there.take(endpoints=[endpoint.id]) == []


def test_a_change_on_one_node_reaches_the_fan_out_of_the_other(database):
    """A node that has accepted before notices what another node changes."""
    with opened(database) as here, opened(database) as there:
        application = here.application()
        endpoint = here.endpoint(application)
        assert len(there.publish(application).works) == 1
        here.write(
            here.store.change_endpoint,
            application.id,
            endpoint.id,
            lambda old: msgspec.structs.replace(old, url="https://example.com/moved"),
        )
        there.tick(10**6)
        (work,) = there.publish(application).works
        assert work.endpoint.url == "https://example.com/moved"
        here.write(here.store.remove_endpoint, application.id, endpoint.id, here.now)
        there.tick(10**6)
        assert there.publish(application).works == ()


def test_secrets_are_unreadable_at_rest(database):
    """Neither while the store is open nor after does any file hold a secret, old ones included."""
    with opened(database) as scene:
        application = scene.application()
        secrets = (EndpointSecret(f"whsec_{MARK}"), EndpointSecret(f"whsec_{MARK[::-1]}", expires_at=10**13))
        endpoint = scene.endpoint(application, secrets=secrets)
        scene.write(
            scene.store.change_endpoint,
            application.id,
            endpoint.id,
            lambda old: msgspec.structs.replace(old, description="changed"),
        )
        scene.publish(application, admit=False)
        files = database.at_rest()
        assert scene.store.endpoint(application.id, endpoint.id).secrets == secrets
    for kept in (files, database.at_rest()):
        assert b"changed" in kept, "the search does not see what is stored"
        assert MARK.encode() not in kept
        assert MARK[::-1].encode() not in kept


def test_another_main_key_does_not_open_them(database):
    """With the wrong main key the error says what to do; with both keys old secrets open, too."""
    with opened(database) as scene:
        application = scene.application()
        endpoint = scene.endpoint(application)
    with opened(database, Vault(OTHER_KEY)) as scene, pytest.raises(ConfigurationError, match="main_key"):
        scene.store.endpoint(application.id, endpoint.id)
    with opened(database, Vault(OTHER_KEY, bytes(range(32)))) as scene:
        assert scene.store.endpoint(application.id, endpoint.id) == endpoint


def test_a_change_seals_with_the_newest_key(database):
    """After the main key was changed, whatever is changed of an endpoint frees all its secrets from the old one."""
    credentials = Credentials(authorization=Bearer(token=MARK))
    with opened(database) as scene:
        application = scene.application()
        endpoint = scene.endpoint(application, credentials=credentials)
    with opened(database, Vault(OTHER_KEY, bytes(range(32)))) as scene:
        assert scene.store.endpoint(application.id, endpoint.id).credentials == credentials
        scene.write(
            scene.store.change_endpoint,
            application.id,
            endpoint.id,
            lambda old: msgspec.structs.replace(old, description="changed"),
        )
    with opened(database, Vault(OTHER_KEY)) as scene:
        assert scene.store.endpoint(application.id, endpoint.id).credentials == credentials
