"""``ringback signature``: the three verbs, what they print, and the exit codes they leave with."""

import io
import json
import os
import sys

import pytest
from senders import BASE64_KEY, ED25519, ED25519_HEX, private_pem

from ringback.cli import run
from ringback.config import load

NOW = "1700000000"
SECRET = "an-ordinary-secret"
BODY = b'{"id": "evt_1", "type": "order.paid"}'


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run every test in a folder with a body in it, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)
    (tmp_path / "body").write_bytes(BODY)


def signature(verb, provider, *options, body="body", secret=SECRET):
    given = [] if secret is None else ["--secret", secret]
    return run(
        ["signature", verb, "--provider", provider, "--now", NOW, *given, "--body-file", body, *options]
    )


def signed(capsys, provider, *options, **others):
    """Sign, and return the options that describe the signed request."""
    assert signature("sign", provider, *options, **others) == 0
    request = json.loads(capsys.readouterr().out)
    headers = [word for name, text in request["headers"].items() for word in ("--header", f"{name}: {text}")]
    return [*headers, "--url", request["url"], "--method", request["method"]]


def test_a_genuine_request_prints_its_id_and_type(capsys):
    """`verify` prints one JSON document and leaves with 0."""
    options = signed(capsys, "stripe")
    assert signature("verify", "stripe", *options) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        "id": "evt_1",
        "type": "order.paid",
        "sentAt": "2023-11-14T22:13:20.000Z",
        "secret": 0,
        "dedupeKey": "evt_1",
        "businessKey": None,
        "test": False,
        "understood": True,
    }


def test_a_forged_request_leaves_with_8_and_one_line(capsys):
    """`verify` says the machine-readable reason in one line on standard error and nothing else."""
    options = signed(capsys, "stripe")
    assert signature("verify", "stripe", *options, secret="another") == 8
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: signature_mismatch: none of the secrets")
    assert captured.err.count("\n") == 1


def test_the_secret_may_come_from_the_environment(capsys, monkeypatch):
    """The variable holds one secret, blanks and line breaks and all, and is no setting of a server's."""
    key = private_pem(ED25519)
    monkeypatch.setenv("RINGBACK_SIGNATURE_SECRET", key)
    options = signed(capsys, "discord", secret=None)
    assert signature("verify", "discord", *options, secret=ED25519_HEX) == 0
    assert load({}, {"RINGBACK_SIGNATURE_SECRET": key}, None)


def test_the_secret_may_come_from_a_file(capsys, tmp_path):
    """A file's last line break is no part of the secret; several secrets are tried."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    options = signed(capsys, "github")
    assert signature("verify", "github", *options, "--secret-file", "secret", secret="old") == 0
    assert json.loads(capsys.readouterr().out)["secret"] == 1


def test_the_body_may_come_from_standard_input(capsys, monkeypatch):
    """`--body-file -` reads standard input byte for byte."""
    options = signed(capsys, "github")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BODY)))
    assert signature("verify", "github", *options, body="-") == 0


def test_a_header_sent_twice_is_joined(capsys):
    """Repeated headers are joined by commas, as HTTP has it."""
    options = signed(capsys, "message-signatures", "--url", "https://a.example/", secret=BASE64_KEY)
    split = ["--header", "signature: other=:AAAA:", *options]
    assert signature("verify", "message-signatures", *split, secret=BASE64_KEY) == 0


def test_a_url_is_covered_where_it_is_signed(capsys):
    """With the URL the sender was given the request verifies; with another, `explain` finds the right one."""
    options = signed(capsys, "square", "--url", "https://shop.example/in")
    assert signature("verify", "square", *options) == 0
    capsys.readouterr()
    assert signature("explain", "square", *options, "--url", "http://shop.example/in") == 8
    assert "with https://" in capsys.readouterr().out


def test_explain_says_what_to_do(capsys, tmp_path):
    """`explain` prints the reason and hints, leaves with 8, and never prints the secret."""
    options = signed(capsys, "github")
    (tmp_path / "body").write_bytes(BODY.replace(b" ", b""))
    assert signature("explain", "github", *options) == 8
    captured = capsys.readouterr()
    assert captured.out.startswith("signature_mismatch: ")
    assert "\n- the signature is right for the same body" in captured.out
    assert SECRET not in captured.out + captured.err


def test_explain_has_nothing_to_say_about_what_verifies(capsys):
    """`explain` leaves with 0 when the request verifies."""
    options = signed(capsys, "github")
    assert signature("explain", "github", *options) == 0
    assert capsys.readouterr().out == "The request verifies.\n"


def test_a_challenge_is_answered(capsys, tmp_path):
    """`verify` shows the answer to a provider that tries an address out."""
    (tmp_path / "body").write_bytes(b'{"type":"url_verification","challenge":"c1"}')
    options = signed(capsys, "slack")
    assert signature("verify", "slack", *options) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["challenge"]["status"], shown["challenge"]["body"]) == (200, "c1")


def test_a_body_that_is_no_text_is_printed_in_base64(capsys, tmp_path):
    """`sign` prints any bytes."""
    (tmp_path / "body").write_bytes(b"\xff\x00")
    assert signature("sign", "github") == 0
    assert json.loads(capsys.readouterr().out)["bodyBase64"] == "/wA="


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--provider", "nobody", "--secret", "s", "--body-file", "body"], "xendit"),
        (["--provider", "xendit", "--body-file", "body"], "RINGBACK_SIGNATURE_SECRET"),
        (["--provider", "xendit", "--secret", "s", "--body-file", "absent"], "absent"),
        (["--provider", "xendit", "--secret", "s"], "--body-file"),
        (["--provider", "xendit", "--secret", "s", "--body-file", "body", "--header", "x"], "Name: value"),
        (["--provider", "xendit", "--secret", "s", "--body-file", "body", "--now", "-1"], "--now"),
        (["--provider", "xendit", "--secret-file", "binary", "--body-file", "body"], "is not text"),
    ],
)
def test_a_wrong_command_is_2(options, words, capsys, tmp_path):
    """What is missing or wrong is said on standard error, and the exit code is 2."""
    (tmp_path / "binary").write_bytes(b"\xff")
    assert run(["signature", "verify", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


def test_a_secret_that_cannot_sign_is_1(capsys):
    """`sign` with a public key says what is needed."""
    assert signature("sign", "discord", secret=ED25519_HEX) == 1
    assert "private key in PEM" in capsys.readouterr().err
