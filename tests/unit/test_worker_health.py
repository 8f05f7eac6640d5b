"""A worker without an API answers those who watch over it: whether it lives, whether it is ready, and how it does."""

import asyncio
import contextlib
import json
import urllib.error
import urllib.request

from line import SECOND, Line, played

from ringback import policy
from ringback.config import load
from ringback.drafts import ApplicationDraft, EndpointDraft
from ringback.server.node import Node

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
PATIENCE = 10


@contextlib.asynccontextmanager
async def working(tmp_path, **settings):
    """Run a worker that tells on a free port how it is."""
    flags = {
        "store": f"sqlite:///{tmp_path}/ringback.db",
        "health_listen": "127.0.0.1:0",
        "allow_subnets": "127.0.0.0/8",
    }
    node = Node(load(flags | settings, {}, None), api=False)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def ask(node, path):
    """Return the status and the body of an answer."""

    def get():
        host, port = node.address
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(get)


@played
async def test_a_worker_tells_that_it_lives(tmp_path):
    """At three addresses, to anybody; and at none of the API's."""
    async with working(tmp_path) as node:
        for path in ("/livez", "/readyz"):
            status, body = await ask(node, path)
            assert (status, json.loads(body)) == (200, {"status": "ok"})
        status, body = await ask(node, "/metrics")
        assert (status, "ringback_deliver" in body) == (200, True)
        assert (await ask(node, "/api/v1/app"))[0] == 404


@played
async def test_one_that_drains_lives_and_is_not_ready(tmp_path):
    """Until the last attempt has ended it says so; who watches does not take it for dead."""
    came, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        came.set()
        await may_answer.wait()
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with (
        asyncio.timeout(PATIENCE),
        await asyncio.start_server(answer, "127.0.0.1", 0) as server,
        working(tmp_path, drain_timeout="10s") as node,
    ):
        application, _ = await node.outbox.create_application(ApplicationDraft(name="Acme"))
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        await node.outbox.create_endpoint(application.id, EndpointDraft(url=url))
        await node.outbox.publish(application.id, "invoice.paid", b"{}")
        await came.wait()
        stopping = asyncio.create_task(node.stop())
        while (await ask(node, "/readyz"))[0] == 200:
            pass
        status, body = await ask(node, "/readyz")
        assert (status, "it is stopping" in json.loads(body)["detail"]) == (503, True)
        assert (await ask(node, "/livez"))[0] == 200
        may_answer.set()
        await stopping


@played
async def test_one_that_gives_no_sign_of_life_knows_that_others_take_it_for_dead(store_url):
    """From ten seconds after the last one on; a node that does not join others is none of them."""
    async with Line(store_url, joined=True) as line:
        line.clock.advance(100 * SECOND)
        assert not line.fleet.is_silent
        await line.fleet.start()
        try:
            assert not line.fleet.is_silent
            line.clock.advance(policy.SILENT_AFTER)
            assert line.fleet.is_silent
            await line.fleet.beat()
            assert not line.fleet.is_silent
        finally:
            await line.fleet.stop()
