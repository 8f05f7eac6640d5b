"""Each adapter with a real inbox on a file: what is acknowledged is stored, and once."""

import json

import pytest
from adapter_doors import DOORS, Sent

from ringback import Inbox

TOKEN = "callback-token-for-tests"
PAID = {
    "id": "66b1d2e3f4a5b6c7d8e9f001",
    "external_id": "order-1001",
    "user_id": "64f1a2b3c4d5e6f708192a3b",
    "status": "PAID",
    "merchant_name": "Toko Contoh",
    "amount": 250000,
    "created": "2026-03-02T03:50:00.120Z",
    "updated": "2026-03-02T04:05:03.901Z",
    "currency": "IDR",
}
BODY = json.dumps(PAID).encode() + b"\r\n"


def posted(token, body=BODY):
    headers = (
        ("Content-Type", "application/json"),
        ("X-CALLBACK-TOKEN", token),
        ("webhook-id", "wh-1"),
    )
    return Sent(headers=headers, body=body)


@pytest.fixture
def handled():
    return []


@pytest.fixture
def inbox(tmp_path, handled):
    inbox = Inbox(f"sqlite:///{tmp_path}/inbox.db")
    inbox.source("xendit", secrets=[TOKEN])

    @inbox.on("xendit", "invoice.paid", name="fulfil")
    def fulfil(message):
        handled.append(message)

    yield inbox
    inbox.close()


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_webhook_posted_twice_is_handled_once(door, inbox, handled):
    """Both posts of one event are acknowledged, and its handler runs once, with the bytes that were sent."""
    with door.open(inbox) as send:
        assert [send(posted(TOKEN)).status for _ in range(2)] == [200, 200]
    inbox.drain()
    [message] = handled
    assert message.raw == BODY
    assert message.event_type == "invoice.paid"


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_what_is_refused_is_not_stored(door, inbox, handled):
    """A wrong token, an unknown source and a body too large are refused, and nothing of them is handled."""
    with door.open(inbox) as send:
        assert send(posted("wrong")).status == 401
        assert send(Sent(target="/nobody")).status == 404
        assert send(posted(TOKEN, b" " * inbox.max_body + BODY)).status == 413
    inbox.drain()
    assert handled == []
