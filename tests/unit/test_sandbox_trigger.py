"""Events of the catalogue sent on request, by API."""

import json

import msgspec
import pytest
from receivers import answering
from sandbox_receivers import BROKEN, listening, received
from sandboxes import OWNER, playing
from xendit_tables import faults_of

from ringback.model import Held
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.catalog import PRODUCTS, entries, entry_of
from ringback.sandbox.xendit.slots import Slot
from ringback.store import Page

EVENTS = "/sandbox/events"
URL = "http://127.0.0.1:1/hook"
SUB_ACCOUNT = "66b0aa11bb22cc33dd44ee55"


@pytest.fixture
def play(tmp_path):
    with playing(tmp_path, worker=True) as play:
        yield play


def trigger(play, name, **draft):
    return play.ok("POST", f"{EVENTS}/{name}", draft)


def test_every_event_reaches_an_inbox_as_what_it_is(play, tmp_path):
    """All 81 go through the worker and HTTP to a receiver, which records each as its type, byte for byte."""
    token = play.ok("GET", "/sandbox/webhooks/token")["current"]
    with listening(tmp_path / "shop", token) as (inbox, url):
        play.ok("PUT", "/sandbox/webhooks/slots", {"url": url})
        # One after the other: the receiver serves one at a time, and has a second.
        sent = [trigger(play, name, wait=True) for name in entries()]
        stored = inbox.held("xendit", Held.UNHANDLED, Page(limit=100)).result()
        assert inbox.held("xendit", Held.QUARANTINED).result() == []
    assert sorted(message.event_type for message in stored) == sorted(
        e.event_type for e in entries().values()
    )
    assert {answer["transaction"]["status"] for answer in sent} == {"Completed"}
    written = [entry.hidden["payload"].encode() for entry in play.sandbox.ledger.entries("notice")]
    assert sorted(message.payload for message in stored) == sorted(written)


@pytest.mark.parametrize(
    "name", ["invoice.paid", "dispute.won", "bill_payment.succeeded", "qr.payment:2022-07-31"]
)
def test_bodies_keep_the_order_and_the_numbers_of_the_sample(play, name):
    """What arrives has the sample's keys in the sample's order, and every number as it is written there."""
    with received(play) as receiver:
        trigger(play, name, url=receiver.url, fresh=False, wait=True)
        (request,) = receiver.requests
    shown = play.ok("GET", f"{EVENTS}/{name}")
    assert request.body == json.dumps(shown["sample"], separators=(",", ":")).encode()
    assert request.headers["content-type"] == "application/json"


def test_what_is_set_arrives_as_it_was_written(play):
    """`set` changes fields, and a number keeps the form in which it was sent."""
    with received(play) as receiver:
        raw = b'{"set": {"amount": 75000.00, "external_id": "order-7"}, "url": "%s", "wait": true}'
        answer = play.ok("POST", f"{EVENTS}/invoice.paid", raw % receiver.url.encode())
        (request,) = receiver.requests
    assert b'"amount":75000.00,' in request.body
    assert (answer["payload"]["external_id"], answer["url"]) == ("order-7", receiver.url)
    assert (answer["transaction"]["status"], answer["history"][0]["status"]) == ("Completed", 200)
    assert answer["webhook_id"] == request.headers["webhook-id"]


def test_an_event_goes_to_its_slot_and_into_the_log(play):
    """Without a URL of its own it goes where the settings say, which may be nowhere; the log has it either way."""
    nowhere = trigger(play, "fva.paid", wait=True)
    assert (nowhere["transaction"]["status"], nowhere["url"]) == ("URL Not Set", None)
    with received(play, answering(BROKEN)) as receiver:
        play.run(play.sandbox.slots.put(OWNER, Slot(name="fva_paid", url=receiver.url)))
        answer = trigger(play, "fva.paid", wait=True)
    assert (answer["url"], answer["transaction"]["status"], answer["history"][0]["status"]) == (
        receiver.url,
        "Failed",
        500,
    )
    assert answer["transaction"]["product"] == "Virtual account"
    assert answer["transaction"]["product_id"] == answer["payload"]["payment_id"]
    assert len(play.ok("GET", "/sandbox/webhooks/log")["data"]) == 2
    assert [faults_of(entry_of("fva.paid").fields, body) for _, _, body in play.told()] == [[], []]


def test_what_is_held_back_is_not_waited_for(play):
    """Where the settings let an event be dropped or delayed, the answer says so at once."""
    play.ok("PUT", "/sandbox/webhooks/slots/report", {"url": URL, "mishaps": ["drop"]})
    answer = trigger(play, "report.failed", wait=True)
    assert (answer["mishap"], answer["transaction"]["status"]) == ("drop", "Pending")


def test_two_of_one_event_are_two(play):
    """Each has ids of its own, so that a receiver that drops duplicates takes both; unless told to keep them."""
    with received(play) as receiver:
        ids = [trigger(play, "invoice.paid", url=receiver.url)["payload"]["id"] for _ in range(2)]
        kept = [
            trigger(play, "invoice.paid", url=receiver.url, fresh=False)["payload"]["id"] for _ in range(2)
        ]
    assert len(set(ids)) == 2
    assert kept == ["66b1d2e3f4a5b6c7d8e9f001"] * 2


def test_a_body_of_ones_own(play):
    """`body` is sent instead of the sample: as it is, but for what is set and for space between its parts."""
    own = b'{"body": {"z": 1.50, "id": "mine",\n "amount": 1}, "set": {"amount": 2}}'
    answer = play.ok("POST", f"{EVENTS}/invoice.paid", own)
    (entry,) = play.sandbox.ledger.entries("notice")
    assert entry.hidden["payload"] == '{"z":1.50,"id":"mine","amount":2}'
    assert answer["transaction"]["product_id"] == "mine"


def test_accounts_are_kept_apart(play):
    """An event of a sub-account goes to that account's URL, carries its id, and is in its log alone."""
    theirs = {"for-user-id": SUB_ACCOUNT}
    answer = play.ok("POST", f"{EVENTS}/payout.failed", headers=theirs)
    assert answer["payload"]["business_id"] == SUB_ACCOUNT
    assert play.ok("GET", "/sandbox/webhooks/log")["data"] == []
    assert len(play.told(Owner(SUB_ACCOUNT))) == 1


def test_what_can_be_triggered(play):
    """The list has all 81 with product, certainty and slot; one of them comes with fields, sample and URL."""
    data = play.ok("GET", EVENTS)["data"]
    assert (len(data), {one["product"] for one in data}) == (81, set(PRODUCTS.values()))
    assert {one["certainty"] for one in data} == {"high", "medium", "low"}
    play.ok("PUT", "/sandbox/webhooks/slots/qr_code", {"url": URL})
    shown = play.ok("GET", f"{EVENTS}/qr.payment:2022-07-31")
    assert (shown["slot"], shown["url"], shown["shape"]) == ("qr_code", URL, "event")
    amount = next(field for field in shown["fields"] if field["path"] == "data.amount")
    assert amount == {"path": "data.amount", "type": "a number", "required": False, "remark": None}
    assert shown["sample"]["data"]["qr_id"].startswith("qr_")


@pytest.mark.parametrize(
    ("name", "raw", "refusal"),
    [
        ("invoice.payed", b"", (404, "EVENT_NOT_FOUND_ERROR")),
        ("invoice.paid", b'{"set": {"amuont": 1}}', (400, "API_VALIDATION_ERROR")),
        ("invoice.paid", b'{"set": {"amount": "1"}}', (400, "API_VALIDATION_ERROR")),
        (
            "invoice.paid",
            b'{"set": {"description": %s}}' % (b"[" * 50_000 + b"]" * 50_000),
            (400, "INVALID_JSON_FORMAT"),
        ),
        ("invoice.paid", b'{"set": []}', (400, "API_VALIDATION_ERROR")),
        ("invoice.paid", b"[]", (400, "API_VALIDATION_ERROR")),
        ("invoice.paid", b'{"body": []}', (400, "API_VALIDATION_ERROR")),
        ("invoice.paid", b'{"body": {"a": "%s"}}' % (b"a" * 300_000), (413, "REQUEST_TOO_LARGE")),
        ("invoice.paid", b'{"url": "ftp://a"}', (400, "INVALID_URL_FORMAT")),
        ("invoice.paid", b'{"url": 1}', (400, "API_VALIDATION_ERROR")),
        ("invoice.paid", b"{", (400, "INVALID_JSON_FORMAT")),
    ],
)
def test_what_is_refused(play, name, raw, refusal):
    """An unknown event, path or kind is refused in the provider's shape, and nothing is sent."""
    assert play.refused("POST", f"{EVENTS}/{name}", raw) == refusal
    assert play.told() == []


def test_it_is_sent_after_a_restart(tmp_path):
    """What was triggered is in the log of the next run, and is not sent twice."""
    with playing(tmp_path) as play:
        webhook = trigger(play, "dispute.lost")["id"]
    with playing(tmp_path) as play:
        assert play.ok("GET", f"/sandbox/webhooks/log/{webhook}")["payload"]["event"] == "dispute.lost"
        assert len(play.told()) == 1


def test_an_idempotency_key(play):
    """The same call with the same key sends one event."""
    headers = {"idempotency-key": "once"}
    answers = [play.call("POST", f"{EVENTS}/invoice.paid", {}, headers=headers) for _ in range(2)]
    first, second = (msgspec.json.decode(msgspec.json.encode(answer.body)) for answer in answers)
    assert first == second
    assert len(play.told()) == 1
