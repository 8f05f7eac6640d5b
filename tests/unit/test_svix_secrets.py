"""Signing secrets as a Svix server keeps them, plain and encrypted."""

import base64

import pytest

from ringback.errors import ConfigurationError
from ringback.origins.svix_secrets import SvixSecrets, subkey
from ringback.signing.standard import asymmetric_secret, parse_signing_key
from svix_database import ED25519, HMAC, encrypted

KEY = bytes(range(24))
TEXT = "whsec_" + base64.b64encode(KEY).decode()


def test_subkey_of_the_draft():
    """The key of XChaCha20 is derived as in draft-irtf-cfrg-xchacha-03, 2.2.1."""
    nonce = bytes.fromhex("000000090000004a0000000031415927")
    assert subkey(bytes(range(32)), nonce).hex() == (
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    )


def test_plain_keys():
    """A key is HMAC or Ed25519 by its first byte; one of 24 bytes is older than that."""
    pair = asymmetric_secret(bytes(32))
    raw = base64.b64decode(pair.removeprefix("whsk_"))
    read = SvixSecrets(None)
    assert read.text(bytes([HMAC]) + KEY) == read.text(KEY) == TEXT
    assert read.text(bytes([ED25519]) + raw) == pair
    assert parse_signing_key(read.text(bytes([ED25519]) + raw))
    assert read.old_text(base64.b64encode(bytes([HMAC]) + KEY).decode()) == TEXT
    assert read.old_text(TEXT) == TEXT


def test_encrypted_keys():
    """With the server's main secret they open; without it, or with another, nothing is guessed."""
    kept = encrypted("main", HMAC, KEY)
    assert SvixSecrets("main").text(kept) == TEXT
    with pytest.raises(ConfigurationError, match="set SVIX_MAIN_SECRET"):
        SvixSecrets(None).text(kept)
    for broken in (kept[:-1], kept[:30], kept[:-1] + bytes([kept[-1] ^ 1])):
        with pytest.raises(ConfigurationError, match="not the one"):
            SvixSecrets("main").text(broken)
    with pytest.raises(ConfigurationError, match="not the one"):
        SvixSecrets("other").text(kept)


@pytest.mark.parametrize("kept", [b"", KEY[:23], bytes([3, *range(30)])])
def test_no_keys(kept):
    """What is no key is said to be none."""
    with pytest.raises(ValueError, match="secret"):
        SvixSecrets(None).text(kept)
    with pytest.raises(ValueError, match="secret"):
        SvixSecrets(None).old_text(base64.b64encode(kept).decode() if kept else "!")
