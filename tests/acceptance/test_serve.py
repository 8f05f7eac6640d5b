"""`ringback serve` and `ringback worker` as an operator meets them: starting, stopping, refusing, logging."""

import base64
import json
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from socket import create_server

import pytest
from running import (
    ADMIN_TOKEN,
    ANYWHERE,
    LOOPBACK,
    MAIN_KEY,
    PATIENCE,
    Answer,
    environment,
    receiving,
    running,
)

from postgres_server import durable_server

SERVE = ("serve", "--listen", ANYWHERE)
TOKEN_LINE = r"shown only now: (\S+)$"
LOCAL = {"admin_token": ADMIN_TOKEN, "allow_subnets": "127.0.0.0/8", "poll_interval": "50ms"}
PUBLISHED = {"eventType": "invoice.paid", "payload": {"order": 1001}}


def refused(*command, folder, **settings):
    """Start something that must be refused; check exit code 3 and return the one line that says why."""
    done = subprocess.run(
        [sys.executable, "-m", "ringback", *command],
        cwd=folder,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line


@contextmanager
def serving(folder, *flags, **settings):
    """Run a server that delivers to loopback; yield it and its API."""
    with (
        running(*SERVE, *flags, folder=folder, **LOCAL | settings) as server,
        server.api() as api,
    ):
        yield server, api


def subscribe(api, receiver):
    """Make the application `acme` with one endpoint; return the endpoint's id."""
    api.post("/app", {"name": "Acme", "uid": "acme"})
    return api.post("/app/acme/endpoint", {"url": f"{receiver.url}/hook"})["id"]


def publish(api):
    """Publish a message; return its id."""
    return api.post("/app/acme/msg", PUBLISHED)["id"]


def standing(api, message):
    """Return the state of a message's only delivery, and how many attempts it took."""
    (delivery,) = api.get(f"/app/acme/msg/{message}/endpoint")["data"]
    return delivery["state"], delivery["attempts"]


# --- The first start ---------------------------------------------------------------------------------------


def test_the_first_start_tells_a_token_and_the_second_none(tmp_path, store):
    """Without an admin token, the first start shows one, which lets in then and after a restart."""
    with running(*SERVE, folder=tmp_path, **store) as server:
        token = server.line(TOKEN_LINE)[1]
        with server.api(token) as api:
            api.post("/app", {"name": "Acme", "uid": "acme"})
        assert server.stop() == 0
    with running(*SERVE, folder=tmp_path, **store) as server:
        with server.api(token) as api:
            assert api.get("/app/acme")["name"] == "Acme"
        assert server.stop() == 0
    assert not [line for line in server.lines if "token" in line]


def test_a_start_that_fails_keeps_the_first_token_for_the_next(tmp_path, store):
    """What is shown only once is not made by a start that comes to nothing, as on a port that is taken."""
    with create_server((LOOPBACK, 0)) as taken:
        refused("serve", "--listen", f"{LOOPBACK}:{taken.getsockname()[1]}", folder=tmp_path, **store)
    with running(*SERVE, folder=tmp_path, **store) as server:
        with server.api(server.line(TOKEN_LINE)[1]) as api:
            assert api.get("/app")["data"] == []
        assert server.stop() == 0


def test_the_key_is_for_its_owner_only_and_is_needed(tmp_path):
    """Nobody else can read the key beside the database; without it a start is refused, by its name."""
    with serving(tmp_path) as (server, api):
        api.post("/app", {"name": "Acme", "uid": "acme"})
        api.post("/app/acme/endpoint", {"url": "https://acme.example/hooks"})
        assert server.stop() == 0
    key = tmp_path / "ringback.db.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    aside = key.rename(tmp_path / "aside")
    assert "ringback.db.key" in refused(*SERVE, folder=tmp_path)
    assert not key.exists()
    aside.rename(key)
    with running(*SERVE, folder=tmp_path) as server:
        assert server.stop() == 0


def test_a_key_is_made_where_nothing_was_sealed_yet(tmp_path):
    """A database that only holds tokens, made before the first start, does not stop that start."""
    made = subprocess.run(
        [sys.executable, "-m", "ringback", "token", "create", "shop"],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert made.stdout.startswith(b"ringback_")
    with running(*SERVE, folder=tmp_path) as server:
        assert server.stop() == 0
    assert (tmp_path / "ringback.db.key").exists()


def test_a_server_says_that_it_is_ready(tmp_path, store):
    """Once a server has told where it listens, `/readyz` and `/livez` answer 200 to anybody."""
    with running(*SERVE, folder=tmp_path, **store) as server, server.api("") as api:
        assert api.ask("GET", "/readyz") == (200, {"status": "ok"})
        assert api.ask("GET", "/livez") == (200, {"status": "ok"})


# --- What cannot start -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "flag"), [("serve", "--listen"), ("worker", "--health-listen")])
def test_a_taken_port_is_said_in_one_line(tmp_path, command, flag):
    """A port that another program has is named, with the flag that chooses another."""
    with create_server((LOOPBACK, 0)) as taken:
        address = f"{LOOPBACK}:{taken.getsockname()[1]}"
        line = refused(command, flag, address, folder=tmp_path)
    assert address in line
    assert f" {flag} " in line


@pytest.mark.parametrize("command", [SERVE, ("worker",)])
def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path, command):
    """A folder that nobody may write to, not even root, is named with the flag that chooses another."""
    line = refused(*command, "--store", "sqlite:////proc/ringback/ringback.db", folder=tmp_path)
    assert "/proc/ringback" in line
    assert "--store" in line


@pytest.mark.parametrize("command", [SERVE, ("worker",)])
@pytest.mark.parametrize("content", ["another program's", "none"])
def test_a_foreign_database_is_left_alone(tmp_path, command, content):
    """A database that another program made, or a file that is none, is refused and stays as it was."""
    file = tmp_path / "ringback.db"
    if content == "none":
        file.write_bytes(b"not a database " * 1000)
    else:
        connection = sqlite3.connect(file)
        connection.execute("create table recipe (name text)")
        connection.commit()
        connection.close()
    before = file.read_bytes()
    key = base64.b64encode(bytes(32)).decode()
    assert "ringback.db" in refused(*command, folder=tmp_path, main_key=key)
    assert "ringback.db" in refused(*command, folder=tmp_path)
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["ringback.db"]


@pytest.mark.parametrize("command", [SERVE, ("worker",)])
def test_a_database_that_nobody_made_is_said_in_one_line(tmp_path, command):
    """A PostgreSQL server that is there and has no such database is not waited for: both are named."""
    line = refused(*command, folder=tmp_path, store=durable_server().url("nowhere"), main_key=MAIN_KEY)
    assert line.startswith("error: cannot use the PostgreSQL store: ")
    assert '"nowhere" does not exist' in line


def test_another_main_key_is_said_in_one_line(tmp_path, store):
    """A store whose secrets were sealed with another key is not served: nothing could be signed."""
    with receiving() as receiver, serving(tmp_path, **store) as (server, api):
        subscribe(api, receiver)
        assert server.stop() == 0
    key = base64.b64encode(bytes(32)).decode()
    for command in (SERVE, ("worker",)):
        assert "main_key" in refused(*command, folder=tmp_path, **store | {"main_key": key})


# --- Stopping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_delivery_under_way_is_finished_before_the_end(tmp_path, store, number):
    """A signal while a receiver takes its time: the server leaves with 0, and the success is on record."""
    with receiving(lambda _: Answer(seconds=2)) as receiver:
        with serving(tmp_path, **store) as (server, api):
            subscribe(api, receiver)
            message = publish(api)
            receiver.until(lambda: receiver.ledger)
            server.ask_to_stop(number)
            assert server.exit_code() == 0
        assert [arrival.ok for arrival in receiver.seen()] == [True]
        with serving(tmp_path, **store) as (_, api):
            assert standing(api, message) == ("succeeded", 1)
        assert len(receiver.seen()) == 1


@pytest.mark.slow
def test_a_delivery_that_hangs_does_not_hold_up_the_end(tmp_path, store):
    """SIGTERM while a receiver hangs: the server leaves with 0 after the drain timeout, and delivers next time.

    What it left behind is taken over when its lease ends, 15 seconds after the attempt's own timeout.
    """
    with receiving(lambda arrival: Answer(0 if arrival is receiver.ledger[0] else 204)) as receiver:
        with serving(tmp_path, drain_timeout="1s", delivery_timeout="5s", **store) as (server, api):
            subscribe(api, receiver)
            message = publish(api)
            receiver.until(lambda: receiver.ledger)
            server.ask_to_stop()
            # Were it to wait for the attempt's timeout and lease, it would take 20 seconds.
            assert server.exit_code(within=15) == 0
        assert receiver.given_up["/hook"] == 1
        with serving(tmp_path, delivery_timeout="5s", **store):
            receiver.until(lambda: receiver.succeeded["/hook", message] == 1)
    assert len(receiver.seen()) == 2


def test_a_second_signal_ends_it_at_once(tmp_path, store):
    """Who does not want to wait for the drain sends SIGTERM again."""
    with (
        receiving(lambda _: Answer(0)) as receiver,
        serving(tmp_path, drain_timeout="10m", **store) as (server, api),
    ):
        subscribe(api, receiver)
        publish(api)
        receiver.until(lambda: receiver.ledger)
        server.ask_to_stop()
        server.line("Shutting down")
        server.ask_to_stop()
        # An attempt that hangs takes 20 seconds to time out.
        assert server.exit_code(within=15) == -signal.SIGTERM


def test_what_has_not_been_sent_is_kept_for_the_next_start(tmp_path, store):
    """SIGTERM with more waiting than can be sent: everything is delivered once, before or after."""
    seconds = [0.5]
    with receiving(lambda _: Answer(seconds=seconds[0])) as receiver:
        with serving(tmp_path, **store) as (server, api):
            subscribe(api, receiver)
            published = [publish(api) for _ in range(200)]
            receiver.until(lambda: receiver.succeeded)
            assert server.stop() == 0
        before = len(receiver.seen())
        assert all(arrival.ok for arrival in receiver.seen())
        assert before < len(published)
        seconds[0] = 0
        with serving(tmp_path, **store) as (server, _):
            receiver.until(lambda: len(receiver.succeeded) == len(published))
            assert server.stop() == 0
    assert receiver.succeeded == {("/hook", message): 1 for message in published}


def test_what_is_for_later_outlives_the_server(tmp_path, store):
    """A server that accepted a message for later is killed; the next one delivers it, once and not before its time."""
    with receiving() as receiver:
        with serving(tmp_path, **store) as (server, api):
            subscribe(api, receiver)
            at = datetime.now(UTC) + timedelta(seconds=4)
            later = api.post("/app/acme/msg", PUBLISHED | {"deliverAt": at.isoformat(), "tags": ["later"]})
            first = publish(api)
            receiver.until(lambda: receiver.succeeded)
            server.kill()
        with serving(tmp_path, **store) as (server, api):
            receiver.until(lambda: len(receiver.succeeded) == 2)
            assert datetime.now(UTC) >= at
            (found,) = api.get("/app/acme/msg?tag=later")["data"]
            assert (found["id"], found["deliverAt"]) == (later["id"], later["deliverAt"])
            assert server.stop() == 0
    assert receiver.succeeded == {("/hook", first): 1, ("/hook", later["id"]): 1}


# --- Two processes -----------------------------------------------------------------------------------------


def test_one_accepts_and_another_delivers(tmp_path, store):
    """A server without a worker only accepts; a worker on the same file delivers, and leaves with 0 when told."""
    with receiving() as receiver, serving(tmp_path, "--no-worker", **store) as (server, api):
        subscribe(api, receiver)
        early = publish(api)
        assert standing(api, early) == ("waiting", 0)
        with running("worker", folder=tmp_path, **LOCAL | store) as worker:
            late = publish(api)
            receiver.until(lambda: len(receiver.succeeded) == 2)
            assert worker.stop() == 0
        assert standing(api, early) == standing(api, late) == ("succeeded", 1)
        assert server.stop() == 0
    assert sorted(arrival.id for arrival in receiver.seen()) == sorted([early, late])


# --- Bytes from outside ------------------------------------------------------------------------------------


NOISE = (
    b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    b"HELO mail\r\n\r\n",
    b"GET / NOISE\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n",
)


def test_what_is_not_http_is_answered_in_json(tmp_path, store):
    """Bytes that are no HTTP get a 400 in JSON and the end of the connection; the next client is served."""
    with running(*SERVE, folder=tmp_path, **store) as server:
        for data in NOISE:
            with socket.create_connection((LOOPBACK, server.port), timeout=PATIENCE) as connection:
                connection.sendall(data)
                head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 "), data
            assert b"content-type: application/json" in head.lower()
            assert json.loads(body)["code"] == "malformed_request"
            with server.api() as api:
                assert api.ask("GET", "/livez")[0] == 200
        assert server.stop() == 0
    assert not [line for line in server.lines if "Traceback" in line]


# --- Log lines ---------------------------------------------------------------------------------------------

ANNOUNCEMENT = ("Ringback ", "Its pages")
FORGED = "2026-01-01T00:00:00.000Z error   forged"
HOSTILE_BODY = f"\r\n{FORGED}\n\x1b[2J\u2028{FORGED}\x85".encode()
HOSTILE = Answer(
    500,
    raw=b"HTTP/1.1 500 \x1b[2Jforged\r\nretry-after: forged\r\nx-forged: \xff\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(HOSTILE_BODY), HOSTILE_BODY),
)


def fail_once(folder, answer, log_format):
    """Have one attempt fail with *answer* and garbage come in; return what the log said and about what."""
    with receiving(lambda _: answer) as receiver:
        settings = {"log_format": log_format, "log_level": "debug", "retry_schedule": "none"}
        with serving(folder, **settings) as (server, api):
            endpoint = subscribe(api, receiver)
            message = publish(api)
            with socket.create_connection((LOOPBACK, server.port), timeout=PATIENCE) as connection:
                connection.sendall(f"GET /\n{FORGED}\r\n\r\n".encode())
                assert connection.recv(1)
            server.line("delivery given up")
            assert server.stop() == 0
    *_, announced = (index for index, line in enumerate(server.lines) if line.startswith(ANNOUNCEMENT))
    return server.lines[announced + 1 :], message, endpoint


@pytest.mark.parametrize(("log_format", "has_link"), [("text", True), ("json", False)])
def test_a_way_in_is_told_to_people_alone(tmp_path, log_format, has_link):
    """The start prints a link that signs in and a source's address, but not where others read what is collected."""
    (tmp_path / "ringback.toml").write_text('[sources.xendit]\nsecrets = ["the-callback-token"]\n')
    with serving(tmp_path, log_format=log_format) as (server, _):
        assert server.stop() == 0
    (pages,) = [line for line in server.lines if line.startswith("Its pages")]
    (source,) = [line for line in server.lines if line.startswith("The source xendit ")]
    assert ("/login?link=" in pages, "`ringback token link`" in pages) == (has_link, not has_link)
    assert ("/in/ringback_in_" in source, "`ringback source show xendit`" in source) == (has_link, True)


def test_json_lines_are_for_machines(tmp_path):
    """Every line after the announcement is a JSON object; the one of a failed attempt says whose and why."""
    lines, message, endpoint = fail_once(tmp_path, HOSTILE, "json")
    told = [json.loads(line) for line in lines]
    assert all({"at", "level", "message"} <= line.keys() for line in told)
    (failure,) = [line for line in told if line["message"] == "delivery given up"]
    assert (failure["message_id"], failure["endpoint_id"]) == (message, endpoint)
    assert {"level": "warning", "attempt": 1, "outcome": "refused", "status": 500}.items() <= failure.items()


def test_text_lines_are_for_people(tmp_path):
    """One line per event, whatever a receiver or a client sends; a failed attempt names whose and why."""
    lines, message, endpoint = fail_once(tmp_path, HOSTILE, "text")
    shape = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug  |info   |warning|error  ) \S[ -~]*\n")
    assert [line for line in lines if not shape.fullmatch(line)] == []
    assert not [line for line in lines if "forged" in line]
    (failure,) = [line for line in lines if "delivery given up" in line]
    assert f" message_id={message} endpoint_id={endpoint} attempt=1 outcome=refused status=500 " in failure
