"""``ringback token``: what may use the API, made, listed and revoked on the store itself."""

import contextlib
import json
import os

import pytest

from ringback.access import ADMINISTRATOR, Scope
from ringback.cli import run
from ringback.config import load
from ringback.errors import NotAuthenticated
from ringback.keyring import open_vault
from ringback.model import Application
from ringback.observe import Observer
from ringback.outbox import system_clock
from ringback.sessions import SESSION_KEY, Sessions
from ringback.signed_tokens import Signer
from ringback.store import open_store
from ringback.store.commit import Committer, NoWorker


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)


def test_tokens_are_made_listed_and_revoked(capsys):
    """A token is shown when it is made, then listed without its text, and gone after it was revoked."""
    assert run(["token", "create", "billing", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made.pop("token").startswith("ringback_")
    assert (made["scopes"], made["appId"], made["expiresAt"], made["lastUsedAt"]) == (
        ["admin"],
        None,
        None,
        None,
    )
    assert run(["token", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [made]
    assert run(["token", "revoke", made["id"]]) == 0
    capsys.readouterr()
    assert run(["token", "list"]) == 0
    heading = "ID  CREATED  LAST USED  EXPIRES  SCOPES  APPLICATION  NAME"
    assert capsys.readouterr().out.splitlines() == [heading]


def test_a_token_is_for_scopes_in_an_application_and_for_a_time(capsys):
    """What a token may do, where and for how long is said when it is made, and listed."""
    settings = load({}, {}, None)
    with contextlib.closing(open_store(settings.store, open_vault(settings))) as store, store.transaction():
        draft = Application(id="app_" + "0" * 27, uid="acme", name="Acme", created_at=0, updated_at=0)
        store.add(draft)
    scopes = ["--scope", "publish", "--scope", "read", "--app", "acme", "--expires", "30d"]
    assert run(["token", "create", "shop", *scopes]) == 0
    capsys.readouterr()
    assert run(["token", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["scopes"], listed["appId"]) == (["publish", "read"], draft.id)
    assert listed["expiresAt"] > listed["createdAt"]
    assert run(["token", "list"]) == 0
    assert f"publish,read  {draft.id}  shop" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--scope", "portal"], 2),
        (["--scope", "root"], 2),
        (["--expires", "0s"], 2),
        (["--expires", "soon"], 2),
        (["--app", "nobody"], 5),
    ],
)
def test_a_token_for_what_there_is_not(options, code):
    """A portal of no application, an unknown scope or application, and a time that is none are refused."""
    assert run(["token", "create", "shop", *options]) == code


def test_a_signed_token_is_the_secret_s(monkeypatch, capsys):
    """A JSON Web Token is made with the secret that is set, for the organisation; without one it is 3, and why."""
    assert run(["token", "jwt"]) == 3
    assert "RINGBACK_JWT_SECRET" in capsys.readouterr().err
    monkeypatch.setenv("RINGBACK_JWT_SECRET", "a secret of some length, the old one of some length")
    assert run(["token", "jwt", "--expires", "1h"]) == 0
    signer = Signer(secrets=("a secret of some length",))
    assert signer.read(capsys.readouterr().out.strip(), system_clock()).principal == ADMINISTRATOR
    assert run(["token", "jwt", "--app", "nobody"]) == 5


def test_a_link_is_for_this_server_and_one_use(capsys):
    """A link leads to where the server is, and begins a session for what it was made for."""
    assert run(["token", "link", "--scope", "read", "--public-url", "https://hooks.example/ringback/"]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith("https://hooks.example/ringback/login?link=")
    settings = load({}, {}, None)
    vault = open_vault(settings)
    with contextlib.closing(open_store(settings.store, vault)) as store:
        committer = Committer(
            store, clock=system_clock, observer=Observer(), handover=NoWorker(), deadline=1_000
        )
        committer.start()
        sessions = Sessions(committer, vault.derived(SESSION_KEY))
        begun = sessions.redeem(link.partition("link=")[2]).result()
        assert begun.grant.scopes == (Scope.READ,)
        with pytest.raises(NotAuthenticated):
            sessions.redeem(link.partition("link=")[2]).result()
        committer.close()
    assert run(["token", "link", "--listen", "0.0.0.0:8400"]) == 0
    assert capsys.readouterr().out.startswith("http://127.0.0.1:8400/login?link=")
    assert run(["token", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_revoking_an_unknown_token_is_5(capsys):
    """A token that is not there is named, with the command that lists those that are."""
    assert run(["token", "revoke", "tok_none"]) == 5
    assert (
        capsys.readouterr().err
        == "error: there is no token tok_none. `ringback token list` shows those there are\n"
    )


@pytest.mark.parametrize("name", ["", "x" * 257, "two\nlines"])
def test_a_token_s_name_is_printable(name, capsys):
    """A name that would spoil the listing is refused."""
    assert run(["token", "create", name]) == 2
    assert "printable" in capsys.readouterr().err
