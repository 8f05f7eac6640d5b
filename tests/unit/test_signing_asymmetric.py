"""Key pairs: public-key signatures, PayPal's and SNS's certificates, Plaid's token, HTTP Message Signatures."""

import base64
import datetime as dt
import json

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from senders import (
    BASE64_KEY,
    ED25519,
    ED25519_HEX,
    NOW,
    P256,
    RSA,
    SENDERS,
    certificate_pem,
    private_pem,
    public_pem,
)

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.signing import BodyHashToken, MessageSignatures, Request, keys, scheme

URL = "https://shop.example/hooks?shop=1"
PAYPAL = SENDERS["paypal"]
SNS = SENDERS["sns"]
PAYPAL_HOST = "messageverificationcerts.paypal.com"


def post(body=b"{}", headers=None):
    return Request("POST", URL, headers or {}, body)


def refusal(judge, secrets, request, now=NOW):
    with pytest.raises(SignatureInvalid) as refused:
        judge.verify(secrets, request, now)
    return refused.value.reason


def base64url(number, size=32):
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).decode().rstrip("=")


def ec_jwk(key, **others):
    numbers = key.public_key().public_numbers()
    return json.dumps(
        {"kty": "EC", "crv": "P-256", "x": base64url(numbers.x), "y": base64url(numbers.y), **others}
    )


# --- Keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        ED25519_HEX,
        public_pem(ED25519),
        private_pem(ED25519),
        "".join(public_pem(ED25519).splitlines()[1:-1]),
        json.dumps({"kty": "OKP", "crv": "Ed25519", "x": base64url(int(ED25519_HEX, 16))}),
    ],
    ids=["hex", "pem", "private pem", "der", "jwk"],
)
def test_a_public_key_has_many_spellings(text):
    """Hex, PEM, DER in base64 and JWK are the same key; a private key stands in for its public half."""
    signed = scheme("ed25519").sign([private_pem(ED25519)], post(), NOW, "")
    assert scheme("ed25519").verify([text], signed, NOW).sent_at == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "00" * 31,
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\né\n-----END PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "{",
        "{}",
        '{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}',
        '{"kty":"OKP","crv":"Ed25519","x":"!"}',
        '{"kty":"RSA","n":"AQ","e":"AQ"}',
        '{"kty":"oct","k":"AAAA"}',
        "\ud800",
        public_pem(P256),
        public_pem(RSA),
    ],
)
def test_what_is_no_suitable_key_is_unusable(text):
    """A broken key, and one of another kind, is refused as a secret that cannot be used."""
    signed = scheme("ed25519").sign([private_pem(ED25519)], post(), NOW, "")
    assert refusal(scheme("ed25519"), [text], signed) == "secret_unusable"


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65_537, 1024), ec.generate_private_key(ec.SECP256K1())]
)
def test_weak_keys_are_not_trusted(key):
    """RSA below 2048 bits and curves other than P-256 and P-384 are refused."""
    with pytest.raises(InvalidInput, match="2048"):
        keys.public_key(public_pem(key))


def test_signing_needs_the_private_key():
    """A public key cannot sign, and the error says what is needed."""
    with pytest.raises(InvalidInput, match="private key"):
        scheme("ed25519").sign([public_pem(ED25519)], post(), NOW, "")
    with pytest.raises(InvalidInput, match="another kind"):
        scheme("ed25519").sign([private_pem(P256)], post(), NOW, "")


# --- PayPal ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/x",
        "https://api.paypal.com.evil.example/x",
        "https://evil.example/api.paypal.com",
        "https://api.paypal.com@evil.example/x",
        "https://api.paypal.com:8443/x",
        "https://xapi.paypal.com/x",
        "https://[",
        "x",
    ],
)
def test_paypals_certificate_must_be_on_its_host(url):
    """A certificate URL on any host but PayPal's two, or not on HTTPS, is refused."""
    request = PAYPAL.signed().with_headers({"paypal-cert-url": url})
    assert refusal(PAYPAL.profile.scheme, PAYPAL.secrets, request) == "certificate_url_refused"


@pytest.mark.parametrize(
    ("pem", "hint"),
    [
        (certificate_pem(RSA, "evil.example"), "not for a host"),
        (certificate_pem(RSA, "evilpaypal.com"), "not for a host"),
        (certificate_pem(RSA, PAYPAL_HOST, years=1), "not in force"),
        (certificate_pem(RSA, PAYPAL_HOST, starts=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)), "not in force"),
        (public_pem(P256), "another kind"),
        ("no pem", "line break"),
    ],
)
def test_paypals_certificate_must_be_good(pem, hint):
    """A certificate of another host, one not in force, and a key of another kind cannot be used."""
    with pytest.raises(SignatureInvalid, match=hint) as refused:
        PAYPAL.profile.scheme.verify(["WEBHOOK-1\n" + pem], PAYPAL.signed(), NOW)
    assert refused.value.reason == "secret_unusable"


def test_paypals_webhook_id_is_covered():
    """What was signed for another webhook of the same account is refused."""
    other = "WEBHOOK-2\n" + certificate_pem(RSA, PAYPAL_HOST)
    assert refusal(PAYPAL.profile.scheme, [other], PAYPAL.signed()) == "signature_mismatch"


def test_the_request_does_not_choose_the_algorithm():
    """Another algorithm named by the request is refused: PayPal's, Plaid's and SNS's alike."""
    request = PAYPAL.signed().with_headers({"paypal-auth-algo": "SHA1withRSA"})
    assert refusal(PAYPAL.profile.scheme, PAYPAL.secrets, request) == "algorithm_refused"
    notification = SNS.signed()
    other = json.dumps({**json.loads(notification.body), "SignatureVersion": "3"}).encode()
    assert refusal(SNS.profile.scheme, SNS.secrets, notification.with_body(other)) == "algorithm_refused"


# --- SNS ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.us-east-1.amazonaws.com",
        "http://sns.us-east-1.amazonaws.com/x.pem",
        "https://s3.amazonaws.com/x.pem",
        "https://sns..amazonaws.com/x.pem",
        "https://SNS.us-east-1.amazonaws.com/x.pem",
    ],
)
def test_amazons_certificate_must_be_on_its_host(url):
    """A certificate URL on any host but SNS's own is refused."""
    body = json.dumps({**json.loads(SNS.signed().body), "SigningCertURL": url}).encode()
    assert refusal(SNS.profile.scheme, SNS.secrets, post(body)) == "certificate_url_refused"


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_signature_versions_of_sns(version):
    """SHA-1 and SHA-256 verify where they are accepted, and are not taken for each other."""
    only = msgspec.structs.replace(SNS.profile.scheme, versions=(version,))
    signed = only.sign([SNS.signing], SNS.bare, NOW, "evt_1")
    assert only.verify(SNS.secrets, signed, NOW).event_id == "evt_1"
    other = msgspec.structs.replace(only, versions=("1" if version == "2" else "2",))
    assert refusal(other, SNS.secrets, signed) == "algorithm_refused"
    relabelled = {**json.loads(signed.body), "SignatureVersion": "1" if version == "2" else "2"}
    assert (
        refusal(SNS.profile.scheme, SNS.secrets, post(json.dumps(relabelled).encode()))
        == "signature_mismatch"
    )


def test_a_subject_is_signed_if_it_is_there():
    """A notification's Subject is covered; adding one, or taking it away, breaks the signature."""
    with_subject = json.dumps({**json.loads(SNS.body), "Subject": "s"}).encode()
    signed = SNS.profile.scheme.sign([SNS.signing], post(with_subject), NOW, "evt_1")
    assert SNS.profile.scheme.verify(SNS.secrets, signed, NOW).key == 0
    fields = json.loads(signed.body)
    del fields["Subject"]
    assert refusal(SNS.profile.scheme, SNS.secrets, post(json.dumps(fields).encode())) == "signature_mismatch"


# --- Plaid -------------------------------------------------------------------------------------------------

PLAID = BodyHashToken(header="plaid-verification")


def token(head, claims):
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims)
    )
    return ".".join([*parts, "AAAA"])


def test_plaids_token_is_about_this_body_now():
    """The token verifies for five minutes, for its own body, by a key in PEM or as a JWK."""
    signed = PLAID.sign([private_pem(P256)], post(), NOW, "")
    for secret in (public_pem(P256), ec_jwk(P256), ec_jwk(P256, alg="ES256", use="sig")):
        assert PLAID.verify([secret], signed, NOW).sent_at == NOW
    assert refusal(PLAID, [ec_jwk(P256)], signed, NOW + 301_000) == "timestamp_too_old"
    assert refusal(PLAID, [ec_jwk(P256)], signed.with_body(b"[]")) == "digest_mismatch"


def test_plaids_key_is_the_one_the_token_names():
    """A JWK of another kid is not tried; one for another algorithm is unusable."""
    signed = PLAID.sign([private_pem(P256)], post(), NOW, "")
    assert refusal(PLAID, [ec_jwk(P256, kid="other")], signed) == "key_unknown"
    assert refusal(PLAID, [ec_jwk(P256, alg="HS256")], signed) == "secret_unusable"
    other = ec.derive_private_key(7, ec.SECP256R1())
    assert refusal(PLAID, [ec_jwk(other)], signed) == "signature_mismatch"


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256", "es256", ""])
def test_plaids_token_must_be_es256(alg):
    """No other algorithm is accepted, least of all none."""
    text = token({"alg": alg}, {"iat": NOW // 1000, "request_body_sha256": ""})
    assert refusal(PLAID, [ec_jwk(P256)], post(headers={"plaid-verification": text})) == "algorithm_refused"


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "..",
        "a.b.c",
        "a.b.c.d",
        "é.é.é",
        token([], {}),
        token({"alg": "ES256"}, {"iat": "now", "request_body_sha256": ""}),
        token({"alg": "ES256"}, {"iat": 1.5, "request_body_sha256": ""}),
        token({"alg": "ES256"}, {"iat": 1}),
    ],
)
def test_odd_tokens_are_refused(text):
    """What is no token of two JSON objects and a signature is refused as malformed."""
    assert refusal(PLAID, [ec_jwk(P256)], post(headers={"plaid-verification": text})) == "signature_malformed"


# --- HTTP Message Signatures -------------------------------------------------------------------------------

HTTP = MessageSignatures()


def oct_jwk(kid):
    return json.dumps({"kty": "oct", "kid": kid, "k": "A" * 43})


@pytest.mark.parametrize(
    ("signing", "verifying"),
    [
        (BASE64_KEY, BASE64_KEY),
        (oct_jwk("k1"), oct_jwk("k1")),
        (private_pem(ED25519), public_pem(ED25519)),
        (private_pem(P256), ec_jwk(P256)),
        (private_pem(ec.derive_private_key(9, ec.SECP384R1())), None),
        (private_pem(RSA), public_pem(RSA)),
    ],
    ids=["hmac", "hmac jwk", "ed25519", "p256", "p384", "rsa"],
)
def test_every_kind_of_key_signs_and_verifies(signing, verifying):
    """Each algorithm of RFC 9421 that is supported round-trips, and covers body, URL and method."""
    signed = HTTP.sign([signing], post(), NOW, "")
    secret = verifying or signing
    assert HTTP.verify([secret], signed, NOW).sent_at == NOW
    assert refusal(HTTP, [secret], signed.with_body(b"[]")) == "digest_mismatch"
    for part in ({"url": URL + "x"}, {"method": "PUT"}):
        assert refusal(HTTP, [secret], msgspec.structs.replace(signed, **part)) == "signature_mismatch"


def test_a_key_is_not_used_with_another_algorithm():
    """A signature that claims another algorithm than the key's is refused, and so is another key's id."""
    signed = HTTP.sign([oct_jwk("k1")], post(), NOW, "")
    assert refusal(HTTP, [public_pem(ED25519)], signed) == "algorithm_refused"
    assert refusal(HTTP, [oct_jwk("k2")], signed) == "key_unknown"
    assert HTTP.verify([oct_jwk("k2"), oct_jwk("k1")], signed, NOW).key == 1


def changed(signed, old, new):
    text = signed.headers["signature-input"]
    assert old in text
    return signed.with_headers({"signature-input": text.replace(old, new)})


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (' "@target-uri"', "", "component_uncovered"),
        ('"@method" ', "", "component_uncovered"),
        ('"content-digest" ', "", "component_uncovered"),
        (";created=1700000000", "", "timestamp_missing"),
        ("created=1700000000", "created=-1", "timestamp_malformed"),
        ("created=1700000000", "created=1699999000", "timestamp_too_old"),
        ("created=1700000000", "created=1700001000", "timestamp_too_new"),
        ("created=1700000000", "created=1700000000;expires=1699999999", "timestamp_too_old"),
        ('keyid="ringback"', 'keyid="other"', "signature_mismatch"),
        ('"@method"', '"@method" "@method"', "signature_malformed"),
        ('"@method"', '"@method";req', "signature_malformed"),
        ('"@method"', '"@method" "@query-param"', "component_unsupported"),
        ('"@method"', '"@method" "x-not-there"', "header_missing"),
        ('"@method"', '"@method" "X-Upper"', "signature_malformed"),
        ("sig1=(", "sig2=(", "signature_malformed"),
        ("sig1=(", "sig1=", "signature_malformed"),
        (";alg", ",alg", "signature_malformed"),
    ],
)
def test_a_changed_input_is_refused(old, new, reason):
    """What the signature says it covers, its time, key and form are all held to."""
    signed = HTTP.sign([BASE64_KEY], post(), NOW, "")
    assert refusal(HTTP, [BASE64_KEY], changed(signed, old, new)) == reason


def test_authority_and_path_cover_the_target_too():
    """A signature over authority and path instead of the target URI satisfies the policy."""
    judge = MessageSignatures(
        required=("@method", "content-digest", "@authority", "@path"), covers_target=False
    )
    signed = judge.sign([BASE64_KEY], post(), NOW, "")
    assert HTTP.verify([BASE64_KEY], signed, NOW).key == 0
    other_query = msgspec.structs.replace(signed, url=URL.replace("shop=1", "shop=2").replace("//s", "//S"))
    assert HTTP.verify([BASE64_KEY], other_query, NOW).key == 0


def test_the_tag_is_held_to():
    """With a tag demanded, a signature without it or with another is refused."""
    tagged = MessageSignatures(tag="ringback")
    assert tagged.verify([BASE64_KEY], tagged.sign([BASE64_KEY], post(), NOW, ""), NOW).key == 0
    assert refusal(tagged, [BASE64_KEY], HTTP.sign([BASE64_KEY], post(), NOW, "")) == "tag_mismatch"


def test_one_good_signature_among_others_is_enough():
    """A proxy's signature beside the sender's does no harm, whatever it covers."""
    signed = HTTP.sign([BASE64_KEY], post(), NOW, "")
    both = signed.with_headers(
        {
            "signature-input": f"proxy=();created=1, {signed.headers['signature-input']}",
            "signature": f"proxy=:AAAA:, {signed.headers['signature']}",
        }
    )
    assert HTTP.verify([BASE64_KEY], both, NOW).key == 0


@pytest.mark.parametrize(
    "digest",
    ["", "md5=:AAAA:", "sha-256=AAAA", "sha-256=:!:", "sha-256=:AAAA:,", "sha-256=:AAAA: sha-512=:AAAA:"],
)
def test_odd_digests_are_refused(digest):
    """A Content-Digest without a known algorithm, or that cannot be read, is refused."""
    signed = HTTP.sign([BASE64_KEY], post(), NOW, "").with_headers({"content-digest": digest})
    assert refusal(HTTP, [BASE64_KEY], signed) in {"header_missing", "signature_mismatch"}


@pytest.mark.parametrize("secret", ["", "short", "AAAA", "\ud800"])
def test_short_shared_keys_are_unusable(secret):
    """A shared key of less than sixteen bytes is refused."""
    assert refusal(HTTP, [secret], post()) == "secret_unusable"
