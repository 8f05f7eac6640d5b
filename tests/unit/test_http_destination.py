"""What the HTTP destination sends, and what it makes of answers, good and bad."""

from __future__ import annotations

import gzip

import pytest
from deliveries_over_http import answer, delivering, outcome_of, request_to
from receivers import OK, Peer, answering, answering_once, receiving

from ringback.model import OutcomeKind

# --- What is sent ------------------------------------------------------------------------------------------


def test_request_arrives_as_it_was_given(run):
    """Body and headers arrive as given, with the four headers that the destination adds, once each."""

    async def scenario():
        async with receiving(answering(OK)) as receiver, delivering() as destination:
            body = bytes(range(256))
            await destination.send(
                request_to(
                    f"{receiver.url}?a=%20b", body=body, **{"webhook-id": "msg_1", "x-percent": "100%s"}
                )
            )
            return receiver.requests[0], receiver.port, body

    received, port, body = run(scenario())
    assert received.line == "POST /hook?a=%20b HTTP/1.1"
    assert received.body == body
    assert len(received.fields) == len(received.headers)
    assert received.headers == {
        "host": f"127.0.0.1:{port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "Ringback",
        "webhook-id": "msg_1",
        "x-percent": "100%s",
        "content-length": "256",
    }


def test_credentials_become_basic_authorization(run):
    """Credentials in the URL arrive as Basic authorization, and not in the Host header or the path."""

    async def scenario():
        async with receiving(answering(OK)) as receiver, delivering() as destination:
            await destination.send(request_to(f"http://user:p%40ss@127.0.0.1:{receiver.port}/hook"))
            return receiver.requests[0], receiver.port

    received, port = run(scenario())
    assert received.headers["authorization"] == "Basic dXNlcjpwQHNz"
    assert received.headers["host"] == f"127.0.0.1:{port}"
    assert received.line == "POST /hook HTTP/1.1"


def test_large_body_arrives_whole(run):
    """A body far larger than the socket's buffers arrives whole, and the connection is used again."""

    async def scenario():
        async with receiving(answering(OK)) as receiver, delivering() as destination:
            body = b"0123456789abcdef" * 200_000
            first = await destination.send(request_to(receiver.url, body=body))
            second = await destination.send(request_to(receiver.url))
            return first, second, receiver.requests[0].body == body, receiver.connections

    first, second, whole, connections = run(scenario())
    assert first.ok
    assert second.ok
    assert whole
    assert connections == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "1\r\nx-b: 2"),
        ("x-a", "1\nx-b: 2"),
        ("x-a", "1\rx-b: 2"),
        ("x-a", "1\r\n folded"),
        ("x-a", "nul\0"),
        ("x-a", "ünicode"),
        ("x-a\r\nx-b", "1"),
        ("x a", "1"),
        ("Host", "evil.example"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ],
)
def test_header_that_would_change_the_request_is_not_sent(run, name, value):
    """A header that breaks out of its line or frames the request is refused; no connection is even made."""

    async def scenario():
        async with receiving(answering(OK)) as receiver, delivering() as destination:
            outcome = await destination.send(request_to(receiver.url, **{name: value}))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.BLOCKED_ADDRESS, "invalid_header")
    assert connections == 0


# --- What is made of the answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
            ),
            200,
            b"abcde",
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
            200,
            b"ok",
        ),
    ],
)
def test_answer_is_read_to_its_end_and_the_connection_used_again(run, raw, status, body):
    """However an answer is framed, it is read exactly, and the next request uses the same connection."""

    async def scenario():
        async with receiving(answering(raw)) as receiver, delivering() as destination:
            outcomes = [await destination.send(request_to(receiver.url)) for _ in range(3)]
            return outcomes, receiver.connections

    outcomes, connections = run(scenario())
    assert [(o.kind, o.detail, o.status, o.body) for o in outcomes] == [
        (OutcomeKind.SUCCESS, "", status, body)
    ] * 3
    assert connections == 1


@pytest.mark.parametrize(
    "raw",
    [b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nuntil the end"],
)
def test_answer_without_length_is_read_until_the_receiver_closes(run, raw):
    """An answer without a length ends where the connection does."""
    outcome = run(outcome_of(answering_once(raw)))
    assert (outcome.kind, outcome.body) == (OutcomeKind.SUCCESS, b"until the end")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirect_is_a_refusal(run, status):
    """A redirect, even to the metadata service, is reported and not followed."""

    async def scenario():
        raw = answer(b"", "Location: http://169.254.169.254/latest", status=f"{status} Elsewhere")
        async with receiving(answering(raw)) as receiver, delivering() as destination:
            outcome = await destination.send(request_to(receiver.url))
            return outcome, len(receiver.requests)

    outcome, requests = run(scenario())
    assert (outcome.kind, outcome.status, requests) == (OutcomeKind.REFUSED, status, 1)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599, 999])
def test_any_other_status_is_a_refusal(run, status):
    """An error status is a refusal, with the status and the body kept."""
    outcome = run(outcome_of(answering(answer(b"no", status=f"{status} No"))))
    assert (outcome.kind, outcome.status, outcome.body) == (OutcomeKind.REFUSED, status, b"no")


def test_retry_after_is_passed_on(run):
    """What the receiver asks for in Retry-After is in the outcome, in milliseconds."""
    outcome = run(outcome_of(answering(answer(b"", "Retry-After: 1.5", status="503 Busy"))))
    assert outcome.retry_after == 1_500


def test_compressed_answer_is_kept_as_it_came(run):
    """A compressed answer is not decompressed, so it cannot be a bomb."""
    bomb = gzip.compress(b"\0" * 20_000_000)
    outcome = run(outcome_of(answering(answer(bomb, "Content-Encoding: gzip"))))
    assert outcome.body == bomb


def test_large_answer_is_cut(run):
    """Of an answer of a gigabyte 64 KiB are kept; the rest is not read, and the status still decides."""
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while sent < 1_000_000_000:
            await peer.send(b"x" * 65_536)
            sent += 65_536

    outcome = run(outcome_of(script))
    assert (outcome.kind, outcome.detail, len(outcome.body)) == (OutcomeKind.SUCCESS, "truncated", 65_536)
    assert sent < 50_000_000


def test_answer_of_just_64_kib_is_whole(run):
    """An answer of exactly 64 KiB is not cut."""
    outcome = run(outcome_of(answering(answer(b"x" * 65_536))))
    assert (outcome.detail, len(outcome.body)) == ("", 65_536)


def test_answer_in_tiny_chunks_is_cut_too(run):
    """The framing counts as well: an answer in chunks of one byte cannot cost more than a megabyte."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"1;" + b"x" * 10_000 + b"\r\na\r\n")

    outcome = run(outcome_of(script))
    assert (outcome.kind, outcome.detail) == (OutcomeKind.SUCCESS, "truncated")


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Field: 1\r\n" * 10_000),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 100_000),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000, b""),
        (b"HTTP/1.1 200 " + b"x" * 100_000, b""),
    ],
)
def test_endless_headers_are_refused(run, start, more):
    """Headers beyond 200 fields or 64 KiB end the attempt."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(start + more)
        await peer.closed_by_sender()

    outcome = run(outcome_of(script))
    assert outcome.kind in {OutcomeKind.TOO_LARGE, OutcomeKind.BAD_RESPONSE}


def test_ten_thousand_headers_are_too_large(run):
    """10,000 short headers are told apart from nonsense."""
    outcome = run(outcome_of(answering(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n")))
    assert (outcome.kind, outcome.detail) == (OutcomeKind.TOO_LARGE, "headers")


def test_endless_interim_answers_are_refused(run):
    """A receiver that says 100 Continue for ever is cut off."""

    async def script(peer: Peer) -> None:
        await peer.request()
        while True:
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    outcome = run(outcome_of(script))
    assert (outcome.kind, outcome.detail) == (OutcomeKind.BAD_RESPONSE, "interim")


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/7.3 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_nonsense_is_a_bad_response(run, raw):
    """What is not HTTP/1 is reported as such, and never raises."""
    assert run(outcome_of(answering_once(raw))).kind is OutcomeKind.BAD_RESPONSE


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (b"", "before_response"),
        (b"HTTP/1.1 2", "in_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "in_response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "in_response"),
    ],
)
@pytest.mark.parametrize("rudely", [False, True])
def test_connection_closed_too_early_is_a_reset(run, said, detail, rudely):
    """Closing or resetting before the answer is whole is no answer, and the receiver is not asked again."""

    async def scenario():
        async def script(peer: Peer) -> None:
            await peer.request()
            if said:
                await peer.send(said)
            if rudely and not said:
                peer.reset()

        async with receiving(script) as receiver, delivering() as destination:
            outcome = await destination.send(request_to(receiver.url))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail, connections) == (OutcomeKind.RESET, detail, 1)
