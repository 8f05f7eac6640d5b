"""A canary: one message goes to a paused endpoint as a real attempt, its outcome is told, and nothing else flows."""

import asyncio
import contextlib
import secrets

import pytest
from line import OK, Line, played, refused

from ringback.canary import Canary
from ringback.courier import Courier
from ringback.errors import Conflict, NotFound
from ringback.model import DeliveryState, EndpointState, Trigger

DEADLINE = 15_000


class Scene:
    """A line with one paused endpoint, and its canary."""

    def __init__(self, line, canary, endpoint):
        self.line = line
        self.owner = endpoint.application_id
        self.endpoint = endpoint
        self._canary = canary

    def send(self, endpoint_id=None):
        """Send a canary."""
        return self._canary.send(self.owner, endpoint_id or self.endpoint.id)

    async def resume(self):
        """Resume the endpoint."""
        await self.line.outbox.resume_endpoint(self.owner, self.endpoint.id)

    async def stands(self, message_id):
        """Return how a message stands there."""
        return await self.line.delivery(self.owner, message_id)


@contextlib.asynccontextmanager
async def paused(url, **fields):
    """Yield a scene whose endpoint is paused."""
    async with Line(url) as line:
        owner, endpoint = await line.stage("shop", **fields)
        canary = Canary(
            line.committer,
            Courier(line.receivers, "Ringback", DEADLINE, line.clock.monotonic),
            DEADLINE,
            clock=line.clock,
            monotonic=line.clock.monotonic,
            entropy=secrets.token_bytes,
        )
        await line.outbox.pause_endpoint(owner, endpoint.id)
        yield Scene(line, canary, endpoint)
        await canary.aclose()


def test_the_oldest_is_delivered_and_the_rest_waits(store_url):
    """It is a real attempt, made by hand; the pause goes on until it is ended, and then the rest flows."""

    @played
    async def story():
        async with paused(store_url) as scene:
            first, second = await scene.line.publish(scene.owner, 2)
            attempt = await scene.send()
            assert (attempt.message_id, attempt.outcome.status, attempt.trigger) == (
                first,
                200,
                Trigger.MANUAL,
            )
            assert (await scene.stands(first)).state is DeliveryState.SUCCEEDED
            assert (await scene.stands(second)).state is DeliveryState.WAITING
            assert [one.id for one in await scene.line.attempts(scene.owner, first)] == [attempt.id]
            await scene.line.rounds()
            assert [one.message_id for one in scene.line.receivers.arrivals] == [first]
            await scene.resume()
            await scene.line.arrived("shop", 2)
            assert scene.line.receivers.arrivals[1].message_id == second

    story()


@pytest.mark.parametrize("retries", [(), (1,)], ids=["tried once", "tried twice"])
def test_a_failure_costs_the_message_nothing(store_url, retries):
    """It waits on with all its attempts before it, also where there is only one, and is told of as any other."""

    @played
    async def story():
        async with paused(store_url, retry_schedule=retries) as scene:
            (name,) = await scene.line.publish(scene.owner)
            scene.line.receivers.answers("shop", refused(500), OK)
            attempt = await scene.send()
            assert attempt.outcome.status == 500
            delivery = await scene.stands(name)
            assert (delivery.state, delivery.attempts, delivery.reason) == (
                DeliveryState.WAITING,
                0,
                "endpoint_paused",
            )
            assert [one.outcome.status for one in await scene.line.attempts(scene.owner, name)] == [500]
            assert (await scene.send()).outcome.ok
            assert (await scene.stands(name)).state is DeliveryState.SUCCEEDED

    story()


def test_where_there_is_an_order_it_is_kept(store_url):
    """The first in order is the canary, again and again until it succeeds."""

    @played
    async def story():
        async with paused(store_url, ordered=True) as scene:
            names = await scene.line.publish(scene.owner, 3)
            scene.line.receivers.answers("shop", refused(500), OK)
            assert [(await scene.send()).message_id for _ in range(3)] == [names[0], *names[:2]]
            await scene.resume()
            await scene.line.arrived("shop", 4)
            assert [one.message_id for one in scene.line.receivers.arrivals] == [names[0], *names]

    story()


def test_a_receiver_that_is_gone_for_good_disables_the_endpoint(store_url):
    """410 means what it always means."""

    @played
    async def story():
        async with paused(store_url) as scene:
            await scene.line.publish(scene.owner)
            scene.line.receivers.answers("shop", refused(410))
            await scene.send()
            endpoint = await scene.line.outbox.read(
                lambda store: store.endpoint(scene.owner, scene.endpoint.id)
            )
            assert (endpoint.state, endpoint.disabled_reason) == (EndpointState.DISABLED, "gone")

    story()


def test_whoever_waits_for_it_may_go(store_url):
    """An attempt that was begun is recorded, whether somebody still waits for its outcome or not."""

    @played
    async def story():
        async with paused(store_url) as scene:
            (name,) = await scene.line.publish(scene.owner)
            waiting = asyncio.ensure_future(scene.send())

            def answer():
                waiting.cancel()
                return OK

            scene.line.receivers.answers("shop", answer)
            await scene.line.finished(1)
            assert (await scene.stands(name)).state is DeliveryState.SUCCEEDED

    story()


def test_what_cannot_be_is_said(store_url):
    """Without a pause, without anything that waits, or without an endpoint nothing is sent."""

    @played
    async def story():
        async with paused(store_url) as scene:
            with pytest.raises(Conflict, match="no message waits"):
                await scene.send()
            await scene.resume()
            with pytest.raises(Conflict, match="the endpoint is enabled"):
                await scene.send()
            scene.endpoint = type(
                "Nobody", (), {"application_id": scene.endpoint.application_id, "id": "ep_x"}
            )
            with pytest.raises(NotFound):
                await scene.send()
            assert not scene.line.receivers.arrivals

    story()
