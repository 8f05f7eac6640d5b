"""Published signatures of every scheme but Standard Webhooks verify, are reproduced, and forgeries are refused."""

import json
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest

from ringback.errors import SignatureInvalid
from ringback.providers import answer_challenge, provider, verify
from ringback.signing import (
    Algorithm,
    Encoding,
    Hmac,
    MessageSignatures,
    PublicAlgorithm,
    Request,
    Verified,
    asymmetric,
    keys,
    message_signatures,
)

VECTORS = {
    vector["name"]: vector
    for vector in json.loads(Path(__file__).with_name("schemes.json").read_text("utf-8"))["vectors"]
}
NOW = 1_700_000_000_000
URL = "https://shop.example/hooks"
FORM = {"content-type": "application/x-www-form-urlencoded"}

# Where a vector's signature goes: provider, header, and what stands before the signature.
IN_ONE_HEADER = {
    "github-docs": ("github", "x-hub-signature-256"),
    "bitbucket-docs": ("bitbucket", "x-hub-signature"),
    "shopify-api-js": ("shopify", "x-shopify-hmac-sha256"),
    "twilio-form": ("twilio", "x-twilio-signature"),
    "twilio-http-port-1234": ("twilio", "x-twilio-signature"),
    "twilio-https-port-443": ("twilio", "x-twilio-signature"),
    "twilio-json-bodySHA256": ("twilio", "x-twilio-signature"),
    "square-1": ("square", "x-square-hmacsha256-signature"),
    "adyen-platform-payload": ("adyen-platform", "hmacsignature"),
    "hubspot-v1": ("hubspot-v1", "x-hubspot-signature"),
    "hubspot-v2": ("hubspot-v2", "x-hubspot-signature"),
    "hubspot-v3": ("hubspot", "x-hubspot-signature-v3"),
    "razorpay-webhook": ("razorpay", "x-razorpay-signature"),
    "linear": ("linear", "linear-signature"),
    "typeform": ("typeform", "typeform-signature"),
    "intercom": ("intercom", "x-hub-signature"),
    "paystack": ("paystack", "x-paystack-signature"),
    "meta-unicode-body": ("meta", "x-hub-signature-256"),
    "slack-docs": ("slack", "x-slack-signature"),
    "zoom-event": ("zoom", "x-zm-signature"),
    "paddle-hello": ("paddle", "paddle-signature"),
    "paddle-special_chars_payload": ("paddle", "paddle-signature"),
    "stripe-v1": ("stripe", "stripe-signature"),
    "stripe-v1-rotation": ("stripe", "stripe-signature"),
    "paymongo-test-mode": ("paymongo", "paymongo-signature"),
    "doku-non-snap": ("doku", "signature"),
    "gitlab-signing-token": ("gitlab-signed", "webhook-signature"),
}
CONVOY = [name for name in VECTORS if name.startswith("convoy-")]
PLAIN = [name for name in VECTORS if name.startswith("outpost-")]
ADYEN_ITEMS = ["adyen-notification-item", "adyen-colon", "adyen-forwardslash"]
SENDGRID = ["sendgrid-event-webhook", "sendgrid-body-without-crlf"]
RFC_9421 = [name for name in VECTORS if name.startswith("rfc9421-")]
BY_HAND = {
    "razorpay-payment-return",
    "paypal-signed-string",
    "midtrans-docs-inputs",
    "rfc9530-content-digest-sha512",
    "xendit-callback-token",
    "zoom-url-validation",
    "mailgun",
}


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def body_of(vector):
    return vector["body"].encode() if vector.get("body") is not None else urlencode(vector["params"]).encode()


def moment(vector):
    """Return the instant of a vector, and the request's timestamp headers."""
    text = str(vector.get("timestamp") or vector.get("headers", {}).get("x-zm-request-timestamp") or "")
    if not text:
        return NOW, {}
    instant = int(text) if len(text) > 10 else int(text) * 1000
    names = ("x-hubspot-request-timestamp", "x-zm-request-timestamp", "webhook-timestamp")
    return instant, dict.fromkeys(names, text)


def request_of(vector, name):
    """Build the request a vector is about, signed as it says."""
    _, signature_header = IN_ONE_HEADER[name]
    now, headers = moment(vector)
    headers |= lower(vector.get("headers", {})) if isinstance(vector.get("headers"), dict) else {}
    headers |= FORM if "params" in vector else {}
    headers |= {"webhook-id": vector["id"]} if "id" in vector else {}
    if name == "doku-non-snap":
        headers |= {
            "client-id": "MCH-0001",
            "request-id": "req-1",
            "request-timestamp": "2020-08-11T08:45:42Z",
        }
    headers[signature_header] = vector.get("header") or vector["expected"]
    url = vector.get("url") or "https://shop.example/payments/notifications"
    return Request("POST", url, headers, body_of(vector)), now


def refusal(scheme, secrets, request, now=NOW):
    with pytest.raises(SignatureInvalid) as refused:
        scheme.verify(secrets, request, now)
    return refused.value.reason


def test_no_vector_is_left_out():
    """Every vector in the file is used by a test of this one."""
    used = {*IN_ONE_HEADER, *CONVOY, *PLAIN, *ADYEN_ITEMS, *SENDGRID, *RFC_9421, *BY_HAND}
    assert used == set(VECTORS)
    assert len(VECTORS) == 57


@pytest.mark.parametrize("name", IN_ONE_HEADER)
def test_a_signature_in_a_header_verifies(name):
    """The provider's profile accepts the vector's request, and another secret or body is refused."""
    vector = VECTORS[name]
    request, now = request_of(vector, name)
    profile = provider(IN_ONE_HEADER[name][0])
    assert verify(profile, [vector["secret"]], request, now).key == 0
    assert verify(profile, ["whsec_" + "A" * 44, vector["secret"]], request, now).key == 1
    assert refusal(profile.scheme, ["whsec_" + "A" * 44 if name[:6] == "gitlab" else "00" * 32], request, now)
    assert refusal(profile.scheme, [vector["secret"]], request.with_body(request.body + b"&x=1"), now) in {
        "signature_mismatch",
        "digest_mismatch",
    }


@pytest.mark.parametrize("name", IN_ONE_HEADER)
def test_signing_reproduces_the_signature(name):
    """Signing the vector's request gives the vector's signature, where the header holds one signature."""
    vector = VECTORS[name]
    request, now = request_of(vector, name)
    profile, header = provider(IN_ONE_HEADER[name][0]), IN_ONE_HEADER[name][1]
    sent = request.headers.get("request-timestamp")
    now = 1_597_135_542_000 if sent else now
    bare = Request(request.method, request.url.partition("&bodySHA256")[0], request.headers, request.body)
    event_id = vector.get("id") or "req-1"
    signed = profile.scheme.sign([vector["secret"]], bare, now, event_id).headers[header]
    assert vector["expected"] in {signed, signed.rpartition("=")[2], signed.partition(",te=")[2][:64]}
    assert signed == request.headers[header] or name in {"paddle-hello", "stripe-v1-rotation"}


@pytest.mark.parametrize("name", CONVOY)
def test_convoy(name):
    """Convoy's two modes in all their encodings, and its six kinds of forgery."""
    vector = VECTORS[name]
    profile = provider("convoy-advanced" if vector["scheme"] == "convoy/advanced" else "convoy")
    scheme = msgspec.structs.replace(
        profile.scheme,
        algorithm=Algorithm(vector["hash"].lower()),
        encoding=Encoding(vector["encoding"]),
        tolerance=vector["tolerance"] * 1000,
    )
    request = Request("POST", URL, {"x-convoy-signature": vector["header"]}, vector["body"].encode())
    now = NOW + 86_400_000
    if vector["expect_valid"]:
        assert scheme.verify([vector["secret"]], request, now).key == 0
    else:
        assert refusal(scheme, [vector["secret"]], request, now) in {
            "timestamp_too_old",
            "signature_mismatch",
            "timestamp_malformed",
            "timestamp_missing",
        }


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_hmac(name):
    """The configurable HMAC gives the published signature for each hash."""
    vector = VECTORS[name]
    algorithm = Algorithm(name.rpartition("-")[2])
    scheme = Hmac(header="x-signature", algorithm=algorithm)
    request = Request("POST", URL, {"x-signature": vector["expected"]}, vector["body"].encode())
    assert scheme.verify([vector["secret"]], request, NOW).key == 0
    assert scheme.sign([vector["secret"]], request, NOW, "").headers["x-signature"] == vector["expected"]


@pytest.mark.parametrize("name", ADYEN_ITEMS)
def test_adyen_items(name):
    """Every item of a notification must be signed; separators inside values are part of them."""
    vector = VECTORS[name]
    profile, secret = provider("adyen"), vector["secret"]
    signed = {**vector["item"], "additionalData": {"hmacSignature": vector["expected"]}}
    forged = {**signed, "success": "false"}

    def notification(*items):
        wrapped = [{"NotificationRequestItem": item} for item in items]
        return Request("POST", URL, {}, json.dumps({"notificationItems": wrapped}).encode())

    received = verify(profile, [secret], notification(signed), NOW)
    assert received.event_type == "AUTHORISATION"
    assert received.dedupe_key == f"{vector['item']['pspReference']}:AUTHORISATION:true"
    assert refusal(profile.scheme, [secret], notification(signed, forged)) == "signature_mismatch"
    made = json.loads(profile.scheme.sign([secret], notification(vector["item"]), NOW, "").body)
    item = made["notificationItems"][0]["NotificationRequestItem"]
    assert item["additionalData"]["hmacSignature"] == vector["expected"]


@pytest.mark.parametrize("name", SENDGRID)
def test_sendgrid(name):
    """The line break at the end of SendGrid's body is signed; without it the signature is refused."""
    vector = VECTORS[name]
    scheme = provider("sendgrid").scheme
    headers = {scheme.header: vector["expected"], scheme.timestamp_header: vector["timestamp"]}
    request = Request("POST", URL, headers, vector["body"].encode())
    if vector["expect_valid"]:
        received = verify(provider("sendgrid"), [vector["public_key"]], request, NOW)
        assert (received.event_type, received.sent_at) == ("dropped", int(vector["timestamp"]) * 1000)
        assert received.dedupe_key == "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA"
    else:
        assert refusal(scheme, [vector["public_key"]], request) == "signature_mismatch"


def test_midtrans():
    """Midtrans's hash of the published inputs verifies, and another amount does not."""
    vector = VECTORS["midtrans-docs-inputs"]
    body = {
        **vector["fields"],
        "transaction_status": "settlement",
        "fraud_status": "accept",
        "signature_key": vector["computed"],
    }
    request = Request("POST", URL, {}, json.dumps(body).encode())
    received = verify(provider("midtrans"), [vector["secret"]], request, NOW)
    assert (received.event_type, received.dedupe_key) == ("settlement", "1111:settlement:accept")
    forged = request.with_body(json.dumps({**body, "gross_amount": "1.00"}).encode())
    assert refusal(provider("midtrans").scheme, [vector["secret"]], forged) == "signature_mismatch"


def test_mailgun():
    """Mailgun's signature verifies, its token is the id, and another token is refused."""
    vector = VECTORS["mailgun"]
    signature = {**vector["fields"], "signature": vector["expected"]}
    body = {"signature": signature, "event-data": {"event": "delivered"}}
    request = Request("POST", URL, {}, json.dumps(body).encode())
    received = verify(provider("mailgun"), [vector["secret"]], request, NOW)
    assert (received.event_id, received.event_type) == (vector["fields"]["token"], "delivered")
    body["signature"]["token"] = "0" * 32
    forged = request.with_body(json.dumps(body).encode())
    assert refusal(provider("mailgun").scheme, [vector["secret"]], forged) == "signature_mismatch"


def test_xendit_token():
    """Xendit's token verifies, and its webhook-id is the event's id."""
    vector = VECTORS["xendit-callback-token"]
    request = Request("POST", URL, vector["headers"], vector["body"].encode())
    received = verify(provider("xendit"), [vector["secret"]], request, NOW)
    assert received.event_id == received.dedupe_key == vector["headers"]["webhook-id"]
    assert received.is_test
    assert refusal(provider("xendit").scheme, ["xnd-callback-token-exampl"], request) == "token_mismatch"


def test_zoom_validation():
    """A genuine validation is answered with the token and its HMAC; one that is not signed is refused."""
    vector = VECTORS["zoom-url-validation"]
    profile, secrets = provider("zoom"), [vector["secret"]]
    bare = Request("POST", URL, {}, vector["body"].encode())
    answer = answer_challenge(profile, secrets, profile.scheme.sign(secrets, bare, NOW, ""), NOW)
    assert json.loads(answer.body) == vector["expected_response"]
    with pytest.raises(SignatureInvalid, match="missing header"):
        answer_challenge(profile, secrets, bare, NOW)


def test_razorpay_payment_return():
    """The same HMAC signs what a payment form returns, which is no webhook but a vector of the hash."""
    vector = VECTORS["razorpay-payment-return"]
    request = Request("POST", URL, {"x-razorpay-signature": vector["expected"]}, vector["body"].encode())
    assert provider("razorpay").scheme.verify([vector["secret"]], request, NOW).key == 0


def test_paypal_signed_string():
    """What PayPal signs is put together as published; no certificate of that time is at hand to verify it."""
    vector = VECTORS["paypal-signed-string"]
    headers = {
        "paypal-transmission-id": vector["transmission_id"],
        "paypal-transmission-time": vector["transmission_time"],
    }
    request = Request("POST", URL, headers, vector["body"].encode())
    assert provider("paypal").scheme.transmitted(request, vector["webhook_id"]).decode() == vector["computed"]


def test_content_digest():
    """RFC 9530: the published digest is the body's, and not another body's."""
    vector = VECTORS["rfc9530-content-digest-sha512"]
    message_signatures.check_digest(vector["expected"], vector["body"].encode())
    with pytest.raises(SignatureInvalid) as refused:
        message_signatures.check_digest(vector["expected"], b"{}")
    assert refused.value.reason == "digest_mismatch"


# --- RFC 9421 ----------------------------------------------------------------------------------------------

ALGORITHMS = {
    "rfc9421-b2.6-ed25519": PublicAlgorithm.ED25519,
    "rfc9421-b2.4-ecdsa-p256": PublicAlgorithm.ECDSA_SHA256_RAW,
    "rfc9421-b2.1-rsa-pss-sha512": PublicAlgorithm.RSA_PSS_SHA512,
}
SIGNED_AT = 1_618_884_473_000
ANYTHING = MessageSignatures(required=(), covers_target=False)
EXAMPLE = Request(
    "POST",
    "https://example.com/foo?param=Value&Pet=dog",
    {
        "host": "example.com",
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-digest": VECTORS["rfc9530-content-digest-sha512"]["expected"],
        "content-length": "18",
    },
    b'{"hello": "world"}',
)


def example(name):
    """Return the RFC's example request, with the signature of a vector."""
    vector = VECTORS[name]
    parameters = vector["signature_base"].rpartition('"@signature-params": ')[2]
    signed = {"signature-input": f"sig={parameters}", "signature": f"sig=:{vector['expected']}:"}
    return EXAMPLE.with_headers(signed), vector.get("secret") or vector["public_key_pem"]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_rfc_9421_algorithms(name):
    """The published signatures verify over the published bases, and over nothing else."""
    vector, algorithm = VECTORS[name], ALGORITHMS[name]
    key = keys.public_key(vector["public_key_pem"])
    signature = asymmetric.decoded(vector["expected"], Encoding.BASE64)
    base = vector["signature_base"].encode()
    assert asymmetric.verifies(key, algorithm, signature, base)
    assert not asymmetric.verifies(key, algorithm, signature, base + b" ")


@pytest.mark.parametrize("name", [name for name in RFC_9421 if "b2.4" not in name])
def test_rfc_9421_requests_verify_when_nothing_need_be_covered(name):
    """The published requests verify under a policy that demands nothing."""
    request, secret = example(name)
    assert ANYTHING.verify([secret], request, SIGNED_AT) == Verified(
        event_id=None, event_type=None, sent_at=SIGNED_AT, key=0
    )
    assert refusal(ANYTHING, [secret], request, SIGNED_AT + 300_001) == "timestamp_too_old"


@pytest.mark.parametrize("name", RFC_9421)
def test_rfc_9421_signatures_over_too_little_are_refused(name):
    """A signature that does not cover method, target and digest is refused, however valid."""
    request, secret = example(name)
    assert refusal(MessageSignatures(), [secret], request, SIGNED_AT) == "component_uncovered"


def test_rfc_9421_a_changed_component_is_refused():
    """Another header value, or another body under the old digest, is refused."""
    request, secret = example("rfc9421-b2.6-ed25519")
    changed = request.with_headers({"content-type": "text/plain"})
    assert refusal(ANYTHING, [secret], changed, SIGNED_AT) == "signature_mismatch"
