"""Several nodes over one PostgreSQL database: one clock for all, and hints of what is due."""

import asyncio
import contextlib
import time

import pytest
from line import played

from postgres_server import postgres_server
from ringback.config import load
from ringback.drafts import ApplicationDraft, EndpointDraft
from ringback.model import DeliveryState
from ringback.observe import LeaseLost
from ringback.outbox import system_clock
from ringback.server.node import Node
from ringback.store import AttemptFilter, Page

MINUTES = 10 * 60_000
PATIENCE = 20
PICKED_UP_WITHIN = 0.1
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Receiver:
    """A receiver on loopback that notes when each request came, and may be told to wait with its answer."""

    def __init__(self):
        self.times = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._came = asyncio.Condition()

    async def serve(self, reader, writer):
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        await reader.readexactly(length)
        self.times.append(time.perf_counter())
        async with self._came:
            self._came.notify_all()
        await self.may_answer.wait()
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async def came(self, count):
        """Wait until *count* requests have come in all."""
        async with asyncio.timeout(PATIENCE), self._came:
            await self._came.wait_for(lambda: len(self.times) >= count)


@contextlib.asynccontextmanager
async def receiving():
    receiver = Receiver()
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server:
        yield receiver, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"


@contextlib.asynccontextmanager
async def node(url, *, clock=system_clock, worker=True, **settings):
    """Run a node without an API."""
    flags = {
        "store": url,
        "main_key": "A" * 43 + "=",
        "allow_subnets": "127.0.0.0/8",
        "drain_timeout": "1s",
    }
    running = Node(load(flags | settings, {}, None), worker=worker, api=False, clock=clock)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


async def stage(outbox, url):
    """Make an application with an endpoint at *url*; return its id."""
    application, _ = await outbox.create_application(ApplicationDraft(name="Acme"))
    await outbox.create_endpoint(application.id, EndpointDraft(url=url))
    return application.id


async def succeeded(outbox, application, message):
    """Wait until a message has arrived; return its attempts."""
    async with asyncio.timeout(PATIENCE):
        while True:
            ((delivery, _),) = await outbox.read(
                lambda store: store.deliveries(application, message.id, Page())
            )
            if delivery.state is DeliveryState.SUCCEEDED:
                break
            await asyncio.sleep(0.02)
    return await outbox.read(
        lambda store: store.attempts(application, AttemptFilter(message_id=message.id), Page())
    )


@pytest.fixture
def url():
    return postgres_server().new_database()


@pytest.mark.parametrize("wrong", [MINUTES, -MINUTES])
@played
async def test_leases_are_judged_by_one_clock(url, wrong):
    """A node whose machine's clock is ten minutes off takes over nothing that is being delivered, nor is it robbed."""
    poll = {"poll_interval": "20ms"}
    async with (
        receiving() as (receiver, address),
        node(url, **poll) as right,
        node(url, clock=lambda: system_clock() + wrong, **poll) as other,
    ):
        lost = []
        for one in (right, other):
            one.observer.subscribe(LeaseLost, lost.append)
        application = await stage(right.outbox, address)
        receiver.may_answer.clear()
        accepted = [await one.outbox.publish(application, "invoice.paid", b"{}") for one in (right, other)]
        await receiver.came(2)
        # Time for each of them to look for what it takes for abandoned, many times.
        await asyncio.sleep(0.5)
        receiver.may_answer.set()
        for one in accepted:
            attempts = await succeeded(right.outbox, application, one.message)
            assert len(attempts) == 1
            assert abs(one.message.created_at - system_clock()) < MINUTES // 2
        assert (len(receiver.times), lost) == (2, [])


@pytest.mark.alone
@played
async def test_what_one_node_accepts_another_delivers_at_once(url):
    """A message accepted by a node that does not deliver arrives within 100 ms, long before a look."""
    async with (
        receiving() as (receiver, address),
        node(url, worker=False) as accepting,
        node(url, poll_interval="1m"),
    ):
        application = await stage(accepting.outbox, address)
        took = []
        for number in range(1, 16):
            await asyncio.sleep(0.15)
            await accepting.outbox.publish(application, "invoice.paid", b"{}")
            published = time.perf_counter()
            await receiver.came(number)
            took.append(receiver.times[-1] - published)
        print([round(one * 1000) for one in took])
        assert sorted(took)[len(took) // 2] < PICKED_UP_WITHIN


@played
async def test_hints_are_few(url):
    """However much one node leaves to others, it hints at most ten times a second, and nothing waits."""
    async with (
        receiving() as (receiver, address),
        node(url, worker=False) as accepting,
        node(url, poll_interval="1m") as delivering,
    ):
        application = await stage(accepting.outbox, address)
        looks = []
        look = delivering._worker.look
        delivering._worker.look = lambda: (looks.append(time.perf_counter()), look())
        began = time.perf_counter()
        for _ in range(10):
            await asyncio.gather(
                *(accepting.outbox.publish(application, "invoice.paid", b"{}") for _ in range(30))
            )
            await asyncio.sleep(0.02)
        await receiver.came(300)
        assert len(looks) <= 3 + (time.perf_counter() - began) * 10


@played
async def test_nodes_that_start_at_once_declare_the_same_sources(url, tmp_path):
    """Of several nodes that start with the same file at the same moment, none fails, and each source is there once."""
    file = tmp_path / "ringback.toml"
    file.write_text(
        '[sources.xendit]\nsecrets = ["a-token-of-the-provider"]\nforward = [{ url = "https://example.com/hooks" }]\n'
    )
    flags = {"store": url, "main_key": "A" * 43 + "=", "listen": "127.0.0.1:0", "admin_token": "a" * 32}
    nodes = [Node(load(flags, {}, file), worker=False) for _ in range(4)]
    try:
        await asyncio.gather(*(one.start() for one in nodes))
        (source,) = await nodes[0].outbox.read(lambda store: store.sources(Page()))
        (forward,) = await nodes[0].outbox.read(lambda store: store.endpoints(source.id, Page()))
        assert (source.uid, forward.url) == ("xendit", "https://example.com/hooks")
        assert sum(len(one.new_sources) for one in nodes) == 1
    finally:
        for one in nodes:
            await one.stop()


@played
async def test_a_node_is_listed_from_its_start_to_its_end(url):
    """What a node does is in the registry while it runs, and that it has stopped afterwards."""
    async with node(url, worker=False) as accepting:
        async with node(url):
            rows = await accepting.outbox.read(lambda store: store.nodes())
            assert sorted(row.roles for row in rows) == [(), ("worker",)]
            assert not any(row.stopped for row in rows)
        rows = await accepting.outbox.read(lambda store: store.nodes())
        assert [row.roles for row in rows if row.stopped] == [("worker",)]
