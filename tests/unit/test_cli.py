"""The command line: what it prints where, and the exit codes it leaves with."""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server

import pytest

from ringback import __version__
from ringback.cli import COMMANDS, EXIT_MEANINGS, run
from ringback.cli.client import Client

TOKEN = "0123456789abcdef"
PUBLISH = ["publish", "acme", "invoice.paid"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)


@contextmanager
def server(status, answer):
    """Answer every POST with *status* and *answer*; the list yielded fills with what came."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", seen
        finally:
            listening.shutdown()
            thread.join()


def test_the_version_is_told(capsys):
    """`ringback --version` prints the package's version."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"ringback {__version__}\n"


def test_help_lists_every_command_with_a_whole_sentence(capsys):
    """`ringback --help` names each command and what it does, not cut off."""
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        line = next(line for line in out.splitlines() if line.split()[:1] == [name])
        assert line.endswith(".")
        assert not line.endswith("...")


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["config", "--frobnicate"], ["publish"], ["token", "create"]]
)
def test_a_command_not_understood_is_2(arguments, capsys):
    """A wrong command says so on standard error, prints nothing on standard output and leaves with 2."""
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Error: " in captured.err


def test_a_command_that_is_misspelt_is_told_what_is_near(capsys):
    """As options are, commands are guessed at."""
    assert run(["sevre"]) == 2
    assert "No such command 'sevre'. Did you mean serve?" in capsys.readouterr().err


def test_config_shows_values_and_where_they_come_from(capsys, monkeypatch, tmp_path):
    """`ringback config` shows each value with its origin, and masks secrets."""
    (tmp_path / "ringback.toml").write_text("worker_slots = 7\n")
    monkeypatch.setenv("RINGBACK_ADMIN_TOKEN", TOKEN)
    assert run(["config", "--log-level", "debug"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["worker_slots"] == ["7", "ringback.toml"]
    assert rows["admin_token"] == ["********", "RINGBACK_ADMIN_TOKEN"]
    assert rows["log_level"] == ["debug", "--log-level"]
    assert rows["main_key"] == ["-", "default"]


def test_config_prints_json(capsys):
    """`--json` makes one JSON document of the same."""
    assert run(["config", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name": "worker_slots", "value": "512", "origin": "default"} in rows


@pytest.mark.parametrize("command", ["config", "serve", "worker", "dev", "publish"])
def test_a_wrong_setting_is_3_for_every_command(command, capsys, monkeypatch):
    """A misspelt variable stops every command with one line and 3."""
    monkeypatch.setenv("RINGBACK_LISTN", "x")
    assert run([command, *(PUBLISH[1:] if command == "publish" else [])]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "error: unknown environment variable: RINGBACK_LISTN. Did you mean RINGBACK_LISTEN or RINGBACK_TOKEN?"
    ]


@pytest.mark.parametrize("command", ["serve", "worker", "token"])
def test_an_unknown_kind_of_store_is_3(command, capsys, tmp_path):
    """A store that cannot be used says which form would do, and leaves no key behind."""
    arguments = ["token", "list"] if command == "token" else [command]
    assert run([*arguments, "--store", "redis://localhost/ringback"]) == 3
    assert "sqlite:///" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_publish_sends_the_payload_byte_for_byte(capsys):
    """The body holds the payload as it was given; only the id is printed."""
    payload = '{"a":  1, "z": 0.10, "é": "☂"}'
    with server(202, b'{"id": "msg_1", "eventType": "invoice.paid"}') as (url, seen):
        options = ["--event-id", "e1", "--channel", "eu", "--channel", "id", "--idempotency-key", "k1"]
        code = run([*PUBLISH, payload, *options, "--url", f"{url}/base/", "--token", TOKEN])
    path, headers, body = seen[0]
    assert (code, capsys.readouterr().out) == (0, "msg_1\n")
    assert path == "/base/api/v1/app/acme/msg"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Idempotency-Key"] == "k1"
    assert payload.encode() in body
    sent = json.loads(body)
    assert (sent["eventType"], sent["eventId"], sent["channels"]) == ("invoice.paid", "e1", ["eu", "id"])


def test_publish_for_later_and_with_tags():
    """A time is taken as it is written everywhere, or from now; tags may be repeated; nonsense is told."""
    with server(202, b'{"id": "msg_1"}') as (url, seen):
        client = ["--url", url, "--token", TOKEN]
        assert (
            run([*PUBLISH, "{}", "--tag", "a", "--tag", "b", "--deliver-at", "2099-01-02T03:04:05", *client])
            == 0
        )
        assert run([*PUBLISH, "{}", "--deliver-at", "2h", *client]) == 0
        assert run([*PUBLISH, "{}", *client]) == 0
        assert run([*PUBLISH, "{}", "--deliver-at", "999999999d", *client]) == 0
        assert run([*PUBLISH, "{}", "--deliver-at", "tomorrow", *client]) == 2
        assert run([*PUBLISH, "{}", "--tag", "a b", *client]) == 1
    first, second, third, last = [json.loads(body) for _, _, body in seen]
    assert last["deliverAt"].startswith("9999-12-31")
    assert (first["tags"], first["deliverAt"]) == (["a", "b"], "2099-01-02T03:04:05Z")
    ahead = datetime.fromisoformat(second["deliverAt"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=55) < ahead <= timedelta(hours=2)
    assert not {"tags", "deliverAt"} & third.keys()


def test_publish_reads_a_file_and_standard_input(tmp_path):
    """The payload may come from a file after @, or be piped in, which is what leaving it out means."""
    (tmp_path / "payload.json").write_text('{"from": "file"}')
    command = [sys.executable, "-m", "ringback", *PUBLISH]
    with server(202, b'{"id": "msg_1"}') as (url, seen):
        environment = {**os.environ, "RINGBACK_URL": url, "RINGBACK_TOKEN": TOKEN}
        for more, piped in (
            (["@payload.json"], b""),
            (["-"], b'{"from": "pipe"}'),
            ([], b'{"from": "pipe"}'),
        ):
            done = subprocess.run(
                [*command, *more], input=piped, env=environment, capture_output=True, timeout=60, check=False
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, b"msg_1\n", b"")
    assert [json.loads(body)["payload"]["from"] for _, _, body in seen] == ["file", "pipe", "pipe"]


def test_publish_prints_the_whole_answer_as_json(capsys):
    """`--json` prints what the server answered."""
    with server(202, b'{"id": "msg_1", "eventId": null}') as (url, _):
        assert run([*PUBLISH, "{}", "--url", url, "--token", TOKEN, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"id": "msg_1", "eventId": None}


@pytest.mark.parametrize(
    ("status", "answer", "code", "said"),
    [
        (401, b'{"code": "authentication_failed", "detail": "Invalid token"}', 4, "ringback token create"),
        (404, b'{"code": "not_found", "detail": "Entity not found"}', 5, "Entity not found"),
        (409, b'{"code": "conflict", "detail": "taken"}', 1, "taken"),
        (413, b'{"code": "payload_too_large", "detail": "too large"}', 1, "max_payload"),
        (
            422,
            b'{"detail": [{"loc": ["body", "eventType"], "msg": "bad", "type": "x"}]}',
            1,
            "error: eventType: bad",
        ),
        (503, b'{"code": "unavailable", "detail": "busy"}', 1, "503: busy"),
        (500, b"<html>", 1, "<html>"),
        (500, b"", 1, "without a reason"),
        (302, b"", 1, "302"),
        (200, b"<html>", 1, "not what Ringback answers"),
        (200, b"[]", 1, "not what Ringback answers"),
        (200, b"{}", 1, "not what Ringback answers"),
    ],
)
def test_a_refusal_has_its_exit_code_and_says_why(status, answer, code, said, capsys):
    """Whatever the server answers becomes one line and the exit code it deserves."""
    with server(status, answer) as (url, _):
        assert run([*PUBLISH, "{}", "--url", url, "--token", TOKEN]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err


def test_no_server_is_6(capsys):
    """Where nobody listens, the error names the address and what to check."""
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert run([*PUBLISH, "{}", "--url", f"http://127.0.0.1:{port}", "--token", TOKEN]) == 6
    assert f"127.0.0.1:{port} cannot be reached" in capsys.readouterr().err


def test_something_that_is_not_http_is_6(capsys):
    """A server of another protocol is told apart from none."""
    with create_server(("127.0.0.1", 0)) as listening:

        def speak():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert run([*PUBLISH, "{}", "--url", url, "--token", TOKEN]) == 6
        thread.join()
    assert "does not speak HTTP" in capsys.readouterr().err


def test_a_silent_server_times_out():
    """A server that takes the request and never answers is a TimeoutError, which is exit code 7."""
    with create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", TOKEN, timeout=0.1)
        with pytest.raises(TimeoutError, match=r"did not answer within 0\.1 s"):
            client.create("/api/v1/app/acme/msg", b"{}", {})


def test_without_a_token_nothing_is_sent(capsys):
    """Publishing without a token is 4, and says how to get one."""
    assert run([*PUBLISH, "{}"]) == 4
    assert "RINGBACK_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize("payload", ["{", "@missing.json", "", "nope"])
def test_a_payload_that_cannot_be_sent_is_2(payload, capsys):
    """What is not JSON, or cannot be read, is refused before anything is sent."""
    assert run([*PUBLISH, payload, "--token", TOKEN]) == 2
    assert "payload" in capsys.readouterr().err


def test_no_payload_at_all_is_said(capsys, monkeypatch):
    """Where nothing is given and nothing comes in, the error says how to give a payload."""
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run([*PUBLISH, "--token", TOKEN]) == 2
    assert "there is no payload: give JSON, @FILE, or pipe it in" in capsys.readouterr().err


@pytest.mark.parametrize("payload", ["[]", "1", '"text"'])
def test_a_payload_that_is_no_object_is_refused(payload, capsys):
    """A payload obeys the same rules as in the API."""
    assert run([*PUBLISH, payload, "--token", TOKEN]) == 1
    assert "JSON object" in capsys.readouterr().err


NO_TEXT = "\udcff"


@pytest.mark.parametrize(
    "arguments",
    [
        ["publish", NO_TEXT, "invoice.paid", "{}"],
        [*PUBLISH, f'{{"a": "{NO_TEXT}"}}'],
        ["token", "revoke", NO_TEXT],
        ["inbox", "dead", NO_TEXT],
        ["source", "create", "xendit", "--secret", NO_TEXT],
        [NO_TEXT],
    ],
)
def test_bytes_that_are_no_text_are_2(arguments, capsys):
    """Arguments that are not UTF-8 could be neither sent nor kept: each command says so in words."""
    assert run(arguments) == 2
    assert r"an argument is not UTF-8: " in capsys.readouterr().err


def test_a_variable_that_is_no_text_is_3(capsys, monkeypatch):
    """Nor can such bytes be a setting."""
    monkeypatch.setenv("RINGBACK_STORE", f"sqlite:///{NO_TEXT}.db")
    assert run(["token", "list"]) == 3
    assert (
        "RINGBACK_STORE: cannot use 'sqlite:///\\udcff.db' for store: it is not UTF-8"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("url", ["http://a b", "http://me you@host", "http://host/\x7f", "http://host/ü"])
def test_an_address_that_no_request_can_go_to_is_3(url, capsys):
    """A URL that HTTP could not carry is a wrong setting, not a traceback."""
    assert run([*PUBLISH, "{}", "--token", TOKEN, "--url", url]) == 3
    assert "printable ASCII characters and no spaces" in capsys.readouterr().err


@pytest.mark.parametrize(("url", "token"), [("http://a b", "x"), ("http://127.0.0.1:1", "x\ny")])
def test_moving_in_from_an_address_that_cannot_be_asked_is_3(url, token, capsys):
    """What could not be sent to the other server is refused before it is asked."""
    assert run(["import", "svix", "--api", url, "--token", token]) == 3
    assert "error: " in capsys.readouterr().err


def test_a_password_that_is_not_written_for_an_address_is_not_told(capsys):
    """Of another server's database as of the own: what libpq would take for a host is not told as one."""
    assert run(["import", "svix", "--dsn", "postgresql://svix:s3@cr3t@db.invalid/svix"]) == 3
    told = capsys.readouterr().err
    assert "%40 for @" in told
    assert "cr3t" not in told


def test_a_source_that_cannot_be_is_told_by_its_keys(capsys, tmp_path):
    """What is wrong in the file is named as it stands there, not as a request would have it."""
    (tmp_path / "ringback.toml").write_text("[sources.xendit]\nsecrets = []\n")
    assert run(["serve", "--listen", "127.0.0.1:0"]) == 3
    assert "ringback.toml: [sources.xendit]: secrets: has 1 to 20" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["", "a\nb", "ü", "k" * 257])
@pytest.mark.parametrize("command", [[*PUBLISH, "{}"], ["replay", "--all-apps", "--since", "1h"]])
def test_an_idempotency_key_fits_into_a_header(command, key, capsys):
    """A key that could not be sent as it is, is refused before anything is."""
    assert run([*command, "--token", TOKEN, "--idempotency-key", key]) == 2
    assert "a key is 1 to 256 printable ASCII characters" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["config", "openapi", "trigger xendit --list"])
def test_a_disk_that_is_full_is_1(arguments):
    """Where the output cannot be written, the reason is one line, also at the end of the process."""
    command = f"{sys.executable} -m ringback {arguments} > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "error: no space left on device\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell, capsys):
    """Each shell gets a script that asks ringback for completions."""
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_RINGBACK_COMPLETE={shell}_complete" in script


def test_the_completion_script_works_in_bash(tmp_path):
    """What the script asks for is answered with the commands that fit."""
    environment = {"_RINGBACK_COMPLETE": "bash_complete", "COMP_WORDS": "ringback pub", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "ringback"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "plain,publish\n"


def test_every_exit_code_has_a_meaning():
    """The codes scripts rely on are these, and each is explained."""
    assert sorted(EXIT_MEANINGS) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130]


def test_a_reader_that_leaves_early_is_no_error():
    """`ringback config | head -1` ends without a complaint."""
    command = f"set -o pipefail; {sys.executable} -m ringback config | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert done.stderr == b""
