"""Every provider: what it signs verifies and is understood; anything else is refused and nothing but refused."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from senders import ED25519, NOW, SENDERS, URL, private_pem, public_pem

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.providers import PROVIDERS, answer_challenge, explain, provider, stored_headers, verify
from ringback.signing import Request, Scheme, SharedToken

PROPERTY = settings(deadline=None, max_examples=150)
every_sender = pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def refusal(profile, secrets, request, now=NOW):
    with pytest.raises(SignatureInvalid) as refused:
        verify(profile, secrets, request, now)
    return refused.value.reason


# --- Each provider -----------------------------------------------------------------------------------------


def test_every_provider_has_a_sample():
    """No provider is left out of these tests."""
    assert set(SENDERS) == set(PROVIDERS)


@every_sender
def test_what_a_provider_signs_verifies_and_is_understood(sender):
    """Signed as the provider does, a request verifies; its id, type and key are those of the event."""
    received = verify(sender.profile, sender.secrets, sender.signed(), NOW)
    assert (received.event_id, received.event_type) == (sender.event_id, sender.event_type)
    assert received.dedupe_key == sender.dedupe_key
    assert (received.key, received.understood, received.is_test) == (0, True, False)
    assert received.sent_at in {None, NOW}


@every_sender
def test_several_secrets_live_at_once(sender):
    """During a rotation, whichever secret fits is found and named; an unusable one does not stand in its way."""
    received = verify(sender.profile, ["", *sender.secrets], sender.signed(), NOW)
    assert received.key == 1


@every_sender
def test_an_unsigned_request_is_refused(sender):
    """Without what the provider adds, a request is refused with a reason for machines and one for people."""
    with pytest.raises(SignatureInvalid) as refused:
        verify(sender.profile, sender.secrets, sender.bare, NOW)
    assert refused.value.reason in {"header_missing", "body_malformed"}
    assert refused.value.detail


@every_sender
def test_without_a_usable_secret_nothing_verifies(sender):
    """No secret, an empty one, or another scheme's public key never let a request through."""
    for secrets in ([], [""], ["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]):
        assert refusal(sender.profile, secrets, sender.signed()) in {"secret_unusable", "signature_mismatch"}


@pytest.mark.parametrize("name", [name for name, sender in SENDERS.items() if not sender.verifying])
def test_a_public_key_is_no_shared_secret(name):
    """A public key, as PEM, base64 or JWK, neither verifies nor signs where a shared secret is needed."""
    sender, pem = SENDERS[name], public_pem(ED25519)
    base64_form = "".join(pem.splitlines()[1:-1])
    jwk = json.dumps({"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"})
    for public in (pem, base64_form, jwk):
        with pytest.raises(InvalidInput):
            sender.profile.scheme.sign([public], sender.bare, NOW, "evt_1")
        reason = refusal(sender.profile, [public], sender.signed())
        asymmetric_too = {"algorithm_refused"} if name == "message-signatures" else set()
        assert reason in {"secret_unusable", *asymmetric_too}


@every_sender
def test_a_profile_is_complete(sender):
    """Each profile has a title, answers with a status that says received or refused, and strips its token."""
    profile = sender.profile
    assert profile.title
    assert 200 <= profile.ack.status < 210
    assert 400 <= profile.reject_status < 500
    if isinstance(profile.scheme, SharedToken):
        assert profile.scheme.header in profile.secret_headers
        assert profile.uncovered
    if not sender.covers:
        assert profile.uncovered or sender.name == "sns"


def test_an_unknown_provider_is_refused_with_the_known_ones():
    """A wrong name is answered with the names there are."""
    with pytest.raises(InvalidInput, match=r"'xendet'; there are adyen, .*, xendit"):
        provider("xendet")


def test_a_profile_can_be_changed():
    """A parameter in doubt is a setting: a copy of the profile with another tolerance obeys it."""
    stripe = SENDERS["stripe"]
    scheme = msgspec.structs.replace(stripe.profile.scheme, tolerance=1_000)
    profile = msgspec.structs.replace(stripe.profile, scheme=scheme)
    assert refusal(profile, stripe.secrets, stripe.signed(), NOW + 2_000) == "timestamp_too_old"


def test_secrets_are_not_stored():
    """The headers kept leave out the provider's token and whatever authenticates, under any spelling."""
    headers = {"X-Callback-Token": "t", "authorization": "Basic x", "cookie": "c", "webhook-id": "1"}
    assert stored_headers(provider("xendit"), headers) == {"webhook-id": "1"}
    assert "verif-hash" not in stored_headers(provider("flutterwave-v3"), {"verif-hash": "h"})


# --- Changed requests --------------------------------------------------------------------------------------

covering = st.sampled_from([sender for sender in SENDERS.values() if sender.covers])


@given(covering, st.data())
@PROPERTY
def test_a_flipped_bit_in_a_covered_part_is_refused(sender, data):
    """Any single bit changed in a part that the signature covers is refused."""
    part = data.draw(st.sampled_from(sender.covers))
    signed = sender.signed()
    raw = signed.body if part == "body" else signed.url.encode()
    changed = flipped(raw, data.draw(st.integers(0, len(raw) * 8 - 1)))
    if part == "body":
        request = signed.with_body(changed)
    else:
        request = msgspec.structs.replace(signed, url=changed.decode("latin-1"))
    refusal(sender.profile, sender.secrets, request)


@pytest.mark.parametrize(
    "name", ["stripe", "slack", "paddle", "hubspot", "zoom", "doku", "sendgrid", "discord"]
)
def test_a_changed_timestamp_is_refused(name):
    """A timestamp that is signed cannot be moved, not even within the tolerance."""
    sender = SENDERS[name]
    signed = sender.signed()
    moved = sender.profile.scheme.sign([sender.signing], sender.bare, NOW + 1_000, "evt_1")
    old, new = set(signed.headers.items()), dict(set(moved.headers.items()) - set(signed.headers.items()))
    assert old
    if len(new) > 1:  # the timestamp has a header of its own
        signature = sender.profile.scheme.header
        mixed = moved.with_headers({signature: signed.headers[signature]})
    else:
        mixed = signed.with_headers(
            {name: text.replace("1700000000", "1700000001") for name, text in signed.headers.items()}
        )
    assert refusal(sender.profile, sender.secrets, mixed) == "signature_mismatch"


@pytest.mark.parametrize(
    "name", ["github", "shopify", "paystack", "intercom", "typeform", "square", "discord"]
)
def test_a_flipped_bit_anywhere_in_the_signature_is_refused(name):
    """Any single bit changed in the signature's text is refused: it has one spelling."""
    sender = SENDERS[name]
    signed, header = sender.signed(), sender.profile.scheme.header
    raw = signed.headers[header].encode()
    for bit in range(len(raw) * 8):
        changed = flipped(raw, bit).decode("latin-1")
        assert refusal(sender.profile, sender.secrets, signed.with_headers({header: changed})) in {
            "signature_mismatch",
            "signature_malformed",
        }


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mailgun", "signature.token"),
        ("mailgun", "signature.timestamp"),
        ("midtrans", "gross_amount"),
        ("midtrans", "order_id"),
        ("sns", "Message"),
        ("sns", "MessageId"),
        ("sns", "TopicArn"),
        ("adyen", "notificationItems.0.NotificationRequestItem.success"),
        ("adyen", "notificationItems.0.NotificationRequestItem.amount.value"),
    ],
)
def test_a_changed_field_that_is_covered_is_refused(name, path):
    """Where only fields of the body are signed, another value of any of those is refused."""
    sender = SENDERS[name]
    signed = sender.signed()
    body = json.loads(signed.body)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = body
    for step in steps:
        place = place[step]
    place[last] = "1699999999" if isinstance(place[last], str) else place[last] + 1
    changed = signed.with_body(json.dumps(body).encode())
    assert refusal(sender.profile, sender.secrets, changed) == "signature_mismatch"


# --- Hostile input -----------------------------------------------------------------------------------------

senders = st.sampled_from(list(SENDERS.values()))
texts = st.one_of(
    st.text(),
    st.text(st.characters(codec="latin-1")),
    st.sampled_from(["\ud800", "t=1,v1=", "v0=", "sha256=", "a.b.c", "e30.e30.e30", "nan", "-1", "9" * 30]),
    st.from_regex(r"[a-z0-9=,;:\"()@. -]{0,60}", fullmatch=True),
)
bodies = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "id",
                        "event",
                        "type",
                        "data",
                        "signature",
                        "entry",
                        "changes",
                        "value",
                        "status",
                        "Type",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.just(b"[" * 5_000),
)
secrets_of_any_kind = st.lists(
    st.one_of(texts, st.sampled_from(sorted({sender.secrets[0] for sender in SENDERS.values()}))), max_size=3
)


def judged(sender, secrets, request, now=NOW):
    """Verify, and tell whether it was refused; any other exception fails the test."""
    try:
        verify(sender.profile, secrets, request, now)
    except SignatureInvalid as error:
        refused = error
    else:
        return False
    assert refused.reason
    assert "\n" not in refused.detail
    return True


@given(senders, st.data())
@settings(deadline=None, max_examples=600)
def test_a_mutated_request_is_refused_or_verifies_and_nothing_else(sender, data):
    """Whatever a header, the body or the URL becomes, the answer is a result or a refusal."""
    signed = sender.signed()
    part = data.draw(st.sampled_from([*signed.headers, "body", "url", "method"]))
    if part == "body":
        request = signed.with_body(data.draw(bodies))
    elif part in {"url", "method"}:
        request = msgspec.structs.replace(signed, **{part: data.draw(texts | st.just("https://[bad/"))})
    else:
        request = signed.with_headers({part: data.draw(texts)})
    judged(sender, sender.secrets, request)


@given(senders, st.data())
@settings(deadline=None, max_examples=400)
def test_unsigned_bodies_of_any_shape_never_verify(sender, data):
    """Random bytes, JSON and secrets are refused by every provider that signs its body."""
    names = list(sender.signed().headers)
    headers = data.draw(st.dictionaries(st.sampled_from(names or ["x"]), texts))
    request = Request("POST", URL, headers, data.draw(bodies))
    assert judged(sender, data.draw(secrets_of_any_kind), request, data.draw(st.integers(0, 2**43))) or (
        not sender.covers
    )


@given(senders, st.data())
@settings(deadline=None, max_examples=200)
def test_genuine_requests_with_any_body_are_recognised_without_an_error(sender, data):
    """A body of any shape, genuinely signed, is received; what is not understood is said not to be."""
    request = msgspec.structs.replace(sender.bare, body=data.draw(bodies))
    try:
        signed = sender.profile.scheme.sign([sender.signing], request, NOW, "evt_1")
    except InvalidInput:
        return
    received = verify(sender.profile, sender.secrets, signed, NOW)
    assert received.understood is (received.event_type is not None)
    for text in (received.event_id, received.event_type, received.dedupe_key, received.business_key):
        assert text is None or (len(text) <= 255 and text.isprintable())


@given(senders, st.data())
@settings(deadline=None, max_examples=200)
def test_challenges_of_any_shape_are_answered_or_refused(sender, data):
    """Whatever tries an address out gets an answer, a refusal, or is an ordinary event."""
    method = data.draw(st.sampled_from(["GET", "POST"]))
    url = data.draw(
        st.sampled_from([URL, "https://[", "https://x.example/?hub.mode=subscribe", "", "\ud800"])
    )
    request = Request(method, url, sender.signed().headers, data.draw(bodies))
    with contextlib.suppress(SignatureInvalid):
        answer_challenge(sender.profile, sender.secrets, request, NOW)


@given(senders, st.data())
@settings(deadline=None, max_examples=100)
def test_explanations_never_fail_and_never_tell_the_secret(sender, data):
    """Any refusal can be explained, in one line per hint, without any configured secret in it."""
    signed = sender.signed()
    request = signed.with_headers(
        data.draw(st.dictionaries(st.sampled_from([*signed.headers, "x-other"]), texts))
    )
    found = explain(sender.profile, sender.secrets, request.with_body(data.draw(bodies)), NOW)
    for line in () if found is None else (found.reason, found.detail, *found.hints):
        assert "\n" not in line
        assert not any(secret in line for secret in sender.secrets)


def test_schemes_are_schemes():
    """Every provider's scheme has the two verbs, and compares equal to itself and to no other provider's kind."""
    for profile in PROVIDERS.values():
        scheme: Scheme = profile.scheme
        assert scheme == msgspec.structs.replace(scheme)
    assert private_pem(ED25519) not in repr(PROVIDERS)
