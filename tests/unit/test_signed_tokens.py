"""Signed tokens: what is taken, what is not, and that one algorithm alone counts."""

import base64
import hashlib
import hmac
import json

import pytest

from ringback.access import ADMINISTRATOR, RIGHTS, Principal, Scope
from ringback.signed_tokens import DEFAULT_ORGANISATION, LEEWAY, Signer

SECRET = "the secret that signs the tokens"
NOW = 1_772_452_800_000
SECONDS = NOW // 1000
SIGNER = Signer(secrets=(SECRET,))
APP = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2"
# Made by hand from RFC 7515, appendix A.1: the key is the base64url there, the claims are not ours.
RFC_TOKEN = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)


def part(value):
    """Return one part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(claims, head=None, secret=SECRET, digest=hashlib.sha256):
    """Sign claims by hand."""
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'} if head is None else head)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), digest))}"


def claims(**more):
    """Return the claims of an organisation's token as a Svix server makes it."""
    lasting = {"iat": SECONDS, "exp": SECONDS + 3600, "nbf": SECONDS}
    return {**lasting, "iss": "svix-server", "sub": DEFAULT_ORGANISATION, **more}


def test_an_organisation_s_token():
    """A token as a Svix server makes it for its organisation may do everything, until it expires."""
    read = SIGNER.read(token(claims()), NOW)
    assert (read.principal, read.until) == (ADMINISTRATOR, NOW + 3_600_000 + LEEWAY)


def test_an_application_s_token():
    """That of an application may do what a portal does, in that application, with its feature flags."""
    read = SIGNER.read(token(claims(org=DEFAULT_ORGANISATION, sub=APP, feature_flags=["beta"])), NOW)
    rights, flags = RIGHTS[Scope.PORTAL], frozenset({"beta"})
    assert read.principal == Principal(rights=rights, application_id=APP, feature_flags=flags)


@pytest.mark.parametrize("application", [None, APP])
def test_what_is_made_is_read(application):
    """A token of our own making is good for its lifetime, and a minute that clocks may differ by."""
    made = SIGNER.make(NOW, 60_000, application)
    assert SIGNER.read(made, NOW).principal.application_id == application
    assert SIGNER.read(made, NOW - LEEWAY) is not None
    assert SIGNER.read(made, NOW + 60_000 + LEEWAY - 1) is not None
    assert SIGNER.read(made, NOW + 60_000 + LEEWAY) is None
    assert SIGNER.read(made, NOW - LEEWAY - 1000) is None


def test_a_token_without_an_end():
    """Without ``exp`` it does not expire."""
    forever = claims()
    del forever["exp"]
    assert SIGNER.read(token(forever), NOW * 10).until is None


def test_secrets_change():
    """Both secrets' tokens are good while both are set; new ones are signed with the first."""
    both = Signer(secrets=("a newer secret for the tokens", SECRET))
    assert both.read(SIGNER.make(NOW, 60_000), NOW) is not None
    assert SIGNER.read(both.make(NOW, 60_000), NOW) is None
    assert Signer(secrets=both.secrets[:1]).read(both.make(NOW, 60_000), NOW) is not None


def test_another_organisation():
    """A secret may be shared by organisations: the others' tokens are refused, and so are their applications'."""
    other = Signer(secrets=(SECRET,), organisation="org_other")
    for application in (None, APP):
        assert SIGNER.read(other.make(NOW, 60_000, application), NOW) is None


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "hs256"},
        {"alg": "HS384"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "ES256"},
        {"alg": ""},
        {"alg": None},
        {"alg": ["HS256"]},
        {"typ": "JWT"},
        {"alg": "HS256", "crit": ["exp"]},
        [],
        b"{",
        b"\xff",
        b"[" * 5000,
    ],
)
def test_no_other_algorithm(head):
    """Only HS256 is taken, whatever the token says; and no extension that must be understood."""
    assert SIGNER.read(token(claims(), head), NOW) is None
    assert SIGNER.read(token(claims(), head).rpartition(".")[0] + ".", NOW) is None


@pytest.mark.parametrize("digest", [hashlib.sha384, hashlib.sha512])
def test_no_other_hash(digest):
    """A signature with another hash is none, though the head says HS256."""
    assert SIGNER.read(token(claims(), digest=digest), NOW) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": None},
        {"sub": 1},
        {"sub": ""},
        {"sub": APP},
        {"sub": DEFAULT_ORGANISATION, "org": DEFAULT_ORGANISATION},
        {"sub": "src_1srOrx2ZWZBpBUvZwXKQmoEYga2", "org": DEFAULT_ORGANISATION},
        {"exp": "tomorrow"},
        {"exp": SECONDS - 61},
        {"exp": -1e308},
        {"nbf": SECONDS + 61},
        {"nbf": 1e308},
        {"feature_flags": "beta"},
    ],
)
def test_claims_that_are_not_good(changed):
    """Nobody's, of the wrong kind, too early or too late: none of these gets anybody in."""
    assert SIGNER.read(token(claims(**changed)), NOW) is None


@pytest.mark.parametrize("exp", [1e308, SECONDS + 0.5, 2**63])
def test_dates_may_be_any_number(exp):
    """A date is any number (RFC 7519, section 2), also one that no calendar has."""
    assert SIGNER.read(token(claims(exp=exp)), NOW) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "é.b.c",
        "a.b.c.d",
        "." * 9000,
        RFC_TOKEN,
        token(claims(), secret="x"),
        "=.=.=",
    ],
)
def test_what_is_no_token(text):
    """Anything else is refused quietly."""
    assert SIGNER.read(text, NOW) is None


def test_a_changed_token():
    """Of a good token no character can be another one."""
    good = token(claims())
    for at in range(0, len(good) - 1, 7):
        other = "A" if good[at] != "A" else "B"
        assert SIGNER.read(good[:at] + other + good[at + 1 :], NOW) is None
