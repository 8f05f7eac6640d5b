"""A file that an application has open in the same process: each keeps its locks, whatever the other does."""

import contextlib
import sqlite3
import subprocess
import sys

import pytest

from ringback.store.sqlite import SQLiteStore
from ringback.vault import KEY_BYTES, Vault

VAULT = Vault(bytes(KEY_BYTES))
TRY_TO_WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "shop.db")


@pytest.fixture
def store(file):
    with contextlib.closing(SQLiteStore(file, VAULT, bytes, shared=True)) as store:
        yield store


def application(file):
    return contextlib.closing(sqlite3.connect(file, timeout=0, isolation_level=None))


def test_one_of_the_two_writes_at_a_time(store, file):
    """While the store writes, the application in its process cannot, and afterwards it can."""
    with application(file) as own:
        with store.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
            own.execute("BEGIN IMMEDIATE")
        own.execute("BEGIN IMMEDIATE")


def test_an_application_that_closes_its_connection_takes_no_lock_away(store, file):
    """When the application closes a connection while the store writes, other processes still have to wait."""
    with store.transaction():
        with application(file) as own:
            own.execute("SELECT * FROM sqlite_schema").fetchall()
        tried = subprocess.run(
            [sys.executable, "-c", TRY_TO_WRITE, file],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "database is locked" in tried.stderr
