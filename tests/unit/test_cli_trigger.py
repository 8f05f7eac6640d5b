"""`ringback trigger` with a sandbox and without: what it sends, what it prints where, and its exit codes."""

import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
import uuid
from wsgiref.simple_server import make_server

import pytest
from sandbox_receivers import Quiet, listening

from ringback.cli import run
from ringback.model import Held
from ringback.sandbox.xendit.catalog import entries, entry_of, sample_of
from ringback.testing.sandboxes import XenditSandbox

TOKEN = "a-token-of-the-shop"
CLEAR_SCREEN = "\x1b[2J"


class Shop:
    """A receiver on loopback that answers with these statuses in turn, then with the last."""

    def __init__(self, *statuses):
        shop = self
        self.requests = []
        self._statuses = list(statuses)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                shop.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(shop._statuses.pop(0) if len(shop._statuses) > 1 else shop._statuses[0])
                # Without a length the answer would end with the connection, and be broken off where that is reset.
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def bodies(self):
        """What has arrived."""
        return [json.loads(body) for _, body in self.requests]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A running sandbox."""
    with XenditSandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


def trigger(*arguments):
    return run(["trigger", "xendit", *arguments])


# --- Looking ----------------------------------------------------------------------------------------------


def test_the_list(capsys):
    """Every event is listed with product, certainty and setting, as a table or as JSON."""
    assert trigger("--list") == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["EVENT", "PRODUCT", "CERTAINTY", "SETTING"]
    assert [row.split()[0] for row in rows] == list(entries())
    assert trigger("--list", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 81


def test_an_event_s_fields_and_sample(capsys):
    """What is known of an event is shown: setting, certainty, source, each field, and the sample."""
    assert trigger("qr.payment:2022-07-31", "--show") == 0
    out = capsys.readouterr().out
    assert "setting     qr_code (QR codes paid and refunded)" in out
    assert "certainty   medium" in out
    assert re.search(r"^data\.amount +a number$", out, re.MULTILINE)
    assert json.loads(out[out.index("\n{") :]) == json.loads(bytes(entry_of("qr.payment:2022-07-31").sample))
    assert trigger("dispute.won", "--show", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["certainty"], shown["sample"]["amount"]["initial"]) == ("high", 120.5)


@pytest.mark.parametrize("name", ["invoice.paid", "dispute.won", "split.payment"])
def test_a_body_is_printed_and_not_sent(capsys, name):
    """With --print the body is on standard output as it would be sent: as the sample, or a new event's."""
    assert trigger(name, "--print", "--as-is") == 0
    assert (
        capsys.readouterr().out
        == json.dumps(json.loads(bytes(entry_of(name).sample)), separators=(",", ":")) + "\n"
    )
    assert trigger(name, "--print") == 0
    fresh = json.loads(capsys.readouterr().out)
    assert list(fresh) == list(sample_of(entry_of(name)))
    assert fresh != json.loads(bytes(entry_of(name).sample))


def test_a_body_of_a_file_or_standard_input(capsys, monkeypatch, tmp_path):
    """--from takes the body from a file, or from standard input; --set changes it, and numbers keep their form."""
    (tmp_path / "mine.json").write_text('{"z": 1.50,\n "amount": 1, "id": "a"}')
    assert trigger("invoice.paid", "--from", "mine.json", "--set", "amount=2.0", "--print") == 0
    assert capsys.readouterr().out == '{"z":1.50,"amount":2.0,"id":"a"}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": []}')))
    assert trigger("invoice.paid", "--from", "-", "--print") == 0
    assert capsys.readouterr().out == '{"a":[]}\n'


# --- Through a sandbox ------------------------------------------------------------------------------------


def test_a_sandbox_sends_it(capsys, sandbox):
    """The sandbox sends the event to its slot's URL; what was sent and what was answered is printed."""
    with Shop(202) as shop:
        sandbox.send_webhooks_to(shop.url)
        done = trigger("invoice.paid", "--set", "amount=75000.00", "--sandbox", sandbox.url)
        ((headers, body),) = shop.requests
    out = capsys.readouterr().out
    assert done == 0
    assert b'"amount":75000.00,' in body
    assert headers["x-callback-token"] == sandbox.token
    assert '\n  "amount": 75000.00,\n' in out
    assert re.search(rf"^invoice\.paid {json.loads(body)['id']}: 202 in \d+ ms$", out, re.MULTILINE)


def test_what_is_answered_decides_the_exit_code(capsys, sandbox):
    """0 where all were answered with success, 1 where none was, 9 where some were; each has its line."""
    via = ("--sandbox", sandbox.url)
    with Shop(500, 200, 503, 200) as shop:
        sandbox.send_webhooks_to(shop.url)
        assert trigger("fva.paid", *via) == 1
        assert ": 500 in " in capsys.readouterr().out
        assert trigger("fva.paid", "--count", "3", *via) == 9
        printed = capsys.readouterr()
    assert [line.split(": ")[1][:3] for line in printed.out.splitlines()] == ["200", "503", "200"]
    assert printed.err == "3 sent, 2 answered with success.\n"
    assert len({body["payment_id"] for body in shop.bodies}) == 4
    assert trigger("fva.paid", *via) == 1
    assert "no answer, ECONNREFUSED (connect: refused) in " in capsys.readouterr().out


def test_an_event_that_has_nowhere_to_go(capsys, sandbox):
    """Without a URL the event is in the sandbox's log, and the command says what to do."""
    sandbox.send_webhooks_to(None)
    assert trigger("payout.failed", "--sandbox", sandbox.url) == 1
    assert "no URL is set for payout" in capsys.readouterr().out
    sandbox.ask("PUT", "/sandbox/webhooks/slots/payout", {"url": "http://127.0.0.1:1", "mishaps": ["drop"]})
    assert trigger("payout.failed", "--sandbox", sandbox.url) == 0
    assert "held back, as the settings of payout want it: drop" in capsys.readouterr().out


def test_json_for_programs(capsys, sandbox):
    """With --json one document says all: the log's entry, or a list of them."""
    sandbox.send_webhooks_to(None)
    assert trigger("report.failed", "--json", "--sandbox", sandbox.url) == 1
    one = json.loads(capsys.readouterr().out)
    assert (one["transaction"]["event"], one["payload"]["status"]) == ("report.failed", "FAILED")
    trigger("report.failed", "--json", "--count", "2", "--sandbox", sandbox.url)
    assert len(json.loads(capsys.readouterr().out)) == 2


# --- Straight to a URL ------------------------------------------------------------------------------------


def test_straight_to_an_inbox(capsys, tmp_path, monkeypatch):
    """With --to the event arrives as the provider's would: an inbox verifies and records it, or refuses the token."""
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    with listening(tmp_path / "shop", TOKEN) as (inbox, url):
        assert trigger("payment.capture", "--to", url, "--token", "env:SHOP_TOKEN") == 0
        assert trigger("payment.capture", "--to", url) == 1
        (message,) = inbox.held("xendit", Held.UNHANDLED).result()
    printed = capsys.readouterr()
    assert message.event_type == "payment.capture"
    assert re.search(r"^payment\.capture py-\S+: 200 in \d+ ms$", printed.out, re.MULTILINE)
    assert ": 401 in " in printed.out
    assert re.fullmatch(r"x-callback-token is \w{48}; --token gives another\.\n", printed.err)


def test_straight_with_the_provider_s_headers(capsys):
    """It carries the token, an id that is a UUID, JSON's content type and the provider's kind of user agent."""
    with Shop(200) as shop:
        assert trigger("invoice.paid", "--to", shop.url, "--token", TOKEN, "--as-is") == 0
        ((headers, body),) = shop.requests
    assert str(uuid.UUID(headers["webhook-id"])) == headers["webhook-id"]
    assert (headers["x-callback-token"], headers["content-type"]) == (TOKEN, "application/json")
    assert headers["user-agent"].startswith("axios/")
    assert json.loads(body) == json.loads(bytes(entry_of("invoice.paid").sample))
    assert capsys.readouterr().err == ""


def test_many_at_a_rate(capsys):
    """So many are sent, each another event, and each is sent once even where it fails."""
    with Shop(500, 200) as shop:
        options = ("--count", "30", "--rate", "300", "--token", TOKEN)
        assert trigger("fpc.paid", "--to", shop.url, *options) == 9
    assert len({body["id"] for body in shop.bodies}) == len(shop.bodies) == 30
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 30
    assert printed.err == "30 sent, 29 answered with success.\n"


def test_as_a_process(tmp_path):
    """As a command of its own it does the same, and leaves nothing behind."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    with Shop(200) as shop:
        arguments = ["trigger", "xendit", "bill_payment.failed", "--to", shop.url, "--token", TOKEN]
        done = subprocess.run(
            [sys.executable, "-m", "ringback", *arguments],
            env=environment | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert len(shop.requests) == 1
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


# --- What goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["xendit"], 2, "`ringback trigger xendit --list` lists them"),
        (["xendit", "invoice.payed"], 5, "near to it: invoice.paid, "),
        (["xendt", "invoice.paid"], 5, "there is one of xendit"),
        (["stripe", "--list"], 5, "there is no catalogue of stripe's events"),
        (["xendit", "invoice.paid", "--set", "amuont=1"], 2, "near to it: amount"),
        (["xendit", "invoice.paid", "--set", "amount=much"], 2, "amount must be a number"),
        (["xendit", "invoice.paid", "--set", "amount"], 2, "PATH=VALUE"),
        (["xendit", "invoice.paid", "--set", f"{CLEAR_SCREEN}=1"], 2, "has no field"),
        (["xendit", f"{CLEAR_SCREEN}"], 5, "there is no event"),
        (["xendit", "invoice.paid", "--set", "external_id=\udcff", "--print"], 2, "not UTF-8"),
        (["xendit", "invoice.paid", "--from", "absent.json"], 2, "absent.json"),
        (["xendit", "invoice.paid", "--from", "list.json"], 2, "must be a JSON object"),
        (["xendit", "invoice.paid", "--from", "broken.json"], 2, "not JSON"),
        (["xendit", "invoice.paid", "--token", "a"], 2, "--token goes with --to"),
        (["xendit", "invoice.paid", "--to", "http://a", "--key", "a"], 2, "leave out --sandbox and --key"),
        (["xendit", "invoice.paid", "--to", "ftp://a"], 2, "the URL cannot be used"),
        (["xendit", "invoice.paid", "--to", "http://a", "--token", "a b"], 2, "a token is 1 to 512"),
        (["xendit", "invoice.paid", "--to", "http://a", "--token", "env:NO_SUCH"], 3, "NO_SUCH"),
        (["xendit", "invoice.paid", "--sandbox", "http://127.0.0.1:1"], 6, "`ringback sandbox xendit`"),
        (["xendit", "invoice.paid", "--sandbox", "nonsense"], 2, "begins with http:// or https://"),
        (["xendit", "invoice.paid", "--sandbox", "http://a b"], 2, "no spaces"),
        (["xendit", "invoice.paid", "--count", "0"], 2, "--count"),
        (["xendit", "invoice.paid", "--rate", "0"], 2, "--rate"),
    ],
)
def test_failures(capsys, tmp_path, arguments, code, words):
    """What does not work prints nothing on standard output, says why, and leaves with its code."""
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.json").write_text("{")
    assert run(["trigger", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert "\x1b" not in printed.err


def test_a_key_that_is_not_the_sandbox_s(capsys, sandbox):
    """A wrong key is told as such, and a sandbox that does not know the event says so."""
    assert trigger("invoice.paid", "--sandbox", sandbox.url, "--key", "nope") == 4
    assert "Give the sandbox's key with --key" in capsys.readouterr().err


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Oh"])
@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"<html>", b'{"payload": 1}', b"[" * 100_000])
def test_another_kind_of_server(capsys, status, answer):
    """Whatever a server answers that is no sandbox, the command says so in one line and leaves with 1."""

    def application(_environ, start_response):
        start_response(status, [("Content-Length", str(len(answer)))])
        return [answer]

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            done = trigger("invoice.paid", "--sandbox", f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
    assert done == 1
    printed = capsys.readouterr()
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)
    assert "Does --sandbox name one?" in printed.err


def test_nothing_moves_the_terminal(capsys):
    """Whatever is in a body is printed as JSON's escapes, and still means the same."""
    assert trigger("invoice.paid", "--set", f"description={CLEAR_SCREEN}\u202e", "--print") == 0
    out = capsys.readouterr().out
    assert out.rstrip("\n").isprintable()
    assert json.loads(out)["description"] == f"{CLEAR_SCREEN}\u202e"
