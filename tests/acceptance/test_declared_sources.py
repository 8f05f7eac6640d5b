"""A source in ringback.toml, end to end: a provider posts, an application in any language gets one scheme."""

import http.client
import json
import subprocess
import sys
from urllib.parse import urlsplit

from running import ADMIN_TOKEN, ANYWHERE, PATIENCE, environment, receiving, running
from standardwebhooks import Webhook

from ringback.testing import secret_for, signed_request

KEY = "whsec_" + "A" * 32
LOCAL = {"admin_token": ADMIN_TOKEN, "allow_subnets": "127.0.0.0/8", "poll_interval": "50ms"}
TOML = """
[sources.xendit]
secrets = ["env:XENDIT_CALLBACK_TOKEN"]
forward = [{{ url = "{url}/hooks", events = ["invoice.*"], secret = "{key}" }}]
ack = {{ status = 200, body = "RECEIVED" }}
"""


def ask(port, *command):
    """Run a command of a client of the server; return what it printed."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ringback",
            *command,
            "--url",
            f"http://127.0.0.1:{port}",
            "--token",
            ADMIN_TOKEN,
        ],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def post(address, request):
    """Send a webhook; return the answer's status and body."""
    parts = urlsplit(address)
    client = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
    client.request("POST", parts.path, request.body, dict(request.headers))
    answer = client.getresponse()
    status, body = answer.status, answer.read()
    client.close()
    return status, body


def test_from_a_provider_to_an_application(tmp_path, store, monkeypatch):
    """A declared source acknowledges a webhook as told, forwards it signed, and refuses what does not verify."""
    with receiving() as receiver:
        (tmp_path / "ringback.toml").write_text(TOML.format(url=receiver.url, key=KEY))
        monkeypatch.setenv("XENDIT_CALLBACK_TOKEN", secret_for("xendit"))
        with running("serve", "--listen", ANYWHERE, folder=tmp_path, **LOCAL, **store) as server:
            address = server.line(r"The source xendit receives at (\S+),")[1]
            shown = json.loads(ask(server.port, "source", "show", "xendit", "--json"))
            assert shown["ingestUrl"] == address
            request = signed_request("xendit", "invoice.paid")
            assert post(address, request) == (200, b"RECEIVED")
            assert post(address, request) == (200, b"RECEIVED")
            assert post(address, signed_request("xendit", secret="of somebody else"))[0] == 401
            receiver.until(lambda: receiver.ledger)
            (arrival,) = receiver.seen()
            assert arrival.body == request.body
            Webhook(KEY).verify(arrival.body, arrival.headers)
            rotated = ask(server.port, "source", "rotate", "xendit").strip()
            assert post(rotated, signed_request("xendit", "invoice.paid"))[0] == 200
            assert server.stop() == 0
        with running("serve", "--listen", ANYWHERE, folder=tmp_path, **LOCAL, **store) as server:
            path = urlsplit(rotated).path
            assert post(f"http://127.0.0.1:{server.port}{path}", request)[0] == 200
            assert not [line for line in server.lines if "receives at" in line]
            assert server.stop() == 0


def test_what_is_declared_no_more_is_logged(tmp_path, store):
    """A source that went from the file stays, and the log says so at the start."""
    file = tmp_path / "ringback.toml"
    file.write_text('[sources.stripe]\nsecrets = ["s"]\n')
    with running("serve", "--listen", ANYWHERE, folder=tmp_path, **LOCAL, **store) as server:
        assert server.stop() == 0
    file.write_text("")
    with running("serve", "--listen", ANYWHERE, folder=tmp_path, **LOCAL, **store) as server:
        server.line("the source stripe is no longer in the configuration file")
        assert "stripe" in ask(server.port, "source", "list")
        assert server.stop() == 0
