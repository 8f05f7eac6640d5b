"""`ringback source` against a server: what it prints where, and the exit codes it leaves with."""

import json
import threading
from wsgiref.simple_server import make_server

import pytest
from management import TOKEN, listed, made
from served import Quiet, served

from ringback.cli import run

SOURCES = "/ingest/api/v1/source"


@pytest.fixture
def api(tmp_path, monkeypatch):
    """An API, served on a port that the environment names."""
    with served(tmp_path, monkeypatch, public_url="https://hooks.example.com") as api:
        yield api


def shown(api, ref):
    """Return a source as the API shows it."""
    return api.send("GET", f"{SOURCES}/{ref}").json


def test_create(api, capsys, monkeypatch):
    """A source is made with its secrets and forwards, and its address is all that is printed."""
    monkeypatch.setenv("CALLBACK_TOKEN", "hidden")
    secrets = ["--secret", "env:CALLBACK_TOKEN", "--secret", "two"]
    scheme = ["--type", "hmac", "--option", "header=x-sign"]
    forward = ["--forward", "https://shop.example/hook"]
    code = run(["source", "create", "pay", *secrets, *scheme, *forward, "--name", "Payments"])
    printed = capsys.readouterr()
    out = shown(api, "pay")
    assert (code, printed.out) == (0, out["ingestUrl"] + "\n")
    assert (out["type"], out["name"], out["config"]["options"]) == ("hmac", "Payments", {"header": "x-sign"})
    assert api.committer.read(lambda store: store.source("pay")).result().secrets == ("hidden", "two")
    (endpoint,) = listed(api.send("GET", f"{SOURCES}/pay/endpoint"))["data"]
    assert endpoint["url"] == "https://shop.example/hook"


def test_create_prints_json(api, capsys):
    """With --json, the whole source is printed; its type is its uid where none is given."""
    assert run(["source", "create", "stripe", "--secret", "s", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == shown(api, "stripe")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["create", "pay", "--secret", "s"], 1, "no type is called 'pay'"),
        (["create", "stripe", "--secret", "env:NO_SUCH_VARIABLE"], 3, "NO_SUCH_VARIABLE"),
        (["create", "stripe", "--secret", "s", "--option", "x"], 2, "NAME=VALUE"),
        (["create", "stripe"], 2, "--secret"),
        (["show", "nobody"], 5, "there is no source nobody"),
        (["show", "../app"], 5, "there is no"),
        (["remove", "nobody"], 5, "there is no source nobody"),
        (["rotate", "nobody"], 5, "there is no source nobody"),
        (["list", "--token", "of-somebody-else"], 4, "refused the token"),
    ],
)
def test_failures(api, capsys, arguments, code, words):
    """What does not work prints nothing on standard output, says why, and leaves with its code."""
    assert run(["source", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err


def test_list(api, capsys):
    """Sources are listed as a table or as JSON, however many pages they take."""
    for number in range(251):
        body = {"name": f"s{number}", "type": "stripe", "uid": f"u{number}", "config": {"secret": "s"}}
        made(api.send("POST", SOURCES, body))
    assert run(["source", "list"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "UID", "TYPE", "NAME"]
    assert {tuple(row.split()[1:]) for row in rows} == {(f"u{n}", "stripe", f"s{n}") for n in range(251)}
    assert run(["source", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 251


def test_show(api, capsys):
    """A source is shown with its address and endpoints, without secrets, and nothing that moves the terminal."""
    body = {"name": "a\x1b[2Jb", "type": "stripe", "uid": "pay", "config": {"secret": "hidden"}}
    source = made(api.send("POST", SOURCES, body))
    endpoint = {"url": "https://shop.example/hook", "eventTypes": ["invoice.*", "payout.*"]}
    made(api.send("POST", f"{SOURCES}/pay/endpoint", endpoint))
    assert run(["source", "show", "pay"]) == 0
    out = capsys.readouterr().out
    assert source["ingestUrl"] in out
    assert "https://shop.example/hook (enabled; invoice.*, payout.*)" in out
    assert "\x1b" not in out
    assert "hidden" not in out
    assert run(["source", "show", source["id"], "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["endpoints"][0]["eventTypes"] == endpoint["eventTypes"]


def test_rotate_and_remove(api, capsys):
    """Rotating prints the new address; removing prints nothing but a word on standard error."""
    run(["source", "create", "stripe", "--secret", "s"])
    before = capsys.readouterr().out
    assert run(["source", "rotate", "stripe"]) == 0
    after = capsys.readouterr().out
    assert after == shown(api, "stripe")["ingestUrl"] + "\n" != before
    assert run(["source", "rotate", "stripe", "--grace", "0s"]) == 0
    assert capsys.readouterr().out != after
    assert run(["source", "rotate", "stripe", "--grace", "soon"]) == 2
    capsys.readouterr()
    assert run(["source", "remove", "stripe"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "stripe is removed.\n")
    assert api.send("GET", f"{SOURCES}/stripe").status_code == 404


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"<html>", b'{"data": 1}', b"[" * 100_000])
@pytest.mark.parametrize(
    "arguments", [["list"], ["show", "a"], ["rotate", "a"], ["create", "stripe", "--secret", "s"]]
)
def test_another_kind_of_server(capsys, monkeypatch, tmp_path, answer, arguments):
    """Whatever a server answers that is no Ringback, the command says so in one line and leaves with 1."""
    monkeypatch.chdir(tmp_path)

    def application(_environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert run(["source", *arguments, "--url", address, "--token", TOKEN]) == 1
        server.shutdown()
        thread.join()
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert "Does --url name a Ringback server?" in printed.err
