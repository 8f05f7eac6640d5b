"""What every destination promises to the worker, whatever kind of place it delivers to.

To hold another kind to the contract, add a stage for it to ``STAGES``: something that can be told how the far
end behaves, and that gives the destination, the URL and what arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from ringback.destinations import Destination, Request
from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.model import Outcome, OutcomeKind

LONG = 10_000
SHORT = 200


class Stage:
    """A far end that answers with ``status``, or never (0), or breaks off (-1); and the way to it."""

    def __init__(self, destination: Destination, url: str) -> None:
        self.destination = destination
        self.url = url
        self.status = 200
        self.arrived: list[tuple[dict[str, str], bytes]] = []

    async def send(self, body: bytes = b"{}", deadline: int = LONG, **headers: str) -> Outcome:
        """Make one attempt."""
        return await self.destination.send(Request(self.url, tuple(headers.items()), body, deadline))


@contextlib.asynccontextmanager
async def http_stage() -> AsyncIterator[Stage]:
    stage: Stage | None = None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")[1:-2]
                headers = dict(line.lower().split(": ", 1) for line in lines)
                body = await reader.readexactly(int(headers["content-length"]))
                stage.arrived.append((headers, body))
                if stage.status < 0:
                    return
                if stage.status == 0:
                    await reader.read()
                    return
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 4\r\n\r\nbody" % stage.status)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    destination = HttpDestination(HttpSettings(allow=(ip_network("127.0.0.0/8"),)))
    stage = Stage(destination, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
    async with server:
        yield stage
        await destination.aclose()


STAGES = {"http": http_stage}


@pytest.fixture(params=STAGES)
def play(request):
    """Return what runs a scenario on the stage of each kind of destination in turn."""

    def run(scenario):
        async def act():
            async with STAGES[request.param]() as stage:
                return await scenario(stage)

        return asyncio.run(act())

    return run


def test_body_and_headers_arrive_untouched(play):
    """The body arrives byte for byte and every header given arrives with its value."""
    body = bytes(range(256)) * 100

    async def scenario(stage: Stage):
        await stage.send(body, **{"webhook-id": "msg_1", "x-own": "a b"})
        return stage.arrived

    [(headers, arrived)] = play(scenario)
    assert arrived == body
    assert headers["webhook-id"] == "msg_1"
    assert headers["x-own"] == "a b"


def test_empty_body_is_delivered(play):
    """A body of no bytes is a body."""

    async def scenario(stage: Stage):
        return await stage.send(b""), stage.arrived

    outcome, [(_, body)] = play(scenario)
    assert outcome.ok
    assert body == b""


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_success(play, status):
    """An answer of 2xx is a success, with the status."""

    async def scenario(stage: Stage):
        stage.status = status
        return await stage.send()

    outcome = play(scenario)
    assert (outcome.kind, outcome.status) == (OutcomeKind.SUCCESS, status)


@pytest.mark.parametrize("status", [302, 400, 410, 429, 500])
def test_refusal(play, status):
    """Any other answer is a refusal, with the status."""

    async def scenario(stage: Stage):
        stage.status = status
        return await stage.send()

    outcome = play(scenario)
    assert (outcome.kind, outcome.status) == (OutcomeKind.REFUSED, status)


def test_failure_is_a_value(play):
    """A far end that breaks off makes an outcome, not an exception, and was asked once."""

    async def scenario(stage: Stage):
        stage.status = -1
        return await stage.send(), len(stage.arrived)

    outcome, count = play(scenario)
    assert not outcome.ok
    assert count == 1


def test_deadline_is_kept(play):
    """A far end that never answers makes a timeout, soon after the deadline."""

    async def scenario(stage: Stage):
        stage.status = 0
        began = time.monotonic()
        outcome = await stage.send(deadline=SHORT)
        return outcome, time.monotonic() - began

    outcome, elapsed = play(scenario)
    assert outcome.kind is OutcomeKind.TIMEOUT
    assert SHORT / 1000 * 0.9 < elapsed < 5


def test_deliveries_do_not_wait_for_each_other(play):
    """Many attempts can be under way at once, and each gets its own outcome."""

    async def scenario(stage: Stage):
        outcomes = await asyncio.gather(*(stage.send(b"%d" % number) for number in range(50)))
        return outcomes, sorted(int(body) for _, body in stage.arrived)

    outcomes, numbers = play(scenario)
    assert all(outcome.ok for outcome in outcomes)
    assert numbers == list(range(50))


def test_attempt_can_be_cancelled(play):
    """A cancelled attempt ends at once, and the destination goes on working."""

    async def scenario(stage: Stage):
        stage.status = 0
        sending = asyncio.create_task(stage.send())
        await asyncio.wait([sending], timeout=0.05)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        stage.status = 200
        return await stage.send()

    assert play(scenario).ok


def test_closing_twice_does_no_harm(play):
    """Idle connections can be given up more than once."""

    async def scenario(stage: Stage):
        await stage.send()
        await stage.destination.aclose()
        await stage.destination.aclose()

    play(scenario)
