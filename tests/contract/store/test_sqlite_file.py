"""What holds for SQLite alone: files that are not ours are left untouched, and the log stays short."""

import contextlib
import threading

import apsw
import pytest
from scene import VAULT, Scene

from ringback.errors import ConfigurationError, StoreIncompatible
from ringback.store import open_store
from ringback.store.sqlite import connection as sqlite_connection
from ringback.store.sqlite.connection import connect

HELD_SECONDS = 0.2
FREE_SECONDS = 0.002


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ringback.db"


def opening(file, *, shared=False):
    return open_store(f"sqlite:///{file}", VAULT, shared=shared)


def test_a_file_that_is_no_database_is_refused(file):
    """It is told by its name what is wrong with it, and is not touched."""
    content = b"These are somebody's notes, and long enough to be read as a header. " * 20
    file.write_bytes(content)
    with pytest.raises(StoreIncompatible, match=str(file)):
        opening(file)
    assert file.read_bytes() == content


def test_another_programs_database_is_refused(file):
    """A database with tables of another program is not touched."""
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        connection.execute("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')")
    content = file.read_bytes()
    with pytest.raises(StoreIncompatible, match="another program"):
        opening(file)
    assert file.read_bytes() == content
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_newer_ringbacks_database_is_refused(file):
    """A schema from the future is not guessed at: the error says to upgrade."""
    opening(file).close()
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        connection.execute("INSERT INTO ringback_migration VALUES (9999, '9999_future.sql', 0)")
        connection.pragma("wal_checkpoint", "truncate")
    with pytest.raises(StoreIncompatible, match="upgrade"):
        opening(file)


def test_a_folder_that_is_not_there_is_a_mistake_of_configuration(file):
    """A path that cannot be opened is told as such, without a traceback's words."""
    with pytest.raises(ConfigurationError, match=r"nowhere.*is it in a folder that is there"):
        opening(file.parent / "nowhere" / "ringback.db")


@pytest.mark.parametrize(
    "url", ["", "ringback.db", "sqlite://", "sqlite:///", "sqlite://ringback.db", "oracle:///x.db"]
)
def test_a_url_of_no_known_kind_is_a_mistake_of_configuration(url):
    """The error shows how a store is named."""
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        open_store(url, VAULT)


def test_the_log_is_kept_short(file):
    """Upkeep moves the log's pages into the file, so that it does not grow with every message."""
    with contextlib.closing(opening(file)) as store:
        scene = Scene(store)
        application = scene.application()
        log = file.with_name(f"{file.name}-wal")
        for _ in range(60):
            scene.accept(*(scene.acceptance(application, payload=b"x" * 100_000) for _ in range(10)))
            store.checkpoint()
        assert log.stat().st_size < 30_000_000


@contextlib.contextmanager
def written_to_without_a_pause(file, *, shared):
    """Have somebody commit one change after the other to tables of the same program's, or of an application's."""
    over, begun = threading.Event(), threading.Event()

    def write():
        with contextlib.closing(connect(str(file), shared=shared)) as connection:
            connection.pragma("journal_mode", "wal")
            while not over.is_set():
                connection.execute("BEGIN IMMEDIATE")
                begun.set()
                over.wait(HELD_SECONDS)
                connection.execute("COMMIT")
                over.wait(FREE_SECONDS)

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(60)
    try:
        yield
    finally:
        over.set()
        writer.join()


@pytest.mark.parametrize("shared", [False, True])
def test_a_busy_file_gets_its_tables(file, monkeypatch, shared):
    """Somebody who writes without a pause does not keep another from opening the file for the first time.

    SQLite's own waiting looks ten times a second, and hardly ever at the moment when nobody writes.
    """
    monkeypatch.setattr(sqlite_connection, "BUSY_TIMEOUT", 3_000)
    with written_to_without_a_pause(file, shared=shared), contextlib.closing(opening(file, shared=shared)):
        pass
