"""What an attempt sends when a sandbox plays another sender."""

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from ringback import letters
from ringback.model import Endpoint, EndpointSecret, Manner, Trigger, iso
from ringback.store import Lease, Work

NOW = 1_760_000_000_000
ENDPOINT = Endpoint(
    id="ep_1",
    application_id="app_1",
    url="https://shop.example/hook",
    created_at=NOW,
    updated_at=NOW,
    secrets=(EndpointSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),),
    headers={"x-callback-token": "t0ken"},
)


def work(payload=b'{"id":"1"}', message_id="msg_1"):
    return Work(
        key=(1, 1),
        message_id=message_id,
        event_type="invoice.paid",
        payload=payload,
        accepted_at=NOW,
        endpoint=ENDPOINT,
        attempts=0,
        trigger=Trigger.SCHEDULED,
        lease=Lease(1, NOW + 60_000),
    )


def played(**manner):
    return letters.played(work(), ENDPOINT, Manner(user_agent="axios/1", **manner), NOW, 30_000)


def test_a_played_sender_sends_its_own_headers_only():
    """No signature, no header of Ringback's: the token, the id, the type and the agent's name."""
    request = played()
    headers = {name.lower(): value for name, value in request.headers}
    assert headers == {
        "user-agent": "axios/1",
        "content-type": "application/json",
        "x-callback-token": "t0ken",
        "webhook-id": letters.webhook_id("msg_1"),
    }
    assert (request.url, request.body, request.deadline) == (ENDPOINT.url, b'{"id":"1"}', 30_000)


def test_the_id_is_a_uuid_that_stays():
    """Every attempt at a message has the same id, a random-looking UUID; another message has another."""
    first = letters.webhook_id("msg_1")
    assert uuid.UUID(first).version == 4
    assert first == letters.webhook_id("msg_1") != letters.webhook_id("msg_2")


def test_the_time_of_the_attempt_stands_first():
    """An envelope's time becomes that of the attempt; nothing else in it changes."""
    payload = b'{"created":"2026-03-02T03:20:11.000Z","data":{"created":"2026-03-02T03:20:08.192Z"}}'
    changed = letters.stamped(payload, NOW)
    assert changed == payload.replace(b"2026-03-02T03:20:11.000Z", iso(NOW).encode())


@given(st.binary(max_size=200))
def test_what_is_no_envelope_is_sent_as_it_is(payload):
    """Bytes that do not begin with the time are not touched."""
    if re.match(rb'\s*\{\s*"created"\s*:\s*"', payload) is None:
        assert letters.stamped(payload, NOW) == payload
