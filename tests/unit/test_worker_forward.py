"""Forwarding what a source received: signed by one scheme, and told to be what its sender said it is."""

import datetime as dt

import pytest
from line import Line, played
from standardwebhooks import Webhook

from ringback import ids
from ringback.drafts import ForwardDraft
from ringback.model import Inbound
from ringback.source_drafts import SourceDraft
from ringback.sources import Sources
from ringback.store import Acceptance

KEY = "whsec_" + "A" * 32
CONTENT = {"content-type", "content-encoding"}


async def forwarded(url, body, *, event_type="a", **headers):
    """Return the request that forwards *body*, received with *headers*."""
    async with Line(url) as line:
        draft = SourceDraft(name="pay", provider="stripe", secrets=("s",))
        source = await Sources(line.committer, clock=line.clock).create(draft)
        await line.outbox.create_endpoint(source.id, ForwardDraft(url="https://hook.example/", secret=KEY))
        acceptance = Acceptance(
            application=source.id,
            id=ids.new_id(ids.MESSAGE, line.clock(), bytes(ids.ENTROPY_BYTES)),
            event_type=event_type,
            payload=body,
            created_at=line.clock(),
            inbound=Inbound(headers={name.replace("_", "-"): value for name, value in headers.items()}),
        )
        await line.committer.accept(acceptance)
        await line.finished(1)
        (arrival,) = line.receivers.arrivals
        return arrival


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {"content_type": "application/x-www-form-urlencoded"},
            {"content-type": "application/x-www-form-urlencoded"},
        ),
        (
            {"content_type": "text/xml; charset=utf-8", "content_encoding": "gzip"},
            {"content-type": "text/xml; charset=utf-8", "content-encoding": "gzip"},
        ),
        ({}, {"content-type": "application/json"}),
        ({"content_type": "text/é"}, {"content-type": "application/json"}),
        ({"content_type": "text/plain\r\nx-injected: 1"}, {"content-type": "application/json"}),
    ],
)
def test_the_content_type_is_passed_on(store_url, headers, expected):
    """A body is forwarded with the type and encoding it came with, JSON where none is given that can be sent."""

    @played
    async def story():
        arrival = await forwarded(store_url, b"a=1", **headers)
        assert {name: value for name, value in arrival.headers.items() if name in CONTENT} == expected
        assert arrival.request.body == b"a=1"

    story()


@pytest.mark.parametrize(
    ("event_type", "told"),
    [
        ("invoice.paid", "invoice.paid"),
        ("Push Hook", "Push Hook"),
        ("bezahlt.über", "bezahlt.%C3%BCber"),
        ("a\r\nx-injected: 1", "a%0D%0Ax-injected%3A%201"),
    ],
)
def test_the_event_type_is_told(store_url, event_type, told):
    """An application need not know where each provider writes what a webhook is about."""

    @played
    async def story():
        arrival = await forwarded(store_url, b"{}", event_type=event_type)
        assert arrival.headers["ringback-event-type"] == told
        assert "x-injected" not in arrival.headers

    story()


def test_any_body_verifies(store_url):
    """The bytes forwarded are those received, and verify by Standard Webhooks."""

    @played
    async def story():
        body = b'{"a": 1,  "a": 2}\r\n'
        arrival = await forwarded(store_url, body)
        assert arrival.request.body == body
        assert KEY not in str(arrival.headers)
        assert arrival.headers["webhook-signature"].startswith("v1,")
        signed = Webhook(KEY).sign(
            arrival.message_id, _moment(arrival.headers["webhook-timestamp"]), body.decode()
        )
        assert arrival.headers["webhook-signature"] == signed

    story()


def _moment(seconds):
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
