"""``ringback worker --inbox``: an application that cannot be used says so, in its own lines."""

import importlib
import sys

import pytest

from ringback.cli import run

GOOD = "from ringback import Inbox\ninbox = Inbox('sqlite:///shop.db')\nother = 1\n"


@pytest.fixture(autouse=True)
def application(tmp_path, monkeypatch):
    """Run every test beside an application, without its modules of the test before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "emporium"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "webhooks.py").write_text(GOOD)
    (package / "needs.py").write_text("import a_module_that_is_not_there\n")
    (package / "fails.py").write_text("def broken():\n    raise ValueError('\x1b[2J bad')\n\nbroken()\n")
    (package / "leaves.py").write_text("raise SystemExit(0)\n")
    (package / "unfinished.py").write_text("x = (\n")
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "emporium"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("emporium.nowhere:inbox", "there is no module emporium.nowhere in "),
        ("nowhere.webhooks:inbox", "there is no module nowhere in "),
        ("emporium.webhooks.deep:inbox", "there is no module emporium.webhooks.deep in "),
        ("emporium.webhooks:imbox", "emporium.webhooks:imbox is not there; its inboxes are inbox"),
        ("emporium.webhooks:other", "is a int, not an inbox; its inboxes are inbox"),
        ("emporium:inbox", "there is no inbox in it"),
        ("emporium.needs:inbox", "No module named 'a_module_that_is_not_there'"),
        ("emporium.leaves:inbox", "SystemExit"),
        ("emporium.unfinished:inbox", "SyntaxError"),
    ],
)
def test_an_inbox_that_cannot_be_had_is_3(name, told, capsys):
    """No such module, no such name, another kind of thing, or an import that fails: each is said."""
    assert run(["worker", "--inbox", name]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert told in captured.err


def test_an_import_that_raises_shows_the_application_and_not_ringback(capsys):
    """The traceback begins in the application's module; what it holds does not reach the terminal raw."""
    assert run(["worker", "--inbox", "emporium.fails:inbox"]) == 3
    told = capsys.readouterr().err
    assert "fails.py" in told
    assert "in broken" in told
    assert told.rstrip().endswith(r"ValueError: \x1b[2J bad")
    assert "importlib" not in told
    assert "cli" not in told


@pytest.mark.parametrize(
    "name", ["emporium", "emporium.webhooks:", ":inbox", "emporium..webhooks:inbox", "a b:c"]
)
def test_a_name_of_another_form_is_2(name, capsys):
    """What is not MODULE:NAME is told with an example."""
    assert run(["worker", "--inbox", name]) == 2
    assert "such as shop.webhooks:inbox" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--store", "sqlite:///x.db"), ("--config", "x.toml")])
def test_settings_beside_an_inbox_are_2(flags, capsys, tmp_path):
    """An inbox brings its own settings, and a flag is never ignored."""
    (tmp_path / "x.toml").write_text("")
    assert run(["worker", "--inbox", "emporium.webhooks:inbox", *flags]) == 2
    assert f"{flags[0]} cannot be given with --inbox" in capsys.readouterr().err
