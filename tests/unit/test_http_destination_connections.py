"""Connections of the HTTP destination: how long they are kept, and deadlines for all that happens on them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest
from deliveries_over_http import LOOPBACK, OPEN, SHORT, answer, delivering, outcome_of, request_to
from receivers import OK, Peer, answering, answering_once, receiving

from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.model import Outcome, OutcomeKind

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
