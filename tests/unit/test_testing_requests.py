"""The testing kit's requests: what it signs as a provider verifies, says what was asked for, and nothing else does."""

import datetime as dt
import json
import subprocess
import sys
import time

import msgspec
import pytest

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.providers import PROVIDERS, verify
from ringback.signing import Hmac, SecretForm
from ringback.testing import (
    FrozenClock,
    secret_for,
    signed_request,
    unsigned_request,
    xendit_event_types,
)

CLOCK = FrozenClock()
EVENT = "1001"
# What one changed byte spoils: the body, where the scheme covers it whole, or these fields of it. Where nothing of
# the body is covered, what shows that the sender knows the secret.
COVERED = {
    "xendit": "x-callback-token",
    "gitlab": "x-gitlab-token",
    "flutterwave-v3": "verif-hash",
    "api-key": "x-api-key",
    "basic": "authorization",
    "mailgun": b'"token":"1001"',
    "midtrans": b'"order_id":"1001"',
    "adyen": b'"pspReference":"1001"',
    "sns": b'"MessageId":"1001"',
    "twilio": b"MessageSid=1001",
}
# Where the words for an event are no free text: DOKU's are the address, Amazon's have other fields each.
OWN_WORDS = {"doku", "sns", "xendit"}
WRITES_INTO_THE_BODY = {"adyen", "mailgun", "midtrans", "sns"}
every_provider = pytest.mark.parametrize("provider", PROVIDERS)


def received(provider, request, now=None):
    return verify(PROVIDERS[provider], [secret_for(provider)], request, now or CLOCK())


def one_byte_changed(provider, request):
    part = COVERED.get(provider, request.body)
    if isinstance(part, str):
        value = request.headers[part]
        return request.with_headers({part: value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1]})
    before, found, after = request.body.partition(part)
    assert found
    at = found.index(b"1001") if b"1001" in found else 0
    return request.with_body(before + found[:at] + bytes([found[at] ^ 1]) + found[at + 1 :] + after)


# --- Each provider -----------------------------------------------------------------------------------------


@every_provider
def test_a_signed_request_verifies_and_is_understood(provider):
    """As configured with the kit's secret, a source takes the kit's request for an event and not for a test ping."""
    found = received(provider, signed_request(provider, now=CLOCK))
    assert (found.understood, found.is_test) == (True, False)
    assert found.sent_at in {None, CLOCK()}


@every_provider
def test_one_changed_byte_does_not_verify(provider):
    """A request with one byte of what the scheme covers changed is refused."""
    request = signed_request(provider, event_id=EVENT, now=CLOCK)
    received(provider, request)
    with pytest.raises(SignatureInvalid):
        received(provider, one_byte_changed(provider, request))


@every_provider
def test_an_unsigned_request_does_not_verify(provider):
    """What the kit has not signed is refused."""
    with pytest.raises(SignatureInvalid):
        received(provider, unsigned_request(provider))


@every_provider
def test_another_secret_does_not_verify(provider):
    """No provider's secret is another's: mixing them up shows."""
    others = [secret_for(other) for other in PROVIDERS if other != provider]
    with pytest.raises(SignatureInvalid):
        verify(PROVIDERS[provider], others, signed_request(provider, now=CLOCK), CLOCK())


@pytest.mark.parametrize("provider", sorted(PROVIDERS.keys() - OWN_WORDS))
def test_the_event_type_can_be_chosen(provider):
    """Whatever event type is asked for is what an inbox reads."""
    found = received(provider, signed_request(provider, "thing.done", now=CLOCK))
    assert found.event_type == "thing.done"


@every_provider
def test_each_call_makes_another_event(provider):
    """Two calls make two events; with the same event id they make one, but where nothing tells events apart."""
    keys = {received(provider, signed_request(provider, now=CLOCK)).dedupe_key for _ in range(2)}
    same = {
        received(provider, signed_request(provider, event_id=EVENT, now=CLOCK)).dedupe_key for _ in range(2)
    }
    if provider == "adyen-platform":
        assert keys == same == {None}
    else:
        assert (len(keys), len(same)) == (2, 1)


@pytest.mark.parametrize("provider", sorted(PROVIDERS.keys() - WRITES_INTO_THE_BODY))
def test_a_body_of_ones_own_is_sent_as_it_is(provider):
    """Bytes are signed and sent untouched; other values become JSON."""
    parts = {"headers": {"content-type": "application/json"}, "now": CLOCK}
    raw = b'{"a": "\xff", "a":1}\r\n'
    as_bytes = signed_request(provider, body=raw, **parts)
    as_values = signed_request(provider, body={"a": [1]}, **parts)
    assert (as_bytes.body, as_values.body) == (raw, b'{"a":[1]}')
    received(provider, as_bytes)
    received(provider, as_values)


# --- What can be asked for ---------------------------------------------------------------------------------


@pytest.mark.parametrize("event_type", xendit_event_types())
def test_xendits_whole_catalogue_is_there(event_type):
    """Each of Xendit's event types has its own body, with the event's id where the thing's id stands."""
    request = signed_request("xendit", event_type, event_id=EVENT)
    found = received("xendit", request)
    assert (found.event_type, found.event_id) == (event_type, EVENT)
    assert found.business_key.split(":")[1].removeprefix("report_") == EVENT


def test_the_catalogue_is_listed():
    """There are 77 event types, sorted."""
    assert len(xendit_event_types()) == 77
    assert list(xendit_event_types()) == sorted(xendit_event_types())


def test_fields_of_the_sample_can_be_replaced():
    """Fields named by their path get the values given, the rest stays; a field that was not there is added."""
    request = signed_request(
        "xendit",
        "payment.capture",
        fields={"data.reference_id": "order-7", "data.captures.0.capture_id": "c-7", "data.added": None},
    )
    body = json.loads(request.body)
    assert (body["event"], body["data"]["reference_id"]) == ("payment.capture", "order-7")
    assert body["data"]["captures"][0]["capture_id"] == "c-7"
    assert body["data"]["added"] is None
    assert "order-7" not in signed_request("xendit", "payment.capture").body.decode()


def test_an_event_type_of_fewer_words_leaves_the_rest_out():
    """A push has no action, as at GitHub."""
    request = signed_request("github", "push", event_id="d-1")
    assert "action" not in json.loads(request.body)
    assert received("github", request).event_type == "push"
    assert request.headers["x-github-delivery"] == "d-1"


def test_headers_address_and_method_can_be_chosen():
    """Headers given are added in lower case and win over the sample's; address and method are used and signed."""
    request = signed_request(
        "shopify", headers={"X-Shopify-Topic": "app/uninstalled", "x-more": "1"}, url="https://a.example/s"
    )
    assert received("shopify", request).event_type == "app/uninstalled"
    assert (request.headers["x-more"], request.url) == ("1", "https://a.example/s")
    put = signed_request("hubspot-v2", method="PUT", url="https://a.example/h")
    assert put.method == "PUT"
    received("hubspot-v2", put)


def test_a_secret_of_ones_own_signs():
    """With a secret given, the request verifies with that and not with the kit's."""
    request = signed_request("stripe", secret="whsec_mine", now=CLOCK)
    assert verify(PROVIDERS["stripe"], ["whsec_mine"], request, CLOCK()).understood
    with pytest.raises(SignatureInvalid):
        received("stripe", request)


def test_the_present_is_the_default():
    """Without an instant, a request is signed for now, and a scheme that checks the time takes it."""
    assert received("stripe", signed_request("stripe"), time.time_ns() // 1_000_000).understood


def test_time_may_be_a_clock_a_datetime_or_milliseconds():
    """However the instant is given, it is the same."""
    signed = [signed_request("stripe", event_id=EVENT, now=now) for now in (CLOCK, CLOCK.now, CLOCK())]
    assert signed[0] == signed[1] == signed[2]


def test_a_profile_of_ones_own_is_signed_for():
    """A profile that no provider is called after gets the sample of a plain sender and keys that suit its scheme."""
    scheme = Hmac(header="x-kettle", secret_form=SecretForm.BASE64)
    profile = msgspec.structs.replace(PROVIDERS["hmac"], name="kettle", scheme=scheme)
    found = verify(profile, [secret_for(profile)], signed_request(profile, event_id=EVENT), CLOCK())
    assert (found.event_id, found.event_type) == (EVENT, "order.paid")


@pytest.mark.parametrize(
    ("provider", "event_type", "parts", "words"),
    [
        ("xendet", None, {}, "no provider is called 'xendet'"),
        ("xendit", "invoice.payed", {}, "has no 'invoice.payed'; it has invoice.paid"),
        ("xendit", "☃", {}, "it has account.activated, "),
        ("doku", "paid", {}, "give url"),
        ("stripe", None, {"fields": {"data.nothing.id": 1}}, "no place data.nothing.id"),
        ("sendgrid", None, {"fields": {"7.event": 1}}, "no place 7.event"),
        ("stripe", None, {"fields": {"id": 1}, "body": b"{}"}, "give one"),
        ("hubspot", None, {"event_id": "evt_1"}, "use digits"),
        ("stripe", None, {"secret": "whpk_abc"}, "shared secret"),
        ("midtrans", None, {"body": b"no JSON"}, "not JSON"),
    ],
)
def test_what_cannot_be_made_is_said(provider, event_type, parts, words):
    """A request that no provider sends is refused to the test that asks for it, with what to do."""
    with pytest.raises(InvalidInput, match=words):
        signed_request(provider, event_type, **parts)


# --- The keys ----------------------------------------------------------------------------------------------


def test_secrets_are_the_same_in_every_process():
    """But for RSA keys, another process's secrets are these: a test and the server it starts agree."""
    code = (
        "from ringback.testing import keys_for; from ringback.providers import PROVIDERS;"
        "print([keys_for(p).signing for p in PROVIDERS if p not in ('paypal', 'sns')])"
    )
    printed = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout for _ in range(2)
    }
    assert len(printed) == 1


# --- The clock ---------------------------------------------------------------------------------------------


def test_time_stands_still_until_it_is_moved():
    """The clock tells one instant, in milliseconds and as a datetime in UTC, until a test lets time pass."""
    clock = FrozenClock(dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC))
    assert clock() == clock() == 1_772_452_800_000
    assert clock.advance(1.5) == clock() == 1_772_452_801_500
    assert clock.advance_to(clock.now + dt.timedelta(days=1)) == 1_772_539_201_500
    assert clock.advance_to(0) == 1_772_539_201_500
    assert repr(clock) == "FrozenClock(2026-03-03T12:00:01.500000+00:00)"
    assert FrozenClock(dt.datetime(2026, 3, 2, 12))() == 1_772_452_800_000  # noqa: DTZ001 - taken for UTC


def test_time_does_not_run_back():
    """A negative step is refused."""
    with pytest.raises(ValueError, match="time does not run back"):
        FrozenClock().advance(-1)
