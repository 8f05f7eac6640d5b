import pytest

from ringback import Inbox
from ringback.errors import ConfigurationError
from ringback.testing import secret_for, signed_request


def receive(inbox):
    inbox.source("xendit", secrets=[secret_for("xendit")])
    assert inbox.accept("xendit", signed_request("xendit", "invoice.paid")).result().status == 200
    inbox.close()


def test_without_a_store_the_setting_says_where(tmp_path, monkeypatch):
    """An inbox that names no store is where RINGBACK_STORE says."""
    monkeypatch.setenv("RINGBACK_STORE", f"sqlite:///{tmp_path / 'set.db'}")
    receive(Inbox())
    assert (tmp_path / "set.db").exists()


def test_a_store_given_comes_before_the_setting(tmp_path, monkeypatch):
    """What the program says counts, whatever is set outside."""
    monkeypatch.setenv("RINGBACK_STORE", f"sqlite:///{tmp_path / 'set.db'}")
    receive(Inbox(f"sqlite:///{tmp_path / 'given.db'}"))
    assert not (tmp_path / "set.db").exists()


def test_a_function_is_asked_where_the_store_is_when_it_is_needed(tmp_path):
    """A framework whose database has another name in tests tells it late, so the inbox asks late."""
    place = {"name": "not-yet-known"}
    inbox = Inbox(lambda: f"sqlite:///{tmp_path / place['name']}")
    place["name"] = "test.db"
    receive(inbox)
    assert {file.name for file in tmp_path.iterdir()} == {"test.db", "test.db.key"}


def test_handlers_hear_of_a_message_soon(monkeypatch):
    """A worker beside a web process looks ten times a second, unless it is told otherwise."""
    assert Inbox("sqlite:///x.db").settings().poll_interval == 100
    assert Inbox("sqlite:///x.db", poll_interval="2s").settings().poll_interval == 2000
    monkeypatch.setenv("RINGBACK_POLL_INTERVAL", "500ms")
    assert Inbox("sqlite:///x.db").settings().poll_interval == 500


def test_a_wrong_setting_says_so():
    """A setting that there is not, or a value that is not one, is refused in words."""
    with pytest.raises(ConfigurationError, match="poll_interval"):
        Inbox("sqlite:///x.db", poll_interval="soon").settings()
    with pytest.raises(ConfigurationError, match="colour"):
        Inbox("sqlite:///x.db", colour="blue").settings()
