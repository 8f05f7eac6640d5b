"""Standard Webhooks signatures against published vectors, the official libraries and hostile input."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.model import HeaderFamily
from ringback.signing import Request, Verified, scheme, standard

VECTORS = {
    vector["name"]: vector
    for vector in json.loads(Path(__file__).with_name("standard_webhooks.json").read_text())["vectors"]
}
VALID = [name for name, vector in VECTORS.items() if vector["expect_valid"]]
REFUSED = [name for name, vector in VECTORS.items() if vector["expect_valid"] is False]
FAMILIES = {"webhook": "webhook-", "svix": "svix-"}
PUBLIC_KEY = VECTORS["sw-v1a-ed25519"]["public_key"]
PRIVATE_KEY = VECTORS["sw-v1a-ed25519"]["private_key"]
SECRET = standard.symmetric_secret(bytes(range(24)))
NOW = 1_700_000_000_000
PROPERTY = settings(deadline=None, max_examples=200)
THOROUGH = settings(deadline=None, max_examples=500)


def signing_secret(vector):
    return vector.get("private_key") or vector["secret"]


def verifying_keys(vector):
    if "secret" in vector:
        return [vector["secret"]]
    return [vector["public_key"], vector["private_key"]]


def renamed(headers, prefix):
    return {prefix + name.removeprefix("webhook-"): value for name, value in headers.items()}


def instant(vector):
    return int(vector["headers"]["webhook-timestamp"]) * 1000


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def signed_by(name, secrets, message_id, now, body):
    return scheme(name).sign(secrets, Request("POST", "", {}, body), now, message_id).headers


def verified_by(name, secrets, headers, body, now):
    return scheme(name).verify(secrets, Request("POST", "", headers, body), now)


def refusal(secrets, headers, body, now=NOW):
    with pytest.raises(SignatureInvalid) as refused:
        verified_by("standard-webhooks", secrets, headers, body, now)
    return refused.value


# --- Published vectors -------------------------------------------------------------------------------------


def test_all_vectors_are_used():
    """No vector is left out: each must verify, must be refused, or is a mere illustration."""
    illustrations = {name for name, vector in VECTORS.items() if vector["expect_valid"] is None}
    assert illustrations == {"sw-spec-header-example"}
    assert len(VALID) + len(REFUSED) + len(illustrations) == len(VECTORS) == 8
    assert all(vector["source"] for vector in VECTORS.values())


@pytest.mark.parametrize("prefix", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("registered", ["standard-webhooks", "svix"])
@pytest.mark.parametrize("name", VALID)
def test_published_signatures_verify(name, registered, prefix):
    """Every published signature verifies under both header families, whichever scheme is asked."""
    vector = VECTORS[name]
    for secret in verifying_keys(vector):
        headers = renamed(vector["headers"], prefix)
        verified = verified_by(registered, [secret], headers, vector["body"].encode(), instant(vector))
        assert verified == Verified(event_id=vector["id"], event_type=None, sent_at=instant(vector), key=0)


@pytest.mark.parametrize(("registered", "prefix"), [("standard-webhooks", "webhook-"), ("svix", "svix-")])
@pytest.mark.parametrize("name", VALID)
def test_signing_reproduces_published_signatures(name, registered, prefix):
    """Signing the published input gives the published headers, under the scheme's own header names."""
    vector = VECTORS[name]
    headers = signed_by(
        registered, [signing_secret(vector)], vector["id"], instant(vector), vector["body"].encode()
    )
    assert headers == renamed(vector["headers"], prefix)
    assert headers[prefix + "signature"] == vector["expected"]


@pytest.mark.parametrize("prefix", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("name", [name for name in REFUSED if "headers" in VECTORS[name]])
def test_published_forgeries_are_refused(name, prefix):
    """Signatures published as wrong are refused under both header families."""
    vector = VECTORS[name]
    headers = renamed(vector["headers"], prefix)
    assert refusal(verifying_keys(vector), headers, vector["body"].encode(), instant(vector)).reason == (
        "signature_mismatch"
    )


@pytest.mark.parametrize("prefix", FAMILIES.values(), ids=FAMILIES)
def test_the_specification_illustration_is_refused(prefix):
    """The specification's example belongs to another message, so the key it was made with refuses it."""
    vector = VECTORS["sw-spec-header-example"]
    assert refusal([PUBLIC_KEY], renamed(vector["headers"], prefix), b"{}", instant(vector)).reason == (
        "signature_mismatch"
    )


# --- Key confusion -----------------------------------------------------------------------------------------


def test_a_public_key_never_serves_as_a_hmac_secret():
    """A receiver that knows only a public key refuses HMACs keyed with that key's published forms."""
    vector = VECTORS["sw-key-confusion-MUST-FAIL"]
    for forged in vector["forged_signatures"]:
        headers = {
            "webhook-id": vector["id"],
            "webhook-timestamp": str(vector["timestamp"]),
            "webhook-signature": forged,
        }
        assert (
            refusal([vector["secret"]], headers, vector["body"].encode(), NOW).reason == "signature_mismatch"
        )


@pytest.mark.parametrize("version", ["v1", "v1a"])
@pytest.mark.parametrize(
    "hmac_key",
    [PUBLIC_KEY.encode(), PUBLIC_KEY[5:].encode(), base64.b64decode(PUBLIC_KEY[5:])],
    ids=["text", "base64", "raw"],
)
def test_hmacs_keyed_with_any_form_of_a_public_key_are_refused(hmac_key, version):
    """The algorithm follows from the kind of key, whatever the header claims."""
    signature = base64.b64encode(hmac.digest(hmac_key, b"m.1700000000.{}", hashlib.sha256)).decode()
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"{version},{signature}",
    }
    assert refusal([PUBLIC_KEY], headers, b"{}").reason == "signature_mismatch"


def test_versions_are_not_interchangeable():
    """A genuine signature under the other version's name is refused, and the message names both versions."""
    headers = dict(signed_by("standard-webhooks", [SECRET], "m", NOW, b"{}"))
    headers["webhook-signature"] = headers["webhook-signature"].replace("v1,", "v1a,")
    assert "signed with v1a, but the secrets given verify v1" in refusal([SECRET], headers, b"{}").detail


def test_public_keys_cannot_sign():
    """Asking to sign with a public key is refused as invalid input, not attempted."""
    with pytest.raises(InvalidInput, match="whsk_"):
        signed_by("standard-webhooks", [PUBLIC_KEY], "m", NOW, b"{}")


# --- The official libraries --------------------------------------------------------------------------------


@pytest.mark.parametrize("registered", ["standard-webhooks", "svix"])
def test_official_libraries_verify_what_we_sign(registered):
    """The standardwebhooks and svix packages accept our headers, for every live secret during a rotation."""
    now = int(time.time() * 1000)
    newer = standard.symmetric_secret(bytes(range(100, 132)))
    body = '{"name":"Bukit Bintang ☕"}'
    headers = signed_by(registered, [newer, SECRET], "msg_1", now, body.encode())
    for secret in (newer, SECRET):
        svix.webhooks.Webhook(secret).verify(body, dict(headers))
        if registered == "standard-webhooks":
            standardwebhooks.Webhook(secret).verify(body, dict(headers))


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_we_verify_what_official_libraries_sign(library):
    """A signature made by an official library verifies here."""
    signature = library(SECRET).sign("msg_1", datetime.fromtimestamp(NOW // 1000, UTC), "{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW // 1000), "webhook-signature": signature}
    assert verified_by("standard-webhooks", [SECRET], headers, b"{}", NOW).event_id == "msg_1"


# --- Rotation ----------------------------------------------------------------------------------------------


def test_each_live_key_signs_separated_by_single_spaces():
    """During a rotation the header holds one signature per key, in order, separated by exactly one space."""
    headers = signed_by("standard-webhooks", [SECRET, PRIVATE_KEY], "m", NOW, b"{}")
    parts = headers["webhook-signature"].split(" ")
    assert [part.partition(",")[0] for part in parts] == ["v1", "v1a"]
    assert all(base64.b64decode(part.partition(",")[2], validate=True) for part in parts)


def test_the_fitting_secret_is_named():
    """Verifying tells which of several secrets fits, so that a rotation can be seen to be over."""
    headers = signed_by("standard-webhooks", [PRIVATE_KEY], "m", NOW, b"{}")
    verified = verified_by("standard-webhooks", [SECRET, PUBLIC_KEY], headers, b"{}", NOW)
    assert verified.key == 1


def test_unknown_versions_and_noise_are_passed_over():
    """Signatures of versions yet to come, and parts that are not signatures, do not hide a genuine one."""
    headers = dict(signed_by("standard-webhooks", [SECRET], "m", NOW, b"{}"))
    headers["webhook-signature"] = "v9,AAAA  nonsense v1, v1,!!! " + headers["webhook-signature"]
    assert verified_by("standard-webhooks", [SECRET], headers, b"{}", NOW).event_id == "m"


def test_the_number_of_candidates_is_bounded():
    """Past 64 candidate signatures nothing is looked at, so a long header costs a sender, not us."""
    headers = dict(signed_by("standard-webhooks", [SECRET], "m", NOW, b"{}"))
    headers["webhook-signature"] = "v1,AAAA " * standard.MAX_SIGNATURES + headers["webhook-signature"]
    assert refusal([SECRET], headers, b"{}").reason == "signature_mismatch"


# --- Time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-300_000, -299_999, 0, 299_999, 300_000])
def test_timestamps_within_five_minutes_are_accepted(offset):
    """A timestamp up to and including 300 s from now, in either direction, is accepted."""
    headers = signed_by("standard-webhooks", [SECRET], "m", NOW, b"{}")
    assert verified_by("standard-webhooks", [SECRET], headers, b"{}", NOW - offset).sent_at == NOW


@pytest.mark.parametrize(
    ("offset", "reason"), [(-300_001, "timestamp_too_old"), (300_001, "timestamp_too_new")]
)
def test_timestamps_past_five_minutes_are_refused(offset, reason):
    """One millisecond beyond 300 s is refused, and the reason tells the direction."""
    headers = signed_by("standard-webhooks", [SECRET], "m", NOW, b"{}")
    assert refusal([SECRET], headers, b"{}", NOW - offset).reason == reason


@pytest.mark.parametrize(
    "timestamp", ["-1", "+1700000000", "1700000000.0", " 1700000000", "1e9", "٣", "²", "1" * 13, "x", "0x10"]
)
def test_odd_timestamps_are_refused(timestamp):
    """Only plain ASCII digits are a timestamp."""
    headers = {"webhook-id": "m", "webhook-timestamp": timestamp, "webhook-signature": "v1,AAAA"}
    assert refusal([SECRET], headers, b"{}").reason == "timestamp_malformed"


# --- Missing and malformed headers -------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_a_missing_header_is_named(name, prefix):
    """Without one of the three headers, the refusal names the missing one in its family."""
    headers = renamed(signed_by("standard-webhooks", [SECRET], "m", NOW, b"{}"), prefix)
    del headers[prefix + name]
    error = refusal([SECRET], headers, b"{}")
    assert error.reason == "header_missing"
    assert f"-{name}" in error.detail


def test_families_are_not_mixed():
    """Three headers taken from two families do not add up to a signature."""
    headers = dict(signed_by("standard-webhooks", [SECRET], "m", NOW, b"{}"))
    headers["svix-id"] = headers.pop("webhook-id")
    assert refusal([SECRET], headers, b"{}").reason == "header_missing"


@pytest.mark.parametrize("signature", ["v1", "v1,", ",", " ", "v1,*", "é,é", "v1,AAA"])
def test_signature_headers_without_a_signature_are_refused(signature):
    """A header that holds no version and base64 is called malformed, not merely mismatched."""
    headers = {"webhook-id": "m", "webhook-timestamp": str(NOW // 1000), "webhook-signature": signature}
    assert refusal([SECRET], headers, b"{}").reason == "signature_malformed"


# --- Keys --------------------------------------------------------------------------------------------------


@given(st.binary(min_size=24, max_size=75))
@PROPERTY
def test_secrets_of_24_to_75_bytes_round_trip(entropy):
    """Every secret of a length the specification allows signs, verifies, and pleases the official library."""
    now = int(time.time() * 1000)
    secret = standard.symmetric_secret(entropy)
    headers = signed_by("standard-webhooks", [secret], "m", now, b"{}")
    assert verified_by("standard-webhooks", [secret], headers, b"{}", now).key == 0
    standardwebhooks.Webhook(secret).verify("{}", dict(headers))


@pytest.mark.parametrize("length", [0, 1, 23, 76, 200])
def test_secrets_of_other_lengths_are_refused(length):
    """A secret shorter than 24 or longer than 75 bytes is refused, and the message says how long it is."""
    with pytest.raises(InvalidInput, match=f"24 to 75 bytes, this one {length}"):
        standard.parse_signing_key(standard.symmetric_secret(bytes(length)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec",
        "secret",
        "WHSEC_" + "A" * 32,
        "whsec_" + "A" * 31,
        "whsec_" + "é" * 32,
        "whsec_\ud800",
        "whsk_" + "A" * 43 + "=",
        PRIVATE_KEY[:-4] + "AA==",
    ],
)
def test_malformed_keys_are_refused(text):
    """A key without its prefix, its length, its base64 or its matching halves is invalid input."""
    with pytest.raises(InvalidInput):
        standard.parse_signing_key(text)
    with pytest.raises(InvalidInput):
        standard.parse_verifying_key(text)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_public_keys_are_32_bytes(length):
    """A public key of another length is invalid input."""
    with pytest.raises(InvalidInput, match="32 bytes"):
        standard.parse_verifying_key(standard.PUBLIC_PREFIX + base64.b64encode(bytes(length)).decode())


def test_the_public_half_is_what_a_receiver_is_shown():
    """A receiver is shown the public half of a key pair, and a shared secret as it is."""
    assert standard.shown_key(PRIVATE_KEY) == PUBLIC_KEY
    assert standard.shown_key(SECRET) == SECRET


def test_generated_key_pairs_verify():
    """A key pair made from a seed signs what its public half verifies."""
    pair = standard.asymmetric_secret(bytes(range(32)))
    headers = signed_by("svix", [pair], "m", NOW, b"{}")
    assert verified_by("svix", [standard.shown_key(pair)], headers, b"{}", NOW).event_id == "m"


def test_an_unknown_scheme_is_refused_with_the_known_ones():
    """A wrong scheme name is answered with the names there are."""
    with pytest.raises(InvalidInput, match="standard-webhooks, svix"):
        scheme("standard")


# --- Hostile input -----------------------------------------------------------------------------------------

header_names = st.sampled_from([name for names in standard.FAMILIES.values() for name in names])
header_values = st.one_of(
    st.text(),
    st.just(str(NOW // 1000)),
    st.from_regex(r"(v1a?,[A-Za-z0-9+/=]{0,90} ?){0,3}", fullmatch=True),
)
key_texts = st.one_of(
    st.text(),
    st.sampled_from([SECRET, PRIVATE_KEY, PUBLIC_KEY]),
    st.builds(
        lambda prefix, raw: prefix + base64.b64encode(raw).decode(),
        st.sampled_from(["whsec_", "whsk_", "whpk_"]),
        st.binary(max_size=80),
    ),
    st.builds(lambda prefix, text: prefix + text, st.sampled_from(["whsec_", "whsk_", "whpk_"]), st.text()),
)


@given(
    st.dictionaries(header_names, header_values),
    st.binary(),
    st.lists(key_texts, max_size=3),
    st.integers(0, 2**43),
)
@THOROUGH
def test_hostile_input_is_refused_with_nothing_but_our_own_errors(headers, body, secrets, now):
    """Whatever headers, bytes and keys arrive, the answer is SignatureInvalid."""
    with pytest.raises(SignatureInvalid) as refused:
        verified_by("standard-webhooks", secrets, headers, body, now)
    assert refused.value.detail


@given(st.dictionaries(header_names, header_values), st.binary())
@THOROUGH
def test_made_up_requests_never_verify_with_good_keys(headers, body):
    """With well-formed keys, a made-up request is refused for a reason that a program can read."""
    error = refusal([SECRET, PUBLIC_KEY], headers, body)
    assert error.reason in {
        "header_missing",
        "timestamp_malformed",
        "timestamp_too_old",
        "timestamp_too_new",
        "signature_malformed",
        "signature_mismatch",
    }


@given(st.sampled_from([SECRET, PRIVATE_KEY]), st.binary(min_size=1, max_size=200), st.data())
@PROPERTY
def test_a_flipped_bit_anywhere_in_the_body_is_refused(secret, body, data):
    """Any single bit changed in the body breaks the signature; unchanged, it verifies."""
    headers = signed_by("standard-webhooks", [secret], "msg_1", NOW, body)
    verified_by("standard-webhooks", [secret], headers, body, NOW)
    changed = flipped(body, data.draw(st.integers(0, len(body) * 8 - 1)))
    assert refusal([secret], headers, changed).reason == "signature_mismatch"


@pytest.mark.parametrize("secret", [SECRET, PRIVATE_KEY], ids=["v1", "v1a"])
def test_a_flipped_bit_anywhere_in_the_signature_is_refused(secret):
    """Any single bit changed in the signature's bytes breaks it."""
    headers = dict(signed_by("standard-webhooks", [secret], "msg_1", NOW, b"{}"))
    version, _, encoded = headers["webhook-signature"].partition(",")
    signature = base64.b64decode(encoded)
    for bit in range(len(signature) * 8):
        changed = base64.b64encode(flipped(signature, bit)).decode()
        headers["webhook-signature"] = f"{version},{changed}"
        assert refusal([secret], headers, b"{}").reason == "signature_mismatch"


@pytest.mark.parametrize("secret", [SECRET, PRIVATE_KEY], ids=["v1", "v1a"])
@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_a_flipped_bit_anywhere_in_the_id_or_timestamp_is_refused(name, secret):
    """Any single bit changed in the id or the timestamp is refused, even within the tolerance."""
    headers = dict(signed_by("standard-webhooks", [secret], "msg_1", NOW, b"{}"))
    genuine = headers[name].encode()
    for bit in range(len(genuine) * 8):
        headers[name] = flipped(genuine, bit).decode("latin-1")
        refusal([secret], headers, b"{}")


@pytest.mark.parametrize("family", HeaderFamily)
def test_a_request_signed_for_another_message_is_refused(family):
    """A signature does not carry over to another message id."""
    headers = dict(
        standard.signature_headers([standard.parse_signing_key(SECRET)], family, "msg_1", NOW, b"{}")
    )
    headers[standard.FAMILIES[family][0]] = "msg_2"
    assert refusal([SECRET], headers, b"{}").reason == "signature_mismatch"
