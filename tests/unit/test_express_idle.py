"""When an idle connection is closed, and which one is not idle."""

import asyncio

from management import MAX_BODY, TOKEN, gateway_of, management
from test_express import Client, request

from ringback.api_keys import ApiKeys
from ringback.config import Address
from ringback.outbox import Outbox
from ringback.server import web
from ringback.server.auth import Tokens
from ringback.server.express import Express

IDLE_SECONDS = 0.1
SLOW_SECONDS = 0.4


async def application(scope, receive, send):
    """Answer at once, or at ``/slow`` when an idle connection would have been closed long ago."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        answered = asyncio.Event()
        asyncio.get_running_loop().call_later(SLOW_SECONDS, answered.set)
        await answered.wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def test_a_pipelined_request_under_way_is_not_idle(tmp_path, monkeypatch):
    """Idleness that ended with two requests at once does not close the connection under the second of them."""
    monkeypatch.setattr(web, "IDLE_SECONDS", IDLE_SECONDS)

    async def talk():
        outbox = Outbox(api.committer, max_payload=MAX_BODY)
        express = Express(outbox, Tokens(ApiKeys(api.committer), TOKEN), gateway_of(api.committer))
        server = web.Web(application, express, Address("127.0.0.1", 0))
        await server.start()
        client = Client(*await asyncio.open_connection(*server.address))
        client.say(request("/quick"))
        statuses = [(await client.answer())[0]]
        client.say(request("/quick") + request("/slow"))
        statuses += [(await client.answer())[0], (await client.answer())[0]]
        rest = await client.closed()
        client.hang_up()
        await server.stop()
        return statuses, rest

    with management(tmp_path) as api:
        assert asyncio.run(talk()) == ([200, 200, 200], b"")
