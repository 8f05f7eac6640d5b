"""What every adapter keeps, each through its framework's own door."""

import asyncio
import gzip
import json

import pytest
from adapter_doors import DOORS, Sent, call_adapter, call_azure, call_django, django_project
from recording_inbox import BUSY, CUSTOM, TOO_LARGE, HoldingInbox, RecordingInbox

BODIES = {
    "text": b'{"id": "inv_1"}',
    "not-utf-8": b'{"name": "\xff\xfe\x80"}',
    "duplicate-keys": b'{"id": 1, "id": 2}',
    "trailing-newline": b'{"id":1}\r\n',
    "gzip": gzip.compress(b'{"id": 1}'),
    "form": b"a=1&b=%20&payload=%7B%7D",
    "nul": b"\x00" * 17,
    "one-mebibyte": bytes(range(256)) * 4096,
    "empty": b"",
}
KINDS = {
    "gzip": (("Content-Type", "application/json"), ("Content-Encoding", "gzip")),
    "form": (("Content-Type", "application/x-www-form-urlencoded"),),
}
JSON = (("Content-Type", "application/json"),)


@pytest.fixture(params=DOORS, ids=str)
def door(request):
    return request.param


def sent_through(door, sent, inbox=None):
    """Return what the inbox was asked, as (source, request), and the answer."""
    inbox = inbox or RecordingInbox()
    with door.open(inbox) as send:
        answer = send(sent)
    return inbox.requests, answer


@pytest.mark.parametrize("kind", BODIES)
def test_the_body_is_exact(door, kind):
    """The inbox gets the very bytes that were sent, whatever they are and whatever they are declared to be."""
    sent = Sent(headers=KINDS.get(kind, JSON), body=BODIES[kind])
    [(_, request)], answer = sent_through(door, sent)
    assert request.body == BODIES[kind]
    assert answer.status == 200


def test_a_multipart_body_is_exact(door):
    """A form with files is handed on as it is: nobody parses it first."""
    body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n\xff\r\n--x--\r\n'
    sent = Sent(headers=(("Content-Type", "multipart/form-data; boundary=x"),), body=body)
    [(_, request)], _ = sent_through(door, sent)
    assert request.body == body


def test_the_body_may_be_as_large_as_the_inbox_takes(door):
    """No limit of the framework comes before the inbox's own."""
    body = b"x" * (3 * 1024 * 1024)
    [(_, request)], answer = sent_through(door, Sent(headers=JSON, body=body), RecordingInbox(len(body)))
    assert len(request.body) == len(body)
    assert answer.status == 200


def test_a_body_too_large_is_refused(door):
    """One byte more than the inbox takes is answered 413 in the inbox's words, and nothing is accepted."""
    requests, answer = sent_through(door, Sent(headers=JSON, body=b"x" * 101), RecordingInbox(100))
    assert requests == []
    assert (answer.status, answer.body) == (413, TOO_LARGE.body)


@pytest.mark.parametrize(
    "target",
    ["/xendit", "/xendit/", "/xendit?a=1&b=x%20y%2Fz&empty=", "/xendit?token=a%2Bb%3D%3D"],
)
def test_the_url_is_as_the_sender_wrote_it(door, target):
    """Scheme, host, path and query reach the inbox whole and undecoded: some signatures cover them."""
    [(source, request)], _ = sent_through(door, Sent(target=target))
    assert request.url == door.origin + target
    assert source == "xendit"


@pytest.mark.parametrize("each", [door for door in DOORS if door.name != "balancer"], ids=str)
def test_a_parameter_may_come_twice(each):
    """A query keeps a parameter's every value, in order; a balancer keeps them if told to give several values."""
    [(_, request)], _ = sent_through(each, Sent(target="/xendit?a=1&a=2&b=3"))
    assert request.url == f"{each.origin}/xendit?a=1&a=2&b=3"


def test_a_path_keeps_its_escapes(door):
    """Percent-escapes of the path reach the inbox as they were written; the source is the last segment."""
    [(source, request)], _ = sent_through(door, Sent(target="/a%20b/xendit"))
    assert request.url == f"{door.origin}/a%20b/xendit"
    assert source == "xendit"


def test_headers_are_in_lower_case(door):
    """A header is found under its name in lower case, its value unchanged."""
    sent = Sent(headers=(*JSON, ("X-CALLBACK-Token", "a=b; C"), ("webhook-id", "Wh_1")))
    [(_, request)], _ = sent_through(door, sent)
    assert request.headers["x-callback-token"] == "a=b; C"
    assert request.headers["webhook-id"] == "Wh_1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == "hooks.example.com"


def test_repeated_headers_are_joined(door):
    """A header sent twice is one header, in order; ways that join it themselves leave out the space."""
    sent = Sent(headers=(*JSON, ("Webhook-Signature", "v1,one"), ("Webhook-Signature", "v1,two")))
    [(_, request)], _ = sent_through(door, sent)
    assert request.headers["webhook-signature"] == f"v1,one{door.comma}v1,two"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_any_method_is_handed_on(door, method):
    """Handshakes come by GET, and what else may come is for the inbox to answer."""
    sent = Sent(method=method, target="/xendit?hub.challenge=42", body=b"")
    [(_, request)], answer = sent_through(door, sent)
    assert request.method == method
    assert answer.status == 200


def test_an_unknown_source_is_the_inboxs_to_refuse(door):
    """What the inbox does not know is asked of it all the same, and its 404 is the answer."""
    [(source, _)], answer = sent_through(door, Sent(target="/nobody"))
    assert source == "nobody"
    assert answer.status == 404
    assert json.loads(answer.body)["code"] == "not_found"


def test_an_empty_answer_has_nothing_in_it(door):
    """A 204 has no body, and an answer without a body claims no type for it."""
    _, answer = sent_through(door, Sent(target="/quiet"))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("content-type") == ""


def test_a_refusal_keeps_its_headers(door):
    """A 503 says when to come back."""
    _, answer = sent_through(door, Sent(target="/busy"))
    assert (answer.status, answer.body) == (503, BUSY.body)
    assert answer.header("retry-after") == "7"
    assert answer.header("content-type") == "application/json"


def test_an_acknowledgement_of_ones_own_is_exact(door):
    """Status, headers and bytes of a source's own acknowledgement are sent as they are."""
    _, answer = sent_through(door, Sent(target="/custom"))
    assert (answer.status, answer.body) == (202, CUSTOM.body)
    assert answer.header("x-ack") == "a b"
    assert answer.header("content-type") == "application/x-ack"


@pytest.mark.parametrize("call", [call_adapter, call_django, call_azure])
def test_a_commit_does_not_hold_up_other_requests(call):
    """While one request waits for its commit, others on the same event loop are accepted."""

    async def together():
        inbox = HoldingInbox(expected=5)
        with django_project(inbox, asynchronous=True):
            return await asyncio.gather(*[call(inbox, Sent()) for _ in range(5)])

    assert [answer.status for answer in asyncio.run(together())] == [200] * 5
