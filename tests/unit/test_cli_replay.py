"""``ringback replay``: what it refuses before it asks anybody, and what it asks a server for."""

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ringback.cli import run

NOTHING = {"messages": 0, "oldest": None, "newest": None, "estimatedMinutes": None, "complete": True}
SOME = {
    "messages": 12,
    "oldest": "2026-03-01T12:00:00Z",
    "newest": "2026-03-01T13:00:00Z",
    "estimatedMinutes": 0.2,
    "complete": False,
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)


@contextmanager
def server(monkeypatch, *answers):
    """Answer requests with these, one after the other; the list yielded fills with what came."""
    seen, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.path, json.loads(body) if body else None, dict(self.headers)))
            content = json.dumps(left.pop(0)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - the names of the standard library

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("RINGBACK_URL", f"http://127.0.0.1:{listening.server_address[1]}")
        monkeypatch.setenv("RINGBACK_TOKEN", "ringback_test_token")
        try:
            yield seen
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--app", "acme"],
        ["--since", "2h"],
        ["--since", "2h", "--app", "acme", "--all-apps"],
        ["--since", "2h", "--app", "acme", "--app", "globex", "--endpoint", "orders"],
        ["--since", "2h", "--all-apps", "--endpoint", "orders"],
        ["--since", "2h", "--app", "acme", "--status", "missing", "--status", "failed"],
        ["--since", "2h", "--app", "acme", "--rate", "fast"],
        ["--since", "2h", "--app", "acme", "--rate", "0/s"],
        ["--since", "soon", "--app", "acme"],
        ["status"],
    ],
)
def test_what_makes_no_sense(arguments, capsys):
    """It says so, asks no server, and leaves with 2."""
    assert run(["replay", *arguments]) == 2
    assert capsys.readouterr().out == ""


def test_what_is_asked_for(monkeypatch, capsys):
    """First what would be sent, then to send it: all that the flags say, and nothing that they do not."""
    with server(monkeypatch, SOME, {"id": "qtask_1"}) as seen:
        what = "--app acme --endpoint orders --since 2026-03-01T12:00:00Z --status succeeded --status failed"
        how = "--rate 20/s --limit 9 --answer 5xx --outcome refused --idempotency-key k --yes"
        code = run(["replay", *what.split(), "--event-type", "invoice.*", *how.split()])
    assert code == 0
    captured = capsys.readouterr()
    assert captured.out == "qtask_1\n"
    assert "acme: at least 12 messages, accepted from 2026-03-01T12:00:00Z to" in captured.err
    assert "about 12 s" in captured.err
    asked = {
        "since": "2026-03-01T12:00:00.000Z",
        "statuses": [0, 2],
        "endpointIds": ["orders"],
        "eventTypes": ["invoice.*"],
        "outcomes": ["refused"],
        "statusCodeClass": 500,
        "rate": 20,
        "limit": 9,
    }
    path = "/api/v1/app/acme/bulk-replay"
    (first, second) = seen
    assert first[:3] == ("POST", path, asked | {"preview": True})
    assert second[:3] == ("POST", path, asked)
    assert second[3]["Idempotency-Key"] == "k"


def test_all_applications(monkeypatch, capsys):
    """Each is looked at by itself, on every page, and only where there is something is anything begun."""
    pages = (
        {"data": [{"id": "app_1"}], "iterator": "app_1", "done": False},
        {"data": [{"id": "app_2"}], "iterator": "app_2", "done": True},
    )
    with server(monkeypatch, *pages, NOTHING, SOME, {"id": "qtask_2"}) as seen:
        assert run(["replay", "--all-apps", "--since", "2h", "--status", "missing", "--yes"]) == 0
    assert capsys.readouterr().out == "qtask_2\n"
    paths = [path for _, path, _, _ in seen]
    assert paths[1] == "/api/v1/app?limit=250&iterator=app_1"
    assert paths[2:] == [f"/api/v1/app/{app}/bulk-replay" for app in ("app_1", "app_2", "app_2")]
    assert seen[-1][2]["missing"] is True
    assert "statuses" not in seen[-1][2]


def test_nothing_to_send(monkeypatch, capsys):
    """It is said, and no task is begun; a look alone tells as much."""
    with server(monkeypatch, NOTHING, NOTHING, NOTHING) as seen:
        assert run(["replay", "--app", "acme", "--since", "2h"]) == 0
        assert capsys.readouterr().err == "there is nothing to send\n"
        assert run(["replay", "--app", "acme", "--since", "2h", "--dry-run"]) == 0
        assert capsys.readouterr().out == "acme: nothing\n"
        assert run(["replay", "--app", "acme", "--since", "2h", "--dry-run", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"acme": NOTHING}
    assert all(body["preview"] for _, _, body, _ in seen)
    assert seen[0][2]["statuses"] == [2, 4]
