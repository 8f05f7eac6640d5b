"""What the HTTP destination promises, to receivers that behave and to those that do not."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import time
from ipaddress import ip_network

import pytest
import uvloop
from receivers import OK, FixedResolver, Peer, answering, answering_once, receiving

from ringback.destinations import Request
from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.errors import ConfigurationError
from ringback.model import Outcome, OutcomeKind

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
OPEN = HttpSettings(allow=LOOPBACK)
SHORT = 300
LONG = 10_000


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Return what runs a coroutine, on each of the two event loops in turn."""
    return uvloop.run if request.param == "uvloop" else asyncio.run


def request_to(url: str, *, body: bytes = b'{"a": 1}', deadline: int = LONG, **headers: str) -> Request:
    fields = {"content-type": "application/json", "user-agent": "Ringback", **headers}
    return Request(url, tuple(fields.items()), body, deadline)


@contextlib.asynccontextmanager
async def delivering(settings: HttpSettings = OPEN, **seams):
    destination = HttpDestination(settings, **seams)
    try:
        yield destination
    finally:
        await destination.aclose()


async def outcome_of(script, *, deadline: int = LONG, body: bytes = b"{}") -> Outcome:
    async with receiving(script) as receiver, delivering() as destination:
        return await destination.send(request_to(receiver.url, body=body, deadline=deadline))


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


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


# --- Keeping connections -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        answer(b"ok", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 500 No\r\nRetry-After: 9\r\nContent-Length: 6\r\n\r\nforged",
        OK + b"surplus",
    ],
)
def test_connection_in_doubt_is_not_used_again(run, raw):
    """After an answer that closes, or says more than was asked, the next request takes a new connection."""

    async def scenario():
        async with receiving(answering(raw)) as receiver, delivering() as destination:
            outcomes = [await destination.send(request_to(receiver.url)) for _ in range(3)]
            return outcomes, receiver.connections

    outcomes, connections = run(scenario())
    assert [(o.status, o.body, o.retry_after) for o in outcomes] == [(200, b"ok", None)] * 3
    assert connections == 3


def closing_on_second_request(said: bytes = b""):
    """Return a script whose first connection answers once, and closes on its second request after *said*."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        if peer.number == 1:
            await peer.send(said)
            return
        await peer.send(OK)

    return script


@pytest.mark.parametrize("rounds", [1, 20])
def test_request_on_a_stale_connection_is_sent_again(run, rounds):
    """A request that met the close of an idle connection is sent again on a new one, and succeeds."""

    async def scenario():
        async with receiving(closing_on_second_request()) as receiver, delivering() as destination:
            first = await destination.send(request_to(receiver.url))
            second = await destination.send(request_to(receiver.url, body=b"x" * 5_000 * rounds))
            return first, second, receiver.connections

    first, second, connections = run(scenario())
    assert first.ok
    assert second.ok
    assert connections == 2


def test_request_is_not_sent_again_once_the_answer_began(run):
    """One byte of an answer means that the request was seen: it is not sent again."""

    async def scenario():
        async with receiving(closing_on_second_request(b"H")) as receiver, delivering() as destination:
            await destination.send(request_to(receiver.url))
            outcome = await destination.send(request_to(receiver.url))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail, connections) == (OutcomeKind.RESET, "in_response", 1)


def test_request_is_sent_again_only_once(run):
    """A receiver that closes the second connection too is reported, not tried a third time."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.send(OK)
            await peer.request()

    async def scenario():
        async with receiving(script) as receiver, delivering() as destination:
            await destination.send(request_to(receiver.url))
            outcome = await destination.send(request_to(receiver.url))
            return outcome, receiver.connections, len(receiver.requests)

    outcome, connections, requests = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.RESET, "before_response")
    assert (connections, requests) == (2, 3)


def test_connection_closed_while_idle_is_left_behind(run):
    """When the receiver closes an idle connection, the next request goes over a new one."""

    async def scenario():
        async with receiving(answering_once(OK)) as receiver, delivering() as destination:
            outcomes = []
            for count in range(1, 4):
                outcomes.append(await destination.send(request_to(receiver.url)))
                await receiver.until(lambda r, count=count: r.closed == count)
            return outcomes, receiver.connections

    outcomes, connections = run(scenario())
    assert all(outcome.ok for outcome in outcomes)
    assert connections == 3


@pytest.mark.parametrize(
    "settings",
    [
        HttpSettings(allow=LOOPBACK, idle_total=2),
        HttpSettings(allow=LOOPBACK, idle_per_receiver=2),
    ],
)
def test_idle_connections_are_bounded(run, settings):
    """Of many connections in use at once only as many are kept as the settings say."""

    async def scenario():
        async with receiving(answering(OK)) as receiver, delivering(settings) as destination:
            await asyncio.gather(*(destination.send(request_to(receiver.url)) for _ in range(6)))
            await receiver.until(lambda r: r.closed == r.connections - 2)
            return receiver.connections

    assert run(scenario()) == 6


def test_connections_are_not_kept_idle_for_long(run):
    """A connection idle for longer than the setting is closed, without another request."""

    async def scenario():
        settings = HttpSettings(allow=LOOPBACK, idle_timeout=0.05)
        async with receiving(answering(OK)) as receiver, delivering(settings) as destination:
            await destination.send(request_to(receiver.url))
            await receiver.until(lambda r: r.closed == 1)

    run(scenario())


def test_closing_gives_up_idle_connections(run):
    """After aclose, no idle connection is left, and closing again does no harm."""

    async def scenario():
        async with receiving(answering(OK)) as receiver:
            destination = HttpDestination(OPEN)
            await destination.send(request_to(receiver.url))
            await destination.aclose()
            await destination.aclose()
            await receiver.until(lambda r: r.closed == 1)

    run(scenario())


def test_cancelled_request_closes_its_connection(run):
    """A request cancelled while it waits leaves no connection behind that could deliver a late answer."""

    async def scenario():
        seen = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            seen.set()
            await peer.closed_by_sender()

        async with receiving(script) as receiver, delivering() as destination:
            sending = asyncio.create_task(destination.send(request_to(receiver.url)))
            await seen.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await receiver.until(lambda r: r.closed == 1)

    run(scenario())


# --- Deadlines ---------------------------------------------------------------------------------------------


def timed(run, scenario) -> tuple[Outcome, float]:
    began = time.monotonic()
    outcome = run(scenario)
    return outcome, time.monotonic() - began


def assert_timed_out(result: tuple[Outcome, float], phase: str) -> None:
    outcome, elapsed = result
    assert (outcome.kind, outcome.detail) == (OutcomeKind.TIMEOUT, phase)
    assert elapsed < 5
    assert getattr(outcome.phases, phase) > 0


async def _never(_: object) -> None:
    await asyncio.Event().wait()


def test_deadline_covers_name_resolution(run):
    """A resolver that never answers ends in a timeout of the phase dns."""

    class Silent:
        async def resolve(self, host: str) -> list[str]:
            await _never(host)
            return []

    async def scenario():
        async with delivering(resolver=Silent()) as destination:
            return await destination.send(request_to("http://hooks.example/", deadline=SHORT))

    assert_timed_out(timed(run, scenario()), "dns")


def test_deadline_covers_connecting(run):
    """A host that does not complete the connection ends in a timeout of the phase connect."""

    async def scenario():
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            port = listener.getsockname()[1]
            for _ in range(3):  # fill the queue of connections that nobody accepts
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            async with delivering() as destination:
                return await destination.send(request_to(f"http://127.0.0.1:{port}/", deadline=SHORT))

    assert_timed_out(timed(run, scenario()), "connect")


def test_deadline_covers_the_handshake(run):
    """A receiver that accepts and says nothing to a TLS client ends in a timeout of the phase tls."""

    async def scenario():
        async with receiving(_never) as receiver, delivering() as destination:
            return await destination.send(request_to(f"https://127.0.0.1:{receiver.port}/", deadline=SHORT))

    assert_timed_out(timed(run, scenario()), "tls")


def test_deadline_covers_writing(run):
    """A receiver that does not read a large request ends in a timeout of the phase write."""
    scenario = outcome_of(_never, body=b"x" * 30_000_000, deadline=SHORT)
    assert_timed_out(timed(run, scenario), "write")


def test_deadline_covers_waiting(run):
    """A receiver that reads and never answers ends in a timeout of the phase wait."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.closed_by_sender()

    assert_timed_out(timed(run, outcome_of(script, deadline=SHORT)), "wait")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_deadline_covers_reading(run, head):
    """A receiver that answers a byte at a time does not gain time with each byte."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in head + b"X-" + b"x" * 1_000:
            await peer.send(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(peer.reader.read(1), 0.01)

    assert_timed_out(timed(run, outcome_of(script, deadline=SHORT)), "read")


def test_deadline_on_a_kept_connection(run):
    """A request on a kept connection has a deadline too, and is not sent again after it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.closed_by_sender()

    async def scenario():
        async with receiving(script) as receiver, delivering() as destination:
            await destination.send(request_to(receiver.url))
            outcome = await destination.send(request_to(receiver.url, deadline=SHORT))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail, connections) == (OutcomeKind.TIMEOUT, "wait", 1)


def test_phases_are_measured(run):
    """The phases say where the time went: a receiver that takes its time shows in wait, not in the others."""

    async def script(peer: Peer) -> None:
        await peer.request()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(peer.reader.read(1), 0.1)
        await peer.send(OK)

    phases = run(outcome_of(script)).phases
    assert phases.wait >= 90_000
    assert phases.connect > 0
    assert phases.tls == 0
    assert phases.dns + phases.connect + phases.write + phases.read < phases.wait


# --- Where it connects -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "detail"),
    [
        ("127.0.0.1", "loopback"),
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "embedded"),
        ("localhost", "loopback"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "metadata"),
        ("0.0.0.0", "unspecified"),
        ("①②⑦.0.0.1", "loopback"),
        ("2130706433", "invalid_url"),
        ("0x7f.1", "invalid_url"),
        ("0177.0.0.1", "invalid_url"),
        ("127.1", "invalid_url"),
        ("127.0.0.1\\@example.com", "invalid_url"),
    ],
)
def test_internal_addresses_are_refused(run, host, detail):
    """No way of writing an internal address leads to a connection, and the detail does not tell it."""

    async def scenario():
        async with receiving(answering(OK)) as receiver, delivering(HttpSettings()) as destination:
            outcome = await destination.send(request_to(f"http://{host}:{receiver.port}/"))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.BLOCKED_ADDRESS, detail)
    assert connections == 0


@pytest.mark.parametrize("port", [1, 22, 25, 110, 1023])
def test_system_ports_are_refused(run, port):
    """Ports of mail servers and the like are refused at public addresses."""

    async def scenario():
        async with delivering(resolver=FixedResolver(["8.8.8.8"])) as destination:
            return await destination.send(request_to(f"http://hooks.example:{port}/"))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.BLOCKED_ADDRESS, "port")


def test_one_bad_address_refuses_the_name(run):
    """A name that resolves to a good and a bad address is not connected to at all."""

    async def scenario():
        settings = HttpSettings(allow=(ip_network("127.0.0.2/32"),))
        resolver = FixedResolver(["127.0.0.2", "10.0.0.1"])
        async with (
            receiving(answering(OK), host="127.0.0.2") as receiver,
            delivering(settings, resolver=resolver) as destination,
        ):
            outcome = await destination.send(request_to(f"http://hooks.example:{receiver.port}/"))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail, connections) == (OutcomeKind.BLOCKED_ADDRESS, "private", 0)


def test_rebinding_name_never_reaches_a_refused_address(run):
    """A name that changes its address every time is looked up once per attempt and judged every time."""

    async def scenario():
        # 127.0.0.2 is opened and plays the public address; 127.0.0.1 plays the internal one.
        settings = HttpSettings(allow=(ip_network("127.0.0.2/32"),), name_lifetime=0)
        resolver = FixedResolver(*[["127.0.0.2"], ["127.0.0.1"]] * 250)
        async with (
            receiving(answering(OK), host="127.0.0.2") as public,
            receiving(answering(OK), host="127.0.0.1", port=public.port) as internal,
            delivering(settings, resolver=resolver) as destination,
        ):
            url = f"http://hooks.example:{public.port}/"
            outcomes = [await destination.send(request_to(url)) for _ in range(500)]
            return outcomes, resolver.lookups, internal.connections

    outcomes, lookups, internal_connections = run(scenario())
    assert [outcome.kind for outcome in outcomes[:2]] == [OutcomeKind.SUCCESS, OutcomeKind.BLOCKED_ADDRESS]
    assert sum(outcome.ok for outcome in outcomes) == 250
    assert lookups == 500
    assert internal_connections == 0


def test_names_are_remembered_briefly(run):
    """A busy receiver is looked up once, also when the first requests come all at once."""

    async def scenario():
        resolver = FixedResolver(["127.0.0.1"])
        async with receiving(answering(OK)) as receiver, delivering(resolver=resolver) as destination:
            url = f"http://hooks.example:{receiver.port}/"
            await asyncio.gather(*(destination.send(request_to(url)) for _ in range(10)))
            outcome = await destination.send(request_to(url))
            return outcome, resolver.lookups, receiver.requests[0].headers["host"], receiver.port

    outcome, lookups, host, port = run(scenario())
    assert outcome.ok
    assert lookups == 1
    assert host == f"hooks.example:{port}"


def test_next_address_is_tried(run):
    """When the first address of a name does not answer, the next one is used."""

    async def scenario():
        resolver = FixedResolver(["127.0.0.3", "127.0.0.1"])
        async with receiving(answering(OK)) as receiver, delivering(resolver=resolver) as destination:
            return await destination.send(request_to(f"http://hooks.example:{receiver.port}/"))

    assert run(scenario()).ok


@pytest.mark.parametrize(
    ("failure", "detail"),
    [
        (socket.gaierror(socket.EAI_NONAME, ""), "not_found"),
        (socket.gaierror(socket.EAI_NODATA, ""), "no_address"),
        (socket.gaierror(socket.EAI_AGAIN, ""), "failure"),
        (OSError("broken"), "failure"),
        (UnicodeError("label too long"), "not_found"),
        ([], "no_address"),
        (["not an address"], "failure"),
    ],
)
@pytest.mark.parametrize("lifetime", [0, 10])
def test_name_failures_are_told_apart(run, failure, detail, lifetime):
    """A missing name, one without addresses and a resolver in trouble have details of their own."""

    class Failing:
        async def resolve(self, host: str) -> list[str]:
            if isinstance(failure, Exception):
                raise failure
            return failure

    async def scenario():
        async with delivering(HttpSettings(name_lifetime=lifetime), resolver=Failing()) as destination:
            return await destination.send(request_to("http://hooks.example/"))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.DNS, detail)


def test_refused_connection(run):
    """A port that nobody listens on is a failure to connect."""

    async def scenario():
        async with receiving(answering(OK)) as receiver:
            url = receiver.url
        async with delivering() as destination:
            return await destination.send(request_to(url))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.CONNECT, "refused")


# --- Through a proxy ---------------------------------------------------------------------------------------


def through(port: int, userinfo: str = "") -> HttpSettings:
    return HttpSettings(allow=LOOPBACK, proxy=f"http://{userinfo}127.0.0.1:{port}")


def test_http_through_a_proxy_uses_the_absolute_form(run):
    """A plain request to the proxy names the whole URL, and carries the proxy's credentials."""

    async def scenario():
        resolver = FixedResolver(["127.0.0.1"])
        async with (
            receiving(answering(OK)) as proxy,
            delivering(through(proxy.port, "u:p@"), resolver=resolver) as destination,
        ):
            outcome = await destination.send(request_to("http://hooks.example/a?b"))
            return outcome, proxy.requests[0]

    outcome, received = run(scenario())
    assert outcome.ok
    assert received.line == "POST http://hooks.example/a?b HTTP/1.1"
    assert received.headers["host"] == "hooks.example"
    assert received.headers["proxy-authorization"] == "Basic dTpw"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_does_not_switch_off_the_guard(run, scheme):
    """An internal address is refused before the proxy hears of it."""

    async def scenario():
        async with (
            receiving(answering(OK)) as proxy,
            delivering(through(proxy.port), resolver=FixedResolver(["10.0.0.1"])) as destination,
        ):
            outcome = await destination.send(request_to(f"{scheme}://hooks.example/"))
            return outcome, proxy.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail, connections) == (OutcomeKind.BLOCKED_ADDRESS, "private", 0)


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused"),
        (b"nonsense\r\n\r\n", "proxy_refused"),
        (b"", "proxy_failure"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 20_000, "proxy_failure"),
    ],
)
def test_proxy_that_opens_no_tunnel(run, said, detail):
    """A proxy that refuses or fails is reported as the reason why no connection was made."""

    async def scenario():
        async with receiving(answering_once(said)) as proxy, delivering(through(proxy.port)) as destination:
            return await destination.send(request_to("https://127.0.0.1/"))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.CONNECT, detail)


def test_proxies_in_the_environment_are_ignored(run, monkeypatch):
    """Environment variables that name a proxy change nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run(outcome_of(answering(OK))).ok


@pytest.mark.parametrize("url", ["https://127.0.0.1:3128", "socks5://127.0.0.1", "http://", "nonsense"])
def test_unusable_proxy_is_a_configuration_error(url):
    """A proxy's URL that cannot be used is refused at once, not at the first delivery."""
    with pytest.raises(ConfigurationError, match="proxy"):
        HttpDestination(HttpSettings(proxy=url))
