"""Idempotency keys that are in use in an open transaction of an application, through the official SDKs."""

import secrets

import psycopg
import pytest
from svix_sdk import serving

from postgres_server import postgres_server

BODY = {"eventType": "order.paid", "payload": {}}
PUBLISH = "SELECT ringback.publish(%s, 'order.paid', '{}'::text, idempotency_key => %s)"


@pytest.fixture(scope="module")
def database():
    """The address of a database that a shop shares with the server."""
    return postgres_server().new_database()


@pytest.fixture(scope="module")
def svix_server(database, tmp_path_factory):
    """The server on that database."""
    with serving("postgresql", tmp_path_factory.mktemp("shared"), database) as ringback:
        yield ringback


def test_a_key_in_an_open_transaction(sdk, database):
    """It is told as in progress, while all else goes on; afterwards the answer is that of the transaction."""
    app, key = sdk.application(), secrets.token_hex(8)
    with psycopg.connect(database) as shop:
        (first,) = shop.execute(PUBLISH, (app, key)).fetchone()
        refused = sdk.refused("message.create", app, BODY, idempotency_key=key)
        assert (refused.status, refused.code) == (423, "in_progress")
        assert sdk.call("message.create", app, BODY)["id"] != first
    assert sdk.call("message.create", app, BODY, idempotency_key=key)["id"] == first
