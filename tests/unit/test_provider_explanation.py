"""Explanations of refusals: each names what went wrong and what to do, and never tells a secret."""

import json

import msgspec
import pytest
from senders import FORM, NOW, SENDERS, URL

from ringback.providers import explain, provider
from ringback.signing import Request

BODY = '{"id": "evt_1", "url": "https://x.example/é", "amounts": [1, 2.5], "a": {"z": 1, "b": 2}}'


def signed(name, body, url=URL, headers=None):
    sender = SENDERS[name]
    request = Request("POST", url, headers or {}, body)
    return sender.profile.scheme.sign([sender.signing], request, NOW, "evt_1")


def hints(name, request, secrets=None, now=NOW):
    found = explain(provider(name), secrets or SENDERS[name].secrets, request, now)
    return " | ".join((found.reason, found.detail, *found.hints))


def test_what_verifies_needs_no_explanation():
    """A genuine request has none."""
    github = SENDERS["github"]
    assert explain(github.profile, github.secrets, github.signed(), NOW) is None


@pytest.mark.parametrize(
    "sent",
    [
        json.dumps(json.loads(BODY)),
        json.dumps(json.loads(BODY), separators=(",", ":")),
        json.dumps(json.loads(BODY), separators=(",", ":"), ensure_ascii=False),
        json.dumps(json.loads(BODY), separators=(",", ":"), ensure_ascii=False).replace("/", "\\/"),
        json.dumps(json.loads(BODY), indent=2),
        json.dumps(json.loads(BODY), indent=4) + "\n",
    ],
)
@pytest.mark.parametrize("name", ["github", "stripe", "sendgrid"])
def test_a_body_written_anew_is_recognised(name, sent):
    """When the body verifies as its sender is likely to have written it, something in between rewrote it."""
    request = signed(name, sent.encode())
    seen = json.dumps(json.loads(BODY), sort_keys=True, separators=(",", " :"))
    rewritten = json.dumps(json.loads(BODY), separators=(" ,", ":")).encode()
    assert seen.encode() != sent.encode() != rewritten
    assert "parsed the body and wrote it anew" in hints(name, request.with_body(rewritten))


@pytest.mark.parametrize(
    ("sent", "seen", "hint"),
    [
        (b"{}\r\n", b"{}", "with CR and LF at its end"),
        (b"{}\n", b"{}", "with a line break at its end"),
        (b"{}", b"{}\n", "without the white space at its end"),
        (b"{}", b"\xef\xbb\xbf{}", "without a byte order mark"),
        (b"a\nb", b"a\r\nb", "with LF for CR LF"),
    ],
)
def test_changed_ends_of_lines_are_recognised(sent, seen, hint):
    """A line break lost or gained on the way is named."""
    assert hint in hints("github", signed("github", sent).with_body(seen))


def test_an_empty_or_decompressed_body_is_pointed_out():
    """An empty body, and one that came compressed, are worth a hint of their own."""
    request = signed("github", b"{}")
    assert "a framework may have read it before" in hints("github", request.with_body(b""))
    unpacked = request.with_body(b"[]").with_headers({"content-encoding": "gzip"})
    assert "verify the bytes as they came" in hints("github", unpacked)


@pytest.mark.parametrize(
    ("offset", "words"),
    [(400_000, "400 s old: this machine's clock is fast"), (-400_000, "made 400 s from now")],
)
def test_a_clock_that_is_off_is_measured(offset, words):
    """A signature that is right but for its time tells by how much the clocks differ."""
    for name in ("stripe", "standard-webhooks", "slack", "plaid", "message-signatures"):
        assert words in hints(name, SENDERS[name].signed(), now=NOW + offset)


def test_an_old_forgery_is_both():
    """A request that is too old and wrong besides is not called right."""
    request = SENDERS["stripe"].signed().with_body(b"[]")
    assert "the signature is wrong as well" in hints("stripe", request, now=NOW + 400_000)


def test_blanks_around_the_secret_are_recognised():
    """A line break after the secret, as from a file, is named; the secret is not."""
    github = SENDERS["github"]
    found = hints("github", github.signed(), [github.signing + "\n"])
    assert "remove them" in found
    assert github.signing not in found


def test_another_providers_request_is_recognised():
    """A request of another provider, and a secret of another scheme, are named."""
    assert "the request carries stripe-signature" in hints("github", SENDERS["stripe"].signed())
    assert "verifies as one of: stripe" in hints("github", SENDERS["stripe"].signed())
    assert "verifies as one of: typeform" in hints(
        "bitbucket",
        Request(
            "POST",
            URL,
            {**SENDERS["typeform"].signed().headers, "x-hub-signature": "sha256=00"},
            SENDERS["typeform"].body,
        ),
    )
    assert "no signature header of any known provider" in hints("github", SENDERS["github"].bare)


def test_a_secret_read_as_another_scheme_reads_it_is_recognised():
    """Headers of Standard Webhooks under the wrong profile point to the right one."""
    assert "standard-webhooks" in hints(
        "stripe", SENDERS["standard-webhooks"].signed(), ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    )


@pytest.mark.parametrize(
    ("sent", "seen", "headers", "words"),
    [
        ("https://shop.example/in", "http://shop.example/in", {}, "with https://"),
        ("https://shop.example/in/", "https://shop.example/in", {}, "slash at its end"),
        ("https://shop.example/in", "https://shop.example/in?x=1", {}, "without its query"),
        ("https://shop.example/in", "https://shop.example:8443/in", {}, "without its port"),
        (
            "https://shop.example/in",
            "http://10.0.0.1:8000/in",
            {"x-forwarded-host": "shop.example"},
            "on the host shop.example, with https://",
        ),
        (
            "https://shop.example/in",
            "http://10.0.0.1/in",
            {"host": "shop.example"},
            "on the host shop.example",
        ),
    ],
)
@pytest.mark.parametrize("name", ["square", "twilio", "hubspot"])
def test_a_url_that_a_proxy_changed_is_recognised(name, sent, seen, headers, words):
    """Where the URL is signed, the one that the sender was given is found and named."""
    request = signed(name, b"a=1", sent, {**FORM, **headers})
    changed = msgspec.structs.replace(request, url=seen)
    assert words in hints(name, changed)


def test_an_unusable_secret_is_explained():
    """A secret that cannot be used is the reason, without being shown."""
    found = hints("standard-webhooks", SENDERS["standard-webhooks"].signed(), ["whsec_tooshort"])
    assert found.startswith("secret_unusable")
    assert "tooshort" not in found
