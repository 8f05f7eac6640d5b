"""The sandbox as a process: bytes that are no HTTP, ends by signal and by SIGKILL, and options that cannot be."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading

import pytest
from running import LOOPBACK, Answer, environment, receiving
from sandbox_process import sandbox

DRAFT = {"external_id": "order", "amount": 10_000}
RAW = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a path that is no text": b"GET /v2/invoices/%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n",
    "a raw path": b"GET /v2/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    "a raw header": b"GET /v2/invoices HTTP/1.1\r\nhost: x\r\nauthorization: \xff\xfe\r\n\r\n",
    "a wrong length": b"POST /v2/invoices HTTP/1.1\r\nhost: x\r\ncontent-length: much\r\n\r\n",
    "an unknown verb": b"BREW /v2/invoices HTTP/1.1\r\nhost: x\r\n\r\n",
    "a wrong chunk": b"POST /v2/invoices HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a long head": b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
}


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with sandbox(tmp_path_factory.mktemp("sandbox")) as box:
        yield box


def said(port, raw):
    """Send bytes; return all that comes back until the other side or silence ends it."""
    answer = b""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        # What is refused may be refused before all of it was sent.
        with contextlib.suppress(OSError):
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65_536):
                answer += more
    return answer


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_request(box, name):
    """Any bytes get an answer below 500 or none; the sandbox goes on, and its log has no traceback."""
    answer = said(box.process.port, RAW[name])
    assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert box.ask("GET", "/v2/invoices")[0] == 200
    assert not [line for line in box.process.lines if "Traceback" in line]


def test_a_large_body(box):
    """A body beyond a mebibyte is refused in the provider's shape."""
    status, error = box.ask("POST", "/v2/invoices", b" " * (1024 * 1024 + 1))
    assert (status, error["error_code"]) == (413, "REQUEST_TOO_LARGE")


def test_a_signal_ends_it(tmp_path):
    """SIGTERM ends it with 0, and the next run in the folder knows what there was."""
    with sandbox(tmp_path) as box:
        made = box.ok("POST", "/v2/invoices", DRAFT)
        assert box.process.stop() == 0
    with sandbox(tmp_path) as box:
        assert box.ok("GET", f"/v2/invoices/{made['id']}")["status"] == "PENDING"


def test_what_was_answered_survives_a_kill(tmp_path, store):
    """Each payment that was answered before a SIGKILL is there after it, and its webhook comes, on either store."""
    paid, rounds = set(), 3
    options, settings = (["--store", store["store"]], store) if store else ([], {})
    with receiving(lambda _: Answer(200)) as receiver:
        for number in range(rounds):
            with sandbox(tmp_path, "--webhook-url", receiver.url, *options, **settings) as box:
                enough = threading.Event()
                payer = threading.Thread(target=pay_on, args=(box, number, paid, enough))
                payer.start()
                assert enough.wait(60)
                box.process.kill()
                payer.join()
        with sandbox(tmp_path, *options, **settings) as box:
            receiver.until(lambda: paid <= {json.loads(one.body)["id"] for one in receiver.ledger})
            for invoice in paid:
                assert box.ok("GET", f"/v2/invoices/{invoice}")["status"] == "PAID"
    assert len(paid) >= 20 * rounds


def pay_on(box, number, paid, enough):
    """Make and pay invoices until the sandbox is gone."""
    with contextlib.suppress(OSError, http.client.HTTPException, json.JSONDecodeError):
        for count in range(100_000):
            made = box.ok("POST", "/v2/invoices", DRAFT | {"external_id": f"order-{number}-{count}"})
            box.ok("POST", f"/sandbox/invoices/{made['id']}/pay")
            paid.add(made["id"])
            if count == 20:
                enough.set()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--listen", "nowhere"], 3, "--listen"),
        (["--time-scale", "0"], 2, "--time-scale"),
        (["--webhook-url", "ftp://shop.example"], 3, "http"),
        (["--store", "mysql://x"], 3, "store"),
        (["--store", "sqlite://x.db"], 3, "sqlite:///"),
        (["--timeout", "soon"], 2, "'--timeout'"),
        (["--allow", "all"], 2, "'--allow'"),
        (["--public-url", "nowhere"], 2, "'--public-url'"),
        (["--user-agent", "a\nb"], 2, "'--user-agent'"),
        (["--speed", "9"], 2, "--speed"),
    ],
)
def test_options_that_cannot_be(tmp_path, options, code, words):
    """A wrong option ends it at once, with what is wrong and the exit code for that, and no traceback."""
    done = run(tmp_path, "--listen", "127.0.0.1:0", *options)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(tmp_path, box):
    """Where another program listens, it says so and what to do."""
    done = run(tmp_path, "--listen", f"127.0.0.1:{box.process.port}")
    assert (done.returncode, "is taken" in done.stderr) == (3, True), done.stderr


def test_a_store_that_another_plays_on(tmp_path):
    """Two sandboxes on one file would each know half; the second says so, and can start when the first has gone."""
    with sandbox(tmp_path) as box:
        done = run(tmp_path, "--listen", "127.0.0.1:0")
        assert (done.returncode, "another sandbox" in done.stderr) == (3, True), done.stderr
        box.process.kill()
    with sandbox(tmp_path) as box:
        assert box.ask("GET", "/v2/invoices")[0] == 200


def run(folder, *options):
    return subprocess.run(
        [sys.executable, "-m", "ringback", "sandbox", "xendit", *options],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
