"""The nodes that share the store."""

from __future__ import annotations

from falcon.asgi import Response

from ringback.outbox import Outbox, system_clock
from ringback.server.operation import operation
from ringback.server.paging import Query, parse
from ringback.server.replies import reply
from ringback.server.unknown import Request
from ringback.server.wire import NodeOut, Rows, node_out


class Nodes:
    """Processes that accept and deliver, and whether they live."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @operation("node.list", {200: Rows[NodeOut]})
    async def on_get(self, req: Request, resp: Response) -> None:
        """List the nodes by their starts, those that stopped or fell silent within the last day as well."""
        parse(req, Query)
        now, nodes = await self._outbox.read(lambda store: (store.now(), store.nodes()))
        instant = system_clock() if now is None else now
        reply(resp, Rows(data=[node_out(node, instant) for node in nodes]))
