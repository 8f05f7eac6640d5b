"""The demonstration's parts: made-up payloads, the receiver, the buyer, and how events are told."""

import asyncio
import http.client
import json
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec
import pytest

from ringback.demo.buyer import Button, Page
from ringback.demo.payloads import fresh, samples
from ringback.demo.receiver import FLAKY, HEALTHY, Receiver
from ringback.demo.till import Till
from ringback.demo.view import View
from ringback.model import Attempt, Endpoint, EndpointSecret, Message, Outcome, OutcomeKind, Source, Trigger
from ringback.observe import (
    AttemptFinished,
    DeliveryPostponed,
    EndpointDisabled,
    MessageAccepted,
    MessageReplayed,
    RequestRefused,
    StoreFailed,
    WebhookReceived,
)
from ringback.signing import Request, scheme

NOW = 1_790_000_000_000
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
BODY = b'{"amount": 1}'


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.description)
def test_a_payload_is_fresh_and_keeps_its_shape(sample):
    """Each run's payloads have ids and times of their own, and the keys and types of the provider's."""
    first, second = fresh(sample, 7, NOW), fresh(sample, 8, NOW)
    assert {key: type(value) for key, value in first.items()} == {
        key: type(value) for key, value in sample.body.items()
    }
    for key in ("id", "payment_id", "external_id"):
        assert len({first[key], second[key], sample.body[key]}) == 3
    assert first["external_id"].endswith("-7")
    assert first["payment_id"].startswith("ewc_") == sample.body["payment_id"].startswith("ewc_")


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.description)
def test_a_payload_s_latest_moment_is_now(sample):
    """Times keep their distances, and the last one is the moment of the run."""
    body = fresh(sample, 7, NOW)
    moments = [value for key, value in body.items() if isinstance(value, str) and value.endswith("Z")]
    assert max(moments) == "2026-09-21T14:13:20.000Z"


@contextmanager
def listening():
    receiver = Receiver()
    receiver.start()
    for path in (HEALTHY, FLAKY):
        receiver.trust(path, (SECRET,))
    try:
        yield receiver
    finally:
        receiver.stop()


def post(receiver, path, headers, body=BODY):
    parts = urlsplit(receiver.url(path))
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("POST", parts.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def signed(message_id="msg_1", secret=SECRET):
    request = Request("POST", "", {}, BODY)
    return (
        scheme("standard-webhooks").sign([secret], request, time.time_ns() // 1_000_000, message_id).headers
    )


def test_the_healthy_receiver_takes_what_is_signed():
    """A request that verifies is answered with 204; a forged, unsigned or unknown one is not."""
    with listening() as receiver:
        other = SECRET.replace("MDEy", "OTk5")
        assert post(receiver, HEALTHY, signed()) == 204
        assert post(receiver, HEALTHY, signed(secret=other)) == 401
        assert post(receiver, HEALTHY, signed(), b'{"amount": 9}') == 401
        assert post(receiver, HEALTHY, {}) == 401
        assert post(receiver, "/elsewhere", signed()) == 404
        assert post(receiver, HEALTHY, {"Content-Length": "many"}) == 400


def test_the_flaky_receiver_refuses_one_message_twice():
    """The first message is refused twice and then taken; every other one is taken at once."""
    with listening() as receiver:
        ids = ["msg_1", "msg_2", "msg_1", "msg_1", "msg_3"]
        assert [post(receiver, FLAKY, signed(id_)) for id_ in ids] == [500, 204, 500, 204, 204]


ENDPOINT = Endpoint(
    id="ep_1",
    application_id="app_1",
    url="http://127.0.0.1/",
    created_at=NOW,
    updated_at=NOW,
    secrets=(EndpointSecret(SECRET),),
)


HANDLER = msgspec.structs.replace(ENDPOINT, id="ep_2", url="handler:fulfil")


def told(*events):
    lines = []
    view = View({"ep_1": "flaky"}, lambda line: lines.append(line.text))
    for event in events:
        view.tell(event)
    return lines


def finished(outcome, step, number=1, due_at=None, endpoint=ENDPOINT):
    attempt = Attempt(
        id="atmpt_1",
        message_id="msg_1",
        endpoint_id=endpoint.id,
        number=number,
        trigger=Trigger.SCHEDULED,
        url=endpoint.url,
        started_at=NOW,
        duration=4,
        outcome=outcome,
    )
    return AttemptFinished(
        attempt=attempt, endpoint=endpoint, event_type="a.b", step=step, due_at=due_at, since_accepted=3_210
    )


def test_each_event_is_one_line():
    """Acceptance, refusal, recovery and giving up are told with status, latency and what follows."""
    message = Message(id="msg_1", application_id="app_1", event_type="a.b", payload=b"{}", created_at=NOW)
    refused = Outcome(kind=OutcomeKind.REFUSED, status=500)
    lines = told(
        MessageAccepted(message=message, deliveries=1, spilled=0, waited=0.00234),
        finished(refused, "retry", due_at=NOW + 1_104),
        finished(Outcome(kind=OutcomeKind.SUCCESS, status=204), "succeed", number=2),
        finished(Outcome(kind=OutcomeKind.CONNECT, detail="refused"), "exhaust", number=4),
        DeliveryPostponed(
            message_id="msg_2", endpoint_id="ep_2", application_id="app_1", reason="circuit_open"
        ),
        EndpointDisabled(endpoint=ENDPOINT, reason="gone"),
        StoreFailed(error="disk full"),
    )
    assert lines == [
        "#1  accepted  a.b msg_1: durable in 2.3 ms",
        "#1  refused   flaky    500 in 4 ms, attempt 1, next in 1.1 s",
        "#1  recovered flaky    204 in 4 ms, attempt 2, 3.2 s after acceptance",
        "#1  gave up   flaky    connect refused in 4 ms, attempt 4",
        "#2  postponed ep_2     circuit_open",
        "    disabled  flaky    gone",
        "    the store failed: disk full",
    ]


# --- The shop's till ---------------------------------------------------------------------------------------

SOURCE = Source(id="src_1", uid="xendit", name="xendit", provider="xendit", created_at=NOW, updated_at=NOW)
PAID = {"external_id": "order-7", "paid_at": "2026-09-21T14:13:19.000Z"}


def webhook(outcome, message_id="msg_1"):
    return WebhookReceived(source=SOURCE, outcome=outcome, message_id=message_id, held=None, seconds=0.00234)


def handled(outcome, step, **more):
    return finished(outcome, step, endpoint=HANDLER, **more)


def accepted(body=PAID):
    message = Message(
        id="msg_1",
        application_id="src_1",
        event_type="invoice.paid",
        payload=json.dumps(body).encode(),
        created_at=NOW,
    )
    return MessageAccepted(message=message, deliveries=1, spilled=0, waited=0.001)


def rung(*events):
    lines = []
    till = Till(lambda line: lines.append(line.text))
    for event in events:
        till.note(event)
    till.go_live()
    return lines


def test_each_event_at_the_till_is_one_line():
    """What becomes of a webhook is told by its order, with latencies and with what follows."""
    raised = Outcome(kind=OutcomeKind.RAISED, detail="WarehouseClosedError")
    assert rung(
        accepted(),
        webhook("accepted"),
        handled(raised, "retry", due_at=NOW + 1_104),
        handled(Outcome(kind=OutcomeKind.SUCCESS), "succeed", number=2),
        handled(raised, "exhaust", number=3),
        webhook("repeated"),
        webhook("not_stored", message_id=None),
        RequestRefused(source=SOURCE, reason="token_mismatch"),
    ) == [
        "order-7    received  invoice.paid on disk and acknowledged with 200 in 2.3 ms",
        "order-7    failed    the handler raised WarehouseClosedError after 4 ms, attempt 1; next in 1.1 s",
        "order-7    fulfilled by the handler in 4 ms, attempt 2, 1.0 s after the payment",
        "order-7    gave up   the handler raised WarehouseClosedError after 4 ms, attempt 3",
        "order-7    repeated  its webhook-id is known: acknowledged with 200 in 2.3 ms, not handled again",
        "webhook    refused   503 in 2.3 ms: it could not be stored",
        "webhook    refused   by the inbox, and nothing is stored: token mismatch",
    ]


def test_an_acknowledgement_waits_for_the_word_what_it_is_about():
    """The inbox may tell of an acknowledgement before it tells which message that was: no line is without its order."""
    message = accepted().message
    assert [line.split()[:2] for line in rung(webhook("accepted"), accepted())] == [["order-7", "received"]]
    replayed = MessageReplayed(message=msgspec.structs.replace(message, payload=None))
    again = rung(accepted(), replayed, webhook("repeated"))
    assert [line.split()[:2] for line in again] == [["order-7", "repeated"]]
    unknown = rung(webhook("repeated"), replayed, webhook("repeated"))
    assert [line.split()[:2] for line in unknown] == [["webhook", "repeated"]] * 2


@pytest.mark.parametrize("body", [[], "text", {}, {"external_id": None, "paid_at": 7}])
def test_a_webhook_about_no_order_is_told_all_the_same(body):
    """A body that names no order, or no time of a payment, is told of without."""
    lines = rung(accepted(body), webhook("accepted"), handled(Outcome(kind=OutcomeKind.SUCCESS), "succeed"))
    assert lines[1].endswith("fulfilled by the handler in 4 ms, attempt 1")


def test_what_the_shop_s_server_sends_is_not_the_till_s():
    """Shop and server share a store: an attempt at a place on the network is no handling of an order."""
    assert [line.split()[1] for line in rung(accepted(), webhook("accepted"))] == ["received"]
    success = Outcome(kind=OutcomeKind.SUCCESS, status=204)
    assert len(rung(accepted(), webhook("accepted"), finished(success, "succeed"))) == 1


def test_the_story_waits_for_what_happens_to_its_order():
    """What happens before is shown first, in its order; what happens after waits for its turn."""

    async def play():
        lines = []
        till = Till(lambda line: lines.append(line.text.split()[1]))
        waiting = asyncio.ensure_future(till.until("fulfilled", "order-7"))
        await asyncio.sleep(0)
        for event in (accepted(), webhook("accepted")):
            till.note(event)
        await asyncio.sleep(0)
        assert not waiting.done()
        till.note(handled(Outcome(kind=OutcomeKind.SUCCESS), "succeed"))
        till.note(webhook("repeated"))
        await waiting
        assert lines == ["received", "fulfilled"]
        till.go_live()
        assert lines == ["received", "fulfilled", "repeated"]

    asyncio.run(play())


# --- The buyer ---------------------------------------------------------------------------------------------

FORMS = """
<meta http-equiv="refresh" content="4;url=/orders/order-7?returned=1&amp;x=2">
<form method="post" action="/web/1/pay"><input type="hidden" name="way" value="A/B"><input name="typed">
<button name="outcome" value="success">Pay</button><button name="outcome" value="failure">Fail</button></form>
<form method="post" action="/orders"><button formaction="/orders?item=tea">Tea</button></form>
"""


def test_the_buyer_sees_a_page_s_buttons_and_where_it_leads():
    """A button sends its own field with the hidden ones of its form; a page that leads on says where."""
    page = Page("http://127.0.0.1/web/1", FORMS)
    assert page.leads_to == "http://127.0.0.1/orders/order-7?returned=1&x=2"
    pressed = Button("http://127.0.0.1/web/1/pay", (("way", "A/B"), ("outcome", "success")))
    assert page.button("outcome", "success") == pressed
    assert page.leading_to("item=tea") == Button("http://127.0.0.1/orders?item=tea", ())
    with pytest.raises(LookupError):
        page.button("outcome", "maybe")
    with pytest.raises(LookupError):
        page.leading_to("item=coffee")
