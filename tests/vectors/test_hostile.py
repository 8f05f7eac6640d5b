"""A corpus of hostile requests: every provider refuses them, or says what they are, and nothing else happens."""

import contextlib
import json
from pathlib import Path

import msgspec
import pytest

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.providers import PROVIDERS, answer_challenge, explain, verify
from ringback.signing import Request

CORPUS = json.loads(Path(__file__).with_name("hostile.json").read_text("utf-8"))
BODIES = [bytes.fromhex(text) for text in CORPUS["bodies"]] + [b"[" * 100_000, b"9" * 10_000, b"a=&" * 5_000]
SECRETS = [
    "secret",
    "",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "user:password",
    "00" * 32,
    "WEBHOOK\nx",
    "{",
]
HEADERS = ("authorization", "content-type", "content-encoding", "host", "x-forwarded-host")
NOW = 1_700_000_000_000
every_provider = pytest.mark.parametrize("profile", PROVIDERS.values(), ids=PROVIDERS)


def names_of(scheme):
    """Return the headers that a scheme may look at, and some that others do."""
    values = (getattr(scheme, name, None) for name in ("header", "timestamp_header", "id_header"))
    fixed = (
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "signature-input",
        "signature",
        "content-digest",
    )
    paypal = ("id", "time", "sig")
    named = [value for value in values if isinstance(value, str)]
    transmission = [f"paypal-transmission-{part}" for part in paypal]
    return [*named, *fixed, *transmission, "paypal-cert-url", "paypal-auth-algo", "client-id", *HEADERS]


def judged(profile, request):
    """Put a request through every door; any exception but a refusal fails the test."""
    with contextlib.suppress(SignatureInvalid):
        verify(profile, SECRETS, request, NOW)
    with contextlib.suppress(SignatureInvalid):
        answer_challenge(profile, SECRETS, request, NOW)


@every_provider
def test_hostile_headers_are_refused(profile):
    """No text in any header raises anything but a refusal."""
    for text in CORPUS["headers"]:
        judged(profile, Request("POST", text, dict.fromkeys(names_of(profile.scheme), text), b"{}"))


@every_provider
def test_hostile_bodies_are_refused_or_not_understood(profile):
    """No body raises anything but a refusal, signed or not, of any media type."""
    for body in BODIES:
        for media_type in ("application/json", "application/x-www-form-urlencoded", ""):
            request = Request("POST", "https://shop.example/in", {"content-type": media_type}, body)
            judged(profile, request)
            for secret in SECRETS:
                with contextlib.suppress(InvalidInput):
                    judged(profile, profile.scheme.sign([secret], request, NOW, "evt_1"))


@every_provider
def test_hostile_requests_are_explained(profile):
    """A refusal of a hostile request can be explained like any other."""
    for text in CORPUS["headers"][::9]:
        request = Request("GET", text, dict.fromkeys(names_of(profile.scheme), text), BODIES[20])
        found = explain(profile, SECRETS[:2], request, NOW)
        assert found is None or found.reason


@every_provider
def test_hostile_methods_and_urls_are_refused(profile):
    """No method and no URL raises anything but a refusal."""
    signed = Request("POST", "https://shop.example/in", {}, b"{}")
    with contextlib.suppress(InvalidInput):
        signed = profile.scheme.sign(SECRETS[:1], signed, NOW, "evt_1")
    for text in CORPUS["headers"]:
        for method in ("GET", "POST", text):
            judged(profile, msgspec.structs.replace(signed, url=text, method=method))
