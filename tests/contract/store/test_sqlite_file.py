"""What holds for SQLite alone: files that are not ours are left untouched, and the log stays short."""

import contextlib

import apsw
import pytest
from scene import VAULT, Scene

from ringback.errors import ConfigurationError, StoreIncompatible
from ringback.store import open_store


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ringback.db"


def opening(file):
    return open_store(f"sqlite:///{file}", VAULT)


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
    with pytest.raises(ConfigurationError, match="nowhere"):
        opening(file.parent / "nowhere" / "ringback.db")


@pytest.mark.parametrize("url", ["", "ringback.db", "sqlite://", "sqlite:///", "oracle:///x.db"])
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
