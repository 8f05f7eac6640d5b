"""The outbox of an application: opened at its first use, in the process that uses it."""

import os
import sqlite3
from contextlib import closing

import pytest

from ringback import Publisher
from ringback.drafts import ApplicationDraft
from ringback.errors import ConfigurationError
from ringback.store import MessageFilter, Page


@pytest.fixture
def file(tmp_path):
    return tmp_path / "shop.db"


def messages(publisher):
    owner = publisher.outbox.read(lambda store: store.application("acme")).result()
    return publisher.outbox.read(lambda store: store.messages(owner.id, MessageFilter(), Page())).result()


def sign_up(publisher):
    publisher.outbox.create_application(ApplicationDraft(name="Acme", uid="acme"), reuse=True).result()


def test_it_opens_nothing_before_it_is_used(file):
    """To make one costs nothing; the first use makes the file."""
    with Publisher(lambda: f"sqlite:///{file}") as publisher:
        assert not file.exists()
        sign_up(publisher)
        assert file.exists()


def test_without_a_transaction_it_publishes_at_once(file):
    """What is published without ``tx`` is durable by itself, and a publisher that was closed opens again."""
    publisher = Publisher(f"sqlite:///{file}")
    sign_up(publisher)
    accepted = publisher.outbox.publish("acme", "order.paid", {"id": 1}).result()
    publisher.close()
    assert [message.id for message in messages(publisher)] == [accepted.message.id]
    publisher.close()


def test_the_first_use_may_be_in_a_transaction(file):
    """A publisher that is opened while the application writes does not wait for the application."""
    with Publisher(f"sqlite:///{file}", shared=True) as earlier:
        sign_up(earlier)
    with (
        Publisher(f"sqlite:///{file}", shared=True) as publisher,
        closing(sqlite3.connect(file)) as connection,
    ):
        connection.execute("CREATE TABLE shop_order (reference TEXT)")
        connection.execute("INSERT INTO shop_order VALUES ('r')")
        publisher.outbox.publish("acme", "order.paid", {"id": 1}, tx=connection)
        connection.commit()
        assert len(messages(publisher)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_it_may_be_made_before_a_fork(file):
    """Parent and child publish alike, each with a store of its own."""
    with Publisher(f"sqlite:///{file}") as publisher:
        sign_up(publisher)
        child = os.fork()
        if child == 0:
            try:
                publisher.outbox.publish("acme", "order.paid", {"by": "child"}).result()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        publisher.outbox.publish("acme", "order.paid", {"by": "parent"}).result()
        assert {message.payload for message in messages(publisher)} == {b'{"by":"child"}', b'{"by":"parent"}'}


def test_a_setting_that_is_wrong_is_told(file):
    """What the settings refuse is refused at the first use, with the setting's name."""
    with pytest.raises(ConfigurationError, match="max_payload"):
        Publisher(f"sqlite:///{file}", max_payload="much").outbox.publish("acme", "order.paid", {})


def test_postgresql_needs_the_nodes_key():
    """Without the key that the nodes have, it does not begin."""
    with pytest.raises(ConfigurationError, match="RINGBACK_MAIN_KEY"):
        Publisher("postgresql:///shop").outbox.publish("acme", "order.paid", {})
