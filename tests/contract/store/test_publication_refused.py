"""Connections that could not keep the promise are refused before anything is written, with what to do instead."""

import asyncio
import contextlib
import sqlite3

import apsw
import asyncpg
import psycopg
import pytest
import sqlalchemy
from lenders import LENDERS, POSTGRES
from scene import DATABASES, Scene

from postgres_server import postgres_server
from ringback.errors import ConfigurationError, InvalidInput
from ringback.store import MessageFilter, Page
from ringback.store.commit import NotThereYet


@pytest.fixture
def scene(database):
    with contextlib.closing(database.open()) as store:
        yield Scene(store)


def within(scene, tx):
    """Publish on a connection."""
    return scene.store.accept_within(tx, scene.acceptance(scene.application(uid=None)))


def refused(scene, tx, told):
    """Try to publish on a connection; it must be refused, and nothing stored."""
    owner = scene.application()
    with pytest.raises(InvalidInput, match=told):
        scene.store.accept_within(tx, scene.acceptance(owner))
    assert scene.store.messages(owner.id, MessageFilter(), Page()) == []


@pytest.fixture(params=["sqlite", "shared"])
def file(request, tmp_path):
    """Return a scene in a file, and of the copies of SQLite the one that has it open and the other."""
    copies = (apsw.Connection, sqlite3.connect)
    with contextlib.closing(DATABASES[request.param](tmp_path).open()) as store:
        yield Scene(store), *(copies if request.param == "sqlite" else copies[::-1])


@pytest.fixture
def postgres(tmp_path):
    """Return a scene in PostgreSQL, and where that is."""
    database = DATABASES["postgres"](tmp_path)
    with contextlib.closing(database.open()) as store:
        yield Scene(store), database.url


@pytest.mark.parametrize("tx", [None, object(), "postgresql:///shop", 1])
def test_what_is_no_connection(scene, tx):
    """Whatever is no connection is refused with the list of those that are known."""
    refused(scene, tx, "tx: is a connection of psycopg, asyncpg, SQLAlchemy, Django, sqlite3 or apsw, not ")


def test_a_connection_without_a_transaction(postgres):
    """Where every statement is committed by itself, there is nothing to publish in."""
    scene, url = postgres
    with psycopg.connect(url, autocommit=True) as connection:
        refused(scene, connection, "in no transaction")
        with connection.transaction():
            assert within(scene, connection).result().message
    engine = sqlalchemy.create_engine(
        url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        refused(scene, connection, "in no transaction")
    engine.dispose()

    async def story():
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(InvalidInput, match="in no transaction"):
                within(scene, connection)
        finally:
            await connection.close()

    asyncio.run(story())


def test_a_file_without_a_transaction(tmp_path):
    """The same for SQLite."""
    shared = DATABASES["shared"](tmp_path)
    with contextlib.closing(shared.open()) as store, shared.application() as connection:
        refused(Scene(store), connection, "in no transaction")


def test_another_kind_of_database(postgres, file):
    """A connection to SQLite does not publish to a store on PostgreSQL, nor the other way round."""
    (there, url), (here, *_) = postgres, file
    with psycopg.connect(url) as connection:
        refused(here, connection, "is a connection to postgresql, but the store is on sqlite")
    with contextlib.closing(apsw.Connection(":memory:")) as connection:
        refused(there, connection, "is a connection to sqlite, but the store is on postgresql")


def test_another_file(file, tmp_path):
    """A connection to another file than the store's is refused, also where that holds a store."""
    scene, connect, _ = file
    with contextlib.closing(connect(str(tmp_path / "other.db"))) as connection:
        connection.execute("BEGIN")
        refused(scene, connection, "another file")


def test_another_copy_of_sqlite(file):
    """Two copies of SQLite in one process would damage the file, so only the store's own is taken."""
    scene, _, connect = file
    with contextlib.closing(connect(":memory:")) as connection:
        refused(scene, connection, "Two copies of SQLite")


@pytest.mark.parametrize("library", POSTGRES)
def test_a_database_without_ringback(postgres, library, monkeypatch):
    """Where the functions are not there, that is said, whatever the library."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    scene, _ = postgres
    server = postgres_server()
    name = f"bare_{library.replace('-', '_')}"
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")

    async def story():
        async with LENDERS["postgres"][library](server.url(name)) as lent:
            with pytest.raises(ConfigurationError, match="there is no Ringback in the connection's database"):
                await within(scene, lent.tx)

    asyncio.run(story())


def test_who_forgets_to_await_is_told(postgres):
    """On an asynchronous connection nothing happens before the result is awaited, and ``result()`` says so."""
    scene, url = postgres

    async def story():
        async with await psycopg.AsyncConnection.connect(url) as connection:
            pending = within(scene, connection)
            with pytest.raises(NotThereYet, match="await"):
                pending.result()

    asyncio.run(story())
