"""Shared secrets: the configurable HMAC, tokens, Basic, signed forms and signed fields."""

import base64
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.signing import (
    SCHEMES,
    Algorithm,
    BasicAuthentication,
    Encoding,
    FieldHmac,
    Hmac,
    ItemHmac,
    Parts,
    Request,
    SecretForm,
    SharedToken,
    SignedForm,
    StandardWebhooks,
    TimeUnit,
    scheme,
)
from ringback.signing.contract import MAX_HEADER, MAX_SIGNATURES
from ringback.signing.template import render

NOW = 1_700_000_000_000
URL = "https://shop.example/hooks"
SECRET = "an-ordinary-secret"
PARTS = Hmac(header="x-signature", parts=Parts(), template="{timestamp}.{body}", tolerance=300_000)
PROPERTY = settings(deadline=None, max_examples=60)


def post(body=b"{}", headers=None, url=URL):
    return Request("POST", url, headers or {}, body)


def refusal(judge, secrets, request, now=NOW):
    with pytest.raises(SignatureInvalid) as refused:
        judge.verify(secrets, request, now)
    return refused.value.reason


# --- The registry ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "ed25519"])
def test_every_registered_scheme_verifies_what_it_signs(name):
    """Each scheme by name signs a request that it verifies, and refuses it unsigned."""
    secrets = {
        "basic": "user:password",
        "standard-webhooks": "whsec_" + "A" * 32,
        "svix": "whsec_" + "A" * 32,
        "message-signatures": "A" * 32,
    }
    secret = [secrets.get(name, SECRET)]
    signed = scheme(name).sign(secret, post(), NOW, "evt_1")
    assert scheme(name).verify(secret, signed, NOW).key == 0
    assert refusal(scheme(name), secret, post()) == "header_missing"


# --- HMAC --------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(Algorithm),
    st.sampled_from(Encoding),
    st.sampled_from(
        ["{body}", "{timestamp}.{body}", "{id}:{timestamp}:{method}{url}{body}", "{path}{digest}{crc32}"]
    ),
    st.sampled_from([None, Parts(), Parts(separator=";", timestamp="ts", signatures=("h1", "h2"))]),
    st.sampled_from(TimeUnit),
    st.binary(max_size=50),
)
@PROPERTY
def test_every_combination_of_parameters_round_trips(  # noqa: PLR0917 - drawn, not called
    algorithm, encoding, template, parts, unit, body
):
    """Whatever the parameters, what one value signs it verifies, with its time and id."""
    judge = Hmac(
        header="x-signature",
        algorithm=algorithm,
        encoding=encoding,
        template=template,
        parts=parts,
        prefix="" if parts else "sig=",
        timestamp_header=None if parts else "x-time",
        timestamp_unit=unit,
        id_header="x-id",
        tolerance=1_000,
    )
    signed = judge.sign([SECRET], post(body), NOW, "evt_1")
    verified = judge.verify(["another", SECRET], signed, NOW)
    assert (verified.key, verified.sent_at, verified.event_id) == (1, NOW, "evt_1")
    assert refusal(judge, ["another"], signed) == "signature_mismatch"


@pytest.mark.parametrize("form", SecretForm)
def test_a_secret_is_read_as_its_form_says(form):
    """The same text is another key as text, hex and base64; what is not of its form is unusable."""
    judge = Hmac(header="x-signature", secret_form=form)
    text = "00112233445566778899aabbccddeeff"
    signed = judge.sign([text], post(), NOW, "")
    for other in SecretForm:
        other_judge = Hmac(header="x-signature", secret_form=other)
        if other is form:
            assert other_judge.verify([text], signed, NOW).key == 0
        else:
            assert refusal(other_judge, [text], signed) == "signature_mismatch"
    if form is not SecretForm.TEXT:
        assert refusal(judge, ["not & of the form"], signed) == "secret_unusable"


@pytest.mark.parametrize(
    ("offset", "reason"),
    [(300_000, None), (300_001, "timestamp_too_old"), (-300_000, None), (-301_000, "timestamp_too_new")],
)
def test_freshness_is_two_sided(offset, reason):
    """A timestamp as far as the tolerance from now, either way, is accepted; farther, it is refused."""
    signed = PARTS.sign([SECRET], post(), NOW, "")
    if reason is None:
        assert PARTS.verify([SECRET], signed, NOW + offset).sent_at == NOW
    else:
        assert refusal(PARTS, [SECRET], signed, NOW + offset) == reason


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.7e9", "nan", "Infinity", "1_700", "٣", "1" * 15, "1" * 16, " 1700000000"]
)
def test_odd_timestamps_are_refused(text):
    """Only plain ASCII digits are a number of seconds."""
    request = post(headers={"x-signature": f"t={text},v1=00"})
    assert refusal(PARTS, [SECRET], request) == "timestamp_malformed"


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "9999", "2026-03-02T25:00Z"]
)
def test_odd_times_are_refused(text):
    """What is no RFC 3339 time is refused, at the ends of the calendar too."""
    judge = Hmac(header="x-signature", timestamp_header="x-time", timestamp_unit=TimeUnit.ISO)
    assert (
        refusal(judge, [SECRET], post(headers={"x-signature": "00", "x-time": text})) == "timestamp_malformed"
    )


def test_parts_are_found_by_name():
    """Order, unknown parts and other versions do not matter; of several signatures any may fit."""
    signed = PARTS.sign([SECRET], post(), NOW, "").headers["x-signature"]
    timestamp, signature = signed.split(",")
    for text in (f"{signature},{timestamp}", f"v9=x, {timestamp} ,v0=00,v1=00,{signature},x"):
        assert PARTS.verify([SECRET], post(headers={"x-signature": text}), NOW).key == 0


def test_the_number_of_candidates_is_bounded():
    """Past sixteen signatures in a header nothing is looked at."""
    signed = PARTS.sign([SECRET], post(), NOW, "").headers["x-signature"]
    timestamp, signature = signed.split(",")
    late = ",".join([timestamp, *["v1=00"] * MAX_SIGNATURES, signature])
    assert refusal(PARTS, [SECRET], post(headers={"x-signature": late})) == "signature_malformed"


def test_overlong_headers_are_refused():
    """A header past the bound is refused before it is read."""
    request = post(headers={"x-signature": "0" * (MAX_HEADER + 1)})
    assert refusal(PARTS, [SECRET], request) == "header_too_long"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "header_missing"),
        ("", "header_missing"),
        ("v1=00", "timestamp_missing"),
        ("t=1700000000", "signature_malformed"),
        ("t=1700000000,v1=", "signature_malformed"),
        ("t=1700000000,v1=xyz", "signature_malformed"),
        ("t=1700000000,v1=" + "AA" * 32, "signature_mismatch"),
    ],
)
def test_what_is_missing_is_told_from_what_is_wrong(header, reason):
    """A missing header, a missing part, a signature of another form and a wrong one have reasons of their own."""
    assert refusal(PARTS, [SECRET], post(headers={} if header is None else {"x-signature": header})) == reason


def test_a_wrong_form_is_named():
    """A signature in another encoding is refused with the form that is expected."""
    judge = Hmac(header="x-signature")
    other = Hmac(header="x-signature", encoding=Encoding.BASE64)
    with pytest.raises(SignatureInvalid, match="not 32 bytes in hex"):
        judge.verify([SECRET], other.sign([SECRET], post(), NOW, ""), NOW)


def test_whsec_means_what_the_scheme_says():
    """The same whsec_ text is a key as it stands for a plain HMAC, and base64 for Standard Webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    plain = Hmac(
        header="webhook-signature",
        prefix="v1,",
        encoding=Encoding.BASE64,
        template="{id}.{timestamp}.{body}",
        timestamp_header="webhook-timestamp",
        id_header="webhook-id",
    )
    assert (
        refusal(StandardWebhooks(), [secret], plain.sign([secret], post(), NOW, "m")) == "signature_mismatch"
    )
    assert (
        refusal(plain, [secret], StandardWebhooks().sign([secret], post(), NOW, "m")) == "signature_mismatch"
    )


@pytest.mark.parametrize(
    "secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAA"]
)
def test_standard_secrets_without_prefix_or_padding_serve(secret):
    """A secret shown without its prefix or its padding is the secret."""
    whole = "whsec_" + secret.removeprefix("whsec_") + "=" * (-len(secret.removeprefix("whsec_")) % 4)
    signed = StandardWebhooks().sign([whole], post(), NOW, "m")
    assert StandardWebhooks().verify([secret], signed, NOW).event_id == "m"


def test_signing_needs_a_secret_that_can():
    """Without a secret, or with an unusable one, signing says so."""
    for secrets in ([], [""]):
        with pytest.raises(InvalidInput):
            PARTS.sign(secrets, post(), NOW, "")


def test_a_template_with_an_unknown_name_is_a_mistake():
    """A template's names are checked; a wrong one is a mistake of whoever wrote it."""
    with pytest.raises(InvalidInput, match=r"no \{bodyy\}"):
        render("{bodyy}", post())


def test_a_template_takes_headers():
    """A header in a template is signed, and must be there."""
    judge = Hmac(header="x-signature", template="{header:x-shop}|{body}")
    signed = judge.sign([SECRET], post(headers={"x-shop": "1"}), NOW, "")
    assert judge.verify([SECRET], signed, NOW).key == 0
    assert refusal(judge, [SECRET], signed.with_headers({"x-shop": "2"})) == "signature_mismatch"
    assert refusal(judge, [SECRET], signed.with_headers({"x-shop": ""})) == "header_missing"


# --- Tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Bearer another", "token_mismatch"),
        ("Bearer ", "token_mismatch"),
        (SECRET, "signature_malformed"),
        ("", "header_missing"),
    ],
)
def test_a_bearer_token_is_compared_whole(header, reason):
    """Only the prefix and the very token are accepted."""
    judge = SharedToken(header="authorization", prefix="Bearer ")
    assert judge.verify([SECRET], post(headers={"authorization": f"Bearer {SECRET}"}), NOW).key == 0
    assert refusal(judge, [SECRET], post(headers={"authorization": header})) == reason


def test_basic_takes_any_spelling_of_its_name():
    """RFC 7617: the kind is not case-sensitive; the password may hold a colon."""
    credentials = base64.b64encode(b"user:pass:word").decode()
    for kind in ("Basic", "basic", "BASIC"):
        request = post(headers={"authorization": f"{kind} {credentials}"})
        assert BasicAuthentication().verify(["user:pass:word"], request, NOW).key == 0


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic é", "Basic !!!", "Basic dXNlcjp4"])
def test_other_credentials_are_refused(header):
    """Another kind, what is not base64, and other credentials are refused."""
    assert refusal(BasicAuthentication(), ["user:password"], post(headers={"authorization": header})) in {
        "signature_malformed",
        "token_mismatch",
    }
    assert refusal(BasicAuthentication(), ["no colon"], post()) == "secret_unusable"


# --- Signed forms ------------------------------------------------------------------------------------------

TWILIO = SignedForm(header="x-twilio-signature")
FORM = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}


@pytest.mark.parametrize(
    ("signed_url", "seen_url"),
    [
        ("https://a.example/x", "https://a.example:443/x"),
        ("https://a.example:443/x", "https://a.example/x"),
        ("http://a.example/x?y=1", "http://a.example:80/x?y=1"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x"),
    ],
)
def test_the_default_port_does_not_matter(signed_url, seen_url):
    """A URL signed with its default port verifies without, and the other way round."""
    signed = TWILIO.sign([SECRET], post(b"a=1", FORM, signed_url), NOW, "")
    assert TWILIO.verify([SECRET], Request("POST", seen_url, signed.headers, b"a=1"), NOW).key == 0


@pytest.mark.parametrize(
    "seen_url", ["https://a.example:444/x", "http://a.example/x", "https://a.example/y", "", "https://["]
)
def test_another_url_is_refused(seen_url):
    """Another port, scheme or path is another URL."""
    signed = TWILIO.sign([SECRET], post(b"a=1", FORM, "https://a.example/x"), NOW, "")
    assert refusal(TWILIO, [SECRET], Request("POST", seen_url, signed.headers, b"a=1")) in {
        "signature_mismatch",
        "url_malformed",
    }


def test_a_body_that_is_no_form_must_be_hashed_in_the_url():
    """JSON verifies by the hash in the URL; without the hash, or with another's, it is refused."""
    signed = TWILIO.sign([SECRET], post(b'{"a":1}', {"content-type": "application/json"}), NOW, "")
    assert "bodySHA256=" in signed.url
    assert TWILIO.verify([SECRET], signed, NOW).key == 0
    assert refusal(TWILIO, [SECRET], signed.with_body(b'{"a":2}')) == "digest_mismatch"
    empty = TWILIO.sign([SECRET], post(b""), NOW, "")
    assert refusal(TWILIO, [SECRET], empty.with_body(b'{"a":1}')) == "body_uncovered"


def test_fields_are_signed_sorted_and_each_value_once():
    """Names in order, and of each name its distinct values in order, follow the URL: Twilio's rule."""
    body = b"b=&a=2&a=1&a=2&%C3%A9=%E2%98%95"
    signature = base64.b64encode(
        hmac.digest(SECRET.encode(), f"{URL}a1a2b\u00e9\u2615".encode(), "sha1")
    ).decode()
    request = post(body, {**FORM, "x-twilio-signature": signature})
    assert TWILIO.verify([SECRET], request, NOW).key == 0


@pytest.mark.parametrize("body", [b"a=\xff", b"a=%FF", b"&".join([b"a=1"] * 1_001)])
def test_forms_that_cannot_be_read_are_refused(body):
    """A form that is not UTF-8 or has too many fields is refused, not guessed at."""
    request = post(body, {**FORM, "x-twilio-signature": "AAAA"})
    assert refusal(TWILIO, [SECRET], request) == "body_malformed"


# --- Signed fields -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"[" * 10_000,
        b'{"signature":1}',
        b'{"signature":{"timestamp":[],"token":1}}',
    ],
)
def test_bodies_without_the_signed_fields_are_refused(body):
    """A body that is no JSON, or lacks a field, is refused as malformed."""
    assert refusal(FieldHmac(place="signature"), [SECRET], post(body)) == "body_malformed"


@pytest.mark.parametrize(
    "items",
    [
        None,
        [],
        [{}],
        [{"NotificationRequestItem": {}}],
        [{"NotificationRequestItem": {"additionalData": {"hmacSignature": "x"}, "amount": [1]}}],
        [{"NotificationRequestItem": {"additionalData": {"hmacSignature": "x"}, "success": 1.5}}],
        [{"NotificationRequestItem": {"additionalData": {"hmacSignature": "x"}}}] * 101,
    ],
)
def test_notifications_without_signed_items_are_refused(items):
    """No items, an item without a signature, one of another shape, and too many are refused as malformed."""
    request = post(json.dumps({"notificationItems": items}).encode())
    assert refusal(ItemHmac(), ["00" * 32], request) == "body_malformed"


def test_every_item_must_be_signed():
    """One genuine item does not carry an unsigned one with it."""
    items = [{"NotificationRequestItem": {"pspReference": str(number)}} for number in range(2)]
    signed = json.loads(
        ItemHmac().sign(["00" * 32], post(json.dumps({"notificationItems": items}).encode()), NOW, "").body
    )
    del signed["notificationItems"][1]["NotificationRequestItem"]["additionalData"]
    assert refusal(ItemHmac(), ["00" * 32], post(json.dumps(signed).encode())) == "body_malformed"


@pytest.mark.parametrize("judge", [FieldHmac(place="signature"), ItemHmac()])
def test_signing_a_body_that_cannot_be_signed_says_so(judge):
    """Asking to sign a body without room for a signature is invalid input."""
    with pytest.raises(InvalidInput):
        judge.sign(["00" * 32], post(b"not json"), NOW, "")


def test_no_digit_passes_from_the_timestamp_to_the_token():
    """Where nothing separates the two, another split of the same text is not the same request."""
    judge = FieldHmac(place="signature")
    fields = json.loads(judge.sign([SECRET], post(b"{}"), NOW, "1evt").body)["signature"]
    shifts = [
        {"timestamp": fields["timestamp"][:-1], "token": fields["timestamp"][-1] + fields["token"]},
        {"timestamp": fields["timestamp"] + "1", "token": fields["token"][1:]},
    ]
    for shift in shifts:
        body = json.dumps({"signature": {**fields, **shift}}).encode()
        assert refusal(judge, [SECRET], post(body)) == "timestamp_malformed"
