"""Trying endpoints out: one at a time for each application, few in all, and nobody waits for long for others."""

import asyncio

import pytest

from ringback.courier import Courier
from ringback.errors import Conflict, Unavailable
from ringback.model import Endpoint, EndpointSecret, Outcome, OutcomeKind
from ringback.probing import MAX_AT_ONCE, Probe

DEADLINE = 10_000
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Hanging:
    """A destination that answers when it is told to."""

    def __init__(self):
        self.let_go = asyncio.Event()
        self.sent = asyncio.Semaphore(0)

    async def send(self, _request):
        """Answer well, once that is asked for."""
        self.sent.release()
        await self.let_go.wait()
        return Outcome(kind=OutcomeKind.SUCCESS, status=204)

    async def aclose(self):
        """Have nothing to give up."""


def endpoint(application_id):
    return Endpoint(
        id="ep_1",
        application_id=application_id,
        url="https://a.example/",
        created_at=0,
        updated_at=0,
        secrets=(EndpointSecret(KEY),),
    )


def probing(destination, patience):
    courier = Courier(destination, "Ringback/test", DEADLINE, lambda: 0.0)
    return Probe(courier, lambda: 0, lambda: 0.0, bytes, patience=patience)


def test_an_application_tries_out_one_at_a_time():
    """Whoever presses again meanwhile is told to wait; others are not held up, and afterwards it goes on."""

    async def scene():
        destination = Hanging()
        probe = probing(destination, patience=60)
        first, other = (asyncio.ensure_future(probe.probe(endpoint(app))) for app in ("app_1", "app_2"))
        for _ in range(2):
            await destination.sent.acquire()
        with pytest.raises(Conflict, match="under way"):
            await probe.probe(endpoint("app_1"))
        destination.let_go.set()
        assert [(await one).outcome.status for one in (first, other)] == [204, 204]
        assert (await probe.probe(endpoint("app_1"))).outcome.ok

    asyncio.run(scene())


def test_nobody_waits_for_ever_for_hanging_hosts():
    """Where all slots are taken a check waits a moment, then says so; it can be tried again at once."""

    async def scene():
        destination = Hanging()
        probe = probing(destination, patience=0)
        taken = [
            asyncio.ensure_future(probe.probe(endpoint(f"app_{number}"))) for number in range(MAX_AT_ONCE)
        ]
        for _ in taken:
            await destination.sent.acquire()
        for _ in range(2):
            with pytest.raises(Unavailable, match="try again"):
                await probe.probe(endpoint("app_late"))
        destination.let_go.set()
        await asyncio.gather(*taken)
        assert (await probe.probe(endpoint("app_late"))).outcome.ok

    asyncio.run(scene())


def test_who_goes_away_leaves_room():
    """A check whose browser has left ends, and its application can try again."""

    async def scene():
        destination = Hanging()
        probe = probing(destination, patience=0)
        left = asyncio.ensure_future(probe.probe(endpoint("app_1")))
        await destination.sent.acquire()
        left.cancel()
        await asyncio.wait({left})
        destination.let_go.set()
        assert (await probe.probe(endpoint("app_1"))).outcome.ok

    asyncio.run(scene())
