"""Secrets at rest: what opens, what does not, and how main keys are read."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import ConfigurationError
from ringback.vault import Vault, parse_main_keys

OLD, NEW, OTHER = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
NONCE = bytes(range(12))
PROPERTY = settings(deadline=None, max_examples=200)


def key_text(key):
    return base64.b64encode(key).decode()


@given(
    st.text(st.characters(exclude_categories=["Cs"])), st.binary(min_size=12, max_size=12), st.text("aé_1")
)
@PROPERTY
def test_what_is_sealed_opens_again(secret, nonce, context):
    """Opening with the same key and context gives back the very secret."""
    assert Vault(OLD).open(Vault(OLD).seal(secret, nonce, context), context) == secret


def test_the_secret_cannot_be_read_from_the_seal():
    """Neither the secret nor the key appears in what is stored."""
    sealed = Vault(OLD).seal("whsec_very_secret", NONCE, "ep_1")
    assert b"very_secret" not in sealed
    assert OLD[:8] not in sealed


def test_a_main_key_is_changed_by_putting_a_new_one_in_front():
    """With a new key in front, old seals still open and new ones need the new key."""
    old, rotating, new = Vault(OLD), Vault(NEW, OLD), Vault(NEW)
    before, after = old.seal("a", NONCE, "ep_1"), rotating.seal("b", NONCE, "ep_1")
    assert rotating.open(before, "ep_1") == "a"
    assert new.open(after, "ep_1") == "b"
    with pytest.raises(ConfigurationError, match="another main key"):
        new.open(before, "ep_1")
    with pytest.raises(ConfigurationError, match="another main key"):
        old.open(after, "ep_1")


def test_the_wrong_key_is_told_from_tampering():
    """Without the key, the message says which setting to mend."""
    with pytest.raises(ConfigurationError, match="add that key to the main_key setting"):
        Vault(OTHER).open(Vault(OLD).seal("a", NONCE, "ep_1"), "ep_1")


def test_a_seal_is_bound_to_its_context():
    """A seal copied to another record does not open there."""
    with pytest.raises(ConfigurationError, match="changed outside Ringback"):
        Vault(OLD).open(Vault(OLD).seal("a", NONCE, "ep_1"), "ep_2")


def test_any_changed_bit_is_noticed():
    """A seal with any single bit changed does not open."""
    sealed = Vault(OLD).seal("whsec_x", NONCE, "ep_1")
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ConfigurationError):
            Vault(OLD).open(bytes(changed), "ep_1")


def test_any_truncated_seal_is_noticed():
    """A seal cut short anywhere is refused as a configuration error, never with a bare exception."""
    sealed = Vault(OLD).seal("whsec_x", NONCE, "ep_1")
    for length in range(len(sealed)):
        with pytest.raises(ConfigurationError):
            Vault(OLD).open(sealed[:length], "ep_1")


@given(st.binary(max_size=80))
@PROPERTY
def test_arbitrary_bytes_do_not_open(sealed):
    """Bytes that were never sealed are refused as a configuration error."""
    with pytest.raises(ConfigurationError):
        Vault(OLD).open(sealed, "ep_1")
    with pytest.raises(ConfigurationError):
        Vault(OLD).open(Vault(OLD).seal("", NONCE, "")[:5] + sealed, "ep_1")


@pytest.mark.parametrize("keys", [(), (b"",), (OLD[:31],), (OLD + b"x",), (OLD, b"short")])
def test_a_vault_needs_keys_of_32_bytes(keys):
    """A vault without a key, or with one of another length, is not built."""
    with pytest.raises(ConfigurationError, match="32 bytes"):
        Vault(*keys)


def test_main_keys_are_read_from_text():
    """Keys are base64 separated by commas, blanks around them allowed, the sealing one first."""
    vault = parse_main_keys(f" {key_text(NEW)} ,{key_text(OLD)}\n")
    assert vault.open(Vault(OLD).seal("a", NONCE, "c"), "c") == "a"
    assert Vault(NEW).open(vault.seal("b", NONCE, "c"), "c") == "b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "secret",
        "é" * 44,
        "\ud800",
        key_text(OLD[:31]),
        key_text(OLD) + ",",
        key_text(OLD)[:-1],
        "=" * 44,
    ],
)
def test_text_that_is_no_key_is_refused(text):
    """What is not base64 of 32 bytes is refused, and the message says what a key looks like."""
    with pytest.raises(ConfigurationError, match="44 characters of base64"):
        parse_main_keys(text)


@given(st.text())
@PROPERTY
def test_any_text_is_a_key_or_a_configuration_error(text):
    """Whatever the setting holds, the answer is a vault or a configuration error that does not repeat it."""
    try:
        parse_main_keys(text)
    except ConfigurationError as error:
        assert "44 characters" in error.detail  # noqa: PT017 - most texts fail, but one that is a key may pass
