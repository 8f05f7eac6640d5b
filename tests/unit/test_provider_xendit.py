"""Xendit: every body of its catalogue is recognised, told apart, and its token checked."""

import importlib.resources
import json

import pytest

from ringback.errors import SignatureInvalid
from ringback.providers import provider, verify
from ringback.providers import xendit as module
from ringback.signing import Request

XENDIT = provider("xendit")
EVENTS = json.loads(
    importlib.resources.files("ringback.providers").joinpath("data/xendit_events.json").read_bytes()
)
IDS = [f"{number}-{event['event_type']}" for number, event in enumerate(EVENTS)]
TOKEN = "a-callback-token-of-forty-eight-characters-or-so"
NOW = 1_790_000_000_000
every_event = pytest.mark.parametrize("event", EVENTS, ids=IDS)


def received(body, headers=None, tokens=(TOKEN,)):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request("POST", "https://shop.example/x", {"x-callback-token": TOKEN, **(headers or {})}, raw)
    return verify(XENDIT, tokens, request, NOW)


def sample(event_type):
    return next(event["sample"] for event in EVENTS if event["event_type"] == event_type)


def test_the_catalogue_is_whole():
    """The package ships 81 bodies of 77 event types."""
    assert len(EVENTS) == 81
    assert len({event["event_type"] for event in EVENTS}) == 77


@every_event
def test_every_body_is_recognised(event):
    """Each body's event type is told, from its name or its shape, and none is taken for a test."""
    found = received(event["sample"])
    assert (found.event_type, found.understood, found.is_test) == (event["event_type"], True, False)


def value_at(body, path):
    for step in path.split("."):
        body = body[step]
    return str(body)


@every_event
def test_the_key_holds_what_tells_events_apart(event):
    """Without a webhook-id, the key names the event and holds each field that the catalogue says."""
    key = received(event["sample"]).dedupe_key
    paths = event["dedupe_key"].partition(" (")[0].split(" + ")
    wanted = [event["event_type"] if path == "event" else value_at(event["sample"], path) for path in paths]
    assert all(text in key for text in wanted)
    assert key.startswith(event["event_type"] + ":")


def test_no_two_bodies_share_a_key():
    """The 81 bodies have 81 keys."""
    assert len({received(event["sample"]).dedupe_key for event in EVENTS}) == 81


@every_event
def test_a_delivery_attempt_does_not_change_the_key(event):
    """The envelope's time and an attempt's own fields may differ between attempts; the key may not."""
    again = {**event["sample"], "api_version": "x"}
    if "data" in again:
        again["created"] = "2031-01-01T00:00:00Z"
    assert received(again).dedupe_key == received(event["sample"]).dedupe_key


@every_event
def test_the_webhook_id_comes_first(event):
    """With a webhook-id, that is the id and the key; the business key stays at hand for polling."""
    found = received(event["sample"], {"webhook-id": "5d6f3a1e-0000-4000-8000-000000000001"})
    assert found.event_id == found.dedupe_key == "5d6f3a1e-0000-4000-8000-000000000001"
    assert found.business_key == received(event["sample"]).dedupe_key


def test_a_poll_builds_the_key_of_the_webhook():
    """An invoice fetched from the API, with its many more fields, has the key its webhook has."""
    webhook = sample("invoice.paid")
    fetched = {**webhook, "expiry_date": "2026-03-03T00:00:00Z", "available_banks": []}
    assert module.business_key("invoice.paid", fetched) == received(webhook).business_key


def test_partial_captures_are_told_apart():
    """Two captures of one payment are two events."""
    first = sample("payment.capture")
    captures = [*first["data"]["captures"], {"capture_id": "cptr-2", "capture_amount": 1}]
    second = {**first, "data": {**first["data"], "captures": captures}}
    assert received(first).dedupe_key != received(second).dedupe_key


def test_both_nestings_of_a_refund_are_one_event():
    """A refund whose data wraps a whole second envelope, as in the documentation, is the flat one."""
    flat = sample("refund.succeeded")
    assert received({**flat, "data": flat}).dedupe_key == received(flat).dedupe_key


def test_settled_invoices_are_known():
    """An invoice that settles has a type of its own."""
    assert received({**sample("invoice.paid"), "status": "SETTLED"}).event_type == "invoice.settled"


@pytest.mark.parametrize(
    ("body", "is_test"),
    [
        ({"external_id": "invoice_123124123"}, True),
        ({"external_id": "testing-invoice"}, True),
        ({"id": "57e214ba82b034c325e84d6e", "external_id": "x"}, True),
        ({"external_id": "disbursement_123124123"}, True),
        ({"external_id": "fixed-va-1487156410"}, True),
        ({"event": "ewallet.capture", "data": {"reference_id": "test-payload"}}, True),
        ({"event": "ewallet.capture", "data": {"reference_id": "testing_id_123"}}, True),
        ({"event": "credit_card.tokenization", "data": {"external_id": "tokenization-callback-test"}}, True),
        ({"event": "payout.succeeded", "data": {"id": "disb-example"}}, True),
        ({"external_id": "order-1001"}, False),
        ({"reference_id": ["test-payload"]}, False),
    ],
)
def test_the_dashboards_samples_are_told(body, is_test):
    """What "Test and save" sends is flagged by its fixed identifiers, and nothing else is."""
    assert received(body).is_test is is_test


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 100_000,
        {},
        {"event": 7},
        {"event": ""},
        {"event": "x" * 300},
        {"event": "a\u0000b"},
        {**sample("invoice.paid"), "status": "HALF"},
        {**sample("invoice.paid"), "status": None},
        {"total_uploaded_count": 1, "status": ["COMPLETED"]},
    ],
)
def test_what_is_not_understood_is_received_all_the_same(body):
    """A genuine request with a body of any other kind is received, and said not to be understood."""
    found = received(body)
    assert (found.event_type, found.understood) == (None, False)


def test_several_tokens_are_accepted():
    """Test, live and sub-accounts have a token each; the one that fits is named."""
    assert received({}, tokens=("other", TOKEN, "third")).key == 1


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "é", "\ud800"])
def test_a_wrong_token_is_refused(token):
    """Any other token, even one character off, is refused, and the refusal does not tell the right one."""
    request = Request("POST", "", {"x-callback-token": token}, b"{}")
    with pytest.raises(SignatureInvalid) as refused:
        verify(XENDIT, [TOKEN], request, NOW)
    assert refused.value.reason == ("token_mismatch" if token else "header_missing")
    assert TOKEN not in refused.value.detail


def test_the_catalogue_holds_no_secret():
    """The shipped bodies carry no token, key or signature."""
    text = json.dumps(EVENTS)
    assert "xnd_" not in text
    assert "callback_authentication_token" not in text
